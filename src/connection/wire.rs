//! The connection's other half: what reads and writes the socket.

use std::io;
#[cfg(unix)]
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::time::{Duration, Instant};

#[cfg(unix)]
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio_postgres::{AsyncMessage, Error};

use super::endpoint::Stream;

/// What the server sends, as it is read; being asked for it, it also writes what is to be sent.
pub(super) type Messages = Pin<Box<dyn futures_util::Stream<Item = Result<AsyncMessage, Error>> + Send>>;

/// A socket, with what speaks PostgreSQL's protocol on it.
pub(super) struct Wire {
    pub(super) messages: Messages,
    readiness: Readiness,
}

impl Wire {
    pub(super) fn new(messages: Messages, readiness: Readiness) -> Self {
        Self { messages, readiness }
    }

    /// Waits until there is something to read. The event loop's own clock counts in milliseconds; this one is exact.
    pub(super) fn is_ready_before(&self, deadline: Instant) -> bool {
        let patience = deadline.saturating_duration_since(Instant::now());
        !patience.is_zero() && self.readiness.wait(patience)
    }
}

/// The socket once more, to wait on beside the event loop.
#[cfg(unix)]
pub(super) struct Readiness(OwnedFd);

#[cfg(unix)]
impl Readiness {
    pub(super) fn of(stream: &Stream) -> io::Result<Self> {
        let socket = match stream {
            Stream::Left(tcp) => tcp.as_fd(),
            Stream::Right(unix) => unix.as_fd(),
        };
        Ok(Self(socket.try_clone_to_owned()?))
    }

    fn wait(&self, patience: Duration) -> bool {
        let Ok(patience) = Timespec::try_from(patience) else { return false };
        poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&patience)).is_ok_and(|ready| ready > 0)
    }
}

/// Nothing to wait on beside the event loop: it is asked again and again.
#[cfg(not(unix))]
pub(super) struct Readiness;

/// How often.
#[cfg(not(unix))]
const PACE: Duration = Duration::from_millis(1);

#[cfg(not(unix))]
impl Readiness {
    pub(super) fn of(_: &Stream) -> io::Result<Self> {
        Ok(Self)
    }

    fn wait(&self, patience: Duration) -> bool {
        std::thread::sleep(patience.min(PACE));
        true
    }
}
