//! What became of a spec: a report for each permutation, and the text that PostgreSQL's tester would print.

use serde::Serialize;

use super::outcome::outcome;
use crate::connection::Facts;
use crate::engine::Record;
use crate::report::{Report, Server};
use crate::scenario::spec::Permutation;

/// What became of one permutation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PermutationReport {
    /// The steps, as the file has them.
    pub order: String,
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
    /// The server.
    pub server: Server,
}

/// The report of one permutation's record.
pub(super) fn permutation(order: &Permutation, record: Record, facts: &Facts) -> PermutationReport {
    let steps: Vec<String> = order.steps.iter().map(ToString::to_string).collect();
    PermutationReport { order: steps.join(" "), report: outcome(record, facts) }
}
