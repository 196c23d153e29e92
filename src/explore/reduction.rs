//! Source-set dynamic partial-order reduction with sleep sets (Abdulla, Aronsson, Jonsson, Sagonas: "Optimal dynamic
//! partial order reduction", POPL 2014; after Flanagan and Godefroid, POPL 2005).
//!
//! Depth first. A schedule is run to its end; each race in it is then reversed, if no reversal is under way already, by
//! a branch at its first event. What was explored from a choice *sleeps* in its later branches until something that
//! depends on it happens. What a step touches need be known only after it has run.

use std::collections::{BTreeMap, BTreeSet};

use super::strategy::{Point, Strategy};
use super::trace::{Event, Trace};

struct Node {
    chosen: usize,
    /// Branches that are wanted.
    wanted: BTreeSet<usize>,
    /// What came of each branch that was taken, the current one included.
    taken: BTreeMap<usize, Event>,
    /// What need not be taken here: it was, in another place.
    asleep: BTreeMap<usize, Event>,
}

/// The search that is complete when it ends.
#[derive(Default)]
pub(crate) struct Reduction {
    path: Vec<Node>,
    begun: bool,
    /// How many steps of the current schedule have been released.
    depth: usize,
    /// The first place whose races have not been looked at.
    fresh: usize,
    /// How many choices were made before the current schedule began.
    given: usize,
    /// All who stand at a gate sleep: the rest of this schedule is known.
    known: bool,
}

impl Reduction {
    /// What sleeps after the last choice.
    fn asleep(&self) -> BTreeMap<usize, Event> {
        let Some(Node { chosen, taken, asleep, .. }) = self.path.last() else { return BTreeMap::new() };
        let Some(event) = taken.get(chosen) else { return BTreeMap::new() };
        let others = taken.iter().filter(|(session, _)| *session != chosen);
        let still = asleep.iter().chain(others).filter(|(_, sleeper)| !sleeper.depends(event));
        still.map(|(&session, sleeper)| (session, sleeper.clone())).collect()
    }
}

impl Strategy for Reduction {
    fn begin(&mut self) -> bool {
        self.known = false;
        self.depth = 0;
        self.given = 0;
        if !self.begun {
            self.begun = true;
            return true;
        }
        while let Some(node) = self.path.last_mut() {
            let next = node.wanted.iter().find(|session| !node.taken.contains_key(session));
            if let Some(&next) = next {
                node.chosen = next;
                self.fresh = self.path.len() - 1;
                self.given = self.path.len();
                return true;
            }
            self.path.pop();
        }
        false
    }

    fn again(&mut self) {
        self.known = false;
        self.depth = 0;
        self.path.truncate(self.given);
        // What came of the last of these choices is not known from any other run.
        if let Some(Node { chosen, taken, .. }) = self.path.last_mut() {
            taken.remove(chosen);
        }
    }

    fn choose(&mut self, point: &Point<'_>, _: &Trace) -> usize {
        if let Some(node) = self.path.get(point.depth) {
            return node.chosen;
        }
        let fallback = point.enabled.first().copied().unwrap_or_default();
        if self.known {
            return point.natural(|_| true).unwrap_or(fallback);
        }
        let asleep = self.asleep();
        let Some(chosen) = point.natural(|session| !asleep.contains_key(&session)) else {
            self.known = true;
            return point.natural(|_| true).unwrap_or(fallback);
        };
        self.path.push(Node { chosen, wanted: BTreeSet::from([chosen]), taken: BTreeMap::new(), asleep });
        chosen
    }

    fn observe(&mut self, event: &Event) {
        if let Some(node) = self.path.get_mut(self.depth) {
            node.taken.entry(node.chosen).or_insert_with(|| event.clone());
        }
        self.depth += 1;
    }

    fn end(&mut self, trace: &Trace) {
        // What was run after everybody slept is known, races and all.
        let explored = self.path.len();
        // Who waited and sleeps must wake for what it would have touched without the wait.
        for (place, event) in trace.events().iter().enumerate().take(explored) {
            if event.footprint.waits.contains_key(&event.session)
                && let Some(taken) = self.path.get_mut(place).and_then(|node| node.taken.get_mut(&event.session))
            {
                taken.footprint.join(trace.whole_step(place).footprint);
            }
        }
        for race in trace.races(self.fresh).filter(|race| race.second < explored) {
            let initials = trace.initials(race);
            let Some(node) = self.path.get_mut(race.first) else { continue };
            let under_way = |session| node.wanted.contains(session) || node.asleep.contains_key(session);
            if initials.iter().any(under_way) {
                continue;
            }
            let second = trace.events()[race.second].session;
            let branch = if initials.contains(&second) { Some(second) } else { initials.first().copied() };
            node.wanted.extend(branch);
        }
    }

    fn is_complete(&self) -> bool {
        self.begun && self.path.is_empty()
    }
}
