//! The observer: a connection of its own that says who waits for whom.
//!
//! `pg_blocking_pids` sees a wait within microseconds, costs a few more, and answers any role about any role (the
//! manual's chapter "System Information Functions"). It also lists sessions that are merely ahead in the queue.

use std::ops::DerefMut;
use std::sync::Arc;
use std::time::Duration;

use super::questions::{LOCK, array, awaited_lock, blocked_by, blockers, footholds};
use super::schedule::HeldLock;
use crate::connection::conninfo::Conninfo;
use crate::connection::{Backend, Leash, explained, open};
use crate::error::Error;

const DOING: &str = "watching who waits for whom";

/// One backend waits for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// The backend that waits.
    pub pid: i32,
    /// Who is in its way.
    pub blockers: Vec<i32>,
    /// The lock that it waits for, where that was asked.
    pub lock: Option<String>,
}

/// What one backend waits for, holds and asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stance {
    /// The backend.
    pub pid: i32,
    /// Who is in its way.
    pub blockers: Vec<i32>,
    /// Its locks.
    pub locks: Vec<HeldLock>,
    /// Whether its transaction has a number of its own.
    pub numbered: bool,
    /// Whether it waits for a row.
    pub queued: bool,
}

/// A backend that is not of this run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outsider {
    /// Its process.
    pub pid: i32,
    /// Its `application_name`.
    pub application: String,
    /// Its role.
    pub role: String,
    /// `active`, `idle in transaction`, …; empty where the role may not see it.
    pub state: String,
    /// Its current or last query, shortened; empty where the role may not see it.
    pub query: String,
    /// How long its transaction has been open, in seconds.
    pub transaction_age: Option<f64>,
    /// `file:line` of where its code is, if it is a backend of this very process.
    pub place: Option<String>,
}

/// What the observer asks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Question {
    /// `pg_blocking_pids`.
    Blockers,
    /// `pg_isolation_test_session_is_blocked`, which knows safe snapshots and parallel workers too: by one of these.
    BlockedBy(Vec<i32>),
}

/// Whether the server keeps its plan for a question that is asked often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    /// No.
    None,
    /// From the next time on.
    Wanted,
    /// Yes.
    Kept,
}

/// The statement that the plan is kept for.
const FOOTHOLDS: &str = "lockstep_footholds";

/// What is done to a backend from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `pg_cancel_backend`.
    Cancel,
    /// `pg_terminate_backend`.
    Terminate,
}

/// A step that takes longer says nothing about the others.
const MOST_OF_A_STEP: Duration = Duration::from_millis(5);

/// How many backends are asked about at once: PostgreSQL returns 1,664 columns at most.
const AT_ONCE: usize = 1000;

/// A connection that is held: one of a pool's, or one's own.
pub type Held = Box<dyn DerefMut<Target = Backend> + Send>;

/// Watches the backends of one run.
pub struct Observer {
    backend: Held,
    question: Question,
    spare: Option<Arc<Conninfo>>,
    plan: Plan,
    /// How long steps take that do not wait, in a running mean.
    usual_step: Duration,
}

impl Observer {
    /// Opens the transaction that the observer looks from, and runs `claim` in it. It holds no snapshot while it is
    /// idle, and keeps the same server connection behind a transaction pooler.
    pub fn open(
        backend: impl DerefMut<Target = Backend> + Send + 'static,
        claim: Option<&str>,
        leash: &Leash,
    ) -> Result<Self, Error> {
        Self::open_after("", backend, claim, leash)
    }

    /// [`Observer::open`], with a transaction of its own before, in the same message to the server.
    pub fn open_after(
        before: &str,
        backend: impl DerefMut<Target = Backend> + Send + 'static,
        claim: Option<&str>,
        leash: &Leash,
    ) -> Result<Self, Error> {
        let mut observer = Self::unbound(backend);
        // A new backend's first look costs it a millisecond, which it had better spend before looks count.
        let rehearsal = format!("{}; {}", blockers(&[0]), awaited_lock(0));
        let claim = claim.unwrap_or("SELECT");
        let opened = observer.backend.ask(
            &format!(
                "{before}BEGIN ISOLATION LEVEL READ COMMITTED; \
                 SET LOCAL application_name = 'lockstep observer'; \
                 SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = 0; \
                 {claim}; {rehearsal}"
            ),
            if before.is_empty() { "opening the observer's transaction" } else { "making scratch rows" },
            leash,
        );
        opened.map_err(explained)?;
        Ok(observer)
    }

    /// What another connection is opened with when the observer's own is of no more use.
    #[must_use]
    pub fn with_spare(self, conninfo: Arc<Conninfo>) -> Self {
        Self { spare: Some(conninfo), ..self }
    }

    /// Has the server keep its plan for [`Observer::footholds`], which takes it longer to make than to follow. Only for a
    /// connection that is nobody else's afterwards.
    #[must_use]
    pub fn with_plan(self) -> Self {
        Self { plan: Plan::Wanted, ..self }
    }

    /// An observer without a transaction of its own, for a connection that has other work to do as well.
    #[must_use]
    pub fn unbound(backend: impl DerefMut<Target = Backend> + Send + 'static) -> Self {
        Self {
            backend: Box::new(backend),
            question: Question::Blockers,
            spare: None,
            plan: Plan::None,
            usual_step: Duration::ZERO,
        }
    }

    /// From now on, only waits for one of these backends count.
    pub fn count_only(&mut self, pids: Vec<i32>) {
        self.question = Question::BlockedBy(pids);
    }

    /// Takes down how long a step took that did not wait for a lock.
    pub fn note_step(&mut self, took: Duration) {
        self.usual_step = (self.usual_step * 3 + took.min(MOST_OF_A_STEP)) / 4;
    }

    /// The time within which most steps are through that do not wait. To look earlier would only get in their way.
    #[must_use]
    pub fn usual_step(&self) -> Duration {
        self.usual_step * 5 / 4
    }

    /// The connection itself.
    pub fn backend(&mut self) -> &mut Backend {
        &mut self.backend
    }

    /// Whether its connection has ended; an operation that was cut short ends it.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.backend.is_closed()
    }

    /// Which of these backends wait, and for whom.
    pub fn waits(&mut self, pids: &[i32], leash: &Leash) -> Result<Vec<Wait>, Error> {
        let mut waits = Vec::new();
        for pids in pids.chunks(AT_ONCE) {
            let sql = match &self.question {
                Question::Blockers => blockers(pids),
                Question::BlockedBy(others) => blocked_by(pids, others),
            };
            let reply = self.backend.ask(&sql, DOING, leash)?;
            let answers = reply.rows().first().map(Vec::as_slice).unwrap_or_default();
            for (&pid, answer) in pids.iter().zip(answers) {
                waits.extend(wait(pid, answer.as_deref(), None));
            }
        }
        Ok(waits)
    }

    /// Whether a backend waits, for whom, and for which lock, all in one message.
    pub fn wait(&mut self, pid: i32, leash: &Leash) -> Result<Option<Wait>, Error> {
        let reply = self.backend.ask(&format!("{}; {}", blockers(&[pid]), awaited_lock(pid)), DOING, leash)?;
        let mut answers = reply.results.iter().map(|result| result.rows.first()?.first()?.clone());
        let blockers = answers.next().flatten();
        Ok(wait(pid, blockers.as_deref(), answers.next().flatten()))
    }

    /// The lock that a backend waits for, as the server's own deadlock message would name it.
    pub fn lock(&mut self, pid: i32, leash: &Leash) -> Result<Option<String>, Error> {
        if self.question != Question::Blockers {
            return Ok(None);
        }
        Ok(self.backend.ask(&awaited_lock(pid), DOING, leash)?.scalar().map(str::to_owned))
    }

    /// The locks that these backends hold, in the same words, each with its holder: those on tables and advisory locks. Indexes
    /// are locked with their tables, every transaction locks its own number, and a row that is locked is not in `pg_locks` at
    /// all.
    pub fn held_locks(&mut self, pids: &[i32], leash: &Leash) -> Result<Vec<(i32, String)>, Error> {
        let sql = format!(
            "SELECT pid, {LOCK} AS lock FROM pg_locks \
             WHERE pid = ANY ('{}'::int[]) AND granted AND locktype NOT IN ('transactionid', 'virtualxid', 'tuple', 'spectoken') \
             AND (relation IS NULL OR pg_index_has_property(relation, 'clusterable') IS NULL \
             AND relation::regclass::text NOT LIKE 'pg_toast.%') ORDER BY lock",
            array(pids)
        );
        let reply = self.backend.ask(&sql, DOING, leash)?;
        let held = |row: &Vec<Option<String>>| Some((column(row, 0).parse().ok()?, column(row, 1).to_owned()));
        Ok(reply.rows().iter().filter_map(held).collect())
    }

    /// What each of these backends waits for, holds and asks for: user relations, with their schemas, and advisory locks;
    /// and whether it has a transaction number, which others wait for where it has locked a row.
    pub fn footholds(&mut self, pids: &[i32], leash: &Leash) -> Result<Vec<Stance>, Error> {
        let asked = array(pids);
        let sql = match self.plan {
            Plan::None => footholds(&format!("'{asked}'::int[]")),
            Plan::Wanted => {
                self.plan = Plan::Kept;
                let question = footholds("$1");
                format!(
                    "SET LOCAL plan_cache_mode = force_generic_plan; PREPARE {FOOTHOLDS}(int[]) AS {question}; \
                     EXECUTE {FOOTHOLDS}('{asked}')"
                )
            }
            Plan::Kept => format!("EXECUTE {FOOTHOLDS}('{asked}')"),
        };
        let reply = self.backend.ask(&sql, DOING, leash)?;
        let mut found: Vec<Stance> = Vec::new();
        for row in reply.rows() {
            let Ok(pid) = column(row, 0).parse() else { continue };
            if found.last().is_none_or(|last| last.pid != pid) {
                let blockers = column(row, 1).split(' ').filter_map(|pid| pid.parse().ok()).collect();
                found.push(Stance { pid, blockers, locks: Vec::new(), numbered: false, queued: false });
            }
            let Some(stance) = found.last_mut() else { continue };
            if column(row, 2) == "transactionid" {
                stance.numbered = true;
            } else if column(row, 2) == "tuple" {
                // Whoever is first in the queue of a row holds this, the others ask for it.
                stance.queued = true;
            } else if !column(row, 2).is_empty() {
                stance.locks.push(HeldLock {
                    object: column(row, 3).to_owned(),
                    of_relation: column(row, 2) == "relation",
                    mode: column(row, 4).to_owned(),
                });
            }
        }
        Ok(found)
    }

    /// What the server knows about other backends.
    pub fn outsiders(&mut self, pids: &[i32], leash: &Leash) -> Result<Vec<Outsider>, Error> {
        // Within one transaction, pg_stat_activity shows what it showed first.
        let sql = format!(
            "SELECT pg_stat_clear_snapshot(); SELECT pid, coalesce(application_name, ''), coalesce(usename, ''), \
             coalesce(state, ''), coalesce(left(regexp_replace(query, '\\s+', ' ', 'g'), 200), ''), \
             extract(epoch FROM clock_timestamp() - xact_start) \
             FROM pg_stat_activity WHERE pid = ANY ('{}'::int[])",
            array(pids)
        );
        let reply = self.backend.ask(&sql, DOING, leash)?;
        Ok(reply
            .rows()
            .iter()
            .filter_map(|row| {
                Some(Outsider {
                    pid: column(row, 0).parse().ok()?,
                    application: column(row, 1).to_owned(),
                    role: column(row, 2).to_owned(),
                    state: column(row, 3).to_owned(),
                    query: column(row, 4).to_owned(),
                    transaction_age: column(row, 5).parse().ok(),
                    place: None,
                })
            })
            .collect())
    }

    /// For how long a backend has done nothing in its transaction; `None` when it does something, or has none.
    pub fn idle_in_transaction(&mut self, pid: i32, leash: &Leash) -> Result<Option<Duration>, Error> {
        let sql = format!(
            "SELECT pg_stat_clear_snapshot(); SELECT extract(epoch FROM clock_timestamp() - state_change) \
             FROM pg_stat_activity WHERE pid = {pid} AND state LIKE 'idle in transaction%'"
        );
        let reply = self.backend.ask(&sql, DOING, leash)?;
        let seconds = reply.rows().first().and_then(|row| column(row, 0).parse::<f64>().ok());
        Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()))
    }

    /// Cancels the statements of these backends, or ends them. The role's own backends are admitted to it. Also when the
    /// observer's connection was cut short: then it opens another one.
    pub fn signal(&mut self, signal: Signal, pids: &[i32], leash: &Leash) {
        let function = match signal {
            Signal::Cancel => "pg_cancel_backend",
            Signal::Terminate => "pg_terminate_backend",
        };
        let sql = format!("SELECT pg_catalog.{function}(pid) FROM pg_catalog.unnest('{}'::int[]) AS pid", array(pids));
        // A failure means that the server does not answer, or that the backends are gone; that shows by itself.
        if !self.backend.is_closed() {
            let _ = self.backend.run(&sql, leash);
        } else if let Some(conninfo) = &self.spare
            && let Ok(mut backend) = open(conninfo, leash)
        {
            let _ = backend.run(&sql, leash);
        }
    }

    /// Runs `last` in the observer's transaction, commits it, and gives the connection back.
    pub fn close(mut self, last: &str, leash: &Leash) -> Result<(), Error> {
        let closed = self.backend.ask(&format!("{last}; COMMIT"), "ending the observer's transaction", leash);
        if closed.is_err() {
            let _ = self.backend.run("ROLLBACK", leash);
        }
        closed.map(drop)
    }
}

/// What the array of its blockers says of a backend; an empty one, or none, that it does not wait.
fn wait(pid: i32, blockers: Option<&str>, lock: Option<String>) -> Option<Wait> {
    let found = blockers.filter(|found| *found != "{}")?;
    let blockers = found.split(['{', ',', '}']).filter_map(|pid| pid.parse().ok()).collect();
    Some(Wait { pid, blockers, lock })
}

fn column(row: &[Option<String>], index: usize) -> &str {
    row.get(index).and_then(Option::as_deref).unwrap_or_default()
}
