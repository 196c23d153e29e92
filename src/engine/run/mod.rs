//! One run: sessions, a schedule, and the loop that keeps the lock-step rule.
//!
//! A [`Schedule`] leads a run from its first step to its last ([`Run::conduct`]). Who has more to say between two steps,
//! as PostgreSQL's isolation tester has, leads it step by step with the very same means ([`Run::settle`]).

mod foothold;
mod hear;
mod locks;
mod look;
mod pooler;
mod release;
mod settle;
mod stop;
mod survey;

pub use settle::Settled;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::caller::{Line, OwnBackend};
use super::handed::Handed;
use super::journal::Journal;
use super::member::Member;
use super::observer::{Observer, Outsider};
use super::record::{Ending, Helper, Record, Stuck};
use super::schedule::{Board, Decision, Schedule};
use super::script::Script;
use super::seat::start_sql;
use super::session::{Driver, Gate, Message, SessionId};
use crate::connection::{Leash, Pooled};
use crate::error::Error;
use crate::report::Edge;

/// The observer looks this long after a step was released, or when it takes longer than steps usually do, …
const FIRST_LOOK: Duration = Duration::from_micros(300);
/// … but not later than this, …
const LATEST_FIRST_LOOK: Duration = Duration::from_millis(2);
/// … then this often, …
const EARLY_PACE: Duration = Duration::from_millis(1);
/// … this many times, …
const EARLY_LOOKS: u32 = 20;
/// … then this often: looking as fast as possible would starve a small server.
const LATE_PACE: Duration = Duration::from_millis(5);
/// Where nothing is noted that nobody has to decide by, a look that decides nothing can wait for so long.
const IDLE_PACE: Duration = Duration::from_millis(100);

/// What the server is asked besides what the schedule needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    /// Nothing: the run is only counted.
    Nothing,
    /// For which lock a session waits.
    Waits,
    /// That, and which locks each statement took.
    Locks,
}

/// A run in progress.
pub struct Run<'a> {
    members: Vec<Member>,
    sender: Sender<Message>,
    inbox: Receiver<Message>,
    observer: &'a mut Observer,
    journal: Journal<'a>,
    line: &'a Line,
    leash: &'a Leash,
    /// How long an outsider may stay in the way.
    outsider_patience: Duration,
    statement_timeout: Option<Duration>,
    behind_pooler: bool,
    detail: Detail,
    edges_at_deadlock: Option<Vec<Edge>>,
    outsiders: Vec<Outsider>,
    /// The backends of this process that are not the run's.
    own: Vec<OwnBackend>,
    watches_threads: bool,
    /// The threads that are no session's and wait for a lock: nobody else but the sessions can do anything by itself.
    /// `None` where that is not so, or not known.
    calm: Option<Vec<Helper>>,
    stuck: Stuck,
    next_survey: Instant,
    surveyed_enough_until: Instant,
    /// The sessions whose end of a step is held back until its cause is heard, …
    telling: Vec<usize>,
    /// … and what they have said since.
    held_back: Vec<Message>,
    looks: u32,
    next_look: Instant,
    /// When it was last asked about every session, also those that are known to wait.
    last_survey: Instant,
}

impl<'a> Run<'a> {
    /// A run without sessions yet. It ends when `leash` does.
    #[must_use]
    pub fn new(observer: &'a mut Observer, line: &'a Line, leash: &'a Leash, outsider_patience: Duration) -> Self {
        let (sender, inbox) = channel();
        Self {
            members: Vec::new(),
            sender,
            inbox,
            observer,
            journal: Journal::new(line),
            line,
            leash,
            outsider_patience,
            statement_timeout: None,
            behind_pooler: false,
            detail: Detail::Waits,
            edges_at_deadlock: None,
            outsiders: Vec::new(),
            own: Vec::new(),
            watches_threads: false,
            calm: None,
            stuck: Stuck::default(),
            next_survey: Instant::now(),
            surveyed_enough_until: Instant::now(),
            telling: Vec::new(),
            held_back: Vec::new(),
            looks: 0,
            next_look: Instant::now(),
            last_survey: Instant::now(),
        }
    }

    /// The sessions' own `statement_timeout`, so that its cancellation is not taken for somebody else's.
    pub fn expect_statement_timeout(&mut self, timeout: Option<Duration>) {
        self.statement_timeout = timeout;
    }

    /// Adds a session that takes the steps of `script` on `backend`.
    pub fn add(&mut self, name: &str, backend: Pooled, script: Box<dyn Script>) -> Result<SessionId, Error> {
        let session = self.admit(name, |_, gate| start_sql(name, backend, script, gate))?;
        if let Some(member) = self.members.get_mut(session.0) {
            member.follows_script = true;
        }
        Ok(session)
    }

    /// Adds a session that takes the steps which the run hands in ([`Run::hand`]), until it is dismissed
    /// ([`Run::dismiss`]).
    pub fn add_handed(&mut self, name: &str, backend: Pooled) -> Result<SessionId, Error> {
        let mut handed = None;
        let session = self.admit(name, |_, gate| {
            let driver = Driver::of(&backend);
            handed = Some(Handed::new(name, backend, gate, &driver));
            Ok(driver)
        })?;
        if let Some(member) = self.members.get_mut(session.0) {
            member.handed = handed;
            // Nobody waits at its gate.
            member.permits = None;
        }
        Ok(session)
    }

    /// Adds a session that somebody else drives: `start` is given its gate, and sees to it that somebody waits there
    /// before every step. The session is over when the gate is dropped.
    pub fn admit(
        &mut self,
        name: &str,
        start: impl FnOnce(SessionId, Gate) -> Result<Driver, Error>,
    ) -> Result<SessionId, Error> {
        let session = SessionId(self.members.len());
        let (permits, gate) = channel();
        let gate = Gate::new(session, self.sender.clone(), gate);
        let driver = start(session, gate)?;
        self.members.push(Member::new(name, permits, driver));
        Ok(session)
    }

    /// Runs the schedule to its end; every session's thread has ended when it returns.
    pub fn conduct(mut self, schedule: &mut dyn Schedule) -> Result<Record, Error> {
        let ending = self.lead(schedule);
        if !matches!(ending, Ok(Ending::Complete)) {
            self.line.stopping();
            self.stop();
        }
        let record = self.record(ending?);
        self.members.clear();
        Ok(record)
    }

    /// Runs the schedule until every session has ended its transaction. The sessions stay, and with a script of [`Laps`]
    /// they can do it again; but only if the record says that it was [`Ending::Complete`].
    ///
    /// [`Laps`]: crate::engine::Laps
    pub fn lap(&mut self, schedule: &mut dyn Schedule) -> Result<Record, Error> {
        self.members.iter_mut().for_each(Member::run_laps);
        let ending = self.lead(schedule);
        if !matches!(ending, Ok(Ending::Complete)) {
            self.stop();
        }
        Ok(self.record(ending?))
    }

    /// What has happened since the start, or since the last record.
    pub fn record(&mut self, ending: Ending) -> Record {
        let elapsed = self.journal.seconds(Instant::now());
        let sessions = self.members.iter().map(|member| member.report(self.statement_timeout)).collect();
        for member in &mut self.members {
            member.turn_page(self.behind_pooler);
        }
        Record {
            ending,
            sessions,
            events: self.journal.turn_page(),
            edges: self.edges_at_deadlock.take().unwrap_or_default(),
            outsiders: std::mem::take(&mut self.outsiders),
            stuck: std::mem::take(&mut self.stuck),
            elapsed,
        }
    }

    fn lead(&mut self, schedule: &mut dyn Schedule) -> Result<Ending, Error> {
        loop {
            while let Ok(message) = self.inbox.try_recv() {
                self.hear(message);
            }
            if self.leash.is_cut() || self.journal.is_halted() {
                return Ok(Ending::Halted);
            }
            if self.leash.is_over() {
                return Ok(Ending::Timeout);
            }
            self.check_pooler()?;
            if let Some(ending) = self.survey()? {
                return Ok(ending);
            }
            let board = self.board();
            if board.is_over() {
                return Ok(Ending::Complete);
            }
            let mut wake = LATE_PACE;
            if board.is_settled() {
                match schedule.next(&board) {
                    Decision::Release(session) => {
                        if let Some(ending) = self.take_down_locks_of(session)? {
                            return Ok(ending);
                        }
                        self.release(session);
                        continue;
                    }
                    Decision::HoldUntil(moment) => wake = moment.saturating_duration_since(Instant::now()),
                    Decision::Rest => {}
                    Decision::Slipped => return Ok(Ending::Slipped),
                    Decision::GiveUp => return Ok(Ending::GivenUp),
                    Decision::Look => match self.footholds()? {
                        Ok(footholds) => {
                            if let Some(footholds) = footholds {
                                schedule.see(&board, footholds);
                            }
                            continue;
                        }
                        Err(ending) => return Ok(ending),
                    },
                }
            }
            if self.members.iter().any(|member| member.running_pid().is_some()) {
                if Instant::now() >= self.next_look {
                    if let Some(ending) = self.look()? {
                        return Ok(ending);
                    }
                    continue;
                }
                wake = wake.min(self.next_look.saturating_duration_since(Instant::now()));
            }
            // Where a script goes on there is a better time for it: before its next release, or when there is nothing else to do.
            let is_idle = !self.members.iter().any(|member| member.is_undecided() && member.follows_script);
            if let Ok(message) = self.inbox.try_recv() {
                self.hear(message);
            } else if is_idle && self.owes_locks() {
                if let Some(ending) = self.take_down_locks()? {
                    return Ok(ending);
                }
            } else if let Ok(message) = self.inbox.recv_timeout(self.leash.remaining(wake.min(LATE_PACE))) {
                self.hear(message);
            }
        }
    }

    /// How often it is asked about sessions that are known to wait: of many, a question takes as many times as long.
    fn survey_pace(&self) -> Duration {
        let many = u32::try_from(self.members.len()).unwrap_or(u32::MAX);
        if self.detail == Detail::Nothing { IDLE_PACE } else { LATE_PACE.max(EARLY_PACE.saturating_mul(many)) }
    }

    fn board(&self) -> Board {
        Board {
            standings: self.members.iter().map(Member::standing).collect(),
            finished: self.members.iter().map(|member| member.finished).collect(),
            failed: self.members.iter().map(Member::has_failed).collect(),
            isolation: self.members.iter().map(|member| member.isolation.clone()).collect(),
        }
    }
}
