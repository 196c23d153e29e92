//! One entry of a log, whatever its format.

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
