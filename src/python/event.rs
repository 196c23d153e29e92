//! `Event`.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::report::Event;

/// One thing that happened. Frozen.
#[pyclass(name = "Event", module = "django_lockstep", frozen, eq)]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PyEvent(Event);

impl PyEvent {
    pub(super) fn as_event(&self) -> &Event {
        &self.0
    }
}

impl From<Event> for PyEvent {
    fn from(event: Event) -> Self {
        Self(event)
    }
}

#[pymethods]
impl PyEvent {
    #[getter]
    fn at(&self) -> f64 {
        self.0.at
    }
    #[getter]
    fn session(&self) -> &str {
        &self.0.session
    }
    #[getter]
    fn backend_pid(&self) -> Option<i32> {
        self.0.backend_pid
    }
    #[getter]
    fn kind(&self) -> &'static str {
        self.0.kind.as_str()
    }
    #[getter]
    fn step(&self) -> &str {
        &self.0.step
    }
    #[getter]
    fn statement(&self) -> Option<&str> {
        self.0.statement.as_deref()
    }
    #[getter]
    fn blocked_by<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.blocked_by)
    }
    #[getter]
    fn lock(&self) -> Option<&str> {
        self.0.lock.as_deref()
    }
    #[getter]
    fn sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }
    #[getter]
    fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }
    #[getter]
    fn rows(&self) -> Option<u64> {
        self.0.rows
    }
    #[getter]
    fn source(&self) -> Option<&str> {
        self.0.source.as_deref()
    }
    /// The event as one line; `None` if it is not told at this verbosity.
    #[pyo3(signature = (verbosity = 1))]
    fn to_text(&self, verbosity: u8) -> Option<String> {
        self.0.to_text(verbosity)
    }
    fn __repr__(&self) -> String {
        format!("<Event {:.3} {} {} {}>", self.0.at, self.0.session, self.0.kind, self.0.step)
    }
}
