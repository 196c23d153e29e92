//! `SessionReport` and `Statement`.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::report::{SessionReport, Statement};

/// One statement of one session. Frozen.
#[pyclass(name = "Statement", module = "django_lockstep", frozen, eq)]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PyStatement(Statement);

#[pymethods]
impl PyStatement {
    #[getter]
    fn sql(&self) -> &str {
        &self.0.sql
    }
    #[getter]
    fn step(&self) -> &str {
        &self.0.step
    }
    #[getter]
    fn requested(&self) -> f64 {
        self.0.requested
    }
    #[getter]
    fn finished(&self) -> Option<f64> {
        self.0.finished
    }
    #[getter]
    fn waited(&self) -> bool {
        self.0.waited
    }
    #[getter]
    fn locks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.locks)
    }
    #[getter]
    fn rows(&self) -> Option<u64> {
        self.0.rows
    }
    #[getter]
    fn sqlstate(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }
    #[getter]
    fn source(&self) -> Option<&str> {
        self.0.source.as_deref()
    }
    fn __repr__(&self) -> String {
        format!("<Statement {}>", self.0.sql)
    }
}

/// What became of one session. Frozen.
#[pyclass(name = "SessionReport", module = "django_lockstep", frozen, eq)]
pub(super) struct PySessionReport(SessionReport, Option<Yield>);

/// What a callable returned or raised; `None` is Python's.
#[derive(FromPyObject)]
pub(super) struct Yield(Py<PyAny>, Py<PyAny>);

impl Yield {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py), self.1.clone_ref(py))
    }
}

impl From<SessionReport> for PySessionReport {
    fn from(report: SessionReport) -> Self {
        Self(report, None)
    }
}

impl PySessionReport {
    pub(super) fn of_callable(report: SessionReport, made: Yield) -> Self {
        Self(report, Some(made))
    }
}

// What callables return need not be comparable.
impl PartialEq for PySessionReport {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

#[pymethods]
impl PySessionReport {
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }
    #[getter]
    fn backend_pid(&self) -> Option<i32> {
        self.0.backend_pid
    }
    #[getter]
    fn outcome(&self) -> &'static str {
        self.0.outcome.as_str()
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
    fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }
    #[getter]
    fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
    #[getter]
    fn context(&self) -> Option<&str> {
        self.0.context.as_deref()
    }
    #[getter]
    fn statements<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.statements.iter().cloned().map(PyStatement))
    }
    #[getter]
    fn result(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.1.as_ref().map(|made| made.0.clone_ref(py))
    }
    #[getter]
    fn exception(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.1.as_ref().map(|made| made.1.clone_ref(py))
    }
    fn __repr__(&self) -> String {
        format!("<SessionReport {} {}>", self.0.name, self.0.outcome)
    }
}
