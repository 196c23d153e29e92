//! What a statement's first words say about it, before the server is asked.

/// How a statement can be felt by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// By the rows and tables that it locks, reads and writes.
    Plain,
    /// Not at all.
    Silent,
    /// It undoes what came after a savepoint.
    Undoing,
    /// In ways that locks do not tell: it changes the catalogue or the session, or asks who does what.
    Opaque,
}

/// What a statement may begin with whose locks tell all.
const PLAIN: [&str; 17] = [
    "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH", "VALUES", "TABLE", "DECLARE", "FETCH", "MOVE", "CLOSE",
    "COPY", "LOCK", "SHOW", "COMMIT", "ROLLBACK",
];
/// What a statement may not contain, for its answer hangs on what others do, or it does more than its locks tell.
const TELLTALE: [&str; 9] =
    [";", "try_advisory", "set_config", "pg_notify", "pg_locks", "pg_stat", "pg_blocking", "dblink", "isolation level"];
/// The functions of large objects, which are in the catalogue.
const LARGE_OBJECT: [&str; 9] =
    ["lo_creat", "lo_from_bytea", "lo_import", "lo_open", "lo_put", "lo_get", "lo_trunc", "lo_unlink", "lowrite"];

impl Manner {
    pub(super) fn of(sql: &str) -> Self {
        let lower = sql.to_ascii_lowercase();
        if lower.starts_with("set transaction ") && !lower.contains(';') {
            return Self::Silent; // the session tells its level
        }
        if TELLTALE.iter().chain(&LARGE_OBJECT).any(|word| lower.contains(word)) {
            return Self::Opaque;
        }
        let words: Vec<String> = sql.split_whitespace().take(2).map(str::to_ascii_uppercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["SAVEPOINT" | "RELEASE", _] => Self::Silent,
            ["ROLLBACK", "TO"] => Self::Undoing,
            ["SET", "CONSTRAINTS"] => Self::Plain,
            [verb, ..] if PLAIN.contains(&verb) => Self::Plain,
            _ => Self::Opaque,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Manner;

    #[test]
    fn statements_are_told_by_their_first_words() {
        for (sql, manner) in [
            ("SELECT 1 FROM account", Manner::Plain),
            ("COMMIT", Manner::Plain),
            ("ROLLBACK", Manner::Plain),
            ("SET CONSTRAINTS ALL IMMEDIATE", Manner::Plain),
            ("SAVEPOINT \"s1_x1\"", Manner::Silent),
            ("RELEASE SAVEPOINT \"s1_x1\"", Manner::Silent),
            ("ROLLBACK TO SAVEPOINT \"s1_x1\"", Manner::Undoing),
            ("SET search_path TO tenant", Manner::Opaque),
            ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", Manner::Silent),
            ("SELECT set_config('search_path', 'x', false)", Manner::Opaque),
            ("SELECT pg_try_advisory_xact_lock(1)", Manner::Opaque),
            ("SELECT 1; COMMIT", Manner::Opaque),
            ("SELECT lo_put(42, 0, 'x')", Manner::Opaque),
            ("ALTER TABLE account ADD x int", Manner::Opaque),
            ("CALL transfer()", Manner::Opaque),
            ("/* hint */ SELECT 1", Manner::Opaque),
            ("", Manner::Opaque),
        ] {
            assert_eq!(Manner::of(sql), manner, "{sql}");
        }
    }
}
