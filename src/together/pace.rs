//! Holding a schedule back until the server has looked for a deadlock once.

use std::time::{Duration, Instant};

use crate::engine::schedule::{Board, Decision, Foothold, Schedule, Standing};

/// A schedule that releases nothing while a wait is younger than a pause.
///
/// Each wait arms one check, `deadlock_timeout` after it began, and a check that finds no cycle is not repeated. With a
/// pause somewhat longer than that, every check before the cycle closes is spent: whoever closes it is aborted, every time.
pub struct Paced<'a> {
    inner: &'a mut dyn Schedule,
    pause: Duration,
}

impl<'a> Paced<'a> {
    /// Holds `inner` back for `pause` after each wait was seen.
    pub fn new(inner: &'a mut dyn Schedule, pause: Duration) -> Self {
        Self { inner, pause }
    }
}

impl Schedule for Paced<'_> {
    fn next(&mut self, board: &Board) -> Decision {
        let seen = board.standings.iter().filter_map(|standing| match standing {
            Standing::Waiting { seen, .. } => Some(*seen),
            _ => None,
        });
        match seen.max().map(|last| last + self.pause) {
            Some(until) if until > Instant::now() && board.first_at_gate().is_some() => Decision::HoldUntil(until),
            _ => self.inner.next(board),
        }
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

    fn next(pause: Duration, seen: Instant) -> Decision {
        let waiting = Standing::Waiting { released: seen, seen };
        let board = Board { standings: vec![waiting, Standing::AtGate(Step::commit())], finished: vec![None, None] };
        Paced::new(&mut Turns::default(), pause).next(&board)
    }

    #[test]
    fn holds_back_while_a_wait_is_young() {
        let seen = Instant::now();
        assert_eq!(next(Duration::from_secs(60), seen), Decision::HoldUntil(seen + Duration::from_secs(60)));
    }

    #[test]
    fn goes_on_when_no_wait_is_young() {
        assert_eq!(next(Duration::ZERO, Instant::now()), Decision::Release(SessionId(1)));
    }
}
