//! One report's story as a part of a page.

use askama::Template;

use super::graph::Graph;
use super::lanes::Lanes;
use super::tables::{Told, Words, events, statements, words};
use super::{drawn, why_and_cure};
use crate::report::plain::one_line;
use crate::report::{Finding, Report};

/// Everything that a report tells below its verdict.
#[derive(Template)]
#[template(path = "tale.html", config = "src/report/html/askama.toml")]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub(crate) struct Tale {
    /// What the ids on the page begin with, so that several tales fit on one.
    id: String,
    /// Its headings' level, and what comes before the names of its sections (the id of a heading, and a blank).
    level: u8,
    chapter: String,
    why: String,
    cure: String,
    lanes: String,
    graph: String,
    statements: Vec<super::tables::Row>,
    has_cycle: bool,
    /// Whether there is something to stand beside the lanes.
    has_beside: bool,
    has_sources: bool,
    has_locks: bool,
    words: Vec<Words>,
    notes: Vec<String>,
    events: Vec<Told>,
}

impl Tale {
    /// The tale of a page of its own.
    pub(crate) fn of(report: &Report, id: &str) -> Self {
        Self::below(report, (&report.verdict(), &report.explanation), id, 2, String::new())
    }

    /// The tale of a chapter, whose heading has the id `{id}-title`.
    pub(crate) fn of_chapter(report: &Report, id: &str) -> Self {
        Self::below(report, (&report.verdict(), &report.explanation), id, 3, format!("{id}-title "))
    }

    /// The tale of a chapter that is about what was found in a run.
    pub(crate) fn of_finding(finding: &Finding, id: &str) -> Self {
        let told = (finding.verdict(), finding.explanation());
        Self::below(&finding.report, (&told.0, &told.1), id, 3, format!("{id}-title "))
    }

    fn below(report: &Report, told: (&str, &str), id: &str, level: u8, chapter: String) -> Self {
        let (verdict, explanation) = told;
        let (why, cure) = why_and_cure(explanation);
        let statements = statements(report);
        let graph = Graph::of(report, id).map(|graph| drawn(&graph)).unwrap_or_default();
        let words = words(report);
        Self {
            id: id.to_owned(),
            level,
            chapter,
            why,
            cure,
            lanes: drawn(&Lanes::of(report, verdict, id)),
            has_cycle: !report.cycle.is_empty(),
            has_beside: !graph.is_empty() || !words.is_empty(),
            graph,
            has_sources: statements.iter().any(|row| !row.source.is_empty()),
            has_locks: statements.iter().any(|row| !row.locks.is_empty()),
            statements,
            words,
            notes: report.notes.iter().map(|note| one_line(note)).collect(),
            events: events(report),
        }
    }

    pub(crate) fn draw(&self) -> String {
        drawn(self)
    }
}
