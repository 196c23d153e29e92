//! Services: sets of parameters in a file (libpq, "The Connection Service File").

use std::path::{Path, PathBuf};

use super::environment::{Environment, UserFile};
use super::error::ConninfoError;
use super::keyword_value::is_space;
use super::keywords;
use super::parameters::{Origin, Parameters};

/// Where the system's service file is when `PGSYSCONFDIR` is not set. libpq knows one directory, fixed when
/// it was built: Debian's, Red Hat's and the source's own.
const SYSTEM_DIRECTORIES: [&str; 3] = ["/etc/postgresql-common", "/etc/sysconfig/pgsql", "/usr/local/pgsql/etc"];

/// Adds what the service says, if one was asked for, below what was given.
pub(super) fn apply(parameters: &mut Parameters, environment: &dyn Environment) -> Result<(), ConninfoError> {
    let Some(service) = parameters.get("service").map(str::to_owned).or_else(|| environment.var("PGSERVICE")) else {
        return Ok(());
    };

    let named = parameters
        .get("servicefile")
        .map(str::to_owned)
        .or_else(|| environment.var("PGSERVICEFILE"))
        .map(PathBuf::from);
    let own = named
        .clone()
        .or_else(|| UserFile::ServiceFile.path(environment).filter(|path| environment.stat(path).is_some()));
    if let Some(path) = own
        && apply_file(parameters, &path, &service, environment)?
    {
        return Ok(());
    }

    let directories = match environment.var("PGSYSCONFDIR") {
        Some(directory) => vec![PathBuf::from(directory)],
        None => SYSTEM_DIRECTORIES.map(PathBuf::from).to_vec(),
    };
    for path in directories.iter().map(|directory| directory.join("pg_service.conf")) {
        if environment.stat(&path).is_some() && apply_file(parameters, &path, &service, environment)? {
            return Ok(());
        }
    }
    Err(ConninfoError::ServiceNotFound { service })
}

/// Whether the file defines the service; if so, its parameters are added.
fn apply_file(
    parameters: &mut Parameters,
    path: &Path,
    service: &str,
    environment: &dyn Environment,
) -> Result<bool, ConninfoError> {
    let text = environment.read(path).map_err(|_| ConninfoError::ServiceFileNotFound { path: path.to_owned() })?;
    let mut found = false;
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.trim_matches(is_space);
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        if let Some(group) = text.strip_prefix('[') {
            if found {
                break;
            }
            found = group.strip_prefix(service).is_some_and(|rest| rest.starts_with(']'));
        } else if found {
            apply_line(parameters, text, path, line)?;
        }
    }
    Ok(found)
}

fn apply_line(parameters: &mut Parameters, text: &str, path: &Path, line: usize) -> Result<(), ConninfoError> {
    let path = path.to_owned();
    if text.starts_with("ldap") {
        return Err(ConninfoError::ServiceLdap { path, line });
    }
    match text.split_once('=') {
        Some(("service", _)) => Err(ConninfoError::NestedService { keyword: "service", path, line }),
        Some(("servicefile", _)) => Err(ConninfoError::NestedService { keyword: "servicefile", path, line }),
        Some((name, value)) => {
            let Some(keyword) = keywords::find(name) else {
                return Err(ConninfoError::ServiceSyntax { path, line });
            };
            parameters.set_default(keyword, value, Origin::Service(path));
            Ok(())
        }
        None => Err(ConninfoError::ServiceSyntax { path, line }),
    }
}
