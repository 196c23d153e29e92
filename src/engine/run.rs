//! One run: sessions, a schedule, and the loop that keeps the lock-step rule.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::caller::Line;
use super::journal::{Journal, event};
use super::member::{Member, Phase, Seen};
use super::observer::{Observer, Outsider, Wait};
use super::schedule::{Board, Decision, Schedule};
use super::script::Script;
use super::session::{Gate, Message, SessionId, start_sql};
use super::step::{Step, StepKind, StepResult};
use crate::connection::{CancelHandle, Leash, Pooled, cancel_all};
use crate::error::Error;
use crate::report::{Edge, Event, EventKind, SessionReport, Statement};

/// The observer looks this long after a step was released, …
const FIRST_LOOK: Duration = Duration::from_micros(300);
/// … then this often, …
const EARLY_PACE: Duration = Duration::from_millis(1);
/// … this many times, …
const EARLY_LOOKS: u32 = 20;
/// … then this often: looking as fast as possible would starve a small server.
const LATE_PACE: Duration = Duration::from_millis(5);
/// How long sessions that are being stopped have to end by themselves before they are cut off.
const STOP_PATIENCE: Duration = Duration::from_millis(150);
/// A session that got its lock is not told of before the session that let go of it, if that is heard of within this time.
const CAUSE_PATIENCE: Duration = Duration::from_millis(20);
/// A cancel request is racy, so it is sent again this often.
const CANCEL_AGAIN: Duration = Duration::from_millis(10);

/// How a run came to its end.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Every session has ended.
    Complete,
    /// The schedule's clock has run away; nothing is known. Run it again.
    Slipped,
    /// The time was up.
    Timeout,
    /// The caller wanted it to end.
    Halted,
    /// A session outside the run holds what is waited for, and does not let go.
    Outsider,
    /// The caller's own idle transaction holds what is waited for: nobody can ever let go.
    Hidden,
}

/// What a run leaves behind for the report.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// How it ended.
    pub ending: Ending,
    /// What became of each session.
    pub sessions: Vec<SessionReport>,
    /// Everything that happened.
    pub events: Vec<Event>,
    /// Who waited for whom when the first session was aborted with 40P01.
    pub edges: Vec<Edge>,
    /// The backends outside the run that were seen in the way.
    pub outsiders: Vec<Outsider>,
    /// Seconds from the start to the end of the last session.
    pub elapsed: f64,
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
    edges_at_deadlock: Option<Vec<Edge>>,
    outsiders: Vec<Outsider>,
    /// The sessions whose end of a step is held back until its cause is heard, …
    telling: Vec<usize>,
    /// … and what they have said since.
    held_back: Vec<Message>,
    looks: u32,
    next_look: Instant,
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
            edges_at_deadlock: None,
            outsiders: Vec::new(),
            telling: Vec::new(),
            held_back: Vec::new(),
            looks: 0,
            next_look: Instant::now(),
        }
    }

    /// The sessions' own `statement_timeout`, so that its cancellation is not taken for somebody else's.
    pub fn expect_statement_timeout(&mut self, timeout: Option<Duration>) {
        self.statement_timeout = timeout;
    }

    /// Adds a session that takes the steps of `script` on `backend`.
    pub fn add(&mut self, name: &str, backend: Pooled, script: Box<dyn Script>) -> Result<SessionId, Error> {
        let session = SessionId(self.members.len());
        let (permits, gate) = channel();
        let gate = Gate::new(session, self.sender.clone(), gate);
        let driver = start_sql(name, backend, script, gate)?;
        self.members.push(Member::new(name, permits, driver));
        Ok(session)
    }

    /// Runs the schedule to its end; every session's thread has ended when it returns.
    pub fn conduct(mut self, schedule: &mut dyn Schedule) -> Result<Record, Error> {
        let ending = self.lead(schedule);
        if !matches!(ending, Ok(Ending::Complete)) {
            self.stop();
        }
        let ending = ending?;
        let elapsed = self.journal.seconds(Instant::now());
        let sessions = self.members.iter().map(|member| member.report(self.statement_timeout)).collect();
        self.members.clear();
        Ok(Record {
            ending,
            sessions,
            events: self.journal.into_events(),
            edges: self.edges_at_deadlock.unwrap_or_default(),
            outsiders: self.outsiders,
            elapsed,
        })
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
            let board = self.board();
            if board.is_over() {
                return Ok(Ending::Complete);
            }
            let mut wake = LATE_PACE;
            if board.is_settled() {
                match schedule.next(&board) {
                    Decision::Release(session) => {
                        self.release(session);
                        continue;
                    }
                    Decision::HoldUntil(moment) => wake = moment.saturating_duration_since(Instant::now()),
                    Decision::Rest => {}
                    Decision::Slipped => return Ok(Ending::Slipped),
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
            if let Ok(message) = self.inbox.recv_timeout(self.leash.remaining(wake.min(LATE_PACE))) {
                self.hear(message);
            }
        }
    }

    fn board(&self) -> Board {
        Board {
            standings: self.members.iter().map(Member::standing).collect(),
            finished: self.members.iter().map(|member| member.finished).collect(),
        }
    }

    fn release(&mut self, SessionId(index): SessionId) {
        let Some(member) = self.members.get_mut(index) else { return };
        let Phase::AtGate(step) = std::mem::replace(&mut member.phase, Phase::Coming) else { return };
        let now = Instant::now();
        let at = self.journal.seconds(now);
        member.statements.push(Statement {
            sql: step.sql.clone(),
            step: step.name.clone(),
            requested: at,
            finished: None,
            waited: false,
            rows: None,
            sqlstate: None,
            source: step.source.clone(),
        });
        let asked = (step.kind == StepKind::Statement).then(|| Event {
            statement: Some(step.sql.clone()),
            source: step.source.clone(),
            ..event(at, &member.name, member.backend_pid, EventKind::Request, &step.name)
        });
        member.phase = Phase::Running { step, released: now, seen: None };
        self.looks = 0;
        self.next_look = now + FIRST_LOOK;
        if let Some(asked) = asked {
            self.journal.record(asked);
            if self.journal.is_halted() {
                return;
            }
        }
        if let Some(permits) = self.members.get(index).and_then(|member| member.permits.as_ref()) {
            // A session that is gone has said so, or will.
            let _ = permits.send(());
        }
    }

    fn hear(&mut self, message: Message) {
        if self.telling.contains(&message.session().0) {
            self.held_back.push(message);
            return;
        }
        match message {
            Message::Arrived { session: SessionId(index), step } => {
                if let Some(member) = self.members.get_mut(index) {
                    member.phase = Phase::AtGate(step);
                }
            }
            Message::Finished { session: SessionId(index), result, backend_pid, at } => {
                self.telling.push(index);
                self.hear_the_cause(index, &result);
                self.telling.retain(|&telling| telling != index);
                self.finish(index, &result, backend_pid, at);
                let (said_since, of_others): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.held_back).into_iter().partition(|said| said.session().0 == index);
                self.held_back = of_others;
                for said in said_since {
                    self.hear(said);
                }
            }
            Message::Left { session: SessionId(index) } => {
                if let Some(member) = self.members.get_mut(index) {
                    member.phase = Phase::Left;
                }
            }
        }
    }

    /// The server lets go of a failed session's locks before it says so: what another session got thereby may be heard
    /// first. Cause before effect.
    fn hear_the_cause(&mut self, index: usize, result: &StepResult) {
        if !matches!(result, StepResult::Done(_)) {
            return;
        }
        let Some(member) = self.members.get(index) else { return };
        let blockers = member.blockers().to_vec();
        let deadline = Instant::now() + CAUSE_PATIENCE;
        while self.members.iter().filter_map(Member::running_pid).any(|pid| blockers.contains(&pid)) {
            match self.inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(message) => self.hear(message),
                Err(_) => break,
            }
        }
    }

    fn finish(&mut self, index: usize, result: &StepResult, backend_pid: Option<i32>, at: Instant) {
        let seconds = self.journal.seconds(at);
        if result.error().is_some_and(|error| error.sqlstate == "40P01") && self.edges_at_deadlock.is_none() {
            self.edges_at_deadlock = Some(self.edges());
        }
        let Some(member) = self.members.get_mut(index) else { return };
        member.backend_pid = backend_pid.or(member.backend_pid);
        member.finished = Some(at);
        let Phase::Running { step, .. } = std::mem::replace(&mut member.phase, Phase::Coming) else { return };
        member.conclude(step.kind, result, seconds);
        let told = tell(member, &step, result, seconds);
        for other in &mut self.members {
            other.doubt();
        }
        self.looks = 0;
        self.next_look = Instant::now();
        self.journal.record(told);
    }

    fn edges(&self) -> Vec<Edge> {
        let waiting = self.members.iter().filter_map(|member| Some((member.backend_pid?, member.blockers())));
        waiting.flat_map(|(waiter, holders)| holders.iter().map(move |&holder| Edge { waiter, holder })).collect()
    }

    /// Asks the observer who waits for whom.
    fn look(&mut self) -> Result<Option<Ending>, Error> {
        let pids: Vec<i32> = self.members.iter().filter_map(Member::running_pid).collect();
        let waits = match self.observer.waits(&pids, self.leash) {
            Ok(waits) => waits,
            Err(Error::Halted) => return Ok(Some(Ending::Halted)),
            Err(Error::Timeout { .. }) => return Ok(Some(Ending::Timeout)),
            Err(error) => return Err(error),
        };
        let now = Instant::now();
        for index in 0..self.members.len() {
            let Some(pid) = self.members[index].running_pid() else { continue };
            let wait = waits.iter().find(|wait| wait.pid == pid);
            self.note(index, wait.cloned(), now)?;
        }
        self.looks += 1;
        self.next_look = now + if self.looks < EARLY_LOOKS { EARLY_PACE } else { LATE_PACE };
        self.judge_outsiders(now)
    }

    /// Takes down whether one session waits.
    fn note(&mut self, index: usize, wait: Option<Wait>, now: Instant) -> Result<(), Error> {
        let Phase::Running { seen, .. } = &mut self.members[index].phase else { return Ok(()) };
        let Some(wait) = wait else {
            *seen = None;
            return Ok(());
        };
        if let Some(seen) = seen
            && seen.blockers == wait.blockers
        {
            seen.in_doubt = false;
            return Ok(());
        }
        let since = seen.as_ref().map_or(now, |seen| seen.at);
        *seen = Some(Seen { at: since, blockers: wait.blockers.clone(), in_doubt: false });
        let lock = match self.observer.lock(wait.pid, self.leash) {
            Err(error @ (Error::Server { .. } | Error::Lost { .. })) => return Err(error),
            other => other.ok().flatten(),
        };
        let blocked_by = wait.blockers.iter().map(|&pid| self.name_of(pid)).collect();
        let seconds = self.journal.seconds(now);
        let member = &mut self.members[index];
        let Some(statement) = member.statements.last_mut() else { return Ok(()) };
        statement.waited = true;
        let waiting = event(seconds, &member.name, member.backend_pid, EventKind::Waiting, &statement.step);
        let waiting = Event {
            statement: Some(statement.sql.clone()),
            source: statement.source.clone(),
            blocked_by,
            lock,
            ..waiting
        };
        self.journal.record(waiting);
        Ok(())
    }

    fn name_of(&self, pid: i32) -> String {
        match self.members.iter().find(|member| member.backend_pid == Some(pid)) {
            Some(member) => member.name.clone(),
            None if pid == 0 => "a prepared transaction".to_owned(),
            None => format!("pid {pid}"),
        }
    }

    /// Whether somebody outside the run keeps it from ever ending.
    fn judge_outsiders(&mut self, now: Instant) -> Result<Option<Ending>, Error> {
        let ours: Vec<i32> = self.members.iter().filter_map(|member| member.backend_pid).collect();
        let mut strangers = Vec::new();
        let mut patient = true;
        for member in &self.members {
            let Phase::Running { seen: Some(seen), .. } = &member.phase else { continue };
            let before = strangers.len();
            strangers.extend(seen.blockers.iter().copied().filter(|pid| !ours.contains(pid)));
            if strangers.len() > before && now.saturating_duration_since(seen.at) >= self.outsider_patience {
                patient = false;
            }
        }
        strangers.retain(|pid| !self.outsiders.iter().any(|known| known.pid == *pid));
        if !strangers.is_empty() {
            strangers.sort_unstable();
            strangers.dedup();
            let known = self.observer.outsiders(&strangers, self.leash)?;
            self.outsiders.extend(known);
            let own = self.line.own_backends();
            if self.outsiders.iter().any(|outsider| own.contains(&outsider.pid)) {
                self.outsiders.retain(|outsider| own.contains(&outsider.pid));
                return Ok(Some(Ending::Hidden));
            }
        }
        Ok((!patient && self.board().is_settled()).then_some(Ending::Outsider))
    }

    /// Ends whatever still goes on: closes the gates, cancels what runs, and in the end cuts off what does not answer.
    fn stop(&mut self) {
        let deadline = Instant::now() + STOP_PATIENCE;
        for index in 0..self.members.len() {
            let seconds = self.journal.seconds(Instant::now());
            let member = &mut self.members[index];
            member.permits = None;
            member.cancelled = !matches!(member.phase, Phase::Left);
            if let Phase::Running { step, .. } = &member.phase {
                let cancel = event(seconds, &member.name, member.backend_pid, EventKind::Cancel, &step.name);
                self.journal.record(cancel);
            }
        }
        while !self.board().is_over() && Instant::now() < deadline {
            let running: Vec<CancelHandle> = self
                .members
                .iter()
                .filter(|member| matches!(member.phase, Phase::Running { .. }))
                .filter_map(|member| member.driver.as_ref()?.cancel.clone())
                .collect();
            if !running.is_empty() {
                cancel_all(&running, deadline.saturating_duration_since(Instant::now()));
            }
            let again = Instant::now() + CANCEL_AGAIN;
            while !self.board().is_over() {
                match self.inbox.recv_timeout(again.saturating_duration_since(Instant::now())) {
                    Ok(message) => self.hear(message),
                    Err(_) => break,
                }
            }
        }
        for member in &self.members {
            if let Some(driver) = &member.driver
                && !matches!(member.phase, Phase::Left)
            {
                driver.leash.cut();
            }
        }
        // The last words of those that were cut off.
        while !self.board().is_over() {
            match self.inbox.recv_timeout(STOP_PATIENCE) {
                Ok(message) => self.hear(message),
                Err(_) => break,
            }
        }
    }
}

/// The event of a step's end.
fn tell(member: &Member, step: &Step, result: &StepResult, seconds: f64) -> Event {
    let kind = match (result, step.kind) {
        (StepResult::Failed(_) | StepResult::Lost { .. }, _) => EventKind::Error,
        (_, StepKind::Begin) => EventKind::Begin,
        (_, StepKind::Statement) => EventKind::Acquired,
        (_, StepKind::Commit) => EventKind::Commit,
        (_, StepKind::Rollback) => EventKind::Rollback,
    };
    let lost = match result {
        StepResult::Lost { why, .. } => Some(why.clone()),
        _ => None,
    };
    Event {
        statement: Some(step.sql.clone()),
        source: step.source.clone(),
        sqlstate: result.error().map(|error| error.sqlstate.clone()),
        message: result.error().map(|error| error.message.clone()).or(lost),
        rows: result.rows(),
        ..event(seconds, &member.name, member.backend_pid, kind, &step.name)
    }
}
