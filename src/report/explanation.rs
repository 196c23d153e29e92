//! What happened, and why, in plain words.

use std::fmt::Write;

use super::advice::advice;
use super::{Event, EventKind, Outcome, SessionOutcome, SessionReport, Statement, from_the_first, told_cycle};
use crate::engine::Stuck;
use crate::engine::observer::Outsider;

/// How many sessions of a cycle are told one by one; of a larger ring, one is like the next.
const TOLD_ONE_BY_ONE: usize = 4;

/// Everything that an explanation draws on.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent of each other")]
pub struct Story<'a> {
    /// How the run ended.
    pub outcome: Outcome,
    /// Whether the caller's own connection was in the way.
    pub hidden: bool,
    /// Whether the sessions ran the user's own code.
    pub code: bool,
    /// What became of the sessions.
    pub sessions: &'a [SessionReport],
    /// What happened.
    pub events: &'a [Event],
    /// Who was aborted with 40P01.
    pub victims: &'a [String],
    /// The cycle.
    pub cycle: &'a [String],
    /// The backends outside the run that were in the way.
    pub outsiders: &'a [Outsider],
    /// Who in this process could not go on, where PostgreSQL could not see it.
    pub stuck: &'a Stuck,
    /// The lock strength in SQL's words: `UPDATE`, `KEY SHARE`, ….
    pub lock: &'a str,
    /// Whether two sessions can both have that lock.
    pub lock_is_shared: bool,
    /// Whether only things made for the run were locked.
    pub scratch: bool,
    /// The `deadlock_timeout` that counted, in seconds.
    pub deadlock_timeout: f64,
    /// The server's own for this role, in seconds.
    pub servers_deadlock_timeout: f64,
    /// The `lock_timeout` that counted, in seconds.
    pub lock_timeout: Option<f64>,
    /// The `statement_timeout` that counted, in seconds.
    pub statement_timeout: Option<f64>,
    /// The whole call's `timeout`, in seconds.
    pub timeout: f64,
}

/// The explanation: what happened, why, and what to do about it.
#[must_use]
pub fn explain(story: &Story) -> String {
    match story.outcome {
        Outcome::Deadlock => deadlock(story),
        Outcome::LockTimeout => lock_timeout(story),
        Outcome::StatementTimeout => statement_timeout(story),
        Outcome::SerializationFailure => serialization_failure(story),
        Outcome::NoConflict => no_conflict(story),
        Outcome::BlockedByOutsider => blocked(story),
        Outcome::Timeout => timed_out(story),
        Outcome::Error => failed(story),
    }
}

fn deadlock(story: &Story) -> String {
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
fn open_transaction(session: &SessionReport, events: &[Event], asked: Option<&Statement>) -> Vec<String> {
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

fn is_transaction_control(step: &str) -> bool {
    matches!(step, "BEGIN" | "COMMIT" | "ROLLBACK")
}

fn lock_timeout(story: &Story) -> String {
    let failed = with_outcome(story, SessionOutcome::LockTimeout);
    let who = join(&failed);
    if let Some(wait) = wait_for_outsider(story, &failed) {
        let limit = story.lock_timeout.unwrap_or_default();
        return format!("{who} gave up waiting with 55P03: lock_timeout ({limit} s) ran out. {}", held(story, wait));
    }
    match story.lock_timeout {
        Some(limit) if limit <= story.deadlock_timeout => format!(
            "{who} gave up waiting with 55P03: lock_timeout ({limit} s) ran out before deadlock_timeout ({}), so \
             PostgreSQL never looked for a deadlock. The cycle was there all the same. To see 40P01, make lock_timeout \
             longer than deadlock_timeout.",
            timeout_told(story)
        ),
        _ => format!("{who} gave up waiting with 55P03: the lock was not to be had in time."),
    }
}

fn statement_timeout(story: &Story) -> String {
    let failed = with_outcome(story, SessionOutcome::StatementTimeout);
    let who = format!("{} {}", join(&failed), if failed.len() == 1 { "was" } else { "were" });
    let limit = story.statement_timeout.unwrap_or_default();
    if let Some(wait) = wait_for_outsider(story, &failed) {
        return format!("{who} cancelled with 57014: statement_timeout ({limit} s) ran out. {}", held(story, wait));
    }
    if limit <= story.deadlock_timeout {
        return format!(
            "{who} cancelled with 57014: statement_timeout ({limit} s) ran out before deadlock_timeout ({}), so \
             PostgreSQL never looked for a deadlock. To see 40P01, make statement_timeout longer than deadlock_timeout.",
            timeout_told(story)
        );
    }
    format!("{who} cancelled with 57014: a statement took longer than statement_timeout ({limit} s).")
}

fn serialization_failure(story: &Story) -> String {
    format!(
        "{} failed with 40001: another session had committed a change that this isolation level may not see. Run the \
         whole transaction again.",
        join(&with_outcome(story, SessionOutcome::SerializationFailure))
    )
}

fn no_conflict(story: &Story) -> String {
    let locks = |session: &SessionReport| {
        session
            .statements
            .iter()
            .filter(|statement| !is_transaction_control(&statement.step) && statement.rows == Some(0))
            .map(|statement| statement.step.clone())
            .collect::<Vec<_>>()
    };
    let mut missing: Vec<String> = story.sessions.iter().flat_map(locks).collect();
    missing.sort();
    missing.dedup();
    // That a query of the user's own finds nothing says nothing.
    if !missing.is_empty() && !story.code {
        return format!(
            "No deadlock, because there is no {}: a SELECT … FOR {} that matches no row locks nothing and waits for \
             nobody. Give ids of rows that exist and are committed (what an open transaction or a TestCase has made, no \
             other connection can see).",
            missing.join(" and no "),
            story.lock
        );
    }
    if story.lock_is_shared {
        return format!(
            "No deadlock, because FOR {} does not conflict with itself: every session got every lock at once. Such locks \
             deadlock only when the sessions then change the rows.",
            story.lock
        );
    }
    if story.events.iter().any(|event| event.kind == EventKind::Waiting) {
        return "No deadlock: a session waited for another's lock, but nobody waited in turn for it, so it only had to \
                wait until the other was done."
            .to_owned();
    }
    "No deadlock, because no session ever wanted a lock that another one held.".to_owned()
}

fn blocked(story: &Story) -> String {
    let everybody: Vec<String> = story.sessions.iter().map(|session| session.name.clone()).collect();
    if story.hidden && !story.stuck.held_up.is_empty() {
        return held_up(story);
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

/// The last wait of one of these sessions, if a backend outside the run was in its way.
fn wait_for_outsider<'a>(story: &Story<'a>, sessions: &[String]) -> Option<&'a Event> {
    let outsiders: Vec<String> = story.outsiders.iter().map(|outsider| format!("pid {}", outsider.pid)).collect();
    let last_wait = |name: &String| {
        story.events.iter().rev().find(|event| event.kind == EventKind::Waiting && event.session == *name)
    };
    let is_outside = |event: &&Event| event.blocked_by.iter().any(|blocker| outsiders.contains(blocker));
    sessions.iter().filter_map(last_wait).find(is_outside)
}

fn held(story: &Story, wait: &Event) -> String {
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

fn waiting(story: &Story) -> String {
    let last = story.events.iter().rev().find(|event| event.kind == EventKind::Waiting);
    last.map_or_else(String::new, told)
}

fn told(wait: &Event) -> String {
    format!("{} waited for {}, held by {}.", wait.session, wait.step, join(&wait.blocked_by))
}

fn timed_out(story: &Story) -> String {
    let mut text = format!(
        "The call's timeout ({} s) ran out before the run was over; what was not committed was rolled back. ",
        story.timeout
    );
    let unfinished = with_outcome(story, SessionOutcome::Cancelled);
    if !unfinished.is_empty() {
        let verb = if unfinished.len() == 1 { "was" } else { "were" };
        push(&mut text, format_args!("{} {verb} not through. ", join(&unfinished)));
    }
    text.push_str(&waiting(story));
    if story.timeout <= story.deadlock_timeout {
        push(
            &mut text,
            format_args!(
                " PostgreSQL looks for a deadlock only after deadlock_timeout ({}): give the call more time than that.",
                timeout_told(story)
            ),
        );
    }
    text.trim_end().to_owned()
}

fn failed(story: &Story) -> String {
    let failures: Vec<String> = story
        .sessions
        .iter()
        .filter(|session| matches!(session.outcome, SessionOutcome::Error | SessionOutcome::Disconnected))
        .map(|session| {
            let verb = if session.outcome == SessionOutcome::Disconnected { "lost its connection" } else { "failed" };
            let sqlstate = session.sqlstate.as_ref().map(|state| format!(" with {state}")).unwrap_or_default();
            format!("{} {verb}{sqlstate}: {}", session.name, session.message.as_deref().unwrap_or("no reason given"))
        })
        .collect();
    if failures.is_empty() {
        return "The run did not come to its end; see the events.".to_owned();
    }
    format!("No deadlock, because a session could not go on. {}.", failures.join("; "))
}

/// "1 s", or where the run has set its own, "0.001 s in this run; the server's is 1 s".
fn timeout_told(story: &Story) -> String {
    let (counted, servers) = (story.deadlock_timeout, story.servers_deadlock_timeout);
    // Both are whole milliseconds.
    if (counted - servers).abs() < 0.000_5 {
        return format!("{counted} s");
    }
    format!("{counted} s in this run; the server's is {servers} s")
}

fn with_outcome(story: &Story, outcome: SessionOutcome) -> Vec<String> {
    let those = story.sessions.iter().filter(|session| session.outcome == outcome);
    those.map(|session| session.name.clone()).collect()
}

/// As a sentence begins.
pub(super) fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

/// Writing to a String cannot fail.
fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(more);
}

fn join(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
