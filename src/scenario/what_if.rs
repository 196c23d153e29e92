//! What if the code had asked for its locks in another way? A spec with its locking clauses rewritten.
//!
//! Only the locking clause of a SELECT is touched (the manual, "The Locking Clause"), only in steps, and never in a
//! string, a comment or a quoted name: that is what Django's `select_for_update()` has options for.

use std::str::FromStr;

use super::spec::Spec;
use super::sql::{Token, tokens};

/// A change to how locks are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhatIf {
    /// FOR UPDATE becomes FOR NO KEY UPDATE: `select_for_update(no_key=True)`.
    NoKey,
    /// `select_for_update(nowait=True)`.
    Nowait,
    /// `select_for_update(skip_locked=True)`.
    SkipLocked,
    /// The sessions have a short `lock_timeout`, and every wait outlasts it. No SQL is changed.
    LockTimeout,
}

impl WhatIf {
    /// Every change by the name that users give.
    pub const ALL: [(&'static str, Self); 4] = [
        ("no_key", Self::NoKey),
        ("nowait", Self::Nowait),
        ("skip_locked", Self::SkipLocked),
        ("lock_timeout", Self::LockTimeout),
    ];

    /// The spec as it would be; `None` if no step has a locking clause that the change applies to.
    #[must_use]
    pub fn applied(self, spec: &Spec) -> Option<Spec> {
        if self == Self::LockTimeout {
            return Some(spec.clone());
        }
        let mut changed = spec.clone();
        let mut any = false;
        for step in changed.sessions.iter_mut().flat_map(|session| &mut session.steps) {
            if let Some(sql) = self.rewritten(&step.sql) {
                step.sql = sql;
                any = true;
            }
        }
        any.then_some(changed)
    }

    /// Some SQL as it would be; `None` if there is nothing to change.
    #[must_use]
    pub fn rewritten(self, sql: &str) -> Option<String> {
        let tokens = tokens(sql);
        let mut text = String::new();
        let mut copied = 0;
        for clause in clauses(&tokens) {
            match self {
                Self::NoKey if clause.strength == ["UPDATE"] => {
                    let update = &tokens[clause.first + 1].place;
                    text.push_str(&sql[copied..update.start]);
                    text.push_str("NO KEY ");
                    copied = update.start;
                }
                Self::Nowait | Self::SkipLocked if !clause.says_how_to_wait => {
                    let end = tokens[clause.last].place.end;
                    text.push_str(&sql[copied..end]);
                    text.push_str(if self == Self::Nowait { " NOWAIT" } else { " SKIP LOCKED" });
                    copied = end;
                }
                _ => {}
            }
        }
        if copied == 0 {
            return None;
        }
        text.push_str(&sql[copied..]);
        Some(text)
    }
}

impl FromStr for WhatIf {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, what_if)| what_if).ok_or(())
    }
}

/// A locking clause among the tokens: its FOR, and its last token.
struct Clause {
    first: usize,
    last: usize,
    strength: &'static [&'static str],
    says_how_to_wait: bool,
}

const STRENGTHS: [&[&str]; 4] = [&["UPDATE"], &["NO", "KEY", "UPDATE"], &["SHARE"], &["KEY", "SHARE"]];

fn clauses(tokens: &[Token]) -> Vec<Clause> {
    let is = |index: usize, text: &str| tokens.get(index).is_some_and(|token| token.text == text);
    let mut clauses = Vec::new();
    for first in (0..tokens.len()).filter(|&index| is(index, "FOR")) {
        let found = STRENGTHS.into_iter().find(|words| words.iter().zip(first + 1..).all(|(word, at)| is(at, word)));
        let Some(strength) = found else { continue };
        let mut next = first + 1 + strength.len();
        if is(next, "OF") {
            next += 2;
            while is(next, ",") || is(next, ".") {
                next += 2;
            }
        }
        let says_how_to_wait = is(next, "NOWAIT") || is(next, "SKIP") && is(next + 1, "LOCKED");
        let last = next.saturating_sub(1).min(tokens.len().saturating_sub(1));
        clauses.push(Clause { first, last, strength, says_how_to_wait });
    }
    clauses
}

#[cfg(test)]
mod tests {
    use super::WhatIf::{LockTimeout, NoKey, Nowait, SkipLocked};
    use crate::scenario::spec::parse;

    #[test]
    fn a_locking_clause_is_rewritten_where_it_stands() {
        let sql = "SELECT 1 FROM a ORDER BY id LIMIT 1 for update; SELECT 2 FOR SHARE OF a, b.c -- FOR UPDATE\n;";
        assert_eq!(
            NoKey.rewritten(sql).unwrap(),
            "SELECT 1 FROM a ORDER BY id LIMIT 1 for NO KEY update; SELECT 2 FOR SHARE OF a, b.c -- FOR UPDATE\n;"
        );
        assert_eq!(
            Nowait.rewritten(sql).unwrap(),
            "SELECT 1 FROM a ORDER BY id LIMIT 1 for update NOWAIT; SELECT 2 FOR SHARE OF a, b.c NOWAIT -- FOR UPDATE\n;"
        );
        assert_eq!(
            SkipLocked.rewritten("SELECT 1 FOR NO KEY UPDATE OF \"a b\"").unwrap(),
            "SELECT 1 FOR NO KEY UPDATE OF \"a b\" SKIP LOCKED"
        );
    }

    #[test]
    fn what_is_no_locking_clause_is_left_alone() {
        for sql in [
            "UPDATE a SET b = 'for update'",
            "SELECT $$ FOR UPDATE $$ /* FOR UPDATE */ \"FOR\" UPDATE",
            "SELECT substring('a' FOR 1)",
            "LOCK TABLE a",
            "FOR",
        ] {
            assert_eq!(NoKey.rewritten(sql), None, "{sql}");
            assert_eq!(Nowait.rewritten(sql), None, "{sql}");
        }
        assert_eq!(NoKey.rewritten("SELECT 1 FOR KEY SHARE"), None);
        assert_eq!(NoKey.rewritten("SELECT 1 FOR NO KEY UPDATE"), None);
        assert_eq!(Nowait.rewritten("SELECT 1 FOR UPDATE SKIP LOCKED"), None);
        assert_eq!(SkipLocked.rewritten("SELECT 1 FOR UPDATE OF a NOWAIT"), None);
    }

    #[test]
    fn a_spec_without_a_locking_clause_is_not_applicable() {
        let spec = parse("session a step b { UPDATE t SET x = 1; } step c { SELECT 1 FOR UPDATE; }").unwrap();
        assert_eq!(Nowait.applied(&spec).unwrap().sessions[0].steps[1].sql, "SELECT 1 FOR UPDATE NOWAIT;");
        assert_eq!(LockTimeout.applied(&spec).unwrap(), spec);
        let plain = parse("setup { SELECT 1 FOR UPDATE; } session a step b { UPDATE t SET x = 1; }").unwrap();
        assert_eq!(Nowait.applied(&plain), None);
    }
}
