//! The `.spec` language: PostgreSQL's own way to write down sessions, their steps, and the orders to run them in
//! (`src/test/isolation/README` in its sources).

mod check;
mod interleavings;
mod parse;
mod print;
#[cfg(test)]
mod properties;
mod unclosed;

pub use check::check;
pub use interleavings::interleavings;
pub use parse::parse;

/// A whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// SQL that is run before each permutation, each block by itself.
    pub setups: Vec<String>,
    /// SQL that is run after each permutation.
    pub teardown: Option<String>,
    /// The sessions.
    pub sessions: Vec<Session>,
    /// The orders to run; none: all interleavings.
    pub permutations: Vec<Permutation>,
}

/// One session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub name: String,
    /// SQL that is run before its first step.
    pub setup: Option<String>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// SQL that is run after its last step.
    pub teardown: Option<String>,
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Its name, unique in the file.
    pub name: String,
    /// Its SQL: one statement or several, sent as one.
    pub sql: String,
}

/// An order of steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permutation {
    /// The steps, in the order in which they are launched.
    pub steps: Vec<PermutationStep>,
}

/// A step in a permutation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermutationStep {
    /// The step's name.
    pub name: String,
    /// What its report is held back for.
    pub blockers: Vec<Blocker>,
}

/// What a step's report is held back for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocker {
    /// `*`: it is reported as waiting first, however quick it is.
    Once,
    /// It is reported after this other step.
    Step(String),
    /// It is reported after so many notices came to the session of this other step.
    Notices {
        /// The other step.
        step: String,
        /// How many.
        count: u32,
    },
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct SpecError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// What was found or expected.
    pub message: String,
}

impl Spec {
    /// The place of a step: its session's and its own, from 0.
    #[must_use]
    pub fn place(&self, step: &str) -> Option<(usize, usize)> {
        self.sessions.iter().enumerate().find_map(|(session, candidate)| {
            candidate.steps.iter().position(|candidate| candidate.name == step).map(|step| (session, step))
        })
    }

    /// The orders to run: those of the file, or all interleavings.
    #[must_use]
    pub fn orders(&self) -> Box<dyn Iterator<Item = Permutation> + '_> {
        if self.permutations.is_empty() {
            Box::new(interleavings(&self.sessions))
        } else {
            Box::new(self.permutations.iter().cloned())
        }
    }

    /// A name for each session that no other has. PostgreSQL's tester takes several of one name, and tells them apart by
    /// their steps; in a report each needs a name of its own.
    #[must_use]
    pub fn session_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for session in &self.sessions {
            let mut name = session.name.clone();
            let mut number = 1;
            while names.contains(&name) || number > 1 && self.sessions.iter().any(|other| other.name == name) {
                number += 1;
                name = format!("{} ({number})", session.name);
            }
            names.push(name);
        }
        names
    }

    /// All of its SQL, piece by piece.
    pub fn sql(&self) -> impl Iterator<Item = &str> {
        let sessions = self.sessions.iter().flat_map(|session| {
            let steps = session.steps.iter().map(|step| &step.sql);
            session.setup.iter().chain(steps).chain(&session.teardown)
        });
        self.setups.iter().chain(sessions).chain(&self.teardown).map(String::as_str)
    }

    /// The steps that no permutation uses, by name; PostgreSQL's tester warns of them.
    #[must_use]
    pub fn unused(&self) -> Vec<&str> {
        if self.permutations.is_empty() {
            return Vec::new();
        }
        let used = |name: &str| self.permutations.iter().any(|order| order.steps.iter().any(|step| step.name == name));
        let steps = self.sessions.iter().flat_map(|session| &session.steps);
        let mut unused: Vec<&str> = steps.map(|step| step.name.as_str()).filter(|name| !used(name)).collect();
        unused.sort_unstable();
        unused
    }
}
