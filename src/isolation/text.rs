//! A spec's report as plain text: for each permutation its steps in the order in which things happened, then what came
//! of it.

use std::fmt::Write;

use super::report::{PermutationReport, SpecReport};
use crate::report::{Event, EventKind, one_line, wrapped};

impl SpecReport {
    /// The whole report as plain text. `verbosity`: 1 the steps, 2 their SQL as well; sentences are wrapped to `width`
    /// columns.
    #[must_use]
    pub fn to_text(&self, verbosity: u8, width: usize) -> String {
        let mut text = format!("{}\n", self.server);
        for permutation in &self.permutations {
            text.push_str(&permutation.to_text(verbosity, width));
        }
        if let Some(failure) = &self.failure {
            // Writing to a String cannot fail.
            let _ = write!(text, "\nGIVEN UP: {}\n", failure.trim_end());
        }
        for note in &self.notes {
            let _ = write!(text, "\n{}\n", wrapped(&format!("Note: {}", one_line(note)), width, "      "));
        }
        text
    }
}

impl PermutationReport {
    /// This permutation as plain text.
    #[must_use]
    pub fn to_text(&self, verbosity: u8, width: usize) -> String {
        let mut text = format!("\n{}\n", wrapped(&format!("permutation {}", self.order), width, "  "));
        let names = self.report.sessions.iter().map(|session| session.name.chars().count()).max().unwrap_or_default();
        for event in &self.report.events {
            if let Some(deed) = deed(event, verbosity) {
                let _ = writeln!(text, "{:>9.3} s  {:<names$}  {deed}", event.at, one_line(&event.session));
            }
        }
        let _ = writeln!(text, "{} ({:.3} s)", self.effect, self.report.elapsed);
        let _ = writeln!(text, "{}", wrapped(&one_line(&self.report.explanation), width, ""));
        text
    }
}

/// What an event says; `None` when it is not told at this verbosity.
fn deed(event: &Event, verbosity: u8) -> Option<String> {
    let step = one_line(&event.step);
    Some(match event.kind {
        EventKind::Request if verbosity < 2 => return None,
        EventKind::Request => format!("{step}: {}", one_line(event.statement.as_deref().unwrap_or_default())),
        EventKind::Waiting => format!("{step} waits for {}", event.blocked_by.join(", ")),
        EventKind::Error => {
            let sqlstate = event.sqlstate.as_deref().unwrap_or("connection lost");
            format!("{step} fails: {sqlstate} {}", one_line(event.message.as_deref().unwrap_or_default()))
        }
        EventKind::Cancel => format!("{step} is cancelled"),
        _ => format!("{step} is done"),
    })
}
