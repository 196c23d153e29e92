//! As much of a statement as a report needs: its words, and which locks on rows they take.

use crate::scenario::sql::tokens;

/// The words of the last statement of `sql`, in capitals: no strings, no quoted names, no comments, no numbers.
pub(crate) fn words(sql: &str) -> Vec<String> {
    let tokens = tokens(sql);
    let last = tokens.split(|token| token.text == ";").rfind(|statement| !statement.is_empty()).unwrap_or_default();
    let is_word = |text: &str| text.starts_with(|first: char| first.is_alphabetic() || first == '_');
    last.iter()
        .filter(|token| is_word(&token.text) && !token.text.contains('\''))
        .map(|token| token.text.clone())
        .collect()
}

/// Which locks on rows a statement has taken that returned or touched so many, in words. The rows themselves say
/// which of them are locked, not `pg_locks` (PostgreSQL manual, "Row-Level Locks"): so this is read off the statement.
#[must_use]
pub fn row_locks(sql: &str, rows: u64) -> Option<String> {
    let words = words(sql);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let has = |wanted: &[&str]| words.windows(wanted.len()).any(|window| window == wanted);
    let kind = match words.first().copied()? {
        kind @ ("INSERT" | "UPDATE" | "DELETE" | "MERGE") => kind,
        "WITH" if has(&["UPDATE"]) && !has(&["FOR", "UPDATE"]) && !has(&["KEY", "UPDATE"]) => "UPDATE",
        "WITH" if has(&["DELETE"]) => "DELETE",
        "WITH" if has(&["INSERT"]) => "INSERT",
        "SELECT" | "WITH" | "TABLE" | "VALUES" => {
            let clauses = [
                ("FOR NO KEY UPDATE", &["FOR", "NO", "KEY", "UPDATE"][..]),
                ("FOR KEY SHARE", &["FOR", "KEY", "SHARE"]),
                ("FOR UPDATE", &["FOR", "UPDATE"]),
                ("FOR SHARE", &["FOR", "SHARE"]),
            ];
            clauses.into_iter().find(|(_, clause)| has(clause))?.0
        }
        _ => return None,
    };
    (rows > 0).then(|| format!("row lock of {kind} on {rows} {}", if rows == 1 { "row" } else { "rows" }))
}

#[cfg(test)]
mod tests {
    use super::{row_locks, words};

    #[test]
    fn words_are_those_of_the_last_statement() {
        assert_eq!(words("BEGIN; SELECT 1"), ["SELECT"]);
        assert_eq!(
            words("select a.b from \"for update\" where x = 'it''s; for' ;"),
            ["SELECT", "A", "B", "FROM", "WHERE", "X"]
        );
        assert_eq!(
            words("/* a /* b */ c */ UPDATE -- x\nt SET y = $1, z = $tag$ for share $tag$"),
            ["UPDATE", "T", "SET", "Y", "Z"]
        );
        assert_eq!(words(r"SELECT E'\' for update' FOR SHARE"), ["SELECT", "FOR", "SHARE"]);
        assert_eq!(words("SELECT 'open; /* "), ["SELECT"]);
    }

    #[test]
    fn row_locks_are_read_off_the_statement() {
        let told = |sql: &str, rows: u64| row_locks(sql, rows).unwrap_or_default();
        assert_eq!(told("SELECT 1 FROM t WHERE id = 1 FOR UPDATE", 1), "row lock of FOR UPDATE on 1 row");
        assert_eq!(told("SELECT 1 FROM t FOR NO KEY UPDATE OF t NOWAIT", 2), "row lock of FOR NO KEY UPDATE on 2 rows");
        assert_eq!(told("(SELECT 1 FROM t FOR KEY SHARE)", 1), "row lock of FOR KEY SHARE on 1 row");
        assert_eq!(told("UPDATE t SET n = 1", 3), "row lock of UPDATE on 3 rows");
        assert_eq!(told("WITH x AS (SELECT 1 FROM t FOR UPDATE) DELETE FROM t", 1), "row lock of DELETE on 1 row");
        assert_eq!(told("UPDATE t SET n = 1", 0), "");
        assert_eq!(told("SELECT 'FOR UPDATE'", 1), "");
        assert_eq!(told("SELECT pg_advisory_xact_lock(1)", 1), "");
        assert_eq!(told("SAVEPOINT a", 0), "");
    }
}
