//! How long an operation on a connection may go on: until its deadline, or until somebody cuts it short.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// The bound that every operation on the network is given.
///
/// A leash can be cut from any thread; what waits under it returns at once, whatever the server does. That is what
/// makes `timeout` and Ctrl-C hold also when the server is frozen.
#[derive(Clone, Debug)]
pub struct Leash {
    cut: CancellationToken,
    deadline: Deadline,
    /// How much longer what has begun may go on.
    grace: Duration,
}

/// A moment that can be put off, for all who go by it.
type Deadline = Arc<Mutex<Option<Instant>>>;

impl Leash {
    /// A leash of its own that ends at `deadline`, or never by itself.
    #[must_use]
    pub fn new(deadline: Option<Instant>) -> Self {
        Self { cut: CancellationToken::new(), deadline: Arc::new(Mutex::new(deadline)), grace: Duration::ZERO }
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
        let deadline = self.deadline().map_or(soon, |deadline| deadline.min(soon));
        Self { deadline: Arc::new(Mutex::new(Some(deadline))), ..self.clone() }
    }

    /// The same leash, but what has begun under it may go on this much longer: for what must not be done by half.
    #[must_use]
    pub fn patient(&self, grace: Duration) -> Self {
        Self { grace, ..self.clone() }
    }

    /// A leash that ends when this one does, or when it is cut itself.
    #[must_use]
    pub fn shorter(&self) -> Self {
        Self { cut: self.cut.child_token(), ..self.clone() }
    }

    /// A leash with a deadline of its own that is cut when this one is.
    #[must_use]
    pub fn beside(&self, duration: Duration) -> Self {
        Self { cut: self.cut.child_token(), ..Self::lasting(duration) }
    }

    /// Gives what goes on under this leash as much time from now on; a new task begins.
    pub fn renew(&self, duration: Duration) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + duration);
    }

    fn deadline(&self) -> Option<Instant> {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.deadline().is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// What is left of it, at most `at_most`.
    #[must_use]
    pub fn remaining(&self, at_most: Duration) -> Duration {
        self.deadline().map_or(at_most, |deadline| deadline.saturating_duration_since(Instant::now()).min(at_most))
    }

    /// Completes when the leash ends; says how.
    pub(super) async fn ended(&self) -> Slip {
        let cut = async {
            self.cut.cancelled().await;
            tokio::time::sleep(self.grace).await;
        };
        let Some(deadline) = self.deadline() else {
            cut.await;
            return Slip::Cut;
        };
        tokio::select! {
            biased;
            () = cut => Slip::Cut,
            () = tokio::time::sleep_until((deadline + self.grace).into()) => Slip::Over,
        }
    }
}

/// How a leash ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slip {
    Cut,
    Over,
}
