//! What PostgreSQL's isolation tester prints, byte for byte.

use std::fmt::Write;

use super::pointer::pointer;
use crate::connection::{Aside, ResultSet};
use crate::engine::StepResult;
use crate::error::{Position, ServerError};
use crate::scenario::spec::{Permutation, Spec};

/// What libpq says when a connection ends in the middle of a statement.
const SERVER_CLOSED: &str = "server closed the connection unexpectedly\n\
    \tThis probably means the server terminated abnormally\n\
    \tbefore or while processing the request.\n";

/// The text so far.
pub(super) struct Transcript {
    text: String,
}

impl Transcript {
    /// The lines before the first permutation.
    pub(super) fn new(spec: &Spec) -> Self {
        let mut transcript = Self { text: String::new() };
        for step in spec.unused() {
            transcript.line(format_args!("unused step name: {step}"));
        }
        transcript.line(format_args!("Parsed test spec with {} sessions", spec.sessions.len()));
        transcript
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// Where it ends now.
    pub(super) fn mark(&self) -> usize {
        self.text.len()
    }

    /// Forgets what came after a mark.
    pub(super) fn cut(&mut self, mark: usize) {
        self.text.truncate(mark);
    }

    /// A line of its own.
    pub(super) fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{line}");
    }

    /// What PostgreSQL's tester says of a block without any statement: libpq has no error to show, nor a newline.
    pub(super) fn unfinished(&mut self, text: std::fmt::Arguments<'_>) {
        let _ = write!(self.text, "{text}");
    }

    pub(super) fn begin(&mut self, order: &Permutation) {
        let names: Vec<&str> = order.steps.iter().map(|step| step.name.as_str()).collect();
        self.line(format_args!("\nstarting permutation: {}", names.join(" ")));
    }

    /// A step that is through, with the notices that came after its first statement: each before the result that libpq would
    /// tell it with. `session` is whose they are.
    pub(super) fn result(&mut self, session: &str, sql: &str, asides: &[Aside], result: &StepResult) {
        let before = asides.iter().find_map(|aside| match aside {
            Aside::Before(results) => Some(results.as_slice()),
            _ => None,
        });
        let results = match result {
            StepResult::Done(results) => results.as_slice(),
            _ => before.unwrap_or_default(),
        };
        let mut notices = asides.iter().filter(|aside| matches!(aside, Aside::Notice { .. })).peekable();
        let due = |aside: &&Aside, number| matches!(aside, Aside::Notice { before, .. } if *before <= number);
        for (index, table) in results.iter().enumerate() {
            while let Some(notice) = notices.next_if(|notice| due(notice, index + 1)) {
                self.notice(session, notice, Some(sql));
            }
            self.tables(std::slice::from_ref(table));
        }
        for notice in notices {
            self.notice(session, notice, Some(sql));
        }
        match result {
            StepResult::Done(_) => {}
            StepResult::Failed(error) => self.primary(error),
            StepResult::Lost { last_words, .. } => {
                if let Some(error) = last_words {
                    self.primary(error);
                }
                self.line(format_args!("{SERVER_CLOSED}"));
            }
        }
    }

    /// An error without its details: they have numbers in them that are others each time.
    fn primary(&mut self, error: &ServerError) {
        self.line(format_args!("{}:  {}", error.shown_severity(), error.message));
    }

    /// Results of a step, each as a table.
    pub(super) fn tables(&mut self, results: &[ResultSet]) {
        for result in results {
            table(&mut self.text, result);
        }
    }

    /// A notice that came to a session; returns whether it was one.
    pub(super) fn notice(&mut self, session: &str, aside: &Aside, sql: Option<&str>) -> bool {
        let Aside::Notice { notice, .. } = aside else { return false };
        let _ = write!(self.text, "{session}: {}", message(notice, sql));
        true
    }

    /// The notices that came to each session while it got ready.
    pub(super) fn greetings(&mut self, spec: &Spec, mut heard: impl FnMut(usize) -> Vec<Aside>) {
        for (index, session) in spec.sessions.iter().enumerate() {
            for aside in heard(index) {
                self.notice(&session.name, &aside, None);
            }
        }
    }

    /// A notification that came to a session.
    pub(super) fn notification(&mut self, session: &str, aside: &Aside, sender: impl Fn(i32) -> Option<String>) {
        let Aside::Notification { pid, channel, payload } = aside else { return };
        let sender = sender(*pid).unwrap_or_else(|| format!("PID {pid}"));
        self.line(format_args!("{session}: NOTIFY \"{channel}\" with payload \"{payload}\" from {sender}"));
    }
}

/// A message as libpq shows it by default: with the place in the statement, and CONTEXT for errors only.
pub(super) fn message(message: &ServerError, sql: Option<&str>) -> String {
    let mut text = format!("{}:  {}", message.shown_severity(), message.message);
    let (place, internal) = match &message.position {
        Some(Position::Statement(at)) => (sql.map(|sql| (sql, *at)), None),
        Some(Position::Internal { position, query }) => (Some((query.as_str(), *position)), Some(query)),
        None => (None, None),
    };
    if let (Some(Position::Statement(at)), None) = (&message.position, place) {
        let _ = write!(text, " at character {at}");
    }
    text.push('\n');
    if let Some((sql, at)) = place {
        text.push_str(&pointer(sql, at));
    }
    let fields = [("DETAIL", message.detail.as_ref()), ("HINT", message.hint.as_ref()), ("QUERY", internal)];
    for (label, field) in fields {
        if let Some(field) = field {
            let _ = writeln!(text, "{label}:  {field}");
        }
    }
    if matches!(message.severity.as_str(), "ERROR" | "FATAL" | "PANIC")
        && let Some(context) = &message.context
    {
        let _ = writeln!(text, "CONTEXT:  {context}");
    }
    text
}

/// A result as libpq's `PQprint` shows it, aligned: widths in bytes, numbers to the right.
fn table(text: &mut String, result: &ResultSet) {
    if result.columns.is_empty() {
        return;
    }
    let value = |row: &[Option<String>], column: usize| row.get(column).cloned().flatten().unwrap_or_default();
    let columns: Vec<Column<'_>> = result
        .columns
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let values = result.rows.iter().map(|row| value(row, index));
            let width = values.clone().map(|value| value.len()).chain([name.len()]).max().unwrap_or_default();
            Column { name, width, is_number: values.filter(|value| !value.is_empty()).all(|value| is_number(&value)) }
        })
        .collect();
    let names: Vec<String> = columns.iter().map(|column| column.padded(column.name)).collect();
    let rules: Vec<String> = columns.iter().map(|column| "-".repeat(column.width)).collect();
    let _ = writeln!(text, "{}\n{}", names.join("|"), rules.join("+"));
    for row in &result.rows {
        let fields: Vec<String> =
            columns.iter().enumerate().map(|(index, column)| column.padded(&value(row, index))).collect();
        let _ = writeln!(text, "{}", fields.join("|"));
    }
    let count = result.rows.len();
    let _ = writeln!(text, "({count} row{})\n", if count == 1 { "" } else { "s" });
}

struct Column<'a> {
    name: &'a str,
    width: usize,
    is_number: bool,
}

impl Column<'_> {
    fn padded(&self, text: &str) -> String {
        let blanks = " ".repeat(self.width.saturating_sub(text.len()));
        if self.is_number { blanks + text } else { text.to_owned() + &blanks }
    }
}

/// What `PQprint` takes for a number.
fn is_number(text: &str) -> bool {
    let like_a_number =
        |character: char| character.is_ascii_digit() || matches!(character, '.' | 'E' | 'e' | ' ' | '-');
    text.chars().all(like_a_number)
        && !text.starts_with(['E', 'e'])
        && text.chars().last().is_some_and(|last| last.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::{is_number, table};
    use crate::connection::ResultSet;

    fn shown(columns: &[&str], rows: &[&[Option<&str>]]) -> String {
        let mut text = String::new();
        let owned = |row: &&[Option<&str>]| row.iter().map(|value| value.map(str::to_owned)).collect();
        let result = ResultSet {
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: rows.iter().map(owned).collect(),
            affected: 0,
        };
        table(&mut text, &result);
        text
    }

    #[test]
    fn numbers_are_on_the_right_and_words_on_the_left() {
        let rows: [&[Option<&str>]; 2] = [&[Some("1"), Some("savings")], &[Some("10"), None]];
        let expected = "id|type   \n--+-------\n 1|savings\n10|       \n(2 rows)\n\n";
        assert_eq!(shown(&["id", "type"], &rows), expected);
        assert_eq!(shown(&["balance"], &[&[Some("7")]]), "balance\n-------\n      7\n(1 row)\n\n");
    }

    #[test]
    fn no_rows_have_a_head_and_no_columns_have_nothing() {
        assert_eq!(shown(&["a"], &[]), "a\n-\n(0 rows)\n\n");
        assert_eq!(shown(&[], &[&[]]), "");
    }

    #[test]
    fn a_number_ends_with_a_digit() {
        assert!(is_number("2023-01-01") && is_number("1e5") && is_number("-1.5"));
        assert!(!is_number("1.") && !is_number("e5") && !is_number("0x1"));
    }
}
