//! The report as plain text: a line an event, then the verdict. The live view prints the same lines.

use std::fmt::Write;

use textwrap::{Options, WordSplitter};

use super::{Event, EventKind, Outcome, Report, Server};

/// How many columns sentences are wrapped to where nobody knows better.
pub const WIDTH: usize = 100;

/// How much is told: 1 the timeline, 2 every statement, 3 what the observer saw.
pub type Verbosity = u8;

impl Event {
    /// The event as one line; `None` when it is not told at this verbosity.
    #[must_use]
    pub fn to_text(&self, verbosity: Verbosity) -> Option<String> {
        if verbosity == 0 || self.kind == EventKind::Request && verbosity < 2 {
            return None;
        }
        let pid = self.backend_pid.map_or_else(String::new, |pid| pid.to_string());
        let mut line = format!("{:>9.3} s  {:<2} {pid:>7}  {}", self.at, self.session, self.deed());
        if verbosity >= 3
            && let Some(lock) = &self.lock
        {
            let _ = write!(line, "  [{}]", one_line(lock));
        }
        if verbosity >= 2
            && let Some(statement) = &self.statement
            && matches!(self.kind, EventKind::Begin | EventKind::Request)
        {
            let _ = write!(line, "  {}", one_line(statement));
        }
        if let Some(source) = &self.source {
            let _ = write!(line, "  at {}", one_line(source));
        }
        Some(line)
    }

    fn deed(&self) -> String {
        let step = one_line(&self.step);
        match self.kind {
            EventKind::Begin => "begins".to_owned(),
            EventKind::Request => format!("asks for {step}"),
            EventKind::Waiting => format!("waits for {step}, held by {}", self.blocked_by.join(", ")),
            EventKind::Acquired if self.rows == Some(0) => format!("finds no {step}"),
            EventKind::Acquired => format!("locks {step}"),
            EventKind::Error => {
                let sqlstate = self.sqlstate.as_deref().unwrap_or("connection lost");
                format!("{sqlstate} {}", one_line(self.message.as_deref().unwrap_or_default()))
            }
            EventKind::Commit => "commits".to_owned(),
            EventKind::Rollback => "rolls back".to_owned(),
            EventKind::Cancel => format!("is cancelled at {step}"),
        }
    }
}

impl Report {
    /// The verdict in one line.
    #[must_use]
    pub fn verdict(&self) -> String {
        let elapsed = self.elapsed;
        match self.outcome {
            Outcome::Deadlock => {
                let victims = self.victims.join(" and ");
                let cycle = match self.cycle.first() {
                    Some(first) => format!("; the cycle: {} → {first}", self.cycle.join(" → ")),
                    None => String::new(),
                };
                format!("DEADLOCK after {elapsed:.3} s: PostgreSQL aborted {victims} (40P01){cycle}")
            }
            Outcome::NoConflict => format!("NO DEADLOCK ({elapsed:.3} s): every session committed"),
            other => format!("NO DEADLOCK ({elapsed:.3} s): {}", other.as_str().replace('_', " ")),
        }
    }

    /// The whole report as plain text, without colour. `verbosity` as for the management command.
    #[must_use]
    pub fn to_text(&self, verbosity: Verbosity) -> String {
        self.to_text_within(verbosity, WIDTH)
    }

    /// The same, its sentences wrapped to `width` columns.
    #[must_use]
    pub fn to_text_within(&self, verbosity: Verbosity, width: usize) -> String {
        let mut text = self.heading();
        for line in self.events.iter().filter_map(|event| event.to_text(verbosity)) {
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str(&self.conclusion(width));
        text
    }

    /// Where it took place: the first line of the text.
    #[must_use]
    pub fn heading(&self) -> String {
        format!("{}\n", self.server)
    }

    /// Everything after the events: the verdict, the explanation, the server's own words, the notes. Sentences are
    /// wrapped to `width` columns; the verdict is one line, and the server's words are left as they came.
    #[must_use]
    pub fn conclusion(&self, width: usize) -> String {
        let mut text = format!("\n{}\n\n{}\n", self.verdict(), wrapped(&one_line(&self.explanation), width, ""));
        for session in self.sessions.iter().filter(|session| session.sqlstate.is_some()) {
            let sqlstate = session.sqlstate.as_deref().unwrap_or_default();
            let message = one_line(session.message.as_deref().unwrap_or_default());
            let _ = write!(text, "\nThe server to {}: {message} (SQLSTATE {sqlstate})\n", session.name);
            let fields = [("DETAIL", &session.detail), ("HINT", &session.hint), ("CONTEXT", &session.context)];
            for (label, field) in fields {
                for (number, line) in field.as_deref().unwrap_or_default().lines().enumerate() {
                    let label = if number == 0 { format!("{label}:") } else { String::new() };
                    let _ = writeln!(text, "  {label:<8} {}", one_line(line));
                }
            }
        }
        if !self.notes.is_empty() {
            text.push('\n');
            for note in &self.notes {
                let _ = writeln!(text, "{}", wrapped(&format!("Note: {}", one_line(note)), width, "      "));
            }
        }
        text
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { version, database, role, deadlock_timeout, .. } = self;
        let (database, role) = (one_line(database), one_line(role));
        write!(f, "PostgreSQL {version}, database {database}, role {role}, deadlock_timeout {deadlock_timeout} s")
    }
}

/// A sentence on lines of at most `width` columns; a word is never broken, for it may be a name or SQL.
pub(crate) fn wrapped(sentence: &str, width: usize, indent: &str) -> String {
    let options =
        Options::new(width).subsequent_indent(indent).break_words(false).word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(sentence, options)
}

/// Control characters in SQL or messages must not reach a terminal, nor break a line.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{Server, one_line, wrapped};

    #[test]
    fn sentences_are_wrapped_between_words() {
        let text = "Note: a quite-hyphenated sentence with no arrow";
        assert_eq!(wrapped(text, 24, "      "), "Note: a quite-hyphenated\n      sentence with no\n      arrow");
        assert_eq!(wrapped("statement_timeout", 5, ""), "statement_timeout");
        assert_eq!(wrapped("no width at all", 0, ""), "no\nwidth\nat\nall");
    }

    #[test]
    fn a_database_with_an_odd_name_stays_on_its_line() {
        let server = Server { version: "18.6".into(), database: "a\nb\u{1b}[31m".into(), ..Server::default() };
        assert_eq!(server.to_string(), "PostgreSQL 18.6, database a b\u{fffd}[31m, role , deadlock_timeout 0 s");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(one_line("SELECT\n\t1 \u{7}"), "SELECT 1 \u{fffd}");
    }
}
