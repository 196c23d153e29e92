//! Several reports on one page: what they have in common, then each behind its verdict.

use askama::Template;

use super::{Tale, drawn, mood, mood_of};
use crate::report::plain::{lines, one_line};
use crate::report::{Outcome, Report};

/// A report on the page.
struct Chapter {
    id: String,
    heading: String,
    /// What makes it happen again, and how often it was seen; empty where that is not known.
    replay: String,
    frequency: String,
    mood: &'static str,
    tale: String,
    /// Whether it is unfolded when the page opens.
    open: bool,
}

/// A text, or, where there is nothing to be read in it, another.
fn named(text: &str, otherwise: &str) -> String {
    let text = one_line(text);
    if text.is_empty() { otherwise.to_owned() } else { text }
}

/// A page of several reports.
#[derive(Template)]
#[template(path = "album.html", config = "src/report/html/askama.toml")]
pub struct Album {
    title: String,
    mood: &'static str,
    lead: Vec<String>,
    code: String,
    facts: Vec<(String, String)>,
    chapters: Vec<Chapter>,
}

impl Album {
    /// A page with this title; `lead` is what it has to say before the reports, a paragraph each. It looks `calm` if all
    /// is well.
    #[must_use]
    pub fn new(title: &str, lead: &[String], calm: bool) -> Self {
        Self {
            title: named(title, "Reports"),
            mood: if calm { "calm" } else { "deadlock" },
            lead: lead.iter().map(|paragraph| one_line(paragraph)).collect(),
            code: String::new(),
            facts: Vec::new(),
            chapters: Vec::new(),
        }
    }

    /// Shows some code below what it has to say.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        self.code = lines(code);
        self
    }

    /// Adds a fact to the list below the title.
    #[must_use]
    pub fn fact(mut self, name: &str, value: &str) -> Self {
        self.facts.push((one_line(name), one_line(value)));
        self
    }

    /// Adds a report under a heading. Only the first is unfolded.
    #[must_use]
    pub fn add(self, heading: &str, report: &Report) -> Self {
        self.tell(heading, report, |id| Tale::of_chapter(report, id).draw())
    }

    /// Adds what `tell` makes of a report, from the id of its chapter.
    pub(super) fn tell(mut self, heading: &str, report: &Report, tell: impl FnOnce(&str) -> String) -> Self {
        let id = format!("r{}", self.chapters.len() + 1);
        self.chapters.push(Chapter {
            heading: named(heading, &id),
            replay: String::new(),
            frequency: String::new(),
            mood: mood_of(report),
            tale: tell(&id),
            open: self.chapters.is_empty(),
            id,
        });
        self
    }

    /// Says of the report that was added last what makes it happen again, and how often it was seen.
    #[must_use]
    pub fn replayed(mut self, replay: &str, frequency: &str) -> Self {
        if let Some(chapter) = self.chapters.last_mut() {
            (chapter.replay, chapter.frequency) = (one_line(replay), one_line(frequency));
            // Whoever wants to see it again has found a fault, also where every session committed.
            if chapter.mood == mood(Outcome::NoConflict) {
                chapter.mood = mood(Outcome::Error);
            }
        }
        self
    }

    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        drawn(self)
    }
}
