//! Running `.spec` files, as PostgreSQL's isolation tester does: the same engine, led step by step.
//!
//! One connection for each session and one more, the control connection, for the whole file. The control connection runs
//! setup and teardown and asks who is blocked.

mod ground;
mod matrix;
mod options;
mod orders;
mod outcome;
mod permutation;
mod pointer;
mod report;
mod slip;
mod stage;
mod text;
mod tidy;
mod transcript;

pub use matrix::{MatrixOptions, run_matrix};
pub use options::{Ground, SpecOptions, SpecRequest};
pub use report::{PermutationReport, SpecReport};
pub use text::heading;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::conninfo::Conninfo;
use crate::connection::{Backend, Facts, Leash, open};
use crate::engine::caller::Line;
use crate::engine::run::Run;
use crate::engine::{Caller, Ending, Observer, SessionId, Step, StepResult, supervise};
use crate::error::Error;
use crate::scenario::spec::Spec;
use crate::scenario::sql::settings;
use ground::Connections;
use orders::Orders;
use stage::Stage;
use tidy::tidy;
use transcript::Transcript;

/// Runs every permutation of a spec, in order.
///
/// Blocks the calling thread. What a step does is told by the report; so is a setup that fails, which ends the file.
pub fn run_spec(
    conninfo: Conninfo,
    spec: &Spec,
    options: &SpecOptions,
    caller: &mut dyn Caller,
) -> Result<SpecReport, Error> {
    let spec = what_if(spec, options)?;
    let leash = Leash::new(Some(Instant::now() + options.timeout));
    supervise(caller, &leash, |line| {
        let (probe, facts) = probe(&conninfo, &leash)?;
        line.start(&facts.server).map_err(|_| Error::Halted)?;
        perform(&Arc::new(conninfo), probe, &facts, &spec, options, line, &leash)
    })
}

/// The first connection, and what it found out.
pub(crate) fn probe(conninfo: &Conninfo, leash: &Leash) -> Result<(Backend, Facts), Error> {
    let mut probe = open(conninfo, leash)?;
    let facts = Facts::gather(&mut probe, leash)?;
    Ok((probe, facts))
}

/// The spec as it is to be run.
fn what_if<'a>(spec: &'a Spec, options: &SpecOptions) -> Result<Cow<'a, Spec>, Error> {
    let Ground::Scratch { what_if: Some(change), .. } = options.ground else { return Ok(Cow::Borrowed(spec)) };
    change.applied(spec).map(Cow::Owned).ok_or_else(|| {
        Error::usage(
            "no step has a locking clause that this what-if applies to",
            "Only SELECT … FOR UPDATE and its like can be changed; leave the what-if out.",
        )
    })
}

/// Runs a spec on connections of its own, which are closed when it returns.
pub(crate) fn perform(
    conninfo: &Arc<Conninfo>,
    mut probe: Backend,
    facts: &Facts,
    spec: &Spec,
    options: &SpecOptions,
    line: &Line,
    leash: &Leash,
) -> Result<SpecReport, Error> {
    ground::may_set(spec, &mut probe, facts, leash)?;
    let mut notes: Vec<String> = conninfo.warnings().iter().map(ToString::to_string).collect();
    let connections =
        Connections::open(Arc::clone(conninfo), spec.sessions.len() + 1, probe, facts, options, &mut notes, leash)?;
    if let Some(note) = ground::own_clock(facts, options) {
        notes.push(note);
    }
    let mut report = play(&connections, conninfo, facts, spec, options, line, leash)?;
    if let Err(error) = connections.clear() {
        notes.push(format!("{error}; what is left there, a later run removes."));
    }
    notes.append(&mut report.notes);
    report.notes = notes;
    Ok(report)
}

fn play(
    connections: &Connections,
    conninfo: &Conninfo,
    facts: &Facts,
    spec: &Spec,
    options: &SpecOptions,
    line: &Line,
    leash: &Leash,
) -> Result<SpecReport, Error> {
    let mut control = Observer::unbound(connections.get(leash)?);
    let hello = greeting(&connections.control_prelude(), options, "control connection", CONTROL);
    control.backend().ask(&hello, "naming the control connection", leash)?;
    let grace = Leash::new(None);
    let mut run = Run::new(&mut control, line, leash, options.timeout);
    run.hush(true);
    for name in spec.session_names() {
        run.add_handed(&name, connections.get(leash)?)?;
    }
    let prelude = connections.session_prelude(options, facts);
    let pids = greet(&mut run, spec, &prelude, options, !facts.pooled)?;
    if facts.pooled {
        own_backends(&mut run, pids.len(), options, leash)?;
    }
    run.observer().count_only(pids.clone());
    // What has happened so far is nobody's step.
    run.record(Ending::Complete);
    run.hush(false);
    let mut transcript = Transcript::new(spec);
    // A name too long for `application_name` is told of, for example.
    transcript.greetings(spec, |index| run.take_asides(SessionId(index)));
    let deadlock_timeout = options
        .deadlock_timeout(facts.server.may_set_deadlock_timeout)
        .unwrap_or_else(|| Duration::from_secs_f64(facts.server.deadlock_timeout));
    let patience = options.patience(deadlock_timeout);
    let mut stage = Stage {
        run: &mut run,
        spec,
        pids: &pids,
        options,
        leash,
        patience,
        line,
        patient_with: Vec::new(),
        failed: Vec::new(),
        cancelled: Vec::new(),
        lost: Vec::new(),
        made: None,
        notes: Vec::new(),
        left: Vec::new(),
    };
    let may_slip =
        options.victims_are_in_order() && !spec.sql().flat_map(settings).any(|name| name == "deadlock_timeout");
    let mut orders = Orders { line, facts, deadlock_timeout, may_slip, permutations: Vec::new(), failure: None };
    let ended = orders.run(&mut stage, &mut transcript);
    let prelude = connections.control_prelude();
    tidy(&mut stage, conninfo, &prelude, &grace);
    let (mut notes, left) = (std::mem::take(&mut stage.notes), std::mem::take(&mut stage.left));
    drop(stage);
    run.stop();
    drop(run);
    if let Err(error) = ended {
        if !left.is_empty() {
            line.left(&left.join(" "));
        }
        return Err(error);
    }
    notes.extend(left);
    let Orders { permutations, failure, .. } = orders;
    let server = facts.server.clone();
    Ok(SpecReport { permutations, transcript: transcript.into_text(), failure, notes, server })
}

/// The number of the control connection among the connections.
const CONTROL: usize = usize::MAX;

/// What a connection runs first.
fn greeting(prelude: &str, options: &SpecOptions, name: &str, number: usize) -> String {
    let name = format!("{}/{name}", options.application_name).replace('\\', "\\\\").replace('\'', "''");
    format!(
        "{prelude}SELECT set_config('application_name', E'{name}', false), \
         set_config('lockstep.backend', pg_backend_pid() || ' {number}', false); SELECT pg_backend_pid()"
    )
}

/// Whether the backend that answers is the one that [`greeting`] was told to.
fn is_still_the_same(number: usize) -> String {
    format!("SELECT current_setting('lockstep.backend', true) IS NOT DISTINCT FROM pg_backend_pid() || ' {number}'")
}

/// Lets every session run something of ours, one after another or all at once.
fn ask_each(
    run: &mut Run<'_>,
    options: &SpecOptions,
    doing: &str,
    questions: &[(usize, String)],
    at_once: bool,
) -> Result<Vec<Option<String>>, Error> {
    let mut answers = vec![None; questions.len()];
    if at_once {
        for (index, sql) in questions {
            run.hand(SessionId(*index), Step::begin(sql.as_str()))?;
        }
    }
    for (index, sql) in questions {
        let (index, id) = (*index, SessionId(*index));
        if !at_once {
            run.hand(id, Step::begin(sql.as_str()))?;
        }
        run.settle(id, false, Instant::now() + options.step_timeout)?;
        match run.take_result(id) {
            Some(StepResult::Failed(source)) => {
                return Err(Error::Server { doing: doing.to_owned(), source: Box::new(source) });
            }
            Some(StepResult::Lost { why, last_words }) => {
                return Err(Error::Lost { doing: doing.to_owned(), why, source: last_words });
            }
            Some(StepResult::Done(results)) => {
                let row = results.into_iter().rev().find_map(|result| result.rows.into_iter().next());
                answers[index] = row.and_then(|row| row.into_iter().next().flatten());
            }
            None => {}
        }
    }
    Ok(answers)
}

/// Learns every session's backend.
fn greet(
    run: &mut Run<'_>,
    spec: &Spec,
    prelude: &str,
    options: &SpecOptions,
    at_once: bool,
) -> Result<Vec<i32>, Error> {
    let hello = spec.sessions.iter().map(|session| &session.name).enumerate();
    let hello: Vec<_> = hello.map(|(index, name)| (index, greeting(prelude, options, name, index))).collect();
    ask_each(run, options, "naming the sessions", &hello, at_once)?;
    let pid = |index| run.backend_pid(SessionId(index));
    let pids: Option<Vec<i32>> = (0..spec.sessions.len()).map(pid).collect();
    pids.ok_or_else(|| Error::Bug { what: "a session without a backend".to_owned() })
}

/// Makes sure behind a pooler that every connection has a backend of its own, for its settings are to last. One in transaction mode
/// lends the same few to all of them, the last one that was used or one after another: so they are asked in the reverse
/// order of their greeting.
fn own_backends(run: &mut Run<'_>, sessions: usize, options: &SpecOptions, leash: &Leash) -> Result<(), Error> {
    const DOING: &str = "looking whether every session has a backend of its own";
    let questions: Vec<_> = (0..sessions).rev().map(|index| (index, is_still_the_same(index))).collect();
    let sessions = ask_each(run, options, DOING, &questions, false)?;
    let control = run.observer().backend().ask(&is_still_the_same(CONTROL), DOING, leash)?;
    if control.scalar() == Some("t") && sessions.iter().all(|same| same.as_deref() == Some("t")) {
        return Ok(());
    }
    Err(Error::refused(
        "0A000",
        "the sessions of a spec need backends of their own, and a pooler in transaction mode is in between",
        "Connect to the server itself, past the pooler.",
    ))
}
