//! The story on a terminal: a column a session, time downwards. The live view and the finished text are this.
//!
//! Where the columns do not fit, each event is a line of its own ([`Event::to_text`]).

use super::moment::moment;
use super::plain::{broken, one_line, shortened, width};
use super::waits::Waits;
use super::{Event, EventKind, Verbosity, told_cycle};

/// The columns before the first session's: the time.
const GUTTER: usize = 12;
/// A column must have this many characters to be read with ease, …
const NARROWEST: usize = 16;
/// … and needs no more than this many.
const WIDEST: usize = 48;
/// Where a line that is too long goes on.
const HANGING: &str = "                        ";
/// A statement is told on this many lines at most.
const MOST_LINES: usize = 12;

/// One line: what was just told, and what stands on both sides of it. A view may colour the middle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TimelineLine {
    /// The time, and the sessions to the left.
    pub before: String,
    /// What happened.
    pub told: String,
    /// The sessions to the right.
    pub after: String,
}

impl std::fmt::Display for TimelineLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(format!("{}{}{}", self.before, self.told, self.after).trim_end())
    }
}

/// Where a session stands, as its column shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bar {
    Absent,
    Open,
    Waiting,
}

impl Bar {
    fn glyph(self) -> char {
        match self {
            Self::Absent => ' ',
            Self::Open => '│',
            Self::Waiting => '┊',
        }
    }
}

/// Draws events, one after the other.
#[derive(Clone, Debug)]
pub struct Timeline {
    names: Vec<String>,
    bars: Vec<Bar>,
    waits: Waits,
    verbosity: Verbosity,
    width: usize,
    /// How wide a column is; none where they do not fit.
    column: Option<usize>,
}

impl Timeline {
    /// A timeline of these sessions that is to be so many columns wide.
    #[must_use]
    pub fn new(names: Vec<String>, verbosity: Verbosity, width: usize) -> Self {
        let column = width.saturating_sub(GUTTER).checked_div(names.len()).filter(|&column| column >= NARROWEST);
        let column = column.filter(|&column| names.iter().all(|name| self::width(&one_line(name)) < column));
        let bars = vec![Bar::Absent; names.len()];
        Self { names, bars, waits: Waits::default(), verbosity, width, column: column.map(|column| column.min(WIDEST)) }
    }

    /// The sessions' names above their columns, after an empty line; nothing where there are no columns.
    #[must_use]
    pub fn heading(&self) -> String {
        let Some(column) = self.column.filter(|_| self.verbosity > 0) else { return String::new() };
        let mut line = " ".repeat(GUTTER);
        for name in &self.names {
            let name = one_line(name);
            line.push_str(&name);
            line.push_str(&" ".repeat(column.saturating_sub(width(&name))));
        }
        format!("\n{}\n", line.trim_end())
    }

    /// What an event adds; nothing when it is not told at this verbosity.
    pub fn lines(&mut self, event: &Event) -> Vec<TimelineLine> {
        self.waits.hear(event);
        let place = self.place(&event.session);
        let (Some(column), Some(place)) = (self.column, place) else { return self.line_form(event) };
        let Some(mut text) = event.sentence(self.verbosity) else { return Vec::new() };
        if event.kind == EventKind::Begin && width(&text) > column - 3 {
            text = text.replacen(", backend", "", 1);
        }
        let glyph = self.move_bar(place, event.kind);
        let mut told = lines_of(&text, column - 3);
        if told.len() > MOST_LINES {
            told.truncate(MOST_LINES);
            if let Some(last) = told.last_mut() {
                *last = shortened(&format!("{last} …"), column - 3);
            }
        }
        let mut lines = Vec::with_capacity(told.len() + 1);
        for (number, part) in told.iter().enumerate() {
            let mut row = self.row();
            let mut time = " ".repeat(GUTTER);
            let mut glyph = self.bars.get(place).map_or(' ', |bar| bar.glyph());
            let (is_first, is_last) = (number == 0, number + 1 == told.len());
            if is_first {
                time = format!("{:>11} ", moment(event.at));
                glyph = Self::first_glyph(glyph, event.kind);
            }
            if event.kind == EventKind::Waiting {
                // To the left from the first line, to the right from the last, which has more room.
                let holders = event.blocked_by.iter().filter_map(|name| self.place(name));
                let holders = holders.filter(|&holder| if holder < place { is_first } else { is_last });
                draw_arrows(&mut row, place * column, holders.map(|holder| holder * column), width(part));
            }
            lines.push(cut(&row, &time, place * column, format!("{glyph} {part}")));
        }
        if let Some(after) = glyph {
            self.set(place, after);
        }
        if event.kind == EventKind::Waiting {
            lines.extend(self.cycle_line(&event.session, column));
        }
        lines
    }

    fn first_glyph(bar: char, kind: EventKind) -> char {
        match kind {
            EventKind::Begin => '┌',
            EventKind::Acquired => '├',
            EventKind::Error | EventKind::Cancel => '✗',
            EventKind::Commit | EventKind::Rollback => '└',
            EventKind::Request | EventKind::Waiting => bar,
        }
    }

    /// What the event makes of its session's column; if it ends it, that is done after it was drawn.
    fn move_bar(&mut self, place: usize, kind: EventKind) -> Option<Bar> {
        match kind {
            EventKind::Waiting => self.set(place, Bar::Waiting),
            EventKind::Commit | EventKind::Rollback => {
                self.set(place, Bar::Absent);
                return Some(Bar::Absent);
            }
            _ => self.set(place, Bar::Open),
        }
        None
    }

    fn set(&mut self, place: usize, bar: Bar) {
        if let Some(slot) = self.bars.get_mut(place) {
            *slot = bar;
        }
    }

    /// All columns at rest, without the time.
    fn row(&self) -> Vec<char> {
        let column = self.column.unwrap_or_default();
        let mut row = vec![' '; column * self.bars.len()];
        for (place, bar) in self.bars.iter().enumerate() {
            put(&mut row, place * column, bar.glyph());
        }
        row
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|other| other == name)
    }

    /// A line that says that this wait has closed a cycle, if it has.
    fn cycle_line(&self, session: &str, column: usize) -> Option<TimelineLine> {
        let cycle = self.waits.cycle(session);
        let places: Vec<usize> = cycle.iter().filter_map(|name| self.place(name)).collect();
        let (first, last) = (*places.iter().min()?, *places.iter().max()?);
        let (from, to) = (first * column, last * column);
        let room = (to - from).checked_sub(7)?;
        let mut text = format!("cycle: {}", told_cycle(&cycle, &self.names));
        if width(&text) > room {
            text = format!("cycle of {}", cycle.len());
        }
        let text = shortened(&text, room);
        let told = format!("├╌╌ {text} {}┤", "╌".repeat((to - from).saturating_sub(width(&text) + 5)));
        Some(cut(&self.row(), &" ".repeat(GUTTER), from, told))
    }

    fn line_form(&self, event: &Event) -> Vec<TimelineLine> {
        let Some(line) = event.to_text(self.verbosity) else { return Vec::new() };
        let told = |told| TimelineLine { told, ..TimelineLine::default() };
        if width(&line) <= self.width || self.width < HANGING.len() + NARROWEST {
            return vec![told(line)];
        }
        let (head, rest) = line.split_at(line.char_indices().nth(HANGING.len()).map_or(line.len(), |(at, _)| at));
        let parts = lines_of(rest, self.width.saturating_sub(width(head)));
        let heads = std::iter::once(head).chain(std::iter::repeat(HANGING));
        heads.zip(parts).map(|(head, part)| told(format!("{head}{part}"))).collect()
    }
}

/// A sentence on lines of so many columns; a place in the code stays with its "at" if there is room for both.
fn lines_of(sentence: &str, columns: usize) -> Vec<String> {
    let fits = |place: &str| width(place) + "at ".len() <= columns;
    let tied = sentence.rsplit_once("  at ").filter(|(_, place)| fits(place));
    let tied = tied.map_or_else(|| sentence.to_owned(), |(deed, place)| format!("{deed}  at\u{a0}{place}"));
    broken(&tied, columns, "").into_iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

/// From the session that waits to each that is in its way.
fn draw_arrows(row: &mut [char], from: usize, holders: impl Iterator<Item = usize>, text: usize) {
    for to in holders.filter(|&to| to != from) {
        let range = if to > from { from + text + 3..to } else { to + 1..from };
        for at in range {
            match row.get(at) {
                Some('│' | '┊' | '┼') => put(row, at, '┼'),
                Some('▶' | '◀') => {}
                _ => put(row, at, '─'),
            }
        }
        if to > from { put(row, to - 1, '▶') } else { put(row, to + 1, '◀') }
    }
}

fn put(row: &mut [char], at: usize, glyph: char) {
    if let Some(slot) = row.get_mut(at) {
        *slot = glyph;
    }
}

/// The row with `told` in it, from that place on.
fn cut(row: &[char], time: &str, from: usize, told: String) -> TimelineLine {
    let before = row.iter().take(from).collect::<String>();
    let after = row.iter().skip(from + width(&told)).collect::<String>();
    TimelineLine { before: format!("{time}{before}"), told, after: after.trim_end().to_owned() }
}
