//! Where a session of ours sits: its pooled connection, its gate, and the thread that waits for the server if need be.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::session::{Driver, Gate};
use super::step::{StepKind, StepResult};
use crate::connection::{Backend, Broken, Leash, Pooled, Reply};
use crate::error::Error;

/// How long the ROLLBACK of a session that is being stopped may take.
const ROLLBACK_PATIENCE: Duration = Duration::from_millis(100);

/// A session's own thread.
pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    thread::Builder::new()
        .name(format!("lockstep {name}"))
        .spawn(work)
        .map_err(|error| Error::Bug { what: format!("no thread for session {name}: {error}") })
}

/// A session's connection and its gate. Dropping it ends the transaction and the session.
pub(super) struct Seat {
    backend: Option<Pooled>,
    gate: Gate,
    in_transaction: bool,
}

impl Seat {
    pub(super) fn new(mut backend: Pooled, gate: Gate, driver: &Driver) -> Self {
        backend.tell_asides(Some(gate.asides(driver.nudge.clone())));
        Self { backend: Some(backend), gate, in_transaction: false }
    }

    /// Its connection.
    pub(super) fn backend(&self) -> Option<&Backend> {
        self.backend.as_deref()
    }

    /// Sends a step's SQL, and waits for nothing; whether it is through all the same, because the connection is lost.
    pub(super) fn send(&mut self, kind: StepKind, sql: &str) -> bool {
        let reply = self.backend.as_mut().and_then(|backend| backend.send(sql));
        self.tell_if_any(kind, reply)
    }

    /// Whether the step is through. Does not wait.
    pub(super) fn is_through(&mut self, kind: StepKind) -> bool {
        let reply = self.backend.as_mut().and_then(|backend| backend.take_reply());
        self.tell_if_any(kind, reply)
    }

    /// Waits a moment for the step to be through; whether it is.
    pub(super) fn await_briefly(&mut self, kind: StepKind, patience: Duration) -> bool {
        let reply = self.backend.as_mut().and_then(|backend| backend.await_briefly(patience));
        self.tell_if_any(kind, reply)
    }

    /// Waits for the step to be through.
    pub(super) fn finish(&mut self, kind: StepKind, leash: &Leash) {
        let reply = self.backend.as_mut().map(|backend| backend.finish(leash));
        self.tell(kind, reply.unwrap_or(Err(Broken::Cut)));
    }

    fn tell_if_any(&mut self, kind: StepKind, reply: Option<Result<Reply, Broken>>) -> bool {
        reply.map(|reply| self.tell(kind, reply)).is_some()
    }

    pub(super) fn tell(&mut self, kind: StepKind, reply: Result<Reply, Broken>) {
        let (result, pid) = match reply {
            Ok(reply) => {
                let pid = (kind == StepKind::Begin).then(|| reply.scalar()?.parse().ok()).flatten();
                (reply.error.map_or(StepResult::Done(reply.results), StepResult::Failed), pid)
            }
            Err(Broken::Lost { why, last_words }) => (StepResult::Lost { why, last_words }, None),
            Err(Broken::Cut | Broken::Over) => {
                (StepResult::Lost { why: "it was cut off at the end of the run".to_owned(), last_words: None }, None)
            }
        };
        self.in_transaction = match (kind, &result) {
            (_, StepResult::Lost { .. }) | (StepKind::Commit | StepKind::Rollback | StepKind::Alone, _) => false,
            (StepKind::Begin | StepKind::Opening | StepKind::Statement, _) => true,
        };
        self.gate.finish(result, pid);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some(mut backend) = self.backend.take() else { return };
        if self.in_transaction {
            let _ = backend.run("ROLLBACK", &Leash::lasting(ROLLBACK_PATIENCE));
        }
        backend.tell_asides(None);
        // The connection goes back to its pool before the gate says that the session has left.
        drop(backend);
    }
}
