//! The swim-lanes: a column a session, time downwards, a bar for each lock that is waited for or held.
//!
//! Each event has a row of its own, so that a `deadlock_timeout` of a second does not press all the rest into one
//! point; where nothing happens for a while, the axis is broken, and says for how long.

use askama::Template;

use super::px;
use super::tables::seconds;
use crate::report::plain::{one_line, shortened};
use crate::report::sql::{row_locks, words};
use crate::report::{Event, EventKind, Report, SessionOutcome, SessionReport, Statement};

/// The times stand in this many pixels, …
const GUTTER: i32 = 66;
/// … a session in as many, …
const COLUMN: i32 = 146;
/// … its name in this height.
const HEAD: i32 = 40;
/// From one event to the next.
const ROW: i32 = 30;
/// Nothing happens for this long (seconds): a break.
const LONG: f64 = 0.02;
/// Bars of one session stand so far apart; after so many, they begin again at the left.
const APART: i32 = 13;
const ABREAST: usize = 5;

struct Head {
    x: i32,
    name: String,
    about: String,
    class: &'static str,
}

struct Line {
    x: i32,
    from: i32,
    to: i32,
    class: &'static str,
}

struct Bar {
    x: i32,
    y: i32,
    height: i32,
    class: &'static str,
    sentence: String,
}

struct Label {
    x: i32,
    y: i32,
    text: String,
    class: &'static str,
    sentence: String,
}

struct Arrow {
    from: i32,
    to: i32,
    y: i32,
    in_cycle: bool,
    sentence: String,
}

struct Tick {
    y: i32,
    text: String,
}

/// The swim-lanes, ready to be drawn.
#[derive(Template)]
#[template(path = "lanes.html", config = "src/report/html/askama.toml")]
pub(super) struct Lanes {
    id: String,
    width: i32,
    height: i32,
    /// How much room it needs: few sessions leave some beside them, a pair fits on a phone.
    size: &'static str,
    description: String,
    heads: Vec<Head>,
    lines: Vec<Line>,
    bars: Vec<Bar>,
    labels: Vec<Label>,
    arrows: Vec<Arrow>,
    ticks: Vec<Tick>,
    breaks: Vec<Tick>,
}

/// A lock that a session waits for or holds.
struct Open {
    step: String,
    slot: usize,
    from: i32,
    waits: bool,
}

/// What the drawing knows of a session while events go by.
#[derive(Default)]
struct Lane {
    begun: Option<i32>,
    open: Vec<Open>,
    locks: usize,
    has_savepoint: bool,
}

impl Lanes {
    /// The lanes of a report.
    pub(super) fn of(report: &Report, id: &str) -> Self {
        let names = all_names(report);
        let drawing = Drawing::new(report, &names);
        drawing.draw(id)
    }
}

/// The sessions, and whoever else was in the way.
fn all_names(report: &Report) -> Vec<String> {
    let mut names = report.names();
    for name in report.events.iter().flat_map(|event| &event.blocked_by) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

struct Drawing<'a> {
    report: &'a Report,
    names: &'a [String],
    lanes: Vec<Lane>,
    notes_locks: bool,
    cycle: Vec<(&'a str, &'a str)>,
    lines: Vec<Line>,
    bars: Vec<Bar>,
    labels: Vec<Label>,
    arrows: Vec<Arrow>,
}

impl<'a> Drawing<'a> {
    fn new(report: &'a Report, names: &'a [String]) -> Self {
        let next = report.cycle.iter().skip(1).chain(report.cycle.first());
        Self {
            report,
            names,
            lanes: names.iter().map(|_| Lane::default()).collect(),
            notes_locks: statements(report).any(|statement| !statement.locks.is_empty()),
            cycle: report.cycle.iter().map(String::as_str).zip(next.map(String::as_str)).collect(),
            lines: Vec::new(),
            bars: Vec::new(),
            labels: Vec::new(),
            arrows: Vec::new(),
        }
    }

    fn draw(mut self, id: &str) -> Lanes {
        let (mut ticks, mut breaks) = (Vec::new(), Vec::new());
        let mut y = HEAD;
        let mut before: Option<f64> = None;
        for event in self.report.events.iter().filter(|event| event.kind != EventKind::Request) {
            let pause = before.map_or(0.0, |before| event.at - before);
            y += ROW;
            if pause >= LONG {
                breaks.push(Tick { y: y + 4, text: format!("{} later", length(pause)) });
                y += ROW + 6;
            }
            let text = seconds(event.at);
            if ticks.last().is_none_or(|tick: &Tick| tick.text != text) {
                ticks.push(Tick { y, text });
            }
            before = Some(event.at);
            if let Some(place) = self.names.iter().position(|name| *name == event.session) {
                self.tell(event, place, y);
            }
        }
        let bottom = y + ROW / 2;
        self.close_all(bottom);
        Lanes {
            id: id.to_owned(),
            width: GUTTER + COLUMN * px(self.names.len()),
            height: bottom + ROW / 2,
            size: match self.names.len() {
                0..=2 => "few pair",
                3 => "few",
                _ => "many",
            },
            description: self.description(),
            heads: self.names.iter().enumerate().map(|(place, name)| self.head(place, name)).collect(),
            lines: self.lines,
            bars: self.bars,
            labels: self.labels,
            arrows: self.arrows,
            ticks,
            breaks,
        }
    }

    fn head(&self, place: usize, name: &str) -> Head {
        let session = self.report.session(name);
        let about = session.map_or("outside this run", |session| match session.outcome {
            SessionOutcome::DeadlockVictim => "aborted: the victim",
            outcome => outcome.as_str(),
        });
        let class = match session.map(|session| session.outcome) {
            Some(SessionOutcome::Committed) => "well",
            Some(SessionOutcome::DeadlockVictim) => "victim",
            None => "outside",
            Some(_) => "",
        };
        let backend =
            session.and_then(|session| session.backend_pid).map(|pid| format!(" · {pid}")).unwrap_or_default();
        let name = format!("{}{backend}", shortened(&one_line(name), 12));
        Head { x: column(place), name, about: about.replace('_', " "), class }
    }

    fn tell(&mut self, event: &Event, place: usize, y: i32) {
        let step = one_line(&event.step);
        match event.kind {
            EventKind::Begin => {
                self.with(place, |lane| lane.begun = Some(y));
                self.label(place, y, "begins", "quiet", event);
            }
            EventKind::Waiting => self.wait(event, place, y, &step),
            EventKind::Acquired => self.acquire(event, place, y, step),
            EventKind::Error | EventKind::Cancel => self.fail(event, place, y),
            EventKind::Commit | EventKind::Rollback => {
                let (text, class) =
                    if event.kind == EventKind::Commit { ("commits", "well") } else { ("rolls back", "quiet") };
                let edge = self.edge(place, false);
                self.end_bars(place, y, "held");
                self.end_line(place, y);
                self.label_at(edge, place, y, text, class, event);
            }
            EventKind::Request => {}
        }
    }

    fn wait(&mut self, event: &Event, place: usize, y: i32, step: &str) {
        if !self.lanes.get(place).is_some_and(|lane| lane.open.iter().any(|open| open.waits)) {
            self.open(place, step.to_owned(), y, true);
        }
        self.label(place, y, &format!("waits: {step}"), "slow", event);
        let from = self.edge(place, true);
        for holder in &event.blocked_by {
            let Some(to) = self.names.iter().position(|name| name == holder).filter(|&to| to != place) else {
                continue;
            };
            let in_cycle = self.cycle.contains(&(event.session.as_str(), holder.as_str()));
            let from = if to > place { from + 10 } else { from };
            let sentence = event.sentence(3).unwrap_or_default();
            let to = self.holding(to, step, to > place);
            self.arrows.push(Arrow { from, to, y: y + 13, in_cycle, sentence });
        }
    }

    fn acquire(&mut self, event: &Event, place: usize, y: i32, step: String) {
        let waited = self.end_bars_where(place, y, "waited", |open| open.waits);
        let statement = self.statement(event);
        self.with(place, |lane| {
            let words = statement.map(|statement| words(&statement.sql)).unwrap_or_default();
            lane.has_savepoint |= words.first().is_some_and(|word| word == "SAVEPOINT");
        });
        let takes = statement.is_some_and(|statement| self.takes_locks(statement));
        if takes || waited {
            self.open(place, step.clone(), y, false);
        }
        let text = if event.rows == Some(0) && !takes { format!("no {step}") } else { step };
        self.label(place, y, &text, "", event);
    }

    fn fail(&mut self, event: &Event, place: usize, y: i32) {
        let edge = self.edge(place, false);
        self.end_bars_where(place, y, "failed", |open| open.waits);
        // The server lets go at the error, but for what was taken before a savepoint.
        let keeps = event.kind == EventKind::Cancel || self.lanes.get(place).is_some_and(|lane| lane.has_savepoint);
        if !keeps {
            self.end_bars(place, y, "held");
        }
        let text = match (&event.sqlstate, event.kind) {
            (_, EventKind::Cancel) => "✗ cancelled".to_owned(),
            (Some(sqlstate), _) => format!("✗ {}", one_line(sqlstate)),
            (None, _) => "✗ connection lost".to_owned(),
        };
        self.label_at(edge, place, y, &text, "bad", event);
    }

    fn statement(&self, event: &Event) -> Option<&'a Statement> {
        let session = self.report.session(&event.session)?;
        session.statements.iter().find(|statement| {
            statement.finished.is_some_and(|finished| (finished - event.at).abs() < 1e-9)
                && statement.step == event.step
        })
    }

    /// Whether a statement that ended well took a lock; where no locks were noted, as its words let guess.
    fn takes_locks(&self, statement: &Statement) -> bool {
        if self.notes_locks {
            return !statement.locks.is_empty();
        }
        let locking = ["LOCK", "ALTER", "DROP", "TRUNCATE", "CREATE", "REINDEX", "VACUUM"];
        let words = words(&statement.sql);
        row_locks(&statement.sql, statement.rows.unwrap_or_default()).is_some()
            || words.first().is_some_and(|word| locking.contains(&word.as_str()))
            || words.iter().any(|word| word.starts_with("PG_ADVISORY"))
    }

    fn with(&mut self, place: usize, change: impl FnOnce(&mut Lane)) {
        if let Some(lane) = self.lanes.get_mut(place) {
            change(lane);
        }
    }

    fn open(&mut self, place: usize, step: String, y: i32, waits: bool) {
        self.with(place, |lane| {
            // What was waited for is then held at the same place.
            let slot = if waits || lane.open.len() == lane.locks { lane.locks } else { lane.locks - 1 };
            lane.locks = lane.locks.max(slot + 1);
            lane.open.push(Open { step, slot, from: y, waits });
        });
    }

    fn end_bars(&mut self, place: usize, y: i32, class: &'static str) {
        self.end_bars_where(place, y, class, |_| true);
    }

    /// Ends these bars; whether there was one.
    fn end_bars_where(&mut self, place: usize, y: i32, class: &'static str, which: impl Fn(&Open) -> bool) -> bool {
        let Some((lane, name)) = self.lanes.get_mut(place).zip(self.names.get(place)) else { return false };
        let (ended, open): (Vec<_>, Vec<_>) = lane.open.drain(..).partition(|open| which(open));
        lane.open = open;
        let name = one_line(name);
        for open in &ended {
            let (class, verb) =
                if open.waits && class != "failed" { ("waited", "waited for") } else { (class, "held") };
            let verb = if class == "failed" { "waited in vain for" } else { verb };
            self.bars.push(Bar {
                x: slot(place, open.slot),
                y: open.from,
                height: (y - open.from).max(4),
                class,
                sentence: format!("{name} {verb} {}", open.step),
            });
        }
        !ended.is_empty()
    }

    fn end_line(&mut self, place: usize, y: i32) {
        let from = self.lanes.get_mut(place).and_then(|lane| lane.begun.take());
        let outside = self.names.get(place).is_some_and(|name| self.report.session(name).is_none());
        if let Some(from) = from.or(outside.then_some(HEAD)) {
            let class = if outside { "outside" } else { "" };
            self.lines.push(Line { x: column(place) + 6, from, to: y, class });
        }
    }

    fn close_all(&mut self, bottom: i32) {
        for place in 0..self.names.len() {
            self.end_bars(place, bottom, "held");
            self.end_line(place, bottom);
        }
    }

    fn label(&mut self, place: usize, y: i32, text: &str, class: &'static str, event: &Event) {
        self.label_at(self.edge(place, false), place, y, text, class, event);
    }

    /// The same, right of a place that may be a bar's which has just ended.
    fn label_at(&mut self, edge: i32, place: usize, y: i32, text: &str, class: &'static str, event: &Event) {
        let x = edge + 6;
        let room = usize::try_from((column(place) + COLUMN - x - 4) / 7).unwrap_or_default();
        let sentence =
            format!("{}, {}: {}", seconds(event.at), one_line(&event.session), event.sentence(3).unwrap_or_default());
        self.labels.push(Label { x, y: y + 4, text: shortened(text, room), class, sentence });
    }

    /// The right edge of a session's bars; the left one of that which waits.
    fn edge(&self, place: usize, left_of_wait: bool) -> i32 {
        let lane = self.lanes.get(place);
        let open = lane.into_iter().flat_map(|lane| &lane.open).filter(|open| !left_of_wait || open.waits);
        match open.map(|open| slot(place, open.slot)).max() {
            Some(x) if left_of_wait => x,
            Some(x) => x + 9,
            None => column(place) + 8,
        }
    }

    /// Where an arrow to a session ends: at the lock that it holds, or at its line.
    fn holding(&self, place: usize, step: &str, from_left: bool) -> i32 {
        let lane = self.lanes.get(place);
        let held = lane.and_then(|lane| lane.open.iter().find(|open| !open.waits && open.step == step));
        let (left, right) = held.map_or_else(
            || (column(place) + 5, column(place) + 7),
            |open| (slot(place, open.slot), slot(place, open.slot) + 9),
        );
        if from_left { left - 1 } else { right + 1 }
    }

    fn description(&self) -> String {
        let told = |session: &SessionReport| {
            let end = session.outcome.as_str().replace('_', " ");
            format!("{}: {end}", one_line(&session.name))
        };
        let sessions: Vec<String> = self.report.sessions.iter().map(told).collect();
        format!(
            "{}. How they ended: {}. Every event is in the table below.",
            one_line(&self.report.verdict()),
            sessions.join("; ")
        )
    }
}

fn statements(report: &Report) -> impl Iterator<Item = &Statement> {
    report.sessions.iter().flat_map(|session| &session.statements)
}

/// Where a session's column begins.
fn column(place: usize) -> i32 {
    GUTTER + COLUMN * px(place)
}

/// Where a session's bar stands.
fn slot(place: usize, slot: usize) -> i32 {
    column(place) + 13 + APART * px(slot % ABREAST)
}

/// A length of time, as short as it can be said.
fn length(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}
