//! What the opponent counts.

use super::finding::Finding;
use crate::connection::Facts;
use crate::engine::Record;

/// What became of a provocation, before anybody has judged it.
#[derive(Clone, Debug)]
pub struct Tally {
    /// How often the code was seen to wait for the opponent.
    pub attempts: u32,
    /// How often PostgreSQL aborted it with 40P01.
    pub deadlocks: u32,
    /// What was found out on the way.
    pub findings: Vec<Finding>,
    /// The SQLSTATE that ended a wait early.
    pub interruption: Option<String>,
    /// Everything that happened.
    pub record: Record,
    /// The server.
    pub facts: Facts,
    /// How the victim was decided, and other remarks.
    pub notes: Vec<String>,
}
