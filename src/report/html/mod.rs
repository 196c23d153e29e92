//! The report as one HTML file: no script, no network, every text escaped.
//!
//! [`lanes`] and [`graph`] do the geometry in pixels, the templates draw it; the same facts stand in tables, for whoever
//! does not see the drawings.

mod album;
mod exploration;
mod graph;
mod lanes;
mod matrix;
mod tables;
mod tale;

use askama::Template;

pub use album::Album;
pub(crate) use tale::Tale;

use super::capitalized;
use super::plain::one_line;
use super::{Outcome, Report};

/// Where the explanation turns from what happened to what helps.
const CURE: &str = "What prevents it: ";

#[derive(Template)]
#[template(path = "report.html", config = "src/report/html/askama.toml")]
struct Page {
    title: String,
    mood: &'static str,
    verdict: String,
    heading: String,
    tale: String,
}

impl Report {
    /// The report as one self-contained HTML document.
    #[must_use]
    pub fn to_html(&self) -> String {
        let verdict = headline(&self.verdict());
        let tale = Tale::of(self, "r").draw();
        let heading = self.heading().trim_end().to_owned();
        let page = Page { title: verdict.clone(), mood: mood_of(self), verdict, heading, tale };
        drawn(&page)
    }
}

/// Our templates write into a String, which cannot fail.
fn drawn(template: &impl Template) -> String {
    template.render().unwrap_or_else(|error| format!("<p>{error}</p>"))
}

/// A verdict as a heading: a number and its unit stay on one line.
fn headline(verdict: &str) -> String {
    one_line(verdict).replace(" s:", "\u{a0}s:").replace(" s)", "\u{a0}s)")
}

/// What a glance should tell.
fn mood(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Deadlock => "deadlock",
        Outcome::NoConflict => "calm",
        _ => "trouble",
    }
}

fn mood_of(report: &Report) -> &'static str {
    mood(if report.hidden_deadlock { Outcome::Deadlock } else { report.outcome })
}

/// The explanation in two: why it happened, and what helps (empty where there is nothing to prevent).
fn why_and_cure(explanation: &str) -> (String, String) {
    let explanation = one_line(explanation);
    match explanation.split_once(CURE) {
        Some((why, cure)) => (why.trim_end().to_owned(), capitalized(cure)),
        None => (explanation, String::new()),
    }
}

/// A count as a coordinate: no drawing has more rows or columns than this holds.
fn px(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX / 4096)
}
