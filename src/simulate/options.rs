//! What the caller asked for, checked before anything is sent to a server.

use std::time::Duration;

use crate::engine::SessionId;
use crate::error::Error;
use crate::scenario::lock::{Isolation, Lock};
use crate::scenario::names::name_of;

/// The longest time PostgreSQL's millisecond settings can say.
const LONGEST: f64 = 2_147_483.0;

/// The arguments of `simulate_deadlock`, as they were given. Times are in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The keys to lock; `None`: 1, 2, … as many as there are sessions.
    pub rows: Option<Vec<i64>>,
    /// How long each session holds its first lock before it asks for the next.
    pub sleep: f64,
    /// How many sessions.
    pub sessions: usize,
    /// The table whose rows are locked; `None`: scratch rows.
    pub table: Option<String>,
    /// That table's column that `rows` are values of.
    pub key: String,
    /// The lock strength.
    pub lock: String,
    /// The isolation level.
    pub isolation: String,
    /// Who must be aborted.
    pub victim: Option<String>,
    /// `deadlock_timeout`; `None`: the server's.
    pub deadlock_timeout: Option<f64>,
    /// `lock_timeout`; `None`: the server's.
    pub lock_timeout: Option<f64>,
    /// `statement_timeout`; `None`: the server's.
    pub statement_timeout: Option<f64>,
    /// The whole call's time.
    pub timeout: f64,
    /// Whether the report says which locks each statement took.
    pub note_locks: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rows: None,
            sleep: 0.0,
            sessions: 2,
            table: None,
            key: "id".to_owned(),
            lock: "update".to_owned(),
            isolation: "read committed".to_owned(),
            victim: None,
            deadlock_timeout: None,
            lock_timeout: None,
            statement_timeout: None,
            timeout: 30.0,
            note_locks: true,
        }
    }
}

/// [`Options`] that make sense.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checked {
    pub(super) rows: Vec<i64>,
    pub(super) sleep: Duration,
    pub(super) names: Vec<String>,
    pub(super) table: Option<String>,
    pub(super) key: String,
    pub(super) lock: Lock,
    pub(super) isolation: Isolation,
    pub(super) victim: Option<SessionId>,
    pub(super) deadlock_timeout: Option<Duration>,
    pub(super) lock_timeout: Option<Duration>,
    pub(super) statement_timeout: Option<Duration>,
    pub(super) timeout: Duration,
    pub(super) note_locks: bool,
}

impl Options {
    pub(super) fn check(&self) -> Result<Checked, Error> {
        if self.sessions < 2 {
            return Err(Error::usage(
                format!("a deadlock needs at least two sessions, not {}", self.sessions),
                "Give sessions=2 or more.",
            ));
        }
        let rows = self.checked_rows()?;
        let names: Vec<String> = (0..self.sessions).map(name_of).collect();
        let victim = self.victim.as_deref().map(|victim| position(victim, &names)).transpose()?;
        let lock: Lock = named(&self.lock, "lock", &Lock::ALL)?;
        if lock == Lock::Advisory && self.table.is_some() {
            return Err(Error::usage(
                "advisory locks are on numbers, not on the rows of a table",
                "Leave out either table=… or lock=\"advisory\".",
            ));
        }
        Ok(Checked {
            rows,
            sleep: seconds("sleep", self.sleep)?,
            names,
            table: self.table.clone(),
            key: self.key.clone(),
            lock,
            isolation: named(&self.isolation, "isolation", &Isolation::ALL)?,
            victim,
            deadlock_timeout: setting("deadlock_timeout", self.deadlock_timeout)?,
            lock_timeout: setting("lock_timeout", self.lock_timeout)?,
            statement_timeout: setting("statement_timeout", self.statement_timeout)?,
            timeout: setting("timeout", Some(self.timeout))?.unwrap_or_default(),
            note_locks: self.note_locks,
        })
    }

    fn checked_rows(&self) -> Result<Vec<i64>, Error> {
        let Some(rows) = &self.rows else {
            return Ok((1..).take(self.sessions).collect());
        };
        let mut distinct = rows.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if distinct.len() < rows.len() {
            return Err(Error::usage(
                format!("rows {} names a row twice", list(rows)),
                "Give distinct ids: a session never waits for a lock that it has itself.",
            ));
        }
        if rows.len() < 2 {
            return Err(Error::usage(
                format!("a deadlock needs at least two rows, not {}", rows.len()),
                "Give two distinct ids or more, for example rows=(1, 2).",
            ));
        }
        if self.sessions > 2 && rows.len() != self.sessions {
            return Err(Error::usage(
                format!("a ring of {} sessions needs {0} rows, not {}", self.sessions, rows.len()),
                format!("Give one id for each session, for example rows=range(1, {}).", self.sessions + 1),
            ));
        }
        Ok(rows.clone())
    }
}

fn list(rows: &[i64]) -> String {
    let texts: Vec<String> = rows.iter().map(i64::to_string).collect();
    format!("({})", texts.join(", "))
}

fn position(victim: &str, names: &[String]) -> Result<SessionId, Error> {
    names.iter().position(|name| name == victim).map(SessionId).ok_or_else(|| {
        let last = names.last().map_or("A", String::as_str);
        Error::usage(
            format!("there is no session '{victim}' that could be the victim"),
            format!("The sessions of this run are A to {last}."),
        )
    })
}

pub(crate) fn named<T: Copy>(given: &str, what: &str, all: &[(&str, T)]) -> Result<T, Error> {
    all.iter().find(|(name, _)| *name == given).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = all.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        Error::usage(format!("{what} cannot be '{given}'"), format!("Give one of {}.", names.join(", ")))
    })
}

fn seconds(name: &str, value: f64) -> Result<Duration, Error> {
    if value.is_finite() && (0.0..=LONGEST).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    Err(Error::usage(
        format!("{name} cannot be {value}"),
        format!("Give {name} in seconds, as a number from 0 to {LONGEST}."),
    ))
}

/// A time that becomes a setting of PostgreSQL in milliseconds, or a bound: zero makes no sense.
pub(crate) fn setting(name: &str, value: Option<f64>) -> Result<Option<Duration>, Error> {
    let Some(value) = value else { return Ok(None) };
    if value.is_finite() && (0.001..=LONGEST).contains(&value) {
        return Ok(Some(Duration::from_secs_f64(value)));
    }
    Err(Error::usage(
        format!("{name} cannot be {value}"),
        format!("Give {name} in seconds, as a number from 0.001 to {LONGEST}."),
    ))
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn problem(change: impl FnOnce(&mut Options)) -> String {
        let mut options = Options::default();
        change(&mut options);
        options.check().map_or_else(|error| error.to_string(), |checked| format!("{:?}", checked.rows))
    }

    #[test]
    fn rows_are_counted_from_one_unless_given() {
        assert_eq!(problem(|_| ()), "[1, 2]");
        assert_eq!(problem(|options| options.sessions = 3), "[1, 2, 3]");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert_eq!(problem(|o| o.rows = Some(vec![1])), "a deadlock needs at least two rows, not 1");
        assert_eq!(problem(|o| o.rows = Some(vec![])), "a deadlock needs at least two rows, not 0");
        assert_eq!(problem(|o| o.rows = Some(vec![2, 2])), "rows (2, 2) names a row twice");
        assert_eq!(problem(|o| o.sessions = 1), "a deadlock needs at least two sessions, not 1");
        let ring = problem(|o| {
            o.sessions = 3;
            o.rows = Some(vec![1, 2]);
        });
        assert_eq!(ring, "a ring of 3 sessions needs 3 rows, not 2");
        assert_eq!(problem(|o| o.sleep = -1.0), "sleep cannot be -1");
        assert_eq!(problem(|o| o.sleep = f64::NAN), "sleep cannot be NaN");
        assert_eq!(problem(|o| o.timeout = 0.0), "timeout cannot be 0");
        assert_eq!(problem(|o| o.lock = "exclusive".into()), "lock cannot be 'exclusive'");
        assert_eq!(problem(|o| o.isolation = "snapshot".into()), "isolation cannot be 'snapshot'");
        assert_eq!(problem(|o| o.victim = Some("C".into())), "there is no session 'C' that could be the victim");
    }
}
