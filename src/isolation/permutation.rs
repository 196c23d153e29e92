//! One permutation, by the rules of PostgreSQL's isolation tester (`src/test/isolation/README`): what is launched when,
//! and above all what is *reported* when.

use std::time::{Duration, Instant};

use super::stage::{Failed, Made, NO_CONNECTION, QUIET, Stage, Stopped};
use super::transcript::Transcript;
use crate::connection::Aside;
use crate::engine::run::Settled;
use crate::engine::{SessionId, StepResult};
use crate::error::Error;
use crate::scenario::spec::{Blocker, Permutation, PermutationStep};

/// How long to listen between two looks at a step that is through and whose report is held back.
const PACE: Duration = Duration::from_millis(5);

/// Runs one permutation, with setup and teardown.
pub(super) fn run_permutation(
    stage: &mut Stage<'_, '_>,
    order: &Permutation,
    transcript: &mut Transcript,
) -> Result<(), Stopped> {
    transcript.begin(order);
    stage.failed.clear();
    stage.cancelled.clear();
    stage.patient_with.clear();
    let mut made = *stage.made.insert(Made::default());
    for setup in &stage.spec.setups {
        stage.control(setup, "setup", transcript).map_err(Failed::fatal)?;
        made.setups += 1;
        stage.made = Some(made);
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
            Ok(()) => {}
            Err(Failed::Told(told)) => stage.note_what_stays(&told),
            Err(failed @ Failed::Error(_)) => return Err(failed.fatal()),
        }
    }
    stage.made = None;
    Ok(())
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
            if self.stage.lost.contains(&session) {
                return Err(self.give_up(format!("failed to send query for step {name}: {NO_CONNECTION}")));
            }
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
            let Some(still) = self.launched[session.0] else { continue };
            if start.elapsed() > QUIET {
                let name = self.order.steps[still].name.clone();
                self.say_what_is_waited_for(&name, self.stage.options.step_timeout * 2, "given up");
            }
            if start.elapsed() <= self.stage.options.step_timeout * 2 {
                self.stage.run.listen(PACE)?;
            } else {
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
            // It is not looked at, but it is to reach the server before the next one does.
            self.stage.run.catch_up(session)?;
            return Ok(true);
        }
        let mut waiting = self.settle(session, &ordered.name.clone(), look != Look::Last)? == Settled::Waiting;
        let asides = self.hear(session, sql, waiting);
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
                let name = &self.stage.spec.sessions[session.0].name;
                self.transcript.result(name, sql, &asides, &result);
                let late = asides.iter().filter(|aside| matches!(aside, Aside::Notice { .. })).count();
                self.notices[session.0] += u32::try_from(late).unwrap_or(u32::MAX);
                self.something_new |= late > 0;
                self.stage.failed.retain(|&failed| failed != session);
                if result.error().is_some() {
                    self.stage.failed.push(session);
                }
                if matches!(result, StepResult::Lost { .. }) {
                    self.stage.lost.push(session);
                }
            }
            None => {
                return Err(self.give_up(format!("failed to send query for step {}: {NO_CONNECTION}", ordered.name)));
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
        if limit > QUIET {
            let soon = self.stage.run.settle(session, may_wait, start + QUIET)?;
            if soon != Settled::Neither {
                return Ok(soon);
            }
            self.say_what_is_waited_for(name, limit, "cancelled");
        }
        let first = self.stage.run.settle(session, may_wait, start + limit)?;
        if first != Settled::Neither {
            return Ok(first);
        }
        let seconds = start.elapsed().as_secs();
        self.transcript.line(format_args!("isolationtester: canceling step {name} after {seconds} seconds"));
        self.stage.run.cancel(session);
        self.stage.cancelled.push(name.to_owned());
        match self.stage.run.settle(session, may_wait, start + limit * 2)? {
            Settled::Neither => {
                let seconds = start.elapsed().as_secs();
                Err(self.give_up(format!("step {name} timed out after {seconds} seconds")))
            }
            settled => Ok(settled),
        }
    }

    /// Tells the caller, once a step, what there is to wait for, and for how long.
    fn say_what_is_waited_for(&mut self, name: &str, limit: Duration, end: &str) {
        if self.stage.patient_with.iter().any(|step| step == name) {
            return;
        }
        self.stage.patient_with.push(name.to_owned());
        let session = self.stage.spec.place(name).and_then(|(session, _)| self.stage.spec.sessions.get(session));
        let session = session.map_or("", |session| session.name.as_str());
        self.stage.line.note(&format!(
            "Step {name} of session {session} has not ended; it is {end} when it has lasted {} s.",
            limit.as_secs_f64()
        ));
    }

    /// Prints the notices that a session has had; gives back what else it heard. When its step is through, those that came
    /// after the first of several statements are told with their results.
    fn hear(&mut self, session: SessionId, sql: &str, waits: bool) -> Vec<Aside> {
        let name = &self.stage.spec.sessions[session.0].name;
        let mut others = Vec::new();
        for aside in self.stage.run.take_asides(session) {
            let is_late = !waits && matches!(aside, Aside::Notice { before: 2.., .. });
            if !is_late && self.transcript.notice(name, &aside, Some(sql)) {
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
