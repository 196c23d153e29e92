//! A session as the run sees it: where it stands, what it has done, how to stop it.

use std::collections::VecDeque;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::handed::Handed;
use super::schedule::Standing;
use super::session::{Driver, End, Permit};
use super::step::{Step, StepKind, StepResult};
use crate::connection::Aside;
use crate::error::ServerError;
use crate::report::{SessionOutcome, SessionReport, Statement};

/// `deadlock_detected`.
const DEADLOCK: &str = "40P01";
/// What is said of code that the run ended.
const CUT_SHORT: &str = "it was ended with the run, before it had come to its end";

/// A wait that the server told us of.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) blockers: Vec<i32>,
    /// Something has happened since that may have ended the wait.
    pub(super) in_doubt: bool,
}

/// What became of the last transaction that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// None has.
    Open,
    Committed,
    RolledBack,
}

#[derive(Debug)]
pub(super) enum Phase {
    Coming,
    AtGate(Step),
    Running {
        step: Step,
        released: Instant,
        seen: Option<Seen>,
        /// Who was last in its way, also when nobody is any more.
        behind: Vec<i32>,
    },
    Left,
}

/// Whether a session begins anew when its transaction has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lap {
    /// It does not.
    Only,
    /// It does, and its transaction has not ended.
    On,
    /// It does, and stands where it began.
    Through,
}

pub(super) struct Member {
    pub(super) name: String,
    pub(super) phase: Phase,
    /// The backend that its steps run on.
    pub(super) backend_pid: Option<i32>,
    /// All the backends that they have run on.
    pub(super) backends: Vec<i32>,
    pub(super) finished: Option<Instant>,
    /// Since when it has been on its way to its next gate.
    pub(super) coming_since: Instant,
    /// Where its code waits for another thread, if only another session can let it go on.
    pub(super) held_up: Option<String>,
    pub(super) statements: Vec<Statement>,
    /// Dropping it closes the session's gate.
    pub(super) permits: Option<Sender<Permit>>,
    pub(super) driver: Option<Driver>,
    /// Where it sits, if the run hands it its steps. Dropping it ends the session.
    pub(super) handed: Option<Handed>,
    /// Whether it does what a script says, and nothing besides.
    pub(super) follows_script: bool,
    pub(super) cancelled: bool,
    /// Whether the server has looked for a deadlock around its wait; `None` where the session does not tell.
    pub(super) checked: Option<bool>,
    /// The isolation level of its transactions, where it is told.
    pub(super) isolation: Option<String>,
    /// The locks that it was last seen to hold, where the run notes them.
    pub(super) held: Vec<String>,
    /// A statement of it has ended whose locks are not noted yet.
    pub(super) locks_due: bool,
    /// What became of its last step, until somebody takes it.
    pub(super) result: Option<StepResult>,
    /// What the server has said to it besides its answers, until somebody takes it.
    pub(super) asides: VecDeque<Aside>,
    /// How its code ended.
    pub(super) end: Option<End>,
    lap: Lap,
    error: Option<ServerError>,
    lost: Option<String>,
    fate: Fate,
}

impl Member {
    pub(super) fn new(name: &str, permits: Sender<Permit>, driver: Driver) -> Self {
        Self {
            name: name.to_owned(),
            phase: Phase::Coming,
            backend_pid: None,
            backends: Vec::new(),
            finished: None,
            coming_since: Instant::now(),
            held_up: None,
            statements: Vec::new(),
            permits: Some(permits),
            driver: Some(driver),
            handed: None,
            follows_script: false,
            cancelled: false,
            checked: None,
            isolation: None,
            held: Vec::new(),
            locks_due: false,
            result: None,
            asides: VecDeque::new(),
            end: None,
            lap: Lap::Only,
            error: None,
            lost: None,
            fate: Fate::Open,
        }
    }

    /// Its steps run on this backend from now on.
    pub(super) fn move_to(&mut self, backend_pid: Option<i32>) {
        self.backend_pid = backend_pid;
        if let Some(backend_pid) = backend_pid.filter(|pid| !self.backends.contains(pid)) {
            self.backends.push(backend_pid);
        }
    }

    /// Whether its last step failed.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.result, Some(StepResult::Failed(_) | StepResult::Lost { .. }))
    }

    /// Whether the backend is one of its own.
    pub(super) fn owns(&self, backend_pid: i32) -> bool {
        self.backends.contains(&backend_pid)
    }

    /// Has it count as gone when its transaction has ended, until the page is turned.
    pub(super) fn run_laps(&mut self) {
        self.lap = Lap::On;
    }

    pub(super) fn standing(&self) -> Standing {
        match &self.phase {
            Phase::Coming => match &self.held_up {
                Some(place) => Standing::HeldUp { place: place.clone() },
                None => Standing::Coming,
            },
            Phase::AtGate(_) if self.lap == Lap::Through => Standing::Left,
            Phase::AtGate(step) => Standing::AtGate(step.clone()),
            Phase::Running { released, seen: Some(Seen { at, in_doubt: false, .. }), .. } => {
                Standing::Waiting { released: *released, seen: *at, checked: self.checked }
            }
            Phase::Running { .. } => Standing::Running,
            Phase::Left => Standing::Left,
        }
    }

    /// The backend, while one of its steps is on its way.
    pub(super) fn running_pid(&self) -> Option<i32> {
        match self.phase {
            Phase::Running { .. } => self.backend_pid,
            _ => None,
        }
    }

    /// Who was last seen in the way of its step.
    pub(super) fn blockers(&self) -> &[i32] {
        match &self.phase {
            Phase::Running { behind, .. } => behind,
            _ => &[],
        }
    }

    /// Whether it was seen to wait.
    pub(super) fn blockers_known(&self) -> bool {
        matches!(self.phase, Phase::Running { seen: Some(_), .. })
    }

    /// Its backend, when its step is on its way and no wait of it has been told.
    pub(super) fn waits_unseen(&self) -> Option<i32> {
        self.running_pid().filter(|_| self.statements.last().is_some_and(|statement| !statement.waited))
    }

    /// Whether its step is on its way and nothing is known of it now.
    pub(super) fn is_undecided(&self) -> bool {
        matches!(self.phase, Phase::Running { seen: None | Some(Seen { in_doubt: true, .. }), .. })
    }

    /// Perhaps it waits no longer, only the server knows.
    pub(super) fn doubt(&mut self) {
        if let Phase::Running { seen: Some(seen), .. } = &mut self.phase {
            seen.in_doubt = true;
        }
    }

    /// A step on one of these backends has ended. Whoever was behind it may wait no longer; of a wait for a safe snapshot
    /// the blockers are not known.
    pub(super) fn doubt_wait_for(&mut self, backends: &[i32]) {
        let blockers = self.blockers();
        if blockers.is_empty() || backends.is_empty() || blockers.iter().any(|pid| backends.contains(pid)) {
            self.doubt();
        }
    }

    /// A new chapter begins. `moves` is whether the next transaction may be on another backend, as behind a pooler.
    pub(super) fn turn_page(&mut self, moves: bool) {
        self.statements.clear();
        self.cancelled = false;
        self.error = None;
        if self.lap != Lap::Only {
            self.lap = Lap::On;
            if moves {
                self.backend_pid = None;
                self.backends.clear();
            }
        }
        self.held.clear();
        self.locks_due = false;
        self.fate = Fate::Open;
    }

    /// What became of the released step.
    pub(super) fn conclude(&mut self, kind: StepKind, result: &StepResult, seconds: f64) {
        if let Some(statement) = self.statements.last_mut() {
            statement.finished = Some(seconds);
            statement.rows = result.rows();
            statement.sqlstate = result.sqlstate();
        }
        self.locks_due = kind.is_statement() && kind != StepKind::Alone && matches!(result, StepResult::Done(_));
        if self.lap == Lap::On && matches!(kind, StepKind::Commit | StepKind::Rollback) {
            self.lap = Lap::Through;
        }
        match result {
            StepResult::Done(_) => {
                self.fate = match kind {
                    StepKind::Commit | StepKind::Alone => Fate::Committed,
                    StepKind::Rollback => Fate::RolledBack,
                    StepKind::Begin | StepKind::Opening | StepKind::Statement => self.fate,
                };
                if matches!(kind, StepKind::Commit | StepKind::Rollback) {
                    self.held.clear();
                }
            }
            StepResult::Failed(error) => self.keep(error),
            StepResult::Lost { why, last_words } => {
                self.lost = Some(why.clone());
                if let Some(words) = last_words {
                    self.keep(words);
                }
            }
        }
    }

    /// Keeps the first error; a deadlock is what a run is about, and takes the place of any other.
    fn keep(&mut self, error: &ServerError) {
        let counts = self.error.as_ref().is_none_or(|kept| kept.sqlstate != DEADLOCK && error.sqlstate == DEADLOCK);
        if counts {
            self.error = Some(error.clone());
        }
    }

    /// The last thing that is said about it. `statement_timeout` is the session's own, if it has one.
    pub(super) fn report(&self, statement_timeout: Option<Duration>) -> SessionReport {
        let outcome = self.outcome(statement_timeout);
        // Code may get over an error: then the statement tells of it, and the session does not.
        let survived = outcome.is_well();
        let raised = match &self.end {
            Some(End::Raised { what, .. }) => Some(what.clone()),
            _ => None,
        };
        let cut_short = outcome == SessionOutcome::Cancelled && self.is_cut_short();
        let error = self.error.as_ref().filter(|error| !survived && !cut_short && self.is_how_it_ended(error));
        let how = if cut_short { Some(CUT_SHORT.to_owned()) } else { self.lost.clone().or(raised) };
        SessionReport {
            name: self.name.clone(),
            backend_pid: self.backend_pid,
            outcome,
            sqlstate: error.map(|error| error.sqlstate.clone()).filter(|sqlstate| !sqlstate.is_empty()),
            message: error.map(|error| error.message.clone()).or(how),
            detail: error.and_then(|error| error.detail.clone()),
            hint: error.and_then(|error| error.hint.clone()),
            context: error.and_then(|error| error.context.clone()),
            statements: self.statements.clone(),
        }
    }

    /// Whether the run ended code before it had come to its end: what it met thereupon is the run's doing, not its own.
    fn is_cut_short(&self) -> bool {
        let is_code = self.driver.as_ref().is_some_and(|driver| driver.cancel.is_none());
        is_code && self.cancelled && !matches!(self.end, Some(End::Raised { .. }))
    }

    /// Whether the session ended with this error, and not with another one after it.
    fn is_how_it_ended(&self, error: &ServerError) -> bool {
        match &self.end {
            Some(End::Raised { sqlstate, .. }) => {
                error.sqlstate == DEADLOCK || sqlstate.as_ref() == Some(&error.sqlstate)
            }
            _ => true,
        }
    }

    fn outcome(&self, statement_timeout: Option<Duration>) -> SessionOutcome {
        let error = self.error.as_ref().filter(|error| self.is_how_it_ended(error));
        let sqlstate = error.map(|error| error.sqlstate.as_str());
        match sqlstate {
            Some(DEADLOCK) => SessionOutcome::DeadlockVictim,
            _ if self.is_cut_short() => SessionOutcome::Cancelled,
            _ if self.end == Some(End::Returned) && self.fate == Fate::RolledBack => SessionOutcome::RolledBack,
            _ if self.end == Some(End::Returned) => SessionOutcome::Committed,
            Some("55P03") => SessionOutcome::LockTimeout,
            Some("40001") => SessionOutcome::SerializationFailure,
            Some("57014") if self.cancelled => SessionOutcome::Cancelled,
            Some("57014") if statement_timeout.is_some() => SessionOutcome::StatementTimeout,
            _ if self.lost.is_some() && self.cancelled => SessionOutcome::Cancelled,
            _ if self.lost.is_some() => SessionOutcome::Disconnected,
            Some(_) => SessionOutcome::Error,
            None if matches!(self.end, Some(End::Raised { .. })) => SessionOutcome::Error,
            None if self.fate == Fate::Committed => SessionOutcome::Committed,
            None => SessionOutcome::Cancelled,
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.permits = None;
        self.handed = None;
        if let Some(driver) = self.driver.take() {
            // Whoever has left needs no cutting; whoever has not is cut off, so that the thread ends.
            if !matches!(self.phase, Phase::Left) {
                driver.leash.cut();
            }
            if let Some(thread) = driver.thread {
                let _ = thread.join();
            }
        }
    }
}
