//! TLS as libpq defines it (the manual, "SSL Support"), on rustls.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::SupportedProtocolVersion;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::version::{TLS12, TLS13};

use super::client_certificate;
use super::conninfo::{
    Environment, Host, Roots, SslMode, SslNegotiation, SslOptions, Target, TlsVersion, Verification,
};
use super::revocation::Revocation;
use super::tls_session::Connector;
use super::verifier::{Chain, Demand, Verifier};
use crate::error::Error;

/// The protocol's name in TLS' application-layer negotiation; servers of version 17 and later insist on it.
const PROTOCOL: &[u8] = b"postgresql";

/// How one attempt to connect is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Not at all.
    Plain,
    /// By TLS if the server has it, else not at all.
    TlsIfOffered,
    /// By TLS.
    Tls,
}

/// The ways to try a host, in libpq's order: `allow` begins without TLS, `prefer` with it, and both go on to the other.
/// A Unix socket never has TLS.
pub(super) fn ways(mode: SslMode, is_tcp: bool) -> &'static [Way] {
    match mode {
        _ if !is_tcp => &[Way::Plain],
        SslMode::Disable => &[Way::Plain],
        SslMode::Allow => &[Way::Plain, Way::Tls],
        SslMode::Prefer => &[Way::TlsIfOffered, Way::Plain],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Way::Tls],
    }
}

/// A TLS set-up for one host.
#[derive(Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    host: String,
    is_direct: bool,
    is_required: bool,
}

impl Tls {
    /// Reads the files that the conninfo names.
    pub(super) fn set_up(
        ssl: &SslOptions,
        target: &Target,
        way: Way,
        environment: &dyn Environment,
    ) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let demand = demand(ssl, target, environment, &provider)?;
        let verifier = Arc::new(Verifier { demand, provider: Arc::clone(&provider) });
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(ssl))
            .map_err(|error| unusable(format!("TLS cannot be set up: {error}"), "Correct ssl_min_protocol_version."))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = client_certificate::present(builder, ssl, environment)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        let host = match &target.host {
            Host::Tcp { name: Some(name), .. } => name.clone(),
            Host::Tcp { addr: Some(addr), .. } => addr.to_string(),
            _ => target.name.clone(),
        };
        config.enable_sni = ssl.server_name_indication && host.parse::<std::net::IpAddr>().is_err();
        Ok(Self {
            config: Arc::new(config),
            host,
            is_direct: ssl.negotiation == SslNegotiation::Direct,
            is_required: way == Way::Tls,
        })
    }

    /// Whether TLS begins without being asked for.
    pub(super) fn is_direct(&self) -> bool {
        self.is_direct
    }

    /// Whether there is no going on without TLS.
    pub(super) fn is_required(&self) -> bool {
        self.is_required
    }

    /// What the driver connects with.
    pub(super) fn connect(&self) -> Connector {
        Connector { config: Arc::clone(&self.config), host: self.host.clone(), insists: self.is_direct }
    }
}

fn demand(
    ssl: &SslOptions,
    target: &Target,
    environment: &dyn Environment,
    provider: &Arc<CryptoProvider>,
) -> Result<Demand, Error> {
    let chain = |roots: &Roots| {
        let (place, certificates) = match roots {
            Roots::System => {
                ("the system's root certificates".to_owned(), rustls_native_certs::load_native_certs().certs)
            }
            Roots::File(path) => {
                (format!("root certificate file \"{}\"", path.display()), certificates(path, "root certificate file")?)
            }
        };
        Chain::to(certificates, revocation(ssl, environment, provider), Arc::clone(provider))
            .map_err(|why| unusable(format!("could not use {place}: {why}"), "Give PEM certificates as sslrootcert."))
    };
    Ok(match ssl.verification(environment)? {
        Verification::None => Demand::Nothing,
        Verification::Chain(roots) => Demand::Chain(chain(&roots)?),
        Verification::ChainAndName(roots) => match &target.host {
            Host::Tcp { name: Some(name), .. } => Demand::ChainAndName(chain(&roots)?, name.clone()),
            _ => {
                return Err(unusable(
                    "host name must be specified for a verified SSL connection".to_owned(),
                    "Give host=… besides hostaddr=….",
                ));
            }
        },
    })
}

/// The revocation lists, if there are any. Like libpq we go on without a file that is missing or none at all; a
/// directory counts even when nothing is in it.
fn revocation(ssl: &SslOptions, environment: &dyn Environment, provider: &Arc<CryptoProvider>) -> Option<Revocation> {
    let (list, directory) = ssl.revocation(environment);
    let read = |file: &Path| -> Vec<CertificateRevocationListDer<'static>> {
        let lists = CertificateRevocationListDer::pem_file_iter(file);
        lists.map_or_else(|_| Vec::new(), |lists| lists.filter_map(Result::ok).collect())
    };
    let mut lists = list.map_or_else(Vec::new, |file| read(file));
    let entries = directory.and_then(|directory| std::fs::read_dir(directory).ok());
    let is_wanted = !lists.is_empty() || entries.is_some();
    for entry in entries.into_iter().flatten().filter_map(Result::ok) {
        lists.extend(read(&entry.path()));
    }
    is_wanted.then(|| Revocation::by(&lists, Arc::clone(provider)))
}

pub(super) fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable(
            format!("could not read {what} \"{}\": no certificate is in it", path.display()),
            "Give a file with PEM certificates.",
        )),
        Err(error) => Err(unreadable(path, &error)),
    }
}

fn versions(ssl: &SslOptions) -> Vec<&'static SupportedProtocolVersion> {
    let wanted = |version| {
        ssl.minimum_version.is_none_or(|minimum| minimum <= version)
            && ssl.maximum_version.is_none_or(|maximum| version <= maximum)
    };
    let mut versions = Vec::new();
    if wanted(TlsVersion::Tls12) {
        versions.push(&TLS12);
    }
    if wanted(TlsVersion::Tls13) {
        versions.push(&TLS13);
    }
    versions
}

pub(super) fn unreadable(path: &Path, error: &rustls::pki_types::pem::Error) -> Error {
    unusable(format!("could not read \"{}\": {error}", path.display()), "Give a readable file in PEM format.")
}

pub(super) fn unusable(what: String, hint: &str) -> Error {
    Error::Conninfo { what, hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{SslMode, Way, ways};

    #[test]
    fn every_mode_has_its_ways() {
        assert_eq!(ways(SslMode::Disable, true), [Way::Plain]);
        assert_eq!(ways(SslMode::Allow, true), [Way::Plain, Way::Tls]);
        assert_eq!(ways(SslMode::Prefer, true), [Way::TlsIfOffered, Way::Plain]);
        assert_eq!(ways(SslMode::Require, true), [Way::Tls]);
        assert_eq!(ways(SslMode::VerifyFull, false), [Way::Plain], "a Unix socket never has TLS");
    }
}
