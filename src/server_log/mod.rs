//! Deadlocks in PostgreSQL's own log, told as reports.
//!
//! The server writes what no client is told: the statement of each process of the cycle. All three formats are read:
//! `stderr` with whatever `log_line_prefix`, `csvlog` and `jsonlog` (PostgreSQL manual, "Where to Log"). Messages are
//! translated by `lc_messages`, so nothing here looks for English words: a deadlock is known by the shape of its DETAIL.
//!
//! A log is read as a stream: no more of it is kept than its deadlocks, and who waited since when.

mod csvlog;
mod deadlock;
mod entry;
mod format;
mod jsonlog;
mod line;
mod nearest;
mod stderr;
mod tale;
mod time;

use std::io::{self, BufRead, BufReader, Cursor, Read};

pub use format::Format;
pub use nearest::nearest;

use crate::report::Report;
use deadlock::{Deadlock, Pause};
use entry::Entry;

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

/// As many bytes of a log tell its format, …
const BEGINNING: u64 = 1 << 20;
/// … and so many are read at once.
const AT_ONCE: usize = 1 << 20;

/// Reads a log. What is no UTF-8 in it is replaced: a cluster may have databases in several encodings.
///
/// # Errors
///
/// That of the reader.
pub fn read(log: impl Read) -> io::Result<Found> {
    let mut log = BufReader::with_capacity(AT_ONCE, log);
    let mut beginning = Vec::new();
    log.by_ref().take(BEGINNING).read_to_end(&mut beginning)?;
    let (format, start) = Format::of(&beginning);
    let mut whole = Cursor::new(beginning).chain(log);
    whole.consume(start);
    let mut kept = Kept::default();
    let each = &mut |entry| kept.take(entry);
    match format {
        Format::Csv => csvlog::each_entry(whole, each)?,
        Format::Json => jsonlog::each_entry(whole, each)?,
        Format::Stderr => stderr::each_entry(whole, each)?,
    }
    let deadlocks = kept.deadlocks.iter().filter_map(Deadlock::of);
    let reports = deadlocks.map(|deadlock| tale::tell(&deadlock, &kept.pauses, format)).collect();
    Ok(Found { format, entries: kept.entries, reports })
}

/// What is kept of a log.
#[derive(Default)]
struct Kept {
    entries: usize,
    deadlocks: Vec<Entry>,
    /// What `log_lock_waits` adds says since when each process has waited.
    pauses: Vec<Pause>,
}

impl Kept {
    fn take(&mut self, entry: Entry) {
        self.entries += 1;
        self.pauses.extend(Pause::of(&entry));
        if Deadlock::of(&entry).is_some() {
            self.deadlocks.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read};

    use super::{BEGINNING, Format, read};

    const DEADLOCK: &str = "10:00 [11] FEHLER:  Verklemmung\n\
        10:00 [11] DETAIL:  Prozess 11 wartet auf ShareLock auf Transaktion 745; blockiert von Prozess 12.\n\
        \tProzess 12 wartet auf ShareLock auf Transaktion 744; blockiert von Prozess 11.\n\
        \tProzess 11: a\n\tProzess 12: b\n";

    /// Gives a byte, or nothing but an error.
    struct Dripping<'a>(&'a [u8]);

    impl Read for Dripping<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Err(io::Error::other("gone")) };
            self.0 = rest;
            buffer[0] = *first;
            Ok(1)
        }
    }

    #[test]
    fn deadlocks_are_found_wherever_they_are() {
        let noise = "10:00 [1] LOG:  noise\n".repeat(usize::try_from(BEGINNING).unwrap() / 20);
        let found = read(format!("{DEADLOCK}{noise}{DEADLOCK}").as_bytes()).unwrap();
        assert_eq!((found.format, found.reports.len()), (Format::Stderr, 2));
        assert!(found.entries > 3000);
    }

    #[test]
    fn the_error_of_the_reader_is_told() {
        assert_eq!(read(Dripping(DEADLOCK.as_bytes())).unwrap_err().to_string(), "gone");
    }

    #[test]
    fn a_line_without_end_is_no_entry_and_no_harm() {
        let endless =
            io::repeat(b'x').take(40 << 20).chain(format!("\n{DEADLOCK}").as_bytes().to_vec().leak() as &[u8]);
        assert_eq!(read(endless).unwrap().reports.len(), 1);
    }
}
