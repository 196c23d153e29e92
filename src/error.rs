//! Everything that can go wrong, as one enum.
//!
//! A message is one sentence for what happened; [`Error::hint`] is one for what to do. The SQLSTATE and the server's
//! own words are kept. No message ever contains a password.

use std::fmt;

use crate::connection::conninfo::ConninfoError;

/// What a server said when it refused something: the fields of its error message.
///
/// Source: the PostgreSQL manual, "Error and Notice Message Fields".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`, never translated.
    pub severity: String,
    /// The same in the server's language; empty where no server has said it.
    pub localized_severity: String,
    /// The SQLSTATE, five characters.
    pub sqlstate: String,
    /// The primary message, in the server's language.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
    /// CONTEXT.
    pub context: Option<String>,
    /// Where in the statement it is.
    pub position: Option<Position>,
}

/// Where in a statement an error is, in characters from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// In the text that was sent.
    Statement(u32),
    /// In a query that the server made itself, for example in a function.
    Internal {
        /// Where.
        position: u32,
        /// The query.
        query: String,
    },
}

impl ServerError {
    /// The severity as a client shows it.
    #[must_use]
    pub fn shown_severity(&self) -> &str {
        if self.localized_severity.is_empty() { &self.severity } else { &self.localized_severity }
    }

    /// Whether the connection ends with this error.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        self.severity != "ERROR"
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:  {} (SQLSTATE {})", self.severity, self.message, self.sqlstate)?;
        for (label, field) in [("DETAIL", &self.detail), ("HINT", &self.hint), ("CONTEXT", &self.context)] {
            if let Some(text) = field {
                write!(f, "\n{label}:  {text}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

impl From<&tokio_postgres::error::DbError> for ServerError {
    fn from(error: &tokio_postgres::error::DbError) -> Self {
        use tokio_postgres::error::ErrorPosition;
        let localized = error.severity();
        Self {
            severity: error.parsed_severity().map_or_else(|| localized.to_owned(), |severity| severity.to_string()),
            localized_severity: localized.to_owned(),
            sqlstate: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            context: error.where_().map(str::to_owned),
            position: error.position().map(|position| match position {
                ErrorPosition::Original(position) => Position::Statement(*position),
                ErrorPosition::Internal { position, query } => {
                    Position::Internal { position: *position, query: query.clone() }
                }
            }),
        }
    }
}

/// Everything that can go wrong outside a session's own statements (those are told by the report).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller asked for something that makes no sense; nothing was sent to a server.
    #[error("{what}")]
    Usage {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: String,
    },
    /// The connection string, or something that it names, is not usable.
    #[error("{what}")]
    Conninfo {
        /// What is wrong; never with a secret in it.
        what: String,
        /// What to do.
        hint: String,
    },
    /// No connection could be made.
    #[error("{what}")]
    Connect {
        /// What happened, with the host and the port.
        what: String,
        /// What to do.
        hint: String,
        /// What the server or the operating system said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server, the role or the objects there do not allow what was asked for.
    #[error("{what}")]
    Refused {
        /// What happened.
        what: String,
        /// What to do.
        hint: String,
        /// The SQLSTATE that PostgreSQL has, or would have, for it.
        sqlstate: String,
        /// The server's own words, where it was asked.
        #[source]
        source: Option<Box<ServerError>>,
    },
    /// A statement of our own (not of a session) failed.
    #[error("{doing} failed: {}", source.message)]
    Server {
        /// What was being done.
        doing: String,
        /// The server's words.
        source: Box<ServerError>,
    },
    /// The server went away while we talked to it.
    #[error("the connection to the server was lost while {doing}: {why}")]
    Lost {
        /// What was being done.
        doing: String,
        /// What the operating system, or the server's last message, said.
        why: String,
        /// The server's last words, if it had any.
        #[source]
        source: Option<Box<ServerError>>,
    },
    /// The call's `timeout` ran out before a run could begin.
    #[error("the timeout ran out while {doing}")]
    Timeout {
        /// What was being done.
        doing: String,
    },
    /// The caller ended the call (Ctrl-C, or an exception in its callback).
    #[error("the call was ended by its caller")]
    Halted,
    /// A fault of ours.
    #[error("django-lockstep has a bug: {what}")]
    Bug {
        /// What was seen.
        what: String,
    },
}

impl From<ConninfoError> for Error {
    fn from(error: ConninfoError) -> Self {
        Self::Conninfo { what: error.to_string(), hint: error.hint() }
    }
}

impl Error {
    /// A [`Error::Usage`].
    pub fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), hint: hint.into() }
    }

    /// A [`Error::Refused`] that we know of without asking the server.
    pub fn refused(sqlstate: &str, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), hint: hint.into(), sqlstate: sqlstate.to_owned(), source: None }
    }

    /// The SQLSTATE, where PostgreSQL has one for it.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Refused { sqlstate, .. } => Some(sqlstate),
            _ => self.server().map(|server| server.sqlstate.as_str()),
        }
    }

    /// The server's DETAIL, where it gave one.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.server().and_then(|server| server.detail.as_deref())
    }

    /// What to do about it, one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Usage { hint, .. }
            | Self::Conninfo { hint, .. }
            | Self::Connect { hint, .. }
            | Self::Refused { hint, .. } => Some(hint),
            Self::Server { source, .. } => source.hint.as_deref(),
            Self::Lost { .. } => Some("See the server's log for why it ended the connection."),
            Self::Timeout { .. } => {
                Some("Give the call more time (timeout=…), or look at why the server is slow to answer.")
            }
            Self::Halted => None,
            Self::Bug { .. } => Some("Please report it, with the command or call that led to it."),
        }
    }

    /// The server's own error, where one is the cause.
    #[must_use]
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Connect { source, .. } => source.downcast_ref(),
            Self::Refused { source, .. } | Self::Lost { source, .. } => source.as_deref(),
            Self::Server { source, .. } => Some(source),
            _ => None,
        }
    }
}
