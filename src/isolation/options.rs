//! How a `.spec` file is run.

use std::time::Duration;

use crate::error::Error;
use crate::scenario::catalogue::Shows;
use crate::scenario::lock::Isolation;
use crate::scenario::what_if::WhatIf;
use crate::simulate::options::{named, setting};

/// What a wait may last at most in a scenario whose `lock_timeout` is to end it.
const OUTLASTS: Duration = Duration::from_secs(2);
/// The `lock_timeout` of [`WhatIf::LockTimeout`]: far below any `deadlock_timeout` that we set.
const SHORT: Duration = Duration::from_millis(10);
/// The `deadlock_timeout` of a scenario, where the role may set it.
const DEADLOCK_TIMEOUT: Duration = Duration::from_millis(250);

/// How a file is to be run, as it was asked for. Times are in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpecRequest {
    /// The isolation level of a plain BEGIN.
    pub isolation: Option<String>,
    /// Whether it runs in a scratch schema.
    pub scratch: bool,
    /// A change to how locks are asked for; in a scratch schema only.
    pub what_if: Option<String>,
    /// The permutations to run, from 1; `None`: all.
    pub permutations: Option<Vec<usize>>,
    /// The sessions' `deadlock_timeout`; in a scratch schema only.
    pub deadlock_timeout: Option<f64>,
    /// When a step is cancelled.
    pub step_timeout: Option<f64>,
    /// For the whole call.
    pub timeout: Option<f64>,
}

impl SpecRequest {
    /// The options that this comes to. `there_are` permutations in the file, if it names any.
    pub fn check(&self, there_are: usize) -> Result<SpecOptions, Error> {
        let default = SpecOptions::default();
        let isolation =
            self.isolation.as_deref().map(|level| named(level, "isolation", &Isolation::ALL)).transpose()?;
        let what_if = self.what_if.as_deref().map(|change| named(change, "what_if", &WhatIf::ALL)).transpose()?;
        let deadlock_timeout = setting("deadlock_timeout", self.deadlock_timeout)?;
        if !self.scratch && (what_if.is_some() || deadlock_timeout.is_some()) {
            return Err(Error::usage(
                "what_if and deadlock_timeout change what a spec says, which is for scratch schemas only",
                "Give scratch=True as well, or leave them out.",
            ));
        }
        let strange = self.permutations.iter().flatten().find(|&&number| number == 0 || number > there_are.max(1));
        if let Some(strange) = strange {
            return Err(Error::usage(
                format!("there is no permutation {strange}"),
                format!("The spec names {there_are} permutations, counted from 1."),
            ));
        }
        let ground = if self.scratch { Ground::Scratch { deadlock_timeout, what_if } } else { Ground::Database };
        Ok(SpecOptions {
            timeout: setting("timeout", self.timeout)?.unwrap_or(default.timeout),
            step_timeout: setting("step_timeout", self.step_timeout)?.unwrap_or(default.step_timeout),
            isolation,
            ground,
            only: self.permutations.as_ref().map(|numbers| numbers.iter().map(|number| number - 1).collect()),
            ..default
        })
    }
}

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
    /// Whether the caller is told when a permutation begins, and when it is through.
    pub tells_permutations: bool,
    /// What each permutation is there for, where the file is a scenario.
    pub shows: Vec<Shows>,
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
            step_timeout: step_timeout(std::env::var("PG_TEST_TIMEOUT_DEFAULT").ok().as_deref()),
            application_name: "lockstep".to_owned(),
            isolation: None,
            ground: Ground::Database,
            only: None,
            tells_permutations: true,
            shows: Vec::new(),
        }
    }
}

/// That of PostgreSQL's tester: twice `PG_TEST_TIMEOUT_DEFAULT` seconds, which are 180 if it is not set.
fn step_timeout(environment: Option<&str>) -> Duration {
    let seconds = environment.and_then(|text| text.trim().parse().ok()).filter(|&seconds: &u32| seconds > 0);
    Duration::from_secs(u64::from(seconds.unwrap_or(180)) * 2)
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

    /// Whether the waits begin so far apart that the first to wait is the victim.
    pub(super) fn victims_are_in_order(&self) -> bool {
        matches!(self.ground, Ground::Scratch { what_if, .. } if what_if != Some(WhatIf::LockTimeout))
    }

    /// How long a step that waits for a lock is left to it before the next one is launched.
    ///
    /// In a scenario the waits begin a part of the `deadlock_timeout` apart, so that PostgreSQL's checks for a deadlock
    /// come in that order and the first to wait is the victim. Where `lock_timeout` is to end the waits, they last.
    pub(super) fn patience(&self, deadlock_timeout: Duration) -> Duration {
        match self.ground {
            Ground::Database => Duration::ZERO,
            Ground::Scratch { what_if: Some(WhatIf::LockTimeout), .. } => OUTLASTS,
            Ground::Scratch { .. } => deadlock_timeout / 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Ground, SpecRequest, step_timeout};

    fn problem(change: impl FnOnce(&mut SpecRequest)) -> String {
        let mut request = SpecRequest::default();
        change(&mut request);
        request.check(2).map_or_else(|error| error.to_string(), |options| format!("{:?}", options.only))
    }

    #[test]
    fn the_time_for_a_step_is_that_of_postgresqls_tester() {
        assert_eq!(step_timeout(None), Duration::from_secs(360));
        assert_eq!(step_timeout(Some("2")), Duration::from_secs(4));
        assert_eq!(step_timeout(Some("soon")), Duration::from_secs(360));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(problem(|_| ()), "None");
        assert_eq!(problem(|request| request.permutations = Some(vec![2, 1])), "Some([1, 0])");
        assert_eq!(problem(|request| request.permutations = Some(vec![3])), "there is no permutation 3");
        assert_eq!(problem(|request| request.permutations = Some(vec![0])), "there is no permutation 0");
        assert_eq!(problem(|request| request.isolation = Some("chaos".into())), "isolation cannot be 'chaos'");
        assert_eq!(problem(|request| request.timeout = Some(0.0)), "timeout cannot be 0");
        assert!(problem(|request| request.what_if = Some("nowait".into())).contains("for scratch schemas only"));
        assert!(problem(|request| request.deadlock_timeout = Some(1.0)).contains("for scratch schemas only"));
    }

    #[test]
    fn a_scenario_runs_in_a_scratch_schema() {
        let request = SpecRequest { scratch: true, what_if: Some("no_key".into()), ..SpecRequest::default() };
        assert!(matches!(request.check(1).unwrap().ground, Ground::Scratch { what_if: Some(_), .. }));
    }
}
