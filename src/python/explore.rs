//! The search over schedules, as Python leads it.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use super::report::PyReport;
use super::together::{PyTogether, completed, seconds, unfollowed};
use crate::engine::{Ending, SessionId};
use crate::explore::{Execution, Limits, Mode, Order, Search};
use crate::together::{Explorer, Lore, Route, Strayed};

/// What one schedule came to, besides its report.
#[pyclass(name = "Ran", module = "django_lockstep._core", frozen)]
pub(super) struct PyRan {
    #[pyo3(get)]
    report: Py<PyReport>,
    way: Way,
    /// The same to its end.
    whole: Way,
    /// The sessions one after the other, if that is what it was.
    #[pyo3(get)]
    serial: Option<Vec<usize>>,
    /// The tables and sequences that were written, if that is known.
    #[pyo3(get)]
    written: Option<Vec<String>>,
    /// The server has let in somebody out of turn: the run is no part of the search, and the same schedule comes next.
    #[pyo3(get)]
    again: bool,
    /// It was the first schedule once more, and is no part of the search: its way was compared, and that is all.
    #[pyo3(get)]
    repeat: bool,
    /// Session, its own step, and the statement there before and now.
    #[pyo3(get)]
    diverged: Option<(usize, usize, Option<String>, Option<String>)>,
    /// The server has done so every time: who was overtaken, by whom, and in how many runs of the schedule.
    #[pyo3(get)]
    overtaken: Option<(usize, Option<usize>, usize)>,
}

#[pymethods]
impl PyRan {
    /// The simplest equivalent order, up to the first failure if there was one.
    #[getter]
    fn order(&self) -> Vec<usize> {
        self.way.order.sessions.clone()
    }

    /// Whether the run itself has begun in that order.
    #[getter]
    fn literal(&self) -> bool {
        self.way.literal
    }

    #[getter]
    fn preemptions(&self) -> usize {
        self.way.order.preemptions
    }

    /// The same, its order to the end: what has come of it may have been decided after a failure.
    fn whole(&self, py: Python<'_>) -> Self {
        Self {
            report: self.report.clone_ref(py),
            way: self.whole.clone(),
            whole: self.whole.clone(),
            serial: self.serial.clone(),
            written: self.written.clone(),
            diverged: self.diverged.clone(),
            ..*self
        }
    }
}

/// A simplest equivalent order.
#[derive(Clone, Default)]
struct Way {
    order: Order,
    /// Whether the run itself has begun in that order.
    literal: bool,
}

impl Way {
    fn of(execution: &Execution, last: Option<usize>) -> Self {
        let order = execution.simplest(last);
        let literal = execution.choices.starts_with(&order.sessions);
        Self { order, literal }
    }
}

/// What is known of the tables: pairs that deferrable foreign keys tie together, functions and tables whose triggers do what no
/// lock tells, and sequences.
type Told = (Vec<(String, String)>, HashSet<String>, HashSet<String>, HashSet<String>);

/// A search over the schedules of some sessions.
#[pyclass(name = "Search", module = "django_lockstep._core", frozen)]
pub(super) struct PySearch {
    names: Vec<String>,
    /// The one order that is run, if it must be followed to its end.
    order: Option<Vec<usize>>,
    search: Mutex<(Search, Lore)>,
}

#[pymethods]
impl PySearch {
    #[new]
    #[pyo3(signature = (names, lore, *, preemptions, seed, depth, only, strict, reduced, max_schedules, max_seconds, like = None))]
    #[expect(clippy::too_many_arguments, reason = "they are those of a Python function")]
    fn new(
        names: Vec<String>,
        lore: Told,
        preemptions: Option<usize>,
        seed: Option<u64>,
        depth: usize,
        only: Option<Vec<usize>>,
        strict: bool,
        reduced: bool,
        max_schedules: Option<usize>,
        max_seconds: Option<f64>,
        like: Option<&Self>,
    ) -> Self {
        let order = only.clone().filter(|_| strict);
        let (deferred, functions, guarded, sequences) = lore;
        let mode = match (only, seed, preemptions) {
            (Some(order), _, _) => Mode::Only(order),
            (_, Some(seed), _) => Mode::Random { seed, depth },
            (_, _, Some(bound)) => Mode::Preemptions(bound),
            _ if reduced => Mode::All,
            _ => Mode::Unreduced,
        };
        let time = max_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let once = matches!(mode, Mode::Only(_) | Mode::Random { .. });
        let search = Search::new(names.len(), mode, Limits { schedules: max_schedules, time });
        let search = if once { search } else { search.repeating() };
        let search = match like {
            Some(other) => search.remembering(&other.search.lock().unwrap_or_else(PoisonError::into_inner).0),
            None => search,
        };
        Self { names, order, search: Mutex::new((search, Lore::new(deferred, functions, guarded, sequences))) }
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
        let entries = |order: &Vec<usize>| order.iter().copied().map(SessionId).collect();
        let route = self.order.as_ref().map(|order| Route::new(self.names.clone(), entries(order)));
        let (told, ended) = together.lead(py, (&start, stopping), timeout, None, |together, start, line, leash| {
            let mut both = self.search.lock().unwrap_or_else(PoisonError::into_inner);
            let (search, lore) = &mut *both;
            let mut explorer = Explorer::new(search, lore, self.names.len(), together.pause()).following(route);
            let told = together.search(&self.names, start, &mut explorer, timeout, line, leash)?;
            if let Some(trouble) = explorer.trouble(told.ending == Ending::Complete) {
                return Ok((told, Ended { trouble: Some(trouble.to_owned()), ..Ended::default() }));
            }
            explorer.finish(&told.report.sessions);
            let (failure, strayed) = (explorer.first_failure(), explorer.take_strayed());
            let written = explorer.written();
            let mut ended = Ended { written, ..Ended::default() };
            match strayed {
                None => {
                    let execution = search.end();
                    ended.repeat = execution.repeat;
                    ended.way = Way::of(&execution, failure);
                    ended.whole = failure.map_or_else(|| ended.way.clone(), |_| Way::of(&execution, None));
                    ended.serial = execution.serial_order();
                }
                Some(strayed) => ended.stray(strayed, search),
            }
            Ok((told, ended))
        })?;
        if let Some(trouble) = &ended.trouble {
            return Err(unfollowed(py, trouble));
        }
        Ok(PyRan {
            report: Py::new(py, completed(told, collect)?)?,
            way: ended.way,
            whole: ended.whole,
            serial: ended.serial,
            written: ended.written,
            again: ended.again,
            repeat: ended.repeat,
            diverged: ended.diverged,
            overtaken: ended.overtaken,
        })
    }

    /// Schedules run, of these equivalent to an earlier one, steps released, and runs that were begun again.
    #[getter]
    fn statistics(&self) -> (usize, usize, usize, usize) {
        let statistics = self.search.lock().unwrap_or_else(PoisonError::into_inner).0.statistics();
        (statistics.schedules, statistics.redundant, statistics.steps, statistics.again)
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
#[derive(Default)]
struct Ended {
    /// Where the order that must be followed could not be, and why.
    trouble: Option<String>,
    way: Way,
    whole: Way,
    serial: Option<Vec<usize>>,
    written: Option<Vec<String>>,
    again: bool,
    repeat: bool,
    diverged: Option<(usize, usize, Option<String>, Option<String>)>,
    overtaken: Option<(usize, Option<usize>, usize)>,
}

impl Ended {
    /// It did not: it left its way.
    fn stray(&mut self, strayed: Strayed, search: &mut Search) {
        let of_the_code = strayed.is_of_the_code();
        let overtaken = match &strayed {
            Strayed::Overtaken(overtaken) => Some(*overtaken),
            Strayed::Diverged(_) => None,
        };
        self.again = !of_the_code && search.again(overtaken);
        if self.again {
            return;
        }
        match strayed {
            Strayed::Diverged(diverged) if of_the_code => {
                self.diverged = Some((diverged.session, diverged.step, diverged.before, diverged.now));
            }
            Strayed::Diverged(diverged) => self.overtaken = Some((diverged.session, None, search.attempts())),
            Strayed::Overtaken(overtaken) => {
                self.overtaken = Some((overtaken.session.0, Some(overtaken.by.0), search.attempts()));
            }
        }
    }
}
