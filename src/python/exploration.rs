//! `ExplorationFaces`: how what Python's `explore` has found is told.

use pyo3::prelude::*;

use super::report::PyReport;
use crate::report::{Exploration, Finding, Verbosity, WIDTH};

/// What a search has found, ready to be told. The stub documents the arguments.
#[pyclass(name = "ExplorationFaces", module = "django_lockstep._core", frozen)]
pub(super) struct PyExplorationFaces(Exploration);

/// A finding as Python has it: kind, about, schedule, preemptions, seen, report.
type Told<'py> = (String, String, String, usize, usize, PyRef<'py, PyReport>);

fn finding((kind, about, schedule, preemptions, seen, report): &Told<'_>) -> Finding {
    Finding {
        kind: kind.clone(),
        about: about.clone(),
        schedule: schedule.clone(),
        preemptions: *preemptions,
        seen: *seen,
        report: report.as_report().clone(),
    }
}

#[pymethods]
impl PyExplorationFaces {
    #[new]
    #[pyo3(signature = (sessions, findings, *, schedules, redundant, steps, again, complete, extent, contended, only_deadlocks, notes, elapsed))]
    #[expect(clippy::too_many_arguments, reason = "they are those of a Python function")]
    #[expect(clippy::needless_pass_by_value, reason = "what comes from Python is the function's own")]
    fn new(
        sessions: Vec<String>,
        findings: Vec<Told<'_>>,
        schedules: usize,
        redundant: usize,
        steps: usize,
        again: usize,
        complete: bool,
        extent: String,
        contended: bool,
        only_deadlocks: bool,
        notes: Vec<String>,
        elapsed: f64,
    ) -> Self {
        let findings = findings.iter().map(finding).collect();
        Self(Exploration {
            sessions,
            findings,
            schedules,
            redundant,
            steps,
            again,
            complete,
            extent,
            contended,
            only_deadlocks,
            notes,
            elapsed,
        })
    }

    /// What came of it, in one line.
    #[getter]
    fn verdict(&self) -> String {
        self.0.verdict()
    }

    /// As plain text.
    #[pyo3(signature = (verbosity = 1, width = WIDTH), text_signature = "($self, verbosity=1, width=100)")]
    fn to_text(&self, verbosity: Verbosity, width: usize) -> String {
        self.0.to_text(verbosity, width)
    }

    /// One of the findings as plain text.
    #[pyo3(
        signature = (number, verbosity = 1, width = WIDTH, argument = "only"),
        text_signature = "($self, number, verbosity=1, width=100, argument='only')"
    )]
    fn finding_to_text(&self, number: usize, verbosity: Verbosity, width: usize, argument: &str) -> String {
        self.0.findings.get(number).map_or_else(String::new, |finding| finding.to_text(verbosity, width, argument))
    }

    /// As a JSON text.
    fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// As Markdown, with a Mermaid diagram of each finding.
    fn to_markdown(&self) -> String {
        self.0.to_markdown()
    }

    /// As one Mermaid sequence diagram.
    fn to_mermaid(&self) -> String {
        self.0.to_mermaid()
    }

    /// As one self-contained HTML document.
    fn to_html(&self) -> String {
        self.0.to_html()
    }
}
