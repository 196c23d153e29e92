//! What became of a spec: a report for each permutation, and the text that PostgreSQL's tester would print.

use std::time::Duration;

use serde::Serialize;

use super::outcome::outcome;
use crate::connection::Facts;
use crate::engine::{Ending, Record};
use crate::report::{Album, Report, Server};
use crate::scenario::catalogue::Shows;
use crate::scenario::effect::Effect;
use crate::scenario::spec::Permutation;

/// What became of one permutation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PermutationReport {
    /// Its number in the file, from 1.
    pub number: usize,
    /// What it is there for, where the file is a scenario.
    pub shows: Option<Shows>,
    /// The steps, as the file has them.
    pub order: String,
    /// What came of it, in a word or two.
    pub effect: Effect,
    /// Whether the file was given up in it, so that it did not come to its end.
    #[serde(skip)]
    pub gave_up: bool,
    /// The steps that took longer than the time for a step, and were cancelled.
    pub cancelled: Vec<String>,
    /// What happened.
    pub report: Report,
}

/// What became of a whole file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SpecReport {
    /// One for each permutation that was run.
    pub permutations: Vec<PermutationReport>,
    /// What `isolationtester` prints, byte for byte.
    pub transcript: String,
    /// Why the file was given up, if it was.
    pub failure: Option<String>,
    /// What to know about how it was run, a sentence each.
    pub notes: Vec<String>,
    /// The server.
    pub server: Server,
}

impl SpecReport {
    /// The report as one self-contained HTML document; `lead` is what it has to say first, a paragraph each, then `code`.
    #[must_use]
    pub fn to_html(&self, title: &str, lead: &[String], code: &str) -> String {
        let calm = self.failure.is_none() && !self.permutations.iter().any(|one| one.effect.is_deadlock());
        let mut album = Album::new(title, lead, calm).code(code).fact("Server", &self.server.to_string());
        for note in &self.notes {
            album = album.fact("Note", note);
        }
        if let Some(failure) = &self.failure {
            album = album.fact("Given up", failure);
        }
        for permutation in &self.permutations {
            album = album.add(&format!("{}: {}", permutation.title(), permutation.verdict()), &permutation.report);
        }
        album.to_html()
    }

    /// The report as JSON, indented by two spaces.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Face<'a> {
            schema_version: u32,
            #[serde(flatten)]
            report: &'a SpecReport,
        }
        let face = Face { schema_version: 1, report: self };
        serde_json::to_string_pretty(&face).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
    }
}

/// The report of one permutation's record.
pub(super) fn permutation(
    number: usize,
    shows: Option<Shows>,
    order: &Permutation,
    record: Record,
    cancelled: Vec<String>,
    facts: &Facts,
    deadlock_timeout: Duration,
) -> PermutationReport {
    let gave_up = record.ending == Ending::GivenUp;
    PermutationReport {
        number,
        shows,
        order: order.to_string(),
        effect: if gave_up && record.events.is_empty() { Effect::NotRun } else { Effect::of(&record.events) },
        gave_up,
        cancelled,
        report: outcome(record, facts, deadlock_timeout),
    }
}
