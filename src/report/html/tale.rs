//! One report's story as a part of a page.

use askama::Template;

use super::graph::Graph;
use super::lanes::Lanes;
use super::tables::{Told, Words, events, statements, words};
use super::{drawn, why_and_cure};
use crate::report::Report;
use crate::report::plain::one_line;

/// Everything that a report tells below its verdict.
#[derive(Template)]
#[template(path = "tale.html", config = "src/report/html/askama.toml")]
pub(crate) struct Tale {
    /// What the ids on the page begin with, so that several tales fit on one.
    id: String,
    why: String,
    cure: String,
    lanes: String,
    graph: String,
    statements: Vec<super::tables::Row>,
    has_sources: bool,
    has_locks: bool,
    words: Vec<Words>,
    notes: Vec<String>,
    events: Vec<Told>,
}

impl Tale {
    pub(crate) fn of(report: &Report, id: &str) -> Self {
        let (why, cure) = why_and_cure(&report.explanation);
        let statements = statements(report);
        Self {
            id: id.to_owned(),
            why,
            cure,
            lanes: drawn(&Lanes::of(report, id)),
            graph: Graph::of(report, id).map(|graph| drawn(&graph)).unwrap_or_default(),
            has_sources: statements.iter().any(|row| !row.source.is_empty()),
            has_locks: statements.iter().any(|row| !row.locks.is_empty()),
            statements,
            words: words(report),
            notes: report.notes.iter().map(|note| one_line(note)).collect(),
            events: events(report),
        }
    }

    pub(crate) fn draw(&self) -> String {
        drawn(self)
    }
}
