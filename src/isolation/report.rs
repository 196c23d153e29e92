//! What became of a spec: a report for each permutation, and the text that PostgreSQL's tester would print.

use std::time::Duration;

use serde::Serialize;

use super::outcome::outcome;
use crate::connection::Facts;
use crate::engine::Record;
use crate::report::{Report, Server};
use crate::scenario::effect::Effect;
use crate::scenario::spec::Permutation;

/// What became of one permutation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PermutationReport {
    /// The steps, as the file has them.
    pub order: String,
    /// What came of it, in a word or two.
    pub effect: Effect,
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
    order: &Permutation,
    record: Record,
    cancelled: Vec<String>,
    facts: &Facts,
    deadlock_timeout: Duration,
) -> PermutationReport {
    PermutationReport {
        order: order.to_string(),
        effect: Effect::of(&record.events),
        cancelled,
        report: outcome(record, facts, deadlock_timeout),
    }
}
