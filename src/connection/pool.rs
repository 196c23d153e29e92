//! The r2d2 pool that a run's sessions and its observer draw their connections from.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use r2d2::ManageConnection;

use super::backend::Backend;
use super::conninfo::Conninfo;
use super::leash::Leash;
use super::open::open;
use crate::error::Error;

/// How long one look at the pool lasts before the leash and the failures are looked at again.
const SLICE: Duration = Duration::from_millis(20);

/// A connection out of the pool; it goes back when it is dropped.
pub type Pooled = r2d2::PooledConnection<Manager>;

/// Opens and judges connections for r2d2.
pub struct Manager {
    conninfo: Arc<Conninfo>,
    leash: Leash,
    /// The probe's connection, the first that the pool gets.
    first: Mutex<Option<Backend>>,
    /// Connections that come back have said good-bye: they are kept only until the pool is dropped.
    closing: Arc<AtomicBool>,
}

impl ManageConnection for Manager {
    type Connection = Backend;
    type Error = Error;

    fn connect(&self) -> Result<Backend, Error> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.map_or_else(|| open(&self.conninfo, &self.leash), Ok)
    }

    fn is_valid(&self, backend: &mut Backend) -> Result<(), Error> {
        backend.ask("", "checking a pooled connection", &self.leash).map(drop)
    }

    fn has_broken(&self, backend: &mut Backend) -> bool {
        backend.is_closed() && !self.closing.load(Ordering::Relaxed)
    }
}

/// Keeps the first error: r2d2 itself keeps only its text, and goes on trying.
#[derive(Debug, Default)]
struct FirstFailure(Mutex<Option<Error>>);

impl r2d2::HandleError<Error> for Arc<FirstFailure> {
    fn handle_error(&self, error: Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// A pool of exactly as many connections as a run needs.
pub struct Pool {
    inner: r2d2::Pool<Manager>,
    leash: Leash,
    closing: Arc<AtomicBool>,
    failure: Arc<FirstFailure>,
}

impl Pool {
    /// Starts to open `size` connections in the background; `probe`, if it is not needed elsewhere, becomes the first of
    /// them.
    #[must_use]
    pub fn start(conninfo: Arc<Conninfo>, size: u32, probe: impl Into<Option<Backend>>, leash: &Leash) -> Self {
        let failure = Arc::new(FirstFailure::default());
        let leash = leash.shorter();
        let closing = Arc::new(AtomicBool::new(false));
        let first = Mutex::new(probe.into());
        let manager = Manager { conninfo, leash: leash.clone(), first, closing: Arc::clone(&closing) };
        let inner = r2d2::Pool::builder()
            .max_size(size)
            .max_lifetime(None)
            .idle_timeout(None)
            .test_on_check_out(false)
            .error_handler(Box::new(Arc::clone(&failure)))
            .build_unchecked(manager);
        Self { inner, leash, closing, failure }
    }

    /// How many connections it has when it is full.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(self.inner.max_size()).unwrap_or(usize::MAX)
    }

    /// A connection, as soon as there is one. Fails at once, with the whole story, when one could not be opened.
    pub fn get(&self, leash: &Leash) -> Result<Pooled, Error> {
        loop {
            if let Ok(pooled) = self.inner.get_timeout(leash.remaining(SLICE).max(Duration::from_millis(1))) {
                return Ok(pooled);
            }
            if let Some(error) = self.failure.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return Err(error);
            }
            if leash.is_cut() {
                return Err(Error::Halted);
            }
            if leash.is_over() {
                return Err(Error::Timeout { doing: "waiting for a connection".to_owned() });
            }
        }
    }

    /// Has every connection that is not in use say good-bye. Nothing more can be had from the pool; dropping it waits for
    /// the server to hang up, which it does meanwhile, and for all of them at once.
    pub fn say_goodbye(&self) {
        self.closing.store(true, Ordering::Relaxed);
        let idle: Vec<Pooled> = std::iter::from_fn(|| self.inner.try_get()).collect();
        for mut pooled in idle {
            pooled.say_goodbye();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.say_goodbye();
        // What is still being opened is wanted no more.
        self.leash.cut();
    }
}
