//! Running `.spec` files, as PostgreSQL's isolation tester does: the same engine, led step by step.
//!
//! One connection for each session and one more, the control connection, for the whole file. The control connection runs
//! setup and teardown and asks who is blocked.

mod outcome;
mod permutation;
mod report;
mod transcript;

pub use report::{PermutationReport, SpecReport};

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use crate::connection::conninfo::Conninfo;
use crate::connection::{Facts, Leash, Pool, open};
use crate::engine::caller::Line;
use crate::engine::run::Run;
use crate::engine::{Caller, Ending, Mailbox, Observer, SessionId, Step, StepResult, supervise};
use crate::error::Error;
use crate::scenario::spec::Spec;
use permutation::{Stage, run_permutation};
use transcript::Transcript;

/// How a file is run.
#[derive(Clone, Debug, PartialEq)]
pub struct SpecOptions {
    /// For the whole call.
    pub timeout: Duration,
    /// After this long a step is cancelled; after twice as long the file is given up.
    pub step_timeout: Duration,
    /// Statements that every connection, control first, runs at its start; for example `SET search_path`.
    pub prelude: Vec<String>,
    /// The sessions' `application_name` is this, a slash, and the session's name.
    pub application_name: String,
}

impl Default for SpecOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(3600),
            // PostgreSQL's tester: twice PG_TEST_TIMEOUT_DEFAULT, which is 180 s.
            step_timeout: Duration::from_secs(360),
            prelude: Vec::new(),
            application_name: "lockstep".to_owned(),
        }
    }
}

/// Runs every permutation of a spec, in order.
///
/// Blocks the calling thread. What a step does is told by the report; so is a setup that fails, which ends the file.
pub fn run_spec(
    conninfo: Conninfo,
    spec: &Spec,
    options: &SpecOptions,
    caller: &mut dyn Caller,
) -> Result<SpecReport, Error> {
    let leash = Leash::new(Some(Instant::now() + options.timeout));
    supervise(caller, &leash, |line| perform(Arc::new(conninfo), spec, options, line, &leash))
}

fn perform(
    conninfo: Arc<Conninfo>,
    spec: &Spec,
    options: &SpecOptions,
    line: &Line,
    leash: &Leash,
) -> Result<SpecReport, Error> {
    let mut probe = open(&conninfo, leash)?;
    let facts = Facts::gather(&mut probe, leash)?;
    let size = u32::try_from(spec.sessions.len()).unwrap_or(u32::MAX).saturating_add(1);
    let pool = Pool::start(conninfo, size, probe, leash);
    let mut control = Observer::unbound(pool.get(leash)?);
    control.backend().ask(&greeting(options, "control connection"), "naming the control connection", leash)?;
    let mut run = Run::new(&mut control, line, leash, options.timeout);
    let mut mailboxes = Vec::new();
    for session in &spec.sessions {
        let (mailbox, steps) = channel();
        run.add(&session.name, pool.get(leash)?, Box::new(Mailbox(steps)))?;
        mailboxes.push(mailbox);
    }
    let pids = greet(&mut run, spec, options, &mailboxes)?;
    run.observer().count_only(pids.clone());
    let mut transcript = Transcript::new(spec);
    let mut stage = Stage { run: &mut run, spec, mailboxes: &mailboxes, pids: &pids, options, leash };
    let mut permutations = Vec::new();
    let mut failure = None;
    for order in spec.orders() {
        let result = run_permutation(&mut stage, &order, &mut transcript);
        let record = stage.run.record(Ending::Complete);
        permutations.push(report::permutation(&order, record, &facts));
        match result {
            Ok(()) => {}
            Err(permutation::Stopped::GaveUp(why)) => {
                failure = Some(why);
                break;
            }
            Err(permutation::Stopped::Error(error)) => {
                run.stop();
                return Err(error);
            }
        }
    }
    drop(mailboxes);
    run.stop();
    drop(run);
    Ok(SpecReport { permutations, transcript: transcript.into_text(), failure, server: facts.server })
}

/// What a connection runs first.
fn greeting(options: &SpecOptions, name: &str) -> String {
    let quoted = |text: &str| format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"));
    let name = quoted(&format!("{}/{name}", options.application_name));
    let hello = format!("SELECT set_config('application_name', {name}, false); SELECT pg_backend_pid()");
    options.prelude.iter().map(String::as_str).chain([hello.as_str()]).collect::<Vec<_>>().join("; ")
}

/// Learns every session's backend.
fn greet(run: &mut Run<'_>, spec: &Spec, options: &SpecOptions, mailboxes: &[Sender<Step>]) -> Result<Vec<i32>, Error> {
    let mut pids = Vec::new();
    for (index, (session, mailbox)) in spec.sessions.iter().zip(mailboxes).enumerate() {
        let id = SessionId(index);
        // A closed mailbox shows as a session that has left.
        let _ = mailbox.send(Step::begin(greeting(options, &session.name)));
        run.launch(id)?;
        run.settle(id, false, Instant::now() + options.step_timeout)?;
        match run.take_result(id) {
            Some(StepResult::Failed(source)) => {
                let doing = format!("naming session {}", session.name);
                return Err(Error::Server { doing, source: Box::new(source) });
            }
            Some(StepResult::Lost { why, last_words }) => {
                return Err(Error::Lost { doing: "opening the sessions".to_owned(), why, source: last_words });
            }
            _ => {}
        }
        pids.push(run.backend_pid(id).ok_or_else(|| Error::Bug { what: "a session without a backend".to_owned() })?);
        run.take_asides(id);
    }
    Ok(pids)
}
