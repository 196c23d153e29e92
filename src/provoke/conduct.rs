//! The opponent's conductor: the thread that leads it step by step, beside the code under test.

use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use super::ambush::Ambush;
use super::ask::{self, Ask};
use super::finding::Finding;
use super::opponent::Order;
use super::{Provocation, Tally, ambush, closing};
use crate::connection::{Facts, Leash};
use crate::engine::run::Run;
use crate::engine::session::Driver;
use crate::engine::{Ending, Gate, SessionId, Standing, Step, StepResult};
use crate::error::Error;

/// How often the server is asked who waits for the opponent, while code that we hear of is running, …
const EAGER: Duration = Duration::from_millis(1);
/// … and while none is: somebody else's may be.
const CALM: Duration = Duration::from_millis(5);
/// A cancel request is racy, so it is sent again this often.
const CANCEL_AGAIN: Duration = Duration::from_millis(100);
/// The savepoint that the second lock is taken under, so that it can be given back.
pub(super) const SAVEPOINT: &str = "lockstep";

/// Somebody who waits, or will wait, for the opponent.
pub(super) struct Code {
    pub(super) session: SessionId,
    /// The gate of a backend that nobody has told of: then we tell what it does, as far as it is seen.
    pub(super) adopted: Option<(i32, Gate)>,
}

pub(super) struct Conductor<'p, 'r> {
    pub(super) run: Run<'r>,
    pub(super) leash: &'r Leash,
    pub(super) plan: &'p Provocation,
    pub(super) facts: &'p Facts,
    /// Whether the opponent has let go of everything, for good.
    pub(super) aside: bool,
    pub(super) orders: Receiver<Order>,
    pub(super) opponent: SessionId,
    pub(super) pid: i32,
    pub(super) code: Vec<Code>,
    /// Whose next step must wait until the opponent has its second lock back.
    pub(super) held_back: Option<SessionId>,
    /// Whom the opponent waits for before it is asked: see [`ambush`].
    pub(super) ambushed: Option<Ambush>,
    pub(super) attempts: u32,
    pub(super) deadlocks: u32,
    pub(super) findings: Vec<Finding>,
    pub(super) interruption: Option<String>,
    /// The transaction that was aborted last.
    pub(super) last_victim: Option<(i32, String)>,
    pub(super) deadline: Instant,
    pub(super) dismissed: bool,
}

impl<'p, 'r> Conductor<'p, 'r> {
    /// The conductor of an opponent that holds its locks.
    pub(super) fn new(
        run: Run<'r>,
        leash: &'r Leash,
        plan: &'p Provocation,
        facts: &'p Facts,
        orders: Receiver<Order>,
        (opponent, pid): (SessionId, i32),
        deadline: Instant,
    ) -> Self {
        Self {
            run,
            leash,
            plan,
            facts,
            aside: false,
            orders,
            opponent,
            pid,
            code: Vec::new(),
            held_back: None,
            ambushed: None,
            attempts: 0,
            deadlocks: 0,
            findings: Vec::new(),
            interruption: None,
            last_victim: None,
            deadline,
            dismissed: false,
        }
    }

    /// What was counted.
    pub(super) fn tally(&mut self, notes: Vec<String>) -> Tally {
        Tally {
            attempts: self.attempts,
            deadlocks: self.deadlocks,
            findings: std::mem::take(&mut self.findings),
            interruption: self.interruption.take(),
            record: self.run.record(Ending::Complete),
            facts: self.facts.clone(),
            notes,
        }
    }
}

impl Conductor<'_, '_> {
    /// Watches until it is dismissed. The opponent holds its locks already.
    pub(super) fn conduct(&mut self) -> Result<(), Error> {
        while !self.dismissed {
            if !self.aside {
                if self.who_has_fallen().is_none() {
                    ambush::lift(self)?;
                }
                if Instant::now() >= self.deadline {
                    self.find(Finding::Timeout);
                    self.step_aside()?;
                } else if let Some(index) = self.who_has_fallen() {
                    closing::fallen(self, index)?;
                    continue;
                } else if let Some(session) = self.whom_to_ambush() {
                    ambush::lay(self, session)?;
                    continue;
                } else if let Some(ask) = self.asks()?.into_iter().next() {
                    closing::meet(self, &ask)?;
                    continue;
                }
            }
            let pace = if self.is_anybody_running() { EAGER } else { CALM };
            self.pump(pace)?;
        }
        self.step_aside()
    }

    /// Hears what has come, or comes within `pause`; carries orders out; lets the code go on.
    pub(super) fn pump(&mut self, pause: Duration) -> Result<(), Error> {
        self.serve()?;
        self.run.listen(pause)?;
        self.serve()
    }

    fn serve(&mut self) -> Result<(), Error> {
        loop {
            match self.orders.try_recv() {
                Ok(Order::Admit(reply)) => {
                    let gate = self.admit()?;
                    // Whoever has gone meanwhile drops the gate, and with it the session.
                    let _ = reply.send(gate);
                }
                Ok(Order::Dismiss) | Err(TryRecvError::Disconnected) => {
                    self.dismissed = true;
                    break;
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        for index in 0..self.code.len() {
            let session = self.code[index].session;
            let is_ours = self.held_back == Some(session)
                || ambush::is_due(self, session)
                || ambush::has_fallen(self, session)
                || ambush::is_outlived(self, session);
            if !is_ours {
                self.let_go_on(session);
            }
        }
        Ok(())
    }

    /// Releases the code's next step, if it stands at its gate.
    pub(super) fn let_go_on(&mut self, session: SessionId) {
        if matches!(self.run.standing(session), Standing::AtGate(_)) {
            // What became of its step before is of no interest any more.
            self.run.take_result(session);
            self.run.release(session);
        }
    }

    fn who_has_fallen(&self) -> Option<usize> {
        self.code.iter().position(|code| ambush::has_fallen(self, code.session))
    }

    fn whom_to_ambush(&self) -> Option<SessionId> {
        self.code.iter().map(|code| code.session).find(|&session| ambush::is_due(self, session))
    }

    /// The `deadlock_timeout` of one of the code's backends.
    pub(super) fn deadlock_timeout_of(&self, pid: i32) -> Duration {
        match self.plan.deadlock_timeout {
            Some((own, timeout)) if pid == own => timeout,
            _ => Duration::from_secs_f64(self.facts.server.deadlock_timeout),
        }
    }

    fn admit(&mut self) -> Result<Gate, Error> {
        let name = match self.code.len() {
            0 => "code".to_owned(),
            others => format!("code {}", others + 1),
        };
        let mut admitted = None;
        let session = self.run.admit(&name, |_, gate| {
            admitted = Some(gate);
            Ok(Driver::foreign())
        })?;
        self.code.push(Code { session, adopted: None });
        admitted.ok_or_else(|| Error::Bug { what: "a session without a gate".to_owned() })
    }

    /// Whether a statement of the code's is on its way, as far as we hear of it.
    fn is_anybody_running(&self) -> bool {
        self.code.iter().any(|code| {
            code.adopted.is_none()
                && matches!(self.run.standing(code.session), Standing::Running | Standing::Waiting { .. })
        })
    }

    /// Who waits for the opponent.
    pub(super) fn asks(&mut self) -> Result<Vec<Ask>, Error> {
        ask::asks(self.run.observer().backend(), self.pid, self.leash)
    }

    /// Whether it goes on waiting.
    pub(super) fn still(&mut self, ask: &Ask) -> Result<bool, Error> {
        Ok(self.asks()?.iter().any(|other| other.is(ask)))
    }

    /// The session that runs on the backend which asks; a backend that nobody has told of is adopted.
    pub(super) fn session_of(&mut self, ask: &Ask) -> Result<usize, Error> {
        let by_pid = |code: &Code| self.run.backend_pid(code.session) == Some(ask.pid);
        if let Some(index) = self.code.iter().position(by_pid) {
            if let Some(waiting) = self.adopt_again(index, ask)? {
                return Ok(waiting);
            }
            return Ok(index);
        }
        // Behind a pooler, the backend that the driver knows of is the pooler's.
        let running = |code: &Code| code.adopted.is_none() && self.run.standing(code.session) == Standing::Running;
        let mut candidates = (0..self.code.len()).filter(|&index| running(&self.code[index]));
        if let (Some(index), None) = (candidates.next(), candidates.next()) {
            let session = self.code[index].session;
            let known = self.run.backend_pid(session);
            let real = match known {
                Some(pid) => ask::activity(self.run.observer().backend(), pid, self.leash)?.exists,
                None => false,
            };
            if !real {
                self.run.locate(session, ask.pid);
                return Ok(index);
            }
        }
        let gate = self.admit()?;
        gate.locate(Some(ask.pid));
        let index = self.code.len() - 1;
        self.code[index].adopted = Some((ask.pid, gate));
        self.adopt_again(index, ask)?;
        Ok(index)
    }

    /// Tells the statement that an adopted backend waits with.
    fn adopt_again(&mut self, index: usize, ask: &Ask) -> Result<Option<usize>, Error> {
        let session = self.code[index].session;
        if self.code[index].adopted.is_none() {
            return Ok(None);
        }
        let query = ask::activity(self.run.observer().backend(), ask.pid, self.leash)?.query;
        let name = if query.is_empty() { "a statement".to_owned() } else { shortened(&query) };
        if let Some((_, gate)) = &self.code[index].adopted {
            // The run is here: it hears.
            let _ = gate.announce(Step::statement(name, query));
        }
        while !matches!(self.run.standing(session), Standing::Running | Standing::Waiting { .. } | Standing::Left) {
            self.pump(EAGER)?;
        }
        Ok(Some(index))
    }

    /// Hands the opponent a step and lets it take it.
    pub(super) fn send(&mut self, step: Step) -> Result<(), Error> {
        self.run.hand(self.opponent, step)
    }

    /// Has the opponent ask for what it wants, under a savepoint.
    pub(super) fn ask_for_wanted(&mut self) -> Result<(), Error> {
        let wanting = &self.plan.wanting;
        let sql = format!("SAVEPOINT {SAVEPOINT}; {}", wanting.sql);
        let step = Step::statement(wanting.name.clone(), sql);
        self.send(step)
    }

    /// Has the opponent take a step that waits for nobody.
    pub(super) fn take(&mut self, step: Step) -> Result<StepResult, Error> {
        self.send(step)?;
        self.finished()
    }

    /// Waits until the opponent's step is over.
    fn finished(&mut self) -> Result<StepResult, Error> {
        loop {
            if let Some(result) = self.result()? {
                return Ok(result);
            }
            self.pump(EAGER)?;
        }
    }

    /// What became of the opponent's step, if it is over.
    pub(super) fn result(&mut self) -> Result<Option<StepResult>, Error> {
        match self.run.take_result(self.opponent) {
            Some(StepResult::Lost { why, last_words }) => {
                Err(Error::Lost { doing: "provoking a deadlock".to_owned(), why, source: last_words })
            }
            other => Ok(other),
        }
    }

    /// Takes back what the opponent asked for, whether it has got it or not.
    pub(super) fn take_back(&mut self) -> Result<(), Error> {
        let mut again = Instant::now();
        while self.result()?.is_none() && self.is_opponent_busy() {
            if Instant::now() >= again {
                self.run.cancel(self.opponent);
                again = Instant::now() + CANCEL_AGAIN;
            }
            self.pump(EAGER)?;
        }
        let name = format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}");
        self.settled(Step::statement(name.clone(), name)).map(drop)
    }

    /// The step's result; a refusal is an error of the call.
    pub(super) fn settled(&mut self, step: Step) -> Result<StepResult, Error> {
        let doing = format!("the opponent's {}", step.name);
        match self.take(step)? {
            StepResult::Failed(source) => Err(Error::Server { doing, source: Box::new(source) }),
            result => Ok(result),
        }
    }

    pub(super) fn is_opponent_busy(&self) -> bool {
        matches!(self.run.standing(self.opponent), Standing::Running | Standing::Waiting { .. })
    }

    /// Lets go of everything, for good.
    pub(super) fn step_aside(&mut self) -> Result<(), Error> {
        if self.aside {
            return Ok(());
        }
        if self.ambushed.take().is_some() {
            self.take_back()?;
        }
        let rolled_back = self.take(Step::rollback());
        self.aside = true;
        self.run.dismiss(self.opponent);
        while !matches!(self.run.standing(self.opponent), Standing::Left) {
            self.pump(EAGER)?;
        }
        rolled_back.map(drop)
    }

    /// Whether the opponent must come to its end.
    pub(super) fn is_out_of_time(&self) -> bool {
        self.dismissed || Instant::now() >= self.deadline
    }

    pub(super) fn find(&mut self, finding: Finding) {
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

/// A statement's beginning, on one line: what a reader calls it.
fn shortened(sql: &str) -> String {
    const LONGEST: usize = 60;
    let line = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST - 1).chain(['…']).collect()
}
