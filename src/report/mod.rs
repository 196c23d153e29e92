//! The result of a run: what happened, to every session, with times. One type for everything.
//!
//! The data is plain and knows no database; [`explanation`] says it in words, [`text`] draws it.

mod advice;
mod cycle;
mod event;
mod explanation;
mod exploration;
mod html;
pub(crate) mod markdown;
mod mermaid;
mod moment;
mod outcome;
pub(crate) mod plain;
mod session_report;
pub(crate) mod sql;
mod text;
mod timeline;
mod waits;

pub use cycle::{Edge, cycle_through, from_the_first, told_cycle};
pub use event::{Event, EventKind};
pub use explanation::{Story, explain};
pub(crate) use explanation::{capitalized, sentence};
pub use exploration::{Exploration, Finding};
pub use html::Album;
pub(crate) use outcome::named;
pub use outcome::{Outcome, SessionOutcome};
pub(crate) use plain::{broken, one_line, shortened, wrapped};
pub use session_report::{SessionReport, Statement};
pub use sql::row_locks;
pub use text::{Verbosity, WIDTH};
pub use timeline::{Timeline, TimelineLine};

use serde::Serialize;

/// What is known about the server that the run took place on.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Server {
    /// The server's version as it says it, for example `18.6`.
    pub version: String,
    /// The same as a number, for example `180006` (`server_version_num`).
    pub version_num: i32,
    /// The database that the sessions were connected to.
    pub database: String,
    /// The role that the sessions ran as (`current_user`).
    pub role: String,
    /// The server's `deadlock_timeout` for this role, in seconds.
    pub deadlock_timeout: f64,
    /// Whether the role may set `deadlock_timeout`: superuser, or `GRANT SET ON PARAMETER` (PostgreSQL 15 and later).
    pub may_set_deadlock_timeout: bool,
}

/// What happened in one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// How the run ended, as a whole.
    pub outcome: Outcome,
    /// Whether this very process held what a session waited for, and could never let go: PostgreSQL sees no cycle there.
    pub hidden_deadlock: bool,
    /// The sessions that PostgreSQL aborted with 40P01, in the order in which it did. One deadlock can abort two.
    pub victims: Vec<String>,
    /// The sessions of the wait-for cycle, each waiting for the next and the last for the first. The victim comes first.
    pub cycle: Vec<String>,
    /// What became of each session, in the order of their names.
    pub sessions: Vec<SessionReport>,
    /// Everything that happened, in order.
    pub events: Vec<Event>,
    /// Seconds from the first BEGIN to the end of the last session; connecting and clean-up are not in it.
    pub elapsed: f64,
    /// What happened, and why, in plain words.
    pub explanation: String,
    /// What the reader should know about how the run was done, a sentence each (a substitute, a setting not honoured).
    pub notes: Vec<String>,
    /// The server.
    pub server: Server,
}

/// A report as its JSON has it.
#[derive(Serialize)]
struct Face<'a> {
    schema_version: u32,
    deadlocked: bool,
    #[serde(flatten)]
    report: &'a Report,
}

impl<'a> Face<'a> {
    fn of(report: &'a Report) -> Self {
        Self { schema_version: 1, deadlocked: report.deadlocked(), report }
    }
}

impl Report {
    /// Whether PostgreSQL aborted at least one session with 40P01.
    #[must_use]
    pub fn deadlocked(&self) -> bool {
        self.outcome == Outcome::Deadlock
    }

    /// The report as JSON, indented by two spaces.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(&Face::of(self)).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
    }

    /// The cycle in words, as every face tells it: `A → B → A`; empty without a deadlock.
    #[must_use]
    pub fn told_cycle(&self) -> String {
        told_cycle(&self.cycle, &self.names())
    }

    /// The session of that name.
    #[must_use]
    pub fn session(&self, name: &str) -> Option<&SessionReport> {
        self.sessions.iter().find(|session| session.name == name)
    }
}
