//! What is locked: scratch rows, advisory locks, or rows of a real table.

use crate::connection::{Backend, Leash};
use crate::error::Error;
use crate::scenario::lock::Lock;

/// Where the locks are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Rows of a table, qualified and quoted; `name` is what readers call the table.
    Rows { table: String, key: String, name: Option<String> },
    /// `pg_advisory_xact_lock(space, n)`, n being the place of the key in the run's rows.
    Advisory { space: i32 },
}

impl Target {
    /// The statement that locks one row, and what a reader calls the row. `place` is its place among the run's rows.
    pub(super) fn statement(&self, row: i64, place: usize, lock: Lock) -> (String, String) {
        match self {
            Self::Rows { table, key, name } => {
                let clause = lock.clause().unwrap_or("FOR UPDATE");
                let sql = format!("SELECT 1 FROM {table} WHERE {key} = {row} {clause}");
                (name.as_ref().map_or_else(|| format!("row {row}"), |name| format!("row {row} of {name}")), sql)
            }
            Self::Advisory { space } => {
                // Keys need not fit the second argument, an int; their places do.
                let number = i32::try_from(row)
                    .unwrap_or_else(|_| i32::MIN.saturating_add_unsigned(u32::try_from(place).unwrap_or(u32::MAX)));
                (format!("advisory lock {row}"), format!("SELECT pg_advisory_xact_lock({space}, {number})"))
            }
        }
    }
}

/// A name as PostgreSQL reads it back: always quoted.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as a literal.
pub(super) fn literal(text: &str) -> String {
    // E'' works whatever standard_conforming_strings says.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Finds the table and its key column, and checks that rows there can be locked by this role.
///
/// `table` is a table's bare name in the search path, exactly as Django has it in `db_table`; failing that,
/// `schema.table`. Nothing in it is ever run as SQL.
pub(super) fn find(table: &str, key: &str, backend: &mut Backend, leash: &Leash) -> Result<Target, Error> {
    const DOING: &str = "looking the table up";
    if table.contains('\0') || key.contains('\0') {
        return Err(Error::usage(
            "a table's or a column's name cannot contain a NUL",
            "Give the name as it is in the database.",
        ));
    }
    let (schema, bare) = split(table);
    let sql = format!(
        "SELECT n.nspname, c.relname, c.relkind, c.oid, has_any_column_privilege(c.oid, 'SELECT'), \
         has_any_column_privilege(c.oid, 'UPDATE'), has_schema_privilege(n.oid, 'USAGE') \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND (c.relname = {} AND pg_table_is_visible(c.oid) \
         OR n.nspname = {} AND c.relname = {}) ORDER BY pg_table_is_visible(c.oid) AND c.relname = {0} DESC LIMIT 1",
        literal(table),
        literal(&schema),
        literal(&bare)
    );
    let reply = backend.ask(&sql, DOING, leash)?;
    let Some(row) = reply.rows().first() else {
        return Err(Error::refused(
            "42P01",
            format!("there is no table {} in this database's search path", quoted(table)),
            "Run `manage.py migrate`, or correct the name (schema.table for another schema).",
        ));
    };
    let field = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or_default().to_owned();
    let (nspname, relname) = (field(0), field(1));
    check_kind(&field(2), &relname)?;
    let role = backend_role(backend, leash)?;
    if field(6) != "t" {
        return Err(Error::refused(
            "42501",
            format!("role {} may not use schema {}", quoted(&role), quoted(&nspname)),
            "GRANT USAGE ON SCHEMA to the role, or leave the table out and use scratch rows.",
        ));
    }
    check_privileges(&relname, &role, field(4) == "t", field(5) == "t")?;
    check_key(&field(3), &relname, key, &role, backend, leash)?;
    Ok(Target::Rows {
        table: format!("{}.{}", quoted(&nspname), quoted(&relname)),
        key: quoted(key),
        name: Some(relname),
    })
}

fn backend_role(backend: &mut Backend, leash: &Leash) -> Result<String, Error> {
    Ok(backend.ask("SELECT current_user", "asking for the role", leash)?.scalar().unwrap_or_default().to_owned())
}

fn check_kind(relkind: &str, name: &str) -> Result<(), Error> {
    let kind = match relkind {
        "r" | "p" => return Ok(()),
        "v" => "a view",
        "m" => "a materialized view",
        "f" => "a foreign table",
        _ => "a sequence",
    };
    Err(Error::refused(
        "42809",
        format!("{} is {kind}, and its rows cannot be locked by themselves", quoted(name)),
        "Name the table that the rows are stored in.",
    ))
}

fn check_privileges(name: &str, role: &str, may_select: bool, may_update: bool) -> Result<(), Error> {
    if may_select && may_update {
        return Ok(());
    }
    let missing = if may_select { "UPDATE" } else { "SELECT and UPDATE" };
    Err(Error::refused(
        "42501",
        format!("role {} may not lock rows of {}: it lacks {missing} on it", quoted(role), quoted(name)),
        format!("GRANT {missing} to the role, or leave the table out and use scratch rows."),
    ))
}

fn check_key(oid: &str, name: &str, key: &str, role: &str, backend: &mut Backend, leash: &Leash) -> Result<(), Error> {
    let sql = format!(
        "SELECT format_type(a.atttypid, a.atttypmod), t.typcategory, \
         has_column_privilege(a.attrelid, a.attnum, 'SELECT') FROM pg_attribute a \
         JOIN pg_type t ON t.oid = a.atttypid WHERE a.attrelid = {oid} AND a.attname = {} \
         AND a.attnum > 0 AND NOT a.attisdropped",
        literal(key)
    );
    let reply = backend.ask(&sql, "looking the key column up", leash)?;
    let Some(row) = reply.rows().first() else {
        return Err(Error::refused(
            "42703",
            format!("table {} has no column {}", quoted(name), quoted(key)),
            "Give the primary key's column as key=….",
        ));
    };
    let field = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or_default();
    if field(2) != "t" {
        return Err(Error::refused(
            "42501",
            format!("role {} may not read column {} of {}", quoted(role), quoted(key), quoted(name)),
            "GRANT SELECT to the role, or leave the table out and use scratch rows.",
        ));
    }
    if field(1) == "N" {
        return Ok(());
    }
    Err(Error::refused(
        "42804",
        format!("column {} of {} is of type {}, and rows are named by integers", quoted(key), quoted(name), field(0)),
        "Give a column of an integer type as key=…, or leave the table out and use scratch rows.",
    ))
}

/// `schema.table`, either part perhaps quoted; the schema is empty when there is none.
fn split(name: &str) -> (String, String) {
    let Some(parts) = parts(name) else { return (String::new(), name.to_owned()) };
    parts
}

fn parts(name: &str) -> Option<(String, String)> {
    let (schema, rest) = part(name)?;
    let (table, rest) = part(rest.strip_prefix('.')?)?;
    rest.is_empty().then_some((schema, table))
}

/// The identifier at the start of `text`, and what follows it.
fn part(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find('.').unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut name = String::new();
    let mut rest = quoted;
    loop {
        let end = rest.find('"')?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        let Some(more) = rest.strip_prefix('"') else { return Some((name, rest)) };
        name.push('"');
        rest = more;
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, literal, quoted, split};
    use crate::scenario::lock::Lock;

    #[test]
    fn names_are_always_quoted() {
        assert_eq!(quoted("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(literal("it's \\ here"), "E'it''s \\\\ here'");
    }

    #[test]
    fn a_schema_may_be_given_in_front() {
        let pair = |schema: &str, table: &str| (schema.to_owned(), table.to_owned());
        assert_eq!(split("bank_account"), pair("", "bank_account"));
        assert_eq!(split("app.account"), pair("app", "account"));
        assert_eq!(split("\"my.app\".\"odd\"\"name\""), pair("my.app", "odd\"name"));
        assert_eq!(split("a.b.c"), pair("", "a.b.c"));
        assert_eq!(split("\"open"), pair("", "\"open"));
    }

    #[test]
    fn statements_lock_one_row() {
        let rows = Target::Rows { table: "s.t".into(), key: "\"id\"".into(), name: None };
        let (name, sql) = rows.statement(7, 0, Lock::NoKeyUpdate);
        assert_eq!((name.as_str(), sql.as_str()), ("row 7", "SELECT 1 FROM s.t WHERE \"id\" = 7 FOR NO KEY UPDATE"));
        let (name, sql) = Target::Advisory { space: 5 }.statement(7, 0, Lock::Advisory);
        assert_eq!((name.as_str(), sql.as_str()), ("advisory lock 7", "SELECT pg_advisory_xact_lock(5, 7)"));
    }
}
