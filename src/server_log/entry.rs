//! One entry of a log, whatever its format.

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
    /// The format of a log, by its first entry.
    pub(super) fn of(log: &str) -> Self {
        if log.trim_start().starts_with('{') {
            Self::Json
        } else if super::csvlog::is_one(log) {
            Self::Csv
        } else {
            Self::Stderr
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

/// One entry of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// When it was written, as the log has it.
    pub(super) time: String,
    /// The process that wrote it; a line of `stderr` need not say it.
    pub(super) pid: Option<i32>,
    pub(super) database: String,
    pub(super) role: String,
    pub(super) message: String,
    pub(super) detail: String,
    pub(super) hint: String,
    pub(super) context: String,
}
