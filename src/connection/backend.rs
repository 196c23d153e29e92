//! One connection, and with it one backend of the server.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::runtime::Runtime;
use tokio_postgres::{AsyncMessage, Client, SimpleQueryMessage, SimpleQueryRow};

use super::aside::{Aside, Asides};
use super::cancel::CancelHandle;
use super::leash::{Leash, Slip};
use crate::error::{Error, ServerError};

/// How long saying good-bye to the server may take.
const FAREWELL: Duration = Duration::from_millis(50);

/// The connection's other half: what reads and writes the socket.
pub(super) type Wire = Pin<Box<dyn Stream<Item = Result<AsyncMessage, tokio_postgres::Error>> + Send>>;

/// One connection. Statements go by the simple query protocol: no prepared statement is left on a server connection
/// that a pooler hands to somebody else, and rows that came before an error are kept.
///
/// Every call blocks the calling thread until the server has answered *and* is ready for the next query (so that the
/// locks of a failed transaction are gone), or until its [`Leash`] ends.
pub struct Backend {
    client: Option<Client>,
    wire: Option<Wire>,
    runtime: Runtime,
    cancel: CancelHandle,
    last_words: Option<ServerError>,
    asides: Option<Asides>,
}

/// What one statement of a simple query gave back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultSet {
    /// The columns' names; empty for a statement that returns no rows.
    pub columns: Vec<String>,
    /// The rows, as text; `None` is NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// The number in the command tag: rows returned or touched.
    pub affected: u64,
}

/// What a simple query gave back: a result for each statement, then perhaps an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// One for each statement that completed.
    pub results: Vec<ResultSet>,
    /// The error that ended it.
    pub error: Option<ServerError>,
}

impl Reply {
    /// The first value of the first row of the last result that has rows.
    #[must_use]
    pub fn scalar(&self) -> Option<&str> {
        self.results.iter().rev().find_map(|result| result.rows.first())?.first()?.as_deref()
    }

    /// The rows of the last result that has columns.
    #[must_use]
    pub fn rows(&self) -> &[Vec<Option<String>>] {
        self.results.iter().rev().find(|result| !result.columns.is_empty()).map_or(&[], |result| &result.rows)
    }
}

/// Why an exchange with the server did not come to its end. The connection is of no more use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The leash was cut.
    Cut,
    /// The leash's deadline passed.
    Over,
    /// The connection ended.
    Lost {
        /// What the operating system or the driver said.
        why: String,
        /// The server's last message, if it sent one (57P01 when an administrator ended the backend).
        last_words: Option<Box<ServerError>>,
    },
}

impl Broken {
    /// As an error of the call; `doing` says what was being done.
    #[must_use]
    pub fn while_doing(self, doing: &str) -> Error {
        let doing = doing.to_owned();
        match self {
            Self::Cut => Error::Halted,
            Self::Over => Error::Timeout { doing },
            Self::Lost { why, last_words } => Error::Lost { doing, why, source: last_words },
        }
    }
}

impl Backend {
    pub(super) fn new(client: Client, wire: Wire, runtime: Runtime, cancel: CancelHandle) -> Self {
        Self { client: Some(client), wire: Some(wire), runtime, cancel, last_words: None, asides: None }
    }

    /// Has notices and notifications told to `asides` from now on, or to nobody.
    pub fn tell_asides(&mut self, asides: Option<Asides>) {
        self.asides = asides;
    }

    /// What cancels this backend's current statement, from any thread.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// Whether a pooler is between us and this backend, whose process is `pid`.
    #[must_use]
    pub fn is_pooled(&self, pid: i32) -> bool {
        self.cancel.key_pid() != pid
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.wire.is_none() || self.client.as_ref().is_none_or(Client::is_closed)
    }

    /// Sends `sql` (one statement or several) and waits for everything the server has to say about it.
    pub fn run(&mut self, sql: &str, leash: &Leash) -> Result<Reply, Broken> {
        let Some(client) = &self.client else {
            return Err(self.lost("it was closed before"));
        };
        let progress = Cell::new(Progress::default());
        let ears = Ears { last_words: &mut self.last_words, asides: self.asides.as_mut(), progress: &progress };
        let outcome = drive(&self.runtime, &mut self.wire, ears, leash, exchange(client, sql, &progress));
        match outcome {
            Ok(Exchange::Complete(reply)) => {
                if reply.error.is_some() {
                    self.tell_before(&reply.results);
                }
                Ok(reply)
            }
            Ok(Exchange::Torn { reply, why }) => {
                self.wire = None;
                self.tell_before(&reply.results);
                if reply.error.is_some() {
                    self.last_words = reply.error;
                }
                Err(self.lost(&why))
            }
            Err(slip) => {
                self.wire = None;
                Err(match slip {
                    Slip::Cut => Broken::Cut,
                    Slip::Over => Broken::Over,
                })
            }
        }
    }

    /// [`Backend::run`] for a statement of our own, where an error of the server is an error of the call.
    pub fn ask(&mut self, sql: &str, doing: &str, leash: &Leash) -> Result<Reply, Error> {
        let reply = self.run(sql, leash).map_err(|broken| broken.while_doing(doing))?;
        match reply.error {
            Some(source) => Err(Error::Server { doing: doing.to_owned(), source: Box::new(source) }),
            None => Ok(reply),
        }
    }

    /// An error is told by itself; what came before it, besides.
    fn tell_before(&mut self, results: &[ResultSet]) {
        if let Some(asides) = &mut self.asides
            && !results.is_empty()
        {
            asides.tell(Aside::Before(results.to_vec()));
        }
    }

    /// Says good-bye to the server without waiting for it to hang up; that is waited for when this is dropped.
    pub(super) fn say_goodbye(&mut self) {
        // Without its client, the wire sends Terminate and ends.
        self.client = None;
        if let Some(wire) = &mut self.wire {
            let said = self.runtime.block_on(poll_fn(|cx| Poll::Ready(wire.as_mut().poll_next(cx))));
            if matches!(said, Poll::Ready(None | Some(Err(_)))) {
                self.wire = None;
            }
        }
    }

    fn lost(&self, why: &str) -> Broken {
        Broken::Lost { why: why.to_owned(), last_words: self.last_words.clone().map(Box::new) }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.say_goodbye();
        if let Some(mut wire) = self.wire.take() {
            self.runtime.block_on(async {
                let _ = tokio::time::timeout(FAREWELL, async { while wire.next().await.is_some() {} }).await;
            });
        }
    }
}

enum Exchange {
    Complete(Reply),
    Torn { reply: Reply, why: String },
}

/// How far the answers to a simple query have come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// How many statements are through.
    through: usize,
    /// Whether the next one has begun to answer, or a notice has come since.
    is_beyond: bool,
}

async fn exchange(client: &Client, sql: &str, progress: &Cell<Progress>) -> Exchange {
    let mut reply = Reply::default();
    let stream = match client.simple_query_raw(sql).await {
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
                progress.set(Progress { is_beyond: true, ..progress.get() });
            }
            Ok(SimpleQueryMessage::Row(row)) => {
                let values = (0..row.len()).map(|index| value(&row, index)).collect();
                open.get_or_insert_default().rows.push(values);
            }
            Ok(SimpleQueryMessage::CommandComplete(affected)) => {
                reply.results.push(ResultSet { affected, ..open.take().unwrap_or_default() });
                progress.set(Progress { through: reply.results.len(), is_beyond: false });
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

/// Who hears what the server says besides its answers.
struct Ears<'a> {
    last_words: &'a mut Option<ServerError>,
    asides: Option<&'a mut Asides>,
    progress: &'a Cell<Progress>,
}

impl Ears<'_> {
    fn hear(&mut self, message: AsyncMessage) {
        let Some(asides) = &mut self.asides else { return };
        match message {
            AsyncMessage::Notice(notice) => {
                let Progress { through, is_beyond } = self.progress.get();
                let before = if through == 0 || is_beyond { through + 1 } else { through };
                self.progress.set(Progress { through, is_beyond: true });
                asides.tell(Aside::Notice { notice: (&notice).into(), before });
            }
            AsyncMessage::Notification(notification) => asides.tell(Aside::Notification {
                pid: notification.process_id(),
                channel: notification.channel().to_owned(),
                payload: notification.payload().to_owned(),
            }),
            _ => {}
        }
    }
}

/// Runs `work` while reading and writing the socket, until it is through or the leash ends.
fn drive<F: Future>(
    runtime: &Runtime,
    wire: &mut Option<Wire>,
    mut ears: Ears<'_>,
    leash: &Leash,
    work: F,
) -> Result<F::Output, Slip> {
    runtime.block_on(async {
        let mut ended = pin!(leash.ended());
        let mut work = pin!(work);
        let mut output = None;
        poll_fn(|cx| {
            while let Some(socket) = wire {
                match socket.as_mut().poll_next(cx) {
                    Poll::Ready(Some(Ok(message))) => {
                        // What came before it is taken in first.
                        if output.is_none()
                            && let Poll::Ready(done) = work.as_mut().poll(cx)
                        {
                            output = Some(done);
                        }
                        ears.hear(message);
                    }
                    Poll::Ready(Some(Err(error))) => {
                        if let Some(error) = error.as_db_error() {
                            *ears.last_words = Some(error.into());
                        }
                        *wire = None;
                    }
                    Poll::Ready(None) => *wire = None,
                    Poll::Pending => break,
                }
            }
            if let Some(output) = output.take() {
                return Poll::Ready(Ok(output));
            }
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if let Some(asides) = &mut ears.asides {
                asides.poll_nudge(cx);
            }
            ended.as_mut().poll(cx).map(Err)
        })
        .await
    })
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
