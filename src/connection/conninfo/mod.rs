//! Connection strings, as libpq reads them.
//!
//! A conninfo is read, completed and checked here, without opening a connection: libpq 18 is the model
//! (the manual's chapters "Connection Strings", "Parameter Key Words", "Environment Variables", "The
//! Password File" and "The Connection Service File"). Everything outside the string itself comes through
//! [`Environment`].
//!
//! Each keyword of libpq is honoured, ignored because that is harmless, or refused with a reason; the table is
//! [`keywords::KEYWORDS`]. On purpose different from libpq:
//!
//! - No message quotes text that may be part of a password, so libpq's wording is shortened in places.
//! - The default directory of Unix sockets is looked for ([`target::SOCKET_DIRECTORIES`]), as is the system's
//!   service file: libpq has one of each, fixed when it was built.
//! - `port`, `hostaddr` and the TCP timers are checked at once, not when their turn comes.
//! - A host with `@` inside and percent-encoded bytes that are not UTF-8 are refused.

mod authentication;
mod choice;
mod environment;
mod error;
mod integer;
mod keyword_value;
pub mod keywords;
mod parameters;
mod passfile;
mod resolution;
mod secret;
mod service;
mod ssl;
pub mod target;
mod uri;

use std::path::PathBuf;
use std::time::Duration;

pub use authentication::{AuthMethod, RequireAuth};
pub use choice::{
    ChannelBinding, LoadBalanceHosts, SslCertMode, SslMode, SslNegotiation, TargetSessionAttrs, TlsVersion,
};
pub use environment::{Environment, FileKind, FileStatus, SystemEnvironment, UserFile};
pub use error::{ConninfoError, Name};
pub use integer::TcpTimers;
pub use keyword_value::pair;
pub use parameters::Origin;
pub use passfile::Warning;
pub use resolution::Ignored;
pub use secret::Secret;
pub use ssl::{RootCertificates, Roots, SslOptions, TlsFile, Verification};
pub use target::{Host, Target};

use parameters::Parameters;
use passfile::Passfile;
use resolution::DbnameMeans;

/// A connection string with everything that libpq would add to it. Its `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conninfo {
    parameters: Parameters,
    passfile: Option<Passfile>,
    targets: Vec<Target>,
    connect_timeout: Option<Duration>,
    tcp_timers: TcpTimers,
    target_session_attrs: TargetSessionAttrs,
    load_balance_hosts: LoadBalanceHosts,
    ssl: SslOptions,
    session_settings: Vec<(&'static str, String)>,
    ignored: Vec<Ignored>,
    warnings: Vec<Warning>,
}

/// What a connection string itself says, in the order of [`keywords::KEYWORDS`], secrets included: what
/// `PQconninfoParse` gives. Nothing is filled in and no value is checked.
pub fn parts(dsn: &str) -> Result<Vec<(&'static str, String)>, ConninfoError> {
    Ok(Parameters::parse(dsn)?.iter().map(|(keyword, parameter)| (keyword.name, parameter.value.clone())).collect())
}

impl Conninfo {
    /// Resolves a keyword/value string or a `postgresql://` URI.
    pub fn resolve(dsn: &str, environment: &dyn Environment) -> Result<Self, ConninfoError> {
        Self::build(Parameters::parse(dsn)?, Vec::new(), environment)
    }

    /// Resolves keyword arguments as `PQconnectdbParams` does with `expand_dbname`: a first `dbname` that is a
    /// connection string is expanded in its place, and empty values are as good as absent. The keywords
    /// of Python drivers are ignored by name.
    pub fn resolve_pairs<I>(pairs: I, environment: &dyn Environment) -> Result<Self, ConninfoError>
    where
        I: IntoIterator<Item = (String, String)>,
    {
        let (parameters, ignored) = resolution::collect(pairs, DbnameMeans::ConnectionString)?;
        Self::build(parameters, ignored, environment)
    }

    /// Resolves keyword arguments as psycopg and psycopg2 do, which is what Django's settings go through: a
    /// `dbname` is always a name, and an empty value is a value.
    pub fn resolve_driver_pairs<I>(pairs: I, environment: &dyn Environment) -> Result<Self, ConninfoError>
    where
        I: IntoIterator<Item = (String, String)>,
    {
        let (parameters, ignored) = resolution::collect(pairs, DbnameMeans::Name)?;
        Self::build(parameters, ignored, environment)
    }

    fn build(
        mut parameters: Parameters,
        mut ignored: Vec<Ignored>,
        environment: &dyn Environment,
    ) -> Result<Self, ConninfoError> {
        resolution::fill_in(&mut parameters, environment)?;
        // The order of the checks is libpq's, so that of two mistakes the same one is reported.
        let lists = target::Lists::split(&parameters)?;
        let ssl = SslOptions::read(&parameters, environment)?;
        let word = |keyword| parameters.get(keyword).unwrap_or_default();
        resolution::check_gssencmode(&parameters)?;
        let target_session_attrs = TargetSessionAttrs::parse(word("target_session_attrs"))?;
        let load_balance_hosts = LoadBalanceHosts::parse(word("load_balance_hosts"))?;
        resolution::check_protocol_versions(&parameters)?;
        ignored.extend(resolution::sift(&parameters)?);
        let mut conninfo = Self {
            targets: lists.targets(&parameters, environment)?,
            connect_timeout: integer::connect_timeout(&parameters)?,
            tcp_timers: TcpTimers::read(&parameters)?,
            session_settings: session_settings(environment),
            passfile: None,
            warnings: Vec::new(),
            target_session_attrs,
            load_balance_hosts,
            parameters,
            ssl,
            ignored,
        };
        conninfo.read_passfile(environment);
        conninfo.look_up_passwords();
        Ok(conninfo)
    }

    fn read_passfile(&mut self, environment: &dyn Environment) {
        if self.parameters.filled("password").is_some() {
            return;
        }
        let path =
            self.parameters.filled("passfile").map(PathBuf::from).or_else(|| UserFile::Passfile.path(environment));
        match path.map(|path| Passfile::read(&path, environment)) {
            Some(Ok(passfile)) => self.passfile = passfile,
            Some(Err(warning)) => self.warnings.push(warning),
            None => {}
        }
    }

    fn look_up_passwords(&mut self) {
        let word = |keyword| self.parameters.get(keyword).unwrap_or_default();
        let (dbname, user) = (word("dbname"), word("user"));
        for target in &mut self.targets {
            target.look_up_password(self.passfile.as_ref(), dbname, user);
        }
    }

    /// The servers to try, one a host, in the order given. With [`LoadBalanceHosts::Random`] the caller shuffles them.
    #[must_use]
    pub fn targets(&self) -> &[Target] {
        &self.targets
    }

    /// The role to log in as; never empty.
    #[must_use]
    pub fn user(&self) -> &str {
        self.parameters.get("user").unwrap_or_default()
    }

    /// The database; never empty.
    #[must_use]
    pub fn dbname(&self) -> &str {
        self.parameters.get("dbname").unwrap_or_default()
    }

    /// `options`, the backend's command-line options.
    #[must_use]
    pub fn options(&self) -> Option<&str> {
        self.parameters.filled("options")
    }

    /// The name to show in `pg_stat_activity`: `application_name`, or `fallback_application_name` if that was not set at all.
    #[must_use]
    pub fn application_name(&self) -> Option<&str> {
        let name = self.parameters.get("application_name");
        name.or_else(|| self.parameters.get("fallback_application_name")).filter(|name| !name.is_empty())
    }

    /// `fallback_application_name` itself.
    #[must_use]
    pub fn fallback_application_name(&self) -> Option<&str> {
        self.parameters.filled("fallback_application_name")
    }

    /// How long one host may take to answer; `None` means for ever.
    #[must_use]
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// TCP keepalives and timeouts.
    #[must_use]
    pub fn tcp_timers(&self) -> TcpTimers {
        self.tcp_timers
    }

    /// Which servers are acceptable.
    #[must_use]
    pub fn target_session_attrs(&self) -> TargetSessionAttrs {
        self.target_session_attrs
    }

    /// In which order hosts are tried.
    #[must_use]
    pub fn load_balance_hosts(&self) -> LoadBalanceHosts {
        self.load_balance_hosts
    }

    /// TLS and the trust in the server.
    #[must_use]
    pub fn ssl(&self) -> &SslOptions {
        &self.ssl
    }

    /// Run-time settings that libpq sends at the start for `PGDATESTYLE`, `PGTZ` and `PGGEQO`.
    #[must_use]
    pub fn session_settings(&self) -> &[(&'static str, String)] {
        &self.session_settings
    }

    /// Settings that were given and make no difference.
    #[must_use]
    pub fn ignored(&self) -> &[Ignored] {
        &self.ignored
    }

    /// What libpq would warn about on stderr.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// A keyword's value and origin after resolution; `None` if it is unset or a secret.
    #[must_use]
    pub fn value(&self, keyword: &str) -> Option<(&str, &Origin)> {
        keywords::find(keyword).filter(|keyword| !keyword.secret)?;
        self.parameters.parameter(keyword).map(|parameter| (parameter.value.as_str(), &parameter.origin))
    }

    /// Everything that is set after resolution, by keyword, without secrets.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let shown = self.parameters.iter().filter(|(keyword, _)| !keyword.secret);
        shown.map(|(keyword, parameter)| (keyword.name, parameter.value.as_str()))
    }

    /// The whole as a keyword/value string without secrets and without libpq's defaults, for messages.
    #[must_use]
    pub fn redacted(&self) -> String {
        let pairs: Vec<String> = self
            .parameters
            .iter()
            .filter(|(keyword, parameter)| {
                let always = matches!(keyword.name, "user" | "dbname");
                !keyword.secret && (always || parameter.origin != Origin::Default)
            })
            .map(|(keyword, parameter)| pair(keyword.name, &parameter.value))
            .collect();
        pairs.join(" ")
    }

    /// The same with another database. Passwords from the password file are looked up again.
    #[must_use]
    pub fn with_dbname(&self, dbname: &str) -> Self {
        let mut other = self.with("dbname", dbname);
        other.look_up_passwords();
        other
    }

    /// The same with another name in `pg_stat_activity`.
    #[must_use]
    pub fn with_application_name(&self, name: &str) -> Self {
        self.with("application_name", name)
    }

    fn with(&self, keyword: &str, value: &str) -> Self {
        let mut other = self.clone();
        other.parameters.give(keyword, value);
        other
    }
}

/// What libpq's `PGDATESTYLE`, `PGTZ` and `PGGEQO` become in the start-up message.
fn session_settings(environment: &dyn Environment) -> Vec<(&'static str, String)> {
    [("PGDATESTYLE", "datestyle"), ("PGTZ", "timezone"), ("PGGEQO", "geqo")]
        .into_iter()
        .filter_map(|(variable, setting)| environment.var(variable).map(|value| (setting, value)))
        .filter(|(_, value)| !value.eq_ignore_ascii_case("default"))
        .collect()
}

#[cfg(test)]
mod tests;
