//! What the server says about those who wait for the opponent.

use std::time::{Duration, Instant};

use crate::connection::{Backend, Leash};
use crate::error::Error;

const DOING: &str = "watching who waits for the opponent";

/// A backend waits for the opponent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) pid: i32,
    /// When the wait began, in the server's words: one wait is told from the next by it.
    since: String,
    /// How old the wait is; the server's check for deadlocks counts from there.
    pub(super) age: Duration,
    /// When it was that old.
    pub(super) asked: Instant,
    /// The transaction that waits. Any role may see it of any other.
    pub(super) transaction: String,
}

impl Ask {
    /// How old the wait is by now.
    pub(super) fn age_now(&self) -> Duration {
        self.age + self.asked.elapsed()
    }

    /// Whether both are one and the same wait.
    pub(super) fn is(&self, other: &Self) -> bool {
        (self.pid, &self.since) == (other.pid, &other.since)
    }
}

/// Who waits for this backend, the longest wait first.
pub(super) fn asks(observer: &mut Backend, opponent: i32, leash: &Leash) -> Result<Vec<Ask>, Error> {
    // waitstart is null for a moment after a wait began (the manual, pg_locks): then the next look sees it.
    let sql = format!(
        "SELECT pid, waitstart, extract(epoch FROM clock_timestamp() - waitstart), virtualtransaction \
         FROM pg_catalog.pg_locks WHERE NOT granted AND waitstart IS NOT NULL \
         AND {opponent} = ANY (pg_catalog.pg_blocking_pids(pid)) ORDER BY waitstart"
    );
    let asked = Instant::now();
    let reply = observer.ask(&sql, DOING, leash)?;
    Ok(reply.rows().iter().filter_map(|row| ask(row, asked)).collect())
}

fn ask(row: &[Option<String>], asked: Instant) -> Option<Ask> {
    let column = |index: usize| row.get(index).and_then(Option::as_deref);
    Some(Ask {
        pid: column(0)?.parse().ok()?,
        since: column(1)?.to_owned(),
        age: Duration::try_from_secs_f64(column(2)?.parse().ok()?).unwrap_or_default(),
        asked,
        transaction: column(3)?.to_owned(),
    })
}

/// Who is in this backend's way.
pub(super) fn blockers(observer: &mut Backend, pid: i32, leash: &Leash) -> Result<Vec<i32>, Error> {
    let sql = format!("SELECT pg_catalog.unnest(pg_catalog.pg_blocking_pids({pid}))");
    let reply = observer.ask(&sql, DOING, leash)?;
    let pid = |row: &Vec<Option<String>>| row.first()?.as_deref()?.parse().ok();
    Ok(reply.rows().iter().filter_map(pid).collect())
}

/// What the server tells about a backend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Activity {
    /// Empty where the role may not see it, or there is no such backend.
    pub(super) state: String,
    pub(super) query: String,
    pub(super) exists: bool,
}

impl Activity {
    /// Whether the backend has answered its last statement, and so has let go of what it lets go of.
    pub(super) fn is_idle(&self) -> bool {
        self.state.starts_with("idle")
    }
}

/// What a backend is doing.
pub(super) fn activity(observer: &mut Backend, pid: i32, leash: &Leash) -> Result<Activity, Error> {
    // Within one transaction, pg_stat_activity shows what it showed first.
    let sql = format!(
        "SELECT pg_catalog.pg_stat_clear_snapshot(); SELECT coalesce(state, ''), coalesce(query, '') \
         FROM pg_catalog.pg_stat_activity WHERE pid = {pid}"
    );
    let reply = observer.ask(&sql, DOING, leash)?;
    let Some(row) = reply.results.last().and_then(|result| result.rows.first()) else { return Ok(Activity::default()) };
    let column = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or_default().to_owned();
    Ok(Activity { state: column(0), query: column(1), exists: true })
}

/// The transaction that a backend is in.
pub(super) fn transaction(observer: &mut Backend, pid: i32, leash: &Leash) -> Result<Option<String>, Error> {
    let sql = format!(
        "SELECT virtualtransaction FROM pg_catalog.pg_locks WHERE pid = {pid} AND locktype = 'virtualxid' AND granted LIMIT 1"
    );
    Ok(observer.ask(&sql, DOING, leash)?.scalar().map(str::to_owned))
}
