//! An exploration as a page: what was searched, and each finding behind its headline.

use super::Album;
use crate::report::Exploration;

impl Exploration {
    /// As one self-contained HTML document.
    #[must_use]
    pub fn to_html(&self) -> String {
        let mut lead = Vec::new();
        if self.findings.is_empty() {
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
            album = album.add(&heading, &finding.report).replayed(&finding.replay(), &finding.frequency());
        }
        album.to_html()
    }
}
