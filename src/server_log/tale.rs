//! A deadlock of a log as a report.

use super::deadlock::{Deadlock, Pause};
use super::format::Format;
use super::time;
use crate::report::{
    Event, EventKind, Outcome, Report, Server, SessionOutcome, SessionReport, Statement, one_line, shortened,
};
use crate::scenario::names::name_of;

/// A statement's short name has this many columns at most.
const STEP: usize = 40;
/// An explanation quotes as much of a statement.
const TOLD: usize = 300;
/// A wait that the log tells of is of this deadlock if it was told within this many seconds of it.
const NEAR: f64 = 3600.0;

/// A process of the cycle.
struct Process<'d> {
    name: String,
    pid: i32,
    holder: String,
    lock: &'d str,
    sql: Option<&'d str>,
    step: String,
    /// When its wait began and, where the log says so, ended; in seconds since the first wait.
    began: f64,
    ended: Option<f64>,
}

/// The report of a deadlock. The process that was aborted is A, the one that it waited for B, and so on.
pub(super) fn tell(deadlock: &Deadlock<'_>, pauses: &[Pause], format: Format) -> Report {
    let at = time::seconds(&deadlock.entry.time);
    let (processes, elapsed) = processes(deadlock, pauses, at);
    let mut notes = vec![format!(
        "Read from a server log ({}){}. It names the statement in which each process waited; what they had locked before, \
         in the same transactions, it does not say.",
        format.as_str(),
        if deadlock.entry.time.is_empty() { String::new() } else { format!(" of {}", deadlock.entry.time) }
    )];
    if processes.iter().any(|process| process.sql.is_none()) {
        notes.push("Not every process of the cycle has its statement in the log.".to_owned());
    }
    let victim = processes.first().map(|process| process.name.clone());
    Report {
        outcome: Outcome::Deadlock,
        hidden_deadlock: false,
        victims: victim.into_iter().collect(),
        cycle: processes.iter().map(|process| process.name.clone()).collect(),
        events: events(&processes, elapsed, &deadlock.entry.message),
        explanation: explanation(&processes),
        sessions: processes
            .iter()
            .enumerate()
            .map(|(index, one)| session(one, index == 0, elapsed, deadlock))
            .collect(),
        elapsed,
        notes,
        server: Server {
            database: deadlock.entry.database.clone(),
            role: deadlock.entry.role.clone(),
            ..Server::default()
        },
    }
}

fn processes<'d>(deadlock: &'d Deadlock<'_>, pauses: &[Pause], at: Option<f64>) -> (Vec<Process<'d>>, f64) {
    let near = |pid: i32| {
        let at = at?;
        let of_it = pauses.iter().filter(|pause| pause.pid == pid && pause.began <= at && (pause.at - at).abs() < NEAR);
        of_it.max_by(|one, other| one.began.total_cmp(&other.began))
    };
    let firsts = deadlock.waits.iter().filter_map(|wait| near(wait.waiter)).map(|pause| pause.began);
    let start = firsts.reduce(f64::min).or(at).unwrap_or_default();
    let elapsed = at.map_or(0.0, |at| (at - start).max(0.0));
    let name = |pid: i32| deadlock.waits.iter().position(|wait| wait.waiter == pid).map(name_of);
    let processes = deadlock.waits.iter().map(|wait| {
        let pause = near(wait.waiter);
        let sql = deadlock.statements.iter().find(|(pid, _)| *pid == wait.waiter).map(|(_, sql)| sql.as_str());
        let after =
            pauses.iter().find(|pause| pause.pid == wait.waiter && Some(pause.at) >= at && Some(pause.began) <= at);
        Process {
            name: name(wait.waiter).unwrap_or_default(),
            pid: wait.waiter,
            holder: name(wait.holder).unwrap_or_else(|| format!("pid {}", wait.holder)),
            lock: &wait.lock,
            sql,
            step: sql.map_or_else(|| one_line(&wait.lock), |sql| shortened(&one_line(sql), STEP)),
            began: pause.map_or(0.0, |pause| pause.began - start),
            ended: after.map(|pause| pause.at - start),
        }
    });
    (processes.collect(), elapsed)
}

fn events(processes: &[Process<'_>], elapsed: f64, message: &str) -> Vec<Event> {
    let event = |at: f64, process: &Process<'_>, kind: EventKind| Event {
        at,
        session: process.name.clone(),
        backend_pid: Some(process.pid),
        kind,
        step: process.step.clone(),
        statement: process.sql.map(str::to_owned),
        blocked_by: Vec::new(),
        lock: None,
        sqlstate: None,
        message: None,
        rows: None,
        source: None,
    };
    let mut events: Vec<Event> = processes
        .iter()
        .map(|process| Event {
            blocked_by: vec![process.holder.clone()],
            lock: Some(process.lock.to_owned()),
            ..event(process.began, process, EventKind::Waiting)
        })
        .collect();
    events.sort_by(|one, other| one.at.total_cmp(&other.at));
    events.extend(processes.first().map(|victim| Event {
        sqlstate: Some("40P01".to_owned()),
        message: Some(message.to_owned()),
        ..event(elapsed, victim, EventKind::Error)
    }));
    let others = processes.iter().skip(1).filter_map(|process| Some((process.ended?, process)));
    let mut others: Vec<Event> = others.map(|(at, process)| event(at, process, EventKind::Acquired)).collect();
    others.sort_by(|one, other| one.at.total_cmp(&other.at));
    events.extend(others);
    events
}

fn session(process: &Process<'_>, is_victim: bool, elapsed: f64, deadlock: &Deadlock<'_>) -> SessionReport {
    let entry = deadlock.entry;
    let told = |text: &str| (is_victim && !text.is_empty()).then(|| text.to_owned());
    let statement = process.sql.map(|sql| Statement {
        sql: sql.to_owned(),
        step: process.step.clone(),
        requested: process.began,
        finished: if is_victim { Some(elapsed) } else { process.ended },
        waited: true,
        locks: Vec::new(),
        rows: None,
        sqlstate: is_victim.then(|| "40P01".to_owned()),
        source: None,
    });
    SessionReport {
        name: process.name.clone(),
        backend_pid: Some(process.pid),
        outcome: if is_victim { SessionOutcome::DeadlockVictim } else { SessionOutcome::Unknown },
        sqlstate: is_victim.then(|| "40P01".to_owned()),
        message: told(&entry.message),
        detail: told(&deadlock.detail),
        hint: told(&entry.hint),
        context: told(&entry.context),
        statements: statement.into_iter().collect(),
    }
}

fn explanation(processes: &[Process<'_>]) -> String {
    let tales: Vec<String> = processes
        .iter()
        .map(|process| {
            let sql = process.sql.map(|sql| shortened(&one_line(sql), TOLD));
            let place = sql.map(|sql| format!(" in {sql}")).unwrap_or_default();
            format!("{} waited{place} for {}, held by {}", process.name, process.lock, process.holder)
        })
        .collect();
    let victim = processes.first().map_or("one of them", |victim| victim.name.as_str());
    format!(
        "{}. Each waited for a lock that only the next of them could release, so none of them could ever go on; \
         PostgreSQL aborted {victim} (40P01). What prevents it: take the locks in one order everywhere, for example \
         select_for_update().order_by(\"pk\"); and be ready to run the whole transaction again when 40P01 comes.",
        tales.join("; ")
    )
}
