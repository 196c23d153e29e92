//! The stage of a simulation: its pool, its observer, its scratch rows. Whatever happens, it is cleared.

use std::sync::Arc;
use std::time::Duration;

use super::scratch::Scratch;
use crate::connection::conninfo::Conninfo;
use crate::connection::{Backend, Leash, POOLER_PATIENCE, Pool, Pooled, exhausted, gave_up, open};
use crate::engine::Observer;
use crate::error::Error;

/// How long the clean-up may take: a frozen server must not hold the caller, and a busy machine needs its time.
const CLEARING: Duration = Duration::from_secs(2);

pub(crate) struct Stage {
    conninfo: Arc<Conninfo>,
    pool: Pool,
    observer: Option<Observer>,
    scratch: Option<Scratch>,
}

impl Stage {
    /// Opens the pool and the observer, and makes the scratch rows.
    pub(crate) fn set(
        conninfo: Arc<Conninfo>,
        sessions: usize,
        probe: Backend,
        is_pooled: bool,
        scratch: Option<Scratch>,
        rows: &[i64],
        leash: &Leash,
    ) -> Result<Self, Error> {
        let size = u32::try_from(sessions).unwrap_or(u32::MAX).saturating_add(1);
        // What waits for no lock may wait in a pooler for a server connection, but not for ever.
        let soon = || if is_pooled { leash.at_most(POOLER_PATIENCE) } else { leash.clone() };
        let told = |error| match error {
            Error::Timeout { doing } if is_pooled && !leash.is_over() => exhausted(&doing, sessions + 1),
            Error::Lost { doing, source, .. } if gave_up(source.as_deref()) => exhausted(&doing, sessions + 1),
            other => other,
        };
        let pool = Pool::start(Arc::clone(&conninfo), size, probe, leash);
        let claim = scratch.as_ref().map(Scratch::claim);
        let observer = Observer::open(pool.get(leash)?, claim.as_deref(), &soon()).map_err(told)?;
        let stage = Self { conninfo, pool, observer: Some(observer), scratch };
        if let Some(scratch) = &stage.scratch {
            // Cut off, it might be done after its removal, and stay.
            scratch.create(rows, &mut *stage.connection(leash)?, &soon().patient(CLEARING)).map_err(told)?;
        }
        Ok(stage)
    }

    pub(crate) fn connection(&self, leash: &Leash) -> Result<Pooled, Error> {
        self.pool.get(leash)
    }

    pub(crate) fn observer(&mut self) -> Result<&mut Observer, Error> {
        self.observer.as_mut().ok_or_else(|| Error::Bug { what: "the observer is gone before the run".to_owned() })
    }

    /// Removes the scratch rows and ends the observer's transaction. Safe to call again.
    pub(crate) fn clear(&mut self) -> Result<(), Error> {
        let Some(observer) = self.observer.take() else { return Ok(()) };
        let leash = Leash::lasting(CLEARING);
        let drop = self.scratch.as_ref().map(Scratch::drop).unwrap_or_default();
        let Err(error) = observer.close(&drop, &leash) else { return Ok(()) };
        // The observer's transaction or connection was broken: another of the pool's does it, if the server lives.
        let Some(scratch) = &self.scratch else { return Err(error) };
        let sql = format!("BEGIN; {}; {drop}; COMMIT", scratch.claim());
        loop {
            let removed = match self.pool.get(&leash) {
                Ok(mut pooled) => remove(&mut pooled, &sql, &leash),
                // The pool is of the call's own leash, and opens nothing any more when that was cut.
                Err(_) => open(&self.conninfo, &leash).and_then(|mut backend| remove(&mut backend, &sql, &leash)),
            };
            match removed {
                // A cancel request that was meant for a session's last statement may come late, and a pooled
                // connection may have been ended without anybody's having noticed.
                Err(Error::Lost { .. }) if !leash.is_over() => {}
                Err(Error::Server { source, .. }) if source.sqlstate == "57014" && !leash.is_over() => {}
                settled => return settled,
            }
        }
    }
}

fn remove(backend: &mut Backend, sql: &str, leash: &Leash) -> Result<(), Error> {
    let removed = backend.ask(sql, "removing scratch rows", leash).map(drop);
    if removed.is_err() {
        let _ = backend.run("ROLLBACK", leash);
    }
    removed
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The error, if any, is that of whatever went wrong before.
        let _ = self.clear();
    }
}
