//! The events of one schedule, and which happened before which.

use std::collections::BTreeSet;

use super::footprint::Footprint;

/// What followed from releasing one step: it was done, failed or waits; and sessions that had waited went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whose step was released.
    pub session: usize,
    /// All that took part: the session itself, those that went on because of it, and those whose wait changed.
    pub involved: BTreeSet<usize>,
    /// What all of them touched.
    pub footprint: Footprint,
}

impl Event {
    /// Whether it matters which of two comes first.
    #[must_use]
    pub fn depends(&self, other: &Self) -> bool {
        !self.involved.is_disjoint(&other.involved) || self.footprint.conflicts(&other.footprint)
    }
}

/// How many of each session's events happened before an event, itself included.
pub type Clock = Vec<u32>;

/// A race: two dependent events of different sessions with nothing between them that orders them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Race {
    /// The place of the first.
    pub first: usize,
    /// The place of the second.
    pub second: usize,
}

/// The events of one schedule, in order.
#[derive(Clone, Debug)]
pub struct Trace {
    sessions: usize,
    events: Vec<Event>,
    clocks: Vec<Clock>,
    /// The first event of each race that an event is the second of.
    races: Vec<Vec<usize>>,
}

impl Trace {
    /// An empty trace of so many sessions.
    #[must_use]
    pub fn new(sessions: usize) -> Self {
        Self { sessions, events: Vec::new(), clocks: Vec::new(), races: Vec::new() }
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions
    }

    /// The events, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The clock of each event.
    #[must_use]
    pub fn clocks(&self) -> &[Clock] {
        &self.clocks
    }

    /// Adds what happened next.
    pub fn push(&mut self, event: Event) {
        let mut clock = vec![0; self.sessions];
        let mut races = Vec::new();
        for (place, earlier) in self.events.iter().enumerate().rev() {
            // What an event between has already ordered needs no look.
            if self.covers(&clock, place) || !earlier.depends(&event) {
                continue;
            }
            if !earlier.involved.contains(&event.session) {
                races.push(place);
            }
            for (mine, theirs) in clock.iter_mut().zip(&self.clocks[place]) {
                *mine = (*mine).max(*theirs);
            }
        }
        let own = self.events.iter().filter(|earlier| earlier.session == event.session).count();
        clock[event.session] = u32::try_from(own).unwrap_or(u32::MAX).saturating_add(1);
        self.events.push(event);
        self.clocks.push(clock);
        self.races.push(races);
    }

    /// Forgets all events from this place on.
    pub fn truncate(&mut self, length: usize) {
        self.events.truncate(length);
        self.clocks.truncate(length);
        self.races.truncate(length);
    }

    fn covers(&self, clock: &Clock, place: usize) -> bool {
        let session = self.events[place].session;
        clock[session] >= self.clocks[place][session]
    }

    /// Whether one event happened before another, or is it.
    #[must_use]
    pub fn happened_before(&self, first: usize, second: usize) -> bool {
        first <= second && self.covers(&self.clocks[second], first)
    }

    /// The races whose second event is at `from` or later.
    pub fn races(&self, from: usize) -> impl Iterator<Item = Race> + '_ {
        self.races
            .iter()
            .enumerate()
            .skip(from)
            .flat_map(|(second, firsts)| firsts.iter().map(move |&first| Race { first, second }))
    }

    /// The sessions that can begin the reversal of a race: what happened between its two events without the first one,
    /// and then the second. Any of them, run in place of the first event, leads to it.
    #[must_use]
    pub fn initials(&self, race: Race) -> BTreeSet<usize> {
        let between = (race.first + 1..race.second).filter(|&place| !self.happened_before(race.first, place));
        let reversal: Vec<usize> = between.chain([race.second]).collect();
        let second = self.whole_step(race.second);
        let orders = |other: usize, place: usize| {
            self.happened_before(other, place) || place == race.second && self.events[other].depends(&second)
        };
        let first_of = |&&place: &&usize| {
            // The race's own first event is not in the reversal, so it orders nothing there.
            !reversal.iter().take_while(|&&other| other < place).any(|&other| orders(other, place))
        };
        reversal.iter().filter(first_of).map(|&place| self.events[place].session).collect()
    }

    /// An event with all that its step touched later, if it had to wait: without the wait it would have touched it at once.
    #[must_use]
    pub fn whole_step(&self, place: usize) -> Event {
        let mut whole = self.events[place].clone();
        let later = self.events[place + 1..].iter().take_while(|event| event.session != whole.session);
        for event in later.filter(|event| event.involved.contains(&whole.session)) {
            whole.footprint.join(event.footprint.clone());
        }
        whole
    }

    /// The same for all equivalent traces, and different for others: each session's events with their clocks.
    #[must_use]
    pub fn signature(&self) -> Vec<u32> {
        let mut places: Vec<usize> = (0..self.events.len()).collect();
        places.sort_by_key(|&place| (self.events[place].session, self.clocks[place][self.events[place].session]));
        let mut signature = Vec::with_capacity(places.len() * (self.sessions + 1));
        for place in places {
            signature.push(u32::try_from(self.events[place].session).unwrap_or(u32::MAX));
            signature.extend(&self.clocks[place]);
        }
        signature
    }
}
