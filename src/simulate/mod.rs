//! `simulate_deadlock`: sessions lock the same rows in opposite orders, and PostgreSQL does the rest.

pub(crate) mod begin;
pub(crate) mod options;
mod repeat;
pub(crate) mod scratch;
pub(crate) mod stage;
mod target;
mod verdict;

pub use options::Options;
pub use repeat::repeat_deadlock;

use std::sync::Arc;
use std::time::Duration;

use crate::connection::conninfo::Conninfo;
use crate::connection::{Backend, Facts, Leash, Pool, open};
use crate::engine::caller::Line;
use crate::engine::run::Run;
use crate::engine::schedule::{Entry, Hold};
use crate::engine::{Caller, Ending, Fixed, InOrder, Record, Script, SessionId, Step, supervise};
use crate::error::Error;
use crate::report::{Outcome, Report};
use crate::scenario::lock::Lock;
use crate::scenario::opposite_order::{Deal, deal};
use crate::scenario::victim::Choice;
use begin::Opening;
use options::Checked;
use stage::Stage;
use target::Target;

/// How often a run whose clock ran away is done again.
const ATTEMPTS: usize = 5;
/// An outsider in the way is waited for this long beyond the server's own check for deadlocks.
const OUTSIDER_GRACE: Duration = Duration::from_secs(1);

/// Makes a deadlock, watches it, and says why it happened.
///
/// Blocks the calling thread until it is over, at most `options.timeout` and a moment for the clean-up. What happens in
/// a session is told by the report; an `Err` means that there was no run, or that it could not be watched to its end.
pub fn simulate_deadlock(conninfo: Conninfo, options: &Options, caller: &mut dyn Caller) -> Result<Report, Error> {
    let checked = options.check()?;
    let leash = Leash::lasting(checked.timeout);
    supervise(caller, &leash, |line| Simulation::prepare(Arc::new(conninfo), checked, &leash)?.perform(line, &leash))
}

/// Everything that is decided before the first session begins.
struct Plan {
    checked: Checked,
    facts: Facts,
    target: Target,
    choice: Choice,
    deals: Vec<Deal>,
}

/// A plan, and what it needs on the server.
struct Simulation {
    plan: Plan,
    stage: Stage,
    notes: Vec<String>,
}

impl Simulation {
    fn prepare(conninfo: Arc<Conninfo>, checked: Checked, leash: &Leash) -> Result<Self, Error> {
        let mut probe = open(&conninfo, leash)?;
        // There is a server, and it takes us: the sessions' connections can be opened meanwhile.
        let sessions = u32::try_from(checked.names.len()).unwrap_or(u32::MAX);
        let pool = Pool::start(Arc::clone(&conninfo), sessions, None, leash);
        let facts = Facts::gather(&mut probe, leash)?;
        check_room(&checked, 1, &facts)?;
        let mut notes = conninfo.warnings().iter().map(ToString::to_string).collect();
        let (target, scratch) = choose_target(&checked, &facts, &mut probe, &mut notes, leash)?;
        if facts.scratch_seen && facts.may_create && !facts.read_only {
            for schema in scratch::sweep(&mut probe, leash)? {
                notes.push(format!("Removed {schema}, which a run that was killed had left."));
            }
        }
        let servers = Duration::from_secs_f64(facts.server.deadlock_timeout);
        let may_set = facts.server.may_set_deadlock_timeout;
        let choice = Choice::make(checked.victim, checked.deadlock_timeout, servers, may_set);
        if let Some(asked) = checked.deadlock_timeout.filter(|_| !may_set) {
            notes.push(format!(
                "deadlock_timeout={} was asked for, but role {} may not set it (superuser, or GRANT SET ON PARAMETER \
                 deadlock_timeout on PostgreSQL 15 and later): the server's {} s was used.",
                asked.as_secs_f64(),
                facts.server.role,
                facts.server.deadlock_timeout,
            ));
        }
        if let Some(SessionId(victim)) = checked.victim {
            notes.extend(checked.names.get(victim).and_then(|name| choice.sentence(name)));
        }
        let deals = deal(&checked.rows, checked.names.len());
        let stage = Stage::set(conninfo, pool, probe, facts.pooled, scratch, &checked.rows, leash)?;
        Ok(Self { plan: Plan { checked, facts, target, choice, deals }, stage, notes })
    }

    fn perform(mut self, line: &Line, leash: &Leash) -> Result<Report, Error> {
        line.start(&self.plan.facts.server).map_err(|_| Error::Halted)?;
        let mut record = self.run_once(line, leash)?;
        for _ in 1..ATTEMPTS {
            if !self.plan.missed(&record) {
                break;
            }
            record = self.run_once(line, leash)?;
        }
        if let Err(error) = self.stage.clear() {
            self.notes.push(format!("{error}; what is left there, a later run removes."));
        }
        Ok(self.plan.report(record, self.notes))
    }

    fn run_once(&mut self, line: &Line, leash: &Leash) -> Result<Record, Error> {
        let plan = &self.plan;
        let once = |index| -> Box<dyn Script> { Box::new(Fixed::new(plan.steps(index, plan.opening(index).once()))) };
        let run = plan.cast(&mut self.stage, once, line, leash)?;
        run.conduct(&mut self.plan.schedule())
    }
}

impl Plan {
    /// Whether the machine stalled at the moment that decides the victim; then the run is done again.
    fn missed(&self, record: &Record) -> bool {
        let victim = self.checked.victim.and_then(|SessionId(index)| self.checked.names.get(index));
        let other = |victim: &String| record.outcome() == Outcome::Deadlock && !record.victims().contains(victim);
        record.ending == Ending::Slipped || self.choice.may_miss() && victim.is_some_and(other)
    }

    fn report(&self, record: Record, notes: Vec<String>) -> Report {
        verdict::report(&self.checked, &self.facts, &self.choice, &self.target, record, notes)
    }

    fn schedule(&self) -> InOrder {
        InOrder::new(order(&self.deals, &self.choice, self.checked.sleep))
    }

    /// A run with all its sessions, each on a connection of the stage's.
    fn cast<'a>(
        &self,
        stage: &'a mut Stage,
        script: impl Fn(usize) -> Box<dyn Script>,
        line: &'a Line,
        leash: &'a Leash,
    ) -> Result<Run<'a>, Error> {
        let patience = self.choice.deadlock_timeout.max(Duration::from_secs_f64(self.facts.server.deadlock_timeout));
        let sessions = self.checked.names.len();
        let connections = (0..sessions).map(|_| stage.connection(leash)).collect::<Result<Vec<_>, _>>()?;
        let mut run = Run::new(stage.observer()?, line, leash, patience + OUTSIDER_GRACE);
        run.note_locks(self.checked.note_locks);
        if self.facts.pooled {
            run.expect_pooler();
        }
        run.expect_statement_timeout(self.checked.statement_timeout.or_else(|| {
            (self.facts.statement_timeout > 0.0).then(|| Duration::from_secs_f64(self.facts.statement_timeout))
        }));
        for (index, (name, connection)) in self.checked.names.iter().zip(connections).enumerate() {
            run.add(name, connection, script(index))?;
        }
        Ok(run)
    }

    /// How one session's transactions begin.
    fn opening(&self, index: usize) -> Opening<'_> {
        Opening::of(&self.checked.names[index], SessionId(index), &self.checked, &self.facts, &self.choice)
    }

    /// What one session does in a transaction that begins so.
    fn steps(&self, index: usize, begin: String) -> Vec<Step> {
        let begin = Step::begin(begin);
        let deal = &self.deals[index];
        let locks = deal.holds.iter().chain(&deal.asks).map(|&row| {
            let place = self.checked.rows.iter().position(|&other| other == row).unwrap_or_default();
            let (step, sql) = self.target.statement(row, place, self.checked.lock);
            Step::statement(step, sql).keeping()
        });
        std::iter::once(begin).chain(locks).chain([Step::commit()]).collect()
    }
}

/// Everybody begins, everybody takes what it holds, and then they ask for each other's.
fn order(deals: &[Deal], choice: &Choice, sleep: Duration) -> Vec<Entry> {
    let free = |index| Entry { session: SessionId(index), holds: Vec::new() };
    let mut order: Vec<Entry> = (0..deals.len()).map(free).collect();
    let most = deals.iter().map(|deal| deal.holds.len()).max().unwrap_or_default();
    for turn in 0..most {
        order.extend((0..deals.len()).filter(|&index| turn < deals[index].holds.len()).map(free));
    }
    let mut asking = choice.asking_order(deals.len());
    if !sleep.is_zero() {
        for entry in &mut asking {
            entry.holds.push(Hold::AfterOwnStep(sleep));
        }
    }
    order.extend(asking);
    order
}

/// `beside` is how many such simulations there are at once.
fn check_room(checked: &Checked, beside: usize, facts: &Facts) -> Result<(), Error> {
    let needed = checked.names.len().saturating_add(1).saturating_mul(beside);
    if u32::try_from(needed).is_ok_and(|needed| needed <= facts.admitted) {
        return Ok(());
    }
    let times = if beside == 1 { String::new() } else { format!("{beside} times ") };
    Err(Error::refused(
        "53300",
        format!(
            "{times}{} sessions and their observer need {needed} connections, and the server admits {} to this role \
             (max_connections is {})",
            checked.names.len(),
            facts.admitted,
            facts.max_connections
        ),
        if beside == 1 {
            "Use fewer sessions, or raise max_connections."
        } else {
            "Use fewer jobs, or raise max_connections."
        },
    ))
}

fn choose_target(
    checked: &Checked,
    facts: &Facts,
    probe: &mut Backend,
    notes: &mut Vec<String>,
    leash: &Leash,
) -> Result<(Target, Option<scratch::Scratch>), Error> {
    let scratch = scratch::Scratch::new()?;
    if checked.lock == Lock::Advisory {
        return Ok((Target::Advisory { space: scratch.number() }, None));
    }
    if facts.read_only {
        let (what, hint) = if facts.in_recovery {
            ("the server is a read-only standby, where no row can be locked", "Connect to the primary")
        } else {
            (
                "transactions of this role are read-only (default_transaction_read_only), so no row can be locked",
                "Use a role or database that may write",
            )
        };
        return Err(Error::refused(
            "25006",
            what,
            format!("{hint}, or lock advisory locks instead (lock=\"advisory\")."),
        ));
    }
    if let Some(table) = &checked.table {
        return Ok((target::find(table, &checked.key, probe, leash)?, None));
    }
    if facts.may_create {
        let rows = Target::Rows { table: scratch.table(), key: "id".to_owned(), name: None };
        return Ok((rows, Some(scratch)));
    }
    notes.push(format!(
        "Role {} may not CREATE in database {}, so the sessions took advisory locks in place of scratch rows.",
        facts.server.role, facts.server.database
    ));
    if checked.lock.is_shared() {
        return Err(Error::refused(
            "42501",
            format!("role {} may not create scratch rows in database {}", facts.server.role, facts.server.database),
            "GRANT CREATE ON DATABASE to the role, or name a table of its own (table=…).",
        ));
    }
    Ok((Target::Advisory { space: scratch.number() }, None))
}
