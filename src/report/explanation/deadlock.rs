//! A deadlock: what each of its cycle held, and what it asked for.

use super::timeout::timeout_told;
use super::{Story, is_transaction_control, join, push};
use crate::report::advice::advice;
use crate::report::{Event, EventKind, SessionOutcome, SessionReport, Statement, from_the_first, told_cycle};

/// How many sessions of a cycle are told one by one; of a larger ring, one is like the next.
const TOLD_ONE_BY_ONE: usize = 4;

pub(super) fn deadlock(story: &Story) -> String {
    let all: Vec<String> = story.sessions.iter().map(|session| session.name.clone()).collect();
    let told = from_the_first(story.cycle, &all);
    let names = if told.is_empty() { story.victims } else { &told };
    let mut text = if names.len() > TOLD_ONE_BY_ONE {
        format!(
            "{} sessions made a ring: each held a lock and asked for the next one's ({}). ",
            names.len(),
            told_cycle(names, &all)
        )
    } else {
        let tell = |name: &String| if story.code { tale_of_code(name, story) } else { tale(name, story.sessions) };
        let tales: Vec<String> = names.iter().filter_map(tell).collect();
        format!("{}. ", tales.join("; "))
    };
    text.push_str(
        "Each waited for a lock that only the next of them could release, so none of them could ever go on. ",
    );
    let others: Vec<&str> = story
        .sessions
        .iter()
        .filter(|session| session.outcome == SessionOutcome::Committed)
        .map(|session| session.name.as_str())
        .collect();
    push(
        &mut text,
        format_args!(
            "When deadlock_timeout ({}) had passed, PostgreSQL looked, found the cycle and aborted {} (40P01)",
            timeout_told(story),
            join(story.victims)
        ),
    );
    match others.as_slice() {
        [] => text.push_str(". "),
        [one] => push(&mut text, format_args!("; that released its locks, and {one} went on and committed. ")),
        _ => text.push_str("; that released its locks, and the others went on and committed. "),
    }
    let usual = "take the locks in one order everywhere, for example select_for_update().order_by(\"pk\")";
    let in_cycle = story.sessions.iter().filter(|session| story.code && names.contains(&session.name));
    let advice = Some(advice(in_cycle.filter_map(asked))).filter(|advice| !advice.is_empty());
    push(
        &mut text,
        format_args!(
            "What prevents it: {}; and be ready to run the whole transaction again when 40P01 comes.",
            advice.as_deref().unwrap_or(usual)
        ),
    );
    text
}

/// "A held row 1 and asked for row 2".
fn tale(name: &str, sessions: &[SessionReport]) -> Option<String> {
    let session = sessions.iter().find(|session| session.name == name)?;
    let locks = session.statements.iter().filter(|statement| !is_transaction_control(&statement.step));
    let (asked, held): (Vec<_>, Vec<_>) = locks.partition(|statement| statement.waited || statement.sqlstate.is_some());
    let held: Vec<String> = held
        .into_iter()
        .filter(|statement| statement.finished.is_some())
        .filter(|statement| asked.first().is_none_or(|asked| statement.requested < asked.requested))
        .map(place)
        .collect();
    let wanted = asked.first().map_or_else(|| "more".to_owned(), |statement| place(statement));
    Some(format!("{name} held {} and asked for {wanted}", join(&held)))
}

/// "row 1 (bank/transfers.py:20)".
fn place(statement: &Statement) -> String {
    let source = statement.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
    format!("{}{source}", statement.step)
}

/// "transfer had locked rows by SELECT account (transfers.py:24) and asked for more by …".
fn tale_of_code(name: &str, story: &Story) -> Option<String> {
    let session = story.sessions.iter().find(|session| session.name == name)?;
    let asked = asked(session)?;
    let transaction = open_transaction(session, story.events, Some(asked));
    let asked = place_in_code(asked);
    if transaction.is_empty() {
        return Some(format!("{name} asked for its locks by {asked} alone"));
    }
    Some(format!("{name} held what it had locked by {} and asked for more by {asked}", join(&transaction)))
}

/// The statement by which a session asked for what another one held.
fn asked(session: &SessionReport) -> Option<&Statement> {
    let aborted = session.statements.iter().find(|statement| statement.sqlstate.as_deref() == Some("40P01"));
    aborted.or_else(|| session.statements.iter().rev().find(|statement| statement.waited))
}

/// What the transaction that a session was in at its end, or when it asked for something, had locked by: of its plain
/// queries only if there is nothing else.
pub(super) fn open_transaction(session: &SessionReport, events: &[Event], asked: Option<&Statement>) -> Vec<String> {
    let began = |event: &&Event| event.kind == EventKind::Begin && event.session == session.name;
    let beginnings: Vec<f64> = events.iter().filter(began).map(|event| event.at).collect();
    let before = |statement: &&Statement| asked.is_none_or(|asked| statement.requested < asked.requested);
    let mut transaction: Vec<&Statement> = Vec::new();
    let mut ended = f64::NEG_INFINITY;
    for statement in session.statements.iter().take_while(before) {
        if is_transaction_control(&statement.step) {
            transaction.clear();
            ended = statement.requested;
        } else if beginnings.iter().any(|&began| began > ended && began <= statement.requested) {
            transaction.push(statement);
        }
    }
    transaction.retain(|statement| !statement.step.contains("SAVEPOINT"));
    let is_query =
        |statement: &&Statement| statement.step.starts_with("SELECT ") && !statement.step.starts_with("SELECT FOR ");
    let only_queries = transaction.iter().all(is_query);
    transaction.into_iter().filter(|statement| only_queries || !is_query(statement)).map(place_in_code).collect()
}

/// "UPDATE account [5, 1] (transfers.py:24)": statements of code are often told from each other by their parameters only.
fn place_in_code(statement: &Statement) -> String {
    let parameters = statement.sql.rsplit_once(" -- ").map(|(_, parameters)| format!(" [{parameters}]"));
    let source = statement.source.as_ref().map(|source| format!(" ({source})"));
    format!("{}{}{}", statement.step, parameters.unwrap_or_default(), source.unwrap_or_default())
}
