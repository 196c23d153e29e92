//! What became of one session.

use serde::Serialize;

use super::SessionOutcome;

/// One statement of one session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statement {
    /// The statement, as it was sent.
    pub sql: String,
    /// The step's short name, for example `row 1`.
    pub step: String,
    /// When it was released, in seconds since the start of the run.
    pub requested: f64,
    /// When it was through or failed; `None` if it never was.
    pub finished: Option<f64>,
    /// Whether the server was seen to make it wait for a lock.
    pub waited: bool,
    /// The locks that it took and its transaction did not have before, in PostgreSQL's words: `RowShareLock on relation
    /// account`, `row lock of FOR UPDATE on 1 row`. Empty as well where the run did not note locks.
    pub locks: Vec<String>,
    /// How many rows it returned or touched; `None` if it failed.
    pub rows: Option<u64>,
    /// The SQLSTATE that it failed with.
    pub sqlstate: Option<String>,
    /// `file:line` of the user's code, where there is any.
    pub source: Option<String>,
}

/// What became of one session.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SessionReport {
    /// `A`, `B`, … unless the run has names of its own.
    pub name: String,
    /// What `pg_backend_pid()` said inside the transaction.
    pub backend_pid: Option<i32>,
    /// How it ended.
    pub outcome: SessionOutcome,
    /// The SQLSTATE of the error that ended it.
    pub sqlstate: Option<String>,
    /// The server's message.
    pub message: Option<String>,
    /// The server's DETAIL; for a deadlock, a line for each process of the cycle.
    pub detail: Option<String>,
    /// The server's HINT.
    pub hint: Option<String>,
    /// The server's CONTEXT, for example `while locking tuple (0,2) in relation "account"`.
    pub context: Option<String>,
    /// Its statements, in order.
    pub statements: Vec<Statement>,
}
