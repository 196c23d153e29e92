//! `Scenario`, and what is made of many of them.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::caller::PythonCaller;
use super::report::PyServer;
use super::spec::{PySpec, told};
use super::{arguments, errors};
use crate::connection::conninfo::{Conninfo, SystemEnvironment};
use crate::error::Error;
use crate::isolation::{MatrixOptions, SpecRequest, run_matrix as run};
use crate::report::WIDTH;
use crate::scenario::catalogue::Scenario;
use crate::scenario::lock::Isolation;
use crate::scenario::matrix::Matrix;
use crate::simulate::options::named;

/// One scenario of the catalogue. Frozen.
#[pyclass(name = "Scenario", module = "django_lockstep", frozen, eq)]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PyScenario(Scenario);

/// Read a file of the catalogue: a header, and a spec below it.
#[pyfunction]
#[pyo3(signature = (text, name = "scenario"))]
pub(super) fn parse_scenario(py: Python<'_>, text: &str, name: &str) -> PyResult<PyScenario> {
    Scenario::parse(text).map(PyScenario).map_err(|error| errors::to_python(py, &told(name, &error)))
}

impl PyScenario {
    pub(super) fn as_scenario(&self) -> &Scenario {
        &self.0
    }
}

#[pymethods]
impl PyScenario {
    #[getter]
    fn name(&self) -> &str {
        &self.0.name
    }
    #[getter]
    fn title(&self) -> &str {
        &self.0.title
    }
    #[getter]
    fn teaches(&self) -> &str {
        &self.0.teaches
    }
    #[getter]
    fn django(&self) -> &str {
        &self.0.django
    }
    #[getter]
    fn fix(&self) -> &str {
        &self.0.fix
    }
    #[getter]
    fn seen_in<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.seen_in)
    }
    #[getter]
    fn fixed<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.expectations.iter().map(|one| one.fixed))
    }
    #[getter]
    fn spec(&self) -> PySpec {
        PySpec { name: self.0.name.clone(), spec: self.0.spec.clone(), shows: self.0.shows() }
    }

    /// What to expect of each permutation under an isolation level.
    #[pyo3(signature = (isolation = "read committed"))]
    fn expected<'py>(&self, py: Python<'py>, isolation: &str) -> PyResult<Bound<'py, PyTuple>> {
        let level = named(isolation, "isolation", &Isolation::ALL).map_err(|error| errors::to_python(py, &error))?;
        PyTuple::new(py, self.0.expectations.iter().map(|one| one.effect(level).to_string()))
    }

    fn __repr__(&self) -> String {
        format!("<Scenario {}: {}>", self.0.name, self.0.title)
    }
}

/// Scenarios under every isolation level and with every what-if, as a table. Frozen.
#[pyclass(name = "Matrix", module = "django_lockstep", frozen, eq)]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PyMatrix(Matrix);

/// Make the matrix. The stub documents the arguments.
#[pyfunction]
#[pyo3(
    signature = (scenarios, dsn, *, deadlock_timeout = None, timeout = None, on_start = None, on_cell = None),
    text_signature = "(scenarios, dsn, *, deadlock_timeout=None, timeout=3600.0, on_start=None, on_cell=None)"
)]
pub(super) fn run_matrix(
    py: Python<'_>,
    scenarios: Vec<PyRef<'_, PyScenario>>,
    dsn: &Bound<'_, PyAny>,
    deadlock_timeout: Option<&Bound<'_, PyAny>>,
    timeout: Option<&Bound<'_, PyAny>>,
    on_start: Option<Py<PyAny>>,
    on_cell: Option<Py<PyAny>>,
) -> PyResult<PyMatrix> {
    let scenarios: Vec<Scenario> = scenarios.into_iter().map(|scenario| scenario.0.clone()).collect();
    let read = || -> Result<(Conninfo, MatrixOptions), Error> {
        let request = SpecRequest {
            scratch: true,
            deadlock_timeout: arguments::optional_seconds("deadlock_timeout", deadlock_timeout)?,
            timeout: arguments::optional_seconds("timeout", timeout)?,
            ..SpecRequest::default()
        };
        let options = MatrixOptions::from(request.check(0)?);
        Ok((Conninfo::resolve(&arguments::text("dsn", dsn)?, &SystemEnvironment)?, options))
    };
    let (conninfo, options) = read().map_err(|error| errors::to_python(py, &error))?;
    let mut caller = PythonCaller::new(on_start, None).told_chapters(on_cell);
    let result = py.detach(|| run(conninfo, &scenarios, &options, &mut caller));
    caller.answer(py, result.map(PyMatrix))
}

#[pymethods]
impl PyMatrix {
    #[getter]
    fn columns<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.columns)
    }
    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.notes)
    }
    #[getter]
    fn server(&self) -> PyServer {
        PyServer::from(self.0.server.clone())
    }

    /// Everything as plain dicts, lists, strings and numbers.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.call_method1("loads", (self.0.to_json(),))
    }

    /// The same as a JSON text.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// As plain text, a small table for each permutation.
    #[pyo3(signature = (width = WIDTH), text_signature = "($self, width=100)")]
    fn to_text(&self, width: usize) -> String {
        self.0.to_text(width)
    }

    /// As one Markdown table.
    fn to_markdown(&self) -> String {
        self.0.to_markdown()
    }

    /// As one self-contained HTML document.
    fn to_html(&self) -> String {
        self.0.to_html()
    }

    fn __repr__(&self) -> String {
        format!("<Matrix of {} rows>", self.0.rows.len())
    }
}
