//! `Timeline`.

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::event::PyEvent;
use crate::report::{Timeline, WIDTH};
use crate::scenario::names::name_of;

/// Draws events as they come: a column a session, time downwards.
#[pyclass(name = "Timeline", module = "django_lockstep")]
#[derive(Debug)]
pub(super) struct PyTimeline(Timeline);

#[pymethods]
impl PyTimeline {
    #[new]
    #[pyo3(signature = (sessions, verbosity = 1, width = WIDTH), text_signature = "(sessions, verbosity=1, width=100)")]
    fn new(sessions: &Bound<'_, PyAny>, verbosity: u8, width: usize) -> PyResult<Self> {
        let names = match sessions.extract::<usize>() {
            Ok(count) => (0..count).map(name_of).collect(),
            Err(_) if sessions.is_instance_of::<PyString>() => vec![sessions.extract()?],
            Err(_) => sessions.try_iter()?.map(|name| name?.extract::<String>()).collect::<PyResult<_>>()?,
        };
        Ok(Self(Timeline::new(names, verbosity, width)))
    }

    /// The names above the columns.
    fn heading(&self) -> String {
        self.0.heading()
    }

    /// The lines that an event adds, each as what stands before what was just told, that, and what stands after it.
    fn lines(&mut self, event: &PyEvent) -> Vec<(String, String, String)> {
        let lines = self.0.lines(event.as_event()).into_iter();
        lines.map(|line| (line.before, line.told, line.after)).collect()
    }
}
