//! An exploration as plain text: the summary, then the timeline of each finding.

use std::fmt::Write;

use super::{Exploration, Finding};
use crate::report::plain::{broken, wrapped};
use crate::report::{Verbosity, WIDTH};

impl Exploration {
    /// As plain text, no line longer than `width`. At verbosity 0 it is the summary alone; else as for a report.
    #[must_use]
    pub fn to_text(&self, verbosity: Verbosity, width: usize) -> String {
        let mut text = wrapped(&self.verdict(), width, "") + "\n";
        for (number, finding) in self.findings.iter().enumerate() {
            let head = format!("{}. {} ({})", number + 1, finding.headline(), finding.frequency());
            // Writing to a String cannot fail.
            let _ = write!(text, "\n{}\n", broken(&head, width, "   ").join("\n"));
            let replay = format!("   replay: {}", finding.replay());
            let _ = writeln!(text, "{}", broken(&replay, width, "   ").join("\n"));
        }
        for note in self.notes() {
            let _ = write!(text, "\n{}\n", wrapped(&format!("Note: {note}"), width, "      "));
        }
        if verbosity > 0 {
            for (number, finding) in self.findings.iter().enumerate() {
                let rule = format!("── Finding {} of {} ", number + 1, self.findings.len());
                let rest = width.min(WIDTH).saturating_sub(rule.chars().count());
                let _ = write!(text, "\n{rule}{}\n\n{}", "─".repeat(rest), finding.to_text(verbosity, width));
            }
        }
        text
    }
}

impl Finding {
    /// As plain text: what it is, what makes it happen again, and the run that showed it.
    #[must_use]
    pub fn to_text(&self, verbosity: Verbosity, width: usize) -> String {
        let head = format!("{} ({})", self.headline(), self.frequency());
        let replay = format!("replay: {}", self.replay());
        let mut text = String::new();
        for line in [head, replay] {
            let _ = writeln!(text, "{}", broken(&line, width, "   ").join("\n"));
        }
        text + "\n" + &self.report.to_text_within(verbosity.max(1), width)
    }
}
