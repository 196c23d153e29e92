//! `Outcomes`: what schedules leave, compared with what the serial orders leave.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

use crate::explore::Outcomes;
use crate::explore::outcome::{Held, Reference, Table};

/// A table as Python has it: its name, its columns, the places of its key's.
type Described = (String, Vec<(String, bool)>, Vec<usize>);

/// The outcomes of a search. The stub documents the arguments.
#[pyclass(name = "Outcomes", module = "django_lockstep._core", frozen)]
pub(super) struct PyOutcomes(Mutex<Outcomes>);

impl PyOutcomes {
    fn known(&self) -> MutexGuard<'_, Outcomes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl PyOutcomes {
    #[new]
    #[expect(clippy::needless_pass_by_value, reason = "what comes from Python is the function's own")]
    fn new(sessions: Vec<String>, tables: Vec<Described>, references: Vec<Reference>, start: Vec<Held>) -> Self {
        let tables = tables.into_iter().map(|(name, columns, key)| Table { name, columns, key }).collect();
        Self(Mutex::new(Outcomes::new(sessions, tables, &references, start)))
    }

    #[expect(clippy::needless_pass_by_value, reason = "what comes from Python is the function's own")]
    fn started_again(&self, start: Vec<Held>) {
        self.known().started_again(&start);
    }

    fn add(&self, held: Vec<Held>, raised: Vec<Option<String>>) -> usize {
        self.known().add(held, raised)
    }

    fn repeated(&self, first: usize, second: usize) -> bool {
        self.known().repeated(first, second)
    }

    #[expect(clippy::needless_pass_by_value, reason = "what comes from Python is the function's own")]
    fn lost(&self, py: Python<'_>, serial: Vec<usize>, outcomes: Vec<usize>) -> Vec<(Vec<usize>, String)> {
        py.detach(|| self.known().lost(&serial, &outcomes))
            .into_iter()
            .map(|lost| (lost.outcomes, lost.about))
            .collect()
    }
}
