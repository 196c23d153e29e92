//! How long an operation on a connection may go on: until its deadline, or until somebody cuts it short.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// The bound that every operation on the network is given.
///
/// A leash can be cut from any thread; what waits under it returns at once, whatever the server does. That is what
/// makes `timeout` and Ctrl-C hold also when the server is frozen.
#[derive(Clone, Debug)]
pub struct Leash {
    cut: CancellationToken,
    deadline: Option<Instant>,
}

impl Leash {
    /// A leash of its own that ends at `deadline`, or never by itself.
    #[must_use]
    pub fn new(deadline: Option<Instant>) -> Self {
        Self { cut: CancellationToken::new(), deadline }
    }

    /// A leash of its own that ends after `duration`.
    #[must_use]
    pub fn lasting(duration: Duration) -> Self {
        Self::new(Some(Instant::now() + duration))
    }

    /// The same leash, but at most this long: cutting either cuts both.
    #[must_use]
    pub fn at_most(&self, duration: Duration) -> Self {
        let soon = Instant::now() + duration;
        Self { cut: self.cut.clone(), deadline: Some(self.deadline.map_or(soon, |deadline| deadline.min(soon))) }
    }

    /// Ends everything that goes on under this leash, now and later.
    pub fn cut(&self) {
        self.cut.cancel();
    }

    /// Whether it was cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.is_cancelled()
    }

    /// Whether its deadline has passed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// What is left of it, at most `at_most`.
    #[must_use]
    pub fn remaining(&self, at_most: Duration) -> Duration {
        self.deadline.map_or(at_most, |deadline| deadline.saturating_duration_since(Instant::now()).min(at_most))
    }

    /// Completes when the leash ends; says how.
    pub(super) async fn ended(&self) -> Slip {
        let Some(deadline) = self.deadline else {
            self.cut.cancelled().await;
            return Slip::Cut;
        };
        tokio::select! {
            biased;
            () = self.cut.cancelled() => Slip::Cut,
            () = tokio::time::sleep_until(deadline.into()) => Slip::Over,
        }
    }
}

/// How a leash ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slip {
    Cut,
    Over,
}
