//! One connection, and with it one backend of the server.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tokio::runtime::Runtime;
use tokio_postgres::{AsyncMessage, Client};

use super::aside::{Aside, Asides};
use super::cancel::CancelHandle;
use super::exchange::{Exchange, Ongoing, Progress, Work};
use super::leash::{Leash, Slip};
use super::wire::Wire;
use crate::error::{Error, ServerError};

/// How long saying good-bye to the server may take.
const FAREWELL: Duration = Duration::from_millis(50);

/// One connection. Statements go by the simple query protocol: no prepared statement is left on a server connection
/// that a pooler hands to somebody else, and rows that came before an error are kept.
///
/// Every call blocks the calling thread until the server has answered *and* is ready for the next query (so that the
/// locks of a failed transaction are gone), or until its [`Leash`] ends.
pub struct Backend {
    client: Option<Arc<Client>>,
    wire: Option<Wire>,
    ongoing: Option<Ongoing>,
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
        let client = Some(Arc::new(client));
        Self { client, wire: Some(wire), ongoing: None, runtime, cancel, last_words: None, asides: None }
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
        self.wire.is_none() || self.client.as_ref().is_none_or(|client| client.is_closed())
    }

    /// Sends `sql` (one statement or several) and waits for everything the server has to say about it.
    pub fn run(&mut self, sql: &str, leash: &Leash) -> Result<Reply, Broken> {
        self.begin(sql);
        self.finish(leash)
    }

    /// Sends `sql` and waits for nothing. What comes of it, [`Backend::await_briefly`] or [`Backend::finish`] tells.
    pub fn begin(&mut self, sql: &str) {
        self.ongoing = self.client.clone().map(|client| Ongoing::new(client, sql.to_owned()));
    }

    /// What came of what was begun, if that comes within `patience`, whose clock is finer than the event loop's.
    pub fn await_briefly(&mut self, patience: Duration) -> Option<Result<Reply, Broken>> {
        let until = Instant::now() + patience;
        let Self { ongoing, wire, last_words, asides, runtime, .. } = self;
        let done = loop {
            let Some(Ongoing { work, progress }) = ongoing else { return Some(Err(self.lost("it was closed before"))) };
            let mut ears = Ears { last_words, asides: asides.as_mut(), progress };
            let polled = runtime.block_on(async {
                // The event loop looks at the socket.
                tokio::task::yield_now().await;
                poll_fn(|cx| {
                    let polled = poll(wire, &mut ears, work, cx);
                    // What it has asked for now is written when the socket is looked at.
                    Poll::Ready(if polled.is_pending() { poll(wire, &mut ears, work, cx) } else { polled })
                })
                .await
            });
            match (polled, wire.as_ref()) {
                (Poll::Ready(exchange), _) => break exchange,
                (Poll::Pending, Some(wire)) if wire.is_ready_before(until) => {}
                _ => return None,
            }
        };
        Some(self.conclude(done))
    }

    /// Waits for everything the server has to say about what was begun.
    pub fn finish(&mut self, leash: &Leash) -> Result<Reply, Broken> {
        let Self { ongoing, wire, last_words, asides, runtime, .. } = self;
        let Some(Ongoing { work, progress }) = ongoing else { return Err(self.lost("it was closed before")) };
        let ears = Ears { last_words, asides: asides.as_mut(), progress };
        match drive(runtime, wire, ears, leash, work) {
            Ok(exchange) => self.conclude(exchange),
            Err(slip) => {
                self.wire = None;
                self.ongoing = None;
                Err(match slip {
                    Slip::Cut => Broken::Cut,
                    Slip::Over => Broken::Over,
                })
            }
        }
    }

    fn conclude(&mut self, exchange: Exchange) -> Result<Reply, Broken> {
        self.ongoing = None;
        match exchange {
            Exchange::Complete(reply) => {
                if reply.error.is_some() {
                    self.tell_before(&reply.results);
                }
                Ok(reply)
            }
            Exchange::Torn { reply, why } => {
                self.wire = None;
                self.tell_before(&reply.results);
                if reply.error.is_some() {
                    self.last_words = reply.error;
                }
                Err(self.lost(&why))
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
        self.ongoing = None;
        self.client = None;
        if let Some(wire) = &mut self.wire {
            let said = self.runtime.block_on(poll_fn(|cx| Poll::Ready(wire.messages.poll_next_unpin(cx))));
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
                let _ = tokio::time::timeout(FAREWELL, async { while wire.messages.next().await.is_some() {} }).await;
            });
        }
    }
}

/// Who hears what the server says besides its answers.
struct Ears<'a> {
    last_words: &'a mut Option<ServerError>,
    asides: Option<&'a mut Asides>,
    progress: &'a Progress,
}

impl Ears<'_> {
    fn hear(&mut self, message: AsyncMessage) {
        let Some(asides) = &mut self.asides else { return };
        match message {
            AsyncMessage::Notice(notice) => {
                asides.tell(Aside::Notice { notice: (&notice).into(), before: self.progress.note() });
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

/// Goes on with `work` while reading and writing the socket, until it is through or the leash ends.
fn drive(
    runtime: &Runtime,
    wire: &mut Option<Wire>,
    mut ears: Ears<'_>,
    leash: &Leash,
    work: &mut Work,
) -> Result<Exchange, Slip> {
    runtime.block_on(async {
        let mut ended = pin!(leash.ended());
        poll_fn(|cx| {
            if let Poll::Ready(done) = poll(wire, &mut ears, work, cx) {
                return Poll::Ready(Ok(done));
            }
            if let Some(asides) = &mut ears.asides {
                asides.poll_nudge(cx);
            }
            ended.as_mut().poll(cx).map(Err)
        })
        .await
    })
}

/// Reads and writes what the socket has and takes.
fn poll(wire: &mut Option<Wire>, ears: &mut Ears<'_>, work: &mut Work, cx: &mut Context<'_>) -> Poll<Exchange> {
    let mut done = Poll::Pending;
    while let Some(socket) = wire {
        match socket.messages.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(message))) => {
                // What came before it is taken in first.
                if done.is_pending() {
                    done = work.as_mut().poll(cx);
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
    if done.is_pending() { work.as_mut().poll(cx) } else { done }
}
