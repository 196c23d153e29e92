//! What came of an order of steps, in a word or two: `40P01`, `40P01 at COMMIT`, `waits`, `none`.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::sql::{End, end_of_transaction};
use crate::report::{Event, EventKind};

/// What came of an order of steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it was given up before its first step.
    NotRun,
    /// Nobody waited for a lock and nobody failed.
    None,
    /// Somebody waited for a lock, and nobody failed.
    Waits,
    /// These failures, in that order.
    Fails(Vec<Failure>),
}

/// An error that the server gave to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The SQLSTATE; `lost` where the connection ended without one.
    pub sqlstate: String,
    /// Whether COMMIT failed with it.
    pub at_commit: bool,
}

/// `in_failed_sql_transaction`: what every statement of a session gets that has failed before. It says nothing new.
const FOLLOWS_FROM_ANOTHER: &str = "25P02";
const LOST: &str = "lost";

impl Effect {
    /// What these events amount to.
    #[must_use]
    pub fn of(events: &[Event]) -> Self {
        let failures: Vec<Failure> = events
            .iter()
            .filter(|event| event.kind == EventKind::Error)
            .map(|event| Failure {
                sqlstate: event.sqlstate.clone().unwrap_or_else(|| LOST.to_owned()),
                at_commit: event.statement.as_deref().and_then(end_of_transaction) == Some(End::Commit),
            })
            .filter(|failure| failure.sqlstate != FOLLOWS_FROM_ANOTHER)
            .collect();
        if !failures.is_empty() {
            return Self::Fails(failures);
        }
        if events.iter().any(|event| event.kind == EventKind::Waiting) { Self::Waits } else { Self::None }
    }

    /// Whether a deadlock is part of it.
    #[must_use]
    pub fn is_deadlock(&self) -> bool {
        matches!(self, Self::Fails(failures) if failures.iter().any(|failure| failure.sqlstate == "40P01"))
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRun => f.write_str("not run"),
            Self::None => f.write_str("none"),
            Self::Waits => f.write_str("waits"),
            Self::Fails(failures) => {
                for (index, failure) in failures.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    let place = if failure.at_commit { " at COMMIT" } else { "" };
                    write!(f, "{comma}{}{place}", failure.sqlstate)?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Effect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "none" => return Ok(Self::None),
            "waits" => return Ok(Self::Waits),
            _ => {}
        }
        let failure = |word: &str| {
            let word = word.trim();
            let (sqlstate, at_commit) = word.strip_suffix(" at COMMIT").map_or((word, false), |word| (word, true));
            let well_formed = sqlstate == LOST
                || sqlstate.len() == 5 && sqlstate.chars().all(|one| one.is_ascii_digit() || one.is_ascii_uppercase());
            if well_formed {
                Ok(Failure { sqlstate: sqlstate.to_owned(), at_commit })
            } else {
                Err(format!("\"{word}\" is neither \"none\", \"waits\", nor a SQLSTATE, perhaps with \" at COMMIT\""))
            }
        };
        text.split(',').map(failure).collect::<Result<_, _>>().map(Self::Fails)
    }
}

impl Serialize for Effect {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Effect;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["none", "waits", "40P01", "40P01 at COMMIT", "40P01, 40P01", "23503 at COMMIT, lost"] {
            assert_eq!(text.parse::<Effect>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_neither_a_word_nor_a_sqlstate_is_refused() {
        for text in ["", "?", "nothing", "40p01", "40P01 at commit", "40P01,"] {
            assert!(text.parse::<Effect>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_deadlock_is_one() {
        assert!("40001, 40P01 at COMMIT".parse::<Effect>().unwrap().is_deadlock());
        assert!(!"40001".parse::<Effect>().unwrap().is_deadlock());
    }
}
