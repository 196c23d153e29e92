//! `_repeat_deadlock`: many runs, for `deadlock_test --repeat`.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::caller::PythonCaller;
use super::errors;
use super::simulate::{Given, conninfo};
use crate::simulate::{Options, repeat_deadlock as run};

/// The keywords of `simulate_deadlock` that say what is run.
const KEYWORDS: [&str; 12] = [
    "rows",
    "sleep",
    "sessions",
    "table",
    "key",
    "lock",
    "isolation",
    "victim",
    "deadlock_timeout",
    "lock_timeout",
    "statement_timeout",
    "timeout",
];

/// Run ``simulate_deadlock(dsn, **options)`` many times. The stub documents the arguments.
#[pyfunction]
#[pyo3(name = "_repeat_deadlock", signature = (dsn, times, *, jobs = 1, on_report, on_start = None, **options))]
pub(super) fn repeat_deadlock(
    py: Python<'_>,
    dsn: &Bound<'_, PyAny>,
    times: usize,
    jobs: usize,
    on_report: Py<PyAny>,
    on_start: Option<Py<PyAny>>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<()> {
    let options = read(py, options)?;
    let conninfo = conninfo(dsn).map_err(|error| errors::to_python(py, &error))?;
    let mut caller = PythonCaller::of_many(on_start, on_report);
    let result = py.detach(|| run(conninfo, &options, times, jobs, &mut caller));
    caller.answer(py, result)
}

fn read(py: Python<'_>, options: Option<&Bound<'_, PyDict>>) -> PyResult<Options> {
    let mut values: [Option<Bound<'_, PyAny>>; 12] = Default::default();
    for (keyword, value) in options.into_iter().flatten() {
        let keyword: String = keyword.extract()?;
        let Some(place) = KEYWORDS.iter().position(|known| *known == keyword) else {
            return Err(PyTypeError::new_err(format!("_repeat_deadlock() has no keyword {keyword}")));
        };
        values[place] = Some(value).filter(|value| !value.is_none());
    }
    let [rows, sleep, sessions, table, key, lock, isolation, victim, times @ ..] = &values;
    let [deadlock_timeout, lock_timeout, statement_timeout, timeout] = times;
    let given = Given {
        rows: rows.as_ref(),
        sleep: sleep.as_ref(),
        sessions: sessions.as_ref(),
        table: table.as_ref(),
        key: key.as_ref(),
        lock: lock.as_ref(),
        isolation: isolation.as_ref(),
        victim: victim.as_ref(),
        deadlock_timeout: deadlock_timeout.as_ref(),
        lock_timeout: lock_timeout.as_ref(),
        statement_timeout: statement_timeout.as_ref(),
        timeout: timeout.as_ref(),
    };
    Ok(Options { note_locks: false, ..given.read(py)? })
}
