//! The search as a schedule: asks it at every choice, and learns from the server what each step touched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::label::{label, wanted};
use super::ledger::Ledger;
use super::lore::Lore;
use super::manner::Manner;
use super::order::Route;
use super::strayed::Strayed;
use crate::engine::schedule::{Board, Decision, Foothold, HeldLock, Schedule, Standing};
use crate::engine::{Reach, SessionId, Step, StepKind};
use crate::explore::{Footprint, Search, Waits};
use crate::report::{SessionReport, Statement};

/// A session that tells when the server has looked for a deadlock is waited for, unless it is silent for so long.
const CHECK_PATIENCE: Duration = Duration::from_secs(1);

/// Runs one schedule of a search.
pub struct Explorer<'a> {
    search: &'a mut Search,
    lore: &'a mut Lore,
    /// How long a wait is left alone whose session does not tell that the server has looked for a deadlock around it.
    pause: Duration,
    /// What each session's last released step was, and what its transaction has done.
    steps: Vec<Option<Step>>,
    ledgers: Vec<Ledger>,
    /// Who has changed its session, so that names may mean other tables.
    unsettled: Vec<bool>,
    /// What the server said last, if it was asked after the last event; and who waited then.
    before: Vec<Foothold>,
    waited: Vec<bool>,
    /// The isolation level of each session's transactions, where it was told.
    levels: Vec<Option<String>>,
    pending: Option<usize>,
    now: Option<(Vec<Standing>, Vec<Foothold>)>,
    events: usize,
    first_failure: Option<usize>,
    strayed: Option<Strayed>,
    /// The order that must be followed, if one was asked for.
    route: Option<Route>,
    written: BTreeSet<String>,
    unbounded: bool,
}

impl<'a> Explorer<'a> {
    /// The next schedule of a search that has begun it.
    pub fn new(search: &'a mut Search, lore: &'a mut Lore, sessions: usize, pause: Duration) -> Self {
        Self {
            search,
            lore,
            pause,
            steps: vec![None; sessions],
            ledgers: vec![Ledger::default(); sessions],
            unsettled: vec![false; sessions],
            before: vec![Foothold::default(); sessions],
            waited: vec![false; sessions],
            levels: vec![None; sessions],
            pending: None,
            now: None,
            events: 0,
            first_failure: None,
            strayed: None,
            route: None,
            written: BTreeSet::new(),
            unbounded: false,
        }
    }

    /// Gives up where the search's own order cannot be followed.
    #[must_use]
    pub fn following(self, route: Option<Route>) -> Self {
        Self { route, ..self }
    }

    /// Where the order could not be followed, and why; `ended`: everybody has.
    #[must_use]
    pub fn trouble(&mut self, ended: bool) -> Option<&str> {
        let route = self.route.as_mut().filter(|_| self.strayed.is_none())?;
        if ended {
            route.end();
        }
        route.trouble()
    }

    /// The run is over: what its last step came to is taken down.
    pub fn finish(&mut self, told: &[SessionReport]) {
        if self.strayed.is_some() {
            return;
        }
        let sessions = self.steps.len();
        let began = Instant::now();
        let last = |session: &SessionReport| session.statements.last().cloned();
        let end = |session| last(session)?.finished.and_then(|at| Duration::try_from_secs_f64(at).ok());
        let is_refused = |last: &Statement| last.sqlstate.is_some() || last.finished.is_none();
        let board = Board {
            standings: vec![Standing::Left; sessions],
            finished: told.iter().map(|session| Some(began + end(session)?)).collect(),
            failed: told.iter().map(|session| last(session).is_some_and(|last| is_refused(&last))).collect(),
            isolation: self.levels.clone(),
        };
        self.observe(&board, vec![Foothold::default(); sessions], false);
    }

    /// The event at which something failed first.
    #[must_use]
    pub fn first_failure(&self) -> Option<usize> {
        self.first_failure
    }

    /// Where the run has left its way.
    pub fn take_strayed(&mut self) -> Option<Strayed> {
        self.strayed.take()
    }

    /// The tables and sequences that the run has written, if that is known.
    #[must_use]
    pub fn written(&self) -> Option<Vec<String>> {
        (!self.unbounded).then(|| self.written.iter().cloned().collect())
    }

    /// Whether the server must be asked what the last event has touched.
    fn must_look(&self, board: &Board, chosen: usize) -> bool {
        let someone = board.standings.iter().any(waits) || self.waited.contains(&true);
        someone
            || self.steps[chosen].as_ref().is_some_and(|step| {
                let ends = matches!(step.kind, StepKind::Commit | StepKind::Rollback);
                let label = label(step);
                let known = self.reach(chosen, step).is_some() && self.lore.trusted.contains(&label);
                !ends && !known && self.lore.manner(step) != Manner::Silent && !board.failed[chosen]
            })
    }

    /// All that a step touches, where that is known beforehand.
    fn reach<'s>(&self, session: usize, step: &'s Step) -> Option<&'s [Reach]> {
        let known = step.reach.as_deref()?;
        (!self.unsettled[session] && !self.lore.mistrusted.contains(&label(step))).then_some(known)
    }

    fn observe(&mut self, board: &Board, now: Vec<Foothold>, looked: bool) {
        let Some(chosen) = self.pending.take() else { return };
        let waiting: Vec<bool> = board.standings.iter().map(waits).collect();
        let mut involved = BTreeSet::from([chosen]);
        involved.extend((0..self.steps.len()).filter(|&session| self.waited[session] && !waiting[session]));
        let mut footprint = Footprint::default();
        for &session in &involved {
            let failed = board.failed[session] && !waiting[session];
            let isolation = board.isolation[session].as_deref();
            footprint.join(self.touched(session, (waiting[session], failed), isolation, &now, looked));
            if self.first_failure.is_none() && failed {
                self.first_failure = Some(self.events);
            }
        }
        if !footprint.frees.is_empty() {
            // Whose wait was for one of these has something else to wait for now.
            let changed = |session: &usize| self.before[*session].blocked_by.iter().any(|on| involved.contains(on));
            let others: Vec<usize> =
                (0..self.steps.len()).filter(|&session| waiting[session]).filter(changed).collect();
            involved.extend(others);
        }
        self.events += 1;
        let waits = self.waits(board, &waiting, &now);
        if let Err(overtaken) = self.search.observe(involved, footprint, &waits) {
            self.stray(Strayed::Overtaken(overtaken));
        }
        self.waited = waiting;
        self.before = now;
    }

    /// Who waits for whom now, and who has waited and how that ended.
    fn waits(&self, board: &Board, waiting: &[bool], now: &[Foothold]) -> Waits {
        let sessions = 0..self.steps.len();
        let ahead = sessions.clone().filter(|&session| waiting[session]);
        let released = || sessions.clone().filter(|&session| self.waited[session] && !waiting[session]);
        let alone = |session: &usize| {
            !board.failed[*session] && self.steps[*session].as_ref().is_some_and(|step| step.kind == StepKind::Alone)
        };
        let mut through: Vec<usize> = released().filter(alone).collect();
        through.sort_by_key(|&session| board.finished[session]);
        Waits {
            ahead: ahead.map(|session| (session, now[session].blocked_by.iter().copied().collect())).collect(),
            unqueued: (0..waiting.len()).filter(|&session| waiting[session] && !now[session].queued).collect(),
            through,
            failed: released().filter(|&session| board.failed[session]).collect(),
        }
    }

    /// What comes now is no part of the search.
    fn stray(&mut self, strayed: Strayed) {
        self.strayed = Some(strayed);
        self.unbounded = true;
    }

    /// What a session's step has touched, and what its transaction comes to by it.
    fn touched(
        &mut self,
        session: usize,
        (waits, failed): (bool, bool),
        isolation: Option<&str>,
        now: &[Foothold],
        looked: bool,
    ) -> Footprint {
        let Some(step) = self.steps[session].clone() else { return Footprint::unknown() };
        let held = &now[session].locks;
        let mut reach = self.reach(session, &step).map(<[Reach]>::to_vec);
        let mut ledger = std::mem::take(&mut self.ledgers[session]);
        if let Some(known) = reach.as_ref().filter(|_| looked && !failed && step.kind != StepKind::Alone) {
            if ledger.goes_beyond(held, known) {
                self.lore.mistrusted.insert(label(&step));
                reach = None;
            } else if !waits {
                self.lore.trusted.insert(label(&step));
            }
        }
        let manner = self.lore.manner(&step);
        if manner == Manner::Opaque {
            ledger.opaque = true;
            self.unsettled[session] = true;
        }
        let mut footprint = match (step.kind, reach) {
            (StepKind::Commit, _) if !waits && !failed => std::mem::take(&mut ledger).commit(&self.lore.deferred),
            (StepKind::Rollback, _) if !waits => {
                Footprint { frees: std::mem::take(&mut ledger).taken(), ..Footprint::default() }
            }
            (StepKind::Alone, Some(reach)) => {
                self.written.extend(reach.iter().map(|one| one.table.clone()));
                self.lore.trusted.insert(label(&step));
                Ledger::alone(&reach, waits)
            }
            (StepKind::Alone, None) => {
                self.unbounded = true;
                Footprint::unknown()
            }
            (_, Some(reach)) => ledger.reach(&reach),
            (_, None) if manner == Manner::Silent => Footprint::default(),
            (StepKind::Commit, None) if waits => ledger.commit(&self.lore.deferred),
            (_, None) => {
                self.unbounded |= failed;
                let mut footprint = ledger.locks(held);
                for lock in held.iter().filter(|lock| self.lore.sequences.contains(&lock.object)) {
                    footprint.reads_at_once(&lock.object);
                }
                if manner == Manner::Undoing {
                    footprint.frees.extend(ledger.taken());
                }
                footprint
            }
        };
        self.unbounded |= ledger.opaque || manner == Manner::Opaque;
        self.written.extend(ledger.written().cloned());
        if waits {
            footprint.waits = BTreeMap::from([(session, reach_of(session, now))]);
        }
        match isolation {
            Some("read committed" | "read uncommitted") => {}
            // Its snapshot is of the time of its first statement.
            Some("repeatable read") => footprint.reads_all = true,
            Some("serializable") => {
                footprint.reads_all = true;
                footprint.serializable = true;
            }
            _ => footprint.unknown = true,
        }
        let guarded = |lock: &HeldLock| {
            lock.of_relation && lock.mode != "AccessShareLock" && self.lore.guarded.contains(&lock.object)
        };
        footprint.unknown |= failed || manner == Manner::Opaque || held.iter().any(guarded);
        self.ledgers[session] = ledger;
        footprint
    }

    /// Until when nothing is released, so that whoever closes a cycle is the one who is aborted: the server looks for a
    /// deadlock once around each wait, and does so before.
    fn hold(&self, board: &Board) -> Option<Instant> {
        let alive = board.standings.iter().filter(|standing| **standing != Standing::Left).count();
        let until = board.standings.iter().enumerate().filter_map(|(session, standing)| match *standing {
            // Of two, one that has locked nothing is in nobody's way.
            Standing::Waiting { .. } if alive <= 2 && !self.is_in_the_way(session) => None,
            Standing::Waiting { seen, checked: Some(false), .. } => Some(seen + CHECK_PATIENCE),
            Standing::Waiting { seen, checked: None, .. } => Some(seen + self.pause),
            _ => None,
        });
        until.max().filter(|until| *until > Instant::now())
    }

    fn is_in_the_way(&self, session: usize) -> bool {
        let strong = |mode: &str| !matches!(mode, "AccessShareLock" | "RowShareLock" | "RowExclusiveLock");
        let held = &self.before[session];
        held.numbered || held.locks.iter().any(|lock| !lock.of_relation || strong(&lock.mode))
    }
}

impl Schedule for Explorer<'_> {
    fn next(&mut self, board: &Board) -> Decision {
        match &self.strayed {
            Some(strayed) if strayed.is_of_the_code() => return Decision::GiveUp,
            // It is sooner over when nobody is cut off.
            Some(_) => return board.first_at_gate().map_or(Decision::Rest, Decision::Release),
            None => {}
        }
        self.levels.clone_from(&board.isolation);
        if let Some(chosen) = self.pending {
            if self.must_look(board, chosen) {
                let Some((_, footholds)) = self.now.take().filter(|(seen, _)| same(seen, &board.standings)) else {
                    return Decision::Look;
                };
                let stuck = (0..footholds.len()).any(|session| reach_of(session, &footholds).contains(&session));
                if stuck || board.first_at_gate().is_none() && board.standings.iter().any(waits) {
                    // The server has a deadlock to resolve, or will let somebody go on.
                    return Decision::Rest;
                }
                self.observe(board, footholds, true);
            } else {
                self.observe(board, vec![Foothold::default(); self.steps.len()], false);
            }
            if self.strayed.is_some() {
                return self.next(board);
            }
        }
        if board.first_at_gate().is_some()
            && let Some(until) = self.hold(board)
        {
            return Decision::HoldUntil(until);
        }
        if board.first_at_gate().is_some()
            && let Some(Decision::GiveUp) = self.route.as_mut().and_then(|route| route.next(board))
        {
            return Decision::GiveUp;
        }
        let gate = |standing: &Standing| match standing {
            Standing::AtGate(step) => Some(wanted(step)),
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
                self.stray(Strayed::Diverged(diverged));
                self.next(board)
            }
        }
    }

    fn see(&mut self, board: &Board, footholds: Vec<Foothold>) {
        self.now = Some((board.standings.clone(), footholds));
    }
}

fn waits(standing: &Standing) -> bool {
    matches!(standing, Standing::Waiting { .. })
}

/// Whether everybody stands where they stood.
fn same(ones: &[Standing], others: &[Standing]) -> bool {
    ones.iter().zip(others).all(|(one, other)| one == other || waits(one) && waits(other))
}

/// Everybody whom a session waits for, and whom those wait for.
fn reach_of(session: usize, footholds: &[Foothold]) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut ahead = footholds[session].blocked_by.clone();
    while let Some(other) = ahead.pop() {
        if seen.insert(other) {
            ahead.extend(&footholds[other].blocked_by);
        }
    }
    seen
}
