//! What every session wanted to do next after every beginning of a schedule: the same beginning must lead to the same.

use std::collections::HashMap;

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

/// Remembers the gates after every beginning.
pub(super) struct Memory {
    places: Vec<Place>,
    at: Option<usize>,
    numbers: HashMap<String, u32>,
    labels: Vec<String>,
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { places: vec![Place::default()], at: Some(0), numbers: HashMap::new(), labels: Vec::new() }
    }

    /// A schedule begins.
    pub(super) fn begin(&mut self) {
        self.at = Some(0);
    }

    /// Compares what stands at the gates, after these choices, with what did before; `waits` says who waits for another one.
    pub(super) fn compare(
        &mut self,
        gates: &[Option<String>],
        choices: &[usize],
        waits: impl Fn(usize) -> bool,
    ) -> Result<(), Diverged> {
        let Some(at) = self.at else { return Ok(()) };
        let now: Vec<Stand> = gates
            .iter()
            .enumerate()
            .map(|(session, gate)| match gate {
                Some(label) => Stand::AtGate(self.number(label)),
                None if waits(session) => Stand::Waiting,
                None => Stand::Nowhere,
            })
            .collect();
        if self.places[at].gates.is_empty() {
            self.places[at].gates = now;
            return Ok(());
        }
        let both = || self.places[at].gates.iter().copied().zip(now.iter().copied()).enumerate();
        let other = both().filter(|(_, (before, now))| before != now);
        let of_a_wait = |before, now| before == Stand::Waiting || now == Stand::Waiting;
        // What the code did itself says more than what the server did.
        let Some((session, (before, now))) = other.min_by_key(|&(_, (before, now))| of_a_wait(before, now)) else {
            return Ok(());
        };
        let label = |stand| match stand {
            Stand::AtGate(number) => self.labels.get(number as usize).cloned(),
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
        if let Some(&next) = self.places[at].next.get(&session) {
            self.at = Some(next);
        } else if self.places.len() < MOST_CHOICES {
            let next = self.places.len();
            self.places.push(Place::default());
            self.places[at].next.insert(session, next);
            self.at = Some(next);
        } else {
            self.at = None;
        }
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
