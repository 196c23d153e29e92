//! One permutation, by the rules of PostgreSQL's isolation tester (`src/test/isolation/README`): what is launched when,
//! and above all what is *reported* when.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::SpecOptions;
use super::transcript::{Transcript, message};
use crate::connection::{Aside, Broken, Leash};
use crate::engine::run::{Run, Settled};
use crate::engine::{SessionId, Step, StepKind, StepResult};
use crate::error::Error;
use crate::scenario::spec::{Blocker, Permutation, PermutationStep, Spec};
use crate::scenario::sql::{End, end_of_transaction};

/// What a permutation plays on.
pub(super) struct Stage<'s, 'r> {
    pub(super) run: &'s mut Run<'r>,
    pub(super) spec: &'s Spec,
    pub(super) mailboxes: &'s [Sender<Step>],
    pub(super) pids: &'s [i32],
    pub(super) options: &'s SpecOptions,
    pub(super) leash: &'s Leash,
    /// How long a step that waits for a lock is left to it before the next one is launched.
    pub(super) patience: Duration,
    /// The sessions whose last step has failed.
    pub(super) failed: Vec<SessionId>,
}

/// Why a permutation did not come to its end.
pub(super) enum Stopped {
    /// The file is given up; the transcript says why, and so does this.
    GaveUp(String),
    /// The call ends.
    Error(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// Runs one permutation, with setup and teardown.
pub(super) fn run_permutation(
    stage: &mut Stage<'_, '_>,
    order: &Permutation,
    transcript: &mut Transcript,
) -> Result<(), Stopped> {
    transcript.begin(order);
    stage.failed.clear();
    for setup in &stage.spec.setups {
        stage.control(setup, "setup", transcript).map_err(Failed::fatal)?;
    }
    stage.each_session("setup", transcript)?;
    let sessions = stage.spec.sessions.len();
    let mut play = Play {
        order,
        launched: vec![None; sessions],
        notices: vec![0; sessions],
        targets: vec![Vec::new(); order.steps.len()],
        waiting: Vec::new(),
        something_new: false,
        transcript,
        stage,
    };
    play.perform()?;
    stage.each_session("teardown", transcript)?;
    if let Some(teardown) = &stage.spec.teardown {
        match stage.control(teardown, "teardown", transcript) {
            Ok(()) | Err(Failed::Told(_)) => {}
            Err(failed @ Failed::Error(_)) => return Err(failed.fatal()),
        }
    }
    Ok(())
}

enum Failed {
    /// The server refused; the transcript has it.
    Told(String),
    Error(Error),
}

impl Failed {
    fn fatal(self) -> Stopped {
        match self {
            Self::Told(why) => Stopped::GaveUp(why),
            Self::Error(error) => Stopped::Error(error),
        }
    }
}

impl Stage<'_, '_> {
    /// Runs setup or teardown on the control connection; only the last result is printed.
    fn control(&mut self, sql: &str, what: &str, transcript: &mut Transcript) -> Result<(), Failed> {
        let reply = match self.run.observer().backend().run(sql, self.leash) {
            Ok(reply) => reply,
            Err(Broken::Lost { why, .. }) => {
                transcript.line(format_args!("{what} failed: {why}"));
                return Err(Failed::Told(format!("{what} failed: {why}")));
            }
            Err(broken) => return Err(Failed::Error(broken.while_doing("running the control connection"))),
        };
        if let Some(error) = &reply.error {
            let told = format!("{what} failed: {}", message(error));
            transcript.line(format_args!("{}", told.trim_end_matches('\n')));
            return Err(Failed::Told(told));
        }
        transcript.tables(reply.results.last().map_or(&[], std::slice::from_ref));
        Ok(())
    }

    /// Runs the sessions' own setup or teardown, in order.
    fn each_session(&mut self, what: &str, transcript: &mut Transcript) -> Result<(), Stopped> {
        for (index, session) in self.spec.sessions.iter().enumerate() {
            let sql = if what == "setup" { &session.setup } else { &session.teardown };
            let Some(sql) = sql else { continue };
            let id = SessionId(index);
            self.send(id, what, sql)?;
            self.run.settle(id, false, Instant::now() + self.options.step_timeout * 2)?;
            // A notification that comes now is told with the session's next step.
            let asides = self.run.take_asides(id);
            let unheard = asides.into_iter().filter(|aside| !transcript.notice(&session.name, aside)).collect();
            self.run.put_back_asides(id, unheard);
            let failed = match self.run.take_result(id) {
                Some(StepResult::Done(results)) => {
                    transcript.tables(results.last().map_or(&[], std::slice::from_ref));
                    continue;
                }
                Some(StepResult::Failed(error)) => message(&error),
                Some(StepResult::Lost { last_words, why }) => last_words.map_or(why, |error| message(&error)),
                None => "it did not end".to_owned(),
            };
            let told = format!("{what} of session {} failed: {failed}", session.name);
            transcript.line(format_args!("{}", told.trim_end_matches('\n')));
            if what == "setup" {
                return Err(Stopped::GaveUp(told));
            }
        }
        Ok(())
    }

    fn send(&mut self, session: SessionId, name: &str, sql: &str) -> Result<(), Error> {
        if let Some(mailbox) = self.mailboxes.get(session.0) {
            // A session whose thread has ended has left; that shows when it is launched.
            let kind = match end_of_transaction(sql) {
                // After an error, COMMIT does the same.
                Some(_) if self.failed.contains(&session) => StepKind::Rollback,
                Some(End::Commit) => StepKind::Commit,
                Some(End::Rollback) => StepKind::Rollback,
                None => StepKind::Statement,
            };
            let _ = mailbox.send(Step { kind, ..Step::statement(name, sql) });
        }
        self.run.launch(session)
    }
}

struct Play<'p, 's, 'r> {
    order: &'p Permutation,
    /// For each session, the step of the order that it is at.
    launched: Vec<Option<usize>>,
    /// How many notices each session has had.
    notices: Vec<u32>,
    /// For each step of the order, how many notices its `notices` blockers wait for, in their order.
    targets: Vec<Vec<u32>>,
    /// The steps of the order that were reported as waiting, in launch order.
    waiting: Vec<usize>,
    /// A notice has come since this was last reset.
    something_new: bool,
    transcript: &'p mut Transcript,
    stage: &'p mut Stage<'s, 'r>,
}

/// How a step is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// For the first time, right after its launch.
    First,
    /// Again; it may go on waiting.
    Again,
    /// Again, until it is through.
    Last,
}

impl Play<'_, '_, '_> {
    fn perform(&mut self) -> Result<(), Stopped> {
        for index in 0..self.order.steps.len() {
            let (session, step) = self.place(index)?;
            self.free(session)?;
            let sql = self.stage.spec.sessions[session.0].steps[step].sql.clone();
            let name = self.order.steps[index].name.clone();
            self.stage.send(session, &name, &sql)?;
            self.launched[session.0] = Some(index);
            self.aim(index);
            let must_wait = self.try_step(index, Look::First)?;
            self.try_waiting(Look::Again)?;
            if must_wait {
                self.waiting.push(index);
                self.let_it_wait(session)?;
            }
        }
        self.try_waiting(Look::Last)?;
        if self.waiting.is_empty() {
            return Ok(());
        }
        Err(self.give_up("failed to complete permutation due to mutually-blocking steps".to_owned()))
    }

    /// Leaves a step to its wait for a while, or until the wait is over.
    fn let_it_wait(&mut self, session: SessionId) -> Result<(), Stopped> {
        if self.stage.patience.is_zero() {
            return Ok(());
        }
        let until = Instant::now() + self.stage.patience;
        if self.stage.run.settle(session, false, until)? == Settled::Done {
            self.try_waiting(Look::Again)?;
        }
        Ok(())
    }

    fn place(&self, index: usize) -> Result<(SessionId, usize), Error> {
        let name = &self.order.steps[index].name;
        let place = self.stage.spec.place(name).map(|(session, step)| (SessionId(session), step));
        place.ok_or_else(|| Error::usage(format!("there is no step \"{name}\""), "Check the permutation."))
    }

    /// Waits until the session has no step on its way any more.
    fn free(&mut self, session: SessionId) -> Result<(), Stopped> {
        let start = Instant::now();
        while let Some(old) = self.launched[session.0] {
            if !self.try_step(old, Look::Last)? {
                self.waiting.retain(|&waiting| waiting != old);
            }
            // It may have unblocked others; or, if it is held back, others may let go of it.
            self.try_waiting(Look::Again)?;
            if let Some(still) = self.launched[session.0]
                && start.elapsed() > self.stage.options.step_timeout * 2
            {
                let seconds = start.elapsed().as_secs();
                let name = &self.order.steps[still].name;
                self.transcript.line(format_args!("step {name} timed out after {seconds} seconds"));
                let active: Vec<&str> =
                    self.launched.iter().flatten().map(|&index| self.order.steps[index].name.as_str()).collect();
                return Err(self.give_up(format!("active steps are: {}", active.join(" "))));
            }
        }
        Ok(())
    }

    /// Notes how many notices a step's report waits for.
    fn aim(&mut self, index: usize) {
        let blockers = &self.order.steps[index].blockers;
        self.targets[index] = blockers
            .iter()
            .map(|blocker| match blocker {
                Blocker::Notices { step, count } => {
                    let session = self.stage.spec.place(step).map_or(0, |(session, _)| session);
                    self.notices[session].saturating_add(*count)
                }
                _ => 0,
            })
            .collect();
    }

    /// Looks at every waiting step, in launch order; again, while that may let another one's report go.
    fn try_waiting(&mut self, look: Look) -> Result<(), Stopped> {
        loop {
            self.something_new = false;
            let before = self.waiting.len();
            let mut held = false;
            for index in self.waiting.clone() {
                if self.try_step(index, look)? {
                    held |= !self.order.steps[index].blockers.is_empty();
                } else {
                    self.waiting.retain(|&waiting| waiting != index);
                }
            }
            if !(held && (self.waiting.len() < before || self.something_new)) {
                return Ok(());
            }
        }
    }

    /// Looks at one step; whether it is still on its way, or its report is held back.
    fn try_step(&mut self, index: usize, look: Look) -> Result<bool, Stopped> {
        let (session, step) = self.place(index)?;
        let ordered: &PermutationStep = &self.order.steps[index];
        let sql = &self.stage.spec.sessions[session.0].steps[step].sql;
        let waits = format!("step {}: {sql} <waiting ...>", ordered.name);
        if look == Look::First && ordered.blockers.contains(&Blocker::Once) {
            self.transcript.line(format_args!("{waits}"));
            return Ok(true);
        }
        let mut waiting = self.settle(session, &ordered.name.clone(), look != Look::Last)? == Settled::Waiting;
        let asides = self.hear(session);
        waiting |= self.is_held_back(index);
        if waiting {
            if look == Look::First {
                self.transcript.line(format_args!("{waits}"));
            }
            self.unheard(session, asides);
            return Ok(true);
        }
        match look {
            Look::First => self.transcript.line(format_args!("step {}: {sql}", ordered.name)),
            _ => self.transcript.line(format_args!("step {}: <... completed>", ordered.name)),
        }
        match self.stage.run.take_result(session) {
            Some(result) => {
                self.transcript.result(&result);
                self.stage.failed.retain(|&failed| failed != session);
                if result.error().is_some() {
                    self.stage.failed.push(session);
                }
            }
            None => {
                return Err(self.give_up(format!(
                    "failed to send query for step {}: no connection to the server\n",
                    ordered.name
                )));
            }
        }
        let names = self.stage.spec.sessions.iter().map(|session| session.name.clone());
        let senders: Vec<(i32, String)> = self.stage.pids.iter().copied().zip(names).collect();
        let sender = |pid: i32| senders.iter().find(|(other, _)| *other == pid).map(|(_, name)| name.clone());
        for aside in asides {
            self.transcript.notification(&self.stage.spec.sessions[session.0].name, &aside, sender);
        }
        self.launched[session.0] = None;
        Ok(false)
    }

    /// Waits for the step as far as it goes; a step that takes too long is cancelled, and then given up.
    fn settle(&mut self, session: SessionId, name: &str, may_wait: bool) -> Result<Settled, Stopped> {
        let limit = self.stage.options.step_timeout;
        let start = Instant::now();
        let first = self.stage.run.settle(session, may_wait, start + limit)?;
        if first != Settled::Neither {
            return Ok(first);
        }
        let seconds = start.elapsed().as_secs();
        self.transcript.line(format_args!("isolationtester: canceling step {name} after {seconds} seconds"));
        self.stage.run.cancel(session);
        match self.stage.run.settle(session, may_wait, start + limit * 2)? {
            Settled::Neither => {
                let seconds = start.elapsed().as_secs();
                Err(self.give_up(format!("step {name} timed out after {seconds} seconds")))
            }
            settled => Ok(settled),
        }
    }

    /// Prints the notices that a session has had; gives back what else it heard.
    fn hear(&mut self, session: SessionId) -> Vec<Aside> {
        let name = &self.stage.spec.sessions[session.0].name;
        let mut others = Vec::new();
        for aside in self.stage.run.take_asides(session) {
            if self.transcript.notice(name, &aside) {
                self.notices[session.0] += 1;
                self.something_new = true;
            } else {
                others.push(aside);
            }
        }
        others
    }

    fn unheard(&mut self, session: SessionId, asides: Vec<Aside>) {
        self.stage.run.put_back_asides(session, asides);
    }

    fn is_held_back(&self, index: usize) -> bool {
        let blockers = &self.order.steps[index].blockers;
        blockers.iter().zip(&self.targets[index]).any(|(blocker, &target)| match blocker {
            Blocker::Once => false,
            Blocker::Step(other) => {
                self.launched.iter().flatten().any(|&launched| self.order.steps[launched].name == *other)
            }
            Blocker::Notices { step, .. } => {
                self.stage.spec.place(step).is_some_and(|(session, _)| self.notices[session] < target)
            }
        })
    }

    fn give_up(&mut self, why: String) -> Stopped {
        self.transcript.line(format_args!("{why}"));
        Stopped::GaveUp(why)
    }
}
