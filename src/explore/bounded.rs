//! Fewest preemptions first, up to a bound (Musuvathi and Qadeer: "Iterative context bounding", PLDI 2007).
//!
//! A *preemption* takes the turn from a session that could have gone on. Most faults need one or two. Within the bound
//! every schedule is run but those that continue like one before them: the same trace so far (which is the same state),
//! and the same session in turn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::strategy::{Point, Strategy};
use super::trace::{Event, Trace};

pub(crate) struct Bounded {
    bound: usize,
    /// The beginnings that are still to be run, by their preemptions.
    waiting: BTreeMap<usize, VecDeque<Vec<usize>>>,
    beginning: Vec<usize>,
    preemptions: usize,
    choices: Vec<usize>,
    /// From where each continuation has been looked at.
    seen: BTreeSet<(Vec<u32>, Option<usize>)>,
    known: bool,
    /// Something lies beyond the bound.
    cut: bool,
    /// What the current schedule adds to all this when it has come to its end.
    learnt: Learnt,
    ended: bool,
}

#[derive(Default)]
struct Learnt {
    waiting: Vec<(usize, Vec<usize>)>,
    seen: Vec<(Vec<u32>, Option<usize>)>,
    cut: bool,
}

impl Bounded {
    pub(crate) fn new(bound: usize) -> Self {
        Self {
            bound,
            waiting: BTreeMap::from([(0, VecDeque::from([Vec::new()]))]),
            beginning: Vec::new(),
            preemptions: 0,
            choices: Vec::new(),
            seen: BTreeSet::new(),
            known: false,
            cut: false,
            learnt: Learnt::default(),
            ended: false,
        }
    }
}

impl Strategy for Bounded {
    fn begin(&mut self) -> bool {
        self.waiting.retain(|_, beginnings| !beginnings.is_empty());
        let Some((&preemptions, beginnings)) = self.waiting.iter_mut().next() else {
            self.ended = true;
            return false;
        };
        self.preemptions = preemptions;
        self.beginning = beginnings.pop_front().unwrap_or_default();
        self.again();
        true
    }

    fn again(&mut self) {
        self.choices.clear();
        self.known = false;
        self.learnt = Learnt::default();
    }

    fn choose(&mut self, point: &Point<'_>, so_far: &Trace) -> usize {
        let natural = point.natural(|_| true).unwrap_or_default();
        let chosen = self.beginning.get(point.depth).copied().unwrap_or(natural);
        if point.depth >= self.beginning.len() && !self.known {
            let in_turn = point.last.filter(|last| point.enabled.contains(last));
            let here = (so_far.signature(), in_turn);
            self.known = self.seen.contains(&here);
            self.learnt.seen.push(here);
            for &other in point.enabled.iter().filter(|&&other| !self.known && other != chosen) {
                let preemptions = self.preemptions + usize::from(point.preempts(other));
                if preemptions > self.bound {
                    self.learnt.cut = true;
                    continue;
                }
                let beginning = self.choices.iter().copied().chain([other]).collect();
                self.learnt.waiting.push((preemptions, beginning));
            }
        }
        self.choices.push(chosen);
        chosen
    }

    fn observe(&mut self, _: &Event) {}

    fn end(&mut self, _: &Trace) {
        let Learnt { waiting, seen, cut } = std::mem::take(&mut self.learnt);
        for (preemptions, beginning) in waiting {
            self.waiting.entry(preemptions).or_default().push_back(beginning);
        }
        self.seen.extend(seen);
        self.cut |= cut;
    }

    fn is_complete(&self) -> bool {
        self.ended && !self.cut
    }
}
