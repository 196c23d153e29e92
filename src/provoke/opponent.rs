//! The opponent as its caller sees it: it works on a thread of its own, beside the code under test.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::conduct::{Conductor, SAVEPOINT};
use super::{Demand, Provocation, Tally};
use crate::connection::conninfo::Conninfo;
use crate::connection::{Facts, Leash, Pool, open};
use crate::engine::caller::Line;
use crate::engine::run::{Run, Settled};
use crate::engine::{Ending, Gate, Observer, SessionId, Step, StepResult};
use crate::error::Error;
use crate::simulate::begin::Opening;

/// What the opponent's session is called in a report, and in the server's `application_name`.
pub(super) const NAME: &str = "opponent";
/// How long a stranger may be in the way at the start.
const OUTSIDER_PATIENCE: Duration = Duration::from_secs(2);
/// How far beyond the timeout the conductor may go to bring everything to its end.
const GRACE: Duration = Duration::from_secs(5);

/// What the conductor is told to do.
pub(super) enum Order {
    /// Take the code's connection in, as a session of the run.
    Admit(Sender<Gate>),
    /// Step aside and end.
    Dismiss,
}

/// How far an opponent has got.
#[derive(Debug)]
pub enum Progress {
    /// It goes on.
    Pending,
    /// It holds its locks.
    Ready,
    /// It is over.
    Over,
}

/// An opponent at work.
pub struct Opponent {
    leash: Leash,
    orders: Sender<Order>,
    started: Receiver<()>,
    conductor: Option<JoinHandle<Result<Tally, Error>>>,
}

impl Opponent {
    /// Starts it, and returns at once; [`Opponent::progress`] says when it holds its locks.
    pub fn start(conninfo: Conninfo, provocation: Provocation) -> Result<Self, Error> {
        let leash = Leash::new(Some(Instant::now() + provocation.timeout + GRACE));
        let (orders, inbox) = channel();
        let (ready, started) = channel();
        let conductor = thread::Builder::new()
            .name("lockstep".to_owned())
            .spawn({
                let leash = leash.clone();
                move || lead(Arc::new(conninfo), &provocation, inbox, &ready, &leash)
            })
            .map_err(|error| Error::Bug { what: format!("no thread for the opponent: {error}") })?;
        Ok(Self { leash, orders, started, conductor: Some(conductor) })
    }

    /// Waits at most this long for the opponent to hold its locks, or to be over.
    pub fn progress(&mut self, patience: Duration) -> Progress {
        match self.started.recv_timeout(patience) {
            Ok(()) => Progress::Ready,
            Err(RecvTimeoutError::Timeout) if self.conductor.as_ref().is_some_and(|thread| !thread.is_finished()) => {
                Progress::Pending
            }
            Err(_) => Progress::Over,
        }
    }

    /// Takes in a connection of the code under test. The gate comes by the channel; if the opponent is over, none comes.
    #[must_use]
    pub fn admit(&self) -> Receiver<Gate> {
        let (reply, gate) = channel();
        let _ = self.orders.send(Order::Admit(reply));
        gate
    }

    /// Has it step aside and end.
    pub fn dismiss(&self) {
        let _ = self.orders.send(Order::Dismiss);
    }

    /// Has it end at once, whatever the server does.
    pub fn cut(&self) {
        self.leash.cut();
    }

    /// Waits for its end, and takes what it has counted; nothing, the second time.
    pub fn join(&mut self) -> Option<Result<Tally, Error>> {
        // A panic of the conductor is ours; it must not be swallowed.
        Some(self.conductor.take()?.join().unwrap_or_else(|panic| resume_unwind(panic)))
    }
}

impl Drop for Opponent {
    fn drop(&mut self) {
        self.leash.cut();
        if let Some(conductor) = self.conductor.take() {
            let _ = conductor.join();
        }
    }
}

fn lead(
    conninfo: Arc<Conninfo>,
    plan: &Provocation,
    orders: Receiver<Order>,
    ready: &Sender<()>,
    leash: &Leash,
) -> Result<Tally, Error> {
    let deadline = Instant::now() + plan.timeout;
    let notes = conninfo.warnings().iter().map(ToString::to_string).collect();
    let mut probe = open(&conninfo, leash)?;
    let facts = Facts::gather(&mut probe, leash)?;
    let pool = Pool::start(conninfo, 2, probe, leash);
    let mut observer = Observer::open(pool.get(leash)?, None, leash)?;
    let line = Line::to_nobody();
    let mut run = Run::new(&mut observer, &line, leash, plan.timeout + GRACE);
    let opponent = run.add_handed(NAME, pool.get(leash)?)?;
    let begun = Start { run: &mut run, opponent, deadline }.all(plan, &facts);
    if let Err(error) = begun {
        // It may wait for a lock with other locks in its hands.
        run.stop();
        return Err(error);
    }
    run.record(Ending::Complete);
    let pid =
        run.backend_pid(opponent).ok_or_else(|| Error::Bug { what: "an opponent without a backend".to_owned() })?;
    let _ = ready.send(());
    let mut conductor = Conductor::new(run, leash, plan, &facts, orders, (opponent, pid), deadline);
    let conducted = conductor.conduct();
    if conducted.is_err() {
        conductor.run.stop();
    }
    conducted?;
    let tally = conductor.tally(notes);
    drop(conductor);
    // Everything is told; a failure now is of no interest.
    let _ = observer.close("", &Leash::lasting(Duration::from_millis(500)));
    Ok(tally)
}

/// The opponent before there is anybody to oppose.
struct Start<'s, 'r> {
    run: &'s mut Run<'r>,
    opponent: SessionId,
    deadline: Instant,
}

impl Start<'_, '_> {
    /// Takes the locks that it is to hold, and sees that those it will ask for are free.
    fn all(&mut self, plan: &Provocation, facts: &Facts) -> Result<(), Error> {
        self.begin(plan, facts)?;
        self.lock(&plan.holding, &plan.holding.sql, "hold")?;
        self.lock(&plan.wanting, &format!("SAVEPOINT {SAVEPOINT}; {}", plan.wanting.sql), "ask for")?;
        self.take(Step::statement("ROLLBACK TO SAVEPOINT", format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}"))).map(drop)
    }

    fn begin(&mut self, plan: &Provocation, facts: &Facts) -> Result<(), Error> {
        let opening = Opening {
            name: NAME,
            isolation: "READ COMMITTED",
            guard: plan.timeout + GRACE * 2,
            lock_timeout: None,
            statement_timeout: None,
            deadlock_timeout: facts.server.may_set_deadlock_timeout.then_some(plan.timeout + GRACE * 2),
            settings: &plan.settings,
            facts,
        };
        self.take(Step::begin(opening.once())).map(drop)
    }

    fn take(&mut self, step: Step) -> Result<StepResult, Error> {
        let doing = format!("the opponent's {}", step.name);
        self.send(step)?;
        self.run.settle(self.opponent, false, self.deadline)?;
        self.result(doing)
    }

    fn send(&mut self, step: Step) -> Result<(), Error> {
        self.run.hand(self.opponent, step)
    }

    fn result(&mut self, doing: String) -> Result<StepResult, Error> {
        match self.run.take_result(self.opponent) {
            Some(StepResult::Failed(source)) => Err(Error::Server { doing, source: Box::new(source) }),
            Some(StepResult::Lost { why, last_words }) => Err(Error::Lost { doing, why, source: last_words }),
            Some(done) => Ok(done),
            None => Err(Error::Timeout { doing }),
        }
    }

    /// Takes a lock that must be free.
    fn lock(&mut self, demand: &Demand, sql: &str, verb: &str) -> Result<(), Error> {
        self.send(Step::statement(demand.name.clone(), sql))?;
        let patience = self.deadline.min(Instant::now() + OUTSIDER_PATIENCE);
        while self.run.settle(self.opponent, true, patience)? == Settled::Waiting {
            if Instant::now() >= patience {
                return Err(self.in_the_way(demand)?);
            }
        }
        let result = self.result(format!("the opponent's lock on {}", demand.name))?;
        if demand.rows && result.rows() == Some(0) {
            return Err(Error::usage(
                format!("there are no {} for the opponent to {verb}", demand.name),
                "Give rows that exist and are committed: what an open transaction or a TestCase has made, no other \
                 connection can see (use TransactionTestCase or django_db(transaction=True)).",
            ));
        }
        Ok(())
    }

    fn in_the_way(&mut self, demand: &Demand) -> Result<Error, Error> {
        let pid = self.run.backend_pid(self.opponent).unwrap_or_default();
        let leash = Leash::lasting(OUTSIDER_PATIENCE);
        let blockers = super::ask::blockers(self.run.observer().backend(), pid, &leash)?;
        let outsiders = self.run.observer().outsiders(&blockers, &leash)?;
        let who: Vec<String> = outsiders
            .iter()
            .map(|outsider| format!("pid {} ({}, last query: {})", outsider.pid, outsider.state, outsider.query))
            .collect();
        Ok(Error::refused(
            "55P03",
            format!("{} are locked already, by {}", demand.name, who.join(" and ")),
            "End that transaction before you provoke a deadlock.",
        ))
    }
}
