//! What a run leaves behind for the report.

use super::observer::Outsider;
use crate::report::{Edge, Event, Outcome, SessionOutcome, SessionReport, cycle_through};

/// How a run came to its end.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Every session has ended.
    Complete,
    /// The schedule's clock has run away; nothing is known. Run it again.
    Slipped,
    /// The time was up.
    Timeout,
    /// The caller wanted it to end.
    Halted,
    /// The schedule has given up: it cannot be followed.
    GivenUp,
    /// A session outside the run holds what is waited for, and does not let go.
    Outsider,
    /// This very process holds what is waited for, and waits itself: nobody can ever let go, and PostgreSQL sees no cycle.
    Hidden,
}

/// A session whose code waits for another thread that cannot let it go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldUp {
    /// Which.
    pub session: String,
    /// `file:line` of where its code waits.
    pub place: String,
}

/// A thread that is no session's and waits in the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// Its backend.
    pub pid: i32,
    /// Whom it waits for.
    pub blockers: Vec<i32>,
    /// The sessions among them.
    pub blocked_by: Vec<String>,
    /// `file:line` of where its code is.
    pub place: Option<String>,
}

/// Who in this process could not go on, where PostgreSQL could not see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stuck {
    /// The sessions whose code waited for another thread.
    pub held_up: Vec<HeldUp>,
    /// The threads that were no session's and waited in the server.
    pub helpers: Vec<Helper>,
    /// The sessions that waited for one another's other connections, or for their own: each for the next, the last for the
    /// first.
    pub entangled: Vec<String>,
}

/// What a run leaves behind for the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// How it ended.
    pub ending: Ending,
    /// What became of each session.
    pub sessions: Vec<SessionReport>,
    /// Everything that happened.
    pub events: Vec<Event>,
    /// Who waited for whom when the first session was aborted with 40P01.
    pub edges: Vec<Edge>,
    /// The backends outside the run that were seen in the way.
    pub outsiders: Vec<Outsider>,
    /// Who could not go on at the end of a run that could not.
    pub stuck: Stuck,
    /// Seconds from the start to the end of the last session.
    pub elapsed: f64,
}

impl Record {
    /// How it ended, as a whole.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let any = |wanted: SessionOutcome| self.sessions.iter().any(|session| session.outcome == wanted);
        match self.ending {
            _ if any(SessionOutcome::DeadlockVictim) => Outcome::Deadlock,
            Ending::Timeout | Ending::Halted => Outcome::Timeout,
            Ending::Outsider | Ending::Hidden => Outcome::BlockedByOutsider,
            _ if any(SessionOutcome::LockTimeout) => Outcome::LockTimeout,
            _ if any(SessionOutcome::StatementTimeout) => Outcome::StatementTimeout,
            _ if any(SessionOutcome::SerializationFailure) => Outcome::SerializationFailure,
            Ending::Complete if self.sessions.iter().all(|session| session.outcome.is_well()) => Outcome::NoConflict,
            Ending::Complete | Ending::Slipped | Ending::GivenUp => Outcome::Error,
        }
    }

    /// Whether nobody could ever go on, where PostgreSQL could not see it.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.ending == Ending::Hidden && self.outcome() == Outcome::BlockedByOutsider
    }

    /// The sessions that were aborted with 40P01, in that order.
    #[must_use]
    pub fn victims(&self) -> Vec<String> {
        let aborted = self.events.iter().filter(|event| event.sqlstate.as_deref() == Some("40P01"));
        let mut names: Vec<String> = Vec::new();
        for event in aborted {
            if !names.contains(&event.session) {
                names.push(event.session.clone());
            }
        }
        names
    }

    /// The cycle, victim first, by the server's own account of it, else by what the observer last saw.
    #[must_use]
    pub fn cycle(&self) -> Vec<String> {
        let first = self.events.iter().find(|event| event.sqlstate.as_deref() == Some("40P01"));
        let Some(victim) = first.and_then(|event| self.sessions.iter().find(|session| session.name == event.session))
        else {
            return Vec::new();
        };
        let Some(pid) = victim.backend_pid else { return Vec::new() };
        let told = edges_of(victim.detail.as_deref().unwrap_or_default());
        let mut pids = cycle_through(pid, &told);
        if pids.is_empty() {
            pids = cycle_through(pid, &self.edges);
        }
        pids.into_iter().map(|pid| name_of(pid, &self.sessions)).collect()
    }
}

fn name_of(pid: i32, sessions: &[SessionReport]) -> String {
    let session = sessions.iter().find(|session| session.backend_pid == Some(pid));
    session.map_or_else(|| format!("pid {pid}"), |session| session.name.clone())
}

/// The edges that a deadlock's DETAIL tells. The text is translated, but each line begins with the waiting process and
/// ends with the one that blocks it, in every language that PostgreSQL speaks.
pub(super) fn edges_of(detail: &str) -> Vec<Edge> {
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
