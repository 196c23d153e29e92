//! Failed attempts to connect, told: what happened, and what to do.

use std::error::Error as _;
use std::io::ErrorKind;

use super::attempt::AttemptError;
use super::conninfo::{Conninfo, Target};
use super::exchange::chain;
use crate::error::{Error, ServerError};

/// The error for the last of the attempts; the ones before it are named in the message.
pub(super) fn tell(conninfo: &Conninfo, target: &Target, error: AttemptError, earlier: &[String]) -> Error {
    let place = place(target);
    let (what, hint) = match &error {
        AttemptError::Tls(error) => (error.to_string(), error.hint().unwrap_or_default().to_owned()),
        AttemptError::Network(error) => network(error.kind(), &place, target),
        AttemptError::Slow(limit) => (
            format!("the server at {place} did not answer within connect_timeout ({} s)", limit.as_secs()),
            "Check host and port, and that no firewall is in the way; or raise connect_timeout.".to_owned(),
        ),
        AttemptError::Unwanted(wanted) => (
            format!("the server at {place} is not what target_session_attrs={wanted} asks for"),
            "Name a host that is, or change target_session_attrs.".to_owned(),
        ),
        AttemptError::Driver(error) => match error.as_db_error() {
            Some(refusal) => refused(refusal.code().code(), refusal.message(), &place, conninfo, target),
            None => driver(error, &place, conninfo, target),
        },
    };
    let what = if earlier.is_empty() { what } else { format!("{what}; before that: {}", earlier.join("; ")) };
    let source: Box<dyn std::error::Error + Send + Sync> = match error {
        AttemptError::Network(error) => Box::new(error),
        AttemptError::Driver(error) => match error.as_db_error() {
            Some(refusal) => Box::new(ServerError::from(refusal)),
            None => Box::new(error),
        },
        AttemptError::Tls(error) => Box::new(error),
        other @ (AttemptError::Slow(_) | AttemptError::Unwanted(_)) => Box::new(other),
    };
    Error::Connect { what, hint, source }
}

/// One line about an attempt that was not the last.
pub(super) fn brief(target: &Target, error: &AttemptError) -> String {
    format!("{}: {}", place(target), chain(error))
}

fn place(target: &Target) -> String {
    match target.socket() {
        Some(socket) => format!("Unix socket {}", socket.display()),
        None => format!("{} port {}", target.name, target.port),
    }
}

fn network(kind: ErrorKind, place: &str, target: &Target) -> (String, String) {
    match kind {
        ErrorKind::ConnectionRefused | ErrorKind::NotFound => (
            format!("no server is listening at {place}"),
            "Start PostgreSQL, or correct host and port; `deadlock_test --embedded` needs no server.".to_owned(),
        ),
        ErrorKind::PermissionDenied => (
            format!("this user may not open {place}"),
            "Run as a user who may, or connect by TCP (host=localhost).".to_owned(),
        ),
        _ if target.is_tcp() => (
            format!("the server at {place} cannot be reached"),
            "Check the host's name, the port and the network.".to_owned(),
        ),
        _ => (format!("{place} cannot be opened"), "Check host and port.".to_owned()),
    }
}

/// What the driver itself refused: TLS, or a way of authentication.
fn driver(error: &tokio_postgres::Error, place: &str, conninfo: &Conninfo, target: &Target) -> (String, String) {
    let why = chain(error);
    let mode = conninfo.ssl().mode.as_str();
    if why.contains("server does not support TLS") {
        return (
            format!("the server at {place} does not support SSL, but sslmode={mode} requires it"),
            "Switch ssl on in the server's configuration, or use sslmode=prefer where the network is safe.".to_owned(),
        );
    }
    if let Some((what, hint)) = handshake(error, target) {
        return (format!("TLS with the server at {place} failed under sslmode={mode}: {what}"), hint.to_owned());
    }
    (
        format!("the server at {place} did not let us in: {why}"),
        "Check user, password and authentication method (pg_hba.conf on the server).".to_owned(),
    )
}

/// What went wrong in the TLS handshake, if that is where it went wrong.
fn handshake(error: &tokio_postgres::Error, target: &Target) -> Option<(String, &'static str)> {
    use rustls::CertificateError as Bad;
    let mut cause = error.source();
    let tls = loop {
        let error = cause?;
        // What an io::Error carries is not its source, but the source's source is.
        let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(tls) = carried.and_then(|carried| carried.downcast_ref::<rustls::Error>()) {
            break tls;
        }
        cause = error.source();
    };
    if matches!(tls, rustls::Error::NoApplicationProtocol) {
        return Some((
            "it did not agree to speak PostgreSQL's protocol".to_owned(),
            "Use sslnegotiation=postgres: direct negotiation needs PostgreSQL 17 or later.",
        ));
    }
    let rustls::Error::InvalidCertificate(bad) = tls else {
        return Some((
            tls.to_string(),
            "Look into the server's log; check ssl_min_protocol_version, and sslcert and sslkey if it asks for a client \
             certificate.",
        ));
    };
    Some(match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => {
            ("the server's certificate has expired".to_owned(), "Renew the certificate on the server.")
        }
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
            ("the server's certificate is not valid yet".to_owned(), "Check the clocks of both machines.")
        }
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => (
            format!("the server's certificate is not for host {}", target.name),
            "Connect to a name that the certificate is for, or use sslmode=verify-ca.",
        ),
        Bad::UnknownIssuer => (
            "the server's certificate was not issued by any CA in sslrootcert".to_owned(),
            "Give the CA of the server's certificate, down to its root, as sslrootcert.",
        ),
        Bad::Revoked => ("the server's certificate was revoked".to_owned(), "Give the server a new certificate."),
        Bad::UnknownRevocationStatus => (
            "no current revocation list covers the server's certificate and the CAs above it".to_owned(),
            "Give a current list of every CA of the chain as sslcrl or in sslcrldir.",
        ),
        _ => (
            format!("the server's certificate is no good ({bad})"),
            "Give the server a certificate that is meant for servers.",
        ),
    })
}

fn refused(sqlstate: &str, words: &str, place: &str, conninfo: &Conninfo, target: &Target) -> (String, String) {
    let user = conninfo.user();
    let dbname = conninfo.dbname();
    let (what, hint) = match sqlstate {
        "28P01" if target.password_from_file => (
            format!("the server at {place} refused the password file's password for user \"{user}\""),
            "Correct the line in the password file, or give a password.",
        ),
        "28P01" => (
            format!("the server at {place} refused the password for user \"{user}\""),
            "Correct PASSWORD in the Django settings, or the password in the DSN.",
        ),
        "28000" => (
            format!("the server at {place} does not let user \"{user}\" in"),
            "Create the role, or let pg_hba.conf on the server allow it.",
        ),
        "3D000" => (
            format!("there is no database \"{dbname}\" on the server at {place}"),
            "Create it, or correct NAME in the Django settings (dbname in the DSN).",
        ),
        "53300" => (
            format!("the server at {place} has no connection left for user \"{user}\""),
            "Use fewer sessions, close other clients, or raise max_connections (or the role's CONNECTION LIMIT).",
        ),
        "57P03" => (
            format!("the server at {place} is starting up or shutting down"),
            "Wait until it is ready, then try again.",
        ),
        "08P01" if words.contains("unsupported startup parameter") => (
            format!("the pooler (PgBouncer) at {place} takes no start-up setting like ours ({words})"),
            "Leave options (OPTIONS, PGOPTIONS, assume_role; PGTZ, PGDATESTYLE, PGGEQO) out, add options to PgBouncer's \
             ignore_startup_parameters (they then have no effect), or connect to the server itself.",
        ),
        "08P01" if words.contains("no more connections allowed") => (
            format!("the pooler (PgBouncer) at {place} admits no more clients"),
            "Use fewer sessions, or raise PgBouncer's max_client_conn (max_user_connections, max_db_connections).",
        ),
        "42501" => (
            format!("user \"{user}\" may not connect to database \"{dbname}\" at {place}"),
            "GRANT CONNECT ON DATABASE to the role, or do not set what only a superuser may set in options.",
        ),
        _ => (format!("the server at {place} refused the connection"), "Follow the server's message."),
    };
    (what, hint.to_owned())
}
