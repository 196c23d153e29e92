//! One thing that happened, at one time, to one session.

use serde::Serialize;

use super::outcome::named;

named! {
    /// What happened.
    EventKind {
        /// The session's transaction has begun; its backend is known from here on.
        Begin => "begin",
        /// A statement was released.
        Request => "request",
        /// The server says that the statement waits for a lock.
        Waiting => "waiting",
        /// The statement is through; it holds the locks it asked for.
        Acquired => "acquired",
        /// The statement failed.
        Error => "error",
        /// The transaction is committed.
        Commit => "commit",
        /// The transaction is rolled back.
        Rollback => "rollback",
        /// The run is being ended early; the session's statement is cancelled.
        Cancel => "cancel",
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// Seconds since the start of the run.
    pub at: f64,
    /// The session's name.
    pub session: String,
    /// The session's backend, once it is known.
    pub backend_pid: Option<i32>,
    /// What happened.
    pub kind: EventKind,
    /// The step's short name: what a reader calls it, for example `row 1`.
    pub step: String,
    /// The statement, as it was sent.
    pub statement: Option<String>,
    /// Who is in the way, by name: sessions of the run, or `pid 4711` for others.
    pub blocked_by: Vec<String>,
    /// The lock that is waited for, in PostgreSQL's words: `ShareLock on transaction 745`.
    pub lock: Option<String>,
    /// The SQLSTATE of an error.
    pub sqlstate: Option<String>,
    /// The server's own message of an error.
    pub message: Option<String>,
    /// How many rows the statement returned or touched.
    pub rows: Option<u64>,
    /// `file:line` of the user's code, where there is any.
    pub source: Option<String>,
}
