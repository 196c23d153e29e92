//! An exploration as a page: what was searched, and each finding behind its headline.

use askama::Template;

use super::{Album, Tale, drawn, why_and_cure};
use crate::report::{Exploration, Finding};

/// What is told of a finding where an earlier one has shown its run.
#[derive(Template)]
#[template(path = "beside.html", config = "src/report/html/askama.toml")]
struct Beside {
    why: String,
    cure: String,
    same: usize,
}

impl Exploration {
    /// As one self-contained HTML document.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut lead = Vec::new();
        if self.findings.is_empty() && self.schedules > 0 {
            lead.push("Every schedule that was run came to its end, and to nothing that it should not.".to_owned());
        }
        lead.extend(self.notes());
        let mut album = Album::new(&self.verdict(), &lead, self.findings.is_empty())
            .fact("schedules run", &self.schedules.to_string())
            .fact("all that can differ", if self.complete { "yes" } else { "no" })
            .fact("steps released", &self.steps.to_string())
            .fact("seconds", &format!("{:.3}", self.elapsed));
        for (number, finding) in self.findings.iter().enumerate() {
            let heading = format!("{}. {}", number + 1, finding.headline());
            let tell = |id: &str| match self.shown_before(number) {
                None => Tale::of_finding(finding, id).draw(),
                Some(same) => beside(finding, same),
            };
            album = album.tell(&heading, &finding.report, tell).replayed(&finding.replay(), &finding.frequency());
        }
        album.to_html()
    }
}

fn beside(finding: &Finding, same: usize) -> String {
    let (why, cure) = why_and_cure(&finding.explanation());
    drawn(&Beside { why, cure, same })
}
