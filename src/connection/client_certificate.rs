//! The client's own certificate and its private key: `sslcert`, `sslkey`, `sslpassword`.

use std::path::Path;

use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};
use rustls::client::WantsClientCert;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder};

use super::conninfo::{Environment, FileStatus, Secret, SslCertMode, SslOptions};
use super::tls::{certificates, unreadable, unusable};
use crate::error::Error;

/// How an encrypted key begins.
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// Adds the client's certificate, where there is one.
pub(super) fn present(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    ssl: &SslOptions,
    environment: &dyn Environment,
) -> Result<ClientConfig, Error> {
    let certificate = match ssl.certificate_mode {
        SslCertMode::Disable => None,
        SslCertMode::Allow | SslCertMode::Require => ssl.certificate.existing(environment),
    };
    let Some(certificate) = certificate else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(certificate, "certificate file")?;
    let Some(key) = ssl.key.path() else { return Ok(builder.with_no_client_auth()) };
    let Some(status) = environment.stat(key) else {
        return Err(unusable(
            format!("certificate present, but not private key file \"{}\"", key.display()),
            "Give the certificate's private key as sslkey.",
        ));
    };
    check_permissions(key, status)?;
    let private = private_key(key, ssl)?;
    builder.with_client_auth_cert(chain, private).map_err(|error| {
        let what = format!("could not use certificate \"{}\" with its key: {error}", certificate.display());
        unusable(what, "Give the private key that belongs to sslcert as sslkey.")
    })
}

/// Reads the key; one that is encrypted (PKCS #8) is decrypted with `sslpassword`.
fn private_key(path: &Path, ssl: &SslOptions) -> Result<PrivateKeyDer<'static>, Error> {
    let text = std::fs::read(path).map_err(|error| unreadable(path, &rustls::pki_types::pem::Error::Io(error)))?;
    let pem = std::str::from_utf8(&text).unwrap_or_default();
    let encrypted = pem.find(ENCRYPTED).and_then(|start| SecretDocument::from_pem(&pem[start..]).ok());
    let Some((_, document)) = encrypted else {
        // libpq takes DER, too.
        return PrivateKeyDer::from_pem_slice(&text)
            .or_else(|error| PrivateKeyDer::try_from(text).map_err(|_| unreadable(path, &error)));
    };
    let password = ssl.key_password.as_ref().map_or("", Secret::expose);
    let decrypted = EncryptedPrivateKeyInfo::try_from(document.as_bytes()).and_then(|key| key.decrypt(password));
    let decrypted = decrypted.map_err(|_| {
        unusable(
            format!("could not decrypt private key file \"{}\"", path.display()),
            "Give its passphrase as sslpassword; keys in PKCS #8 format (openssl pkcs8 -topk8) can be decrypted.",
        )
    })?;
    Ok(PrivateKeyDer::Pkcs8(decrypted.as_bytes().to_vec().into()))
}

/// libpq's rule for private keys.
fn check_permissions(key: &Path, status: FileStatus) -> Result<(), Error> {
    let forbidden = if status.owned_by_root { 0o037 } else { 0o077 };
    if status.mode.is_none_or(|mode| mode & forbidden == 0) {
        return Ok(());
    }
    Err(unusable(
        format!("private key file \"{}\" has group or world access", key.display()),
        "Its permissions must be u=rw (0600) or less; u=rw,g=r (0640) or less if root owns it.",
    ))
}

#[cfg(test)]
mod tests {
    use super::{FileStatus, check_permissions};
    use crate::connection::conninfo::FileKind;
    use std::path::Path;

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let status = |mode, owned_by_root| FileStatus { kind: FileKind::Regular, mode: Some(mode), owned_by_root };
        let may = |mode, root| check_permissions(Path::new("key"), status(mode, root)).is_ok();
        assert!(may(0o100_600, false) && may(0o100_400, false) && may(0o100_640, true));
        assert!(!may(0o100_640, false) && !may(0o100_604, true) && !may(0o100_660, true));
    }
}
