//! One fault that a search has found.

use serde::Serialize;

use super::{number_of, python};
use crate::report::plain::one_line;
use crate::report::{EventKind, Outcome, Report, SessionOutcome, capitalized, sentence};

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

/// What a lost update is, and what prevents it.
const LOST: &str = "One has overwritten what another had written, or has acted on what it had read before another changed \
                    it. What prevents it: lock what is read before it is written, by select_for_update() within the \
                    atomic() that writes it; or let the database do both in one statement, by F() or update(); for a row \
                    that must be there once, a unique constraint.";

impl Finding {
    /// Its kind as words.
    pub(super) fn words(&self) -> String {
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

    /// The argument that makes it happen again, in Python: `only="A B A B"`.
    #[must_use]
    pub fn replay(&self) -> String {
        self.replay_by("only").1
    }

    /// What to do with an argument of that name, and the argument, on a line to be pasted as it is. A row that is held in
    /// between (its key is quoted) only `explore` can hold.
    pub(super) fn replay_by(&self, argument: &str) -> (&'static str, String) {
        let (what, argument) = if argument != "only" && self.schedule.contains('"') {
            ("to replay it, explore the same with:", "only")
        } else {
            ("to replay it, add to the call:", argument)
        };
        (what, format!("{argument}={}", python::literal(&self.schedule)))
    }

    /// What the run that showed it has come to, in one line: what was found, not what else was not.
    #[must_use]
    pub fn verdict(&self) -> String {
        match self.kind.as_str() {
            "deadlock" if self.report.deadlocked() => self.report.verdict(),
            "hidden_deadlock" if self.report.hidden_deadlock => self.report.verdict(),
            _ => {
                let about = one_line(&self.about);
                format!("{} ({:.3} s): {about}", self.words().to_uppercase(), self.report.elapsed)
            }
        }
    }

    /// What happened, why, and what to do about it.
    #[must_use]
    pub fn explanation(&self) -> String {
        let report = &self.report;
        let about = one_line(&self.about);
        // Some begin with the name of a table or of a session.
        let named = matches!(self.kind.as_str(), "lost_update" | "exception" | "serialization_failure");
        let about = sentence(&if named { about } else { capitalized(&about) });
        match self.kind.as_str() {
            "lost_update" => format!("{about} {} {LOST}", self.ends()).replace("  ", " "),
            "violation" if report.outcome == Outcome::NoConflict => {
                format!("{about} {}", self.ends()).trim_end().to_owned()
            }
            "violation" => format!("{about} {}", report.explanation),
            "exception" if matches!(report.outcome, Outcome::NoConflict | Outcome::Error | Outcome::Deadlock) => {
                format!(
                    "{about} If it is expected there, catch it within the function, and what comes after it is seen as well."
                )
            }
            _ => report.explanation.clone(),
        }
    }

    /// That every session committed, if so.
    fn ends(&self) -> &'static str {
        let committed = |outcome| outcome == SessionOutcome::Committed;
        let all = self.report.sessions.iter().all(|session| committed(session.outcome));
        if all { "Every session committed." } else { "" }
    }

    /// Whether both are of one and the same run, or of two in which the same happened: one picture shows both.
    pub(super) fn is_of_the_run_of(&self, other: &Self) -> bool {
        let events = |finding: &Self| -> Vec<(String, EventKind, String)> {
            let told = finding.report.events.iter().filter(|event| event.kind != EventKind::Request);
            told.map(|event| (event.session.clone(), event.kind, event.step.clone())).collect()
        };
        self.schedule == other.schedule && events(self) == events(other)
    }
}
