//! A session's gate, as the Python thread that drives it sees it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use crate::connection::ResultSet;
use crate::engine::{Access, End, Gate, Reach, Step, StepKind, StepResult};
use crate::error::ServerError;

/// Where a session's thread waits before each step. One thread's; dropping it ends the session.
#[pyclass(name = "Gate", module = "django_lockstep._core", frozen)]
pub(super) struct PyGate {
    gate: Mutex<Option<Gate>>,
    others_wait: AtomicBool,
}

impl From<Gate> for PyGate {
    fn from(gate: Gate) -> Self {
        Self { gate: Mutex::new(Some(gate)), others_wait: AtomicBool::new(false) }
    }
}

impl PyGate {
    fn with<T>(&self, act: impl FnOnce(&Gate) -> T) -> Option<T> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(act)
    }
}

#[pymethods]
impl PyGate {
    /// Announce a step and wait until it is released; ``False`` when the run is over. The GIL is released meanwhile.
    /// ``reach``: table, primary key and access of all that it touches, where that is known; ``parameters``: the statement's, as
    /// a reader sees them.
    #[pyo3(signature = (kind, name, statement, source, reach = None, parameters = None))]
    #[expect(clippy::too_many_arguments, reason = "they are those of a Python method")]
    fn arrive(
        &self,
        py: Python<'_>,
        kind: &str,
        name: String,
        statement: &str,
        source: Option<String>,
        reach: Option<Vec<(String, Option<String>, String)>>,
        parameters: Option<&str>,
    ) -> bool {
        let kind = match kind {
            "opening" => StepKind::Opening,
            "alone" => StepKind::Alone,
            "commit" => StepKind::Commit,
            "rollback" => StepKind::Rollback,
            _ => StepKind::Statement,
        };
        let reach = reach.and_then(|all| all.into_iter().map(reached).collect());
        let parameters_at = parameters.map(|_| statement.len());
        let sql = parameters.map_or_else(|| statement.to_owned(), |given| format!("{statement} -- {given}"));
        let step = Step { kind, name, sql, parameters_at, source, reach, keeps: false };
        let Some(Ok(permit)) = py.detach(|| self.with(|gate| gate.arrive(step))) else { return false };
        self.others_wait.store(permit.others_wait, Ordering::Relaxed);
        true
    }

    /// Whether another session waited for a lock when the last step was released: then that may close a cycle.
    #[getter]
    fn others_wait(&self) -> bool {
        self.others_wait.load(Ordering::Relaxed)
    }

    /// Tell the backend that the next steps run on; ``None`` where it cannot be known.
    #[pyo3(signature = (backend_pid))]
    fn locate(&self, backend_pid: Option<i32>) {
        self.with(|gate| gate.locate(backend_pid));
    }

    /// Tell whether the server has looked for a deadlock around the current wait, and found none.
    fn check(&self, whether: bool) {
        self.with(|gate| gate.check(whether));
    }

    /// Tell the isolation level of the session's transactions.
    fn isolate(&self, level: String) {
        self.with(|gate| gate.isolate(level));
    }

    /// Tell that the released step is through, and how many rows it returned or touched.
    #[pyo3(signature = (rows = None))]
    fn finish(&self, rows: Option<u64>) {
        let results = rows.map(|affected| ResultSet { affected, ..ResultSet::default() });
        self.with(|gate| gate.finish(StepResult::Done(results.into_iter().collect()), None));
    }

    /// Tell that the server refused the released step.
    #[pyo3(signature = (sqlstate, message, *, severity, detail, hint, context))]
    fn fail(
        &self,
        sqlstate: String,
        message: String,
        severity: Option<String>,
        detail: Option<String>,
        hint: Option<String>,
        context: Option<String>,
    ) {
        let severity = severity.unwrap_or_else(|| "ERROR".to_owned());
        let error = ServerError { severity, sqlstate, message, detail, hint, context, ..ServerError::default() };
        let result = if error.is_fatal() {
            StepResult::Lost { why: error.message.clone(), last_words: Some(Box::new(error)) }
        } else {
            StepResult::Failed(error)
        };
        self.with(|gate| gate.finish(result, None));
    }

    /// Tell that the connection ended during the released step.
    fn lose(&self, why: String) {
        self.with(|gate| gate.finish(StepResult::Lost { why, last_words: None }, None));
    }

    /// End the session: ``raised`` is what its code raised, in one line.
    #[pyo3(signature = (raised = None, sqlstate = None))]
    fn leave(&self, raised: Option<String>, sqlstate: Option<String>) {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(gate) = gate {
            gate.leave(raised.map_or(End::Returned, |what| End::Raised { what, sqlstate }));
        }
    }
}

/// Nothing is known where the access is none that we know.
fn reached((table, key, access): (String, Option<String>, String)) -> Option<Reach> {
    let access = match access.as_str() {
        "read" => Access::Read,
        "key share" => Access::KeyShare,
        "share" => Access::Share,
        "no key update" => Access::NoKeyUpdate,
        "update" => Access::Update,
        "write" => Access::Write,
        "delete" => Access::Delete,
        "insert" => Access::Insert,
        _ => return None,
    };
    Some(Reach { table, key, access })
}
