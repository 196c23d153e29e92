//! A schedule: the order in which steps are released. It is asked whenever the run has settled, so it may decide
//! while running.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::session::SessionId;
use super::step::Step;

/// Where a session stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// On its way to its next gate.
    Coming,
    /// At its gate, with this step.
    AtGate(Step),
    /// Its step was released and has not been seen to wait.
    Running,
    /// The server says that its step waits for a lock.
    Waiting {
        /// When the step was released: the wait began after this.
        released: Instant,
        /// When it was first seen to wait: the wait began before this.
        seen: Instant,
        /// Whether the server has looked for a deadlock around it since and found none; `None` where nobody would tell.
        checked: Option<bool>,
    },
    /// Its code waits for another thread of this process, and only another session can let it go on.
    HeldUp {
        /// `file:line` of where it waits.
        place: String,
    },
    /// Ended.
    Left,
}

/// Everything a schedule may look at.
#[derive(Clone, Debug)]
pub struct Board {
    /// Where each session stands, by [`SessionId`].
    pub standings: Vec<Standing>,
    /// When each session's last step was through.
    pub finished: Vec<Option<Instant>>,
    /// Whether each session's last step failed.
    pub failed: Vec<bool>,
    /// The isolation level of each session's transactions, where it tells.
    pub isolation: Vec<Option<String>>,
}

impl Board {
    /// Whether nothing is on its way: each session is at its gate, waits for a lock or another session, or has left.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.standings.iter().any(|standing| matches!(standing, Standing::Coming | Standing::Running))
    }

    /// Whether every session has left.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.standings.iter().all(|standing| *standing == Standing::Left)
    }

    /// The first session that stands at its gate.
    #[must_use]
    pub fn first_at_gate(&self) -> Option<SessionId> {
        self.standings.iter().position(|standing| matches!(standing, Standing::AtGate(_))).map(SessionId)
    }

    fn waits(&self) -> impl Iterator<Item = (Instant, Instant)> {
        self.standings.iter().filter_map(|standing| match standing {
            Standing::Waiting { released, seen, .. } => Some((*released, *seen)),
            _ => None,
        })
    }
}

/// What a schedule decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Release this session's step.
    Release(SessionId),
    /// Ask again at this time.
    HoldUntil(Instant),
    /// Nothing to release: wait for the sessions that wait.
    Rest,
    /// The clock that decides the victim has run away (the machine stalled): do this run again.
    Slipped,
    /// This schedule cannot be followed any further, and knows why.
    GiveUp,
    /// Tell it first what every session holds ([`Schedule::see`]); then ask again.
    Look,
}

/// Decides what is released next.
pub trait Schedule: Send {
    /// Asked whenever the board has settled.
    fn next(&mut self, board: &Board) -> Decision;

    /// What every session holds, as the server says: the answer to [`Decision::Look`].
    fn see(&mut self, _: &Board, _: Vec<Foothold>) {}
}

/// A heavyweight lock that a session holds or asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldLock {
    /// The relation, or the advisory lock.
    pub object: String,
    /// Whether it is a relation.
    pub of_relation: bool,
    /// The mode, as `pg_locks` writes it.
    pub mode: String,
}

/// How a session stands in the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foothold {
    /// The sessions that it waits for, by place.
    pub blocked_by: Vec<usize>,
    /// What its transaction holds and asks for.
    pub locks: Vec<HeldLock>,
    /// Whether its transaction has a number of its own, as whoever locks or writes rows has.
    pub numbered: bool,
    /// Whether it waits for a row: those who want one row stand in a queue, and whoever waits for a key does not.
    pub queued: bool,
}

/// Holds one entry of an order back, by the server's clock for the waits before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Until this long after the first wait began; not at all any more when more than `at_most` has passed.
    AfterFirstWait {
        /// How long.
        pause: Duration,
        /// When it is too late.
        at_most: Option<Duration>,
    },
    /// Until this long after the last wait was seen.
    AfterLastWait(Duration),
    /// Until this long after the session's own last step was through.
    AfterOwnStep(Duration),
}

/// One entry of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose step.
    pub session: SessionId,
    /// What it is held back for; all of it must have passed.
    pub holds: Vec<Hold>,
}

/// A fixed order of sessions, a step an entry. An entry whose session waits for a lock is passed over; when the order is
/// through, whoever stands at a gate goes on, first come first.
#[derive(Clone, Debug)]
pub struct InOrder {
    entries: VecDeque<Entry>,
}

impl InOrder {
    /// This order.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

impl Schedule for InOrder {
    fn next(&mut self, board: &Board) -> Decision {
        while let Some(entry) = self.entries.front() {
            let SessionId(index) = entry.session;
            if !matches!(board.standings.get(index), Some(Standing::AtGate(_))) {
                self.entries.pop_front();
                continue;
            }
            let moments: Result<Vec<Instant>, Late> =
                entry.holds.iter().map(|&hold| held(hold, index, board)).collect();
            match moments.map(|moments| moments.into_iter().max()) {
                Ok(Some(until)) if until > Instant::now() => return Decision::HoldUntil(until),
                Ok(_) => {}
                Err(Late) => return Decision::Slipped,
            }
            let session = entry.session;
            self.entries.pop_front();
            return Decision::Release(session);
        }
        board.first_at_gate().map_or(Decision::Rest, Decision::Release)
    }
}

struct Late;

fn held(hold: Hold, session: usize, board: &Board) -> Result<Instant, Late> {
    let now = Instant::now();
    Ok(match hold {
        Hold::AfterFirstWait { pause, at_most } => match board.waits().map(|(released, _)| released).min() {
            Some(began) if at_most.is_some_and(|limit| now > began + limit) => return Err(Late),
            Some(began) => began + pause,
            None => now,
        },
        Hold::AfterLastWait(pause) => board.waits().map(|(_, seen)| seen).max().map_or(now, |seen| seen + pause),
        Hold::AfterOwnStep(pause) => board.finished.get(session).copied().flatten().map_or(now, |end| end + pause),
    })
}

#[cfg(test)]
mod tests {
    use super::{Board, Decision, Entry, Hold, InOrder, Schedule, SessionId, Standing, Step};
    use std::time::{Duration, Instant};

    fn at_gate() -> Standing {
        Standing::AtGate(Step::commit())
    }

    fn board(standings: Vec<Standing>) -> Board {
        let count = standings.len();
        Board { standings, finished: vec![None; count], failed: vec![false; count], isolation: vec![None; count] }
    }

    fn entry(session: usize, hold: Option<Hold>) -> Entry {
        Entry { session: SessionId(session), holds: hold.into_iter().collect() }
    }

    #[test]
    fn keeps_the_order() {
        let mut order = InOrder::new([entry(1, None), entry(0, None)]);
        let both = board(vec![at_gate(), at_gate()]);
        assert_eq!(order.next(&both), Decision::Release(SessionId(1)));
        assert_eq!(order.next(&both), Decision::Release(SessionId(0)));
    }

    #[test]
    fn passes_over_a_session_that_waits_and_then_lets_the_others_end() {
        let now = Instant::now();
        let waiting = Standing::Waiting { released: now, seen: now, checked: None };
        let mut order = InOrder::new([entry(0, None)]);
        assert_eq!(order.next(&board(vec![waiting.clone(), at_gate()])), Decision::Release(SessionId(1)));
        assert_eq!(order.next(&board(vec![waiting, Standing::Left])), Decision::Rest);
    }

    #[test]
    fn holds_back_until_the_first_wait_is_old_enough() {
        let began = Instant::now();
        let waiting = Standing::Waiting { released: began, seen: began, checked: None };
        let pause = Duration::from_secs(60);
        let mut order = InOrder::new([entry(1, Some(Hold::AfterFirstWait { pause, at_most: None }))]);
        assert_eq!(order.next(&board(vec![waiting, at_gate()])), Decision::HoldUntil(began + pause));
    }

    #[test]
    fn says_so_when_the_moment_was_missed() {
        let began = Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or_else(Instant::now);
        let waiting = Standing::Waiting { released: began, seen: began, checked: None };
        let hold = Hold::AfterFirstWait { pause: Duration::ZERO, at_most: Some(Duration::from_millis(1)) };
        let mut order = InOrder::new([entry(1, Some(hold))]);
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(order.next(&board(vec![waiting, at_gate()])), Decision::Slipped);
    }
}
