//! Looking who waits for whom.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{Detail, EARLY_LOOKS, EARLY_PACE, LATE_PACE, Run};
use crate::engine::caller::OwnBackend;
use crate::engine::journal::event;
use crate::engine::member::{Member, Phase, Seen};
use crate::engine::observer::Wait;
use crate::engine::record::Ending;
use crate::error::Error;
use crate::report::{Event, EventKind};

/// Another thread of this process that has done nothing in its transaction for so long, while a session waits for it, is
/// not in the middle of something.
const HIDDEN_IDLE: Duration = Duration::from_millis(50);

impl Run<'_> {
    /// Asks the observer who waits for whom: about the sessions of which it is not known, and now and then about all, lest
    /// a queue that others have joined or left go untold. So a ring of many costs a look a session, not one a pair.
    pub(crate) fn look(&mut self) -> Result<Option<Ending>, Error> {
        let survey = Instant::now() >= self.last_survey + self.survey_pace();
        let asked = |member: &Member| member.running_pid().filter(|_| survey || member.is_undecided());
        let pids: Vec<i32> = self.members.iter().filter_map(asked).collect();
        let waits = match self.waits(&pids) {
            Ok(waits) => waits,
            Err(Error::Halted) => return Ok(Some(Ending::Halted)),
            Err(Error::Timeout { .. }) => return Ok(Some(Ending::Timeout)),
            Err(error) => return Err(error),
        };
        let now = Instant::now();
        if survey {
            self.last_survey = now;
        }
        for index in 0..self.members.len() {
            let Some(pid) = self.members[index].running_pid().filter(|pid| pids.contains(pid)) else { continue };
            let wait = waits.iter().find(|wait| wait.pid == pid);
            self.note(index, wait.cloned(), now)?;
        }
        self.looks += 1;
        self.next_look = if !self.members.iter().any(Member::is_undecided) {
            self.last_survey + self.survey_pace()
        } else if self.looks < EARLY_LOOKS {
            now + EARLY_PACE
        } else {
            now + LATE_PACE
        };
        if survey && self.judge_entangled() {
            return Ok(Some(Ending::Hidden));
        }
        self.judge_outsiders(now)
    }

    /// Who waits for whom; and if one session is asked about that has only to wait for its locks, for which.
    fn waits(&mut self, pids: &[i32]) -> Result<Vec<Wait>, Error> {
        if let [pid] = *pids
            && self.detail != Detail::Nothing
            && self.members.iter().any(|member| member.running_pid() == Some(pid) && member.follows_script)
        {
            return Ok(self.observer.wait(pid, self.leash)?.into_iter().collect());
        }
        self.observer.waits(pids, self.leash)
    }

    /// Whether sessions that have several connections wait in a ring that PostgreSQL cannot see: one of them waits on a
    /// connection for what another one's code, or its own, holds on one that it does not use now. All of them were asked
    /// about at once.
    fn judge_entangled(&mut self) -> bool {
        for (start, member) in self.members.iter().enumerate() {
            for idle in member.blockers().iter().filter(|&&pid| self.is_idle(pid)) {
                if let Some(ring) = self.ring_through(*idle, start) {
                    self.stuck.entangled = ring.into_iter().map(|index| self.members[index].name.clone()).collect();
                    return true;
                }
            }
        }
        false
    }

    /// Whether a backend is a session's that waits on another one of its own.
    fn is_idle(&self, pid: i32) -> bool {
        self.members.iter().any(|member| member.owns(pid) && member.running_pid().is_some_and(|running| running != pid))
    }

    /// The sessions from `start` over the one that has this backend back to it, if they wait in a ring.
    fn ring_through(&self, idle: i32, start: usize) -> Option<Vec<usize>> {
        let owner = |pid: i32| self.members.iter().position(|member| member.owns(pid));
        let mut ways = vec![vec![start, owner(idle)?]];
        let mut seen = BTreeSet::new();
        while let Some(mut way) = ways.pop() {
            let last = *way.last()?;
            if last == start {
                way.pop();
                return Some(way);
            }
            if seen.insert(last) {
                let next = self.members[last].blockers().iter().filter_map(|&pid| owner(pid));
                ways.extend(next.map(|next| way.iter().copied().chain([next]).collect()));
            }
        }
        None
    }

    /// Takes down whether one session waits.
    fn note(&mut self, index: usize, wait: Option<Wait>, now: Instant) -> Result<(), Error> {
        let Phase::Running { seen, behind, .. } = &mut self.members[index].phase else { return Ok(()) };
        let Some(wait) = wait else {
            *seen = None;
            return Ok(());
        };
        if let Some(seen) = seen
            && seen.blockers == wait.blockers
        {
            seen.in_doubt = false;
            return Ok(());
        }
        let since = seen.as_ref().map_or(now, |seen| seen.at);
        behind.clone_from(&wait.blockers);
        *seen = Some(Seen { at: since, blockers: wait.blockers.clone(), in_doubt: false });
        let is_asked = self.detail != Detail::Nothing && wait.lock.is_none();
        let lock = match is_asked.then(|| self.observer.lock(wait.pid, self.leash)) {
            None => wait.lock,
            Some(Err(error @ (Error::Server { .. } | Error::Lost { .. }))) => return Err(error),
            Some(other) => other.ok().flatten(),
        };
        let seconds = self.journal.seconds(now);
        self.tell_waiting(index, &wait.blockers, lock, seconds);
        Ok(())
    }

    /// Writes down that a session's step waits for these backends.
    pub(super) fn tell_waiting(&mut self, index: usize, blockers: &[i32], lock: Option<String>, seconds: f64) {
        let blocked_by = blockers.iter().map(|&pid| self.name_of(pid)).collect();
        let Some(member) = self.members.get_mut(index) else { return };
        let Some(statement) = member.statements.last_mut() else { return };
        statement.waited = true;
        let waiting = event(seconds, &member.name, member.backend_pid, EventKind::Waiting, &statement.step);
        let waiting = Event {
            statement: Some(statement.sql.clone()),
            source: statement.source.clone(),
            blocked_by,
            lock,
            ..waiting
        };
        self.journal.record(waiting);
    }

    fn name_of(&self, pid: i32) -> String {
        match self.members.iter().find(|member| member.owns(pid)) {
            Some(member) => member.name.clone(),
            None if pid == 0 => "a prepared transaction".to_owned(),
            None => format!("pid {pid}"),
        }
    }

    /// A backend of this very process that is waited for and will not let go: the calling thread's, which is in this
    /// call, or, where threads are not watched, another thread's that does nothing in its transaction.
    fn hidden_holder(&mut self) -> Result<Option<OwnBackend>, Error> {
        let waited_for: Vec<i32> = self.members.iter().flat_map(|member| member.blockers().to_vec()).collect();
        let own: Vec<OwnBackend> = self.own.iter().filter(|own| waited_for.contains(&own.pid)).cloned().collect();
        for holder in own {
            let idle = self.observer.idle_in_transaction(holder.pid, self.leash)?;
            if idle.is_some_and(|idle| holder.calling || (!self.watches_threads && idle >= HIDDEN_IDLE)) {
                return Ok(Some(holder));
            }
        }
        Ok(None)
    }

    /// Whether somebody outside the run keeps it from ever ending.
    fn judge_outsiders(&mut self, now: Instant) -> Result<Option<Ending>, Error> {
        let ours: Vec<i32> = self.members.iter().flat_map(|member| member.backends.iter().copied()).collect();
        let mut strangers = Vec::new();
        let mut patient = true;
        for member in &self.members {
            let Phase::Running { seen: Some(seen), .. } = &member.phase else { continue };
            let before = strangers.len();
            strangers.extend(seen.blockers.iter().copied().filter(|pid| !ours.contains(pid)));
            if strangers.len() > before && now.saturating_duration_since(seen.at) >= self.outsider_patience {
                patient = false;
            }
        }
        strangers.retain(|pid| !self.outsiders.iter().any(|known| known.pid == *pid));
        if !strangers.is_empty() {
            strangers.sort_unstable();
            strangers.dedup();
            let known = self.observer.outsiders(&strangers, self.leash)?;
            self.outsiders.extend(known);
            self.own = self.line.own_backends();
            self.own.retain(|own| !ours.contains(&own.pid));
        }
        if let Some(holder) = self.hidden_holder()? {
            self.tell_hidden(&holder);
            return Ok(Some(Ending::Hidden));
        }
        Ok((!patient && self.board().is_settled()).then_some(Ending::Outsider))
    }
}
