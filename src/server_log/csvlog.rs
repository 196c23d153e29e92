//! `csvlog`: the columns of the PostgreSQL manual's "Using CSV-Format Log Output", of which later versions add more at
//! the end.

use std::io::{self, Read};

use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};

use super::entry::Entry;
use super::format::line_starts;
use super::time::is_moment;

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

/// Where the first entry begins, if a log is one. An entry begins with a moment; what stands before the first has lost its
/// head.
pub(super) fn start(beginning: &[u8]) -> Option<usize> {
    line_starts(beginning).find(|&at| beginning.get(at..).is_some_and(|text| is_moment(text) && is_entry(text)))
}

fn is_entry(text: &[u8]) -> bool {
    let mut record = ByteRecord::new();
    let is_one = reader(text).read_byte_record(&mut record).unwrap_or_default() && record.len() >= FEWEST;
    let record = StringRecord::from_byte_record_lossy(record);
    let is_number = record.get(PID).is_some_and(|pid| pid.parse::<i32>().is_ok());
    is_one && is_number && record.get(SQLSTATE).is_some_and(|state| state.len() == 5)
}

/// Calls `each` with every entry.
pub(super) fn each_entry(log: impl Read, each: &mut impl FnMut(Entry)) -> io::Result<()> {
    let mut reader = reader(log);
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record)? {
        if record.len() >= FEWEST {
            each(entry(&StringRecord::from_byte_record_lossy(record.clone())));
        }
    }
    Ok(())
}

fn reader<R: Read>(log: R) -> Reader<R> {
    ReaderBuilder::new().has_headers(false).flexible(true).from_reader(log)
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
