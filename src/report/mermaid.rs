//! Reports as a Mermaid `sequenceDiagram`, for pull requests and documentation.

use std::fmt::Write;

use super::moment::moment;
use super::plain::{one_line, shortened};
use super::waits::Waits;
use super::{Event, EventKind, Exploration, Finding, Report, told_cycle};

/// A text on an arrow is this long at most; what is longer makes the whole diagram too wide to read.
const LONGEST: usize = 100;

impl Report {
    /// The report as a Mermaid sequence diagram: a participant a session, an arrow from whoever waits to whoever is in
    /// its way. It is valid whatever the statements contain.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        self.drawn_as(&self.verdict())
    }

    /// The same with another verdict.
    fn drawn_as(&self, verdict: &str) -> String {
        let mut diagram = Diagram::begin(verdict, &self.names(), &[self]);
        diagram.story(self);
        diagram.note_for_all(verdict);
        diagram.text
    }
}

impl Finding {
    /// The run that showed it as a Mermaid sequence diagram.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        self.report.drawn_as(&self.verdict())
    }
}

impl Exploration {
    /// The exploration as one Mermaid sequence diagram: the findings one after the other, each below its headline.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let reports: Vec<&Report> = self.findings.iter().map(|finding| &finding.report).collect();
        let mut diagram = Diagram::begin(&self.verdict(), &self.sessions, &reports);
        for (number, finding) in self.findings.iter().enumerate() {
            diagram.note_for_all(&format!("{}. {}", number + 1, finding.headline()));
            match self.shown_before(number) {
                None => {
                    diagram.note_for_all(&finding.replay());
                    diagram.story(&finding.report);
                }
                Some(same) => diagram.note_for_all(&format!("the run of finding {same}")),
            }
        }
        diagram.note_for_all(&self.verdict());
        diagram.text
    }
}

struct Diagram {
    text: String,
    names: Vec<String>,
    /// Whose transaction is open: Mermaid wants each bar begun before it is ended.
    open: Vec<bool>,
    waits: Waits,
}

impl Diagram {
    /// The title and the participants: the sessions, and whoever else was in the way.
    fn begin(title: &str, sessions: &[String], reports: &[&Report]) -> Self {
        let mut names = sessions.to_vec();
        let events = reports.iter().flat_map(|report| &report.events);
        for name in events.flat_map(|event| event.blocked_by.iter().chain([&event.session])) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let mut text = format!("sequenceDiagram\n    accTitle: {}\n", quiet(title));
        for (place, name) in names.iter().enumerate() {
            let backends: Vec<i32> = reports.iter().filter_map(|report| report.session(name)?.backend_pid).collect();
            // In several runs a session may have had several.
            let one = backends.first().filter(|first| backends.iter().all(|other| other == *first));
            let backend = one.map(|pid| format!(" #40;backend {pid}#41;")).unwrap_or_default();
            let _ = writeln!(text, "    participant s{place} as {}{backend}", quiet(name));
        }
        let open = vec![false; names.len()];
        Self { text, names, open, waits: Waits::default() }
    }

    fn story(&mut self, report: &Report) {
        self.waits = Waits::default();
        for event in &report.events {
            self.tell(event);
        }
        self.end_all();
    }

    /// A note over all of them.
    fn note_for_all(&mut self, text: &str) {
        let over = match self.names.len() {
            0 => return,
            1 => "s0".to_owned(),
            many => format!("s0,s{}", many - 1),
        };
        let _ = writeln!(self.text, "    Note over {over}: {}", quiet(text));
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }

    fn tell(&mut self, event: &Event) {
        self.waits.hear(event);
        let Some(place) = self.place(&event.session) else { return };
        let Some(sentence) = event.sentence(1) else { return };
        let at = moment(event.at);
        let sentence = quiet(&if at.is_empty() { sentence } else { format!("{at}: {sentence}") });
        match event.kind {
            EventKind::Request => {}
            EventKind::Begin => {
                self.note(place, &sentence);
                self.activate(place, true);
            }
            EventKind::Acquired => self.note(place, &sentence),
            EventKind::Waiting => {
                let holders: Vec<usize> = event.blocked_by.iter().filter_map(|name| self.place(name)).collect();
                for holder in holders {
                    let _ = writeln!(self.text, "    s{place}--)s{holder}: {sentence}");
                }
                self.cycle(&event.session);
            }
            EventKind::Error | EventKind::Cancel => {
                let _ = writeln!(self.text, "    s{place}-xs{place}: {sentence}");
            }
            EventKind::Commit | EventKind::Rollback => {
                self.note(place, &sentence);
                self.activate(place, false);
            }
        }
    }

    fn note(&mut self, place: usize, sentence: &str) {
        let _ = writeln!(self.text, "    Note over s{place}: {sentence}");
    }

    fn activate(&mut self, place: usize, whether: bool) {
        let Some(open) = self.open.get_mut(place).filter(|open| **open != whether) else { return };
        *open = whether;
        let _ = writeln!(self.text, "    {} s{place}", if whether { "activate" } else { "deactivate" });
    }

    fn end_all(&mut self) {
        for place in 0..self.open.len() {
            self.activate(place, false);
        }
    }

    fn cycle(&mut self, session: &str) {
        let cycle = self.waits.cycle(session);
        let places: Vec<usize> = cycle.iter().filter_map(|name| self.place(name)).collect();
        if let (Some(first), Some(last)) = (places.iter().min(), places.iter().max()) {
            let told = quiet(&format!("the cycle: {}", told_cycle(&cycle, &self.names)));
            let _ = writeln!(self.text, "    Note over s{first},s{last}: {told}");
        }
    }
}

/// A text that says nothing to Mermaid's parser nor to HTML, in which it is drawn: only letters, digits, spaces and
/// the plainest punctuation stand for themselves, all else is one of Mermaid's entity codes (`#59;`).
fn quiet(text: &str) -> String {
    let mut quiet = String::new();
    for character in shortened(&one_line(text), LONGEST).chars() {
        match character {
            ' ' | '.' | ',' | '\'' | '→' | '…' | '/' | '_' => quiet.push(character),
            _ if character.is_ascii_alphanumeric() => quiet.push(character),
            // Mermaid knows words such as `end`; no word of another script is one.
            _ if character.is_alphanumeric() && !character.is_ascii() => quiet.push(character),
            _ => {
                let _ = write!(quiet, "#{};", u32::from(character));
            }
        }
    }
    quiet
}

#[cfg(test)]
mod tests {
    use super::quiet;

    #[test]
    fn punctuation_says_nothing_to_mermaid() {
        assert_eq!(quiet("a; b\n%% c: \"d\""), "a#59; b #37;#37; c#58; #34;d#34;");
        assert_eq!(quiet("行 1 </script>"), "行 1 #60;/script#62;");
        assert_eq!(quiet("🔒"), "#128274;");
    }
}
