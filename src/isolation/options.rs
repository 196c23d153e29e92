//! How a `.spec` file is run.

use std::time::Duration;

use crate::scenario::lock::Isolation;
use crate::scenario::what_if::WhatIf;

/// What a wait may last at most in a scenario whose `lock_timeout` is to end it.
const OUTLASTS: Duration = Duration::from_secs(2);
/// The `lock_timeout` of [`WhatIf::LockTimeout`]: far below any `deadlock_timeout` that we set.
const SHORT: Duration = Duration::from_millis(10);
/// The `deadlock_timeout` of a scenario, where the role may set it.
const DEADLOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// How a file is run.
#[derive(Clone, Debug, PartialEq)]
pub struct SpecOptions {
    /// For the whole call.
    pub timeout: Duration,
    /// After this long a step is cancelled; after twice as long the file is given up.
    pub step_timeout: Duration,
    /// The sessions' `application_name` is this, a slash, and the session's name.
    pub application_name: String,
    /// What a plain BEGIN means to the sessions; `None`: the server's `default_transaction_isolation`.
    pub isolation: Option<Isolation>,
    /// Where it runs, and how its waits are told apart.
    pub ground: Ground,
    /// Only these permutations, by their number from 0; `None`: all.
    pub only: Option<Vec<usize>>,
}

/// Where a file runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// In the database as it is, exactly as `isolationtester` would.
    Database,
    /// In a scratch schema, which is all that the sessions' `search_path` has, and which is gone afterwards.
    Scratch {
        /// The sessions' `deadlock_timeout`, if the role may set it; `None`: a short one.
        deadlock_timeout: Option<Duration>,
        /// What is different.
        what_if: Option<WhatIf>,
    },
}

impl Ground {
    /// A scratch schema, and nothing is different.
    pub const SCRATCH: Self = Self::Scratch { deadlock_timeout: None, what_if: None };
}

impl Default for SpecOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(3600),
            // PostgreSQL's tester: twice PG_TEST_TIMEOUT_DEFAULT, which is 180 s.
            step_timeout: Duration::from_secs(360),
            application_name: "lockstep".to_owned(),
            isolation: None,
            ground: Ground::Database,
            only: None,
        }
    }
}

impl SpecOptions {
    /// The `deadlock_timeout` that the sessions set, if they may.
    pub(super) fn deadlock_timeout(&self, may_set: bool) -> Option<Duration> {
        match self.ground {
            Ground::Scratch { deadlock_timeout, .. } if may_set => Some(deadlock_timeout.unwrap_or(DEADLOCK_TIMEOUT)),
            _ => None,
        }
    }

    /// The `lock_timeout` that the sessions set.
    pub(super) fn lock_timeout(&self) -> Option<Duration> {
        let short = matches!(self.ground, Ground::Scratch { what_if: Some(WhatIf::LockTimeout), .. });
        short.then_some(SHORT)
    }

    /// How long a step that waits for a lock is left to it before the next one is launched.
    ///
    /// In a scenario the waits begin a part of the `deadlock_timeout` apart, so that PostgreSQL's checks for a deadlock
    /// come in that order and the first to wait is the victim. Where `lock_timeout` is to end the waits, they last.
    pub(super) fn patience(&self, deadlock_timeout: Duration) -> Duration {
        match self.ground {
            Ground::Database => Duration::ZERO,
            Ground::Scratch { what_if: Some(WhatIf::LockTimeout), .. } => OUTLASTS,
            Ground::Scratch { .. } => deadlock_timeout / 4,
        }
    }
}
