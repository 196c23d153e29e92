//! What a run's record amounts to.

use super::options::Checked;
use super::target::Target;
use crate::connection::Facts;
use crate::engine::Record;
use crate::report::{Outcome, Report, Story, explain};
use crate::scenario::victim::Choice;

/// The report of a record.
pub(super) fn report(
    checked: &Checked,
    facts: &Facts,
    choice: &Choice,
    target: &Target,
    record: Record,
    mut notes: Vec<String>,
) -> Report {
    let outcome = record.outcome();
    let hidden = record.is_hidden();
    let victims = record.victims();
    let cycle = record.cycle();
    let chosen = checked.victim.and_then(|victim| checked.names.get(victim.0));
    if let Some(chosen) = chosen
        && outcome == Outcome::Deadlock
        && !victims.contains(chosen)
    {
        notes.push(format!("{chosen} was to be the victim, but PostgreSQL aborted {} instead.", victims.join(" and ")));
    }
    let story = Story {
        outcome,
        hidden,
        code: false,
        sessions: &record.sessions,
        events: &record.events,
        victims: &victims,
        cycle: &cycle,
        outsiders: &record.outsiders,
        stuck: &record.stuck,
        lock_is_shared: checked.lock.is_shared(),
        lock: &checked.lock.clause().unwrap_or("advisory").replace("FOR ", ""),
        scratch: !matches!(target, Target::Rows { name: Some(_), .. }),
        deadlock_timeout: choice.deadlock_timeout.as_secs_f64(),
        servers_deadlock_timeout: facts.server.deadlock_timeout,
        lock_timeout: checked
            .lock_timeout
            .map(|limit| limit.as_secs_f64())
            .or((facts.lock_timeout > 0.0).then_some(facts.lock_timeout)),
        statement_timeout: checked
            .statement_timeout
            .map(|limit| limit.as_secs_f64())
            .or((facts.statement_timeout > 0.0).then_some(facts.statement_timeout)),
        timeout: checked.timeout.as_secs_f64(),
    };
    let explanation = explain(&story);
    Report {
        outcome,
        hidden_deadlock: hidden,
        victims,
        cycle,
        sessions: record.sessions,
        events: record.events,
        elapsed: record.elapsed,
        explanation,
        notes,
        server: facts.server.clone(),
    }
}
