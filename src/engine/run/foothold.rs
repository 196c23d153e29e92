//! What the sessions' backends hold, ask for and wait for, all at once: what a search learns a step's footprint from.

use super::Run;
use crate::engine::member::Member;
use crate::engine::record::Ending;
use crate::engine::schedule::Foothold;
use crate::error::Error;

impl Run<'_> {
    /// Asks what every session holds.
    pub(super) fn footholds(&mut self) -> Result<Result<Vec<Foothold>, Ending>, Error> {
        let pids: Vec<i32> = self.members.iter().filter_map(|member| member.backend_pid).collect();
        let asked = match self.observer.footholds(&pids, self.leash) {
            Ok(asked) => asked,
            Err(Error::Halted) => return Ok(Err(Ending::Halted)),
            Err(Error::Timeout { .. }) => return Ok(Err(Ending::Timeout)),
            Err(error) => return Err(error),
        };
        let of = |member: &Member| {
            let held = asked.iter().find(|stance| Some(stance.pid) == member.backend_pid);
            let blockers = held.map(|stance| stance.blockers.as_slice()).unwrap_or_default();
            let place = |pid: &i32| self.members.iter().position(|other| other.owns(*pid));
            Foothold {
                blocked_by: blockers.iter().filter_map(place).collect(),
                locks: held.map(|stance| stance.locks.clone()).unwrap_or_default(),
                numbered: held.is_some_and(|stance| stance.numbered),
            }
        };
        Ok(Ok(self.members.iter().map(of).collect()))
    }
}
