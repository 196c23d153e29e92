//! Poolers between us and the server, PgBouncer first of all: how one is noticed, and what its refusals mean.
//!
//! A pooler hands out its server connections one at a time. Whoever gets none waits inside the pooler, where the server
//! cannot see it.

use std::time::Duration;

use crate::error::{Error, ServerError};

/// How long a pooler may take over a transaction's first statement, which waits for no lock. Opening a server connection
/// takes milliseconds; a client for whom there is none waits for minutes (PgBouncer's `query_wait_timeout`).
pub const POOLER_PATIENCE: Duration = Duration::from_secs(3);

/// What PgBouncer says in statement pooling mode to BEGIN, told with what to do; any other error as it is.
pub(crate) fn explained(error: Error) -> Error {
    let statement_mode = |words: &ServerError| words.message.contains("statement pooling mode");
    match error {
        Error::Server { source, .. } | Error::Lost { source: Some(source), .. } if statement_mode(&source) => {
            Error::Refused {
                what: "PgBouncer is in statement pooling mode, where there are no transactions and so no deadlocks"
                    .to_owned(),
                hint: "Connect to the server itself, or to a pool with pool_mode=transaction or session.".to_owned(),
                sqlstate: source.sqlstate.clone(),
                source: Some(source),
            }
        }
        other => other,
    }
}

/// Whether PgBouncer itself has given up waiting for a server connection.
pub(crate) fn gave_up(words: Option<&ServerError>) -> bool {
    words.is_some_and(|words| words.message.contains("query_wait_timeout"))
}

/// A pooler has no server connection left for one of `needed`.
pub(crate) fn exhausted(doing: &str, needed: usize) -> Error {
    Error::refused(
        "53300",
        format!(
            "the pooler (PgBouncer) in front of the server had no server connection left for {doing}: {needed} are \
             needed at a time, for the sessions and their observer"
        ),
        format!(
            "Raise pool_size (default_pool_size) to {needed} or more for this database and role, use fewer sessions, or \
             connect to the server itself."
        ),
    )
}
