//! Every keyword of libpq up to version 18 (and 19's `servicefile`), and what becomes of it here.
//!
//! The documentation's table is made from this one; the order is that of `PQconndefaults`.

/// What becomes of a keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It does what it does in libpq.
    Honoured,
    /// It makes no difference here; the text says why that is harmless.
    Ignored(&'static str),
    /// It cannot be honoured, and to ignore it would be unsafe or useless; the text says why.
    Refused {
        /// Values that ask for nothing that is missing here, so that they do no harm.
        harmless: &'static [&'static str],
        /// Why other values are refused, as the end of a sentence.
        why: &'static str,
    },
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keyword {
    /// The keyword itself.
    pub name: &'static str,
    /// The environment variable that sets it, if there is one (libpq, "Environment Variables").
    pub variable: Option<&'static str>,
    /// libpq's built-in default.
    pub default: Option<&'static str>,
    /// Whether its value may never be shown.
    pub secret: bool,
    /// What becomes of it.
    pub treatment: Treatment,
    /// What it is for, in one line.
    pub about: &'static str,
}

impl Keyword {
    const fn new(name: &'static str, variable: &'static str, about: &'static str) -> Self {
        let variable = if variable.is_empty() { None } else { Some(variable) };
        Self { name, variable, default: None, secret: false, treatment: Treatment::Honoured, about }
    }

    const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }

    const fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    const fn ignored(mut self, why: &'static str) -> Self {
        self.treatment = Treatment::Ignored(why);
        self
    }

    const fn refused(mut self, harmless: &'static [&'static str], why: &'static str) -> Self {
        self.treatment = Treatment::Refused { harmless, why };
        self
    }
}

const NO_GSSAPI: &str =
    "GSSAPI is not built in, so there is nothing for it to adjust; a server that insists on GSSAPI says so";
const NO_OAUTH: &str =
    "OAuth is not built in, so there is nothing for it to adjust; a server that insists on OAuth says so";
const NO_SCRAM_KEYS: &str = "logging in with SCRAM keys instead of a password is not built in";

/// The keywords of libpq.
#[rustfmt::skip]
pub static KEYWORDS: &[Keyword] = &[
    Keyword::new("service", "PGSERVICE", "name of a service, a set of parameters in the service file"),
    Keyword::new("servicefile", "PGSERVICEFILE", "the service file to look into first (a keyword since PostgreSQL 19, a variable before)"),
    Keyword::new("user", "PGUSER", "role to log in as; the operating system's user by default"),
    Keyword::new("password", "PGPASSWORD", "password to log in with").secret(),
    Keyword::new("passfile", "PGPASSFILE", "file with passwords; ~/.pgpass by default"),
    Keyword::new("channel_binding", "PGCHANNELBINDING", "whether SCRAM is bound to the TLS channel").default("prefer"),
    Keyword::new("connect_timeout", "PGCONNECT_TIMEOUT", "seconds to wait for each host; 0 or less: for ever"),
    Keyword::new("dbname", "PGDATABASE", "database to connect to; the user's name by default"),
    Keyword::new("host", "PGHOST", "host names, or directories of Unix sockets, separated by commas"),
    Keyword::new("hostaddr", "PGHOSTADDR", "IP addresses of the hosts, which save the look-up"),
    Keyword::new("port", "PGPORT", "port of all hosts, or one for each").default("5432"),
    Keyword::new("client_encoding", "PGCLIENTENCODING", "encoding of the client's text")
        .ignored("lockstep's own connections always speak UTF-8"),
    Keyword::new("options", "PGOPTIONS", "command-line options for the backend, such as -c search_path=app").default(""),
    Keyword::new("application_name", "PGAPPNAME", "name shown in pg_stat_activity"),
    Keyword::new("fallback_application_name", "", "name shown when application_name is not set"),
    Keyword::new("keepalives", "", "whether TCP keepalives are used"),
    Keyword::new("keepalives_idle", "", "seconds of silence before the first keepalive"),
    Keyword::new("keepalives_interval", "", "seconds between keepalives"),
    Keyword::new("keepalives_count", "", "keepalives that may be lost"),
    Keyword::new("tcp_user_timeout", "", "milliseconds that sent data may stay unacknowledged"),
    Keyword::new("sslmode", "PGSSLMODE", "whether TLS is used and how far the server is checked").default("prefer"),
    Keyword::new("sslnegotiation", "PGSSLNEGOTIATION", "whether TLS begins at once or after a request").default("postgres"),
    Keyword::new("sslcompression", "PGSSLCOMPRESSION", "TLS compression").default("0")
        .ignored("TLS compression is insecure and gone from every TLS library; libpq ignores it too"),
    Keyword::new("sslcert", "PGSSLCERT", "the client's certificate; ~/.postgresql/postgresql.crt by default"),
    Keyword::new("sslkey", "PGSSLKEY", "the client's private key; ~/.postgresql/postgresql.key by default"),
    Keyword::new("sslcertmode", "PGSSLCERTMODE", "whether the client's certificate is sent").default("allow")
        .refused(&["disable", "allow"], "whether the server asked for the client's certificate cannot be seen here"),
    Keyword::new("sslpassword", "", "passphrase of sslkey").secret(),
    Keyword::new("sslrootcert", "PGSSLROOTCERT", "root certificates to trust, or system; ~/.postgresql/root.crt by default"),
    Keyword::new("sslcrl", "PGSSLCRL", "certificate revocation list; ~/.postgresql/root.crl by default"),
    Keyword::new("sslcrldir", "PGSSLCRLDIR", "directory of certificate revocation lists"),
    Keyword::new("sslsni", "PGSSLSNI", "whether the host's name is sent in the TLS handshake").default("1"),
    Keyword::new("requirepeer", "PGREQUIREPEER", "operating system user that must own the server's Unix socket")
        .refused(&[], "the owner of the server process is not checked here, and going on without the check would be less safe than asked for"),
    Keyword::new("require_auth", "PGREQUIREAUTH", "authentication methods that the server may use")
        .refused(&["any list that allows none, password, md5 and scram-sha-256"],
            "the method that the server picks cannot be restricted here, and going on without the restriction would be less safe than asked for"),
    Keyword::new("min_protocol_version", "PGMINPROTOCOLVERSION", "lowest version of PostgreSQL's protocol")
        .refused(&["3.0"], "only version 3.0 of PostgreSQL's protocol is spoken here"),
    Keyword::new("max_protocol_version", "PGMAXPROTOCOLVERSION", "highest version of PostgreSQL's protocol")
        .ignored("version 3.0 is spoken here, which is below any maximum"),
    Keyword::new("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", "lowest version of TLS").default("TLSv1.2"),
    Keyword::new("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", "highest version of TLS"),
    Keyword::new("gssencmode", "PGGSSENCMODE", "whether GSSAPI encrypts the connection")
        .refused(&["disable", "prefer"], "GSSAPI encryption is not built in"),
    Keyword::new("krbsrvname", "PGKRBSRVNAME", "Kerberos service name").default("postgres").ignored(NO_GSSAPI),
    Keyword::new("gsslib", "PGGSSLIB", "GSSAPI library on Windows").ignored(NO_GSSAPI),
    Keyword::new("gssdelegation", "PGGSSDELEGATION", "whether GSSAPI credentials are forwarded").default("0").ignored(NO_GSSAPI),
    Keyword::new("replication", "", "connect for streaming replication")
        .refused(&["false", "off", "no", "0"], "a replication connection cannot run the statements that lockstep needs"),
    Keyword::new("target_session_attrs", "PGTARGETSESSIONATTRS", "which servers are acceptable").default("any"),
    Keyword::new("load_balance_hosts", "PGLOADBALANCEHOSTS", "whether hosts are tried in random order").default("disable"),
    Keyword::new("scram_client_key", "", "SCRAM client key, base64").secret().refused(&[], NO_SCRAM_KEYS),
    Keyword::new("scram_server_key", "", "SCRAM server key, base64").secret().refused(&[], NO_SCRAM_KEYS),
    Keyword::new("oauth_issuer", "", "trusted OAuth issuer").ignored(NO_OAUTH),
    Keyword::new("oauth_client_id", "", "OAuth client").ignored(NO_OAUTH),
    Keyword::new("oauth_client_secret", "", "OAuth client's secret").secret().ignored(NO_OAUTH),
    Keyword::new("oauth_scope", "", "OAuth scope").ignored(NO_OAUTH),
    Keyword::new("sslkeylogfile", "", "file to log TLS secrets to")
        .ignored("it is an aid for debugging TLS, and no secrets are written anywhere here"),
];

/// A keyword that libpq does not know and that a Python driver, or Django, takes all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverKeyword {
    /// The keyword itself.
    pub name: &'static str,
    /// Whose keyword it is.
    pub owner: &'static str,
    /// Why ignoring it is harmless.
    pub why: &'static str,
}

const PYTHON_OBJECTS: &str =
    "it chooses the Python objects of the driver, and lockstep's SQL sessions do not go through it";
const AUTOCOMMIT: &str = "lockstep's SQL sessions begin and end their transactions themselves";
const STATEMENTS: &str = "lockstep's SQL sessions use no prepared statements with a name";

/// The keywords of psycopg, psycopg2 and Django that arrive from `get_connection_params()`.
#[rustfmt::skip]
pub static DRIVER_KEYWORDS: &[DriverKeyword] = &[
    DriverKeyword { name: "autocommit", owner: "psycopg", why: AUTOCOMMIT },
    DriverKeyword { name: "prepare_threshold", owner: "psycopg", why: STATEMENTS },
    DriverKeyword { name: "context", owner: "psycopg", why: PYTHON_OBJECTS },
    DriverKeyword { name: "row_factory", owner: "psycopg", why: PYTHON_OBJECTS },
    DriverKeyword { name: "cursor_factory", owner: "psycopg and psycopg2", why: PYTHON_OBJECTS },
    DriverKeyword { name: "connection_factory", owner: "psycopg2", why: PYTHON_OBJECTS },
    DriverKeyword { name: "async", owner: "psycopg2", why: "lockstep's SQL sessions have threads of their own" },
    DriverKeyword { name: "async_", owner: "psycopg2", why: "lockstep's SQL sessions have threads of their own" },
    DriverKeyword { name: "server_side_binding", owner: "Django", why: STATEMENTS },
    DriverKeyword { name: "isolation_level", owner: "Django", why: "it is no part of the connection; it is the default isolation of a run" },
    DriverKeyword { name: "assume_role", owner: "Django", why: "it is no part of the connection; the role is set after it" },
    DriverKeyword { name: "pool", owner: "Django", why: "lockstep's pools are independent of the driver's" },
];

/// The row of a keyword.
#[must_use]
pub fn find(name: &str) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| keyword.name == name)
}

/// The row of a driver's keyword.
#[must_use]
pub fn find_driver(name: &str) -> Option<&'static DriverKeyword> {
    DRIVER_KEYWORDS.iter().find(|keyword| keyword.name == name)
}
