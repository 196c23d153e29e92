//! As much of SQL as a report needs: which words a statement has, without what is quoted or commented out.

/// The words of the last statement of `sql`, in capitals: no strings, no quoted names, no comments, no numbers.
pub(crate) fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = quoted(rest) {
            rest = rest.get(length..).unwrap_or_default();
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            words.push(word.to_uppercase());
            rest = after;
        } else {
            // A second statement: what the first one was no longer matters, unless nothing follows.
            let after = rest.get(first.len_utf8()..).unwrap_or_default();
            if first == ';' && !after.trim().is_empty() {
                words.clear();
            }
            rest = after;
        }
    }
    words
}

/// How long the quotation or comment is that `text` begins with, if it does.
fn quoted(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes {
        [b'-', b'-', ..] => Some(text.find('\n').unwrap_or(text.len())),
        [b'/', b'*', ..] => Some(comment(text)),
        [b'\'', ..] => Some(closed_by(text, 1, '\'', false)),
        [b'"', ..] => Some(closed_by(text, 1, '"', false)),
        [b'e' | b'E', b'\'', ..] => Some(closed_by(text, 2, '\'', true)),
        [b'$', ..] => dollars(text),
        _ => None,
    }
}

/// Comments nest.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(rest) = text.get(at..) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            match rest.chars().next() {
                Some(character) => at += character.len_utf8(),
                None => break,
            }
        }
    }
    text.len()
}

/// A doubled quote needs no care: it ends one quotation and begins the next.
fn closed_by(text: &str, from: usize, quote: char, backslashes: bool) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(from) {
        if escaped {
            escaped = false;
        } else if backslashes && character == '\\' {
            escaped = true;
        } else if character == quote {
            return at + 1;
        }
    }
    text.len()
}

/// `$tag$ … $tag$`; a parameter such as `$1` is none.
fn dollars(text: &str) -> Option<usize> {
    let tag_end = text.get(1..)?.find('$')? + 2;
    let tag = text.get(..tag_end)?;
    let name = tag.trim_matches('$');
    if name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let closing = text.get(tag_end..)?.find(tag).map_or(text.len(), |at| tag_end + at + tag.len());
    Some(closing)
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
        assert_eq!(words("/* 🦀 */ sélect $$"), ["SÉLECT"]);
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
