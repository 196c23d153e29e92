//! A wait that nothing in the run could end: for a session outside it, or for this very process.

use super::deadlock::open_transaction;
use super::{Story, join, push};
use crate::engine::observer::Outsider;
use crate::report::{Event, EventKind, SessionOutcome, SessionReport};

pub(super) fn blocked(story: &Story) -> String {
    let everybody: Vec<String> = story.sessions.iter().map(|session| session.name.clone()).collect();
    if story.hidden && !story.stuck.held_up.is_empty() {
        return held_up(story);
    }
    if story.hidden && !story.stuck.entangled.is_empty() {
        return entangled(story);
    }
    let Some(wait) = wait_for_outsider(story, &everybody) else { return waiting(story) };
    if story.hidden {
        let outsider = story.outsiders.first();
        let holder = outsider.map_or("A backend".to_owned(), |outsider| format!("Backend {}", outsider.pid));
        let place = outsider.and_then(|outsider| outsider.place.as_ref());
        let place = place.map_or_else(String::new, |place| format!(" (its code is at {place})"));
        return format!(
            "{} {holder} is this very process's own connection{place}: it holds the lock in an open transaction and \
             cannot let go, because the call has not returned. PostgreSQL sees no cycle there, so it would have waited \
             for ever. Commit first: use TransactionTestCase or django_db(transaction=True) instead of TestCase, and do \
             not call this inside atomic().",
            told(wait),
        );
    }
    held(story, wait)
}

/// The hidden deadlock of code that waits for other threads.
fn held_up(story: &Story) -> String {
    let last_wait = |name: &String| {
        story.events.iter().rev().find(|event| event.kind == EventKind::Waiting && event.session == *name)
    };
    let unfinished = |session: &&SessionReport| {
        session.statements.last().is_some_and(|statement| statement.waited && statement.finished.is_none())
    };
    let cancelled =
        story.sessions.iter().filter(|session| session.outcome == SessionOutcome::Cancelled || unfinished(session));
    let mut sentences: Vec<String> = cancelled
        .filter(|session| !story.stuck.held_up.iter().any(|held_up| held_up.session == session.name))
        .filter_map(|session| last_wait(&session.name).map(told))
        .collect();
    for helper in &story.stuck.helpers {
        let place = helper.place.as_ref().map_or_else(String::new, |place| format!(" (its code is at {place})"));
        let pid = helper.pid;
        sentences.push(format!(
            "Another thread of this process, on backend {pid}{place}, waited for a lock that {} held.",
            join(&helper.blocked_by)
        ));
    }
    for stuck in &story.stuck.held_up {
        let session = story.sessions.iter().find(|session| session.name == stuck.session);
        let locked = session.map(|session| open_transaction(session, story.events, None)).unwrap_or_default();
        let held = match locked.as_slice() {
            [] => String::new(),
            locked => format!(" held what it had locked by {}, and", join(locked)),
        };
        sentences.push(format!(
            "{}{held} waited at {} for another thread: for a lock of Python's, a queue, an event or a thread's end.",
            stuck.session, stuck.place
        ));
    }
    sentences.push(
        "Nobody was left who could let it go on: a hidden deadlock. PostgreSQL sees no cycle there, so it would have \
         waited for ever. What prevents it: wait for no other thread inside atomic(); take a lock of Python's before the \
         transaction begins, and give it back after its end."
            .to_owned(),
    );
    sentences.join(" ")
}

/// The hidden deadlock of sessions that have several connections.
fn entangled(story: &Story) -> String {
    let last_wait = |name: &String| {
        story.events.iter().rev().find(|event| event.kind == EventKind::Waiting && event.session == *name)
    };
    let mut sentences: Vec<String> = story.stuck.entangled.iter().filter_map(last_wait).map(told).collect();
    sentences.push(match story.stuck.entangled.as_slice() {
        [own] => format!("That is another connection of {own}'s own code, which has a transaction open there."),
        _ => "A lock among these is held on another connection of the same code than the one that it waited on."
            .to_owned(),
    });
    sentences.push(
        "Nobody could ever let go: a hidden deadlock. PostgreSQL takes every connection for a session of its own and sees no \
         cycle, so it would have waited for ever. What prevents it: reach the same rows by one database alias, or end the \
         transaction on the one before the other needs what it has locked."
            .to_owned(),
    );
    sentences.join(" ")
}

/// The last wait of one of these sessions, if a backend outside the run was in its way.
pub(super) fn wait_for_outsider<'a>(story: &Story<'a>, sessions: &[String]) -> Option<&'a Event> {
    let outsiders: Vec<String> = story.outsiders.iter().map(|outsider| format!("pid {}", outsider.pid)).collect();
    let last_wait = |name: &String| {
        story.events.iter().rev().find(|event| event.kind == EventKind::Waiting && event.session == *name)
    };
    let is_outside = |event: &&Event| event.blocked_by.iter().any(|blocker| outsiders.contains(blocker));
    sessions.iter().filter_map(last_wait).find(is_outside)
}

pub(super) fn held(story: &Story, wait: &Event) -> String {
    let holders: Vec<String> = story.outsiders.iter().map(outsider).collect();
    format!(
        "{} The lock is held by a session outside this run, which did not let go: {}. End that transaction (or SELECT \
         pg_terminate_backend(pid)), or lock other rows.",
        told(wait),
        join(&holders)
    )
}

fn outsider(outsider: &Outsider) -> String {
    let mut text = format!("pid {}", outsider.pid);
    let mut tell = |label: &str, value: &str| {
        if !value.is_empty() {
            push(&mut text, format_args!(", {label}{value}"));
        }
    };
    tell("application ", &outsider.application);
    tell("role ", &outsider.role);
    tell("", &outsider.state);
    if let Some(age) = outsider.transaction_age {
        tell("transaction open for ", &format!("{age:.1} s"));
    }
    tell("last query: ", &outsider.query);
    text
}

pub(super) fn waiting(story: &Story) -> String {
    let last = story.events.iter().rev().find(|event| event.kind == EventKind::Waiting);
    last.map_or_else(String::new, told)
}

fn told(wait: &Event) -> String {
    format!("{} waited for {}, held by {}.", wait.session, wait.step, join(&wait.blocked_by))
}
