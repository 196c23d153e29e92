//! `simulate_deadlock`, as Python calls it.

use pyo3::prelude::*;

use super::caller::PythonCaller;
use super::report::PyReport;
use super::{arguments, errors};
use crate::connection::conninfo::{Conninfo, SystemEnvironment};
use crate::error::Error;
use crate::simulate::{Options, simulate_deadlock as run};

/// Make a real deadlock on the server that ``dsn`` names, and say why it happened. The stub documents the arguments.
#[pyfunction]
#[pyo3(
    signature = (
        dsn, rows = None, sleep = None, *, sessions = None, table = None, key = None, lock = None, isolation = None,
        victim = None, deadlock_timeout = None, lock_timeout = None, statement_timeout = None, timeout = None,
        note_locks = true, on_start = None, on_event = None
    ),
    text_signature = "(dsn, rows=(1, 2), sleep=0.0, *, sessions=2, table=None, key='id', lock='update', \
                      isolation='read committed', victim=None, deadlock_timeout=None, lock_timeout=None, \
                      statement_timeout=None, timeout=30.0, note_locks=True, on_start=None, \
                      on_event=None)"
)]
#[expect(clippy::too_many_arguments, reason = "they are the documented keywords of the Python function")]
pub(super) fn simulate_deadlock(
    py: Python<'_>,
    dsn: &Bound<'_, PyAny>,
    rows: Option<&Bound<'_, PyAny>>,
    sleep: Option<&Bound<'_, PyAny>>,
    sessions: Option<&Bound<'_, PyAny>>,
    table: Option<&Bound<'_, PyAny>>,
    key: Option<&Bound<'_, PyAny>>,
    lock: Option<&Bound<'_, PyAny>>,
    isolation: Option<&Bound<'_, PyAny>>,
    victim: Option<&Bound<'_, PyAny>>,
    deadlock_timeout: Option<&Bound<'_, PyAny>>,
    lock_timeout: Option<&Bound<'_, PyAny>>,
    statement_timeout: Option<&Bound<'_, PyAny>>,
    timeout: Option<&Bound<'_, PyAny>>,
    note_locks: bool,
    on_start: Option<Py<PyAny>>,
    on_event: Option<Py<PyAny>>,
) -> PyResult<PyReport> {
    let given = Given {
        rows,
        sleep,
        sessions,
        table,
        key,
        lock,
        isolation,
        victim,
        deadlock_timeout,
        lock_timeout,
        statement_timeout,
        timeout,
    };
    let options = Options { note_locks, ..given.read(py)? };
    let conninfo = conninfo(dsn).map_err(|error| errors::to_python(py, &error))?;
    let mut caller = PythonCaller::new(on_start, on_event);
    let result = py.detach(|| run(conninfo, &options, &mut caller));
    caller.answer(py, result.map(PyReport::from))
}

/// The arguments that say what is run, as they were given.
pub(super) struct Given<'a, 'py> {
    pub(super) rows: Option<&'a Bound<'py, PyAny>>,
    pub(super) sleep: Option<&'a Bound<'py, PyAny>>,
    pub(super) sessions: Option<&'a Bound<'py, PyAny>>,
    pub(super) table: Option<&'a Bound<'py, PyAny>>,
    pub(super) key: Option<&'a Bound<'py, PyAny>>,
    pub(super) lock: Option<&'a Bound<'py, PyAny>>,
    pub(super) isolation: Option<&'a Bound<'py, PyAny>>,
    pub(super) victim: Option<&'a Bound<'py, PyAny>>,
    pub(super) deadlock_timeout: Option<&'a Bound<'py, PyAny>>,
    pub(super) lock_timeout: Option<&'a Bound<'py, PyAny>>,
    pub(super) statement_timeout: Option<&'a Bound<'py, PyAny>>,
    pub(super) timeout: Option<&'a Bound<'py, PyAny>>,
}

impl Given<'_, '_> {
    /// The options; what was not given is as the stub documents it.
    pub(super) fn read(&self, py: Python<'_>) -> PyResult<Options> {
        let rows = arguments::rows(self.rows)?;
        self.options(rows).map_err(|error| errors::to_python(py, &error))
    }

    fn options(&self, rows: Result<Option<Vec<i64>>, Error>) -> Result<Options, Error> {
        let default = Options::default();
        let text = |name, given: Option<&Bound<'_, PyAny>>| given.map(|given| arguments::text(name, given)).transpose();
        Ok(Options {
            rows: rows?,
            sleep: arguments::optional_seconds("sleep", self.sleep)?.unwrap_or(default.sleep),
            sessions: self.sessions.map(arguments::sessions).transpose()?.unwrap_or(default.sessions),
            table: text("table", self.table)?,
            key: text("key", self.key)?.unwrap_or(default.key),
            lock: text("lock", self.lock)?.unwrap_or(default.lock),
            isolation: text("isolation", self.isolation)?.unwrap_or(default.isolation),
            victim: text("victim", self.victim)?,
            deadlock_timeout: arguments::optional_seconds("deadlock_timeout", self.deadlock_timeout)?,
            lock_timeout: arguments::optional_seconds("lock_timeout", self.lock_timeout)?,
            statement_timeout: arguments::optional_seconds("statement_timeout", self.statement_timeout)?,
            timeout: arguments::optional_seconds("timeout", self.timeout)?.unwrap_or(default.timeout),
            note_locks: default.note_locks,
        })
    }
}

/// Where it is run.
pub(super) fn conninfo(dsn: &Bound<'_, PyAny>) -> Result<Conninfo, Error> {
    Ok(Conninfo::resolve(&arguments::text("dsn", dsn)?, &SystemEnvironment)?)
}
