//! The search over schedules, as Python leads it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use super::report::PyReport;
use super::together::{PyTogether, completed, seconds};
use crate::explore::{Limits, Mode, Search};
use crate::together::Explorer;

/// What one schedule came to, besides its report.
#[pyclass(name = "Ran", module = "django_lockstep._core", frozen, get_all)]
pub(super) struct PyRan {
    report: Py<PyReport>,
    /// The simplest equivalent order, up to the first failure if there was one.
    order: Vec<usize>,
    preemptions: usize,
    /// The sessions one after the other, if that is what it was.
    serial: Option<Vec<usize>>,
    /// Session, its own step, and the statement there before and now.
    diverged: Option<(usize, usize, Option<String>, Option<String>)>,
}

/// A search over the schedules of some sessions.
#[pyclass(name = "Search", module = "django_lockstep._core", frozen)]
pub(super) struct PySearch {
    names: Vec<String>,
    deferred: Vec<(String, String)>,
    read_committed: bool,
    search: Mutex<Search>,
}

#[pymethods]
impl PySearch {
    #[new]
    #[pyo3(signature = (names, deferred, *, read_committed, preemptions, seed, depth, only, reduced, max_schedules, max_seconds))]
    #[expect(clippy::too_many_arguments, reason = "they are those of a Python function")]
    fn new(
        names: Vec<String>,
        deferred: Vec<(String, String)>,
        read_committed: bool,
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
        Self { names, deferred, read_committed, search: Mutex::new(search) }
    }

    /// Whether another schedule is to be run; ``run`` must follow.
    fn begin(&self) -> bool {
        self.search.lock().unwrap_or_else(PoisonError::into_inner).begin()
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
        let mut search = self.search.lock().unwrap_or_else(PoisonError::into_inner);
        let mut explorer = Explorer::new(&mut search, self.names.len(), &self.deferred, self.read_committed);
        let told = together.conduct(py, &self.names, (&start, stopping), &mut explorer, timeout, None)?;
        explorer.finish();
        let (failure, diverged) = (explorer.first_failure(), explorer.take_diverged());
        let execution = search.end();
        let simplest = execution.simplest(failure);
        Ok(PyRan {
            report: Py::new(py, completed(told, collect)?)?,
            order: simplest.sessions,
            preemptions: simplest.preemptions,
            serial: execution.serial_order(),
            diverged: diverged.map(|diverged| (diverged.session, diverged.step, diverged.before, diverged.now)),
        })
    }

    /// Schedules run, of these equivalent to an earlier one, and steps released.
    #[getter]
    fn statistics(&self) -> (usize, usize, usize) {
        let statistics = self.search.lock().unwrap_or_else(PoisonError::into_inner).statistics();
        (statistics.schedules, statistics.redundant, statistics.steps)
    }

    /// Whether every inequivalent schedule was run.
    #[getter]
    fn complete(&self) -> bool {
        self.search.lock().unwrap_or_else(PoisonError::into_inner).is_complete()
    }
}
