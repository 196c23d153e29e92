//! What a server says besides its answers: notices and notifications, told as they come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use futures_util::task::AtomicWaker;

use super::backend::ResultSet;
use crate::error::ServerError;

/// Something that the server said besides its answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aside {
    /// A notice, a warning or another message that is no error.
    Notice {
        /// What it says.
        notice: ServerError,
        /// Before which of the statements' results libpq would tell it, from 1: it reads a statement's answer, and what
        /// comes in the same breath after it.
        before: usize,
    },
    /// A NOTIFY that the session listens to.
    Notification {
        /// The backend that sent it.
        pid: i32,
        /// The channel.
        channel: String,
        /// The payload.
        payload: String,
    },
    /// The results of the statements before the one that failed, where several were sent as one.
    Before(Vec<ResultSet>),
    /// Everything that the server had said when [`Nudge::ask`] returned this number has been told.
    UpToDate(u64),
}

/// Asks a backend that is waiting for its answer to tell what has come in so far.
#[derive(Clone, Debug, Default)]
pub struct Nudge(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    number: AtomicU64,
    waker: AtomicWaker,
}

impl Nudge {
    /// Asks; the answer is [`Aside::UpToDate`] with this number or a later one, or the end of the statement.
    #[must_use]
    pub fn ask(&self) -> u64 {
        let number = self.0.number.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(waker) = self.0.waker.take() {
            Waker::wake(waker);
        }
        number
    }
}

/// A backend's ear for asides, and its mouth.
pub struct Asides {
    nudge: Nudge,
    tell: Box<dyn FnMut(Aside) + Send>,
    /// The question that was seen, for which the socket is being looked at once more.
    seen: u64,
    answered: u64,
}

impl Asides {
    /// Has asides told to `tell`, on the thread that waits for the statement.
    #[must_use]
    pub fn new(nudge: Nudge, tell: impl FnMut(Aside) + Send + 'static) -> Self {
        Self { nudge, tell: Box::new(tell), seen: 0, answered: 0 }
    }

    pub(super) fn tell(&mut self, aside: Aside) {
        (self.tell)(aside);
    }

    /// Called when the socket had nothing more to read. A question is answered only after another look at the socket,
    /// by way of the event loop, because this look may have been at an old state of it.
    pub(super) fn poll_nudge(&mut self, cx: &Context<'_>) {
        self.nudge.0.waker.register(cx.waker());
        let asked = self.nudge.0.number.load(Ordering::SeqCst);
        if self.seen > self.answered {
            self.answered = self.seen;
            (self.tell)(Aside::UpToDate(self.seen));
        }
        if asked > self.answered {
            self.seen = asked;
            cx.waker().wake_by_ref();
        }
    }
}
