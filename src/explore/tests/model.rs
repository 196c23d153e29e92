//! A server in memory: rows with locks of four strengths, first come first served; the last to close a cycle is aborted.
//! It can be told to serve whoever comes first to the counter instead, as PostgreSQL does.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use crate::explore::{Execution, Footprint, Limits, Lock, Mode, Object, RowLock, Rows, Search, Statistics, Waits};

/// Which row a step wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Row(usize),
    /// It depends on what the session has read.
    AsRead,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Read(Target),
    /// Locks rows one after the other, and reads them.
    Lock(Vec<Target>, RowLock),
    /// Locks rows one after the other, and changes each as soon as it has it.
    Write(Vec<Target>),
    Commit,
    Rollback,
    /// Reads nothing and locks nothing.
    Think,
}

pub(super) const ROWS: usize = 4;
pub(super) type Program = Vec<Vec<Op>>;

/// What a whole schedule comes to: the rows, and for each session what it has seen and whether it was aborted.
pub(super) type Outcome = (Vec<u64>, Vec<(u64, bool)>);

#[derive(Clone, Debug, Default)]
struct Session {
    place: usize,
    seen: u64,
    held: BTreeMap<usize, RowLock>,
    written: BTreeMap<usize, u64>,
    /// The rows that the current step still wants; it waits for the first.
    pending: Option<(Vec<usize>, RowLock, bool)>,
    aborted: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Server {
    program: Program,
    rows: Vec<u64>,
    sessions: Vec<Session>,
    /// By row, who waits for it, first come first.
    queues: Vec<Vec<(usize, RowLock)>>,
    /// What the current release has touched, and who took part.
    footprint: Footprint,
    involved: BTreeSet<usize>,
    failed: BTreeSet<usize>,
    /// Who is woken is left to chance.
    chance: Option<Rng>,
}

fn mix(one: u64, other: u64) -> u64 {
    (one ^ other.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(23).wrapping_mul(0xff51_afd7_ed55_8ccd)
}

fn cell(row: usize) -> (String, Rows) {
    (format!("t{}", row / 2), Rows::one(row.to_string()))
}

fn locked(row: usize, lock: RowLock) -> (Object, Lock) {
    let (table, rows) = cell(row);
    (Object::Rows(table, rows), Lock::Row(lock))
}

impl Server {
    pub(super) fn new(program: &Program) -> Self {
        Self {
            program: program.clone(),
            rows: (1..=ROWS as u64).collect(),
            sessions: vec![Session::default(); program.len()],
            queues: vec![Vec::new(); ROWS],
            footprint: Footprint::default(),
            involved: BTreeSet::new(),
            failed: BTreeSet::new(),
            chance: None,
        }
    }

    /// One that lets in whoever comes first, of those that it has woken.
    pub(super) fn unfair(program: &Program, chance: &mut Rng) -> Self {
        Self { chance: Some(chance.fork()), ..Self::new(program) }
    }

    pub(super) fn waits(&self) -> Waits {
        let waiting = (0..self.sessions.len()).filter(|&id| self.sessions[id].pending.is_some());
        let ahead = waiting.map(|id| (id, self.waits_for(id).into_iter().collect())).collect();
        Waits { ahead, failed: self.failed.clone(), ..Waits::default() }
    }

    pub(super) fn gates(&self) -> Vec<Option<String>> {
        let gate = |(session, ops): (&Session, &Vec<Op>)| {
            let free = session.pending.is_none() && !session.aborted;
            ops.get(session.place).filter(|_| free).map(|op| format!("{op:?}"))
        };
        self.sessions.iter().zip(&self.program).map(gate).collect()
    }

    pub(super) fn outcome(&self) -> Outcome {
        assert!(self.sessions.iter().all(|session| session.pending.is_none()), "somebody waits for ever: {self:?}");
        (self.rows.clone(), self.sessions.iter().map(|session| (session.seen, session.aborted)).collect())
    }

    /// Releases a session's step; who took part, and what they touched.
    pub(super) fn release(&mut self, id: usize) -> (BTreeSet<usize>, Footprint) {
        self.footprint = Footprint::default();
        self.involved = BTreeSet::from([id]);
        self.failed.clear();
        let op = self.program[id][self.sessions[id].place].clone();
        match op {
            Op::Think => self.sessions[id].place += 1,
            Op::Read(target) => {
                let row = self.row(id, target);
                self.read(id, row);
                self.sessions[id].place += 1;
            }
            Op::Lock(targets, lock) => self.want(id, &targets, lock, false),
            Op::Write(targets) => self.want(id, &targets, RowLock::NoKeyUpdate, true),
            Op::Commit => {
                for (row, value) in std::mem::take(&mut self.sessions[id].written) {
                    self.rows[row] = value;
                    self.footprint.publishes.insert(cell(row));
                }
                self.let_go(id);
                self.sessions[id].place += 1;
            }
            Op::Rollback => {
                self.let_go(id);
                self.sessions[id].place += 1;
            }
        }
        self.wake();
        (std::mem::take(&mut self.involved), std::mem::take(&mut self.footprint))
    }

    fn row(&self, id: usize, target: Target) -> usize {
        match target {
            Target::Row(row) => row,
            Target::AsRead => usize::try_from(self.sessions[id].seen >> 32).unwrap() % ROWS,
        }
    }

    fn read(&mut self, id: usize, row: usize) {
        let value = self.sessions[id].written.get(&row).copied();
        if value.is_none() {
            self.footprint.reads.insert(cell(row));
        }
        let session = &mut self.sessions[id];
        session.seen = mix(session.seen, value.unwrap_or(self.rows[row]));
    }

    fn want(&mut self, id: usize, targets: &[Target], lock: RowLock, write: bool) {
        let rows = targets.iter().map(|&target| self.row(id, target)).collect();
        self.sessions[id].pending = Some((rows, lock, write));
        self.go_on(id);
    }

    fn free_for(&self, id: usize, row: usize, lock: RowLock) -> bool {
        self.in_the_way(id, row, lock).is_empty()
    }

    /// Who holds a conflicting lock.
    fn holders(&self, id: usize, row: usize, lock: RowLock) -> impl Iterator<Item = usize> + '_ {
        let holds = move |session: &Session| session.held.get(&row).is_some_and(|held| held.conflicts(lock));
        self.sessions
            .iter()
            .enumerate()
            .filter(move |(other, session)| *other != id && holds(session))
            .map(|(id, _)| id)
    }

    /// Who holds a conflicting lock or asked for one before.
    fn in_the_way(&self, id: usize, row: usize, lock: RowLock) -> Vec<usize> {
        let holders = self.holders(id, row, lock);
        let ahead = self.queues[row].iter().take_while(|(other, _)| *other != id);
        let ahead = ahead.filter(|(_, wanted)| wanted.conflicts(lock)).map(|(other, _)| *other);
        holders.chain(ahead).collect()
    }

    /// Takes what the session's step wants, until it has to wait.
    fn go_on(&mut self, id: usize) {
        while let Some((rows, lock, write)) = self.sessions[id].pending.clone() {
            let Some(&row) = rows.first() else {
                self.sessions[id].pending = None;
                self.sessions[id].place += 1;
                return;
            };
            let held = self.sessions[id].held.get(&row).copied();
            if held.is_none_or(|held| held < lock) {
                self.footprint.takes.insert(locked(row, lock));
                if !self.free_for(id, row, lock) {
                    self.footprint.reads.insert(cell(row));
                    self.queues[row].push((id, lock));
                    self.footprint.waits.insert(id, self.reach(id));
                    let cycle = self.cycle(id);
                    if !cycle.is_empty() {
                        // Had one of these not waited, there would be no cycle.
                        self.involved.extend(cycle);
                        self.abort(id);
                    }
                    return;
                }
                self.sessions[id].held.insert(row, lock);
            }
            self.read(id, row);
            if write {
                let value = mix(self.sessions[id].seen, row as u64);
                self.sessions[id].written.insert(row, value);
            }
            self.sessions[id].pending = Some((rows[1..].to_vec(), lock, write));
        }
    }

    fn waits_for(&self, id: usize) -> Vec<usize> {
        let Some((rows, lock, _)) = &self.sessions[id].pending else { return Vec::new() };
        rows.first().map(|&row| self.in_the_way(id, row, *lock)).unwrap_or_default()
    }

    /// Everybody whom a session waits for, and whom those wait for, and so on.
    fn reach(&self, id: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut ahead = self.waits_for(id);
        while let Some(other) = ahead.pop() {
            if seen.insert(other) {
                ahead.extend(self.waits_for(other));
            }
        }
        seen
    }

    /// The sessions that wait for this one and for which it waits.
    fn cycle(&self, id: usize) -> Vec<usize> {
        self.reach(id).into_iter().filter(|&other| self.reach(other).contains(&id)).collect()
    }

    fn abort(&mut self, id: usize) {
        for queue in &mut self.queues {
            queue.retain(|(other, _)| *other != id);
        }
        self.sessions[id].pending = None;
        self.sessions[id].aborted = true;
        self.failed.insert(id);
        self.let_go(id);
    }

    fn let_go(&mut self, id: usize) {
        self.sessions[id].written.clear();
        for (row, lock) in std::mem::take(&mut self.sessions[id].held) {
            self.footprint.frees.insert(locked(row, lock));
            self.crowd(row);
        }
    }

    /// Those for whom a row is free now come to the counter in any order. Nobody passes one who is still behind a holder.
    fn crowd(&mut self, row: usize) {
        let (mut woken, mut others) = (Vec::new(), Vec::<(usize, RowLock)>::new());
        for &(id, lock) in &self.queues[row] {
            let is_free = self.holders(id, row, lock).next().is_none();
            let is_behind = others.iter().any(|(_, wanted)| wanted.conflicts(lock));
            if is_free && !is_behind { woken.push((id, lock)) } else { others.push((id, lock)) }
        }
        if let Some(chance) = &mut self.chance {
            chance.shuffle(&mut woken);
            self.queues[row] = woken.into_iter().chain(others).collect();
        }
    }

    /// Whoever can go on now does.
    fn wake(&mut self) {
        let next = |server: &Self| {
            server.queues.iter().enumerate().find_map(|(row, queue)| {
                let (id, lock) = *queue.iter().find(|(id, lock)| server.free_for(*id, row, *lock))?;
                Some((row, id, lock))
            })
        };
        while let Some((row, id, lock)) = next(self) {
            self.queues[row].retain(|(other, _)| *other != id);
            self.involved.insert(id);
            // All of the step happens again as far as others are concerned.
            self.footprint.takes.insert(locked(row, lock));
            self.footprint.reads.insert(cell(row));
            self.sessions[id].held.insert(row, lock);
            self.go_on(id);
        }
    }
}

/// What a search comes to on a program.
pub(super) struct Explored {
    pub(super) outcomes: BTreeSet<Outcome>,
    pub(super) executions: Vec<(Execution, Outcome)>,
    pub(super) statistics: Statistics,
    pub(super) complete: bool,
}

pub(super) fn explore(program: &Program, mode: Mode) -> Explored {
    explore_within(program, mode, Limits::default())
}

pub(super) fn explore_within(program: &Program, mode: Mode, limits: Limits) -> Explored {
    explore_on(program, mode, limits, || Server::new(program))
}

pub(super) fn explore_on(
    program: &Program,
    mode: Mode,
    limits: Limits,
    mut server: impl FnMut() -> Server,
) -> Explored {
    let mut search = Search::new(program.len(), mode, limits);
    let mut executions = Vec::new();
    'schedules: while search.begin() {
        let mut server = server();
        while let Some(id) = search.choose(&server.gates()).unwrap() {
            let (involved, footprint) = server.release(id);
            if let Err(overtaken) = search.observe(involved, footprint, &server.waits()) {
                assert!(search.again(Some(overtaken)), "{overtaken:?}");
                continue 'schedules;
            }
        }
        executions.push((search.end(), server.outcome()));
    }
    Explored {
        outcomes: executions.iter().map(|(_, outcome)| outcome.clone()).collect(),
        executions,
        statistics: search.statistics(),
        complete: search.is_complete(),
    }
}

/// Every order there is, without the search: outcome and preemptions of each.
pub(super) fn all_orders(program: &Program) -> Vec<(Outcome, usize, Vec<usize>)> {
    let mut all = Vec::new();
    let mut open = vec![(Server::new(program), 0, Vec::<usize>::new())];
    while let Some((server, preemptions, order)) = open.pop() {
        let gates = server.gates();
        let enabled: Vec<usize> = (0..gates.len()).filter(|&id| gates[id].is_some()).collect();
        if enabled.is_empty() {
            all.push((server.outcome(), preemptions, order));
            continue;
        }
        for &id in &enabled {
            let interrupts = order.last().is_some_and(|last| *last != id && enabled.contains(last));
            let mut then = server.clone();
            then.release(id);
            let order = order.iter().copied().chain([id]).collect();
            open.push((then, preemptions + usize::from(interrupts), order));
        }
    }
    all
}
