//! From what was given to what is used: precedence, defaults, and what must be refused.
//!
//! What was given comes before the service, the service before the environment, the environment before
//! libpq's defaults (libpq, "Environment Variables" and "The Connection Service File").

use super::authentication::RequireAuth;
use super::environment::Environment;
use super::error::ConninfoError;
use super::keywords::{self, KEYWORDS, Treatment};
use super::parameters::{Origin, Parameters, unknown};
use super::service;

/// A setting that was given and makes no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ignored {
    /// The keyword.
    pub keyword: &'static str,
    /// Why that is harmless.
    pub why: &'static str,
}

/// How a `dbname` that looks like a connection string is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DbnameMeans {
    /// It is one, as for `PQconnectdbParams` with `expand_dbname`; empty values are as good as absent.
    ConnectionString,
    /// It is a name all the same, as for psycopg and psycopg2, which write a conninfo string of their own.
    Name,
}

/// Collects keyword arguments. The keywords of drivers are set aside.
pub(super) fn collect(
    pairs: impl IntoIterator<Item = (String, String)>,
    dbname_means: DbnameMeans,
) -> Result<(Parameters, Vec<Ignored>), ConninfoError> {
    let expand = dbname_means == DbnameMeans::ConnectionString;
    let mut parameters = Parameters::default();
    let mut ignored = Vec::new();
    let mut dbname_seen = false;
    for (position, (name, value)) in (1..).zip(pairs) {
        if value.contains('\0') || name.contains('\0') {
            return Err(ConninfoError::Nul);
        }
        if let Some(driver) = keywords::find_driver(&name) {
            ignored.push(Ignored { keyword: driver.name, why: driver.why });
            continue;
        }
        let first_dbname = name == "dbname" && !std::mem::replace(&mut dbname_seen, true);
        if expand && value.is_empty() {
            continue;
        }
        if expand && first_dbname && Parameters::is_connection_string(&value) {
            parameters.overlay(Parameters::parse(&value)?);
            continue;
        }
        if !parameters.give(&name, &value) {
            return Err(unknown(&name, position, false));
        }
    }
    Ok((parameters, ignored))
}

/// Fills in what was not given.
pub(super) fn fill_in(parameters: &mut Parameters, environment: &dyn Environment) -> Result<(), ConninfoError> {
    service::apply(parameters, environment)?;
    for keyword in KEYWORDS {
        if let Some(variable) = keyword.variable
            && let Some(value) = environment.var(variable)
        {
            parameters.set_default(keyword, &value, Origin::Environment(variable));
        }
        if keyword.name == "sslmode" && environment.var("PGREQUIRESSL").is_some_and(|value| value.starts_with('1')) {
            let origin = Origin::Environment("PGREQUIRESSL");
            parameters.set_default(keyword, "require", origin);
        }
        if let Some(default) = keyword.default
            && keyword.name != "sslmode"
        {
            parameters.set_default(keyword, default, Origin::Default);
        }
    }
    // With the system's roots anybody can have a certificate, so a default that checks no name would check nothing.
    let default_mode = if parameters.get("sslrootcert") == Some("system") { "verify-full" } else { "prefer" };
    if let Some(sslmode) = keywords::find("sslmode") {
        parameters.set_default(sslmode, default_mode, Origin::Default);
    }
    if parameters.filled("user").is_none() {
        let name = environment.user_name().ok_or(ConninfoError::NoUser)?;
        if let Some(user) = keywords::find("user") {
            parameters.set(user, &name, Origin::Default);
        }
    }
    if parameters.filled("dbname").is_none() {
        let user = parameters.get("user").unwrap_or_default().to_owned();
        if let Some(dbname) = keywords::find("dbname") {
            parameters.set(dbname, &user, Origin::Default);
        }
    }
    Ok(())
}

/// Refuses what cannot be honoured, and lists what is ignored.
pub(super) fn sift(parameters: &Parameters) -> Result<Vec<Ignored>, ConninfoError> {
    let mut ignored = Vec::new();
    for (keyword, parameter) in parameters.iter() {
        if parameter.origin == Origin::Default || parameter.value.is_empty() {
            continue;
        }
        match keyword.treatment {
            Treatment::Honoured => {}
            Treatment::Ignored(why) => ignored.push(Ignored { keyword: keyword.name, why }),
            Treatment::Refused { harmless, why } => {
                let harmless = harmless.contains(&parameter.value.as_str())
                    || (keyword.name == "require_auth"
                        && RequireAuth::parse(&parameter.value)?.forbids_nothing_spoken());
                if !harmless {
                    return Err(ConninfoError::Refused {
                        keyword: keyword.name,
                        origin: parameter.origin.clone(),
                        why,
                    });
                }
                let why = "this value asks for nothing that is missing here";
                ignored.push(Ignored { keyword: keyword.name, why });
            }
        }
    }
    Ok(ignored)
}

/// Checks `gssencmode` as libpq does; whether the value can be honoured is another question.
pub(super) fn check_gssencmode(parameters: &Parameters) -> Result<(), ConninfoError> {
    const WORDS: [&str; 3] = ["disable", "prefer", "require"];
    match parameters.get("gssencmode") {
        Some(value) if !WORDS.contains(&value) => {
            Err(ConninfoError::InvalidValue { keyword: "gssencmode", value: value.to_owned(), allowed: &WORDS })
        }
        _ => Ok(()),
    }
}

/// Checks the bounds of the version of the wire protocol.
pub(super) fn check_protocol_versions(parameters: &Parameters) -> Result<(), ConninfoError> {
    const MINIMUM: &str = "min_protocol_version";
    const MAXIMUM: &str = "max_protocol_version";
    // "latest" is 3.2 to libpq 18.
    let rank = |keyword, default| match parameters.get(keyword) {
        None => Ok(default),
        Some("3.0") => Ok(0),
        Some("3.2" | "latest") => Ok(1),
        Some(value) => {
            Err(ConninfoError::InvalidValue { keyword, value: value.to_owned(), allowed: &["3.0", "3.2", "latest"] })
        }
    };
    if rank(MINIMUM, 0)? > rank(MAXIMUM, 1)? {
        return Err(ConninfoError::VersionRange { minimum: MINIMUM, maximum: MAXIMUM });
    }
    Ok(())
}
