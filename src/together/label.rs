//! What a statement is called where it is compared with what came before.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Step;

/// What must be the same after the same beginning: the statement, and the rows of which it is known to be.
pub(super) fn wanted(step: &Step) -> String {
    let mut rows: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for reach in step.reach.iter().flatten() {
        rows.entry(&reach.table).or_default().extend(reach.key.as_deref());
    }
    let of = |(table, keys): (&str, BTreeSet<&str>)| match keys.len() {
        0 => String::new(),
        1 => format!(" (row {} of {table})", keys.into_iter().collect::<String>()),
        _ => format!(" (rows {} of {table})", keys.into_iter().collect::<Vec<_>>().join(", ")),
    };
    rows.into_iter().fold(label(step), |wanted, rows| wanted + &of(rows))
}

/// A statement without what may well differ from run to run: its parameters, and the names that Django makes up for savepoints
/// and cursors.
pub(super) fn label(step: &Step) -> String {
    let words = text(step).split(' ');
    words.map(|word| if is_made_up(word) { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

/// A statement without its parameters.
pub(super) fn text(step: &Step) -> &str {
    step.parameters_at.and_then(|at| step.sql.get(..at)).unwrap_or(&step.sql)
}

/// Whether a word is a name such as `"s139757812164288_x7"` or `"_django_curs_139757812164288_sync_1"`.
fn is_made_up(word: &str) -> bool {
    let name = word.trim_matches('"');
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let savepoint = name.strip_prefix('s').and_then(|rest| rest.split_once("_x"));
    name.starts_with("_django_curs_") || savepoint.is_some_and(|(thread, number)| digits(thread) && digits(number))
}

#[cfg(test)]
mod tests {
    use super::label;
    use crate::engine::Step;

    #[test]
    fn a_label_is_the_same_in_every_run() {
        for (sql, expected) in [
            ("SELECT -- why\n 1", "SELECT -- why\n 1"),
            ("SAVEPOINT \"s139757812164288_x7\"", "SAVEPOINT …"),
            ("ROLLBACK TO SAVEPOINT \"s139757812164288_x7\"", "ROLLBACK TO SAVEPOINT …"),
            ("FETCH _django_curs_139757812164288_sync_1", "FETCH …"),
            ("SELECT \"s1_y2\", \"sx_x1\"", "SELECT \"s1_y2\", \"sx_x1\""),
        ] {
            assert_eq!(label(&Step::statement("", sql)), expected);
        }
        let given = Step { parameters_at: Some(10), ..Step::statement("", "SELECT %s; -- 7 -- 8") };
        assert_eq!(label(&given), "SELECT %s;");
    }
}
