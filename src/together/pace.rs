//! Holding a schedule back until the server has looked for a deadlock once.

use std::time::{Duration, Instant};

use crate::engine::SessionId;
use crate::engine::schedule::{Board, Decision, Foothold, Schedule, Standing};

/// A schedule that releases nothing while a wait is younger than a pause.
///
/// Each wait arms one check, `deadlock_timeout` after it began, and a check that finds no cycle is not repeated. With a
/// pause somewhat longer than that, every check before the cycle closes is spent: whoever closes it is aborted, every time.
/// A wait that began when nobody else waited needs no pause, if its check is far away.
pub struct Paced<'a> {
    inner: &'a mut dyn Schedule,
    pause: Duration,
    first_as_well: bool,
    /// The sessions whose step was released while nobody waited.
    unarmed: Vec<usize>,
}

impl<'a> Paced<'a> {
    /// Holds `inner` back for `pause` after each wait was seen; after the first one only if its check is near, too.
    pub fn new(inner: &'a mut dyn Schedule, pause: Duration, first_as_well: bool) -> Self {
        Self { inner, pause, first_as_well, unarmed: Vec::new() }
    }

    /// Until when nothing is to be released.
    fn until(&self, board: &Board) -> Option<Instant> {
        let seen = board.standings.iter().enumerate().filter_map(|(session, standing)| match standing {
            Standing::Waiting { seen, .. } if !self.unarmed.contains(&session) => Some(*seen + self.pause),
            _ => None,
        });
        seen.max().filter(|until| *until > Instant::now() && board.first_at_gate().is_some())
    }
}

impl Schedule for Paced<'_> {
    fn next(&mut self, board: &Board) -> Decision {
        if let Some(until) = self.until(board) {
            return Decision::HoldUntil(until);
        }
        let decision = self.inner.next(board);
        if let Decision::Release(SessionId(session)) = decision {
            let nobody_waits = !board.standings.iter().any(|standing| matches!(standing, Standing::Waiting { .. }));
            self.unarmed.retain(|&unarmed| unarmed != session);
            if nobody_waits && !self.first_as_well {
                self.unarmed.push(session);
            }
        }
        decision
    }

    fn see(&mut self, board: &Board, footholds: Vec<Foothold>) {
        self.inner.see(board, footholds);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Paced;
    use crate::engine::schedule::{Board, Decision, Schedule, Standing};
    use crate::engine::{SessionId, Step};
    use crate::together::Turns;

    const LONG: Duration = Duration::from_secs(60);

    fn gate() -> Standing {
        Standing::AtGate(Step::commit())
    }

    fn waiting(seen: Instant) -> Standing {
        Standing::Waiting { released: seen, seen, checked: None }
    }

    fn board(standings: Vec<Standing>) -> Board {
        let count = standings.len();
        Board { standings, finished: vec![None; count], failed: vec![false; count], isolation: vec![None; count] }
    }

    #[test]
    fn holds_back_while_a_wait_is_young() {
        let seen = Instant::now();
        let mut turns = Turns::default();
        let mut paced = Paced::new(&mut turns, LONG, true);
        assert_eq!(paced.next(&board(vec![waiting(seen), gate()])), Decision::HoldUntil(seen + LONG));
    }

    #[test]
    fn goes_on_when_no_wait_is_young() {
        let mut turns = Turns::default();
        let mut paced = Paced::new(&mut turns, Duration::ZERO, true);
        assert_eq!(paced.next(&board(vec![waiting(Instant::now()), gate()])), Decision::Release(SessionId(1)));
    }

    #[test]
    fn does_not_hold_back_for_a_wait_that_began_first() {
        let seen = Instant::now();
        let mut turns = Turns::default();
        let mut paced = Paced::new(&mut turns, LONG, false);
        assert_eq!(paced.next(&board(vec![gate(), gate(), gate()])), Decision::Release(SessionId(0)));
        assert_eq!(paced.next(&board(vec![waiting(seen), gate(), gate()])), Decision::Release(SessionId(1)));
        let both = board(vec![waiting(seen), waiting(seen), gate()]);
        assert_eq!(paced.next(&both), Decision::HoldUntil(seen + LONG));
    }
}
