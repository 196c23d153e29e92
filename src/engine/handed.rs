//! Sessions whose steps the run hands in.
//!
//! Most steps are through before another thread would have woken up: so each begins on the run's own thread. One that
//! lasts is looked after there, if the run has nothing else to wait for; else it is carried on by a thread of the session's
//! own, which is started for the first of them.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::seat::{Seat, spawn};
use super::session::{Driver, Gate};
use super::step::StepKind;
use crate::connection::{Backend, Broken, Leash, Pooled};
use crate::error::Error;

/// A statement of more bytes may not go to the socket at once.
const AT_ONCE: usize = 8192;

/// A session's seat, and the way to its thread. Dropping it ends the session when its step is over.
pub(super) struct Handed {
    name: String,
    seat: Arc<Mutex<Seat>>,
    leash: Leash,
    thread: Option<Sender<StepKind>>,
    /// The step that is on its way, unless a thread looks after it.
    here: Option<StepKind>,
}

impl Handed {
    pub(super) fn new(name: &str, backend: Pooled, gate: Gate, driver: &Driver) -> Self {
        let seat = Arc::new(Mutex::new(Seat::new(backend, gate, driver)));
        Self { name: name.to_owned(), seat, leash: driver.leash.clone(), thread: None, here: None }
    }

    fn seat(&self) -> MutexGuard<'_, Seat> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a step: here, if it is through within `patience`, else on the session's thread. Returns that when it has just
    /// been started. No step may be on its way.
    pub(super) fn take(
        &mut self,
        kind: StepKind,
        sql: &str,
        patience: Duration,
    ) -> Result<Option<JoinHandle<()>>, Error> {
        let is_through = {
            let mut seat = self.seat();
            seat.send(kind, sql) || seat.await_briefly(kind, patience)
        };
        if is_through {
            return Ok(None);
        }
        self.here = Some(kind);
        self.carry_on()
    }

    /// Begins a step, which is looked after here until it is carried on. No step may be on its way.
    pub(super) fn begin(&mut self, kind: StepKind, sql: &str) -> Result<Option<JoinHandle<()>>, Error> {
        let is_through = self.seat().send(kind, sql);
        self.here = Some(kind).filter(|_| !is_through);
        if sql.len() > AT_ONCE { self.carry_on() } else { Ok(None) }
    }

    /// Has the session's thread look after the step that is on its way here. Returns that when it has just been started.
    pub(super) fn carry_on(&mut self) -> Result<Option<JoinHandle<()>>, Error> {
        let Some(kind) = self.here else { return Ok(None) };
        let mut started = None;
        if self.thread.is_none() {
            let (thread, steps) = channel();
            let (seat, leash) = (Arc::clone(&self.seat), self.leash.clone());
            started = Some(spawn(&self.name, move || {
                for kind in steps {
                    seat.lock().unwrap_or_else(PoisonError::into_inner).finish(kind, &leash);
                }
            })?);
            self.thread = Some(thread);
        }
        self.here = None;
        if let Some(thread) = &self.thread {
            // It goes on until this is dropped.
            let _ = thread.send(kind);
        }
        Ok(started)
    }

    /// Whether a step is on its way that is looked after here.
    pub(super) fn is_here(&self) -> bool {
        self.here.is_some()
    }

    /// Waits until one of these steps may be through, and tells of those that are; whether one may be before `patience` is
    /// over.
    pub(super) fn look_after(all: &mut [&mut Self], patience: Duration) -> bool {
        let ready = {
            let seats: Vec<MutexGuard<'_, Seat>> = all.iter().map(|handed| handed.seat()).collect();
            let backends: Vec<&Backend> = seats.iter().filter_map(|seat| seat.backend()).collect();
            Backend::await_any(&backends, patience)
        };
        for &place in &ready {
            if let Some(handed) = all.get_mut(place)
                && let Some(kind) = handed.here
                && handed.seat().is_through(kind)
            {
                handed.here = None;
            }
        }
        !ready.is_empty()
    }

    /// Ends the step that is on its way here, and with it the connection.
    pub(super) fn break_off(&mut self, why: Broken) {
        if let Some(kind) = self.here.take() {
            self.seat().tell(kind, Err(why));
        }
    }
}
