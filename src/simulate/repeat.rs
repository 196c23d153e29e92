//! The same deadlock many times, by one *job* or by several at once. A job has connections, threads and scratch rows of
//! its own, and keeps them from one run to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::options::{Checked, Options};
use super::{ATTEMPTS, Simulation, check_room};
use crate::connection::conninfo::Conninfo;
use crate::connection::{Facts, Leash, open};
use crate::engine::caller::Line;
use crate::engine::{Caller, Ending, Laps, Record, Script, supervise};
use crate::error::Error;
use crate::report::SessionOutcome;

/// Runs [`simulate_deadlock`](super::simulate_deadlock) `times` times, `jobs` of them at once, and hands each report to
/// the caller. `options.timeout` is for each run.
///
/// Fails at once when a run could not be watched to its end; the reports until then have been handed over.
pub fn repeat_deadlock(
    conninfo: Conninfo,
    options: &Options,
    times: usize,
    jobs: usize,
    caller: &mut dyn Caller,
) -> Result<(), Error> {
    let checked = options.check()?;
    let jobs = jobs.clamp(1, times.max(1));
    if jobs > 1 && checked.table.is_some() {
        return Err(Error::usage(
            "several jobs at once would be in each other's way on the rows of one table",
            "Leave out jobs, or use scratch rows.",
        ));
    }
    let all = All { conninfo: Arc::new(conninfo), checked, left: AtomicUsize::new(times) };
    let leash = Leash::new(None);
    supervise(caller, &leash, |line| {
        if jobs > 1 {
            // Before any of them begins: they would find out one after another.
            let mut probe = open(&all.conninfo, &leash.at_most(all.checked.timeout))?;
            check_room(&all.checked, jobs, &Facts::gather(&mut probe, &leash.at_most(all.checked.timeout))?)?;
        }
        let lines: Vec<Line> = (0..jobs).map(|_| line.another()).collect();
        let all = &all;
        let leash = &leash;
        thread::scope(|scope| {
            let mut working = Vec::new();
            for (number, line) in lines.into_iter().enumerate() {
                let job = Job { all, is_first: number == 0, line, leash: leash.beside(all.checked.timeout) };
                let thread = thread::Builder::new()
                    .name(format!("lockstep job {}", number + 1))
                    .spawn_scoped(scope, move || job.work());
                match thread {
                    Ok(thread) => working.push(thread),
                    Err(error) => {
                        all.give_up();
                        return Err(Error::Bug { what: format!("no thread for job {}: {error}", number + 1) });
                    }
                }
            }
            let mut result = Ok(());
            for thread in working {
                let ended = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                result = result.and(ended);
            }
            result
        })
    })
}

/// What the jobs share.
struct All {
    conninfo: Arc<Conninfo>,
    checked: Checked,
    /// How many runs nobody has begun yet.
    left: AtomicUsize,
}

impl All {
    fn take_one(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// The others end with the run that they are at.
    fn give_up(&self) {
        self.left.store(0, Ordering::Relaxed);
    }
}

struct Job<'a> {
    all: &'a All,
    is_first: bool,
    line: Line,
    leash: Leash,
}

impl Job<'_> {
    fn work(self) -> Result<(), Error> {
        let result = self.run_all();
        if result.is_err() {
            self.all.give_up();
        }
        let seen = self.line.seen_report().map_err(|_| Error::Halted);
        result.and(seen)
    }

    fn run_all(&self) -> Result<(), Error> {
        let mut starts = self.is_first;
        // A run that was broken off leaves nothing that could be used again.
        while self.all.left.load(Ordering::Relaxed) > 0 {
            self.leash.renew(self.all.checked.timeout);
            let conninfo = Arc::clone(&self.all.conninfo);
            let mut simulation = Simulation::prepare(conninfo, self.all.checked.clone(), &self.leash)?;
            if std::mem::take(&mut starts) {
                self.line.start(&simulation.plan.facts.server).map_err(|_| Error::Halted)?;
            }
            self.run_laps(&mut simulation)?;
            simulation.stage.clear()?;
        }
        Ok(())
    }

    /// Runs as long as there is something to do and the same sessions can do it again.
    fn run_laps(&self, simulation: &mut Simulation) -> Result<(), Error> {
        let Simulation { plan, stage, notes } = simulation;
        let laps = |index| -> Box<dyn Script> {
            let opening = plan.opening(index);
            // Behind a pooler, what a session sets for longer than a transaction would be somebody else's afterwards.
            let (first, again) =
                if plan.facts.pooled { (opening.once(), opening.once()) } else { (opening.first(), opening.again()) };
            Box::new(Laps::new(plan.steps(index, first), plan.steps(index, again)))
        };
        let mut run = plan.cast(stage, laps, &self.line, &self.leash)?;
        run.note_nothing();
        let mut attempts = 0;
        loop {
            if attempts == 0 && !self.all.take_one() {
                return Ok(());
            }
            self.leash.renew(plan.checked.timeout);
            let record = run.lap(&mut plan.schedule())?;
            if record.ending == Ending::Halted {
                return Err(Error::Halted);
            }
            let is_reusable = is_reusable(&record);
            attempts += 1;
            if !(plan.missed(&record) && attempts < ATTEMPTS) {
                attempts = 0;
                self.line.report(plan.report(record, notes.clone())).map_err(|_| Error::Halted)?;
            }
            if !is_reusable {
                if attempts > 0 {
                    // It counts as one that nobody has begun.
                    self.all.left.fetch_add(1, Ordering::Relaxed);
                }
                return Ok(());
            }
        }
    }
}

/// Whether every session is still there to do it again.
fn is_reusable(record: &Record) -> bool {
    let is_whole =
        |outcome| !matches!(outcome, SessionOutcome::Disconnected | SessionOutcome::Cancelled | SessionOutcome::Error);
    record.ending == Ending::Complete && record.sessions.iter().all(|session| is_whole(session.outcome))
}
