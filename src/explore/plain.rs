//! The two plain ways: one given order, and every order there is.

use super::strategy::{Point, Strategy};
use super::trace::{Event, Trace};

/// One given order.
pub(crate) struct Only {
    order: Vec<usize>,
    place: usize,
    begun: bool,
}

impl Only {
    pub(crate) fn new(order: Vec<usize>) -> Self {
        Self { order, place: 0, begun: false }
    }
}

impl Strategy for Only {
    fn begin(&mut self) -> bool {
        self.place = 0;
        !std::mem::replace(&mut self.begun, true)
    }

    fn again(&mut self) {
        self.place = 0;
    }

    fn choose(&mut self, point: &Point<'_>, _: &Trace) -> usize {
        while let Some(&session) = self.order.get(self.place) {
            self.place += 1;
            if point.enabled.contains(&session) {
                return session;
            }
        }
        point.enabled.first().copied().unwrap_or_default()
    }

    fn observe(&mut self, _: &Event) {}

    fn end(&mut self, _: &Trace) {}

    fn is_complete(&self) -> bool {
        false
    }
}

/// All orders, depth first.
#[derive(Default)]
pub(crate) struct Unreduced {
    path: Vec<(usize, Vec<usize>)>,
    /// How many choices were made before the current schedule began.
    given: usize,
    begun: bool,
}

impl Strategy for Unreduced {
    fn begin(&mut self) -> bool {
        if !std::mem::replace(&mut self.begun, true) {
            return true;
        }
        while let Some((chosen, others)) = self.path.last_mut() {
            if let Some(next) = others.pop() {
                *chosen = next;
                self.given = self.path.len();
                return true;
            }
            self.path.pop();
        }
        false
    }

    fn again(&mut self) {
        self.path.truncate(self.given);
    }

    fn choose(&mut self, point: &Point<'_>, _: &Trace) -> usize {
        if let Some((chosen, _)) = self.path.get(point.depth) {
            return *chosen;
        }
        let chosen = point.natural(|_| true).unwrap_or_default();
        let others = point.enabled.iter().copied().filter(|&other| other != chosen).collect();
        self.path.push((chosen, others));
        chosen
    }

    fn observe(&mut self, _: &Event) {}

    fn end(&mut self, _: &Trace) {}

    fn is_complete(&self) -> bool {
        self.begun && self.path.is_empty()
    }
}
