//! A short `deadlock_timeout`: the opponent asks first.
//!
//! Half of a short `deadlock_timeout` is no room to close a cycle in. So the code's next statement is held back while the
//! opponent asks for what it wants. If the code holds that, the opponent waits there, until its own check for deadlocks is
//! spent or far away; then the code goes on. Whenever it asks for what the opponent holds, it closes the cycle itself, and
//! the only check that is still to come is its own.

use std::time::{Duration, Instant};

use super::ask;
use super::conduct::Conductor;
use crate::engine::{SessionId, Standing, StepKind, StepResult};
use crate::error::Error;
use crate::scenario::victim::{ROOMY, SPENT_MARGIN};

const PACE: Duration = Duration::from_millis(1);

/// The opponent waits for somebody who has not asked yet.
pub(super) struct Ambush {
    pub(super) session: SessionId,
    pub(super) pid: i32,
    pub(super) transaction: String,
}

/// Whether the code's next step is to be held back for an ambush.
pub(super) fn is_due(conductor: &Conductor<'_, '_>, session: SessionId) -> bool {
    let Standing::AtGate(step) = conductor.run.standing(session) else { return false };
    !conductor.aside
        && conductor.ambushed.is_none()
        && conductor.deadlocks < conductor.plan.times
        && matches!(step.kind, StepKind::Statement | StepKind::Commit)
        && conductor.run.backend_pid(session).is_some_and(|pid| conductor.deadlock_timeout_of(pid) < ROOMY)
}

/// Lays an ambush for the code that stands at its gate, if it holds what the opponent wants.
pub(super) fn lay(conductor: &mut Conductor<'_, '_>, session: SessionId) -> Result<(), Error> {
    conductor.held_back = Some(session);
    let laid = try_to_lay(conductor, session);
    conductor.held_back = None;
    conductor.let_go_on(session);
    laid
}

fn try_to_lay(conductor: &mut Conductor<'_, '_>, session: SessionId) -> Result<(), Error> {
    let Some(pid) = conductor.run.backend_pid(session) else { return Ok(()) };
    conductor.ask_for_wanted()?;
    loop {
        conductor.pump(PACE)?;
        if conductor.is_out_of_time() || !conductor.is_opponent_busy() {
            // It was to be had: the code does not hold it.
            return conductor.take_back();
        }
        let blockers = conductor.blockers()?;
        if blockers.contains(&pid) {
            let (observer, leash) = (conductor.run.observer().backend(), conductor.leash);
            let transaction = ask::transaction(observer, pid, leash)?.unwrap_or_default();
            conductor.ambushed = Some(Ambush { session, pid, transaction });
            conductor.run.look()?;
            return await_own_check(conductor);
        }
        if !blockers.is_empty() {
            // Somebody else is in the way.
            return conductor.take_back();
        }
    }
}

/// Waits until the opponent's own check for deadlocks is spent; not at all, if it is far away.
fn await_own_check(conductor: &mut Conductor<'_, '_>) -> Result<(), Error> {
    if conductor.facts.server.may_set_deadlock_timeout {
        return Ok(());
    }
    let own = Duration::from_secs_f64(conductor.facts.server.deadlock_timeout);
    // It began to wait before it was seen to.
    let spent = Instant::now() + own + SPENT_MARGIN.max(own / 10);
    while Instant::now() < spent && !conductor.is_out_of_time() && conductor.is_opponent_busy() {
        conductor.pump(spent.saturating_duration_since(Instant::now()).min(PACE * 5))?;
    }
    Ok(())
}

/// The code's transaction is over without its having asked: the opponent gives back what it has got thereby.
pub(super) fn lift(conductor: &mut Conductor<'_, '_>) -> Result<(), Error> {
    let Some(ambush) = &conductor.ambushed else { return Ok(()) };
    // While its statement is on its way, it may have fallen, and that was not heard yet.
    let is_running = matches!(conductor.run.standing(ambush.session), Standing::Running | Standing::Waiting { .. });
    let has_got_it = !conductor.is_opponent_busy() && !is_running;
    let is_outlived = conductor.code.iter().any(|code| is_outlived(conductor, code.session));
    if has_got_it || is_outlived {
        conductor.take_back()?;
        conductor.ambushed = None;
    }
    Ok(())
}

/// Whether the code begins a new transaction while the opponent waits for its last one. It must not find there what the
/// opponent got by waiting.
pub(super) fn is_outlived(conductor: &Conductor<'_, '_>, session: SessionId) -> bool {
    let Standing::AtGate(step) = conductor.run.standing(session) else { return false };
    conductor.ambushed.as_ref().is_some_and(|ambush| ambush.session == session)
        && matches!(step.kind, StepKind::Opening | StepKind::Alone)
}

/// Somebody asks: whether it is the one who was ambushed. For anybody else the opponent must be free.
pub(super) fn spring(conductor: &mut Conductor<'_, '_>, session: SessionId) -> Result<bool, Error> {
    match conductor.ambushed.take() {
        Some(ambush) if ambush.session == session => Ok(true),
        Some(_) => conductor.take_back().map(|()| false),
        None => Ok(false),
    }
}

/// Whether whoever was ambushed has been aborted already, quicker than it was seen to ask.
pub(super) fn has_fallen(conductor: &Conductor<'_, '_>, session: SessionId) -> bool {
    conductor.ambushed.as_ref().is_some_and(|ambush| ambush.session == session)
        && conductor.run.result(session).and_then(StepResult::error).is_some_and(|error| error.sqlstate == "40P01")
}

impl Conductor<'_, '_> {
    /// Who is in the opponent's way.
    pub(super) fn blockers(&mut self) -> Result<Vec<i32>, Error> {
        ask::blockers(self.run.observer().backend(), self.pid, self.leash)
    }
}
