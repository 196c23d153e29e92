//! A session that a pooler keeps waiting: the server cannot see it, so it is known by its BEGIN, which waits for no lock,
//! or by not having told its backend, where the driver sends BEGIN.

use super::Run;
use crate::connection::{POOLER_PATIENCE, exhausted, gave_up};
use crate::engine::member::Phase;
use crate::engine::step::{StepKind, StepResult};
use crate::error::Error;

impl Run<'_> {
    /// A pooler is in between: from now on a transaction that it keeps waiting ends the run with an error.
    pub fn expect_pooler(&mut self) {
        self.behind_pooler = true;
    }

    /// Fails for a session that has waited too long for a server connection.
    pub(super) fn check_pooler(&self) -> Result<(), Error> {
        if !self.behind_pooler {
            return Ok(());
        }
        let kept_waiting = self.members.iter().find(|member| match &member.phase {
            Phase::Running { step, released, .. } => {
                let begins = match step.kind {
                    StepKind::Begin => true,
                    StepKind::Opening => member.backend_pid.is_none(),
                    _ => false,
                };
                begins && released.elapsed() >= POOLER_PATIENCE
            }
            _ => gave_up(member.result.as_ref().and_then(StepResult::error)),
        });
        match kept_waiting {
            Some(member) => Err(exhausted(&format!("session {}", member.name), self.members.len() + 1)),
            None => Ok(()),
        }
    }
}
