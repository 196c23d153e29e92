//! Tidying up after a permutation that did not come to its end: what its teardown would have removed is removed.
//!
//! PostgreSQL's tester leaves everything where it is when it gives up.

use std::time::{Duration, Instant};

use super::stage::Stage;
use crate::connection::conninfo::Conninfo;
use crate::connection::{Backend, Leash, cancel_all, open};
use crate::engine::{SessionId, Settled, Step, StepResult};
use crate::error::Error;

/// How long all of it may take.
const WHOLE: Duration = Duration::from_secs(5);
/// How long a session may take to let go of its step, and to run its teardown.
const SESSION: Duration = Duration::from_secs(1);

/// Runs the teardowns of the permutation that was not ended; the stage then knows what may be left. `prelude` is what a new control
/// connection runs first. Every session has ended when it returns.
pub(super) fn tidy<'r>(stage: &mut Stage<'_, 'r>, conninfo: &Conninfo, prelude: &str, grace: &'r Leash) {
    let Some(made) = stage.made.take() else { return };
    let (spec, setups) = (stage.spec, stage.spec.setups.len());
    if made.setups < setups {
        // The teardown might remove what was there before, which the setup did not make.
        let left = match (made.setups, made.is_unsure) {
            (0, false) => None,
            (0, true) => {
                Some("The setup was cancelled before it was through; look whether something of it is left.".to_owned())
            }
            (1, _) => Some(
                "The setup is not through, so the teardown was not run: what its first block made is left.".to_owned(),
            ),
            (blocks, _) => Some(format!(
                "The setup is not through, so the teardown was not run: what its first {blocks} blocks made is left."
            )),
        };
        stage.left.extend(left);
        return;
    }
    grace.renew(WHOLE);
    stage.run.call_off();
    stage.run.go_on_under(grace);
    for (index, session) in spec.sessions.iter().enumerate() {
        let Some(sql) = session.teardown.as_ref().filter(|_| index >= made.teardowns) else { continue };
        let begun = made.is_tearing_down && index == made.teardowns;
        if let Err(why) = session_teardown(stage, SessionId(index), sql, begun) {
            stage.left.push(format!(
                "The teardown of session {} failed ({why}): what it was to remove may be left.",
                session.name
            ));
        }
    }
    stage.run.stop();
    match &spec.teardown {
        Some(sql) => {
            if let Err(why) = teardown(stage, conninfo, prelude, sql, grace) {
                stage.left.push(format!("The teardown failed ({why}): what the setup made may be left."));
            }
        }
        None if setups > 0 => stage.left.push("The spec has no teardown: what its setup made is left.".to_owned()),
        None => {}
    }
}

/// Runs a session's teardown, outside of any transaction, unless it has `begun` and is through.
fn session_teardown(stage: &mut Stage<'_, '_>, session: SessionId, sql: &str, begun: bool) -> Result<(), String> {
    let until = Instant::now() + SESSION;
    while stage.run.settle(session, false, Instant::now() + SESSION / 20).map_err(told)? == Settled::Neither {
        if Instant::now() >= until {
            return Err("its step could not be cancelled".to_owned());
        }
        stage.run.cancel(session);
    }
    if begun && matches!(stage.run.take_result(session), Some(StepResult::Done(_))) {
        return Ok(());
    }
    for step in [Step::rollback(), Step::statement("teardown", sql)] {
        stage.run.take_result(session);
        stage.run.hand(session, step).map_err(told)?;
        if stage.run.settle(session, false, Instant::now() + SESSION).map_err(told)? == Settled::Neither {
            stage.run.cancel(session);
            return Err(format!("it did not end within {} s", SESSION.as_secs()));
        }
    }
    match stage.run.take_result(session) {
        Some(StepResult::Done(_)) => Ok(()),
        Some(StepResult::Failed(error)) => Err(error.message),
        Some(StepResult::Lost { why, .. }) => Err(why),
        None => Err("its connection has ended".to_owned()),
    }
}

/// Runs the teardown, on another control connection if that one was cut off.
fn teardown(
    stage: &mut Stage<'_, '_>,
    conninfo: &Conninfo,
    prelude: &str,
    sql: &str,
    grace: &Leash,
) -> Result<(), String> {
    let mut another;
    let backend: &mut Backend = if stage.run.observer().is_closed() {
        another = open(conninfo, grace).map_err(told)?;
        if !prelude.is_empty() {
            another.ask(prelude, "preparing another control connection", grace).map_err(told)?;
        }
        &mut another
    } else {
        stage.run.observer().backend()
    };
    let cancel = backend.cancel_handle();
    match backend.run(sql, grace) {
        Ok(reply) => reply.error.map_or(Ok(()), |error| Err(error.message)),
        Err(broken) => {
            cancel_all(&[cancel], SESSION);
            Err(told(broken.while_doing("the teardown")))
        }
    }
}

fn told(error: Error) -> String {
    match error {
        Error::Timeout { .. } => format!("it did not end within {} s", WHOLE.as_secs()),
        other => other.to_string(),
    }
}
