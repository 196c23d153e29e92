//! The catalogue: named scenarios, each a `.spec` file with a header that says what it teaches and what to expect.
//!
//! The header is the comment at the top of the file:
//!
//! ```text
//! # NAME: title
//! #
//! # Teaches: …                 what there is to learn
//! # Django: …                  the code that leads to it
//! # Fix: …                     what to do instead
//! # Seen in: owner/repo #1; …  public issues where it was met
//! # Expect 1: 40P01            what comes of the first permutation
//! # Fixed 2: waits; serializable 40001
//! ```
//!
//! A text goes on in the lines below it that are indented by two blanks more. `Expect` is for an order that shows the
//! problem, `Fixed` for one that shows the way out; each permutation has one of the two. Where the outcome depends on the
//! isolation level, the others follow the one of READ COMMITTED.

mod header;
mod table;

pub use table::table;

use serde::Serialize;

use super::effect::Effect;
use super::lock::Isolation;
use super::spec::{Spec, SpecError, parse};

/// A named scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its name, which is its file's.
    pub name: String,
    /// What happens, in one line.
    pub title: String,
    /// What there is to learn.
    pub teaches: String,
    /// The Django code that leads to it.
    pub django: String,
    /// What to do instead.
    pub fix: String,
    /// The public issues where it was met, as `owner/repo #1`.
    pub seen_in: Vec<String>,
    /// What to expect of each permutation.
    pub expectations: Vec<Expectation>,
    /// What to run.
    pub spec: Spec,
}

/// What a permutation is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Shows {
    /// What goes wrong.
    Problem,
    /// The way out.
    Fix,
}

/// What to expect of a permutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Whether it shows the way out, not the problem.
    pub fixed: bool,
    /// Under each isolation level, in the order of [`Isolation::ALL`].
    pub effects: [Effect; 3],
}

impl Expectation {
    /// What to expect under this isolation level.
    #[must_use]
    pub fn effect(&self, isolation: Isolation) -> &Effect {
        let [read_committed, repeatable_read, serializable] = &self.effects;
        match isolation {
            Isolation::ReadCommitted => read_committed,
            Isolation::RepeatableRead => repeatable_read,
            Isolation::Serializable => serializable,
        }
    }
}

impl Scenario {
    /// Reads a file of the catalogue: its header, and the spec below it.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        header::read(text, parse(text)?)
    }

    /// What each permutation is there for.
    #[must_use]
    pub fn shows(&self) -> Vec<Shows> {
        self.expectations.iter().map(|one| if one.fixed { Shows::Fix } else { Shows::Problem }).collect()
    }
}
