//! A session: one independent connection and the one OS thread that drives it.
//!
//! Whatever drives a session (a script on an r2d2-pooled connection here, a user's function on its own Django
//! connection elsewhere) waits at its [`Gate`] before every step and tells afterwards what became of it. The run sees
//! only gates and messages, so it is the same for both.

use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;
use std::time::Instant;

use super::step::{Step, StepResult};
use crate::connection::{Aside, Asides, CancelHandle, Leash, Nudge, Pooled};

/// A session's place in the run, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub usize);

/// What sessions tell the run.
#[derive(Debug)]
pub enum Message {
    /// A session stands at its gate with its next step.
    Arrived {
        /// Who.
        session: SessionId,
        /// What it would do.
        step: Step,
    },
    /// A released step is through, has failed, or lost its connection.
    Finished {
        /// Who.
        session: SessionId,
        /// What became of the step.
        result: StepResult,
        /// The backend, where the step told it.
        backend_pid: Option<i32>,
        /// When.
        at: Instant,
    },
    /// A session runs on this backend from now on.
    Located {
        /// Who.
        session: SessionId,
        /// The backend; `None` when it cannot be known, behind a pooler and outside any transaction.
        backend_pid: Option<i32>,
    },
    /// The server has looked for a deadlock around a session's wait and found none; or that wait is over.
    Checked {
        /// Who.
        session: SessionId,
        /// Whether it has.
        whether: bool,
    },
    /// A session's transactions have this isolation level from now on.
    Isolated {
        /// Who.
        session: SessionId,
        /// As PostgreSQL writes it.
        level: String,
    },
    /// The server said something besides its answers.
    Aside {
        /// To whom.
        session: SessionId,
        /// What.
        aside: Aside,
    },
    /// The session has ended; nothing more comes from it.
    Left {
        /// Who.
        session: SessionId,
        /// How, where its steps alone do not tell.
        end: Option<End>,
    },
}

/// How code that drove a session came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It returned.
    Returned,
    /// It raised an exception.
    Raised {
        /// Which, in one line.
        what: String,
        /// The SQLSTATE, where it came from the server.
        sqlstate: Option<String>,
    },
}

impl Message {
    /// Who says it.
    pub(super) fn session(&self) -> SessionId {
        match *self {
            Self::Arrived { session, .. }
            | Self::Finished { session, .. }
            | Self::Located { session, .. }
            | Self::Checked { session, .. }
            | Self::Isolated { session, .. }
            | Self::Aside { session, .. }
            | Self::Left { session, .. } => session,
        }
    }
}

/// A step's release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    /// Whether another session waits for a lock at this moment: then the step may close a cycle.
    pub others_wait: bool,
}

/// The run is over: whoever stands at a gate goes home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Where a session waits until the schedule releases its next step.
#[derive(Debug)]
pub struct Gate {
    session: SessionId,
    messages: Sender<Message>,
    permits: Receiver<Permit>,
    end: Option<End>,
}

impl Gate {
    pub(super) fn new(session: SessionId, messages: Sender<Message>, permits: Receiver<Permit>) -> Self {
        Self { session, messages, permits, end: None }
    }

    /// Announces the next step and blocks until it is released.
    pub fn arrive(&self, step: Step) -> Result<Permit, Stopped> {
        self.announce(step)?;
        self.permits.recv().map_err(|_| Stopped)
    }

    /// Announces the next step, and does not wait for its release: for whoever tells of steps that others take.
    pub fn announce(&self, step: Step) -> Result<(), Stopped> {
        self.messages.send(Message::Arrived { session: self.session, step }).map_err(|_| Stopped)
    }

    /// Tells which backend the next steps run on, before they can wait there. A session may change it.
    pub fn locate(&self, backend_pid: Option<i32>) {
        let _ = self.messages.send(Message::Located { session: self.session, backend_pid });
    }

    /// Tells whether the server has looked for a deadlock around the session's current wait, and found none. Whoever tells
    /// it once is expected to tell it of every wait.
    pub fn check(&self, whether: bool) {
        let _ = self.messages.send(Message::Checked { session: self.session, whether });
    }

    /// Tells the isolation level of the session's transactions.
    pub fn isolate(&self, level: String) {
        let _ = self.messages.send(Message::Isolated { session: self.session, level });
    }

    /// Ends the session, and says how its code ended.
    pub fn leave(mut self, end: End) {
        self.end = Some(end);
    }

    /// An ear for what the server says besides its answers.
    pub(super) fn asides(&self, nudge: Nudge) -> Asides {
        let (session, messages) = (self.session, self.messages.clone());
        Asides::new(nudge, move |aside| {
            let _ = messages.send(Message::Aside { session, aside });
        })
    }

    /// Tells what became of the released step.
    pub fn finish(&self, result: StepResult, backend_pid: Option<i32>) {
        let at = Instant::now();
        // Nobody listens any more when the run was torn down; then there is nothing to tell.
        let _ = self.messages.send(Message::Finished { session: self.session, result, backend_pid, at });
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.messages.send(Message::Left { session: self.session, end: self.end.take() });
    }
}

/// What a session runs on: how to cancel it from outside, and how to make its thread let go.
pub struct Driver {
    /// Cancels what its backend does; absent where the connection is not ours: then the observer is asked to do it.
    pub cancel: Option<CancelHandle>,
    /// Has a waiting session tell what the server has said so far.
    pub nudge: Nudge,
    /// Cutting it makes a blocked call return, whatever the server does.
    pub leash: Leash,
    /// The thread; ends when its gate is closed. Absent where it is not ours to wait for: then the session is over when
    /// its gate is dropped.
    pub thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// For a session on this connection of ours. It has no thread yet.
    pub(super) fn of(backend: &Pooled) -> Self {
        Self { cancel: Some(backend.cancel_handle()), ..Self::foreign() }
    }

    /// For a session whose thread and connection are somebody else's.
    #[must_use]
    pub fn foreign() -> Self {
        Self { cancel: None, nudge: Nudge::default(), leash: Leash::new(None), thread: None }
    }
}
