//! The search over schedules, as Python leads it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use super::report::PyReport;
use super::together::{PyTogether, completed, seconds};
use crate::explore::{Diverged, Execution, Limits, Mode, Search};
use crate::report::{SessionReport, Statement};
use crate::together::{Explorer, Lore};

/// What one schedule came to, besides its report.
#[pyclass(name = "Ran", module = "django_lockstep._core", frozen, get_all)]
pub(super) struct PyRan {
    report: Py<PyReport>,
    /// The simplest equivalent order, up to the first failure if there was one.
    order: Vec<usize>,
    preemptions: usize,
    /// The sessions one after the other, if that is what it was.
    serial: Option<Vec<usize>>,
    /// The tables and sequences that were written, if that is known.
    written: Option<Vec<String>>,
    /// Session, its own step, and the statement there before and now.
    diverged: Option<(usize, usize, Option<String>, Option<String>)>,
}

/// A search over the schedules of some sessions.
#[pyclass(name = "Search", module = "django_lockstep._core", frozen)]
pub(super) struct PySearch {
    names: Vec<String>,
    search: Mutex<(Search, Lore)>,
}

#[pymethods]
impl PySearch {
    #[new]
    #[pyo3(signature = (names, deferred, *, preemptions, seed, depth, only, reduced, max_schedules, max_seconds))]
    #[expect(clippy::too_many_arguments, reason = "they are those of a Python function")]
    fn new(
        names: Vec<String>,
        deferred: Vec<(String, String)>,
        preemptions: Option<usize>,
        seed: Option<u64>,
        depth: usize,
        only: Option<Vec<usize>>,
        reduced: bool,
        max_schedules: Option<usize>,
        max_seconds: Option<f64>,
    ) -> Self {
        let mode = match (only, seed, preemptions) {
            (Some(order), _, _) => Mode::Only(order),
            (_, Some(seed), _) => Mode::Random { seed, depth },
            (_, _, Some(bound)) => Mode::Preemptions(bound),
            _ if reduced => Mode::All,
            _ => Mode::Unreduced,
        };
        let time = max_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let search = Search::new(names.len(), mode, Limits { schedules: max_schedules, time });
        Self { names, search: Mutex::new((search, Lore::new(deferred))) }
    }

    /// Whether another schedule is to be run; ``run`` must follow.
    fn begin(&self) -> bool {
        self.search.lock().unwrap_or_else(PoisonError::into_inner).0.begin()
    }

    /// Run the schedule that has begun; ``start``, ``stopping`` and ``collect`` as for ``Together.run``.
    #[expect(clippy::needless_pass_by_value, reason = "they are those of a Python function")]
    fn run(
        &self,
        py: Python<'_>,
        together: &PyTogether,
        start: Py<PyAny>,
        stopping: Py<PyAny>,
        collect: &Bound<'_, PyAny>,
        timeout: &Bound<'_, PyAny>,
    ) -> PyResult<PyRan> {
        let timeout = seconds(py, timeout)?;
        let (told, ended) = together.lead(py, (&start, stopping), timeout, None, |together, start, line, leash| {
            let mut both = self.search.lock().unwrap_or_else(PoisonError::into_inner);
            let (search, lore) = &mut *both;
            let mut explorer = Explorer::new(search, lore, self.names.len(), together.pause());
            let told = together.search(&self.names, start, &mut explorer, timeout, line, leash)?;
            let refused = |session: &SessionReport| session.statements.last().is_some_and(is_refused);
            explorer.finish(&told.report.sessions.iter().map(refused).collect::<Vec<_>>());
            let (failure, diverged) = (explorer.first_failure(), explorer.take_diverged());
            let written = explorer.written();
            Ok((told, Ended { execution: search.end(), failure, diverged, written }))
        })?;
        let Ended { execution, failure, diverged, written } = ended;
        let simplest = execution.simplest(failure);
        Ok(PyRan {
            report: Py::new(py, completed(told, collect)?)?,
            order: simplest.sessions,
            preemptions: simplest.preemptions,
            serial: execution.serial_order(),
            written,
            diverged: diverged.map(|diverged| (diverged.session, diverged.step, diverged.before, diverged.now)),
        })
    }

    /// Schedules run, of these equivalent to an earlier one, and steps released.
    #[getter]
    fn statistics(&self) -> (usize, usize, usize) {
        let statistics = self.search.lock().unwrap_or_else(PoisonError::into_inner).0.statistics();
        (statistics.schedules, statistics.redundant, statistics.steps)
    }

    /// Whether every inequivalent schedule was run.
    #[getter]
    fn complete(&self) -> bool {
        self.search.lock().unwrap_or_else(PoisonError::into_inner).0.is_complete()
    }

    /// Whether there is nothing left to run.
    #[getter]
    fn exhausted(&self) -> bool {
        self.search.lock().unwrap_or_else(PoisonError::into_inner).0.is_exhausted()
    }
}

/// How a schedule came to its end.
struct Ended {
    execution: Execution,
    failure: Option<usize>,
    diverged: Option<Diverged>,
    written: Option<Vec<String>>,
}

fn is_refused(statement: &Statement) -> bool {
    statement.sqlstate.is_some() || statement.finished.is_none()
}
