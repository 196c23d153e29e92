//! The swim-lanes: a column a session, time downwards, a bar for each lock that is waited for or held.
//!
//! Each event has a row of its own, so that a `deadlock_timeout` of a second does not press all the rest into one
//! point; where nothing happens for a while, the axis is broken, and says for how long.

mod drawing;
mod lane;
mod place;
mod shapes;

use askama::Template;

use self::drawing::Drawing;
use self::place::{EDGE, HEAD, Places, ROW};
use self::shapes::{Arrow, Bar, Head, Label, Line, Tick};
use crate::report::moment::moment;
use crate::report::plain::{one_line, shortened, width};
use crate::report::{Event, EventKind, Report, SessionOutcome, SessionReport};

/// Nothing happens for this long (seconds): a break.
const LONG: f64 = 0.02;

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

impl Lanes {
    /// The lanes of a report, which has come to this.
    pub(super) fn of(report: &Report, verdict: &str, id: &str) -> Self {
        let names = all_names(report);
        let places = places(report, &names);
        let mut drawing = Drawing::new(report, &names, places);
        let (mut ticks, mut breaks) = (Vec::new(), Vec::new());
        let mut y = HEAD;
        let mut before: Option<f64> = None;
        for event in report.events.iter().filter(|event| event.kind != EventKind::Request) {
            let pause = before.map_or(0.0, |before| event.at - before);
            y += ROW;
            if pause >= LONG {
                breaks.push(Tick { y: y + 4, text: format!("{} later", length(pause)) });
                y += ROW + 6;
            }
            let text = moment(event.at);
            if !text.is_empty() && ticks.last().is_none_or(|tick: &Tick| tick.text != text) {
                ticks.push(Tick { y, text });
            }
            before = Some(event.at);
            if let Some(place) = names.iter().position(|name| *name == event.session) {
                drawing.tell(event, place, y);
            }
        }
        let bottom = y + ROW / 2;
        drawing.end(bottom);
        Self {
            id: id.to_owned(),
            width: places.column(names.len()) + EDGE,
            height: bottom + ROW / 2,
            size: match names.len() {
                0..=2 if !places.is_wide() => "few pair",
                0..=2 => "few pair wide",
                3 | 4 => "few",
                _ => "many",
            },
            description: description(report, verdict),
            heads: names.iter().enumerate().map(|(place, name)| head(report, places, place, name)).collect(),
            lines: drawing.lines,
            bars: drawing.bars,
            labels: drawing.labels,
            arrows: drawing.arrows,
            ticks,
            breaks,
        }
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

/// The columns, as wide as what is to be read in them.
fn places(report: &Report, names: &[String]) -> Places {
    let name = names.iter().map(|name| width(&one_line(name))).max().unwrap_or_default();
    let label = |event: &Event| {
        let waits = if event.kind == EventKind::Waiting { "waits: ".len() } else { 0 };
        width(&one_line(&event.step)) + waits
    };
    Places::of(names.len(), name, report.events.iter().map(label).max().unwrap_or_default())
}

fn head(report: &Report, places: Places, place: usize, name: &str) -> Head {
    let session = report.session(name);
    let about = session.map_or("outside this run", |session| match session.outcome {
        SessionOutcome::DeadlockVictim => "the victim",
        outcome => outcome.as_str(),
    });
    let class = match session.map(|session| session.outcome) {
        Some(SessionOutcome::Committed) => "well",
        Some(SessionOutcome::DeadlockVictim) => "victim",
        None => "outside",
        Some(_) => "",
    };
    let backend = session.and_then(|session| session.backend_pid).map(|pid| format!(" · {pid}")).unwrap_or_default();
    let about = format!("{}{backend}", about.replace('_', " "));
    Head { x: places.column(place), name: shortened(&one_line(name), places.room_of_name()), about, class }
}

/// What the drawing shows, in words.
fn description(report: &Report, verdict: &str) -> String {
    let told = |session: &SessionReport| {
        let end = session.outcome.as_str().replace('_', " ");
        format!("{}: {end}", one_line(&session.name))
    };
    let sessions: Vec<String> = report.sessions.iter().map(told).collect();
    format!("{}. How they ended: {}. Every event is in the table below.", one_line(verdict), sessions.join("; "))
}

/// A length of time, as short as it can be said.
fn length(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}
