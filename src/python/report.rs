//! `Report` and `Server`.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::event::PyEvent;
use super::session_report::{PySessionReport, Yield};
use crate::report::{Report, Server, WIDTH};

/// The server that a run took place on. Frozen.
#[pyclass(name = "Server", module = "django_lockstep", frozen, eq)]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PyServer(Server);

impl From<Server> for PyServer {
    fn from(server: Server) -> Self {
        Self(server)
    }
}

#[pymethods]
impl PyServer {
    #[getter]
    fn version(&self) -> &str {
        &self.0.version
    }
    #[getter]
    fn version_num(&self) -> i32 {
        self.0.version_num
    }
    #[getter]
    fn database(&self) -> &str {
        &self.0.database
    }
    #[getter]
    fn role(&self) -> &str {
        &self.0.role
    }
    #[getter]
    fn deadlock_timeout(&self) -> f64 {
        self.0.deadlock_timeout
    }
    #[getter]
    fn may_set_deadlock_timeout(&self) -> bool {
        self.0.may_set_deadlock_timeout
    }
    fn __str__(&self) -> String {
        self.0.to_string()
    }
    fn __repr__(&self) -> String {
        format!("<Server PostgreSQL {} database {:?}>", self.0.version, self.0.database)
    }
}

/// What happened in one run. Frozen.
#[pyclass(name = "Report", module = "django_lockstep", frozen, eq)]
pub(super) struct PyReport(Report, Vec<Yield>);

impl PyReport {
    pub(super) fn as_report(&self) -> &Report {
        &self.0
    }
}

impl From<Report> for PyReport {
    fn from(report: Report) -> Self {
        Self(report, Vec::new())
    }
}

impl PyReport {
    /// The report of a run of callables, with what each of them returned or raised.
    pub(super) fn of_callables(report: Report, yields: Vec<Yield>) -> Self {
        Self(report, yields)
    }
}

// What callables return need not be comparable.
impl PartialEq for PyReport {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

#[pymethods]
impl PyReport {
    #[getter]
    fn outcome(&self) -> &'static str {
        self.0.outcome.as_str()
    }
    #[getter]
    fn deadlocked(&self) -> bool {
        self.0.deadlocked()
    }
    #[getter]
    fn hidden_deadlock(&self) -> bool {
        self.0.hidden_deadlock
    }
    #[getter]
    fn victims<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.victims)
    }
    #[getter]
    fn cycle<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.cycle)
    }
    #[getter]
    fn sessions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let sessions = self.0.sessions.iter().enumerate();
        PyTuple::new(
            py,
            sessions.map(|(index, session)| match self.1.get(index) {
                Some(made) => PySessionReport::of_callable(session.clone(), made.clone_ref(py)),
                None => session.clone().into(),
            }),
        )
    }
    #[getter]
    fn events<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.events.iter().cloned().map(PyEvent::from))
    }
    #[getter]
    fn elapsed(&self) -> f64 {
        self.0.elapsed
    }
    #[getter]
    fn explanation(&self) -> &str {
        &self.0.explanation
    }
    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.notes)
    }
    #[getter]
    fn server(&self) -> PyServer {
        PyServer(self.0.server.clone())
    }
    #[getter]
    fn told_cycle(&self) -> String {
        self.0.told_cycle()
    }
    #[getter]
    fn verdict(&self) -> String {
        self.0.verdict()
    }

    /// Everything as plain dicts, lists, strings and numbers.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.call_method1("loads", (self.0.to_json(),))
    }

    /// The same as a JSON text.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// The report as plain text.
    #[pyo3(signature = (verbosity = 1, width = WIDTH), text_signature = "($self, verbosity=1, width=100)")]
    fn to_text(&self, verbosity: u8, width: usize) -> String {
        self.0.to_text_within(verbosity, width)
    }

    /// The report as a Mermaid sequence diagram.
    fn to_mermaid(&self) -> String {
        self.0.to_mermaid()
    }

    /// The report as one self-contained HTML document.
    fn to_html(&self) -> String {
        self.0.to_html()
    }

    /// The first line of the text: where the run took place.
    fn heading(&self) -> String {
        self.0.heading()
    }

    /// The last part of the text: the verdict, and why.
    #[pyo3(signature = (width = WIDTH, verdict = None), text_signature = "($self, width=100, verdict=None)")]
    fn conclusion(&self, width: usize, verdict: Option<&str>) -> String {
        verdict
            .map_or_else(|| self.0.conclusion(width), |verdict| self.0.concluded(verdict, &self.0.explanation, width))
    }

    fn __repr__(&self) -> String {
        format!("<Report {}: {}>", self.0.outcome, self.0.verdict())
    }
}
