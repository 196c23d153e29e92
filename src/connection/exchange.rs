//! One simple query and everything that the server answers to it.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::backend::{Reply, ResultSet};

/// How an exchange has ended.
pub(super) enum Exchange {
    Complete(Reply),
    Torn { reply: Reply, why: String },
}

pub(super) type Work = Pin<Box<dyn Future<Output = Exchange> + Send>>;

/// An exchange that goes on: what comes of it, and how far it has come.
pub(super) struct Ongoing {
    pub(super) work: Work,
    pub(super) progress: Progress,
}

impl Ongoing {
    /// Sends `sql` as soon as it is polled.
    pub(super) fn new(client: Arc<Client>, sql: String) -> Self {
        let progress = Progress::default();
        Self { work: Box::pin(exchange(client, sql, progress.clone())), progress }
    }
}

/// How far the answers to a simple query have come.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<Mutex<(usize, bool)>>);

impl Progress {
    /// So many statements are through.
    fn through(&self, statements: usize) {
        self.set((statements, false));
    }

    /// The next one has begun to answer.
    fn beyond(&self) {
        let (through, _) = self.get();
        self.set((through, true));
    }

    /// A notice has come: before which of the statements' results, from 1, libpq would tell it.
    pub(super) fn note(&self) -> usize {
        let (through, is_beyond) = self.get();
        self.beyond();
        if through == 0 || is_beyond { through + 1 } else { through }
    }

    fn get(&self) -> (usize, bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, to: (usize, bool)) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

async fn exchange(client: Arc<Client>, sql: String, progress: Progress) -> Exchange {
    let mut reply = Reply::default();
    let stream = match client.simple_query_raw(&sql).await {
        Ok(stream) => stream,
        Err(error) => return Exchange::Torn { reply, why: chain(&error) },
    };
    let mut stream = pin!(stream);
    let mut open: Option<ResultSet> = None;
    // An error is not the end: the server is ready, and has let go of its locks, only when the stream is through.
    while let Some(message) = stream.next().await {
        match message {
            Ok(SimpleQueryMessage::RowDescription(columns)) => {
                let columns = columns.iter().map(|column| column.name().to_owned()).collect();
                open = Some(ResultSet { columns, ..ResultSet::default() });
                progress.beyond();
            }
            Ok(SimpleQueryMessage::Row(row)) => {
                let values = (0..row.len()).map(|index| value(&row, index)).collect();
                open.get_or_insert_default().rows.push(values);
            }
            Ok(SimpleQueryMessage::CommandComplete(affected)) => {
                reply.results.push(ResultSet { affected, ..open.take().unwrap_or_default() });
                progress.through(reply.results.len());
            }
            Ok(_) => {}
            Err(error) => match error.as_db_error() {
                Some(error) => reply.error = Some(error.into()),
                None => return Exchange::Torn { reply, why: odd(&error) },
            },
        }
    }
    Exchange::Complete(reply)
}

/// A field as text. A server may be made to send what is not UTF-8 (`SET client_encoding`, a database in `SQL_ASCII`); of that
/// the driver tells nothing but that it is so.
fn value(row: &SimpleQueryRow, index: usize) -> Option<String> {
    row.try_get(index).map_or_else(|_| Some(char::REPLACEMENT_CHARACTER.to_string()), |text| text.map(str::to_owned))
}

/// Why the driver gave the connection up. To COPY … FROM STDIN and TO STDOUT the server answers what nobody here reads.
fn odd(error: &tokio_postgres::Error) -> String {
    let why = chain(error);
    if why.contains("unexpected message") {
        return format!("{why}, as COPY FROM STDIN and TO STDOUT make it send");
    }
    why
}

/// An error with its causes: rust-postgres' own text alone is just "db error".
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
