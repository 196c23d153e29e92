//! Who waits behind whom, and whether the server has let somebody go first who came later.
//!
//! PostgreSQL promises no order among several that wait for one row. Whoever is woken has to find the row's new version,
//! and the others look for it as well; of several that wait for one transaction's end to insert the same key, all are woken
//! at once. The search follows the order in which they came, for it is the only one that a schedule decides. A run in
//! which it was another one is noticed here.

use std::collections::{BTreeMap, BTreeSet};

/// What the server says of waits after an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    /// Whom each session waits for, directly, by session: holders and those ahead in a queue. Who does not wait is not here.
    pub ahead: BTreeMap<usize, BTreeSet<usize>>,
    /// Who waits for the end of a transaction and stands in no queue, as those do that insert the same key.
    pub unqueued: BTreeSet<usize>,
    /// Who had waited and is through with a transaction of one statement, in the order in which they were.
    pub through: Vec<usize>,
    /// Whose step has failed in this event.
    pub failed: BTreeSet<usize>,
}

/// A session was let in before one that had come earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Overtaken {
    /// Who had come earlier, and how many of its own steps had been released by then.
    pub session: (usize, usize),
    /// Who was let in, and how many of its own steps had been released by then.
    pub by: (usize, usize),
    /// How many steps of all had been released.
    pub after: usize,
}

/// The queues of one schedule.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    /// Whom each session waits for, and since which event.
    ahead: BTreeMap<usize, BTreeMap<usize, usize>>,
    unqueued: BTreeSet<usize>,
    /// The event with which each session's last step was released, and how many of its steps were.
    released: BTreeMap<usize, (usize, usize)>,
    events: usize,
}

impl Queue {
    /// A schedule begins.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// Whether a session waits, as the last event has left it.
    pub(super) fn waits(&self, session: usize) -> bool {
        self.ahead.contains_key(&session)
    }

    /// This session's step was released, and that is who waits now. Those who were let in out of their turn, if any were.
    pub(super) fn observe(&mut self, released: usize, now: &Waits) -> Vec<Overtaken> {
        self.events += 1;
        let steps = self.released.get(&released).map_or(0, |(_, steps)| *steps);
        self.released.insert(released, (self.events, steps + 1));
        let mut overtaken = Vec::new();
        for &early in self.ahead.keys() {
            for &late in self.ahead.keys().filter(|&&late| late != early) {
                if self.is_overtaken(early, late, now) {
                    let place = |session| (session, self.released.get(&session).map_or(0, |(_, steps)| *steps));
                    overtaken.push(Overtaken { session: place(early), by: place(late), after: self.events });
                }
            }
        }
        let since = |session: &usize, other: &usize| {
            self.ahead.get(session).and_then(|ahead| ahead.get(other)).copied().unwrap_or(self.events)
        };
        let dated = |(session, ahead): (&usize, &BTreeSet<usize>)| {
            (*session, ahead.iter().map(|other| (*other, since(session, other))).collect())
        };
        self.ahead = now.ahead.iter().map(dated).collect();
        self.unqueued.clone_from(&now.unqueued);
        overtaken
    }

    /// Of two that had waited, whether the later one has got what both wanted.
    fn is_overtaken(&self, early: usize, late: usize, now: &Waits) -> bool {
        let behind = |ahead: &BTreeMap<usize, usize>, other| ahead.contains_key(&other);
        let (before_early, before_late) = (&self.ahead[&early], &self.ahead[&late]);
        let is_behind = |one: usize, other: usize| now.ahead.get(&one).is_some_and(|ahead| ahead.contains(&other));
        let waits = |session: usize| now.ahead.contains_key(&session);
        if behind(before_late, early) && !behind(before_early, late) {
            // In one queue. (Or the early one has what the late one wants: then the late one cannot be let in.)
            return match (waits(early), waits(late)) {
                (true, true) => is_behind(early, late) && !is_behind(late, early),
                (true, false) => true,
                (false, false) => earlier(now, late, early) || fell(now, late, early),
                (false, true) => false,
            };
        }
        if !self.unqueued.contains(&early) || !self.unqueued.contains(&late) {
            return false;
        }
        // Both waited for the end of one transaction.
        let came = |session: usize, other| (self.ahead[&session][other], self.released.get(&session));
        let comes_first = |other| came(early, other) < came(late, other);
        let same = before_early.keys().any(|other| !waits(*other) && behind(before_late, *other) && comes_first(other));
        same && if waits(early) { is_behind(early, late) && !is_behind(late, early) } else { earlier(now, late, early) }
    }
}

/// Whether both are through, the first one before the second.
fn earlier(now: &Waits, first: usize, second: usize) -> bool {
    let place = |session: usize| now.through.iter().position(|&other| other == session);
    place(first).zip(place(second)).is_some_and(|(first, second)| first < second)
}

/// Whether the later one was aborted in a deadlock as soon as it was let in; in its turn it would still wait.
fn fell(now: &Waits, late: usize, early: usize) -> bool {
    now.failed.contains(&late) && !now.failed.contains(&early) && !now.through.contains(&early)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Overtaken, Queue, Waits};

    fn waits(ahead: &[(usize, &[usize])]) -> Waits {
        let ahead = ahead.iter().map(|(session, others)| (*session, others.iter().copied().collect())).collect();
        Waits { ahead, ..Waits::default() }
    }

    /// 0 holds a row; 1, 2 and 3 wait for it, in this order; then 0 commits. Who was overtaken by whom.
    fn after_the_commit(now: &Waits, queued: bool) -> Vec<(usize, usize)> {
        let mut queue = Queue::default();
        let ahead: [&[usize]; 3] = if queued { [&[0], &[1], &[1, 2]] } else { [&[0]; 3] };
        let so_far = [(1, ahead[0]), (2, ahead[1]), (3, ahead[2])];
        assert_eq!(queue.observe(0, &waits(&[])), []);
        for (place, session) in (1..=3).enumerate() {
            let unqueued = if queued { BTreeSet::new() } else { (1..=session).collect() };
            assert_eq!(queue.observe(session, &Waits { unqueued, ..waits(&so_far[..=place]) }), []);
        }
        queue.observe(0, now).into_iter().map(|one| (one.session.0, one.by.0)).collect()
    }

    #[test]
    fn first_come_first_served_is_nothing_to_tell() {
        assert_eq!(after_the_commit(&waits(&[(2, &[1]), (3, &[1, 2])]), true), []);
        assert_eq!(after_the_commit(&waits(&[(2, &[1]), (3, &[1])]), false), []);
        assert_eq!(after_the_commit(&waits(&[]), true), []);
    }

    #[test]
    fn whoever_is_let_in_before_others_has_overtaken_them() {
        assert_eq!(after_the_commit(&waits(&[(1, &[3]), (2, &[1, 3])]), true), [(1, 3), (2, 3)]);
        assert_eq!(after_the_commit(&waits(&[(1, &[2]), (3, &[2])]), false), [(1, 2)]);
    }

    #[test]
    fn whoever_stands_in_another_order_than_before_has_overtaken() {
        assert_eq!(after_the_commit(&waits(&[(2, &[1, 3]), (3, &[1])]), true), [(2, 3)]);
    }

    #[test]
    fn transactions_of_one_statement_are_through_in_the_order_in_which_they_came() {
        let through = |order: &[usize]| Waits { through: order.to_vec(), ..Waits::default() };
        assert_eq!(after_the_commit(&through(&[1, 2, 3]), true), []);
        assert_eq!(after_the_commit(&through(&[1, 3, 2]), true), [(2, 3)]);
    }

    #[test]
    fn whoever_has_what_another_one_wants_has_overtaken_nobody() {
        let mut queue = Queue::default();
        // 1 waits for what 2 has; 2 waits for what 0 has, and gets it.
        assert_eq!(queue.observe(1, &waits(&[(1, &[2])])), []);
        assert_eq!(queue.observe(2, &waits(&[(1, &[2]), (2, &[0])])), []);
        assert_eq!(queue.observe(0, &waits(&[(1, &[2])])), []);
    }

    #[test]
    fn whoever_got_what_it_came_for_and_wants_more_was_not_overtaken() {
        let mut queue = Queue::default();
        // 0 has two rows. 1 waits for one, and will want the other; 2 waits for that.
        assert_eq!(queue.observe(1, &waits(&[(1, &[0])])), []);
        assert_eq!(queue.observe(2, &waits(&[(1, &[0]), (2, &[0])])), []);
        assert_eq!(queue.observe(0, &waits(&[(1, &[2])])), []);
    }

    #[test]
    fn whoever_is_aborted_out_of_turn_has_overtaken() {
        let now = Waits { failed: BTreeSet::from([2]), ..waits(&[(3, &[1])]) };
        assert_eq!(after_the_commit(&now, true), [(1, 2)]);
        assert_eq!(after_the_commit(&Waits { failed: BTreeSet::from([1, 2]), ..now }, true), []);
    }

    #[test]
    fn tells_at_which_of_their_steps() {
        let mut queue = Queue::default();
        queue.observe(1, &waits(&[]));
        queue.observe(1, &waits(&[(1, &[0])]));
        queue.observe(2, &waits(&[(1, &[0]), (2, &[1])]));
        let told = queue.observe(0, &waits(&[(1, &[2])]));
        assert_eq!(told, [Overtaken { session: (1, 2), by: (2, 1), after: 4 }]);
        assert_eq!(queue.ahead, BTreeMap::from([(1, BTreeMap::from([(2, 4)]))]));
    }
}
