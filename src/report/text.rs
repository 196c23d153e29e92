//! The report as plain text: the timeline, then the verdict, and why. The live view prints the same lines.

use std::fmt::Write;

use super::moment::moment;
use super::plain::{broken, one_line, wrapped};
use super::{Event, EventKind, Outcome, Report, Server, Timeline};

/// How many columns sentences are wrapped to where nobody knows better.
pub const WIDTH: usize = 100;

/// How much is told: 1 the timeline, 2 every statement, 3 what the observer saw.
pub type Verbosity = u8;

impl Event {
    /// The event as one line; `None` when it is not told at this verbosity.
    #[must_use]
    pub fn to_text(&self, verbosity: Verbosity) -> Option<String> {
        let pid = self.backend_pid.map_or_else(String::new, |pid| pid.to_string());
        let session = one_line(&self.session);
        Some(format!("{:>11}  {session:<2} {pid:>7}  {}", moment(self.at), self.told(verbosity)?))
    }

    /// What happened, as the session's column of a timeline says it.
    pub(super) fn sentence(&self, verbosity: Verbosity) -> Option<String> {
        let told = self.told(verbosity)?;
        Some(match (self.kind, self.backend_pid) {
            (EventKind::Begin, Some(pid)) => told.replacen("begins", &format!("begins, backend {pid}"), 1),
            _ => told,
        })
    }

    fn told(&self, verbosity: Verbosity) -> Option<String> {
        if verbosity == 0 || self.kind == EventKind::Request && verbosity < 2 {
            return None;
        }
        let mut line = self.deed();
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
            EventKind::Request if is_statement(&step) => format!("sends {step}"),
            EventKind::Waiting if is_statement(&step) => {
                format!("waits in {step} for {}", one_line(&self.blocked_by.join(", ")))
            }
            EventKind::Acquired if is_about_a_savepoint(&step) => step,
            EventKind::Acquired if is_statement(&step) && self.rows == Some(0) => format!("has done {step}: no rows"),
            EventKind::Acquired if is_statement(&step) => format!("has done {step}"),
            EventKind::Request => format!("asks for {step}"),
            EventKind::Waiting => format!("waits for {step}, held by {}", one_line(&self.blocked_by.join(", "))),
            EventKind::Acquired if self.rows == Some(0) => format!("finds no {step}"),
            EventKind::Acquired => format!("locks {step}"),
            EventKind::Error => {
                let sqlstate = self.sqlstate.as_deref().unwrap_or("connection lost");
                let victim = if sqlstate == "40P01" { "victim: " } else { "" };
                format!("{victim}{sqlstate} {}", one_line(self.message.as_deref().unwrap_or_default()))
            }
            EventKind::Commit => "commits".to_owned(),
            EventKind::Rollback => "rolls back".to_owned(),
            EventKind::Cancel => format!("is cancelled at {step}"),
        }
    }
}

/// Whether the step takes no lock, but only marks a place in its transaction, or goes back to one.
fn is_about_a_savepoint(step: &str) -> bool {
    ["SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT"].iter().any(|command| step.starts_with(command))
}

/// Whether a step is called by what it does, `UPDATE bank_account`, or in one word, as a spec's steps are, and not by what
/// it locks, `row 1`.
fn is_statement(step: &str) -> bool {
    if !step.contains(' ') {
        return true;
    }
    let verb = step.split(' ').next().unwrap_or_default();
    verb.len() > 2 && verb.chars().all(|character| character.is_ascii_uppercase())
}

impl Report {
    /// The verdict in one line.
    #[must_use]
    pub fn verdict(&self) -> String {
        let elapsed = self.elapsed;
        match self.outcome {
            Outcome::Deadlock => {
                let victims = self.victims.join(" and ");
                let cycle = self.told_cycle();
                let cycle = if cycle.is_empty() { cycle } else { format!("; the cycle: {cycle}") };
                let after = if elapsed > 0.0 { format!(" after {elapsed:.3} s") } else { String::new() };
                format!("DEADLOCK{after}: PostgreSQL aborted {victims} (40P01){cycle}")
            }
            _ if self.hidden_deadlock => format!(
                "HIDDEN DEADLOCK after {elapsed:.3} s: PostgreSQL sees no cycle, for a part of it is in this process"
            ),
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
        self.heading() + &self.story(verbosity, width) + &self.conclusion(width)
    }

    /// The sessions' names.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.sessions.iter().map(|session| session.name.clone()).collect()
    }

    /// Where it took place: the first line of the text.
    #[must_use]
    pub fn heading(&self) -> String {
        format!("{}\n", self.server)
    }

    /// The timeline: the sessions' names, and a line or more for each event.
    pub(crate) fn story(&self, verbosity: Verbosity, width: usize) -> String {
        let mut timeline = Timeline::new(self.names(), verbosity, width);
        let mut text = timeline.heading();
        for line in self.events.iter().flat_map(|event| timeline.lines(event)) {
            let _ = writeln!(text, "{line}");
        }
        text
    }

    /// Everything after the events: the verdict, the explanation, the server's own words, the notes; no line is longer
    /// than `width` columns, unless a word of ours is.
    #[must_use]
    pub fn conclusion(&self, width: usize) -> String {
        self.concluded(&self.verdict(), &self.explanation, width)
    }

    /// The same with another verdict and explanation.
    pub(crate) fn concluded(&self, verdict: &str, explanation: &str, width: usize) -> String {
        let explanation = wrapped(&one_line(explanation), width, "");
        let mut text = format!("\n{}\n\n{explanation}\n", wrapped(verdict, width, ""));
        for session in self.sessions.iter().filter(|session| session.sqlstate.is_some()) {
            let sqlstate = session.sqlstate.as_deref().unwrap_or_default();
            let message = one_line(session.message.as_deref().unwrap_or_default());
            let said = format!("The server to {}: {message} (SQLSTATE {sqlstate})", one_line(&session.name));
            let _ = write!(text, "\n{}\n", broken(&said, width, "  ").join("\n"));
            let fields = [("DETAIL", &session.detail), ("HINT", &session.hint), ("CONTEXT", &session.context)];
            for (label, field) in fields {
                for (number, line) in field.as_deref().unwrap_or_default().lines().enumerate() {
                    let label = if number == 0 { format!("{label}:") } else { String::new() };
                    let line = format!("  {label:<8} {}", one_line(line));
                    let _ = writeln!(text, "{}", broken(&line, width, "           ").join("\n"));
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
        if version.is_empty() {
            // Of a server that is known from its log only, that is all there is.
            let part =
                |label: &str, name: &str| if name.is_empty() { String::new() } else { format!(", {label} {name}") };
            return write!(f, "PostgreSQL, as its log tells{}{}", part("database", &database), part("role", &role));
        }
        write!(f, "PostgreSQL {version}, database {database}, role {role}, deadlock_timeout {deadlock_timeout} s")
    }
}

#[cfg(test)]
mod tests {
    use super::Server;

    #[test]
    fn a_database_with_an_odd_name_stays_on_its_line() {
        let server = Server { version: "18.6".into(), database: "a\nb\u{1b}[31m".into(), ..Server::default() };
        assert_eq!(server.to_string(), "PostgreSQL 18.6, database a b\u{fffd}[31m, role , deadlock_timeout 0 s");
    }
}
