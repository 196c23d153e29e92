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
    /// Makes the scratch rows and the observer, on the probe's own connection, while `pool` opens its connections.
    pub(crate) fn set(
        conninfo: Arc<Conninfo>,
        pool: Pool,
        probe: Backend,
        is_pooled: bool,
        scratch: Option<Scratch>,
        rows: &[i64],
        leash: &Leash,
    ) -> Result<Self, Error> {
        // What waits for no lock may wait in a pooler for a server connection, but not for ever.
        let soon = if is_pooled { leash.at_most(POOLER_PATIENCE) } else { leash.clone() };
        let needed = pool.size() + 1;
        let told = |error| match error {
            Error::Timeout { doing } if is_pooled && !leash.is_over() => exhausted(&doing, needed),
            Error::Lost { doing, source, .. } if gave_up(source.as_deref()) => exhausted(&doing, needed),
            other => other,
        };
        let probe = Box::new(probe);
        let observer = match &scratch {
            // Cut off, the making might be done after its removal, and stay.
            Some(scratch) => scratch.open(rows, probe, &soon.patient(CLEARING)),
            None => Observer::open(probe, None, &soon),
        };
        let mut stage = Self { conninfo, pool, observer: None, scratch };
        match observer {
            Ok(observer) => stage.observer = Some(observer),
            Err(error) => {
                // Whether the rows were made is not known: also a pooler's error may come when they were.
                let _ = stage.remove(&Leash::lasting(CLEARING));
                return Err(told(error));
            }
        }
        Ok(stage)
    }

    pub(crate) fn connection(&self, leash: &Leash) -> Result<Pooled, Error> {
        self.pool.get(leash)
    }

    pub(crate) fn observer(&mut self) -> Result<&mut Observer, Error> {
        self.observer.as_mut().ok_or_else(|| Error::Bug { what: "the observer is gone before the run".to_owned() })
    }

    /// Removes the scratch rows, ends the observer's transaction and the sessions' connections. Safe to call again.
    pub(crate) fn clear(&mut self) -> Result<(), Error> {
        let Some(observer) = self.observer.take() else { return Ok(()) };
        let leash = Leash::lasting(CLEARING);
        self.pool.say_goodbye();
        let drop = self.scratch.as_ref().map(Scratch::drop).unwrap_or_default();
        let Err(error) = observer.close(&drop, &leash) else { return Ok(()) };
        if self.scratch.is_none() {
            return Err(error);
        }
        // The observer's transaction or connection was broken: another one does it, if the server lives.
        self.remove(&leash)
    }

    /// Removes the scratch rows by a connection of its own. Waits for the claim: whoever holds it still may be making
    /// them.
    fn remove(&self, leash: &Leash) -> Result<(), Error> {
        let Some(scratch) = &self.scratch else { return Ok(()) };
        let sql = format!("BEGIN; {}; {}; COMMIT", scratch.claim(), scratch.drop());
        loop {
            let removed = open(&self.conninfo, leash).and_then(|mut backend| remove(&mut backend, &sql, leash));
            match removed {
                // The backend may be ended, or be hit by a cancel request that was meant for another one.
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
