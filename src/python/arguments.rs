//! Python arguments, read with errors that teach.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyString};

use super::errors::to_python;
use crate::error::Error;
use crate::simulate::options::setting;

/// The ids of rows: any iterable of integers, but neither a string nor booleans. What the iterable itself raises is
/// the outer error.
pub(super) fn rows(given: Option<&Bound<'_, PyAny>>) -> PyResult<Result<Option<Vec<i64>>, Error>> {
    let Some(given) = given else { return Ok(Ok(None)) };
    if given.is_instance_of::<PyString>() || given.is_instance_of::<PyBytes>() {
        return Ok(Err(not_ids(given)));
    }
    let Ok(items) = given.try_iter() else { return Ok(Err(not_ids(given))) };
    let items: Vec<Bound<'_, PyAny>> = items.collect::<PyResult<_>>()?;
    Ok(items.iter().map(id).collect::<Result<_, _>>().map(Some))
}

fn id(item: &Bound<'_, PyAny>) -> Result<i64, Error> {
    match item.extract::<i64>() {
        Ok(id) if !item.is_instance_of::<PyBool>() => Ok(id),
        _ => Err(Error::usage(
            format!("{} is not the id of a row", shown(item)),
            "Rows are named by integers that fit a bigint, for example rows=(1, 2).",
        )),
    }
}

fn not_ids(given: &Bound<'_, PyAny>) -> Error {
    Error::usage(
        format!("rows must be integers, not {}", shown(given)),
        "Give a sequence of ids, for example rows=(1, 2).",
    )
}

/// The numbers of permutations: any iterable of integers from 1. What the iterable itself raises is the outer error.
pub(super) fn numbers(given: &Bound<'_, PyAny>) -> PyResult<Result<Vec<usize>, Error>> {
    let wrong = || Error::usage(format!("permutations cannot be {}", shown(given)), "Give their numbers, from 1.");
    if given.is_instance_of::<PyString>() {
        return Ok(Err(wrong()));
    }
    let Ok(items) = given.try_iter() else { return Ok(Err(wrong())) };
    let items: Vec<Bound<'_, PyAny>> = items.collect::<PyResult<_>>()?;
    Ok(items.iter().map(|item| item.extract::<usize>().map_err(|_| wrong())).collect())
}

/// A number of seconds.
pub(super) fn seconds(name: &str, given: &Bound<'_, PyAny>) -> Result<f64, Error> {
    match given.extract::<f64>() {
        Ok(seconds) if !given.is_instance_of::<PyBool>() => Ok(seconds),
        _ => Err(Error::usage(
            format!("{name} cannot be {}", shown(given)),
            format!("Give {name} as a number of seconds."),
        )),
    }
}

/// A number of seconds above zero.
pub(super) fn duration(name: &str, given: &Bound<'_, PyAny>) -> Result<Duration, Error> {
    // A century is no bound, and the clock cannot be asked for much more.
    const CENTURY: f64 = 3.2e9;
    let seconds = seconds(name, given)?;
    let refused = || {
        Error::usage(format!("{name} cannot be {seconds}"), format!("Give {name} as a number of seconds above zero."))
    };
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| refused())?;
    if duration.is_zero() || seconds > CENTURY { Err(refused()) } else { Ok(duration) }
}

/// A time as a setting of PostgreSQL takes it.
#[pyfunction]
pub(super) fn milliseconds(py: Python<'_>, name: &str, seconds: &Bound<'_, PyAny>) -> PyResult<u128> {
    let checked = self::seconds(name, seconds).and_then(|seconds| setting(name, Some(seconds)));
    let duration = checked.map_err(|error| to_python(py, &error))?.unwrap_or_default();
    Ok(duration.as_millis().max(1))
}

/// A number of seconds, or None.
pub(super) fn optional_seconds(name: &str, given: Option<&Bound<'_, PyAny>>) -> Result<Option<f64>, Error> {
    given.map(|given| seconds(name, given)).transpose()
}

/// How many sessions.
pub(super) fn sessions(given: &Bound<'_, PyAny>) -> Result<usize, Error> {
    match given.extract::<i64>() {
        Ok(count) if !given.is_instance_of::<PyBool>() => Ok(usize::try_from(count).unwrap_or_default()),
        _ => Err(Error::usage(format!("sessions cannot be {}", shown(given)), "Give a whole number, 2 or more.")),
    }
}

/// A text.
pub(super) fn text(name: &str, given: &Bound<'_, PyAny>) -> Result<String, Error> {
    given.extract().map_err(|_| Error::usage(format!("{name} must be a string"), format!("Give {name} as a str.")))
}

fn shown(given: &Bound<'_, PyAny>) -> String {
    let text = given.repr().map_or_else(|_| "that".to_owned(), |repr| repr.to_string());
    text.chars().take(80).collect()
}
