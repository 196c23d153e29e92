//! A DSN out of what Django would pass to its driver.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors;
use crate::connection::conninfo::{keywords, pair};
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
