//! What the sessions' backends hold, ask for and wait for, all at once: what a search learns a step's footprint from.

use std::time::Instant;

use super::Run;
use crate::engine::member::Member;
use crate::engine::record::Ending;
use crate::engine::schedule::Foothold;
use crate::error::Error;

impl Run<'_> {
    /// Asks what every session holds. Nothing is told if one that was seen to wait is on its way: woken, it has not got, or
    /// not yet asked anew for, what it wants. Then the run has not settled.
    pub(super) fn footholds(&mut self) -> Result<Result<Option<Vec<Foothold>>, Ending>, Error> {
        let pids: Vec<i32> = self.members.iter().filter_map(|member| member.backend_pid).collect();
        let asked = match self.observer.footholds(&pids, self.leash) {
            Ok(asked) => asked,
            Err(Error::Halted) => return Ok(Err(Ending::Halted)),
            Err(Error::Timeout { .. }) => return Ok(Err(Ending::Timeout)),
            Err(error) => return Err(error),
        };
        let is_blocked = |pid| asked.iter().any(|stance| stance.pid == pid && !stance.blockers.is_empty());
        let mut settled = true;
        for member in &mut self.members {
            if member.blockers_known() && !member.running_pid().is_some_and(is_blocked) {
                member.doubt();
                settled = false;
            }
        }
        if !settled {
            self.looks = 0;
            self.next_look = Instant::now();
            return Ok(Ok(None));
        }
        let of = |member: &Member| {
            let held = asked.iter().find(|stance| Some(stance.pid) == member.backend_pid);
            let blockers = held.map(|stance| stance.blockers.as_slice()).unwrap_or_default();
            let place = |pid: &i32| self.members.iter().position(|other| other.owns(*pid));
            Foothold {
                blocked_by: blockers.iter().filter_map(place).collect(),
                locks: held.map(|stance| stance.locks.clone()).unwrap_or_default(),
                numbered: held.is_some_and(|stance| stance.numbered),
                queued: held.is_some_and(|stance| stance.queued),
            }
        };
        Ok(Ok(Some(self.members.iter().map(of).collect())))
    }
}
