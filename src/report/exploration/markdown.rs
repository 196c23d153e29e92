//! An exploration as Markdown, for pull requests: a table, then each finding's diagram, to be unfolded.

use std::fmt::Write;

use super::Exploration;
use crate::report::markdown::{code, escaped, inside_html};

impl Exploration {
    /// As Markdown. The diagrams are Mermaid's, which GitHub and GitLab draw.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut text = format!("**{}**\n", escaped(&self.verdict()));
        if !self.findings.is_empty() {
            text.push_str("\n| | what | seen in | to replay it, add to the call |\n| --- | --- | --- | --- |\n");
        }
        // Writing to a String cannot fail.
        for (number, finding) in self.findings.iter().enumerate() {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                number + 1,
                escaped(&finding.headline()),
                finding.seen,
                code(&finding.replay())
            );
        }
        for note in self.notes() {
            let _ = write!(text, "\n{}\n", escaped(&note));
        }
        for (number, finding) in self.findings.iter().enumerate() {
            let diagram = match self.shown_before(number) {
                None => format!("```mermaid\n{}```", finding.to_mermaid()),
                Some(same) => format!("The run is that of finding {same}, by the same schedule."),
            };
            let _ = write!(
                text,
                "\n<details><summary>{}. {}</summary>\n\n{}\n\n{diagram}\n\n</details>\n",
                number + 1,
                inside_html(&finding.headline()),
                escaped(&finding.explanation()),
            );
        }
        text
    }
}
