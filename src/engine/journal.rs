//! The journal: every event of a run, in order, as it happens.

use std::time::Instant;

use super::caller::{Halt, Line};
use crate::report::{Event, EventKind};

/// Writes events down and tells the caller.
pub(super) struct Journal<'a> {
    start: Instant,
    events: Vec<Event>,
    line: &'a Line,
    halted: bool,
    hushed: bool,
}

impl<'a> Journal<'a> {
    pub(super) fn new(line: &'a Line) -> Self {
        Self { start: Instant::now(), events: Vec::new(), line, halted: false, hushed: false }
    }

    /// Seconds from the start of the run; never before the last event.
    pub(super) fn seconds(&self, at: Instant) -> f64 {
        let last = self.events.last().map_or(0.0, |event| event.at);
        at.saturating_duration_since(self.start).as_secs_f64().max(last)
    }

    pub(super) fn record(&mut self, event: Event) {
        if !self.hushed && self.line.event(&event) == Err(Halt) {
            self.halted = true;
        }
        self.events.push(event);
    }

    /// From now on the caller is told of events, or is not.
    pub(super) fn hush(&mut self, whether: bool) {
        self.hushed = whether;
    }

    /// The caller has had its way: from now on it is told of nothing, and what goes on is not its affair.
    pub(super) fn close_to_caller(&mut self) {
        self.hushed = true;
        self.halted = false;
    }

    /// Whether the caller's callback wants the run to end.
    pub(super) fn is_halted(&self) -> bool {
        self.halted
    }

    /// The events so far; the clock starts anew.
    pub(super) fn turn_page(&mut self) -> Vec<Event> {
        self.start = Instant::now();
        std::mem::take(&mut self.events)
    }
}

/// An event with nothing in it yet but who, when and what.
pub(super) fn event(at: f64, session: &str, backend_pid: Option<i32>, kind: EventKind, step: &str) -> Event {
    Event {
        at,
        session: session.to_owned(),
        backend_pid,
        kind,
        step: step.to_owned(),
        statement: None,
        blocked_by: Vec::new(),
        lock: None,
        sqlstate: None,
        message: None,
        rows: None,
        source: None,
    }
}
