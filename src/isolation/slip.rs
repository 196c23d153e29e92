//! Whether a deadlock's victim is the session that was to be it.
//!
//! In a scenario the waits begin a part of `deadlock_timeout` apart, so PostgreSQL's check for the first of them comes
//! first, and that session is aborted. On a machine that is too busy its process may be woken too late, or the cycle may be
//! closed too late: then another one's check finds it. The server's answer tells.

use std::time::Duration;

use crate::report::{EventKind, Report};

/// Another session was aborted than the one that was to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slip {
    /// Who was aborted.
    victim: String,
    /// Who was to be.
    first: String,
}

impl Slip {
    /// What is to be said of it.
    pub(super) fn note(&self, number: usize) -> String {
        let Self { victim, first } = self;
        format!(
            "Permutation {number} was run again: PostgreSQL aborted {victim}, although {first} had begun to wait before; the \
             machine was too busy to look at {first} in time."
        )
    }
}

/// Whether the first deadlock of a permutation went so.
pub(super) fn slip(report: &Report, deadlock_timeout: Duration) -> Option<Slip> {
    let aborted = |kind, sqlstate: Option<&str>| kind == EventKind::Error && sqlstate == Some("40P01");
    let end = report.events.iter().position(|event| aborted(event.kind, event.sqlstate.as_deref()))?;
    let (before, victim) = (&report.events[..end], &report.events[end]);
    let wait = |name: &str| before.iter().rposition(|event| event.kind == EventKind::Waiting && event.session == name);
    let waits: Vec<(usize, &String)> =
        report.cycle.iter().map(|name| Some((wait(name)?, name))).collect::<Option<_>>()?;
    let (_, first) = waits.iter().min()?;
    let (seen, _) = waits.iter().find(|(_, name)| **name == victim.session)?;
    // A cycle of lock upgrades on one table is found at once; there the last one to ask is aborted.
    let since = seen.checked_sub(1).map_or(0.0, |place| before[place].at);
    let was_timed = victim.at >= since + deadlock_timeout.as_secs_f64();
    (was_timed && **first != victim.session).then(|| Slip { victim: victim.session.clone(), first: (*first).clone() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::slip;
    use crate::report::{Event, EventKind, Outcome, Report, Server};

    fn report(victim: &str, at: f64) -> Report {
        let event = |at, session: &str, kind| Event {
            at,
            session: session.to_owned(),
            backend_pid: None,
            kind,
            step: "step".to_owned(),
            statement: None,
            blocked_by: Vec::new(),
            lock: None,
            sqlstate: (kind == EventKind::Error).then(|| "40P01".to_owned()),
            message: None,
            rows: None,
            source: None,
        };
        let cycle = if victim == "A" { ["A", "B"] } else { ["B", "A"] };
        Report {
            outcome: Outcome::Deadlock,
            hidden_deadlock: false,
            victims: vec![victim.to_owned()],
            cycle: cycle.map(str::to_owned).to_vec(),
            sessions: Vec::new(),
            events: vec![
                event(0.001, "A", EventKind::Request),
                event(0.002, "A", EventKind::Waiting),
                event(0.030, "B", EventKind::Request),
                event(0.031, "B", EventKind::Waiting),
                event(at, victim, EventKind::Error),
            ],
            elapsed: at,
            explanation: String::new(),
            notes: Vec::new(),
            server: Server::default(),
        }
    }

    #[test]
    fn the_first_to_wait_is_to_be_aborted() {
        let timeout = Duration::from_millis(250);
        assert_eq!(slip(&report("A", 0.252), timeout), None);
        let note = slip(&report("B", 0.282), timeout).map(|slip| slip.note(1)).unwrap_or_default();
        assert!(note.starts_with("Permutation 1 was run again: PostgreSQL aborted B, although A had begun"), "{note}");
    }

    #[test]
    fn what_is_found_at_once_is_nobodys_delay() {
        assert_eq!(slip(&report("B", 0.032), Duration::from_millis(250)), None);
    }

    #[test]
    fn without_a_deadlock_there_is_none() {
        let mut calm = report("A", 0.252);
        calm.events.pop();
        assert_eq!(slip(&calm, Duration::from_millis(250)), None);
    }
}
