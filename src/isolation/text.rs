//! A spec's report as plain text: for each permutation its steps in the order in which things happened, then what came
//! of it. The live view prints the same lines.

use std::fmt::Write;

use super::report::{PermutationReport, SpecReport};
use crate::report::{Outcome, Verbosity, one_line, wrapped};
use crate::scenario::catalogue::Shows;

impl SpecReport {
    /// The whole report as plain text. `verbosity`: 1 the steps, 2 their SQL as well; sentences are wrapped to `width`
    /// columns.
    #[must_use]
    pub fn to_text(&self, verbosity: Verbosity, width: usize) -> String {
        let mut text = format!("{}\n", self.server);
        for permutation in &self.permutations {
            text.push_str(&permutation.to_text(verbosity, width));
        }
        text + &self.conclusion(width)
    }

    /// What there is to say after the permutations: why the file was given up, if it was, and the notes.
    #[must_use]
    pub fn conclusion(&self, width: usize) -> String {
        let mut text = String::new();
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
    pub fn to_text(&self, verbosity: Verbosity, width: usize) -> String {
        let heading = heading(self.number, self.shows, &self.order, width);
        let story = self.report.story(verbosity, width);
        format!("\n{heading}\n{story}{}", self.report.concluded(&self.verdict(), &self.report.explanation, width))
    }

    /// Which it is, and what it is there for.
    #[must_use]
    pub fn title(&self) -> String {
        title(self.number, self.shows)
    }

    /// What came of it, in a line.
    #[must_use]
    pub fn verdict(&self) -> String {
        let (effect, elapsed) = (&self.effect, self.report.elapsed);
        if effect.is_deadlock() {
            format!("DEADLOCK after {elapsed:.3} s: {effect}")
        } else if self.report.outcome == Outcome::Timeout {
            format!("TIMEOUT after {elapsed:.3} s: {effect}")
        } else if self.gave_up {
            format!("GIVEN UP after {elapsed:.3} s: {effect}")
        } else {
            format!("NO DEADLOCK ({elapsed:.3} s): {effect}")
        }
    }
}

fn title(number: usize, shows: Option<Shows>) -> String {
    let what = match shows {
        Some(Shows::Problem) => ", the problem",
        Some(Shows::Fix) => ", with the fix",
        None => "",
    };
    format!("Permutation {number}{what}")
}

/// What stands above a permutation: which it is, what it is there for, and its steps.
#[must_use]
pub fn heading(number: usize, shows: Option<Shows>, order: &str, width: usize) -> String {
    wrapped(&one_line(&format!("{}: {order}", title(number, shows))), width, "  ")
}
