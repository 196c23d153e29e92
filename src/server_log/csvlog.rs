//! `csvlog`: the columns of the PostgreSQL manual's "Using CSV-Format Log Output", of which later versions add more at
//! the end.

use csv::{ReaderBuilder, StringRecord};

use super::entry::Entry;

const TIME: usize = 0;
const ROLE: usize = 1;
const DATABASE: usize = 2;
const PID: usize = 3;
const SQLSTATE: usize = 12;
const MESSAGE: usize = 13;
const DETAIL: usize = 14;
const HINT: usize = 15;
const CONTEXT: usize = 18;
/// PostgreSQL 9.0 had these many; none since has fewer.
const FEWEST: usize = 23;

/// Whether a log is one, by its first entry.
pub(super) fn is_one(log: &str) -> bool {
    records(log).next().is_some_and(|record| {
        let is_number = |column: usize| record.get(column).is_some_and(|value| value.parse::<i32>().is_ok());
        is_number(PID) && record.get(SQLSTATE).is_some_and(|state| state.len() == 5)
    })
}

pub(super) fn entries(log: &str) -> Vec<Entry> {
    records(log).filter(|record| record.len() >= FEWEST).map(|record| entry(&record)).collect()
}

fn records(log: &str) -> impl Iterator<Item = StringRecord> {
    let reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(log.as_bytes());
    reader.into_records().filter_map(Result::ok)
}

fn entry(record: &StringRecord) -> Entry {
    let text = |column: usize| record.get(column).unwrap_or_default().to_owned();
    Entry {
        time: text(TIME),
        pid: text(PID).parse().ok(),
        database: text(DATABASE),
        role: text(ROLE),
        message: text(MESSAGE),
        detail: text(DETAIL),
        hint: text(HINT),
        context: text(CONTEXT),
    }
}
