//! Who dies: the rules by which PostgreSQL picks the victim, put to use.
//!
//! Each wait arms one check, `deadlock_timeout` after it began. The first check after the cycle has closed aborts its
//! own session; a check that finds no cycle is not repeated (the manual, `deadlock_timeout`; `ProcSleep` in
//! `src/backend/storage/lmgr/proc.c`).

use std::time::Duration;

use crate::engine::schedule::{Entry, Hold};
use crate::engine::session::SessionId;

/// `deadlock_timeout` that a privileged run gives to its victim when the caller gives none.
const SHORT: Duration = Duration::from_millis(10);
/// From here on, half a `deadlock_timeout` is room enough to close the cycle in, also on a busy machine.
pub(crate) const ROOMY: Duration = Duration::from_millis(200);
/// How much later than due a spent check may come on a busy machine.
pub(crate) const SPENT_MARGIN: Duration = Duration::from_millis(25);

/// How the victim is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Nobody was named. The cycle is closed half a `deadlock_timeout` after the first wait began, which costs no time,
    /// so the first waiter it is, in practice.
    Anybody,
    /// The role may set `deadlock_timeout`: the victim closes the cycle with a short one, everybody else's is long.
    Privilege,
    /// The victim waits first; the cycle is closed half a `deadlock_timeout` later, before its check.
    FirstWaiter,
    /// The victim closes the cycle when everybody else's check is spent.
    LastWaiter,
}

/// Everything about the victim of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// How.
    pub method: Method,
    /// Who.
    pub victim: Option<SessionId>,
    /// The `deadlock_timeout` that counts.
    pub deadlock_timeout: Duration,
    /// Whether sessions set their `deadlock_timeout` themselves.
    pub sets: bool,
}

impl Choice {
    /// `asked` is the caller's `deadlock_timeout`, `servers` the server's; `may_set` is whether the role may set it.
    #[must_use]
    pub fn make(victim: Option<SessionId>, asked: Option<Duration>, servers: Duration, may_set: bool) -> Self {
        let asked = asked.filter(|_| may_set);
        let Some(session) = victim else {
            let deadlock_timeout = asked.unwrap_or(servers);
            return Self { method: Method::Anybody, victim, deadlock_timeout, sets: asked.is_some() };
        };
        let (method, deadlock_timeout) = if may_set {
            (Method::Privilege, asked.unwrap_or(servers.min(SHORT)))
        } else if servers >= ROOMY {
            (Method::FirstWaiter, servers)
        } else {
            (Method::LastWaiter, servers)
        };
        Self { method, victim: Some(session), deadlock_timeout, sets: may_set }
    }

    /// The `deadlock_timeout` that this session sets for itself; `long` is for those that must not die.
    #[must_use]
    pub fn timeout_of(&self, session: SessionId, long: Duration) -> Option<Duration> {
        let survives = self.method == Method::Privilege && self.victim != Some(session);
        self.sets.then_some(if survives { long } else { self.deadlock_timeout })
    }

    /// The order in which `sessions` ask for the locks that close the cycle.
    #[must_use]
    pub fn asking_order(&self, sessions: usize) -> Vec<Entry> {
        let mut order: Vec<SessionId> = (0..sessions).map(SessionId).collect();
        if let Some(victim) = self.victim {
            order.retain(|session| *session != victim);
            let place = if self.method == Method::FirstWaiter { 0 } else { order.len() };
            order.insert(place, victim);
        }
        let half = self.deadlock_timeout / 2;
        let closing = match self.method {
            Method::Anybody => Some(Hold::AfterFirstWait { pause: half, at_most: None }),
            Method::Privilege => None,
            Method::FirstWaiter => {
                Some(Hold::AfterFirstWait { pause: half, at_most: Some(self.deadlock_timeout * 4 / 5) })
            }
            Method::LastWaiter => {
                Some(Hold::AfterLastWait(self.deadlock_timeout + SPENT_MARGIN.max(self.deadlock_timeout / 10)))
            }
        };
        let last = order.len().saturating_sub(1);
        // In a ring nobody else's check may come soon after the victim's: if the machine stalls, it would be the next.
        let held = |index: usize| index == last || self.method == Method::FirstWaiter && index > 0;
        let entry = |(index, session)| Entry { session, holds: closing.filter(|_| held(index)).into_iter().collect() };
        order.into_iter().enumerate().map(entry).collect()
    }

    /// Whether another session than the victim can be aborted: a clock of ours decides, and a machine may stall.
    #[must_use]
    pub fn may_miss(&self) -> bool {
        matches!(self.method, Method::FirstWaiter | Method::LastWaiter)
    }

    /// The sentence that tells the reader how the victim was decided.
    #[must_use]
    pub fn sentence(&self, victim: &str) -> Option<String> {
        let timeout = self.deadlock_timeout.as_secs_f64();
        match self.method {
            Method::Anybody => None,
            Method::Privilege => Some(format!(
                "{victim} was made the victim by its own deadlock_timeout of {timeout} s: it closed the cycle, and every \
                 other session's check comes much later."
            )),
            Method::FirstWaiter => Some(format!(
                "{victim} was made the victim without any privilege: it waited first, and the cycle was closed about half \
                 a deadlock_timeout ({timeout} s) later, before its check."
            )),
            Method::LastWaiter => Some(format!(
                "{victim} was made the victim without any privilege: it closed the cycle when the other sessions' checks \
                 (deadlock_timeout {timeout} s) were spent."
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Choice, Method, SHORT};
    use crate::engine::schedule::Hold;
    use crate::engine::session::SessionId;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);
    const LONG: Duration = Duration::from_secs(99);

    fn order(choice: &Choice, sessions: usize) -> Vec<usize> {
        choice.asking_order(sessions).into_iter().map(|entry| entry.session.0).collect()
    }

    #[test]
    fn without_privilege_the_first_waiter_dies() {
        let choice = Choice::make(Some(SessionId(1)), None, SECOND, false);
        assert_eq!(choice.method, Method::FirstWaiter);
        assert_eq!(order(&choice, 3), [1, 0, 2]);
        assert_eq!(choice.timeout_of(SessionId(1), LONG), None);
        let holds: Vec<Vec<Hold>> = choice.asking_order(3).into_iter().map(|entry| entry.holds).collect();
        let half = Hold::AfterFirstWait { pause: SECOND / 2, at_most: Some(SECOND * 4 / 5) };
        assert_eq!(holds, [vec![], vec![half], vec![half]]);
    }

    #[test]
    fn a_short_timeout_leaves_no_room_so_the_last_waiter_dies() {
        let choice = Choice::make(Some(SessionId(0)), None, Duration::from_millis(10), false);
        assert_eq!(choice.method, Method::LastWaiter);
        assert_eq!(order(&choice, 2), [1, 0]);
    }

    #[test]
    fn with_privilege_only_the_victims_check_is_soon() {
        let choice = Choice::make(Some(SessionId(0)), None, SECOND, true);
        assert_eq!(choice.method, Method::Privilege);
        assert_eq!(order(&choice, 2), [1, 0]);
        assert_eq!(choice.timeout_of(SessionId(0), LONG), Some(SHORT));
        assert_eq!(choice.timeout_of(SessionId(1), LONG), Some(LONG));
    }

    #[test]
    fn a_timeout_that_may_not_be_set_is_not_set() {
        let choice = Choice::make(None, Some(SHORT), SECOND, false);
        assert_eq!((choice.deadlock_timeout, choice.sets), (SECOND, false));
        let choice = Choice::make(None, Some(SHORT), SECOND, true);
        assert_eq!((choice.deadlock_timeout, choice.sets), (SHORT, true));
    }
}
