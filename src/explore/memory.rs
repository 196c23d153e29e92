//! What every session wanted to do next after every beginning of a schedule: the same beginning must lead to the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// So many choices are remembered; later ones are not compared.
const MOST_CHOICES: usize = 1_000_000;

/// The same beginning has led a session to something else than before: its code depends on something that no schedule
/// decides, such as a clock, a random number or the order of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diverged {
    /// Which session.
    pub session: usize,
    /// How many steps had been released.
    pub after: usize,
    /// How many of its own steps the session had begun before.
    pub step: usize,
    /// What it stood at a gate with before; nothing if it stood at none.
    pub before: Option<String>,
    /// What it stands at a gate with now.
    pub now: Option<String>,
    /// It waits for another session, and did not before; or the other way round. Then it is the server that went another way.
    pub waits: bool,
}

/// How a session stands after some choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    AtGate(u32),
    Waiting,
    /// It has ended.
    Nowhere,
}

#[derive(Default)]
struct Place {
    gates: Vec<Stand>,
    next: HashMap<usize, usize>,
}

/// What is remembered.
struct Store {
    places: Vec<Place>,
    numbers: HashMap<String, u32>,
    labels: Vec<String>,
}

/// Remembers the gates after every beginning; searches of the same sessions can share it.
pub(super) struct Memory {
    store: Arc<Mutex<Store>>,
    at: Option<usize>,
}

impl Memory {
    pub(super) fn new() -> Self {
        let store = Store { places: vec![Place::default()], numbers: HashMap::new(), labels: Vec::new() };
        Self { store: Arc::new(Mutex::new(store)), at: Some(0) }
    }

    /// Another one of the same sessions: what one has seen, both have.
    pub(super) fn shared(&self) -> Self {
        Self { store: Arc::clone(&self.store), at: Some(0) }
    }

    /// A schedule begins.
    pub(super) fn begin(&mut self) {
        self.at = Some(0);
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Compares what stands at the gates, after these choices, with what did before; `waits` says who waits for another one.
    pub(super) fn compare(
        &mut self,
        gates: &[Option<String>],
        choices: &[usize],
        waits: impl Fn(usize) -> bool,
    ) -> Result<(), Diverged> {
        let Some(at) = self.at else { return Ok(()) };
        let mut store = self.store();
        let now: Vec<Stand> = gates
            .iter()
            .enumerate()
            .map(|(session, gate)| match gate {
                Some(label) => Stand::AtGate(store.number(label)),
                None if waits(session) => Stand::Waiting,
                None => Stand::Nowhere,
            })
            .collect();
        if store.places[at].gates.is_empty() {
            store.places[at].gates = now;
            return Ok(());
        }
        let both = || store.places[at].gates.iter().copied().zip(now.iter().copied()).enumerate();
        let other = both().filter(|(_, (before, now))| before != now);
        let of_a_wait = |before, now| before == Stand::Waiting || now == Stand::Waiting;
        // What the code did itself says more than what the server did.
        let Some((session, (before, now))) = other.min_by_key(|&(_, (before, now))| of_a_wait(before, now)) else {
            return Ok(());
        };
        let label = |stand| match stand {
            Stand::AtGate(number) => store.labels.get(number as usize).cloned(),
            Stand::Waiting | Stand::Nowhere => None,
        };
        Err(Diverged {
            session,
            after: choices.len(),
            step: choices.iter().filter(|&&choice| choice == session).count(),
            before: label(before),
            now: label(now),
            waits: of_a_wait(before, now),
        })
    }

    /// A step is released.
    pub(super) fn go(&mut self, session: usize) {
        let Some(at) = self.at else { return };
        let next = self.store().step(at, session);
        self.at = next;
    }
}

impl Store {
    /// The place after this one; none where no more are remembered.
    fn step(&mut self, at: usize, session: usize) -> Option<usize> {
        if let Some(&next) = self.places[at].next.get(&session) {
            return Some(next);
        }
        if self.places.len() >= MOST_CHOICES {
            return None;
        }
        let next = self.places.len();
        self.places.push(Place::default());
        self.places[at].next.insert(session, next);
        Some(next)
    }

    fn number(&mut self, label: &str) -> u32 {
        if let Some(&number) = self.numbers.get(label) {
            return number;
        }
        let number = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
        self.labels.push(label.to_owned());
        self.numbers.insert(label.to_owned(), number);
        number
    }
}
