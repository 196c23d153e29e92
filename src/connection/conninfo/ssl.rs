//! What a conninfo says about TLS (libpq, "SSL Support"). Nothing here opens a connection.

use std::path::PathBuf;

use super::authentication::RequireAuth;
use super::choice::{ChannelBinding, SslCertMode, SslMode, SslNegotiation, TlsVersion};
use super::environment::{Environment, UserFile};
use super::error::ConninfoError;
use super::parameters::{Origin, Parameters};
use super::secret::Secret;

/// A file that libpq looks for in the home directory unless it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFile {
    /// Named by the user.
    Given(PathBuf),
    /// The default file, which may or may not exist.
    Default(PathBuf),
    /// Not named, and there is no home directory.
    Nowhere,
}

impl TlsFile {
    fn read(parameters: &Parameters, keyword: &str, file: UserFile, environment: &dyn Environment) -> Self {
        match parameters.filled(keyword) {
            Some(path) => Self::Given(PathBuf::from(path)),
            None => file.path(environment).map_or(Self::Nowhere, Self::Default),
        }
    }

    /// The path, given or default.
    #[must_use]
    pub fn path(&self) -> Option<&PathBuf> {
        match self {
            Self::Given(path) | Self::Default(path) => Some(path),
            Self::Nowhere => None,
        }
    }

    /// The path, if there is a file.
    #[must_use]
    pub fn existing(&self, environment: &dyn Environment) -> Option<&PathBuf> {
        self.path().filter(|path| environment.stat(path).is_some())
    }
}

/// `sslrootcert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCertificates {
    /// `sslrootcert=system`: the roots that the operating system trusts.
    System,
    /// A file of root certificates.
    File(TlsFile),
}

/// How far the server's certificate is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Not at all.
    None,
    /// It must lead to one of these roots.
    Chain(Roots),
    /// It must lead to one of these roots, and be for the host asked for.
    ChainAndName(Roots),
}

/// Trusted root certificates that are there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// The operating system's.
    System,
    /// This file's.
    File(PathBuf),
}

/// Everything that a conninfo says about TLS and about trusting the server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SslOptions {
    /// `sslmode`.
    pub mode: SslMode,
    /// `sslnegotiation`.
    pub negotiation: SslNegotiation,
    /// `sslrootcert`.
    pub root_certificates: RootCertificates,
    /// `sslcert`. libpq goes on without a certificate when the file does not exist, even a given one.
    pub certificate: TlsFile,
    /// `sslkey`, which must exist if the certificate does.
    pub key: TlsFile,
    /// `sslpassword`.
    pub key_password: Option<Secret>,
    /// `sslcertmode`.
    pub certificate_mode: SslCertMode,
    /// `sslcrl`; libpq's default file counts only if `sslcrldir` is not given either.
    pub revocation_list: TlsFile,
    /// `sslcrldir`.
    pub revocation_directory: Option<PathBuf>,
    /// `sslsni`.
    pub server_name_indication: bool,
    /// `ssl_min_protocol_version`; `None`: whatever the TLS library has.
    pub minimum_version: Option<TlsVersion>,
    /// `ssl_max_protocol_version`; `None`: whatever the TLS library has. Never below 1.2 unless TLS is off.
    pub maximum_version: Option<TlsVersion>,
    /// `channel_binding`.
    pub channel_binding: ChannelBinding,
    /// `require_auth`. Lists that forbid anything that the driver would do are refused before they get here.
    pub require_auth: Option<RequireAuth>,
}

impl SslOptions {
    pub(super) fn read(parameters: &Parameters, environment: &dyn Environment) -> Result<Self, ConninfoError> {
        let word = |keyword| parameters.get(keyword).unwrap_or_default();
        let require_auth = parameters.filled("require_auth").map(RequireAuth::parse).transpose()?;
        let channel_binding = ChannelBinding::parse(word("channel_binding"))?;
        let mode = SslMode::parse(word("sslmode"))?;
        let negotiation = SslNegotiation::parse(word("sslnegotiation"))?;
        if negotiation == SslNegotiation::Direct && mode < SslMode::Require {
            return Err(ConninfoError::WeakSslMode {
                mode,
                because: "sslnegotiation=direct",
                instead: "\"require\", \"verify-ca\", or \"verify-full\"",
            });
        }
        let root_certificates = if parameters.get("sslrootcert") == Some("system") {
            if mode != SslMode::VerifyFull {
                return Err(ConninfoError::WeakSslMode {
                    mode,
                    because: "sslrootcert=system",
                    instead: "\"verify-full\"",
                });
            }
            RootCertificates::System
        } else {
            RootCertificates::File(TlsFile::read(parameters, "sslrootcert", UserFile::RootCertificate, environment))
        };
        let (minimum_version, maximum_version) = versions(parameters)?;
        let certificate_mode = SslCertMode::parse(word("sslcertmode"))?;
        let file = |keyword, file| TlsFile::read(parameters, keyword, file, environment);
        Ok(Self {
            mode,
            negotiation,
            root_certificates,
            certificate: file("sslcert", UserFile::ClientCertificate),
            key: file("sslkey", UserFile::ClientKey),
            key_password: parameters.filled("sslpassword").map(Secret::new),
            certificate_mode,
            revocation_list: file("sslcrl", UserFile::RevocationList),
            revocation_directory: parameters.filled("sslcrldir").map(PathBuf::from),
            server_name_indication: word("sslsni").starts_with('1'),
            minimum_version,
            maximum_version,
            channel_binding,
            require_auth,
        })
    }

    /// How far the server's certificate is to be checked, given the files that are there now.
    ///
    /// A root certificate that exists is always used, so `require` with `~/.postgresql/root.crt` is as
    /// strict as `verify-ca` (libpq, "Client Verification of Server Certificates"). Without one, `verify-ca` and `verify-full`
    /// are an error and the weaker modes check nothing.
    pub fn verification(&self, environment: &dyn Environment) -> Result<Verification, ConninfoError> {
        let roots = match &self.root_certificates {
            RootCertificates::System => Some(Roots::System),
            RootCertificates::File(file) => file.existing(environment).cloned().map(Roots::File),
        };
        match (roots, self.mode, &self.root_certificates) {
            (_, SslMode::Disable, _) => Ok(Verification::None),
            (Some(roots), SslMode::VerifyFull, _) => Ok(Verification::ChainAndName(roots)),
            (Some(roots), _, _) => Ok(Verification::Chain(roots)),
            (None, mode, RootCertificates::File(file)) if mode >= SslMode::VerifyCa => {
                Err(file.path().map_or(ConninfoError::NoHomeForRootCertificate, |path| {
                    ConninfoError::RootCertificateMissing { path: path.clone() }
                }))
            }
            (None, _, _) => Ok(Verification::None),
        }
    }

    /// The revocation list and the directory of such lists that are to be used, given the files that are
    /// there now.
    #[must_use]
    pub fn revocation(&self, environment: &dyn Environment) -> (Option<&PathBuf>, Option<&PathBuf>) {
        let list = match &self.revocation_list {
            TlsFile::Default(_) if self.revocation_directory.is_some() => None,
            file => file.existing(environment),
        };
        (list, self.revocation_directory.as_ref())
    }
}

/// The bounds of the TLS version.
fn versions(parameters: &Parameters) -> Result<(Option<TlsVersion>, Option<TlsVersion>), ConninfoError> {
    const MINIMUM: &str = "ssl_min_protocol_version";
    const MAXIMUM: &str = "ssl_max_protocol_version";
    let bound = |keyword| TlsVersion::parse(keyword, parameters.get(keyword).unwrap_or_default());
    let (minimum, maximum) = (bound(MINIMUM)?, bound(MAXIMUM)?);
    if minimum.zip(maximum).is_some_and(|(minimum, maximum)| minimum > maximum) {
        return Err(ConninfoError::VersionRange { minimum: MINIMUM, maximum: MAXIMUM });
    }
    if maximum.is_some_and(|maximum| maximum < TlsVersion::Tls12) && parameters.get("sslmode") != Some("disable") {
        return Err(ConninfoError::Refused {
            keyword: MAXIMUM,
            origin: parameters.parameter(MAXIMUM).map_or(Origin::Default, |parameter| parameter.origin.clone()),
            why: "TLS below version 1.2 is not built in",
        });
    }
    Ok((minimum, maximum))
}
