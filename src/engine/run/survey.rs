//! Looking at the threads of this process: what holds a session up, where the server cannot see it.
//!
//! A session that is on its way to its next gate may wait for another thread: for a lock of Python's, a queue, an event, a
//! thread's end. Only another session can let it go on if no other thread can do anything by itself. Then the schedule goes
//! on with the others; and when all of them wait, and what they wait for is held by such a one, that is a deadlock that
//! PostgreSQL cannot see.

use std::time::{Duration, Instant};

use super::Run;
use crate::engine::caller::OwnBackend;
use crate::engine::member::{Member, Phase};
use crate::engine::record::{Ending, HeldUp, Helper, Stuck};
use crate::engine::schedule::Standing;
use crate::error::Error;
use crate::report::{Edge, cycle_through};

/// Code that has come to no gate for this long may wait for another thread; …
const SURVEY_AFTER: Duration = Duration::from_millis(5);
/// … the threads are looked at this often meanwhile, …
const SURVEY_PACE: Duration = Duration::from_millis(10);
/// … and so long after a session has done something; …
const SURVEY_SOON: Duration = Duration::from_millis(1);
/// … but the threads have so many times as long to themselves as a look takes, which holds them up.
const SURVEY_REST: u32 = 8;

impl Run<'_> {
    /// From now on the threads of the calling process are looked at when a session does not come to its gate.
    pub fn watch_threads(&mut self) {
        self.watches_threads = true;
    }

    /// A session has done something: what held others up may do so no longer.
    pub(super) fn disturb(&mut self) {
        self.calm = None;
        for member in &mut self.members {
            member.held_up = None;
        }
        self.next_survey = self.next_survey.min(Instant::now() + SURVEY_SOON);
    }

    /// Looks at the threads of this process, if everything else has settled; the run's end, if nobody can ever go on.
    pub(super) fn survey(&mut self) -> Result<Option<Ending>, Error> {
        let now = Instant::now();
        if now < self.next_survey.max(self.surveyed_enough_until) || !self.is_survey_due(now) {
            return Ok(None);
        }
        self.next_survey = now + SURVEY_PACE;
        let threads = self.line.threads();
        self.surveyed_enough_until = Instant::now() + now.elapsed() * SURVEY_REST;
        let Some(threads) = threads else { return Ok(None) };
        let calm = if threads.acting { Ok(None) } else { self.waits_of(&threads.asking) };
        self.calm = match calm {
            Ok(calm) => calm,
            Err(Error::Halted) => return Ok(Some(Ending::Halted)),
            Err(Error::Timeout { .. }) => return Ok(Some(Ending::Timeout)),
            Err(error) => return Err(error),
        };
        for (index, member) in self.members.iter_mut().enumerate() {
            let place = threads.held_up.get(index).cloned().flatten();
            member.held_up = place.filter(|_| self.calm.is_some() && matches!(member.phase, Phase::Coming));
        }
        self.judge_threads()
    }

    /// Whether every session stands where it will stay, as far as the server can tell, and one may wait for a thread.
    fn is_survey_due(&self, now: Instant) -> bool {
        let stands = |member: &Member| match member.standing() {
            Standing::Coming => now.saturating_duration_since(member.coming_since) >= SURVEY_AFTER,
            Standing::Running => false,
            Standing::AtGate(_) | Standing::Waiting { .. } | Standing::HeldUp { .. } | Standing::Left => true,
        };
        let may_wait = |member: &Member| {
            matches!(member.phase, Phase::Coming) || self.own.iter().any(|own| member.blockers().contains(&own.pid))
        };
        self.watches_threads && self.members.iter().all(stands) && self.members.iter().any(may_wait)
    }

    /// The waits of threads that are no session's; `None` if one of them does not wait.
    fn waits_of(&mut self, asking: &[OwnBackend]) -> Result<Option<Vec<Helper>>, Error> {
        if asking.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let pids: Vec<i32> = asking.iter().map(|own| own.pid).collect();
        let waits = self.observer.waits(&pids, self.leash)?;
        let helper = |own: &OwnBackend| {
            let wait = waits.iter().find(|wait| wait.pid == own.pid)?;
            let of = |pid: &i32| self.members.iter().find(|member| member.owns(*pid));
            let blocked_by = wait.blockers.iter().filter_map(of).map(|member| member.name.clone()).collect();
            Some(Helper { pid: own.pid, blockers: wait.blockers.clone(), blocked_by, place: own.place.clone() })
        };
        Ok(asking.iter().map(helper).collect())
    }

    /// Whether nobody can ever go on: nobody stands at a gate, and every wait ends in this process, at somebody who waits
    /// for another thread.
    fn judge_threads(&mut self) -> Result<Option<Ending>, Error> {
        let board = self.board();
        let Some(helpers) = self.calm.clone().filter(|_| board.is_settled() && board.first_at_gate().is_none()) else {
            return Ok(None);
        };
        let mut edges: Vec<Edge> = Vec::new();
        let mut waits_for = |waiter: i32, holders: &[i32]| {
            edges.extend(holders.iter().map(|&holder| Edge { waiter, holder }));
        };
        for member in &self.members {
            if let (Standing::Waiting { .. }, Some(pid)) = (member.standing(), member.backend_pid) {
                waits_for(pid, member.blockers());
            }
        }
        for helper in &helpers {
            waits_for(helper.pid, &helper.blockers);
        }
        // PostgreSQL sees a cycle of its own, and will resolve it.
        if edges.iter().any(|edge| !cycle_through(edge.waiter, &edges).is_empty()) {
            return Ok(None);
        }
        let mut hidden = self.members.iter().any(|member| member.held_up.is_some());
        for end in edges.iter().map(|edge| edge.holder) {
            if edges.iter().any(|edge| edge.waiter == end) {
                continue;
            }
            match self.members.iter().find(|member| member.owns(end)) {
                Some(member) if member.held_up.is_some() => {}
                Some(_) => return Ok(None),
                None => match self.own_idle(end)? {
                    Some(holder) => {
                        self.tell_hidden(&holder);
                        hidden = true;
                    }
                    None => return Ok(None),
                },
            }
        }
        if !hidden {
            return Ok(None);
        }
        let held_up = |member: &Member| Some(HeldUp { session: member.name.clone(), place: member.held_up.clone()? });
        let held_up = self.members.iter().filter_map(held_up).collect();
        self.stuck = Stuck { held_up, helpers, ..Stuck::default() };
        Ok(Some(Ending::Hidden))
    }

    /// The backend, if it is this very process's and does nothing in its transaction.
    fn own_idle(&mut self, pid: i32) -> Result<Option<OwnBackend>, Error> {
        if !self.own.iter().any(|own| own.pid == pid) {
            self.own = self.line.own_backends();
        }
        let Some(own) = self.own.iter().find(|own| own.pid == pid).cloned() else { return Ok(None) };
        Ok(self.observer.idle_in_transaction(pid, self.leash)?.map(|_| own))
    }

    /// Takes down which backend of this process is in the way.
    pub(super) fn tell_hidden(&mut self, holder: &OwnBackend) {
        self.outsiders.retain(|outsider| outsider.pid == holder.pid);
        for outsider in &mut self.outsiders {
            outsider.place.clone_from(&holder.place);
        }
    }
}
