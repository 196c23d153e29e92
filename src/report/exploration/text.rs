//! An exploration as plain text: the summary, then the timeline of each finding.

use std::fmt::Write;

use super::{Exploration, Finding};
use crate::report::plain::{broken, wrapped};
use crate::report::{Verbosity, WIDTH};

impl Exploration {
    /// As plain text, no line longer than `width` but for one that is to be pasted. At verbosity 0 it is the summary
    /// alone; else as for a report.
    #[must_use]
    pub fn to_text(&self, verbosity: Verbosity, width: usize) -> String {
        let mut text = wrapped(&self.verdict(), width, "") + "\n";
        for (number, finding) in self.findings.iter().enumerate() {
            let head = format!("{}. {} ({})", number + 1, finding.headline(), finding.frequency());
            // Writing to a String cannot fail.
            let _ = write!(text, "\n{}\n", broken(&head, width, "   ").join("\n"));
            let (what, argument) = finding.replay_by("only");
            let _ = writeln!(text, "   {what}\n   {argument}");
        }
        for note in self.notes() {
            let _ = write!(text, "\n{}\n", wrapped(&format!("Note: {note}"), width, "      "));
        }
        if verbosity > 0 {
            for (number, finding) in self.findings.iter().enumerate() {
                let rule = format!("── Finding {} of {} ", number + 1, self.findings.len());
                let rest = width.min(WIDTH).saturating_sub(rule.chars().count());
                let told = match self.shown_before(number) {
                    None => finding.to_text(verbosity, width, "only"),
                    Some(same) => finding.to_text_beside(same, width),
                };
                let _ = write!(text, "\n{rule}{}\n\n{told}", "─".repeat(rest));
            }
        }
        text
    }
}

impl Finding {
    /// As plain text: what it is, which argument (`only` or `order`) makes it happen again, and the run that showed it.
    #[must_use]
    pub fn to_text(&self, verbosity: Verbosity, width: usize, argument: &str) -> String {
        let report = &self.report;
        let story = report.heading() + &report.story(verbosity.max(1), width);
        let conclusion = report.concluded(&self.verdict(), &self.explanation(), width);
        let (what, argument) = self.replay_by(argument);
        format!("{}{what}\n{argument}\n\n{story}{conclusion}", self.head(width))
    }

    /// The same where another finding's run has shown it already.
    fn to_text_beside(&self, same: usize, width: usize) -> String {
        let run = wrapped(&format!("The run is that of finding {same}, by the same schedule."), width, "");
        let verdict = wrapped(&self.verdict(), width, "");
        let explanation = wrapped(&self.explanation(), width, "");
        format!("{}{run}\n\n{verdict}\n\n{explanation}\n", self.head(width))
    }

    fn head(&self, width: usize) -> String {
        let head = format!("{} ({})", self.headline(), self.frequency());
        broken(&head, width, "   ").join("\n") + "\n"
    }
}
