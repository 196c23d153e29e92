//! `Spec` and `SpecReport`.

use pyo3::prelude::*;
use pyo3::types::PyTuple;

use super::caller::PythonCaller;
use super::report::{PyReport, PyServer};
use super::{arguments, errors};
use crate::connection::conninfo::{Conninfo, SystemEnvironment};
use crate::error::Error;
use crate::isolation::{PermutationReport, SpecOptions, SpecReport, SpecRequest, heading, run_spec};
use crate::report::WIDTH;
use crate::scenario::catalogue::Shows;
use crate::scenario::spec::{Spec, SpecError, parse};

/// What is read from a `.spec` file. Frozen.
#[pyclass(name = "Spec", module = "django_lockstep", frozen, eq)]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PySpec {
    pub(super) name: String,
    pub(super) spec: Spec,
    /// What each permutation is there for, where it is a scenario's.
    pub(super) shows: Vec<Shows>,
}

/// Read the text of a ``.spec`` file. The stub documents the arguments.
#[pyfunction]
#[pyo3(signature = (text, name = "spec"))]
pub(super) fn parse_spec(py: Python<'_>, text: &str, name: &str) -> PyResult<PySpec> {
    let spec = parse(text).map_err(|error| errors::to_python(py, &told(name, &error)))?;
    Ok(PySpec { name: name.to_owned(), spec, shows: Vec::new() })
}

/// The error for a text that is no spec.
pub(super) fn told(name: &str, error: &SpecError) -> Error {
    let place = if error.line > 0 { format!(", line {}, column {}", error.line, error.column) } else { String::new() };
    Error::usage(
        // An error's text begins with a capital, and a file's name may not.
        format!("in {name}{place}: {}", error.message),
        "Mend the file there; the language is that of PostgreSQL's isolation tests.",
    )
}

#[pymethods]
impl PySpec {
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }
    #[getter]
    fn sessions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.spec.session_names())
    }
    #[getter]
    fn permutations<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.spec.permutations.iter().map(ToString::to_string))
    }

    /// What a permutation is called.
    #[pyo3(signature = (steps, number, width = WIDTH), text_signature = "($self, steps, number, width=100)")]
    fn heading(&self, steps: &str, number: usize, width: usize) -> String {
        let shows = number.checked_sub(1).and_then(|index| self.shows.get(index).copied());
        heading(number, shows, steps, width)
    }

    fn __str__(&self) -> String {
        self.spec.to_string()
    }
    fn __repr__(&self) -> String {
        format!("<Spec {}: {} sessions>", self.name, self.spec.sessions.len())
    }

    /// Run it. The stub documents the arguments.
    #[pyo3(
        signature = (
            dsn, *, isolation = None, scratch = false, what_if = None, permutations = None, deadlock_timeout = None,
            step_timeout = None, timeout = None, on_start = None, on_permutation = None, on_event = None, on_report = None,
            on_note = None
        ),
        text_signature = "($self, dsn, *, isolation=None, scratch=False, what_if=None, permutations=None, \
                          deadlock_timeout=None, step_timeout=None, timeout=3600.0, on_start=None, \
                          on_permutation=None, on_event=None, on_report=None, on_note=None)"
    )]
    #[expect(clippy::too_many_arguments, reason = "they are the documented keywords of the Python method")]
    fn run(
        &self,
        py: Python<'_>,
        dsn: &Bound<'_, PyAny>,
        isolation: Option<&Bound<'_, PyAny>>,
        scratch: bool,
        what_if: Option<&Bound<'_, PyAny>>,
        permutations: Option<&Bound<'_, PyAny>>,
        deadlock_timeout: Option<&Bound<'_, PyAny>>,
        step_timeout: Option<&Bound<'_, PyAny>>,
        timeout: Option<&Bound<'_, PyAny>>,
        on_start: Option<Py<PyAny>>,
        on_permutation: Option<Py<PyAny>>,
        on_event: Option<Py<PyAny>>,
        on_report: Option<Py<PyAny>>,
        on_note: Option<Py<PyAny>>,
    ) -> PyResult<PySpecReport> {
        let permutations = permutations.map(arguments::numbers).transpose()?;
        let text = |name, given: Option<&Bound<'_, PyAny>>| given.map(|given| arguments::text(name, given)).transpose();
        let read = || -> Result<(Conninfo, SpecOptions), Error> {
            let request = SpecRequest {
                isolation: text("isolation", isolation)?,
                scratch,
                what_if: text("what_if", what_if)?,
                permutations: permutations.transpose()?,
                deadlock_timeout: arguments::optional_seconds("deadlock_timeout", deadlock_timeout)?,
                step_timeout: arguments::optional_seconds("step_timeout", step_timeout)?,
                timeout: arguments::optional_seconds("timeout", timeout)?,
            };
            let mut options = request.check(self.spec.permutations.len())?;
            let conninfo = Conninfo::resolve(&arguments::text("dsn", dsn)?, &SystemEnvironment)?;
            options.shows.clone_from(&self.shows);
            if !scratch && let Some(name) = conninfo.application_name() {
                name.clone_into(&mut options.application_name);
            }
            Ok((conninfo, options))
        };
        let (conninfo, options) = read().map_err(|error| errors::to_python(py, &error))?;
        let mut caller = PythonCaller::new(on_start, on_event)
            .told_chapters(on_permutation)
            .told_through(on_report)
            .told_notes(on_note);
        let result = py.detach(|| run_spec(conninfo, &self.spec, &options, &mut caller));
        caller.answer(py, result.map(PySpecReport))
    }
}

/// What became of a spec. Frozen.
#[pyclass(name = "SpecReport", module = "django_lockstep", frozen, eq)]
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PySpecReport(SpecReport);

#[pymethods]
impl PySpecReport {
    #[getter]
    fn permutations<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.permutations.iter().map(|permutation| &permutation.order))
    }
    #[getter]
    fn reports<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.permutations.iter().map(|permutation| PyReport::from(permutation.report.clone())))
    }
    #[getter]
    fn effects<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.permutations.iter().map(|permutation| permutation.effect.to_string()))
    }
    #[getter]
    fn verdicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.permutations.iter().map(PermutationReport::verdict))
    }
    #[getter]
    fn failure(&self) -> Option<&str> {
        self.0.failure.as_deref()
    }
    #[getter]
    fn notes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.0.notes)
    }
    #[getter]
    fn server(&self) -> PyServer {
        PyServer::from(self.0.server.clone())
    }

    /// What PostgreSQL's `isolationtester` prints for it, byte for byte.
    fn to_isolationtester(&self) -> &str {
        &self.0.transcript
    }

    /// Everything as plain dicts, lists, strings and numbers.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.call_method1("loads", (self.0.to_json(),))
    }

    /// The same as a JSON text.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// As one self-contained HTML document.
    #[pyo3(signature = (title, lead = Vec::new(), code = ""), text_signature = "($self, title, lead=(), code='')")]
    #[expect(clippy::needless_pass_by_value, reason = "what comes from Python is the function's own")]
    fn to_html(&self, title: &str, lead: Vec<String>, code: &str) -> String {
        self.0.to_html(title, &lead, code)
    }

    /// What there is to say after the permutations.
    #[pyo3(signature = (width = WIDTH), text_signature = "($self, width=100)")]
    fn conclusion(&self, width: usize) -> String {
        self.0.conclusion(width)
    }

    /// The report as plain text.
    #[pyo3(signature = (verbosity = 1, width = WIDTH), text_signature = "($self, verbosity=1, width=100)")]
    fn to_text(&self, verbosity: u8, width: usize) -> String {
        self.0.to_text(verbosity, width)
    }

    fn __repr__(&self) -> String {
        let effects: Vec<String> = self.0.permutations.iter().map(|one| one.effect.to_string()).collect();
        format!("<SpecReport: {}>", effects.join("; "))
    }
}
