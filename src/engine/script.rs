//! What a session does next, given what became of its last step.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;

use super::step::{Step, StepKind, StepResult};

/// Decides a session's next step while it runs.
pub trait Script: Send {
    /// The next step; `None` ends the session. `last` is what became of the step before.
    fn next(&mut self, last: Option<&StepResult>) -> Option<Step>;
}

/// Steps known in advance. After an error the transaction is rolled back and the rest is left out.
#[derive(Clone, Debug)]
pub struct Fixed {
    steps: VecDeque<Step>,
    current: Option<StepKind>,
}

impl Fixed {
    /// A script of these steps.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), current: None }
    }
}

impl Script for Fixed {
    fn next(&mut self, last: Option<&StepResult>) -> Option<Step> {
        match last {
            Some(StepResult::Lost { .. }) => return None,
            Some(StepResult::Failed(_)) => {
                self.steps.clear();
                // A failed COMMIT has ended the transaction itself.
                if self.current == Some(StepKind::Statement) {
                    self.steps.push_back(Step::rollback());
                }
            }
            _ => {}
        }
        let step = self.steps.pop_front()?;
        self.current = Some(step.kind);
        Some(step)
    }
}

/// Steps that somebody else hands in, one at a time.
#[derive(Debug)]
pub struct Mailbox(pub Receiver<Step>);

impl Script for Mailbox {
    fn next(&mut self, _: Option<&StepResult>) -> Option<Step> {
        self.0.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Fixed, Script};
    use crate::engine::step::{Step, StepKind, StepResult};
    use crate::error::ServerError;

    fn failure() -> StepResult {
        StepResult::Failed(ServerError {
            severity: "ERROR".to_owned(),
            sqlstate: "40P01".to_owned(),
            message: "deadlock detected".to_owned(),
            detail: None,
            hint: None,
            context: None,
            position: None,
        })
    }

    fn kinds(mut script: Fixed, fails_at: usize) -> Vec<StepKind> {
        let mut kinds = Vec::new();
        let mut last = None;
        while let Some(step) = script.next(last.as_ref()) {
            last = Some(if kinds.len() == fails_at { failure() } else { StepResult::Done(Vec::new()) });
            kinds.push(step.kind);
        }
        kinds
    }

    fn script() -> Fixed {
        Fixed::new([Step::begin("BEGIN"), Step::statement("row 1", "SELECT 1"), Step::commit()])
    }

    #[test]
    fn goes_through_its_steps() {
        assert_eq!(kinds(script(), 9), [StepKind::Begin, StepKind::Statement, StepKind::Commit]);
    }

    #[test]
    fn rolls_back_after_a_failed_statement() {
        assert_eq!(kinds(script(), 1), [StepKind::Begin, StepKind::Statement, StepKind::Rollback]);
    }

    #[test]
    fn does_not_roll_back_what_a_failed_commit_has_ended() {
        assert_eq!(kinds(script(), 2), [StepKind::Begin, StepKind::Statement, StepKind::Commit]);
    }
}
