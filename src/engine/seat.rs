//! Where a session of ours sits: its pooled connection, its gate, and the thread that waits for the server.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::script::Script;
use super::session::{Driver, Gate};
use super::step::{StepKind, StepResult};
use crate::connection::{Broken, Leash, Pooled, Reply};
use crate::error::Error;

/// How long the ROLLBACK of a session that is being stopped may take.
const ROLLBACK_PATIENCE: Duration = Duration::from_millis(100);

/// Starts a session that takes the steps of a script on a pooled connection.
pub(super) fn start_sql(name: &str, backend: Pooled, script: Box<dyn Script>, gate: Gate) -> Result<Driver, Error> {
    let mut driver = Driver::of(&backend);
    let seat = Seat::new(backend, gate, &driver);
    driver.thread = Some(spawn(name, {
        let leash = driver.leash.clone();
        move || seat.follow(script, &leash)
    })?);
    Ok(driver)
}

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

    fn follow(mut self, mut script: Box<dyn Script>, leash: &Leash) {
        let mut last = None;
        while let Some(step) = script.next(last.as_ref()) {
            let (kind, sql) = (step.kind, step.sql.clone());
            if self.gate.arrive(step).is_err() {
                break;
            }
            self.begin(&sql);
            last = Some(self.finish(kind, leash));
        }
    }

    /// Sends a step's SQL, and waits for nothing.
    pub(super) fn begin(&mut self, sql: &str) {
        if let Some(backend) = &mut self.backend {
            backend.begin(sql);
        }
    }

    /// Waits a moment for the step to be through; whether it is.
    pub(super) fn await_briefly(&mut self, kind: StepKind, patience: Duration) -> bool {
        let Some(reply) = self.backend.as_mut().and_then(|backend| backend.await_briefly(patience)) else {
            return false;
        };
        self.tell(kind, reply);
        true
    }

    /// Waits for the step to be through.
    pub(super) fn finish(&mut self, kind: StepKind, leash: &Leash) -> StepResult {
        let reply = self.backend.as_mut().map(|backend| backend.finish(leash));
        self.tell(kind, reply.unwrap_or(Err(Broken::Cut)))
    }

    fn tell(&mut self, kind: StepKind, reply: Result<Reply, Broken>) -> StepResult {
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
        self.gate.finish(result.clone(), pid);
        result
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
