//! Noting which locks a statement took.

use super::{Detail, Run};
use crate::engine::member::Member;
use crate::engine::record::Ending;
use crate::engine::session::SessionId;
use crate::error::Error;
use crate::report::row_locks;

impl Run<'_> {
    /// Whether there is something to take down.
    pub(super) fn owes_locks(&self) -> bool {
        self.detail == Detail::Locks && self.members.iter().any(|member| member.locks_due)
    }

    /// Asks nothing that only a report tells: neither for which lock a session waits, nor which locks a statement took. For
    /// many runs that are counted.
    pub fn note_nothing(&mut self) {
        self.detail = Detail::Nothing;
    }

    /// Whether each statement's report says which locks it took. That is one more question to the server for every
    /// statement that ends well (0.1 to 0.7 ms), so it is off unless asked for.
    pub fn note_locks(&mut self, whether: bool) {
        self.detail = if whether { Detail::Locks } else { Detail::Waits };
    }

    /// Takes down the locks of the statements that have ended since the last time, in one question. Whoever has ended one
    /// stands at its gate, or has left: so no lock is missed, and none is another statement's, as long as this is done before
    /// that session's next release.
    pub(super) fn take_down_locks(&mut self) -> Result<Option<Ending>, Error> {
        if !self.owes_locks() {
            return Ok(None);
        }
        let due = |member: &&Member| member.locks_due;
        let pids: Vec<i32> = self.members.iter().filter(due).filter_map(|member| member.backend_pid).collect();
        let held = match self.observer.held_locks(&pids, self.leash) {
            Ok(held) => held,
            Err(Error::Halted) => return Ok(Some(Ending::Halted)),
            Err(Error::Timeout { .. }) => return Ok(Some(Ending::Timeout)),
            Err(error) => return Err(error),
        };
        for member in self.members.iter_mut().filter(|member| member.locks_due) {
            member.locks_due = false;
            let own = held.iter().filter(|(pid, _)| Some(*pid) == member.backend_pid);
            let holds: Vec<String> = own.map(|(_, lock)| lock.clone()).collect();
            if let Some(statement) = member.statements.last_mut() {
                statement.locks = holds.iter().filter(|lock| !member.held.contains(lock)).cloned().collect();
                statement.locks.extend(row_locks(&statement.sql, statement.rows.unwrap_or_default()));
            }
            member.held = holds;
        }
        Ok(None)
    }

    /// The same before a session's release, if it is one of those.
    pub(super) fn take_down_locks_of(&mut self, SessionId(index): SessionId) -> Result<Option<Ending>, Error> {
        if self.members.get(index).is_some_and(|member| member.locks_due) { self.take_down_locks() } else { Ok(None) }
    }
}
