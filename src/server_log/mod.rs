//! Deadlocks in PostgreSQL's own log, told as reports.
//!
//! The server writes what no client is told: the statement of each process of the cycle. All three formats are read:
//! `stderr` with whatever `log_line_prefix`, `csvlog` and `jsonlog` (PostgreSQL manual, "Where to Log"). Messages are
//! translated by `lc_messages`, so nothing here looks for English words: a deadlock is known by the shape of its DETAIL.

mod csvlog;
mod deadlock;
mod entry;
mod jsonlog;
mod nearest;
mod stderr;
mod tale;
mod time;

pub use entry::Format;
pub use nearest::nearest;

use crate::report::Report;
use deadlock::{Deadlock, Pause};

/// What a log holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The format that it is in.
    pub format: Format,
    /// How many entries it has.
    pub entries: usize,
    /// A report of each deadlock, in order.
    pub reports: Vec<Report>,
}

/// Reads a log.
#[must_use]
pub fn read(log: &str) -> Found {
    let log = log.trim_start_matches('\u{feff}');
    let format = Format::of(log);
    let entries = match format {
        Format::Csv => csvlog::entries(log),
        Format::Json => jsonlog::entries(log),
        Format::Stderr => stderr::entries(log),
    };
    // What log_lock_waits adds says since when each process has waited.
    let pauses: Vec<Pause> = entries.iter().filter_map(Pause::of).collect();
    let deadlocks = entries.iter().filter_map(Deadlock::of);
    let reports = deadlocks.map(|deadlock| tale::tell(&deadlock, &pauses, format)).collect();
    Found { format, entries: entries.len(), reports }
}
