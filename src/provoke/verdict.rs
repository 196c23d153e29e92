//! What a provocation amounts to: the findings, each in one sentence, and the report.

use super::finding::Finding;
use super::opponent::NAME;
use super::{Provocation, Tally};
use crate::report::{Outcome, Report, SessionOutcome};

/// What only the caller knows, when everything is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Afterwards {
    /// The exception that left the block, as a reader would write it; `None` if none did.
    pub raised: Option<String>,
    /// Whether it was 40P01.
    pub raised_deadlock: bool,
    /// Whether it was 25P02, which everything but ROLLBACK meets in a transaction that was aborted.
    pub raised_aborted: bool,
    /// How often that had happened which must happen once, if that was counted.
    pub happened: Option<i64>,
}

/// The findings, the worst first, and the report that tells them.
#[must_use]
pub fn verdict(plan: &Provocation, mut tally: Tally, afterwards: &Afterwards) -> (Vec<Finding>, Report) {
    let findings = judge(&tally, afterwards);
    let outcome = outcome(&tally);
    let record = tally.record;
    let (victims, cycle) = (record.victims(), record.cycle());
    let mut sessions = record.sessions;
    for session in &mut sessions {
        let survived = tally.attempts > tally.deadlocks && afterwards.raised.is_none();
        if session.name == NAME {
            session.outcome = SessionOutcome::RolledBack;
            if session.sqlstate.as_deref() == Some("57014") {
                // It has taken its own request back.
                (session.sqlstate, session.message, session.detail, session.context) = (None, None, None, None);
            }
        } else if survived && session.outcome == SessionOutcome::DeadlockVictim {
            session.outcome = SessionOutcome::Committed;
        }
    }
    if tally.deadlocks > 0 {
        tally.notes.push(how(&tally.facts.server));
    }
    let sentences: Vec<String> = if findings.is_empty() {
        vec![survived(plan, tally.deadlocks)]
    } else {
        findings
            .iter()
            .map(|finding| sentence(*finding, plan, tally.deadlocks, tally.interruption.as_deref(), afterwards))
            .collect()
    };
    let report = Report {
        outcome,
        hidden_deadlock: false,
        victims,
        cycle,
        sessions,
        events: record.events,
        elapsed: record.elapsed,
        explanation: sentences.join(" "),
        notes: tally.notes,
        server: tally.facts.server,
    };
    (findings, report)
}

fn judge(tally: &Tally, afterwards: &Afterwards) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |finding: Finding, is_so: bool| {
        if is_so && !findings.contains(&finding) {
            findings.push(finding);
        }
    };
    let saw = |finding| tally.findings.contains(&finding);
    // A retry that is nested explains why the code gave up, or would have.
    find(Finding::NestedRetry, saw(Finding::NestedRetry) || (tally.deadlocks > 0 && afterwards.raised_aborted));
    for finding in
        [Finding::WrongOrder, Finding::OtherTransaction, Finding::Interrupted, Finding::Missed, Finding::Timeout]
    {
        find(finding, saw(finding));
    }
    // When the opponent stepped aside it may still have come there.
    find(Finding::NeverAsked, tally.attempts == 0 && !saw(Finding::Timeout));
    let died_last = tally.deadlocks > 0 && tally.attempts == tally.deadlocks;
    find(Finding::GaveUp, afterwards.raised_deadlock);
    find(Finding::Swallowed, died_last && afterwards.raised.is_none() && tally.findings.is_empty());
    if afterwards.raised.is_none() {
        find(Finding::RanTwice, afterwards.happened.is_some_and(|times| times > 1));
        find(Finding::NeverRan, afterwards.happened.is_some_and(|times| times < 1));
    }
    findings
}

fn sentence(
    finding: Finding,
    plan: &Provocation,
    deadlocks: u32,
    interruption: Option<&str>,
    afterwards: &Afterwards,
) -> String {
    let (held, wanted) = (&plan.holding.name, &plan.wanting.name);
    match finding {
        Finding::NeverAsked => format!(
            "The code never asked for {held}, which the opponent held, so it met nobody: it reads without locking, or does \
             not come there at all."
        ),
        Finding::WrongOrder => format!(
            "The code asked in an order that cannot deadlock: when it waited for {held}, it did not hold {wanted}, so the \
             opponent had that at once."
        ),
        Finding::OtherTransaction => format!(
            "No cycle could close: while the code waited for {held}, {wanted} was held in another transaction, on another \
             connection than the one that waited, as where atomic() waits for a thread. PostgreSQL cannot see that the one \
             waits for the other, so it aborts neither, and without the opponent's stepping aside they would have waited for \
             ever; take both locks in one transaction, and wait for no other thread inside atomic()."
        ),
        Finding::NestedRetry if afterwards.raised_aborted => {
            "The code tried again inside the very transaction that PostgreSQL had aborted: until its ROLLBACK every statement \
             in it meets 25P02, so the retry can never help; put the retry around the outermost atomic()."
                .to_owned()
        }
        Finding::NestedRetry => format!(
            "The code tried again inside the transaction that had been aborted in part only: an outer atomic() keeps the \
             locks that it took before the inner one began (here on {wanted}), so whoever waits for them goes on waiting, \
             and the retry can never help; put the retry around the outermost atomic()."
        ),
        Finding::Swallowed => format!(
            "The code got 40P01 {} and swallowed it: it neither tried again nor raised, so its work was lost and nobody was \
             told.",
            times(deadlocks)
        ),
        Finding::GaveUp => format!(
            "The code did not survive: it got 40P01 {}, and gave up with {}.",
            times(deadlocks),
            afterwards.raised.as_deref().unwrap_or("an exception")
        ),
        Finding::RanTwice => format!(
            "What must happen once happened {}: a side effect that is not rolled back with the transaction ran again with \
             each attempt; move it to transaction.on_commit().",
            times(count(afterwards))
        ),
        Finding::NeverRan => {
            "What must happen once did not happen: the side effect was lost with an aborted attempt.".to_owned()
        }
        Finding::Interrupted => format!(
            "The code's wait for {held} ended before PostgreSQL looked for a deadlock, with {}: lock_timeout and \
             statement_timeout must be longer than deadlock_timeout for 40P01 to come.",
            interruption.filter(|sqlstate| !sqlstate.is_empty()).unwrap_or("no error that was heard of")
        ),
        Finding::Missed => "PostgreSQL had looked for a deadlock before the opponent could close the cycle, and looks only \
                            once a wait: the machine was stalled, or deadlock_timeout is very short; run it again, or give \
                            a longer deadlock_timeout."
            .to_owned(),
        Finding::Timeout => format!(
            "The code was not through when the timeout ({} s) ran out, so the opponent stepped aside.",
            plan.timeout.as_secs_f64()
        ),
    }
}

fn survived(plan: &Provocation, deadlocks: u32) -> String {
    format!(
        "The code survived. While it waited for {}, which the opponent held, the opponent asked for {}, which the code \
         held, and PostgreSQL aborted the code with 40P01, {}; then it tried again in a new transaction, the opponent \
         stepped aside, and it got through.",
        plan.holding.name,
        plan.wanting.name,
        times(deadlocks)
    )
}

/// How it ended, as a whole.
fn outcome(tally: &Tally) -> Outcome {
    let found = |finding| tally.findings.contains(&finding);
    match tally.interruption.as_deref() {
        _ if tally.deadlocks > 0 => Outcome::Deadlock,
        Some("55P03") => Outcome::LockTimeout,
        Some("57014") => Outcome::StatementTimeout,
        _ if found(Finding::Timeout) => Outcome::Timeout,
        _ if found(Finding::OtherTransaction) => Outcome::BlockedByOutsider,
        _ if found(Finding::Interrupted) || found(Finding::Missed) => Outcome::Error,
        _ => Outcome::NoConflict,
    }
}

/// How the victim was decided.
fn how(server: &crate::report::Server) -> String {
    let timeout = server.deadlock_timeout;
    if server.may_set_deadlock_timeout {
        "The code was made the victim by the opponent's own deadlock_timeout, which is longer than everything."
            .to_owned()
    } else {
        format!(
            "The code was made the victim without any privilege: it waited first, and the cycle was closed half a \
             deadlock_timeout ({timeout} s) later, before its check."
        )
    }
}

fn count(afterwards: &Afterwards) -> u32 {
    afterwards.happened.and_then(|times| u32::try_from(times).ok()).unwrap_or_default()
}

fn times(count: u32) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}
