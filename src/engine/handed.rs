//! Sessions whose steps the run hands in.
//!
//! Most steps are through before another thread would have woken up: so each begins on the run's own thread. One that
//! lasts is carried on by a thread of the session's own, which is started for the first of them.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::seat::{Seat, spawn};
use super::session::{Driver, Gate};
use super::step::StepKind;
use crate::connection::{Leash, Pooled};
use crate::error::Error;

/// A session's seat, and the way to its thread. Dropping it ends the session when its step is over.
pub(super) struct Handed {
    name: String,
    seat: Arc<Mutex<Seat>>,
    leash: Leash,
    thread: Option<Sender<StepKind>>,
}

impl Handed {
    pub(super) fn new(name: &str, backend: Pooled, gate: Gate, driver: &Driver) -> Self {
        let seat = Arc::new(Mutex::new(Seat::new(backend, gate, driver)));
        Self { name: name.to_owned(), seat, leash: driver.leash.clone(), thread: None }
    }

    /// Takes a step: here, if it is through within `patience`, else on the session's thread. Returns that when it has just
    /// been started. No step may be on its way.
    pub(super) fn take(
        &mut self,
        kind: StepKind,
        sql: &str,
        patience: Duration,
    ) -> Result<Option<JoinHandle<()>>, Error> {
        let mut seat = self.seat.lock().unwrap_or_else(PoisonError::into_inner);
        seat.begin(sql);
        if seat.await_briefly(kind, patience) {
            return Ok(None);
        }
        drop(seat);
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
        if let Some(thread) = &self.thread {
            // It goes on until this is dropped.
            let _ = thread.send(kind);
        }
        Ok(started)
    }
}
