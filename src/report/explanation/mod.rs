//! What happened, and why, in plain words.

mod blocked;
mod deadlock;
mod timeout;

use std::fmt::Write;

use blocked::blocked;
use deadlock::deadlock;
use timeout::{lock_timeout, statement_timeout, timed_out};

use super::{Event, EventKind, Outcome, SessionOutcome, SessionReport};
use crate::engine::Stuck;
use crate::engine::observer::Outsider;

/// Everything that an explanation draws on.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub struct Story<'a> {
    /// How the run ended.
    pub outcome: Outcome,
    /// Whether the caller's own connection was in the way.
    pub hidden: bool,
    /// Whether the sessions ran the user's own code.
    pub code: bool,
    /// What became of the sessions.
    pub sessions: &'a [SessionReport],
    /// What happened.
    pub events: &'a [Event],
    /// Who was aborted with 40P01.
    pub victims: &'a [String],
    /// The cycle.
    pub cycle: &'a [String],
    /// The backends outside the run that were in the way.
    pub outsiders: &'a [Outsider],
    /// Who in this process could not go on, where PostgreSQL could not see it.
    pub stuck: &'a Stuck,
    /// The lock strength in SQL's words: `UPDATE`, `KEY SHARE`, ….
    pub lock: &'a str,
    /// Whether two sessions can both have that lock.
    pub lock_is_shared: bool,
    /// Whether only things made for the run were locked.
    pub scratch: bool,
    /// The `deadlock_timeout` that counted, in seconds.
    pub deadlock_timeout: f64,
    /// The server's own for this role, in seconds.
    pub servers_deadlock_timeout: f64,
    /// The `lock_timeout` that counted, in seconds.
    pub lock_timeout: Option<f64>,
    /// The `statement_timeout` that counted, in seconds.
    pub statement_timeout: Option<f64>,
    /// The whole call's `timeout`, in seconds.
    pub timeout: f64,
}

/// The explanation: what happened, why, and what to do about it.
#[must_use]
pub fn explain(story: &Story) -> String {
    match story.outcome {
        Outcome::Deadlock => deadlock(story),
        Outcome::LockTimeout => lock_timeout(story),
        Outcome::StatementTimeout => statement_timeout(story),
        Outcome::SerializationFailure => serialization_failure(story),
        Outcome::NoConflict => no_conflict(story),
        Outcome::BlockedByOutsider => blocked(story),
        Outcome::Timeout => timed_out(story),
        Outcome::Error => failed(story),
    }
}

fn is_transaction_control(step: &str) -> bool {
    matches!(step, "BEGIN" | "COMMIT" | "ROLLBACK")
}

fn serialization_failure(story: &Story) -> String {
    format!(
        "{} failed with 40001: another session had committed a change that this isolation level may not see. Run the \
         whole transaction again.",
        join(&with_outcome(story, SessionOutcome::SerializationFailure))
    )
}

fn no_conflict(story: &Story) -> String {
    let locks = |session: &SessionReport| {
        session
            .statements
            .iter()
            .filter(|statement| !is_transaction_control(&statement.step) && statement.rows == Some(0))
            .map(|statement| statement.step.clone())
            .collect::<Vec<_>>()
    };
    let mut missing: Vec<String> = story.sessions.iter().flat_map(locks).collect();
    missing.sort();
    missing.dedup();
    // That a query of the user's own finds nothing says nothing.
    if !missing.is_empty() && !story.code {
        return format!(
            "No deadlock, because there is no {}: a SELECT … FOR {} that matches no row locks nothing and waits for \
             nobody. Give ids of rows that exist and are committed (what an open transaction or a TestCase has made, no \
             other connection can see).",
            missing.join(" and no "),
            story.lock
        );
    }
    if story.lock_is_shared {
        return format!(
            "No deadlock, because FOR {} does not conflict with itself: every session got every lock at once. Such locks \
             deadlock only when the sessions then change the rows.",
            story.lock
        );
    }
    if story.events.iter().any(|event| event.kind == EventKind::Waiting) {
        return "No deadlock: a session waited for another's lock, but nobody waited in turn for it, so it only had to \
                wait until the other was done."
            .to_owned();
    }
    "No deadlock, because no session ever wanted a lock that another one held.".to_owned()
}

fn failed(story: &Story) -> String {
    let failures: Vec<String> = story
        .sessions
        .iter()
        .filter(|session| matches!(session.outcome, SessionOutcome::Error | SessionOutcome::Disconnected))
        .map(|session| {
            let verb = if session.outcome == SessionOutcome::Disconnected { "lost its connection" } else { "failed" };
            let sqlstate = session.sqlstate.as_ref().map(|state| format!(" with {state}")).unwrap_or_default();
            format!("{} {verb}{sqlstate}: {}", session.name, session.message.as_deref().unwrap_or("no reason given"))
        })
        .collect();
    if failures.is_empty() {
        return "The run did not come to its end; see the events.".to_owned();
    }
    sentence(&format!("No deadlock, because a session could not go on. {}", failures.join("; ")))
}

fn with_outcome(story: &Story, outcome: SessionOutcome) -> Vec<String> {
    let those = story.sessions.iter().filter(|session| session.outcome == outcome);
    those.map(|session| session.name.clone()).collect()
}

/// With a full stop, unless it has one, or an end of another kind.
pub(crate) fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.ends_with(['.', '!', '?', '…']) { text.to_owned() } else { format!("{text}.") }
}

/// As a sentence begins.
pub(crate) fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Writing to a String cannot fail.
fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(more);
}

fn join(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
