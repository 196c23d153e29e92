//! A table of a test's own, and how a transaction on it begins.

use django_lockstep::engine::Step;

use super::witness;

/// Begins a transaction that looks for a deadlock after so many milliseconds.
pub fn begin(deadlock_timeout: u32) -> Step {
    Step::begin(format!("BEGIN; SET LOCAL deadlock_timeout = {deadlock_timeout}; SELECT pg_backend_pid()"))
}

/// A table of the test's own, dropped at the end.
pub struct Tables(String);

impl Tables {
    pub fn new(name: &str, rest: &str) -> Self {
        let mut witness = witness();
        witness
            .batch_execute(&format!(
                "DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}; SET search_path = {name}; \
                 CREATE TABLE acct (id int PRIMARY KEY, bal int); INSERT INTO acct SELECT i, 100 FROM generate_series(1, 6) i; \
                 {rest}"
            ))
            .unwrap();
        Self(name.to_owned())
    }

    pub fn sql(&self, text: &str) -> String {
        text.replace('@', &format!("{}.", self.0))
    }
}

impl Drop for Tables {
    fn drop(&mut self) {
        witness().batch_execute(&format!("DROP SCHEMA {} CASCADE", self.0)).unwrap();
    }
}
