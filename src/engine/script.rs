//! What a session does next, given what became of its last step.

use std::collections::VecDeque;

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

/// Some steps, and then others again and again, until the connection is lost or a transaction does not even begin.
#[derive(Clone, Debug)]
pub struct Laps {
    again: Vec<Step>,
    current: Fixed,
}

impl Laps {
    /// A script that takes the steps of `first`, and when they are through, those of `again` over and over.
    pub fn new(first: impl IntoIterator<Item = Step>, again: impl IntoIterator<Item = Step>) -> Self {
        Self { again: again.into_iter().collect(), current: Fixed::new(first) }
    }
}

impl Script for Laps {
    fn next(&mut self, last: Option<&StepResult>) -> Option<Step> {
        if let Some(step) = self.current.next(last) {
            return Some(step);
        }
        match last {
            Some(StepResult::Lost { .. }) => None,
            Some(StepResult::Failed(_)) if self.current.current == Some(StepKind::Begin) => None,
            _ => {
                self.current = Fixed::new(self.again.iter().cloned());
                self.current.next(None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fixed, Laps, Script};
    use crate::engine::step::{Step, StepKind, StepResult};
    use crate::error::ServerError;

    fn failure() -> StepResult {
        StepResult::Failed(ServerError {
            severity: "ERROR".to_owned(),
            sqlstate: "40P01".to_owned(),
            message: "deadlock detected".to_owned(),
            ..ServerError::default()
        })
    }

    fn kinds(mut script: impl Script, fails_at: usize) -> Vec<StepKind> {
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

    fn laps(fails_at: usize) -> Vec<StepKind> {
        let steps = [Step::begin("BEGIN"), Step::statement("row 1", "SELECT 1"), Step::commit()];
        let mut script = Laps::new(steps.clone(), steps);
        let mut kinds = Vec::new();
        let mut last = None;
        while kinds.len() < 5
            && let Some(step) = script.next(last.as_ref())
        {
            last = Some(if kinds.len() == fails_at { failure() } else { StepResult::Done(Vec::new()) });
            kinds.push(step.kind);
        }
        kinds
    }

    #[test]
    fn laps_begin_anew_after_a_commit_and_after_a_rollback() {
        use StepKind::{Begin, Commit, Rollback, Statement};
        assert_eq!(laps(9), [Begin, Statement, Commit, Begin, Statement]);
        assert_eq!(laps(1), [Begin, Statement, Rollback, Begin, Statement]);
    }

    #[test]
    fn laps_end_when_a_transaction_does_not_begin() {
        assert_eq!(laps(3), [StepKind::Begin, StepKind::Statement, StepKind::Commit, StepKind::Begin]);
    }
}
