//! Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi, Nagarakatte: "A randomized scheduler with
//! probabilistic guarantees of finding bugs", ASPLOS 2010).
//!
//! Each session gets a random priority, and the highest that stands at a gate goes on; at `depth - 1` random steps the
//! session in turn falls behind all others. A fault that needs `depth` ordered steps, of n sessions with k steps in all,
//! is found by one such schedule with a probability of at least 1 / (n · k^(depth - 1)).

use fastrand::Rng;

use super::strategy::{Point, Strategy};
use super::trace::{Event, Trace};

pub(crate) struct Random {
    rng: Rng,
    sessions: usize,
    depth: usize,
    /// The most steps that a schedule has had.
    steps: usize,
    priorities: Vec<usize>,
    /// What they were when the current schedule began.
    drawn: Vec<usize>,
    /// The steps before which the session in turn falls behind, and how far.
    changes: Vec<(usize, usize)>,
}

impl Random {
    pub(crate) fn new(sessions: usize, seed: u64, depth: usize) -> Self {
        Self {
            rng: Rng::with_seed(seed),
            sessions,
            depth: depth.max(1),
            steps: sessions,
            priorities: Vec::new(),
            drawn: Vec::new(),
            changes: Vec::new(),
        }
    }
}

impl Strategy for Random {
    fn begin(&mut self) -> bool {
        self.priorities = (self.depth..self.depth + self.sessions).collect();
        self.rng.shuffle(&mut self.priorities);
        self.drawn.clone_from(&self.priorities);
        let steps = self.steps;
        self.changes = (1..self.depth).map(|low| (self.rng.usize(0..steps.max(1)), low)).collect();
        true
    }

    fn again(&mut self) {
        self.priorities.clone_from(&self.drawn);
    }

    fn choose(&mut self, point: &Point<'_>, _: &Trace) -> usize {
        let highest = |priorities: &[usize]| {
            let priority = |session: &&usize| priorities.get(**session).copied().unwrap_or_default();
            point.enabled.iter().max_by_key(priority).copied().unwrap_or_default()
        };
        for &(_, low) in self.changes.iter().filter(|(step, _)| *step == point.depth) {
            let in_turn = highest(&self.priorities);
            if let Some(priority) = self.priorities.get_mut(in_turn) {
                *priority = low - 1;
            }
        }
        highest(&self.priorities)
    }

    fn observe(&mut self, _: &Event) {}

    fn end(&mut self, trace: &Trace) {
        self.steps = self.steps.max(trace.events().len());
    }

    fn is_complete(&self) -> bool {
        false
    }
}
