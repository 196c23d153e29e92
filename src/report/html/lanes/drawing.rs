//! The drawing of the swim-lanes, event by event.

use super::lane::Lane;
use super::place::{HEAD, Places};
use super::shapes::{Arrow, Bar, Label, Line};
use crate::report::moment::moment;
use crate::report::plain::{one_line, shortened};
use crate::report::sql::{row_locks, words};
use crate::report::{Event, EventKind, Report, Statement};

/// Half the height of the bar of a lock that is held for a moment.
const PASSING: i32 = 5;

pub(super) struct Drawing<'a> {
    report: &'a Report,
    names: &'a [String],
    places: Places,
    lanes: Vec<Lane>,
    notes_locks: bool,
    cycle: Vec<(&'a str, &'a str)>,
    pub(super) lines: Vec<Line>,
    pub(super) bars: Vec<Bar>,
    pub(super) labels: Vec<Label>,
    pub(super) arrows: Vec<Arrow>,
}

impl<'a> Drawing<'a> {
    pub(super) fn new(report: &'a Report, names: &'a [String], places: Places) -> Self {
        let next = report.cycle.iter().skip(1).chain(report.cycle.first());
        let mut statements = report.sessions.iter().flat_map(|session| &session.statements);
        Self {
            report,
            names,
            places,
            lanes: names.iter().enumerate().map(|(place, name)| Lane::new(place, places, one_line(name))).collect(),
            notes_locks: statements.any(|statement| !statement.locks.is_empty()),
            cycle: report.cycle.iter().map(String::as_str).zip(next.map(String::as_str)).collect(),
            lines: Vec::new(),
            bars: Vec::new(),
            labels: Vec::new(),
            arrows: Vec::new(),
        }
    }

    /// Draws what an event adds to the lane at that place.
    pub(super) fn tell(&mut self, event: &Event, place: usize, y: i32) {
        let step = one_line(&event.step);
        match event.kind {
            EventKind::Begin => {
                self.label(place, y, "begins", "quiet", event);
                self.with(place, |lane| {
                    lane.begun = Some(y);
                    Vec::new()
                });
            }
            EventKind::Waiting => self.wait(event, place, y, &step),
            EventKind::Acquired => self.acquire(event, place, y, step),
            EventKind::Error | EventKind::Cancel => self.fail(event, place, y),
            EventKind::Commit | EventKind::Rollback => {
                let (text, class) =
                    if event.kind == EventKind::Commit { ("commits", "well") } else { ("rolls back", "quiet") };
                // It stands beside the bars that end here.
                self.label(place, y, text, class, event);
                self.with(place, |lane| lane.end_all(y));
                self.end_line(place, y);
            }
            EventKind::Request => {}
        }
    }

    /// Ends whatever is still drawn.
    pub(super) fn end(&mut self, bottom: i32) {
        for place in 0..self.names.len() {
            self.with(place, |lane| lane.end_all(bottom));
            self.end_line(place, bottom);
        }
    }

    fn wait(&mut self, event: &Event, place: usize, y: i32, step: &str) {
        self.with(place, |lane| {
            if !lane.waits() {
                lane.open(step.to_owned(), y, true);
            }
            Vec::new()
        });
        self.label(place, y, &format!("waits: {step}"), "slow", event);
        let left = self.lanes.get(place).map_or_else(|| self.places.column(place), Lane::left_of_wait);
        for holder in &event.blocked_by {
            let Some(to) = self.names.iter().position(|name| name == holder).filter(|&to| to != place) else {
                continue;
            };
            let in_cycle = self.cycle.contains(&(event.session.as_str(), holder.as_str()));
            let from = if to > place { left + 10 } else { left };
            let sentence = event.sentence(3).unwrap_or_default();
            let to = self.lanes.get(to).map_or_else(|| self.places.column(to), |lane| lane.target(step, to > place));
            self.arrows.push(Arrow { from, to, y: y + 13, in_cycle, sentence });
        }
    }

    fn acquire(&mut self, event: &Event, place: usize, y: i32, step: String) {
        let statement = self.statement(event);
        let words = statement.map(|statement| words(&statement.sql)).unwrap_or_default();
        let takes = statement.is_some_and(|statement| self.takes_locks(statement));
        // Outside a transaction, what a statement locks is let go when it ends, but for what the session itself holds.
        let is_of_the_session =
            |word: &String| word.starts_with("PG_ADVISORY_LOCK") || word.starts_with("PG_TRY_ADVISORY_LOCK");
        let alone = !self.report.server.version.is_empty() // a log does not tell where a transaction began
            && statement.is_some()
            && self.lanes.get(place).is_some_and(|lane| lane.begun.is_none())
            && !words.iter().any(is_of_the_session);
        self.with(place, |lane| {
            lane.has_savepoint |= words.first().is_some_and(|word| word == "SAVEPOINT");
            let ended = lane.end_wait(y, false);
            if takes || !ended.is_empty() {
                lane.open(step.clone(), if alone { y - PASSING } else { y }, false);
            }
            ended
        });
        let text = if event.rows == Some(0) && !takes { format!("no {step}") } else { step };
        self.label(place, y, &text, "", event);
        if alone {
            self.with(place, |lane| lane.end_from(y - PASSING, y + PASSING));
        }
    }

    fn fail(&mut self, event: &Event, place: usize, y: i32) {
        let text = match (&event.sqlstate, event.kind) {
            (_, EventKind::Cancel) => "✗ cancelled".to_owned(),
            (Some(sqlstate), _) => format!("✗ {}", one_line(sqlstate)),
            (None, _) => "✗ connection lost".to_owned(),
        };
        self.label(place, y, &text, "bad", event);
        self.with(place, |lane| {
            let mut ended = lane.end_wait(y, true);
            // The server lets go at the error, but for what was taken before a savepoint.
            if event.kind != EventKind::Cancel && !lane.has_savepoint {
                ended.extend(lane.end_all(y));
            }
            ended
        });
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

    /// Changes a lane, and draws the bars that this has ended.
    fn with(&mut self, place: usize, change: impl FnOnce(&mut Lane) -> Vec<Bar>) {
        if let Some(lane) = self.lanes.get_mut(place) {
            self.bars.extend(change(lane));
        }
    }

    fn end_line(&mut self, place: usize, y: i32) {
        let from = self.lanes.get_mut(place).and_then(|lane| lane.begun.take());
        let outside = self.names.get(place).is_some_and(|name| self.report.session(name).is_none());
        if let Some(from) = from.or(outside.then_some(HEAD)) {
            let class = if outside { "outside" } else { "" };
            self.lines.push(Line { x: self.places.column(place) + 6, from, to: y, class });
        }
    }

    /// Writes beside the bars of a lane.
    fn label(&mut self, place: usize, y: i32, text: &str, class: &'static str, event: &Event) {
        let x = self.lanes.get(place).map_or_else(|| self.places.column(place), Lane::right) + 6;
        let room = self.places.room(place, x);
        let sentence = format!("{}: {}", one_line(&event.session), event.sentence(3).unwrap_or_default());
        let at = moment(event.at);
        let sentence = if at.is_empty() { sentence } else { format!("{at}, {sentence}") };
        self.labels.push(Label { x, y: y + 4, text: shortened(text, room), class, sentence });
    }
}
