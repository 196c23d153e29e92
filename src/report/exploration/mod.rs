//! What a search over schedules has found, and its faces: a summary, and the story of each finding.

mod finding;
mod markdown;
mod python;
mod text;

pub use finding::Finding;

use serde::Serialize;

use super::plain::one_line;

/// What a search over schedules has found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exploration {
    /// The sessions' names.
    pub sessions: Vec<String>,
    /// What was found.
    #[serde(skip)]
    pub findings: Vec<Finding>,
    /// How many schedules were run.
    pub schedules: usize,
    /// How many of them turned out equivalent to an earlier one.
    pub redundant: usize,
    /// How many steps were released in all of them.
    pub steps: usize,
    /// How many runs were begun again besides, because the server had let in a session out of turn.
    pub again: usize,
    /// Whether every inequivalent schedule was run.
    pub complete: bool,
    /// How much was run, in words: `6 schedules, all that can differ`.
    pub extent: String,
    /// Whether a session waited for another one in any of them.
    pub contended: bool,
    /// Whether only deadlocks were looked for, and what keeps a callable from its end.
    pub only_deadlocks: bool,
    /// What to know besides, a sentence or two each.
    pub notes: Vec<String>,
    /// Seconds, starting states included.
    pub elapsed: f64,
}

impl Exploration {
    /// What came of it, in one line: what was found, or that nothing was, and in how many schedules.
    #[must_use]
    pub fn verdict(&self) -> String {
        let extent = one_line(&self.extent);
        let found = match (self.findings.is_empty(), self.only_deadlocks) {
            (false, _) => format!("{}: {extent}", self.found().join(", ")),
            (true, false) => format!("NOTHING FOUND in {extent}"),
            (true, true) => format!("NO DEADLOCK FOUND in {extent}"),
        };
        format!("{found} ({:.3} s)", self.elapsed)
    }

    /// What to know besides, each on one line.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        self.notes.iter().map(|note| one_line(note))
    }

    /// The number, from 1, of an earlier finding whose run shows this one as well.
    pub(super) fn shown_before(&self, number: usize) -> Option<usize> {
        let finding = self.findings.get(number)?;
        let before = self.findings.iter().take(number).position(|other| finding.is_of_the_run_of(other));
        before.map(|place| place + 1)
    }

    /// As JSON, indented by two spaces.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Told<'a> {
            #[serde(flatten)]
            finding: &'a Finding,
            verdict: String,
            explanation: String,
            report: super::Face<'a>,
        }
        #[derive(Serialize)]
        struct Face<'a> {
            schema_version: u32,
            verdict: String,
            #[serde(flatten)]
            exploration: &'a Exploration,
            findings: Vec<Told<'a>>,
        }
        let told = |finding| Told {
            finding,
            verdict: finding.verdict(),
            explanation: finding.explanation(),
            report: super::Face::of(&finding.report),
        };
        let face = Face {
            schema_version: 1,
            verdict: self.verdict(),
            exploration: self,
            findings: self.findings.iter().map(told).collect(),
        };
        serde_json::to_string_pretty(&face).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
    }

    /// What was found: `LOST UPDATE`, `2 DEADLOCKS`, in the order in which the kinds come.
    fn found(&self) -> Vec<String> {
        let mut kinds: Vec<(String, usize)> = Vec::new();
        for finding in &self.findings {
            let kind = finding.words().to_uppercase();
            match kinds.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, count)) => *count += 1,
                None => kinds.push((kind, 1)),
            }
        }
        let told = |(kind, count)| if count == 1 { kind } else { format!("{count} {kind}S") };
        kinds.into_iter().map(told).collect()
    }
}

fn number_of(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
