//! What a search knows of the tables beforehand, and learns of statements in its course.

use std::collections::HashSet;

use super::label::text;
use super::manner::Manner;
use crate::engine::Step;

/// What is known of the tables, and was learnt of statements, in the course of a search.
#[derive(Clone, Debug, Default)]
pub struct Lore {
    /// Tables whose rows are checked against each other at COMMIT: a deferrable foreign key's own, and the one it refers to.
    pub deferred: Vec<(String, String)>,
    /// Functions of the user's that do what no lock tells, in lower case.
    pub functions: HashSet<String>,
    /// Tables with triggers that do.
    pub guarded: HashSet<String>,
    /// What is drawn from them is drawn at once, not at COMMIT.
    pub sequences: HashSet<String>,
    /// Statements that were seen to touch what they were said to, and those that were not.
    pub(super) trusted: HashSet<String>,
    pub(super) mistrusted: HashSet<String>,
}

impl Lore {
    /// Knowing this, and nothing of statements yet.
    #[must_use]
    pub fn new(
        deferred: Vec<(String, String)>,
        functions: HashSet<String>,
        guarded: HashSet<String>,
        sequences: HashSet<String>,
    ) -> Self {
        Self { deferred, functions, guarded, sequences, ..Self::default() }
    }

    /// How a statement can be felt by others.
    pub(super) fn manner(&self, step: &Step) -> Manner {
        let text = text(step);
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '$';
        let calls = |word: &str| self.functions.contains(&word.to_lowercase());
        if !self.functions.is_empty() && text.split(|letter| !is_part(letter)).any(calls) {
            return Manner::Opaque;
        }
        Manner::of(text)
    }
}
