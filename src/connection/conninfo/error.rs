//! What can be wrong with a conninfo, in one sentence each, with what to do about it.
//!
//! No text in here may hold a password. libpq's own messages sometimes quote the piece of a
//! string that they could not read, and in a string that cannot be read that piece is often a password with
//! a space, a slash or an at sign in it. So a name is quoted only if it looks like a keyword and
//! does not follow a secret; otherwise its position is given.

use std::fmt;
use std::path::PathBuf;

use super::choice::SslMode;
use super::parameters::Origin;

/// The name of a parameter that could not be used, if it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    shown: Option<String>,
    position: usize,
}

impl Name {
    /// `position` counts characters from 1; `after_secret` says that the text before it was a password.
    pub(super) fn new(name: &str, position: usize, after_secret: bool) -> Self {
        let like_a_keyword = !name.is_empty()
            && name.len() <= 40
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        Self { shown: (like_a_keyword && !after_secret).then(|| name.to_owned()), position }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shown {
            Some(name) => write!(f, "\"{name}\""),
            None => write!(f, "the text at character {}", self.position),
        }
    }
}

/// Why a conninfo cannot be used. `Display` says what happened, [`ConninfoError::hint`] what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConninfoError {
    /// A keyword without its value.
    #[error("missing \"=\" after {name} in connection info string")]
    MissingEquals {
        /// The keyword, if it may be shown.
        name: Name,
    },
    /// A quote that never ends.
    #[error("unterminated quoted string in connection info string")]
    UnterminatedQuote,
    /// A keyword that libpq does not know.
    #[error("invalid connection option {name}")]
    UnknownKeyword {
        /// The keyword, if it may be shown.
        name: Name,
    },
    /// A URI query parameter that libpq does not know.
    #[error("invalid URI query parameter: {name}")]
    UnknownQueryParameter {
        /// The parameter, if it may be shown.
        name: Name,
    },
    /// `a=b=c` in a URI's query.
    #[error("extra key/value separator \"=\" in URI query parameter: {name}")]
    ExtraSeparator {
        /// The parameter, if it may be shown.
        name: Name,
    },
    /// `a` without `=` in a URI's query.
    #[error("missing key/value separator \"=\" in URI query parameter: {name}")]
    MissingSeparator {
        /// The parameter, if it may be shown.
        name: Name,
    },
    /// `%` without two hexadecimal digits.
    #[error("invalid percent-encoded token in the {part} of the URI")]
    PercentEncoding {
        /// Which part of the URI.
        part: &'static str,
    },
    /// `%00`.
    #[error("forbidden value %00 in percent-encoded value in the {part} of the URI")]
    ForbiddenNul {
        /// Which part of the URI.
        part: &'static str,
    },
    /// White space inside a part of a URI.
    #[error("unexpected spaces found in the {part} of the URI, use percent-encoded spaces (%20) instead")]
    UnencodedSpace {
        /// Which part of the URI.
        part: &'static str,
    },
    /// Percent-encoded bytes that are not UTF-8.
    #[error("percent-encoded bytes in the {part} of the URI are not UTF-8")]
    NotUtf8 {
        /// Which part of the URI.
        part: &'static str,
    },
    /// `[` without `]`.
    #[error("end of string reached when looking for matching \"]\" in IPv6 host address in URI")]
    UnclosedBracket,
    /// `[]`.
    #[error("IPv6 host address may not be empty in URI")]
    EmptyBrackets,
    /// Something other than a port, a path, a query or another host after `]`.
    #[error("unexpected character \"{character}\" at position {position} in URI (expected \":\" or \"/\")")]
    UnexpectedCharacter {
        /// The character.
        character: char,
        /// Its position, from 1.
        position: usize,
    },
    /// A NUL character, which no parameter can carry.
    #[error("a connection string may not contain a NUL character")]
    Nul,
    /// A value that is not one of the words that its keyword takes.
    #[error("invalid {keyword} value: \"{value}\"")]
    InvalidValue {
        /// The keyword.
        keyword: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        allowed: &'static [&'static str],
    },
    /// A value that must be an integer and is not.
    #[error("invalid integer value \"{value}\" for connection option \"{keyword}\"")]
    InvalidInteger {
        /// The keyword.
        keyword: &'static str,
        /// What was given.
        value: String,
    },
    /// A port that is not a number from 1 to 65535. It is shown only if it cannot be part of a password.
    #[error("invalid port number{}", .value.as_ref().map(|value| format!(": \"{value}\"")).unwrap_or_default())]
    InvalidPort {
        /// What was given, if it may be shown.
        value: Option<String>,
    },
    /// As many `host`s as `hostaddr`s are needed.
    #[error("could not match {hosts} host names to {addresses} hostaddr values")]
    HostCount {
        /// Number of entries in `host`.
        hosts: usize,
        /// Number of entries in `hostaddr`.
        addresses: usize,
    },
    /// One port, or one for each host.
    #[error("could not match {ports} port numbers to {hosts} hosts")]
    PortCount {
        /// Number of entries in `port`.
        ports: usize,
        /// Number of hosts.
        hosts: usize,
    },
    /// A `hostaddr` that is no IP address.
    #[error("could not parse network address \"{value}\"")]
    InvalidAddress {
        /// What was given.
        value: String,
    },
    /// A host with an at sign in it: what is left of it may be the end of a password.
    #[error("a host name in the connection string contains \"@\"")]
    AtSignInHost,
    /// A socket path that no operating system takes.
    #[error("Unix-domain socket path \"{path}\" is too long (maximum {maximum} bytes)", path = .path.display())]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
        /// How many bytes fit.
        maximum: usize,
    },
    /// No file defines the service.
    #[error("definition of service \"{service}\" not found")]
    ServiceNotFound {
        /// The service.
        service: String,
    },
    /// The service file that was asked for is not there.
    #[error("service file \"{path}\" not found", path = .path.display())]
    ServiceFileNotFound {
        /// The file.
        path: PathBuf,
    },
    /// A line of the service file is no `keyword=value` with a keyword that libpq knows.
    #[error("syntax error in service file \"{path}\", line {line}", path = .path.display())]
    ServiceSyntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A service that names a service.
    #[error("nested \"{keyword}\" specifications not supported in service file \"{path}\", line {line}", path = .path.display())]
    NestedService {
        /// `service` or `servicefile`.
        keyword: &'static str,
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A service that is looked up in LDAP.
    #[error("service file \"{path}\", line {line} asks for an LDAP lookup, which django-lockstep cannot do", path = .path.display())]
    ServiceLdap {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// There is no user name to connect with.
    #[error("no user name was given, and the operating system's user has none")]
    NoUser,
    /// An `sslmode` that would undo what another keyword asks for.
    #[error("weak sslmode \"{mode}\" may not be used with {because} (use {instead})")]
    WeakSslMode {
        /// The mode.
        mode: SslMode,
        /// The setting that needs a stronger one.
        because: &'static str,
        /// The modes that do.
        instead: &'static str,
    },
    /// A minimum above its maximum.
    #[error("\"{minimum}\" is greater than \"{maximum}\"")]
    VersionRange {
        /// The keyword of the lower bound.
        minimum: &'static str,
        /// The keyword of the upper bound.
        maximum: &'static str,
    },
    /// `require_auth` with `!a,b`.
    #[error("require_auth method \"{method}\" cannot be mixed with negative methods")]
    RequireAuthAfterNegative {
        /// The method.
        method: String,
    },
    /// `require_auth` with `a,!b`.
    #[error("negative require_auth method \"{method}\" cannot be mixed with non-negative methods")]
    RequireAuthNegative {
        /// The method, with its `!`.
        method: String,
    },
    /// `require_auth` with the same method twice.
    #[error("require_auth method \"{method}\" is specified more than once")]
    RequireAuthDuplicate {
        /// The method.
        method: String,
    },
    /// `verify-ca` or `verify-full` without a root certificate.
    #[error("root certificate file \"{path}\" does not exist", path = .path.display())]
    RootCertificateMissing {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// `verify-ca` or `verify-full` without a home directory to look for a root certificate in.
    #[error("could not get home directory to locate root certificate file")]
    NoHomeForRootCertificate,
    /// A setting that libpq honours and that would be unsafe or useless to ignore.
    #[error("connection option \"{keyword}\"{from} cannot be honoured: {why}", from = .origin.clause())]
    Refused {
        /// The keyword.
        keyword: &'static str,
        /// Where it was set.
        origin: Origin,
        /// Why it cannot be honoured.
        why: &'static str,
    },
}

impl ConninfoError {
    /// One sentence that says what to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::MissingEquals { .. } | Self::UnterminatedQuote => {
                "Write a URI that begins with postgresql://, or keyword=value pairs with spaces between them \
                 and single quotes around a value with spaces in it (\\' for a quote, \\\\ for a backslash)."
                    .into()
            }
            Self::UnknownKeyword { .. } | Self::UnknownQueryParameter { .. } => {
                "Use only keywords that libpq knows; a value with spaces needs single quotes, and in a URI \
                 \"&\", \"=\" and \"?\" must be percent-encoded."
                    .into()
            }
            Self::ExtraSeparator { .. } | Self::MissingSeparator { .. } => {
                "Write the query of a URI as keyword=value&keyword=value, with \"=\" as %3D and \"&\" as %26 \
                 inside a value."
                    .into()
            }
            Self::PercentEncoding { .. } | Self::ForbiddenNul { .. } => {
                "Write % as %25 in a URI, and follow every other % by two hexadecimal digits other than 00.".into()
            }
            Self::UnencodedSpace { .. } => "Write a space as %20 in a URI.".into(),
            Self::NotUtf8 { .. } => "Percent-encode the UTF-8 form of the text.".into(),
            Self::UnclosedBracket | Self::EmptyBrackets | Self::UnexpectedCharacter { .. } => {
                "Write an IPv6 host in a URI as [::1] or [::1]:5432.".into()
            }
            Self::Nul => "Remove the NUL character.".into(),
            Self::InvalidValue { keyword, allowed, .. } => {
                format!("Set {keyword} to one of: {}.", allowed.join(", "))
            }
            Self::InvalidInteger { keyword, .. } => format!("Set {keyword} to a whole number."),
            Self::InvalidPort { .. } => "Give a port from 1 to 65535; in a URI, write \":\", \"/\" and \"@\" in a \
                 user name or password as %3A, %2F and %40."
                .into(),
            Self::HostCount { .. } => "Give exactly one host for each hostaddr, or none at all.".into(),
            Self::PortCount { .. } => "Give one port for all hosts, or exactly one for each.".into(),
            Self::InvalidAddress { .. } => {
                "Give hostaddr a plain IPv4 or IPv6 address, and put a name into host.".into()
            }
            Self::AtSignInHost => "Write \"@\" in the user name or password of a URI as %40.".into(),
            Self::SocketPathTooLong { .. } => {
                "Give host a shorter directory, for instance through a symbolic link.".into()
            }
            Self::ServiceNotFound { service } => format!(
                "Define [{service}] in ~/.pg_service.conf or in the file that servicefile or PGSERVICEFILE names."
            ),
            Self::ServiceFileNotFound { .. } => "Create the file, or correct servicefile or PGSERVICEFILE.".into(),
            Self::ServiceSyntax { .. } => {
                "Write keyword=value on that line, without spaces around the \"=\" and with a keyword of libpq.".into()
            }
            Self::NestedService { .. } => "Write the parameters of the service itself in the file.".into(),
            Self::ServiceLdap { .. } => "Write the parameters themselves in the file.".into(),
            Self::NoUser => "Set user or PGUSER.".into(),
            Self::WeakSslMode { because, instead, .. } => format!("Set sslmode to {instead}, or drop {because}."),
            Self::VersionRange { minimum, maximum } => format!("Lower {minimum} or raise {maximum}."),
            Self::RequireAuthAfterNegative { .. } | Self::RequireAuthNegative { .. } => {
                "Write either only the methods to allow or only the methods to forbid, each with \"!\".".into()
            }
            Self::RequireAuthDuplicate { .. } => "Name each method of require_auth once.".into(),
            Self::RootCertificateMissing { .. } | Self::NoHomeForRootCertificate => {
                "Provide the file, use the system's trusted roots with sslrootcert=system, or change sslmode to \
                 disable server certificate verification."
                    .into()
            }
            Self::Refused { keyword, origin, .. } => match origin {
                Origin::Environment(variable) => format!("Unset {variable} for this run."),
                Origin::Service(path) => {
                    format!("Remove {keyword} from the service in \"{}\", or use a service without it.", path.display())
                }
                Origin::Given | Origin::Default => {
                    format!("Leave {keyword} out, or give this run a connection string of its own without it.")
                }
            },
        }
    }
}
