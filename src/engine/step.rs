//! A step: one statement of one session. BEGIN, COMMIT and ROLLBACK are steps too.

use crate::connection::ResultSet;
use crate::error::ServerError;

/// What a step does to its session's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Begins the transaction and says which backend it runs on.
    Begin,
    /// The first statement of a transaction whose BEGIN the driver sends along with it, unasked.
    Opening,
    /// Anything in between; it may wait for a lock, and fail.
    Statement,
    /// A statement outside any transaction, which is one of its own: when it is through, it holds nothing.
    Alone,
    /// Ends the transaction well; it may wait (a deferred constraint) and fail.
    Commit,
    /// Ends the transaction without a trace.
    Rollback,
}

impl StepKind {
    /// Whether it is a statement, of whatever kind.
    #[must_use]
    pub fn is_statement(self) -> bool {
        matches!(self, Self::Opening | Self::Statement | Self::Alone)
    }
}

/// One statement of one session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it does to the transaction.
    pub kind: StepKind,
    /// What a reader calls it, for example `row 1`.
    pub name: String,
    /// The statement, as it is sent.
    pub sql: String,
    /// So many bytes of that are the statement itself: what comes after them are its parameters, as a comment.
    pub parameters_at: Option<usize>,
    /// `file:line` of the user's code, where there is any.
    pub source: Option<String>,
    /// All that it touches, where that is known before it has run; nothing known is not the same as nothing.
    pub reach: Option<Vec<Reach>>,
    /// Whether all that its transaction holds is known to be held still when it is through; what lets go of something is
    /// known not to: the end of a transaction, `ROLLBACK TO SAVEPOINT`, `pg_advisory_unlock`.
    pub keeps: bool,
}

/// Rows that a statement touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The table, with its schema.
    pub table: String,
    /// The primary key of the only row; `None`: any of them.
    pub key: Option<String>,
    /// How.
    pub access: Access,
}

/// How a statement touches rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It reads them.
    Read,
    /// `SELECT … FOR KEY SHARE`, and a foreign key's check.
    KeyShare,
    /// `SELECT … FOR SHARE`.
    Share,
    /// `SELECT … FOR NO KEY UPDATE`.
    NoKeyUpdate,
    /// `SELECT … FOR UPDATE`.
    Update,
    /// UPDATE of columns that no key is made of.
    Write,
    /// DELETE.
    Delete,
    /// INSERT; the rows are new ones.
    Insert,
}

impl Step {
    /// A statement.
    pub fn statement(name: impl Into<String>, sql: impl Into<String>) -> Self {
        Self {
            kind: StepKind::Statement,
            name: name.into(),
            sql: sql.into(),
            source: None,
            reach: None,
            keeps: false,
            parameters_at: None,
        }
    }

    /// The same, and it lets go of nothing.
    #[must_use]
    pub fn keeping(self) -> Self {
        Self { keeps: true, ..self }
    }

    /// The step that begins a transaction; `sql` must end with a query that returns `pg_backend_pid`.
    pub fn begin(sql: impl Into<String>) -> Self {
        Self { kind: StepKind::Begin, ..Self::statement("BEGIN", sql) }
    }

    /// COMMIT.
    #[must_use]
    pub fn commit() -> Self {
        Self { kind: StepKind::Commit, ..Self::statement("COMMIT", "COMMIT") }
    }

    /// ROLLBACK.
    #[must_use]
    pub fn rollback() -> Self {
        Self { kind: StepKind::Rollback, ..Self::statement("ROLLBACK", "ROLLBACK") }
    }
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// It is through.
    Done(Vec<ResultSet>),
    /// The server refused it; the transaction is aborted.
    Failed(ServerError),
    /// The connection ended.
    Lost {
        /// What the operating system or the driver said.
        why: String,
        /// The server's last message.
        last_words: Option<Box<ServerError>>,
    },
}

impl StepResult {
    /// How many rows the last statement returned or touched.
    #[must_use]
    pub fn rows(&self) -> Option<u64> {
        match self {
            Self::Done(results) => results.last().map(|result| result.affected),
            _ => None,
        }
    }

    /// The SQLSTATE of the error, if there was one; an error of the driver's own has none.
    #[must_use]
    pub fn sqlstate(&self) -> Option<String> {
        self.error().map(|error| error.sqlstate.clone()).filter(|sqlstate| !sqlstate.is_empty())
    }

    /// The server's error, if there was one.
    #[must_use]
    pub fn error(&self) -> Option<&ServerError> {
        match self {
            Self::Done(_) => None,
            Self::Failed(error) => Some(error),
            Self::Lost { last_words, .. } => last_words.as_deref(),
        }
    }
}
