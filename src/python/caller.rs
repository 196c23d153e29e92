//! The calling Python thread: its signals, its callback, its own connections.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors;
use super::event::PyEvent;
use super::report::{PyReport, PyServer};
use crate::engine::{Caller, Halt, OwnBackend, Threads};
use crate::error::Error;
use crate::report::{Event, Report, Server};

/// Keeps the exception that ended the call, so that the very same one is raised.
pub(super) struct PythonCaller {
    on_start: Option<Py<PyAny>>,
    on_chapter: Option<Py<PyAny>>,
    on_event: Option<Py<PyAny>>,
    on_through: Option<Py<PyAny>>,
    on_stop: Option<Py<PyAny>>,
    on_report: Option<Py<PyAny>>,
    on_note: Option<Py<PyAny>>,
    threads: Option<Py<PyAny>>,
    raised: Option<PyErr>,
    left: Option<String>,
}

impl PythonCaller {
    pub(super) fn new(on_start: Option<Py<PyAny>>, on_event: Option<Py<PyAny>>) -> Self {
        Self {
            on_start,
            on_chapter: None,
            on_event,
            on_through: None,
            on_stop: None,
            on_report: None,
            on_note: None,
            threads: None,
            raised: None,
            left: None,
        }
    }

    /// The same, and it is told of the parts of the run.
    pub(super) fn told_chapters(self, on_chapter: Option<Py<PyAny>>) -> Self {
        Self { on_chapter, ..self }
    }

    /// The same, and it is given the report of each part.
    pub(super) fn told_through(self, on_through: Option<Py<PyAny>>) -> Self {
        Self { on_through, ..self }
    }

    /// The same, and it is told what takes so long.
    pub(super) fn told_notes(self, on_note: Option<Py<PyAny>>) -> Self {
        Self { on_note, ..self }
    }

    /// Has `on_stop` called when a run is about to be ended before its sessions have.
    pub(super) fn telling_of_stop(mut self, on_stop: Py<PyAny>) -> Self {
        self.on_stop = Some(on_stop);
        self
    }

    /// For many runs: `on_report` is called with each report.
    pub(super) fn of_many(on_start: Option<Py<PyAny>>, on_report: Py<PyAny>) -> Self {
        Self { on_report: Some(on_report), ..Self::new(on_start, None) }
    }

    /// Has `threads` asked what the threads of this process are at.
    pub(super) fn watching(mut self, threads: Option<Py<PyAny>>) -> Self {
        self.threads = threads;
        self
    }

    /// What the call gives: its result, or the exception that ended it, or its error. If something could not be removed from
    /// the server, a note of the exception says so (PEP 678).
    pub(super) fn answer<T>(self, py: Python<'_>, result: Result<T, Error>) -> PyResult<T> {
        let exception = match (self.raised, result) {
            (None, Ok(value)) => return Ok(value),
            (Some(raised), _) => raised,
            (None, Err(error)) => errors::to_python(py, &error),
        };
        if let Some(left) = self.left {
            // `add_note` came with Python 3.11; the attribute is what it fills. That there is none must not hide the error.
            let _ = exception.value(py).setattr("__notes__", vec![left]);
        }
        Err(exception)
    }

    fn keep(&mut self, result: PyResult<()>) -> Result<(), Halt> {
        result.map_err(|error| {
            self.raised = Some(error);
            Halt
        })
    }
}

impl Caller for PythonCaller {
    fn start(&mut self, server: &Server) -> Result<(), Halt> {
        let Some(on_start) = &self.on_start else { return Ok(()) };
        let result = Python::attach(|py| on_start.call1(py, (PyServer::from(server.clone()),)).map(drop));
        self.keep(result)
    }

    fn chapter(&mut self, title: &str, number: usize) -> Result<(), Halt> {
        let Some(on_chapter) = &self.on_chapter else { return Ok(()) };
        let result = Python::attach(|py| on_chapter.call1(py, (title, number)).map(drop));
        self.keep(result)
    }

    fn wants_events(&self) -> bool {
        self.on_event.is_some() || self.on_through.is_some()
    }

    fn event(&mut self, event: &Event) -> Result<(), Halt> {
        let Some(on_event) = &self.on_event else { return Ok(()) };
        let result = Python::attach(|py| on_event.call1(py, (PyEvent::from(event.clone()),)).map(drop));
        self.keep(result)
    }

    fn report(&mut self, report: Report) -> Result<(), Halt> {
        let Some(on_report) = &self.on_report else { return Ok(()) };
        let result = Python::attach(|py| on_report.call1(py, (PyReport::from(report),)).map(drop));
        self.keep(result)
    }

    fn through(&mut self, report: &Report, verdict: &str) -> Result<(), Halt> {
        let Some(on_through) = &self.on_through else { return Ok(()) };
        let result = Python::attach(|py| on_through.call1(py, (PyReport::from(report.clone()), verdict)).map(drop));
        self.keep(result)
    }

    fn poll(&mut self) -> Result<(), Halt> {
        #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone is not general enough")]
        let result = Python::attach(|py| py.check_signals());
        self.keep(result)
    }

    fn stopping(&mut self) {
        let Some(on_stop) = &self.on_stop else { return };
        if let Err(error) = Python::attach(|py| on_stop.call0(py).map(drop)) {
            self.raised.get_or_insert(error);
        }
    }

    fn note(&mut self, sentence: &str) -> Result<(), Halt> {
        let Some(on_note) = &self.on_note else { return Ok(()) };
        let result = Python::attach(|py| on_note.call1(py, (sentence,)).map(drop));
        self.keep(result)
    }

    fn left(&mut self, what: &str) {
        self.left = Some(what.to_owned());
    }

    fn threads(&mut self) -> Option<Threads> {
        let threads = self.threads.as_ref()?;
        match Python::attach(|py| threads.call0(py)?.extract::<Told>(py)) {
            Ok((held_up, acting, asking)) => {
                let own = |(pid, place)| OwnBackend { pid, calling: false, place };
                Some(Threads { held_up, acting, asking: asking.into_iter().map(own).collect() })
            }
            Err(error) => {
                self.raised.get_or_insert(error);
                None
            }
        }
    }

    fn own_backends(&mut self) -> Vec<OwnBackend> {
        // Without Django, or with a connection in an odd state, there is simply nothing to say.
        Python::attach(own_backends).unwrap_or_default()
    }
}

/// For each session where it is held up; whether another thread may act; the backends on which others ask, and where.
type Told = (Vec<Option<String>>, bool, Vec<(i32, Option<String>)>);

fn own_backends(py: Python<'_>) -> PyResult<Vec<OwnBackend>> {
    let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?;
    if !modules.contains("django.db")? {
        return Ok(Vec::new());
    }
    let told: Vec<(i32, bool, Option<String>)> =
        py.import("django_lockstep.testing.own")?.call_method0("own_backends")?.extract()?;
    Ok(told.into_iter().map(|(pid, calling, place)| OwnBackend { pid, calling, place }).collect())
}
