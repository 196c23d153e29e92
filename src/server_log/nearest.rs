//! Which scenario of the catalogue a deadlock is most like.

use crate::report::Report;
use crate::report::sql::words;
use crate::scenario::catalogue::Scenario;
use crate::scenario::effect::{Effect, Failure};
use crate::scenario::lock::Isolation;
use crate::scenario::sql::end_of_transaction;

/// How much each likeness counts. What the sessions were doing says most; then what kind of lock it was about; then how
/// many they were.
const DEED: u32 = 4;
const RELATION: u32 = 2;
const NUMBER: u32 = 1;
/// Of two, that is likelier in which nothing else happens than what the log shows: no other kind of statement, …
const PURE: u32 = 2;
/// … and no savepoint.
const BESIDES: u32 = 1;

/// What a session was doing when it waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Update,
    Delete,
    Insert,
    InsertOrElse,
    LockRows,
    Read,
    Commit,
    Advisory,
    AlterTable,
    Truncate,
    LockTable,
    Other,
}

impl Deed {
    fn of(sql: &str) -> Self {
        if end_of_transaction(sql).is_some() {
            return Self::Commit;
        }
        let words = words(sql);
        let has = |word: &str| words.iter().any(|other| other == word);
        match words.first().map_or("", String::as_str) {
            _ if words.iter().any(|word| word.starts_with("PG_ADVISORY")) => Self::Advisory,
            "UPDATE" => Self::Update,
            "DELETE" => Self::Delete,
            "INSERT" if has("CONFLICT") => Self::InsertOrElse,
            "INSERT" => Self::Insert,
            "SELECT" | "WITH" | "TABLE" if has("FOR") && (has("UPDATE") || has("SHARE")) => Self::LockRows,
            "WITH" if has("UPDATE") => Self::Update,
            "SELECT" | "WITH" | "TABLE" => Self::Read,
            "ALTER" | "DROP" | "CREATE" | "REINDEX" => Self::AlterTable,
            "TRUNCATE" => Self::Truncate,
            "LOCK" => Self::LockTable,
            _ => Self::Other,
        }
    }

    /// Whether it waits for a lock on a whole table.
    fn is_of_tables(self) -> bool {
        matches!(self, Self::AlterTable | Self::Truncate | Self::LockTable | Self::Read)
    }
}

/// What is compared.
struct Traits {
    deeds: Vec<Deed>,
    of_tables: bool,
    sessions: usize,
    savepoints: bool,
    pure: bool,
}

/// The scenario that a deadlock is most like, if one is like it at all; of equals, the first.
#[must_use]
pub fn nearest<'s>(report: &Report, catalogue: &'s [Scenario]) -> Option<&'s Scenario> {
    let wanted = of_report(report);
    let scored = catalogue.iter().filter_map(|scenario| {
        let best = deadlocks(scenario).filter_map(|order| likeness(&wanted, &of_scenario(scenario, order))).max()?;
        Some((best, scenario))
    });
    let mut nearest: Option<(u32, &Scenario)> = None;
    for (score, scenario) in scored {
        if nearest.is_none_or(|(best, _)| score > best) {
            nearest = Some((score, scenario));
        }
    }
    nearest.map(|(_, scenario)| scenario)
}

fn likeness(wanted: &Traits, offered: &Traits) -> Option<u32> {
    let mut left = offered.deeds.clone();
    let mut common = 0;
    for deed in &wanted.deeds {
        if let Some(at) = left.iter().position(|other| other == deed) {
            left.remove(at);
            common += 1;
        }
    }
    if common == 0 {
        return None;
    }
    let missed = u32::try_from(wanted.deeds.len()).unwrap_or(u32::MAX).saturating_sub(common);
    let score = (common * DEED).saturating_sub(missed * DEED / 2)
        + if wanted.of_tables == offered.of_tables { RELATION } else { 0 }
        + if offered.pure { PURE } else { 0 }
        + if wanted.sessions == offered.sessions { NUMBER } else { 0 };
    Some((score + BESIDES).saturating_sub(if offered.savepoints { BESIDES } else { 0 }))
}

fn of_report(report: &Report) -> Traits {
    let statements = report.sessions.iter().filter_map(|session| session.statements.last());
    let deeds: Vec<Deed> = statements.map(|statement| Deed::of(&statement.sql)).collect();
    // The lock says it in every language: a table is a relation, and only a row's lock is another transaction's.
    let locks: Vec<&str> = report.events.iter().filter_map(|event| event.lock.as_deref()).collect();
    let of_tables = if locks.is_empty() {
        deeds.iter().any(|deed| deed.is_of_tables())
    } else {
        locks.iter().any(|lock| is_of_table(lock))
    };
    Traits { deeds, of_tables, sessions: report.sessions.len(), savepoints: false, pure: true }
}

/// The modes that only whole tables are locked in.
fn is_of_table(lock: &str) -> bool {
    let modes = ["AccessShareLock", "AccessExclusiveLock", "RowShareLock", "RowExclusiveLock"];
    let more = ["ShareUpdateExclusiveLock", "ShareRowExclusiveLock"];
    modes.iter().chain(&more).any(|mode| lock.starts_with(mode))
}

/// The orders of a scenario that end in a deadlock.
fn deadlocks(scenario: &Scenario) -> impl Iterator<Item = usize> {
    let effects = scenario.expectations.iter().map(|expectation| expectation.effect(Isolation::ReadCommitted));
    effects.enumerate().filter(|(_, effect)| effect.is_deadlock()).map(|(order, _)| order)
}

/// What each session of an order does last, COMMIT or ROLLBACK apart, unless it is COMMIT that fails.
fn of_scenario(scenario: &Scenario, order: usize) -> Traits {
    let spec = &scenario.spec;
    let at_commit = |failure: &Failure| failure.at_commit;
    let effect = scenario.expectations.get(order).map(|expectation| expectation.effect(Isolation::ReadCommitted));
    let at_commit = matches!(effect, Some(Effect::Fails(failures)) if failures.iter().any(at_commit));
    let steps: Vec<(usize, &str)> = spec
        .permutations
        .get(order)
        .into_iter()
        .flat_map(|permutation| &permutation.steps)
        .filter_map(|step| {
            let (session, index) = spec.place(&step.name)?;
            Some((session, spec.sessions.get(session)?.steps.get(index)?.sql.as_str()))
        })
        .collect();
    let last = |session: usize| {
        let own = steps.iter().filter(|(other, _)| *other == session).map(|(_, sql)| *sql);
        own.rev().find(|sql| at_commit || end_of_transaction(sql).is_none())
    };
    let deeds: Vec<Deed> = (0..spec.sessions.len()).filter_map(last).map(Deed::of).collect();
    Traits {
        of_tables: deeds.iter().any(|deed| deed.is_of_tables()),
        sessions: deeds.len(),
        pure: steps
            .iter()
            .map(|(_, sql)| Deed::of(sql))
            .all(|deed| deeds.contains(&deed) || matches!(deed, Deed::Commit | Deed::Other)),
        savepoints: steps.iter().any(|(_, sql)| words(sql).iter().any(|word| word == "SAVEPOINT")),
        deeds,
    }
}
