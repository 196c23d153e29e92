//! What a permutation's record amounts to, and its story in plain words.

use std::fmt::Write;
use std::time::Duration;

use crate::connection::Facts;
use crate::engine::{Ending, Record};
use crate::report::{Event, EventKind, Outcome, Report, SessionOutcome, told_cycle};

/// The report of a record.
pub(super) fn outcome(mut record: Record, facts: &Facts, deadlock_timeout: Duration) -> Report {
    for session in &mut record.sessions {
        // Where the SQL is the file's own, a session that met no error has done what it was to do.
        if session.outcome == SessionOutcome::Cancelled
            && session.sqlstate.is_none()
            && record.ending == Ending::Complete
        {
            session.outcome = SessionOutcome::Committed;
        }
    }
    let (outcome, victims, cycle) = (record.outcome(), record.victims(), record.cycle());
    let explanation = explanation(outcome, &record, &victims, &cycle, deadlock_timeout);
    Report {
        outcome,
        hidden_deadlock: record.is_hidden(),
        victims,
        cycle,
        sessions: record.sessions,
        events: record.events,
        elapsed: record.elapsed,
        explanation,
        notes: Vec::new(),
        server: facts.server.clone(),
    }
}

/// The SQLSTATE of every statement after the one that failed.
const FOLLOWS: &str = "25P02";

fn explanation(
    outcome: Outcome,
    record: &Record,
    victims: &[String],
    cycle: &[String],
    deadlock_timeout: Duration,
) -> String {
    let mut text = String::new();
    let events = &record.events;
    for event in events.iter().filter(|event| event.kind == EventKind::Waiting) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{} waited in {} for {}. ", event.session, event.step, event.blocked_by.join(" and "));
    }
    if outcome == Outcome::Deadlock {
        let names: Vec<String> = record.sessions.iter().map(|session| session.name.clone()).collect();
        let ring = told_cycle(cycle, &names);
        let ring = if ring.is_empty() { ring } else { format!(" ({ring})") };
        let _ = write!(
            text,
            "So each waited for a lock that only the next could release{ring}; PostgreSQL looked when deadlock_timeout \
             ({} s) had passed, or at once where the locks were on one table, and aborted {} with 40P01. ",
            deadlock_timeout.as_secs_f64(),
            victims.join(" and ")
        );
    }
    let failed = |event: &&Event| event.kind == EventKind::Error && event.sqlstate.as_deref() != Some(FOLLOWS);
    for event in events.iter().filter(failed).filter(|event| event.sqlstate.as_deref() != Some("40P01")) {
        let sqlstate = event.sqlstate.as_deref().unwrap_or("a lost connection");
        let message = event.message.as_deref().unwrap_or_default();
        let _ = write!(text, "{} failed in {} with {sqlstate}: {message}. ", event.session, event.step);
    }
    match outcome {
        Outcome::Error if text.is_empty() && events.is_empty() => text.push_str("No step was run."),
        Outcome::NoConflict if text.is_empty() => text.push_str("Nobody waited for a lock, and nobody failed."),
        Outcome::NoConflict => text.push_str("Whoever waited got the lock in the end, and nobody failed."),
        Outcome::Timeout => text.push_str("Then the time of the whole call was up."),
        _ => {}
    }
    text.trim_end().to_owned()
}
