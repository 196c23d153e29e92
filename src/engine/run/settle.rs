//! Leading a run step by step: release one, and wait until the server has an answer to it or says that it waits.

use std::time::{Duration, Instant};

use super::{LATE_PACE, Run};
use crate::connection::{Aside, cancel_all};
use crate::engine::member::Phase;
use crate::engine::record::Ending;
use crate::engine::schedule::Standing;
use crate::engine::session::SessionId;
use crate::engine::step::{Step, StepResult};
use crate::error::Error;

/// What is known of a released step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is through, has failed, or lost its connection; [`Run::take_result`] has what became of it.
    Done,
    /// The server says that it waits for a lock.
    Waiting,
    /// Neither, and the time that was given is over.
    Neither,
}

impl Run<'_> {
    /// Hands a session its next step ([`Run::add_handed`]), already released: nobody waits at the gate. Waits until the step
    /// before is over, and then as long for this one as most steps take, which spares two handovers between threads.
    pub fn hand(&mut self, session: SessionId, step: Step) -> Result<(), Error> {
        while matches!(self.standing(session), Standing::Running | Standing::Waiting { .. }) {
            self.listen(LATE_PACE)?;
        }
        match self.take_down_locks()? {
            Some(Ending::Timeout) => return Err(Error::Timeout { doing: "running steps".to_owned() }),
            Some(_) => return Err(Error::Halted),
            None => {}
        }
        // A new step has asides of its own; what came unasked before it is heard with it.
        let Some(member) = self.members.get_mut(session.0) else { return Ok(()) };
        let Some(mut handed) = member.handed.take() else { return Ok(()) };
        let (kind, sql) = (step.kind, step.sql.clone());
        member.phase = Phase::AtGate(step);
        self.release(session);
        let started = handed.take(kind, &sql, self.next_look.saturating_duration_since(Instant::now()));
        if let Some(member) = self.members.get_mut(session.0) {
            member.handed = Some(handed);
            if let (Some(driver), Some(thread)) = (&mut member.driver, started?) {
                driver.thread = Some(thread);
            }
        }
        Ok(())
    }

    /// Lets a session that is handed its steps go, when its last one is over. Its transaction is rolled back.
    pub fn dismiss(&mut self, SessionId(index): SessionId) {
        if let Some(member) = self.members.get_mut(index) {
            member.handed = None;
        }
    }

    /// Waits until the session's step is done, or, if it `may_wait`, until the server says that it waits for a lock; at
    /// most until `deadline`. What the server says is asked anew each time.
    pub fn settle(&mut self, session: SessionId, may_wait: bool, deadline: Instant) -> Result<Settled, Error> {
        let SessionId(index) = session;
        if let Some(member) = self.members.get_mut(index)
            && member.blockers_known()
        {
            member.doubt();
            self.next_look = Instant::now();
        }
        loop {
            self.listen(Duration::ZERO)?;
            match self.standing(session) {
                Standing::Waiting { .. } if may_wait => {
                    if self.catch_up(session)? {
                        return Ok(Settled::Waiting);
                    }
                }
                Standing::Running | Standing::Waiting { .. } => {}
                _ => return Ok(Settled::Done),
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(Settled::Neither);
            }
            if may_wait && now >= self.next_look {
                self.look()?;
                continue;
            }
            let pause = if may_wait { self.next_look.saturating_duration_since(now) } else { LATE_PACE };
            self.listen(pause.min(LATE_PACE))?;
        }
    }

    /// From now on the caller is told of events, or, while the sessions only get ready, is not.
    pub fn hush(&mut self, whether: bool) {
        self.journal.hush(whether);
    }

    /// What became of the session's last step, once.
    pub fn take_result(&mut self, SessionId(index): SessionId) -> Option<StepResult> {
        self.members.get_mut(index)?.result.take()
    }

    /// The same, left where it is.
    #[must_use]
    pub fn result(&self, SessionId(index): SessionId) -> Option<&StepResult> {
        self.members.get(index)?.result.as_ref()
    }

    /// What the server has said to the session besides its answers, once.
    pub fn take_asides(&mut self, SessionId(index): SessionId) -> Vec<Aside> {
        self.members.get_mut(index).map(|member| member.asides.drain(..).collect()).unwrap_or_default()
    }

    /// Gives asides back that were taken too early; they come before those that have come since.
    pub fn put_back_asides(&mut self, SessionId(index): SessionId, asides: Vec<Aside>) {
        if let Some(member) = self.members.get_mut(index) {
            asides.into_iter().rev().for_each(|aside| member.asides.push_front(aside));
        }
    }

    /// The backend of a session, once its first step has told it.
    #[must_use]
    pub fn backend_pid(&self, SessionId(index): SessionId) -> Option<i32> {
        self.members.get(index)?.backend_pid
    }

    /// The session runs on this backend, as the server has it.
    pub fn locate(&mut self, SessionId(index): SessionId, backend_pid: i32) {
        if let Some(member) = self.members.get_mut(index) {
            member.move_to(Some(backend_pid));
        }
    }

    /// The connection that watches, for statements between two steps.
    pub fn observer(&mut self) -> &mut crate::engine::Observer {
        self.observer
    }

    /// Cancels what the session does.
    pub fn cancel(&mut self, SessionId(index): SessionId) {
        let cancel = self.members.get(index).and_then(|member| member.driver.as_ref()?.cancel.clone());
        cancel_all(cancel.as_slice(), Duration::from_secs(1));
    }

    /// Where a session stands.
    pub(crate) fn standing(&self, SessionId(index): SessionId) -> Standing {
        self.members.get(index).map_or(Standing::Left, super::Member::standing)
    }

    /// Hears what has come, and what comes within this time, if nothing has.
    pub(crate) fn listen(&mut self, pause: Duration) -> Result<(), Error> {
        let mut heard = false;
        while let Ok(message) = self.inbox.try_recv() {
            self.hear(message);
            heard = true;
        }
        if !heard
            && !pause.is_zero()
            && let Ok(message) = self.inbox.recv_timeout(self.leash.remaining(pause))
        {
            self.hear(message);
        }
        if self.leash.is_cut() || self.journal.is_halted() {
            return Err(Error::Halted);
        }
        if self.leash.is_over() {
            return Err(Error::Timeout { doing: "running steps".to_owned() });
        }
        Ok(())
    }

    /// Hears everything that the server had said to a session until now; whether its step is still on its way. That step has
    /// then been sent.
    pub fn catch_up(&mut self, session: SessionId) -> Result<bool, Error> {
        let SessionId(index) = session;
        let Some(nudge) = self.members.get(index).and_then(|member| Some(member.driver.as_ref()?.nudge.clone())) else {
            return Ok(false);
        };
        let asked = nudge.ask();
        loop {
            let Some(member) = self.members.get_mut(index) else { return Ok(false) };
            if !matches!(member.phase, Phase::Running { .. }) {
                return Ok(false);
            }
            let told = |aside: &Aside| matches!(aside, Aside::UpToDate(number) if *number >= asked);
            if member.asides.iter().any(told) {
                member.asides.retain(|aside| !matches!(aside, Aside::UpToDate(_)));
                return Ok(true);
            }
            self.listen(LATE_PACE)?;
        }
    }
}
