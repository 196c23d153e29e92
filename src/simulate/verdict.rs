//! What a run's record amounts to.

use super::options::Checked;
use super::target::Target;
use crate::connection::Facts;
use crate::engine::run::{Ending, Record};
use crate::report::{Edge, Outcome, Report, SessionOutcome, SessionReport, Story, cycle_through, explain};
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
    let outcome = outcome(&record);
    let victims = victims(&record);
    let cycle = cycle(&record);
    let chosen = checked.victim.and_then(|victim| checked.names.get(victim.0));
    if let Some(chosen) = chosen
        && outcome == Outcome::Deadlock
        && !victims.contains(chosen)
    {
        notes.push(format!("{chosen} was to be the victim, but PostgreSQL aborted {} instead.", victims.join(" and ")));
    }
    let story = Story {
        outcome,
        hidden: record.ending == Ending::Hidden,
        sessions: &record.sessions,
        events: &record.events,
        victims: &victims,
        cycle: &cycle,
        outsiders: &record.outsiders,
        lock_is_shared: checked.lock.is_shared(),
        lock: &checked.lock.clause().unwrap_or("advisory").replace("FOR ", ""),
        scratch: !matches!(target, Target::Rows { name: Some(_), .. }),
        deadlock_timeout: choice.deadlock_timeout.as_secs_f64(),
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

fn outcome(record: &Record) -> Outcome {
    let any = |wanted: SessionOutcome| record.sessions.iter().any(|session| session.outcome == wanted);
    match record.ending {
        _ if any(SessionOutcome::DeadlockVictim) => Outcome::Deadlock,
        Ending::Timeout | Ending::Halted => Outcome::Timeout,
        Ending::Outsider | Ending::Hidden => Outcome::BlockedByOutsider,
        _ if any(SessionOutcome::LockTimeout) => Outcome::LockTimeout,
        _ if any(SessionOutcome::StatementTimeout) => Outcome::StatementTimeout,
        _ if any(SessionOutcome::SerializationFailure) => Outcome::SerializationFailure,
        Ending::Complete if record.sessions.iter().all(|session| session.outcome == SessionOutcome::Committed) => {
            Outcome::NoConflict
        }
        Ending::Complete | Ending::Slipped => Outcome::Error,
    }
}

fn victims(record: &Record) -> Vec<String> {
    let aborted = record.events.iter().filter(|event| event.sqlstate.as_deref() == Some("40P01"));
    let mut names: Vec<String> = Vec::new();
    for event in aborted {
        if !names.contains(&event.session) {
            names.push(event.session.clone());
        }
    }
    names
}

/// The cycle by the server's own account of it, else by what the observer last saw.
fn cycle(record: &Record) -> Vec<String> {
    let first = record.events.iter().find(|event| event.sqlstate.as_deref() == Some("40P01"));
    let Some(victim) = first.and_then(|event| record.sessions.iter().find(|session| session.name == event.session))
    else {
        return Vec::new();
    };
    let Some(pid) = victim.backend_pid else { return Vec::new() };
    let told = edges_of(victim.detail.as_deref().unwrap_or_default());
    let mut pids = cycle_through(pid, &told);
    if pids.is_empty() {
        pids = cycle_through(pid, &record.edges);
    }
    pids.into_iter().map(|pid| name_of(pid, &record.sessions)).collect()
}

fn name_of(pid: i32, sessions: &[SessionReport]) -> String {
    let session = sessions.iter().find(|session| session.backend_pid == Some(pid));
    session.map_or_else(|| format!("pid {pid}"), |session| session.name.clone())
}

/// The edges that a deadlock's DETAIL tells. The text is translated, but each line begins with the waiting process and
/// ends with the one that blocks it, in every language that PostgreSQL speaks.
fn edges_of(detail: &str) -> Vec<Edge> {
    let numbers = |line: &str| -> Vec<i32> {
        line.split(|character: char| !character.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    };
    detail
        .lines()
        .filter_map(|line| {
            let numbers = numbers(line);
            Some(Edge { waiter: *numbers.first()?, holder: *numbers.last()? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::edges_of;
    use crate::report::Edge;

    #[test]
    fn detail_tells_the_edges_in_any_language() {
        let english = "Process 11 waits for ShareLock on transaction 745; blocked by process 12.\n\
                       Process 12 waits for ShareLock on transaction 744; blocked by process 11.";
        let german = "Prozess 11 wartet auf ShareLock-Sperre auf Transaktion 745; blockiert von Prozess 12.\n\
                      Prozess 12 wartet auf ShareLock-Sperre auf Transaktion 744; blockiert von Prozess 11.";
        let edges = [Edge { waiter: 11, holder: 12 }, Edge { waiter: 12, holder: 11 }];
        assert_eq!(edges_of(english), edges);
        assert_eq!(edges_of(german), edges);
    }
}
