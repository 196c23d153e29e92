//! DSNs: out of what Django would pass to its driver, and taken apart.

use std::collections::BTreeMap;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors;
use crate::connection::conninfo::keywords::{DRIVER_KEYWORDS, KEYWORDS, Treatment};
use crate::connection::conninfo::{Conninfo, SystemEnvironment, keywords, pair, parts};
use crate::error::Error;

/// The libpq keyword/value string for a driver's keyword arguments. What concerns only the Python driver is left out.
#[pyfunction]
pub(super) fn dsn_from_params(py: Python<'_>, params: &Bound<'_, PyDict>) -> PyResult<String> {
    let mut pairs = Vec::new();
    for (key, value) in params.iter() {
        let keyword: String = key.extract()?;
        if value.is_none() || keywords::find_driver(&keyword).is_some() {
            continue;
        }
        if keywords::find(&keyword).is_none() {
            let error = Error::Conninfo {
                what: format!("invalid connection option \"{keyword}\""),
                hint: "Correct OPTIONS in the Django settings: libpq does not know it.".to_owned(),
            };
            return Err(errors::to_python(py, &error));
        }
        pairs.push(pair(&keyword, value.str()?.to_str()?));
    }
    Ok(pairs.join(" "))
}

/// What a DSN itself says, by keyword, with the password.
#[pyfunction]
pub(super) fn dsn_parts(py: Python<'_>, dsn: &str) -> PyResult<BTreeMap<&'static str, String>> {
    let parts = parts(dsn).map_err(|error| errors::to_python(py, &error.into()))?;
    Ok(parts.into_iter().collect())
}

/// What a DSN means at this moment, by keyword, without any secret: services, the environment and libpq's defaults are
/// filled in.
#[pyfunction]
pub(super) fn dsn_resolved(py: Python<'_>, dsn: &str) -> PyResult<BTreeMap<&'static str, String>> {
    let conninfo = Conninfo::resolve(dsn, &SystemEnvironment).map_err(|error| errors::to_python(py, &error.into()))?;
    Ok(conninfo.values().map(|(keyword, value)| (keyword, value.to_owned())).collect())
}

/// The table of libpq's keywords: keyword, variable, what becomes of it, what it is for, why it is not honoured.
pub(super) fn libpq_keywords() -> Vec<(&'static str, &'static str, &'static str, &'static str, String)> {
    let row = |keyword: &keywords::Keyword| {
        let (treatment, note) = match keyword.treatment {
            Treatment::Honoured => ("honoured", String::new()),
            Treatment::Ignored(why) => ("ignored", why.to_owned()),
            Treatment::Refused { harmless: [], why } => ("refused", why.to_owned()),
            Treatment::Refused { harmless, why } => {
                ("refused", format!("{why}; harmless, and so accepted: {}", harmless.join(", ")))
            }
        };
        (keyword.name, keyword.variable.unwrap_or_default(), treatment, keyword.about, note)
    };
    KEYWORDS.iter().map(row).collect()
}

/// The table of the keywords of Python drivers and of Django: keyword, whose, why ignoring it is harmless.
pub(super) fn driver_keywords() -> Vec<(&'static str, &'static str, &'static str)> {
    DRIVER_KEYWORDS.iter().map(|keyword| (keyword.name, keyword.owner, keyword.why)).collect()
}
