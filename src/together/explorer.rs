//! The search as a schedule: asks it at every choice, and learns from the server what each step touched.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::schedule::{Board, Decision, Foothold, HeldLock, Schedule, Standing};
use crate::engine::{SessionId, Step, StepKind};
use crate::explore::{Diverged, Footprint, Lock, Object, RowLock, Rows, Search, TableLock};

/// Tables whose rows are checked against each other at COMMIT: a deferrable foreign key's own, and the one it refers to.
pub type Deferred = [(String, String)];

/// Runs one schedule of a search.
pub struct Explorer<'a> {
    search: &'a mut Search,
    deferred: &'a Deferred,
    /// Steps are known to be those of READ COMMITTED transactions.
    read_committed: bool,
    /// What each session's last released step was.
    steps: Vec<Option<Step>>,
    /// What each held when all had settled last, and whether it waited.
    before: Vec<Foothold>,
    waited: Vec<bool>,
    pending: Option<usize>,
    now: Option<(Vec<Standing>, Vec<Foothold>)>,
    events: usize,
    first_failure: Option<usize>,
    diverged: Option<Diverged>,
}

impl<'a> Explorer<'a> {
    /// The next schedule of a search that has begun it.
    pub fn new(search: &'a mut Search, sessions: usize, deferred: &'a Deferred, read_committed: bool) -> Self {
        Self {
            search,
            deferred,
            read_committed,
            steps: vec![None; sessions],
            before: vec![Foothold::default(); sessions],
            waited: vec![false; sessions],
            pending: None,
            now: None,
            events: 0,
            first_failure: None,
            diverged: None,
        }
    }

    /// The run is over: what its last step came to is taken down.
    pub fn finish(&mut self) {
        let none = vec![Foothold::default(); self.steps.len()];
        let left = vec![Standing::Left; self.steps.len()];
        if self.pending.is_some() {
            self.observe(&left, none);
        }
    }

    /// The event at which something failed first.
    #[must_use]
    pub fn first_failure(&self) -> Option<usize> {
        self.first_failure
    }

    /// Where the sessions went another way than before.
    pub fn take_diverged(&mut self) -> Option<Diverged> {
        self.diverged.take()
    }

    fn observe(&mut self, standings: &[Standing], now: Vec<Foothold>) {
        let Some(chosen) = self.pending.take() else { return };
        let waits = |session: usize| matches!(standings.get(session), Some(Standing::Waiting { .. }));
        let mut involved = BTreeSet::from([chosen]);
        involved.extend((0..self.steps.len()).filter(|&session| self.waited[session] && !waits(session)));
        let mut footprint = Footprint::default();
        for &session in &involved {
            footprint.join(self.touched(session, waits(session), &now));
        }
        if !footprint.frees.is_empty() {
            // Whose wait was for one of these has something else to wait for now.
            let changed = |session: &usize| self.before[*session].blocked_by.iter().any(|on| involved.contains(on));
            let others: Vec<usize> = (0..self.steps.len()).filter(|&session| waits(session)).filter(changed).collect();
            involved.extend(others);
        }
        if self.first_failure.is_none() && involved.iter().any(|&session| now[session].failed && !waits(session)) {
            self.first_failure = Some(self.events);
        }
        self.events += 1;
        self.search.observe(involved, footprint);
        self.waited = (0..self.steps.len()).map(waits).collect();
        self.before = now;
    }

    /// What a session's step has touched: by the locks that it holds now and held before.
    fn touched(&self, session: usize, waits: bool, now: &[Foothold]) -> Footprint {
        let Some(step) = &self.steps[session] else { return Footprint::unknown() };
        let (before, after) = (&self.before[session].locks, &now[session].locks);
        let failed = now[session].failed && !waits;
        let ends = matches!(step.kind, StepKind::Commit | StepKind::Rollback) && !waits;
        let mut footprint = Footprint { frees: locks_of(before), ..Footprint::default() };
        if failed || !self.read_committed || step.kind == StepKind::Alone || is_opaque(&step.sql) {
            footprint.unknown = true;
            return footprint;
        }
        if waits {
            footprint.waits = BTreeMap::from([(session, reach(session, now))]);
        }
        let written = before.iter().filter(|lock| lock.mode == "RowExclusiveLock").map(|lock| lock.object.clone());
        let written: BTreeSet<String> = written.collect();
        if step.kind == StepKind::Commit {
            footprint.publishes = written.iter().map(|table| (table.clone(), Rows::All)).collect();
            for other in self.deferred.iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
                if written.contains(other.0) {
                    footprint.takes.insert(rows_of(other.1, RowLock::KeyShare));
                    footprint.reads.insert((other.1.clone(), Rows::All));
                }
            }
        }
        if !ends {
            footprint.takes.extend(locks_of(after));
            footprint.reads.extend(after.iter().map(|lock| (lock.object.clone(), Rows::All)));
            // What a savepoint's end has let go.
            let kept = locks_of(after);
            footprint.frees.retain(|lock| !kept.contains(lock));
        }
        footprint
    }
}

impl Schedule for Explorer<'_> {
    fn next(&mut self, board: &Board) -> Decision {
        if self.diverged.is_some() {
            return Decision::GiveUp;
        }
        if self.pending.is_some() {
            let Some((standings, footholds)) = self.now.take().filter(|(seen, _)| *seen == board.standings) else {
                return Decision::Look;
            };
            let stuck = (0..footholds.len()).any(|session| reach(session, &footholds).contains(&session));
            if stuck || board.first_at_gate().is_none() {
                // The server has a deadlock to resolve, or will let somebody go on.
                return Decision::Rest;
            }
            self.observe(&standings, footholds);
        }
        let gate = |standing: &Standing| match standing {
            Standing::AtGate(step) => Some(label(step)),
            _ => None,
        };
        let gates: Vec<Option<String>> = board.standings.iter().map(gate).collect();
        match self.search.choose(&gates) {
            Ok(Some(session)) => {
                if let Some(Standing::AtGate(step)) = board.standings.get(session) {
                    self.steps[session] = Some(step.clone());
                }
                self.pending = Some(session);
                Decision::Release(SessionId(session))
            }
            Ok(None) => Decision::Rest,
            Err(diverged) => {
                self.diverged = Some(diverged);
                Decision::GiveUp
            }
        }
    }

    fn see(&mut self, board: &Board, footholds: Vec<Foothold>) {
        self.now = Some((board.standings.clone(), footholds));
    }
}

/// Everybody whom a session waits for, and whom those wait for.
fn reach(session: usize, footholds: &[Foothold]) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut ahead = footholds[session].blocked_by.clone();
    while let Some(other) = ahead.pop() {
        if seen.insert(other) {
            ahead.extend(&footholds[other].blocked_by);
        }
    }
    seen
}

/// A statement without its parameters, which may well differ from run to run.
fn label(step: &Step) -> String {
    step.sql.split(" -- ").next().unwrap_or_default().to_owned()
}

/// Whether a statement may depend on a lock that it neither takes nor waits for.
fn is_opaque(sql: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    sql.contains("try_advisory") || sql.contains("isolation level") || sql.contains("pg_notify")
}

fn rows_of(table: &str, lock: RowLock) -> (Object, Lock) {
    (Object::Rows(table.to_owned(), Rows::All), Lock::Row(lock))
}

fn locks_of(held: &[HeldLock]) -> BTreeSet<(Object, Lock)> {
    let mut locks = BTreeSet::new();
    for lock in held {
        let mode = TableLock::named(&lock.mode).unwrap_or(TableLock::AccessExclusive);
        locks.insert((Object::Whole(lock.object.clone()), Lock::Table(mode)));
        if lock.of_relation && matches!(mode, TableLock::RowShare | TableLock::RowExclusive) {
            locks.insert(rows_of(&lock.object, RowLock::Update));
        }
    }
    locks
}
