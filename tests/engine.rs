//! The engine by itself: sessions, steps, schedules and the observer, without a scenario and without Python.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use django_lockstep::Error;
use django_lockstep::connection::{Leash, Pool, open};
use django_lockstep::engine::run::Run;
use django_lockstep::engine::schedule::{Board, Decision, Entry, InOrder, Schedule};
use django_lockstep::engine::{
    Caller, Ending, Fixed, Halt, Observer, OwnBackend, Record, Script, SessionId, Silent, Step, StepResult, supervise,
};
use django_lockstep::report::EventKind::{Acquired, Commit, Request, Waiting};
use django_lockstep::report::{Event, EventKind, SessionOutcome};
use support::tables::{Tables, begin};
use support::{assert_nothing_left, conninfo, eventually, witness};

/// Begins, does these, and commits.
fn script(statements: &[&str]) -> Box<dyn Script> {
    script_with(20, statements)
}

fn script_with(deadlock_timeout: u32, statements: &[&str]) -> Box<dyn Script> {
    let middle = statements.iter().map(|sql| Step::statement(*sql, *sql));
    Box::new(Fixed::new(std::iter::once(begin(deadlock_timeout)).chain(middle).chain([Step::commit()])))
}

struct Play<'a> {
    scripts: Vec<Box<dyn Script>>,
    caller: &'a mut dyn Caller,
    timeout: Duration,
    patience: Duration,
    notes_locks: bool,
}

impl<'a> Play<'a> {
    fn of(scripts: Vec<Box<dyn Script>>, caller: &'a mut dyn Caller) -> Self {
        let (timeout, patience) = (Duration::from_secs(20), Duration::from_secs(5));
        Self { scripts, caller, timeout, patience, notes_locks: false }
    }

    fn perform(self, schedule: &mut dyn Schedule) -> Result<Record, Error> {
        let leash = Leash::new(Some(Instant::now() + self.timeout));
        let Self { scripts, caller, patience, notes_locks, .. } = self;
        supervise(caller, &leash, |line| {
            let conninfo = Arc::new(conninfo());
            let probe = open(&conninfo, &leash)?;
            let pool = Pool::start(conninfo, u32::try_from(scripts.len()).unwrap() + 1, probe, &leash);
            let mut observer = Observer::open(pool.get(&leash)?, None, &leash)?;
            let mut run = Run::new(&mut observer, line, &leash, patience);
            run.note_locks(notes_locks);
            for (name, script) in ["A", "B", "C", "D"].into_iter().zip(scripts) {
                run.add(name, pool.get(&leash)?, script)?;
            }
            let record = run.conduct(schedule);
            let _ = observer.close("SELECT 1", &Leash::lasting(Duration::from_secs(1)));
            record
        })
    }
}

fn play(scripts: Vec<Box<dyn Script>>, schedule: &mut dyn Schedule) -> Record {
    Play::of(scripts, &mut Silent).perform(schedule).unwrap()
}

/// "A B A" as a schedule, after everybody has begun.
fn order(sessions: usize, text: &str) -> InOrder {
    let entry = |session| Entry { session: SessionId(session), holds: Vec::new() };
    let named = text.split(' ').map(|name| entry(usize::from(name.as_bytes()[0] - b'A')));
    InOrder::new((0..sessions).map(entry).chain(named))
}

fn outcomes(record: &Record) -> Vec<SessionOutcome> {
    record.sessions.iter().map(|session| session.outcome).collect()
}

fn sqlstates(record: &Record) -> Vec<&str> {
    record.sessions.iter().map(|session| session.sqlstate.as_deref().unwrap_or("")).collect()
}

fn told(record: &Record, kind: EventKind) -> Vec<(&str, &str)> {
    let events = record.events.iter().filter(|event| event.kind == kind);
    events.map(|event| (event.session.as_str(), event.step.as_str())).collect()
}

#[test]
fn a_step_is_released_only_when_the_one_before_has_ended_or_waits() {
    let tables = Tables::new("engine_order", "");
    let update = tables.sql("UPDATE @acct SET bal = 0 WHERE id = 1");
    let read = tables.sql("SELECT bal FROM @acct WHERE id = 2");
    let record =
        play(vec![script(&[&update]), script(&[&update, &read]), script(&[&read])], &mut order(3, "A B C C A"));
    assert_eq!(record.ending, Ending::Complete, "{:#?}", record.events);
    assert_eq!(outcomes(&record), [SessionOutcome::Committed; 3]);
    let story: Vec<(&str, EventKind)> =
        record.events.iter().skip(3).map(|event| (event.session.as_str(), event.kind)).collect();
    assert_eq!(
        story[..8],
        [
            ("A", Request),
            ("A", Acquired),
            ("B", Request),
            ("B", Waiting),
            ("C", Request),
            ("C", Acquired),
            ("C", Commit),
            ("A", Commit),
        ]
    );
    // B goes on by itself when A lets go.
    assert_eq!(story[8..], [("B", Acquired), ("B", Request), ("B", Acquired), ("B", Commit)]);
}

#[test]
fn a_commit_may_wait_and_be_the_victim() {
    // S4: the deferred foreign key is checked at COMMIT, against a row that the other session has locked.
    let tables = Tables::new(
        "engine_commit",
        "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1), (2); \
         CREATE TABLE child (p int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);",
    );
    let lock = |id: i32| tables.sql(&format!("SELECT 1 FROM @parent WHERE id = {id} FOR UPDATE"));
    let insert = |id: i32| tables.sql(&format!("INSERT INTO @child VALUES ({id})"));
    let record =
        play(vec![script(&[&lock(1), &insert(2)]), script(&[&lock(2), &insert(1)])], &mut order(2, "A B A B A B"));
    assert_eq!(told(&record, EventKind::Waiting), [("A", "COMMIT"), ("B", "COMMIT")]);
    assert_eq!(told(&record, EventKind::Error).len(), 1);
    assert_eq!(told(&record, EventKind::Error)[0].1, "COMMIT");
    assert_eq!(told(&record, EventKind::Rollback), [], "a failed COMMIT has ended the transaction itself");
    let mut ended = sqlstates(&record);
    ended.sort_unstable();
    assert_eq!(ended, ["", "40P01"]);
}

#[test]
fn one_deadlock_may_abort_two_sessions() {
    // S14: C waits on the tuple behind B, which waits for A. B's check comes first; then C waits for A, and A for C.
    let tables = Tables::new("engine_two_victims", "");
    let update = |id: i32| tables.sql(&format!("UPDATE @acct SET bal = bal + 1 WHERE id = {id}"));
    let record = play(
        vec![
            script_with(300, &[&update(1), &update(2)]),
            script_with(100, &[&update(1)]),
            script_with(10_000, &[&update(2), &update(1)]),
        ],
        &mut order(3, "A C B C A"),
    );
    assert_eq!(record.ending, Ending::Complete, "{:#?}", record.events);
    assert_eq!(sqlstates(&record), ["40P01", "40P01", ""]);
}

/// Releases whoever is at its gate, last first, and counts how often it was asked: a schedule that decides while running.
struct LastFirst {
    asked: usize,
}

impl Schedule for LastFirst {
    fn next(&mut self, board: &Board) -> Decision {
        assert!(board.is_settled());
        self.asked += 1;
        let at_gate = |standing: &_| matches!(standing, django_lockstep::engine::Standing::AtGate(_));
        let last = board.standings.iter().rposition(at_gate);
        last.map_or(Decision::Rest, |index| Decision::Release(SessionId(index)))
    }
}

#[test]
fn a_schedule_decides_while_running() {
    let tables = Tables::new("engine_decides", "");
    let read = tables.sql("SELECT bal FROM @acct WHERE id = 1");
    let mut schedule = LastFirst { asked: 0 };
    let record = play(vec![script(&[&read]), script(&[&read])], &mut schedule);
    assert_eq!(told(&record, EventKind::Commit), [("B", "COMMIT"), ("A", "COMMIT")]);
    assert!(schedule.asked >= 6);
}

/// Goes on under a savepoint: a script that decides by what became of its last step.
struct Retry {
    lock: String,
    steps: usize,
}

impl Script for Retry {
    fn next(&mut self, last: Option<&StepResult>) -> Option<Step> {
        let failed = matches!(last, Some(StepResult::Failed(_)));
        self.steps += 1;
        match self.steps {
            1 => Some(begin(20)),
            2 => Some(Step::statement("savepoint", "SAVEPOINT s")),
            3 => Some(Step::statement("nowait", format!("{} NOWAIT", self.lock))),
            4 if failed => Some(Step::statement("back", "ROLLBACK TO SAVEPOINT s")),
            5 => Some(Step::commit()),
            _ => None,
        }
    }
}

#[test]
fn a_script_decides_while_running() {
    let tables = Tables::new("engine_script", "");
    let lock = tables.sql("SELECT 1 FROM @acct WHERE id = 1 FOR UPDATE");
    let retry = Box::new(Retry { lock: lock.clone(), steps: 0 });
    let record = play(vec![script(&[&lock]), retry], &mut order(2, "A B B B B A"));
    assert_eq!(told(&record, EventKind::Error), [("B", "nowait")]);
    assert_eq!(told(&record, EventKind::Commit), [("B", "COMMIT"), ("A", "COMMIT")]);
}

#[test]
fn the_time_is_up_whatever_waits() {
    let tables = Tables::new("engine_timeout", "");
    let update = tables.sql("UPDATE @acct SET bal = 0 WHERE id = 1");
    let scripts = vec![script(&[&update, "SELECT pg_sleep(60)"]), script(&[&update])];
    let mut silent = Silent;
    let play = Play { timeout: Duration::from_millis(300), ..Play::of(scripts, &mut silent) };
    let record = play.perform(&mut order(2, "A B A")).unwrap();
    assert_eq!(record.ending, Ending::Timeout);
    assert_eq!(outcomes(&record), [SessionOutcome::Cancelled; 2]);
    eventually(
        &mut witness(),
        "SELECT NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'tuple' OR mode = 'RowExclusiveLock')",
    );
    assert_nothing_left();
}

/// Stops the run when this kind of event comes.
struct StopAt(EventKind, Vec<std::thread::ThreadId>);

impl Caller for StopAt {
    fn wants_events(&self) -> bool {
        true
    }
    fn event(&mut self, event: &Event) -> Result<(), Halt> {
        self.1.push(std::thread::current().id());
        if event.kind == self.0 { Err(Halt) } else { Ok(()) }
    }
    fn poll(&mut self) -> Result<(), Halt> {
        Ok(())
    }
    fn own_backends(&mut self) -> Vec<OwnBackend> {
        Vec::new()
    }
}

#[test]
fn the_caller_may_stop_at_any_event_in_its_own_thread() {
    let tables = Tables::new("engine_halt", "");
    let update = |id: i32| tables.sql(&format!("UPDATE @acct SET bal = 0 WHERE id = {id}"));
    for kind in [EventKind::Begin, EventKind::Request, EventKind::Acquired, EventKind::Waiting, EventKind::Error] {
        let mut caller = StopAt(kind, Vec::new());
        let scripts = vec![script(&[&update(1), &update(2)]), script(&[&update(2), &update(1)])];
        let play = Play::of(scripts, &mut caller);
        assert!(matches!(play.perform(&mut order(2, "A B A B")), Err(Error::Halted)), "{kind}");
        let here = std::thread::current().id();
        assert!(caller.1.iter().all(|thread| *thread == here));
    }
    assert_nothing_left();
}

#[test]
fn an_outsider_in_the_way_is_named() {
    let tables = Tables::new("engine_outsider", "");
    let mut outsider = witness();
    let mut transaction = outsider.transaction().unwrap();
    transaction
        .batch_execute(&tables.sql("SET LOCAL application_name = 'billing'; UPDATE @acct SET bal = 1 WHERE id = 1"))
        .unwrap();
    let update = tables.sql("UPDATE @acct SET bal = 0 WHERE id = 1");
    let scripts = vec![script(&[&update]), script(&[&update])];
    let mut silent = Silent;
    let play = Play { patience: Duration::from_millis(200), ..Play::of(scripts, &mut silent) };
    let record = play.perform(&mut order(2, "A B")).unwrap();
    assert_eq!(record.ending, Ending::Outsider);
    assert_eq!(record.outsiders[0].application, "billing");
    assert_eq!(record.outsiders[0].state, "idle in transaction");
    transaction.rollback().unwrap();
    drop(outsider);
    assert_nothing_left();
}

#[test]
fn a_terminated_session_is_told_and_the_others_go_on() {
    let tables = Tables::new("engine_terminated", "");
    let update = tables.sql("UPDATE @acct SET bal = 0 WHERE id = 1");
    let end = "SELECT pg_terminate_backend(pg_backend_pid())";
    let record = play(vec![script(&[&update, end]), script(&[&update])], &mut order(2, "A B A"));
    assert_eq!(record.ending, Ending::Complete, "{:#?}", record.events);
    assert_eq!(outcomes(&record), [SessionOutcome::Disconnected, SessionOutcome::Committed]);
    assert_eq!(sqlstates(&record), ["57P01", ""]);
    assert_nothing_left();
}

#[test]
fn each_statement_tells_which_locks_it_took() {
    let tables = Tables::new("engine_locks", "");
    let update = |id: i32| tables.sql(&format!("UPDATE @acct SET bal = 0 WHERE id = {id}"));
    let advisory = "SELECT pg_advisory_xact_lock(7)";
    let scripts = vec![
        script(&[&update(1), &update(2), advisory, "SAVEPOINT s", &tables.sql("LOCK TABLE @acct")]),
        script(&[&tables.sql("SELECT 1 FROM @acct WHERE id < 3 FOR NO KEY UPDATE")]),
    ];
    let mut silent = Silent;
    let play = Play { notes_locks: true, ..Play::of(scripts, &mut silent) };
    let record = play.perform(&mut order(2, "A A A A A B")).unwrap();
    let locks = |session: usize, statement: usize| record.sessions[session].statements[statement + 1].locks.join("; ");
    assert_eq!(locks(0, 0), "RowExclusiveLock on relation engine_locks.acct; row lock of UPDATE on 1 row");
    assert_eq!(locks(0, 1), "row lock of UPDATE on 1 row");
    assert_eq!(locks(0, 2), "ExclusiveLock on advisory lock [0,7,1]");
    assert_eq!(locks(0, 3), "");
    assert_eq!(locks(0, 4), "AccessExclusiveLock on relation engine_locks.acct");
    // It waited until A was gone, and what it then took is its own.
    assert!(record.sessions[1].statements[1].waited);
    assert_eq!(locks(1, 0), "RowShareLock on relation engine_locks.acct; row lock of FOR NO KEY UPDATE on 2 rows");
    assert_eq!(locks(1, 1), "", "COMMIT");
}

#[test]
fn locks_are_noted_only_where_they_are_asked_for() {
    let tables = Tables::new("engine_no_locks", "");
    let record = play(vec![script(&[&tables.sql("UPDATE @acct SET bal = 0 WHERE id = 1")])], &mut order(1, "A"));
    assert!(record.sessions[0].statements.iter().all(|statement| statement.locks.is_empty()));
}
