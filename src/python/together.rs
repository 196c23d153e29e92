//! Runs of the user's own code, as Python calls them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::caller::PythonCaller;
use super::gate::PyGate;
use super::report::{PyReport, PyServer};
use super::session_report::Yield;
use super::{arguments, errors};
use crate::connection::conninfo::{Conninfo, SystemEnvironment};
use crate::connection::{Leash, exhausted};
use crate::engine::caller::Line;
use crate::engine::{Driver, Ending, Gate, Schedule, SessionId, supervise};
use crate::error::Error;
use crate::together::{Given, Route, Start, Together, Told, Turns};

/// Watches runs of callables, one after the other, on one connection of its own.
#[pyclass(name = "Together", module = "django_lockstep._core", frozen)]
pub(super) struct PyTogether {
    together: Mutex<Option<Together>>,
    /// Asked what the threads of this process are at.
    threads: Mutex<Option<Py<PyAny>>>,
}

#[pymethods]
impl PyTogether {
    #[new]
    #[pyo3(signature = (dsn, timeout, *, threads = None))]
    fn new(py: Python<'_>, dsn: &str, timeout: &Bound<'_, PyAny>, threads: Option<Py<PyAny>>) -> PyResult<Self> {
        let timeout = seconds(py, timeout)?;
        let leash = Leash::new(Some(Instant::now() + timeout));
        let mut caller = PythonCaller::new(None, None);
        let opened = py.detach(|| {
            let conninfo = Conninfo::resolve(dsn, &SystemEnvironment)?;
            supervise(&mut caller, &leash, |_| Together::open(conninfo, &leash))
        });
        let together = caller.answer(py, opened)?;
        Ok(Self { together: Mutex::new(Some(together)), threads: Mutex::new(threads) })
    }

    #[getter]
    fn server(&self, py: Python<'_>) -> PyResult<PyServer> {
        let slot = self.together.lock().unwrap_or_else(PoisonError::into_inner);
        let together = slot.as_ref().ok_or_else(|| errors::to_python(py, &closed()))?;
        Ok(together.server().clone().into())
    }

    /// For how many seconds a pooler in front of the server may keep a session's first statement waiting; ``None``: there
    /// is none.
    #[getter]
    fn pooler_patience(&self, py: Python<'_>) -> PyResult<Option<f64>> {
        let slot = self.together.lock().unwrap_or_else(PoisonError::into_inner);
        let together = slot.as_ref().ok_or_else(|| errors::to_python(py, &closed()))?;
        Ok(together.pooler_patience().map(|patience| patience.as_secs_f64()))
    }

    /// Raise what is to be said when it has kept this session waiting for longer: ``sessions`` are wanted, and an observer.
    #[staticmethod]
    fn refuse_small_pool(py: Python<'_>, session: &str, sessions: usize) -> PyResult<()> {
        Err(errors::to_python(py, &exhausted(&format!("session {session}"), sessions + 1)))
    }

    /// The ``deadlock_timeout``s, in seconds, that each session shall set for itself: for a step that is released while
    /// nobody waits, and for any other; ``None``: the server's.
    #[getter]
    fn deadlock_timeouts(&self, py: Python<'_>) -> PyResult<Option<(f64, f64)>> {
        let slot = self.together.lock().unwrap_or_else(PoisonError::into_inner);
        let together = slot.as_ref().ok_or_else(|| errors::to_python(py, &closed()))?;
        Ok(together.deadlock_timeouts().map(|(first, other)| (first.as_secs_f64(), other.as_secs_f64())))
    }

    /// Run one session for each name: ``start(number, gate)`` is called for each, ``stopping()`` when the run is about to be
    /// ended before they have, and ``collect()`` when it is over:
    /// it returns sentences for the report's notes, and what each callable returned and raised.
    #[pyo3(signature = (names, start, stopping, collect, order, timeout, on_event = None))]
    #[expect(
        clippy::too_many_arguments,
        clippy::needless_pass_by_value,
        reason = "they are those of a Python function"
    )]
    fn run(
        &self,
        py: Python<'_>,
        names: Vec<String>,
        start: Py<PyAny>,
        stopping: Py<PyAny>,
        collect: &Bound<'_, PyAny>,
        order: Option<Vec<usize>>,
        timeout: &Bound<'_, PyAny>,
        on_event: Option<Py<PyAny>>,
    ) -> PyResult<PyReport> {
        let timeout = seconds(py, timeout)?;
        let Some(order) = order else {
            let told = self.conduct(py, &names, (&start, stopping), &mut Turns::default(), timeout, on_event)?;
            return completed(told, collect);
        };
        let mut given = Given::new(Route::new(names.clone(), order.into_iter().map(SessionId).collect()));
        let told = self.conduct(py, &names, (&start, stopping), &mut given, timeout, on_event)?;
        if told.ending == Ending::Complete {
            given.end();
        }
        given.trouble().map_or_else(|| completed(told, collect), |trouble| Err(unfollowed(py, trouble)))
    }

    /// End the connection.
    fn close(&self, py: Python<'_>) {
        let together = self.together.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(together));
        // It may well hold us.
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(threads);
    }
}

impl PyTogether {
    /// Runs the sessions under a schedule. The GIL is released.
    fn conduct(
        &self,
        py: Python<'_>,
        names: &[String],
        (start, stopping): (&Py<PyAny>, Py<PyAny>),
        schedule: &mut dyn Schedule,
        timeout: Duration,
        on_event: Option<Py<PyAny>>,
    ) -> PyResult<Told> {
        let conduct = |together: &mut Together, begin: &mut Start<'_>, line: &Line, leash: &Leash| {
            together.run(names, begin, schedule, timeout, line, leash)
        };
        self.lead(py, (start, stopping), timeout, on_event, conduct)
    }

    /// Leads a run on this connection. The GIL is released.
    pub(super) fn lead<T: Send>(
        &self,
        py: Python<'_>,
        (start, stopping): (&Py<PyAny>, Py<PyAny>),
        timeout: Duration,
        on_event: Option<Py<PyAny>>,
        conduct: impl FnOnce(&mut Together, &mut Start<'_>, &Line, &Leash) -> Result<T, Error> + Send,
    ) -> PyResult<T> {
        let threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let threads = threads.as_ref().map(|threads| threads.clone_ref(py));
        let mut caller = PythonCaller::new(None, on_event).telling_of_stop(stopping).watching(threads);
        let mut failure = None;
        let mut begin = |session: SessionId, gate: Gate| {
            Python::attach(|py| start.call1(py, (session.0, PyGate::from(gate)))).map_err(|error| {
                failure = Some(error);
                Error::Halted
            })?;
            Ok(Driver::foreign())
        };
        let leash = Leash::new(Some(Instant::now() + timeout));
        let told = py.detach(|| {
            let mut slot = self.together.lock().unwrap_or_else(PoisonError::into_inner);
            let together = slot.as_mut().ok_or_else(closed)?;
            supervise(&mut caller, &leash, |line| conduct(together, &mut begin, line, &leash))
        });
        match failure {
            Some(failure) => Err(failure),
            None => caller.answer(py, told),
        }
    }
}

/// The report of a run, with what only Python knows of it.
pub(super) fn completed(told: Told, collect: &Bound<'_, PyAny>) -> PyResult<PyReport> {
    let (notes, yields): (Vec<String>, Vec<Yield>) = collect.call0()?.extract()?;
    let mut report = told.report;
    report.notes.extend(notes);
    Ok(PyReport::of_callables(report, yields))
}

/// An order that could not be followed: where, and why.
pub(super) fn unfollowed(py: Python<'_>, trouble: &str) -> PyErr {
    let hint = "Give an order that the sessions can take, or only its beginning: the rest goes on by itself.";
    errors::to_python(py, &Error::usage(trouble, hint))
}

pub(super) fn seconds(py: Python<'_>, given: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let timeout = arguments::seconds("timeout", given).and_then(|seconds| {
        let timeout = Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero());
        // A century is no bound, and the clock cannot be asked for much more.
        timeout.filter(|timeout| timeout.as_secs() < 3_200_000_000).ok_or_else(|| {
            Error::usage(format!("timeout cannot be {seconds}"), "Give timeout as a number of seconds above zero.")
        })
    });
    timeout.map_err(|error| errors::to_python(py, &error))
}

fn closed() -> Error {
    Error::Bug { what: "a run was begun after its observer had been closed".to_owned() }
}
