//! Closing the cycle, so that it is the code under test that dies.
//!
//! The first check for deadlocks after the cycle has closed aborts its own session, and a session's check comes one
//! `deadlock_timeout` after its wait began (see [`crate::scenario::victim`]). The code waits first; so its check comes
//! first, if the cycle is closed before. With the privilege to set it, the opponent's own check never comes. Without, the
//! cycle is closed half a `deadlock_timeout` after the code's wait began.

use std::time::{Duration, Instant};

use super::ambush;
use super::ask::{self, Ask};
use super::conduct::{Code, Conductor};
use super::finding::Finding;
use crate::engine::{Standing, StepResult};
use crate::error::{Error, ServerError};

/// How often the server is asked whether the wait goes on.
const PACE: Duration = Duration::from_millis(1);
/// How much later than due a check may come on a busy machine, before it must be over.
const SPENT: Duration = Duration::from_secs(2);
/// How long at most nobody is heard.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);

/// Somebody waits for the opponent.
pub(super) fn meet(conductor: &mut Conductor<'_, '_>, ask: &Ask) -> Result<(), Error> {
    let index = conductor.session_of(ask)?;
    let session = conductor.code[index].session;
    // What comes after this wait, comes after what we do about it.
    conductor.held_back = Some(session);
    let asked = ambush::spring(conductor, session)?;
    let encounter = Encounter { ask, index, asked };
    let met = encounter.take_place(conductor);
    conductor.held_back = None;
    met
}

/// Whoever was ambushed has asked, and was aborted, before it was seen to wait.
pub(super) fn fallen(conductor: &mut Conductor<'_, '_>, index: usize) -> Result<(), Error> {
    let Some(ambush) = conductor.ambushed.take() else { return Ok(()) };
    conductor.held_back = Some(ambush.session);
    count_attempt(conductor, ambush.pid, &ambush.transaction);
    count_deadlock(conductor, ambush.pid, ambush.transaction);
    let given_back = give_back(conductor, index, ambush.pid);
    conductor.held_back = None;
    given_back
}

fn count_attempt(conductor: &mut Conductor<'_, '_>, pid: i32, transaction: &str) {
    conductor.attempts += 1;
    if conductor.last_victim.as_ref().is_some_and(|(victim, last)| (*victim, last.as_str()) == (pid, transaction)) {
        conductor.find(Finding::NestedRetry);
    }
}

fn count_deadlock(conductor: &mut Conductor<'_, '_>, pid: i32, transaction: String) {
    conductor.deadlocks += 1;
    conductor.last_victim = Some((pid, transaction));
}

/// When to close the cycle.
enum Moment {
    Now,
    /// The code's wait has ended already.
    Never,
    /// There is no more time, or no more need.
    Dismissed,
}

/// One wait of the code's for the opponent.
struct Encounter<'a> {
    ask: &'a Ask,
    /// Which of the conductor's sessions waits.
    index: usize,
    /// Whether the opponent has asked for the code's.
    asked: bool,
}

impl Encounter<'_> {
    fn take_place(mut self, conductor: &mut Conductor<'_, '_>) -> Result<(), Error> {
        conductor.run.look()?;
        count_attempt(conductor, self.ask.pid, &self.ask.transaction);
        if conductor.deadlocks >= conductor.plan.times {
            return self.give_way(conductor);
        }
        if self.asked {
            return self.watch(conductor);
        }
        match self.moment(conductor)? {
            Moment::Now => {
                conductor.ask_for_wanted()?;
                self.asked = true;
                self.watch(conductor)
            }
            Moment::Never => self.over(conductor),
            Moment::Dismissed => Ok(()),
        }
    }

    /// Waits for the right moment. When that has passed, as on a machine that was stalled, the opponent asks all the same:
    /// it is aborted itself then, if there is a cycle, and if there is none, that is found.
    fn moment(&self, conductor: &mut Conductor<'_, '_>) -> Result<Moment, Error> {
        let early = if conductor.facts.server.may_set_deadlock_timeout {
            Duration::ZERO
        } else {
            conductor.deadlock_timeout_of(self.ask.pid) / 2
        };
        let mut age = self.ask.age;
        loop {
            if age >= early {
                return Ok(Moment::Now);
            }
            if conductor.is_out_of_time() {
                return Ok(Moment::Dismissed);
            }
            conductor.pump(early.saturating_sub(age).min(LONGEST_PAUSE))?;
            let Some(now) = conductor.asks()?.into_iter().find(|other| other.is(self.ask)) else {
                return Ok(Moment::Never);
            };
            age = now.age;
        }
    }

    /// The cycle is closed, if it can be: waits until the code's wait is over, one way or another.
    fn watch(&self, conductor: &mut Conductor<'_, '_>) -> Result<(), Error> {
        let overdue = Instant::now() + conductor.deadlock_timeout_of(self.ask.pid) + SPENT;
        let mut result = None;
        loop {
            conductor.pump(PACE)?;
            result = conductor.result()?.or(result);
            conductor.run.look()?;
            // Asked after the result: whoever waits still, waited when the opponent got it.
            if !conductor.still(self.ask)? {
                return self.over(conductor);
            }
            match &result {
                // It was to be had, so the code does not hold it.
                Some(StepResult::Done(_)) => {
                    conductor.find(Finding::WrongOrder);
                    return self.give_way(conductor);
                }
                // The code's check came first, and found nothing yet.
                Some(StepResult::Failed(error)) if error.sqlstate == "40P01" => {
                    conductor.find(Finding::Missed);
                    return self.give_way(conductor);
                }
                Some(StepResult::Failed(error)) => {
                    let doing = format!("the opponent's request for {}", conductor.plan.wanting.name);
                    return Err(Error::Server { doing, source: Box::new(error.clone()) });
                }
                _ => {}
            }
            if conductor.is_out_of_time() {
                return self.give_way(conductor);
            }
            if Instant::now() >= overdue {
                let blockers = conductor.blockers()?;
                let is_other = !blockers.is_empty() && !blockers.contains(&self.ask.pid);
                conductor.find(if is_other { Finding::OtherTransaction } else { Finding::Missed });
                return self.give_way(conductor);
            }
        }
    }

    /// The opponent lets the code have what it waits for, for good.
    fn give_way(&self, conductor: &mut Conductor<'_, '_>) -> Result<(), Error> {
        if self.asked {
            conductor.take_back()?;
        }
        conductor.step_aside()?;
        // An adopted backend's statement ends here; others tell so themselves.
        if let Some((_, gate)) = &conductor.code[self.index].adopted {
            gate.finish(StepResult::Done(Vec::new()), None);
            conductor.pump(Duration::ZERO)?;
        }
        Ok(())
    }

    /// The code's wait is over although the opponent holds what it waited for: it was aborted.
    fn over(&self, conductor: &mut Conductor<'_, '_>) -> Result<(), Error> {
        let sqlstate = self.abortion(conductor)?;
        if sqlstate.as_deref() == Some("40P01") {
            count_deadlock(conductor, self.ask.pid, self.ask.transaction.clone());
        } else if !conductor.is_out_of_time() {
            conductor.interruption = sqlstate;
            conductor.find(Finding::Interrupted);
        }
        if self.asked { give_back(conductor, self.index, self.ask.pid) } else { Ok(()) }
    }

    /// The SQLSTATE that the code's statement failed with.
    fn abortion(&self, conductor: &mut Conductor<'_, '_>) -> Result<Option<String>, Error> {
        let Code { session, adopted } = &conductor.code[self.index];
        let session = *session;
        if let Some((_, gate)) = adopted {
            // Nobody tells us. But before its check, it cannot have been a deadlock.
            let checked = self.ask.age_now() >= conductor.deadlock_timeout_of(self.ask.pid);
            let error = inferred(self.asked && checked);
            gate.finish(StepResult::Failed(error.clone()), None);
            conductor.pump(Duration::ZERO)?;
            return Ok(Some(error.sqlstate));
        }
        loop {
            if let Some(result) = conductor.run.take_result(session) {
                return Ok(result.error().map(|error| error.sqlstate.clone()));
            }
            if matches!(conductor.run.standing(session), Standing::Left) || conductor.is_out_of_time() {
                return Ok(None);
            }
            conductor.pump(PACE)?;
        }
    }
}

/// The opponent gives back what it asked for, as soon as it has it; or at once, when the code has kept it.
fn give_back(conductor: &mut Conductor<'_, '_>, index: usize, pid: i32) -> Result<(), Error> {
    let adopted = conductor.code[index].adopted.is_some();
    while conductor.is_opponent_busy() && !conductor.is_out_of_time() {
        conductor.pump(PACE)?;
        let asks_again = conductor.asks()?.iter().any(|other| other.pid == pid);
        let leash = conductor.leash;
        let observer = conductor.run.observer().backend();
        // A driver tells of an error when the server is through with it; of others, the server must say so itself.
        let through = !adopted || asks_again || ask::activity(observer, pid, leash)?.is_idle();
        if through && conductor.blockers()?.contains(&pid) {
            break;
        }
    }
    conductor.take_back()
}

/// What an adopted backend must have been told.
fn inferred(deadlock: bool) -> ServerError {
    let (sqlstate, message) = if deadlock { ("40P01", "deadlock detected") } else { ("57014", "its wait was ended") };
    ServerError {
        severity: "ERROR".to_owned(),
        sqlstate: sqlstate.to_owned(),
        message: message.to_owned(),
        ..ServerError::default()
    }
}
