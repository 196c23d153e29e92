//! `provoke_deadlock`: an opponent for code that is not ours, so that this code meets a real 40P01.
//!
//! The opponent is a SQL session of the one engine. It holds what the code under test will ask for; when the server says
//! that the code waits for it, it asks for what the code holds, and PostgreSQL aborts the code. The code's own
//! connections are sessions of the same run, as far as they are heard of; a backend that nobody has told of is adopted
//! when it is seen to wait.

mod ambush;
mod ask;
mod closing;
mod conduct;
mod finding;
mod opponent;
mod tally;
mod verdict;

pub use finding::Finding;
pub use opponent::{Opponent, Progress};
pub use tally::Tally;
pub use verdict::{Afterwards, verdict};

use std::time::Duration;

/// Something to lock: what a reader calls it, and the statement that locks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// For example `rows of bank_account`.
    pub name: String,
    /// One statement.
    pub sql: String,
    /// Whether it must find at least one row.
    pub rows: bool,
}

/// What an opponent does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provocation {
    /// What it holds.
    pub holding: Demand,
    /// What it asks for when the code waits for it.
    pub wanting: Demand,
    /// How often the code shall get a 40P01.
    pub times: u32,
    /// Settings of the opponent's transaction, such as the code's `search_path`: name and value.
    pub settings: Vec<(String, String)>,
    /// After this long the opponent steps aside, whatever has happened.
    pub timeout: Duration,
    /// A backend of the code's whose `deadlock_timeout` is not the server's, and what it is.
    pub deadlock_timeout: Option<(i32, Duration)>,
}
