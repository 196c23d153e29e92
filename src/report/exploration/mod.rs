//! What a search over schedules has found, and its faces: a summary, and the story of each finding.

mod markdown;
mod text;

use serde::Serialize;

use super::Report;
use super::plain::one_line;

/// One fault, and the simplest schedule that shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What it is: `deadlock`, `lost_update`, ….
    pub kind: String,
    /// What happened, in a sentence.
    pub about: String,
    /// Whose steps are released, in order: `A B A B`.
    pub schedule: String,
    /// How often the schedule takes the turn from a session that could go on.
    pub preemptions: usize,
    /// How many schedules showed it.
    pub seen: usize,
    /// The run that showed it.
    #[serde(skip)]
    pub report: Report,
}

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
    /// Seconds, starting states included.
    pub elapsed: f64,
}

/// What the reader should know where nothing ever waited.
const NEVER_MET: &str = "No session ever waited for another one, in whatever order: they do not lock the same things.";

impl Exploration {
    /// What came of it, in one line.
    #[must_use]
    pub fn verdict(&self) -> String {
        let found = if self.findings.is_empty() {
            "NOTHING FOUND".to_owned()
        } else {
            let kinds = self.kinds();
            let counted = kinds.iter().map(|(kind, count)| number_of(*count, kind)).collect::<Vec<_>>();
            format!("FOUND {}", counted.join(", "))
        };
        format!("{found}: {} ({:.3} s)", one_line(&self.extent), self.elapsed)
    }

    /// What to know besides, a sentence each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let again = (self.again > 0).then(|| {
            let runs = if self.again == 1 { "One run was".to_owned() } else { format!("{} runs were", self.again) };
            format!("{runs} begun again: PostgreSQL had let in a session before one that had come to wait earlier.")
        });
        (!self.contended).then(|| NEVER_MET.to_owned()).into_iter().chain(again).collect()
    }

    /// As JSON, indented by two spaces.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Told<'a> {
            #[serde(flatten)]
            finding: &'a Finding,
            report: super::Face<'a>,
        }
        #[derive(Serialize)]
        struct Face<'a> {
            schema_version: u32,
            #[serde(flatten)]
            exploration: &'a Exploration,
            findings: Vec<Told<'a>>,
        }
        let told = |finding| Told { finding, report: super::Face::of(&finding.report) };
        let face = Face { schema_version: 1, exploration: self, findings: self.findings.iter().map(told).collect() };
        serde_json::to_string_pretty(&face).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
    }

    /// The kinds of finding and how many there are of each, in the order in which they come.
    fn kinds(&self) -> Vec<(String, usize)> {
        let mut kinds: Vec<(String, usize)> = Vec::new();
        for finding in &self.findings {
            match kinds.iter_mut().find(|(kind, _)| *kind == finding.words()) {
                Some((_, count)) => *count += 1,
                None => kinds.push((finding.words(), 1)),
            }
        }
        kinds
    }
}

impl Finding {
    /// Its kind as words.
    fn words(&self) -> String {
        one_line(&self.kind.replace('_', " "))
    }

    /// What it is, in a sentence.
    #[must_use]
    pub fn headline(&self) -> String {
        format!("{}: {}", self.words(), one_line(&self.about))
    }

    /// How often it was seen.
    #[must_use]
    pub fn frequency(&self) -> String {
        format!("seen in {}", number_of(self.seen, "schedule"))
    }

    /// What makes it happen again. A row that is held in between (its key is quoted) only the search can hold, and only it
    /// asks the invariant and knows what serial orders leave.
    #[must_use]
    pub fn replay(&self) -> String {
        let schedule = one_line(&self.schedule);
        if schedule.contains('"') {
            format!("explore(…, only='{schedule}')")
        } else if matches!(self.kind.as_str(), "lost_update" | "violation") {
            format!("explore(…, only=\"{schedule}\")")
        } else {
            format!("run_together(…, order=\"{schedule}\")")
        }
    }
}

fn number_of(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
