//! The front of the search: whoever runs the sessions asks it, choice by choice.

use std::collections::{BTreeSet, HashSet};
use std::time::{Duration, Instant};

use super::bounded::Bounded;
use super::footprint::Footprint;
use super::linear::{Order, fewest_preemptions, is_serial};
use super::memory::{Diverged, Memory};
use super::patience::Patience;
use super::plain::{Only, Unreduced};
use super::queue::{Overtaken, Queue, Waits};
use super::random::Random;
use super::reduction::Reduction;
use super::strategy::{Point, Strategy};
use super::trace::{Event, Trace};

/// Which schedules are run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All inequivalent ones.
    All,
    /// Those with at most so many preemptions, fewest first.
    Preemptions(usize),
    /// Random ones, which find what needs `depth` ordered steps with a known probability.
    Random {
        /// The same seed gives the same schedules.
        seed: u64,
        /// How many ordered steps.
        depth: usize,
    },
    /// This one; when it is through, whoever stands at a gate goes on, first come first.
    Only(Vec<usize>),
    /// Every one, equivalent or not: to see what the reduction saves.
    Unreduced,
}

/// When to stop, finished or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// After so many schedules.
    pub schedules: Option<usize>,
    /// After so much time.
    pub time: Option<Duration>,
}

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Schedules that were run.
    pub schedules: usize,
    /// Of these, those that turned out equivalent to one before.
    pub redundant: usize,
    /// Steps that were released in all of them.
    pub steps: usize,
    /// The most steps of one.
    pub longest: usize,
    /// Runs that were begun again, because the server had let in somebody out of turn. They are no schedules of their own.
    pub again: usize,
}

/// One schedule that was run.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Whose step was released, in order.
    pub choices: Vec<usize>,
    /// What came of each.
    pub trace: Trace,
    /// Whether it turned out equivalent to one before.
    pub redundant: bool,
    /// It was the first one once more, and is none of the search ([`Search::repeating`]).
    pub repeat: bool,
}

impl Execution {
    /// The simplest equivalent order, up to and with the event at `last` if there is one.
    #[must_use]
    pub fn simplest(&self, last: Option<usize>) -> Order {
        fewest_preemptions(&self.trace, last)
    }

    /// The sessions one after the other, if it is equivalent to that.
    #[must_use]
    pub fn serial_order(&self) -> Option<Vec<usize>> {
        let mut order: Vec<usize> = Vec::new();
        for &session in self.simplest(None).sessions.iter().filter(|session| **session < self.trace.sessions()) {
            if !order.contains(&session) {
                order.push(session);
            }
        }
        order.extend((0..self.trace.sessions()).filter(|session| !order.contains(session)).collect::<Vec<_>>());
        self.is_serial(&order).then_some(order)
    }

    /// Whether it is equivalent to these sessions one after the other.
    #[must_use]
    pub fn is_serial(&self, order: &[usize]) -> bool {
        is_serial(&self.trace, order)
    }
}

/// Whether the first schedule is run once more when the search is through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encore {
    No,
    Wanted,
    Running,
}

/// A search in progress.
pub struct Search {
    strategy: Box<dyn Strategy>,
    limits: Limits,
    started: Instant,
    memory: Memory,
    queue: Queue,
    patience: Patience,
    /// The schedule that was begun last is to be run again.
    unfinished: bool,
    first: Option<Vec<usize>>,
    encore: Encore,
    choices: Vec<usize>,
    trace: Trace,
    signatures: HashSet<Vec<u32>>,
    statistics: Statistics,
    exhausted: bool,
}

impl Search {
    /// A search over the schedules of so many sessions.
    #[must_use]
    pub fn new(sessions: usize, mode: Mode, limits: Limits) -> Self {
        let strategy: Box<dyn Strategy> = match mode {
            Mode::All => Box::new(Reduction::default()),
            Mode::Preemptions(bound) => Box::new(Bounded::new(bound)),
            Mode::Random { seed, depth } => Box::new(Random::new(sessions, seed, depth)),
            Mode::Only(order) => Box::new(Only::new(order)),
            Mode::Unreduced => Box::new(Unreduced::default()),
        };
        Self {
            strategy,
            limits,
            started: Instant::now(),
            memory: Memory::new(),
            queue: Queue::default(),
            patience: Patience::default(),
            unfinished: false,
            first: None,
            encore: Encore::No,
            choices: Vec::new(),
            trace: Trace::new(sessions),
            signatures: HashSet::new(),
            statistics: Statistics::default(),
            exhausted: false,
        }
    }

    /// The same, and the first schedule once more when it is through: code that goes another way by chance may not have met
    /// the same beginning twice, and the fewer schedules there are, the less so.
    #[must_use]
    pub fn repeating(self) -> Self {
        Self { encore: Encore::Wanted, ..self }
    }

    /// The same, of the sessions of another search: what that has seen them do, they shall do here, and the other way round.
    #[must_use]
    pub fn remembering(self, other: &Self) -> Self {
        Self { memory: other.memory.shared(), ..self }
    }

    /// Whether another schedule is to be run; it begins now.
    pub fn begin(&mut self) -> bool {
        let enough = self.limits.schedules.is_some_and(|most| self.statistics.schedules >= most)
            || self.limits.time.is_some_and(|most| self.started.elapsed() >= most);
        if enough {
            // The last schedule may have been the last of all.
            self.exhausted = self.exhausted || !self.unfinished && !self.strategy.begin();
            return false;
        }
        if !std::mem::take(&mut self.unfinished) && (self.is_encore() || !self.strategy.begin()) {
            self.exhausted = true;
            if self.encore != Encore::Wanted || self.first.is_none() {
                self.encore = Encore::No;
                return false;
            }
            self.encore = Encore::Running;
        }
        self.choices.clear();
        self.trace.truncate(0);
        self.memory.begin();
        self.queue.begin();
        true
    }

    /// The run has strayed: the server has let in somebody out of turn, or, if that is not it, has gone another way than
    /// before. Whether the same schedule is to be run again, from its beginning: `begin` comes next, not `end`.
    pub fn again(&mut self, overtaken: Option<Overtaken>) -> bool {
        if !self.patience.again(overtaken, &self.choices) {
            return false;
        }
        self.statistics.again += 1;
        if !self.is_encore() {
            self.strategy.again();
        }
        self.unfinished = true;
        true
    }

    fn is_encore(&self) -> bool {
        self.encore == Encore::Running
    }

    /// How often the current schedule has been begun again.
    #[must_use]
    pub fn attempts(&self) -> usize {
        self.patience.count()
    }

    /// Whose step is released next. `gates` says for each session with what it stands at its gate, if it does.
    /// `None` if nobody does.
    pub fn choose(&mut self, gates: &[Option<String>]) -> Result<Option<usize>, Diverged> {
        self.memory.compare(gates, &self.choices, |session| self.queue.waits(session))?;
        let enabled: Vec<usize> =
            gates.iter().enumerate().filter(|(_, gate)| gate.is_some()).map(|(session, _)| session).collect();
        if enabled.is_empty() {
            return Ok(None);
        }
        let point = Point { depth: self.choices.len(), enabled: &enabled, last: self.choices.last().copied() };
        let chosen = match self.first.as_ref().filter(|_| self.is_encore()) {
            Some(first) => {
                first.get(point.depth).copied().filter(|first| enabled.contains(first)).unwrap_or(enabled[0])
            }
            None => self.strategy.choose(&point, &self.trace),
        };
        self.memory.go(chosen);
        self.choices.push(chosen);
        Ok(Some(chosen))
    }

    /// What came of the step that was released last: who else went on because of it, what they all touched, and who waits
    /// now. An error if somebody was let in out of turn: then this run is worth nothing.
    pub fn observe(&mut self, others: BTreeSet<usize>, footprint: Footprint, waits: &Waits) -> Result<(), Overtaken> {
        let Some(&session) = self.choices.last() else { return Ok(()) };
        if let Some(overtaken) = self.patience.first_of(self.queue.observe(session, waits), &self.choices) {
            return Err(overtaken);
        }
        let mut involved = others;
        involved.insert(session);
        let event = Event { session, involved, footprint };
        if !self.is_encore() {
            self.strategy.observe(&event);
        }
        self.trace.push(event);
        Ok(())
    }

    /// The schedule has come to its end.
    pub fn end(&mut self) -> Execution {
        self.patience.end();
        let (choices, trace) = (self.choices.clone(), self.trace.clone());
        if self.is_encore() {
            return Execution { choices, trace, redundant: true, repeat: true };
        }
        self.strategy.end(&self.trace);
        self.first.get_or_insert_with(|| self.choices.clone());
        let redundant = !self.signatures.insert(self.trace.signature());
        self.statistics.schedules += 1;
        self.statistics.redundant += usize::from(redundant);
        self.statistics.steps += self.choices.len();
        self.statistics.longest = self.statistics.longest.max(self.choices.len());
        Execution { choices, trace, redundant, repeat: false }
    }

    /// What was done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Whether there is nothing left to run, as far as its mode goes.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether every inequivalent schedule was run.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.exhausted && self.strategy.is_complete()
    }
}
