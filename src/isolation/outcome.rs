//! What a permutation's record amounts to.

use crate::connection::Facts;
use crate::engine::Record;
use crate::report::{Report, SessionOutcome, Story, explain};

/// The report of a record.
pub(super) fn outcome(mut record: Record, facts: &Facts) -> Report {
    for session in &mut record.sessions {
        // Where the SQL is the file's own, a session that met no error has done what it was to do.
        if session.outcome == SessionOutcome::Cancelled && session.sqlstate.is_none() {
            session.outcome = SessionOutcome::Committed;
        }
    }
    let (outcome, victims, cycle) = (record.outcome(), record.victims(), record.cycle());
    let limit = |seconds: f64| (seconds > 0.0).then_some(seconds);
    let explanation = explain(&Story {
        outcome,
        hidden: false,
        sessions: &record.sessions,
        events: &record.events,
        victims: &victims,
        cycle: &cycle,
        outsiders: &record.outsiders,
        lock: "UPDATE",
        lock_is_shared: false,
        scratch: true,
        deadlock_timeout: facts.server.deadlock_timeout,
        lock_timeout: limit(facts.lock_timeout),
        statement_timeout: limit(facts.statement_timeout),
        timeout: 0.0,
    });
    Report {
        outcome,
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
