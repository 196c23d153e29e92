//! One session's lane: the locks that it waits for or holds, while events go by.

use super::place::Places;
use super::shapes::Bar;

/// A lock that a session waits for or holds.
struct Open {
    step: String,
    slot: usize,
    from: i32,
    waits: bool,
}

/// What the drawing knows of a session.
pub(super) struct Lane {
    place: usize,
    places: Places,
    name: String,
    /// Where its transaction began, if one is open.
    pub(super) begun: Option<i32>,
    /// What was locked before a savepoint stays locked after an error.
    pub(super) has_savepoint: bool,
    open: Vec<Open>,
    locks: usize,
}

impl Lane {
    /// The lane of the session at that place, which is shown under that name.
    pub(super) fn new(place: usize, places: Places, name: String) -> Self {
        Self { place, places, name, begun: None, has_savepoint: false, open: Vec::new(), locks: 0 }
    }

    /// Whether it waits for a lock.
    pub(super) fn waits(&self) -> bool {
        self.open.iter().any(|open| open.waits)
    }

    /// Begins a bar.
    pub(super) fn open(&mut self, step: String, y: i32, waits: bool) {
        // What was waited for is then held at the same place.
        let slot = if waits || self.open.len() == self.locks { self.locks } else { self.locks - 1 };
        self.locks = self.locks.max(slot + 1);
        self.open.push(Open { step, slot, from: y, waits });
    }

    /// Ends the bar of the wait; `failed` if the lock was not to be had.
    pub(super) fn end_wait(&mut self, y: i32, failed: bool) -> Vec<Bar> {
        let how = if failed { ("failed", "waited in vain for") } else { ("waited", "waited for") };
        self.end(y, how, |open| open.waits)
    }

    /// Ends the bars of the locks that it got at that moment.
    pub(super) fn end_from(&mut self, from: i32, y: i32) -> Vec<Bar> {
        self.end(y, ("held", "held"), |open| open.from == from && !open.waits)
    }

    /// Ends all bars.
    pub(super) fn end_all(&mut self, y: i32) -> Vec<Bar> {
        let mut ended = self.end_wait(y, false);
        ended.extend(self.end(y, ("held", "held"), |_| true));
        ended
    }

    fn end(&mut self, y: i32, (class, verb): (&'static str, &str), which: impl Fn(&Open) -> bool) -> Vec<Bar> {
        let (ended, open): (Vec<_>, Vec<_>) = self.open.drain(..).partition(|open| which(open));
        self.open = open;
        let bar = |open: Open| Bar {
            x: self.places.slot(self.place, open.slot),
            y: open.from,
            height: (y - open.from).max(4),
            class,
            sentence: format!("{} {verb} {}", self.name, open.step),
        };
        ended.into_iter().map(bar).collect()
    }

    /// The right edge of its bars.
    pub(super) fn right(&self) -> i32 {
        let bars = self.open.iter().map(|open| self.places.slot(self.place, open.slot) + 9);
        bars.max().unwrap_or_else(|| self.places.column(self.place) + 8)
    }

    /// The left edge of the bar that waits.
    pub(super) fn left_of_wait(&self) -> i32 {
        let bars = self.open.iter().filter(|open| open.waits).map(|open| self.places.slot(self.place, open.slot));
        bars.max().unwrap_or_else(|| self.places.column(self.place) + 8)
    }

    /// Where an arrow to it ends: at the lock that it holds, or at its line.
    pub(super) fn target(&self, step: &str, from_left: bool) -> i32 {
        let held = self.open.iter().find(|open| !open.waits && open.step == step);
        let (left, right) = held.map_or_else(
            || (self.places.column(self.place) + 5, self.places.column(self.place) + 7),
            |open| (self.places.slot(self.place, open.slot), self.places.slot(self.place, open.slot) + 9),
        );
        if from_left { left - 1 } else { right + 1 }
    }
}
