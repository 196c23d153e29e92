//! The servers to try: one target a host.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::environment::{Environment, FileKind};
use super::error::ConninfoError;
use super::integer;
use super::parameters::Parameters;
use super::passfile::Passfile;
use super::secret::Secret;

/// libpq's port when none is given.
pub const DEFAULT_PORT: u16 = 5432;

/// Where a server without a `host` may have its socket: Debian's and Red Hat's directory, and the source's own.
pub const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// How long the path of a Unix socket may be, in bytes, with its closing NUL.
const SOCKET_PATH_MAXIMUM: usize = if cfg!(target_os = "linux") { 108 } else { 104 };

/// Where a server is (libpq, "host" and "hostaddr").
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// TCP. `name` is what certificates are checked against, `addr` saves looking the name up; at least one is there.
    Tcp {
        /// `host`.
        name: Option<String>,
        /// `hostaddr`.
        addr: Option<IpAddr>,
    },
    /// The directory of a Unix socket; [`Target::socket`] is the socket itself.
    Unix(PathBuf),
    /// The same in Linux's abstract namespace, without the `@` in front.
    AbstractUnix(String),
}

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// Where it is.
    pub host: Host,
    /// Its port, which is also part of a socket's name.
    pub port: u16,
    /// The password for it: `password`, `PGPASSWORD`, or the password file's.
    pub password: Option<Secret>,
    /// Whether the password is the password file's: libpq says so when the server refuses it.
    pub password_from_file: bool,
    /// The host as the user wrote it: `host`, else `hostaddr`, else the socket directory.
    pub name: String,
}

impl Target {
    /// The path of the Unix socket.
    #[must_use]
    pub fn socket(&self) -> Option<PathBuf> {
        match &self.host {
            Host::Unix(directory) => Some(socket_in(directory, self.port)),
            Host::Tcp { .. } | Host::AbstractUnix(_) => None,
        }
    }

    /// The name of the socket in Linux's abstract namespace, without the leading NUL.
    #[must_use]
    pub fn abstract_socket(&self) -> Option<String> {
        match &self.host {
            Host::AbstractUnix(name) => Some(format!("{name}/.s.PGSQL.{}", self.port)),
            Host::Tcp { .. } | Host::Unix(_) => None,
        }
    }

    /// Whether the server is reached by TCP; only then are `sslmode` and keepalives of any use.
    #[must_use]
    pub fn is_tcp(&self) -> bool {
        matches!(self.host, Host::Tcp { .. })
    }

    /// The name that the password file has for this host.
    fn passfile_name(&self) -> &str {
        if SOCKET_DIRECTORIES.contains(&self.name.as_str()) { "localhost" } else { &self.name }
    }

    /// Looks the password up again, for another database or user.
    pub(super) fn look_up_password(&mut self, passfile: Option<&Passfile>, dbname: &str, user: &str) {
        if self.password.is_none() || self.password_from_file {
            self.password =
                passfile.and_then(|passfile| passfile.password(self.passfile_name(), self.port, dbname, user));
            self.password_from_file = self.password.is_some();
        }
    }
}

fn socket_in(directory: &Path, port: u16) -> PathBuf {
    directory.join(format!(".s.PGSQL.{port}"))
}

/// `host`, `hostaddr` and `port` as lists that match each other.
pub(super) struct Lists<'a> {
    hosts: Vec<&'a str>,
    addresses: Vec<&'a str>,
    ports: Vec<&'a str>,
    count: usize,
}

impl<'a> Lists<'a> {
    /// Splits the lists and counts as libpq does: as many hosts as addresses, and one port for all or for each.
    pub(super) fn split(parameters: &'a Parameters) -> Result<Self, ConninfoError> {
        let list = |keyword| -> Vec<&str> {
            parameters.filled(keyword).map_or_else(Vec::new, |value| value.split(',').collect())
        };
        let (hosts, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
        let count = match (addresses.len(), hosts.len()) {
            (0, 0) => 1,
            (0, hosts) => hosts,
            (addresses, _) => addresses,
        };
        if !hosts.is_empty() && hosts.len() != count {
            return Err(ConninfoError::HostCount { hosts: hosts.len(), addresses: count });
        }
        if ports.len() > 1 && ports.len() != count {
            return Err(ConninfoError::PortCount { ports: ports.len(), hosts: count });
        }
        Ok(Self { hosts, addresses, ports, count })
    }

    /// Makes a target of each entry. Passwords other than `password` are not looked up yet.
    pub(super) fn targets(
        &self,
        parameters: &Parameters,
        environment: &dyn Environment,
    ) -> Result<Vec<Target>, ConninfoError> {
        let entry = |list: &[&'a str], index| list.get(index).copied().unwrap_or_default();
        let password = parameters.filled("password").map(Secret::new);
        (0..self.count)
            .map(|index| {
                let for_all = self.ports.len() == 1;
                let port = port(entry(&self.ports, if for_all { 0 } else { index }), parameters)?;
                let (host, name) = host(entry(&self.hosts, index), entry(&self.addresses, index), port, environment)?;
                Ok(Target { host, port, password: password.clone(), password_from_file: false, name })
            })
            .collect()
    }
}

fn port(text: &str, parameters: &Parameters) -> Result<u16, ConninfoError> {
    if text.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    integer::parse("port", text)
        .ok()
        .and_then(|number| u16::try_from(number).ok())
        .filter(|&port| port != 0)
        .ok_or_else(|| {
            // "postgresql://user:pass/word@host/db" makes a port of "pass"; it may not be shown.
            let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            let misread = parameters.get("dbname").is_some_and(|dbname| dbname.contains('@'));
            ConninfoError::InvalidPort { value: (numeric && !misread).then(|| text.to_owned()) }
        })
}

fn host(name: &str, address: &str, port: u16, environment: &dyn Environment) -> Result<(Host, String), ConninfoError> {
    if !address.is_empty() {
        let addr = address.parse().map_err(|_| ConninfoError::InvalidAddress { value: address.to_owned() })?;
        let given = (!name.is_empty()).then(|| name.to_owned());
        let shown = given.clone().unwrap_or_else(|| address.to_owned());
        return Ok((Host::Tcp { name: given, addr: Some(addr) }, shown));
    }
    if let Some(abstract_name) = name.strip_prefix('@') {
        return Ok((Host::AbstractUnix(abstract_name.to_owned()), name.to_owned()));
    }
    if name.is_empty() {
        if cfg!(windows) {
            return Ok((Host::Tcp { name: Some("localhost".into()), addr: None }, "localhost".into()));
        }
        let directory = default_socket_directory(port, environment);
        return Ok((Host::Unix(PathBuf::from(directory)), directory.to_owned()));
    }
    if is_socket_directory(name) {
        let path = socket_in(Path::new(name), port);
        if path.as_os_str().len() >= SOCKET_PATH_MAXIMUM {
            return Err(ConninfoError::SocketPathTooLong { path, maximum: SOCKET_PATH_MAXIMUM - 1 });
        }
        return Ok((Host::Unix(PathBuf::from(name)), name.to_owned()));
    }
    if name.contains('@') {
        return Err(ConninfoError::AtSignInHost);
    }
    Ok((Host::Tcp { name: Some(name.to_owned()), addr: None }, name.to_owned()))
}

/// Whether libpq takes a host for the directory of a socket; on Windows also `C:\…`.
fn is_socket_directory(name: &str) -> bool {
    name.starts_with('/') || (cfg!(windows) && Path::new(name).is_absolute())
}

/// The first of [`SOCKET_DIRECTORIES`] with a socket for this port, else the first that exists.
///
/// libpq has one such directory, fixed when it was built; which one is not known here.
fn default_socket_directory(port: u16, environment: &dyn Environment) -> &'static str {
    let exists = |directory: &&&str| {
        environment.stat(Path::new(directory)).is_some_and(|status| status.kind == FileKind::Directory)
    };
    SOCKET_DIRECTORIES
        .iter()
        .find(|directory| environment.stat(&socket_in(Path::new(directory), port)).is_some())
        .or_else(|| SOCKET_DIRECTORIES.iter().find(exists))
        .unwrap_or(&"/tmp")
}
