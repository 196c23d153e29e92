//! The user's own code in lock-step: sessions whose threads and connections are somebody else's, on the one engine.
//!
//! A [`Together`] is one observer, kept for as many runs as are wanted. A run is given names, somebody who starts a session
//! at its [`Gate`], and a [`Schedule`]; it comes back as a [`Report`].

mod explorer;
mod label;
mod ledger;
mod lore;
mod manner;
mod order;
mod pace;
mod strayed;

pub use explorer::Explorer;
pub use lore::Lore;
pub use order::{Given, Route, Turns};
pub use pace::Paced;
pub use strayed::Strayed;

use std::sync::Arc;
use std::time::Duration;

use crate::connection::conninfo::Conninfo;
use crate::connection::{Facts, Leash, POOLER_PATIENCE, Pool, open};
use crate::engine::caller::Line;
use crate::engine::{Driver, Ending, Gate, Observer, Record, Run, Schedule, SessionId};
use crate::error::Error;
use crate::report::{EventKind, Report, Server, SessionReport, Story, explain};

/// `deadlock_timeout` of whoever may close a cycle: PostgreSQL's least.
const SHORT: Duration = Duration::from_millis(1);
/// `deadlock_timeout` of whoever cannot. Where the server itself wakes a session to another wait, it may after all.
const LONG: Duration = Duration::from_secs(1);
/// How much later than due a spent check may come on a busy machine.
const SPENT_MARGIN: Duration = Duration::from_millis(24);
/// An outsider in the way is waited for this long beyond the server's own check for deadlocks.
const OUTSIDER_GRACE: Duration = Duration::from_secs(1);
/// How long saying good-bye may take; a frozen server must not hold the caller.
const FAREWELL: Duration = Duration::from_millis(500);

/// Starts the session of that number; it must take every step of its gate, on a thread of its own.
pub type Start<'a> = dyn FnMut(SessionId, Gate) -> Result<Driver, Error> + Send + 'a;

/// How a run of code ended, and the whole of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// How it came to its end.
    pub ending: Ending,
    /// What happened.
    pub report: Report,
}

/// Watches runs of code, one after the other.
pub struct Together {
    conninfo: Arc<Conninfo>,
    facts: Facts,
    observer: Option<Observer>,
}

impl Together {
    /// Opens the observer's connection.
    pub fn open(conninfo: Conninfo, leash: &Leash) -> Result<Self, Error> {
        let conninfo = Arc::new(conninfo);
        let (observer, facts) = observe(&conninfo, leash)?;
        Ok(Self { conninfo, facts, observer: Some(observer) })
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.facts.server
    }

    /// How long a pooler in front of the server may keep a session's first statement waiting; `None` if there is none.
    #[must_use]
    pub fn pooler_patience(&self) -> Option<Duration> {
        self.facts.pooled.then_some(POOLER_PATIENCE)
    }

    /// The `deadlock_timeout`s that sessions shall set for themselves, if their role may: for a step that is released when
    /// nobody waits, which cannot close a cycle, and for any other. A short one: what a run waits for is an answer.
    ///
    /// A superuser sees in every moment whether it still is one (the parameter `is_superuser` that the server reports); who
    /// was granted the parameter does not, and a SET that is refused ends the transaction: it has the short one all the time.
    #[must_use]
    pub fn deadlock_timeouts(&self) -> Option<(Duration, Duration)> {
        // Behind a pooler, a setting would be left on somebody else's connection.
        let may_set = self.facts.server.may_set_deadlock_timeout && !self.facts.pooled;
        may_set.then_some((if self.facts.superuser { LONG } else { SHORT }, SHORT))
    }

    /// How long a wait is left alone so that its check for a deadlock is spent, where nobody tells that it is.
    #[must_use]
    pub fn pause(&self) -> Duration {
        self.deadlock_timeouts().map_or(Duration::ZERO, |(_, short)| short + SPENT_MARGIN)
    }

    /// Runs one session for each name, in the order that `schedule` decides, until all have ended or `leash` does.
    pub fn run(
        &mut self,
        names: &[String],
        start: &mut Start<'_>,
        schedule: &mut dyn Schedule,
        timeout: Duration,
        line: &Line,
        leash: &Leash,
    ) -> Result<Told, Error> {
        match self.deadlock_timeouts() {
            Some((first, short)) => {
                let mut paced = Paced::new(schedule, short + SPENT_MARGIN, first == short);
                self.conduct(names, start, &mut paced, true, timeout, line, leash)
            }
            None => self.conduct(names, start, schedule, true, timeout, line, leash),
        }
    }

    /// The same for a schedule that looks after its own pace, and asks itself what it wants to know of locks.
    pub fn search(
        &mut self,
        names: &[String],
        start: &mut Start<'_>,
        schedule: &mut dyn Schedule,
        timeout: Duration,
        line: &Line,
        leash: &Leash,
    ) -> Result<Told, Error> {
        self.conduct(names, start, schedule, false, timeout, line, leash)
    }

    #[expect(clippy::too_many_arguments, reason = "a run needs them all")]
    fn conduct(
        &mut self,
        names: &[String],
        start: &mut Start<'_>,
        schedule: &mut dyn Schedule,
        note_locks: bool,
        timeout: Duration,
        line: &Line,
        leash: &Leash,
    ) -> Result<Told, Error> {
        let servers = Duration::from_secs_f64(self.facts.server.deadlock_timeout);
        let timeouts = self.deadlock_timeouts();
        let deadlock_timeout = timeouts.map_or(servers, |(_, short)| short);
        let statement_timeout = (self.facts.statement_timeout > 0.0).then_some(timeout);
        let pooled = self.facts.pooled;
        let mut run = Run::new(self.observer(leash)?, line, leash, servers + OUTSIDER_GRACE);
        run.expect_statement_timeout(statement_timeout);
        run.note_locks(note_locks);
        if pooled {
            run.expect_pooler();
        }
        run.watch_threads();
        for name in names {
            if let Err(error) = run.admit(name, &mut *start) {
                run.stop();
                return Err(error);
            }
        }
        let record = run.conduct(schedule)?;
        Ok(self.tell(record, deadlock_timeout, timeout))
    }

    /// Ends the observer's connection.
    pub fn close(&mut self) {
        if let Some(observer) = self.observer.take() {
            // Nothing was done there that could be lost.
            let _ = observer.close("SELECT 1", &Leash::lasting(FAREWELL));
        }
    }

    /// The observer; a new one if a run before was cut short while it asked.
    fn observer(&mut self, leash: &Leash) -> Result<&mut Observer, Error> {
        let usable = self.observer.take().filter(|observer| !observer.is_closed());
        let observer = match usable {
            Some(observer) => observer,
            None => observe(&self.conninfo, leash)?.0,
        };
        Ok(self.observer.insert(observer))
    }

    fn tell(&self, record: Record, deadlock_timeout: Duration, timeout: Duration) -> Told {
        let (outcome, victims, cycle) = (record.outcome(), record.victims(), record.cycle());
        let hidden = record.is_hidden();
        let limit = |seconds: f64| (seconds > 0.0).then_some(seconds);
        let explanation = explain(&Story {
            outcome,
            hidden,
            code: true,
            sessions: &record.sessions,
            events: &record.events,
            victims: &victims,
            cycle: &cycle,
            outsiders: &record.outsiders,
            stuck: &record.stuck,
            lock: "UPDATE",
            lock_is_shared: false,
            scratch: false,
            deadlock_timeout: deadlock_timeout.as_secs_f64(),
            servers_deadlock_timeout: self.facts.server.deadlock_timeout,
            lock_timeout: limit(self.facts.lock_timeout),
            statement_timeout: limit(self.facts.statement_timeout),
            timeout: timeout.as_secs_f64(),
        });
        let mut notes: Vec<String> = self.conninfo.warnings().iter().map(ToString::to_string).collect();
        notes.extend(self.other_victim(&record, &victims, &cycle));
        let report = Report {
            outcome,
            hidden_deadlock: hidden,
            victims,
            cycle,
            sessions: record.sessions,
            events: record.events,
            elapsed: record.elapsed,
            explanation,
            notes,
            server: self.facts.server.clone(),
        };
        Told { ending: record.ending, report }
    }
}

impl Together {
    /// What is to be said where another session was aborted than the one that closed the cycle.
    fn other_victim(&self, record: &Record, victims: &[String], cycle: &[String]) -> Option<String> {
        self.deadlock_timeouts()?;
        let waited =
            |session: &SessionReport| session.statements.iter().rev().find(|one| one.waited).map(|one| one.requested);
        let asked = |session: &&SessionReport| waited(session).unwrap_or(f64::NEG_INFINITY);
        let in_cycle = || record.sessions.iter().filter(|session| cycle.contains(&session.name));
        // Who has first waited for somebody else came to the cycle later than it asked.
        let first_for_others = |session: &SessionReport| {
            let since = asked(&session);
            let waits = record.events.iter().filter(|event| event.kind == EventKind::Waiting && event.at >= since);
            waits
                .filter(|event| event.session == session.name)
                .any(|event| event.blocked_by.iter().any(|holder| !cycle.contains(holder)))
        };
        if in_cycle().any(first_for_others) {
            return None;
        }
        let closer = in_cycle().max_by(|one, other| asked(one).total_cmp(&asked(other)))?;
        let victim = victims.first().filter(|victim| **victim != closer.name)?;
        Some(format!(
            "PostgreSQL aborted {victim}, although it was {} that closed the cycle: the machine was stalled at that moment, or \
             deadlock_timeout was set by the code. Another run may well abort {}.",
            closer.name, closer.name
        ))
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        self.close();
    }
}

fn observe(conninfo: &Arc<Conninfo>, leash: &Leash) -> Result<(Observer, Facts), Error> {
    let mut probe = open(conninfo, leash)?;
    let facts = Facts::gather(&mut probe, leash)?;
    let pool = Pool::start(Arc::clone(conninfo), 1, probe, leash);
    let observer = Observer::open(pool.get(leash)?, None, leash)?.with_spare(Arc::clone(conninfo));
    let observer = if facts.pooled { observer } else { observer.with_plan() };
    Ok((observer, facts))
}
