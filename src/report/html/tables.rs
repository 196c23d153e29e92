//! What a report tells in tables.

use crate::report::moment::moment;
use crate::report::plain::{lines, one_line, shortened};
use crate::report::{EventKind, Report, SessionReport, Statement};

/// A statement longer than this is folded.
const LONG: usize = 300;

/// A statement.
pub(super) struct Row {
    pub(super) at: String,
    pub(super) session: String,
    pub(super) step: String,
    pub(super) sql: String,
    /// The beginning of one that is folded; empty for one that is not.
    pub(super) beginning: String,
    pub(super) fate: String,
    pub(super) mood: &'static str,
    pub(super) locks: Vec<String>,
    pub(super) source: String,
}

/// An event.
pub(super) struct Told {
    pub(super) at: String,
    pub(super) session: String,
    pub(super) sentence: String,
}

/// What the server said to a session.
pub(super) struct Words {
    pub(super) session: String,
    pub(super) sqlstate: String,
    pub(super) message: String,
    pub(super) fields: Vec<(&'static str, String)>,
}

/// Every statement of every session, in the order in which they were released.
pub(super) fn statements(report: &Report) -> Vec<Row> {
    let mut all: Vec<(&SessionReport, &Statement)> =
        report.sessions.iter().flat_map(|session| session.statements.iter().map(move |one| (session, one))).collect();
    all.sort_by(|(_, one), (_, other)| one.requested.total_cmp(&other.requested));
    all.into_iter().map(|(session, statement)| row(session, statement)).collect()
}

fn row(session: &SessionReport, statement: &Statement) -> Row {
    let sql = lines(&statement.sql);
    let beginning = if sql.chars().count() > LONG { shortened(&one_line(&sql), 80) } else { String::new() };
    let step = one_line(&statement.step);
    let (fate, mood) = fate(statement);
    Row {
        at: moment(statement.requested),
        session: one_line(&session.name),
        step: if step == one_line(&sql) { String::new() } else { step },
        sql,
        beginning,
        fate,
        mood,
        locks: statement.locks.iter().map(|lock| one_line(lock)).collect(),
        source: one_line(statement.source.as_deref().unwrap_or_default()),
    }
}

fn fate(statement: &Statement) -> (String, &'static str) {
    let waited = match (statement.waited, statement.finished) {
        (true, Some(finished)) if finished > 0.0 => format!("waited {:.3} s", finished - statement.requested),
        (true, _) => "waited".to_owned(),
        _ => String::new(),
    };
    let end = match (&statement.sqlstate, statement.rows) {
        (Some(sqlstate), _) => sqlstate.clone(),
        (None, Some(1)) => "1 row".to_owned(),
        (None, Some(rows)) => format!("{rows} rows"),
        (None, None) if statement.finished.is_none() => "never ended".to_owned(),
        (None, None) => "done".to_owned(),
    };
    let mood = match (&statement.sqlstate, statement.waited) {
        (Some(_), _) => "bad",
        (None, true) => "slow",
        _ => "",
    };
    (if waited.is_empty() { end } else { format!("{waited}, {end}") }, mood)
}

/// Every event that the timeline tells.
pub(super) fn events(report: &Report) -> Vec<Told> {
    let told = report.events.iter().filter(|event| event.kind != EventKind::Request);
    told.filter_map(|event| {
        Some(Told { at: moment(event.at), session: one_line(&event.session), sentence: event.sentence(3)? })
    })
    .collect()
}

/// The server's own words, to each session that it refused something.
pub(super) fn words(report: &Report) -> Vec<Words> {
    let refused = report.sessions.iter().filter(|session| session.sqlstate.is_some());
    refused
        .map(|session| {
            let fields = [("Detail", &session.detail), ("Hint", &session.hint), ("Context", &session.context)];
            Words {
                session: one_line(&session.name),
                sqlstate: one_line(session.sqlstate.as_deref().unwrap_or_default()),
                message: one_line(session.message.as_deref().unwrap_or_default()),
                fields: fields
                    .into_iter()
                    .filter_map(|(label, field)| Some((label, lines(field.as_deref()?))))
                    .collect(),
            }
        })
        .collect()
}
