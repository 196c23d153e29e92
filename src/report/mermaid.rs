//! The report as a Mermaid `sequenceDiagram`, for pull requests and documentation.

use std::fmt::Write;

use super::plain::{one_line, shortened};
use super::waits::Waits;
use super::{Event, EventKind, Report};

/// A text on an arrow is this long at most; what is longer makes the whole diagram too wide to read.
const LONGEST: usize = 100;

impl Report {
    /// The report as a Mermaid sequence diagram: a participant a session, an arrow from whoever waits to whoever is in
    /// its way. It is valid whatever the statements contain.
    #[must_use]
    pub fn to_mermaid(&self) -> String {
        let mut diagram = Diagram::new(self);
        let _ = writeln!(diagram.text, "sequenceDiagram");
        let _ = writeln!(diagram.text, "    accTitle: {}", quiet(&self.verdict()));
        for (place, name) in diagram.names.iter().enumerate() {
            let backend = self.session(name).and_then(|session| session.backend_pid);
            let backend = backend.map(|pid| format!(" #40;backend {pid}#41;")).unwrap_or_default();
            let _ = writeln!(diagram.text, "    participant s{place} as {}{backend}", quiet(name));
        }
        for event in &self.events {
            diagram.tell(event);
        }
        diagram.end_all();
        let last = diagram.names.len().saturating_sub(1);
        if !diagram.names.is_empty() {
            let over = if last == 0 { "s0".to_owned() } else { format!("s0,s{last}") };
            let _ = writeln!(diagram.text, "    Note over {over}: {}", quiet(&self.verdict()));
        }
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
    fn new(report: &Report) -> Self {
        let mut names = report.names();
        for name in report.events.iter().flat_map(|event| event.blocked_by.iter().chain([&event.session])) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        let open = vec![false; names.len()];
        Self { text: String::new(), names, open, waits: Waits::default() }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }

    fn tell(&mut self, event: &Event) {
        self.waits.hear(event);
        let Some(place) = self.place(&event.session) else { return };
        let Some(sentence) = event.sentence(1) else { return };
        let sentence = quiet(&format!("{:.3} s: {sentence}", event.at));
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
        if let (Some(first), Some(last), Some(start)) = (places.iter().min(), places.iter().max(), cycle.first()) {
            let _ = writeln!(
                self.text,
                "    Note over s{first},s{last}: {}",
                quiet(&format!("the cycle: {} → {start}", cycle.join(" → ")))
            );
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
