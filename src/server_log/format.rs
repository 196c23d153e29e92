//! How a log is written, and where its first whole entry begins.

use super::{csvlog, jsonlog};

/// How a log is written: `log_destination`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines that begin with `log_line_prefix`.
    Stderr,
    /// Comma-separated values.
    Csv,
    /// A JSON object a line (PostgreSQL 15 and later).
    Json,
}

impl Format {
    /// The format of a log by its beginning, and how many bytes to leave out: a log may have lost its head.
    pub(super) fn of(beginning: &[u8]) -> (Self, usize) {
        let mark = if beginning.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        let start = mark + beginning.iter().skip(mark).take_while(|byte| **byte == 0).count();
        let text = beginning.get(start..).unwrap_or_default();
        if let Some(at) = jsonlog::start(text) {
            (Self::Json, start + at)
        } else if let Some(at) = csvlog::start(text) {
            (Self::Csv, start + at)
        } else {
            (Self::Stderr, start)
        }
    }

    /// The name that `log_destination` has for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stderr => "stderr",
            Self::Csv => "csvlog",
            Self::Json => "jsonlog",
        }
    }
}

/// Where the lines of a text begin.
pub(super) fn line_starts(text: &[u8]) -> impl Iterator<Item = usize> {
    let ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends)
}
