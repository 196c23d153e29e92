//! Reports written by hand: what a run leaves behind, without a run. Each is told event by event.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses what it needs")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "a test may panic")]

use django_lockstep::engine::Stuck;
use django_lockstep::engine::observer::Outsider;
use django_lockstep::report::{
    Event, EventKind, Exploration, Finding, Outcome, Report, Server, SessionOutcome, SessionReport, Statement, Story,
    explain,
};
use django_lockstep::scenario::matrix::{Cell, Matrix, Row};

/// The sessions A, B, … take steps at given times.
pub struct Teller {
    report: Report,
    pub sql: fn(&str) -> String,
    pub source: fn(&str, &str) -> Option<String>,
    pub hidden: bool,
    pub outsiders: Vec<Outsider>,
    pub lock_timeout: Option<f64>,
}

fn for_update(step: &str) -> String {
    let id = step.trim_start_matches("row ");
    format!("SELECT 1 FROM \"bank_account\" WHERE \"id\" = {id} FOR UPDATE")
}

impl Teller {
    pub fn new(sessions: &[&str]) -> Self {
        let session = |(index, name): (usize, &&str)| SessionReport {
            name: (*name).to_owned(),
            backend_pid: Some(4711 + i32::try_from(index).unwrap()),
            outcome: SessionOutcome::Cancelled,
            sqlstate: None,
            message: None,
            detail: None,
            hint: None,
            context: None,
            statements: Vec::new(),
        };
        let server = Server {
            version: "18.6".to_owned(),
            version_num: 180_006,
            database: "shop".to_owned(),
            role: "me".to_owned(),
            deadlock_timeout: 1.0,
            may_set_deadlock_timeout: true,
        };
        let report = Report {
            outcome: Outcome::Error,
            hidden_deadlock: false,
            victims: Vec::new(),
            cycle: Vec::new(),
            sessions: sessions.iter().enumerate().map(session).collect(),
            events: Vec::new(),
            elapsed: 0.0,
            explanation: String::new(),
            notes: Vec::new(),
            server,
        };
        Self { report, sql: for_update, source: |_, _| None, hidden: false, outsiders: Vec::new(), lock_timeout: None }
    }

    fn session(&mut self, name: &str) -> &mut SessionReport {
        self.report.sessions.iter_mut().find(|session| session.name == name).unwrap()
    }

    fn event(&mut self, at: f64, session: &str, kind: EventKind, step: &str) -> &mut Event {
        let backend_pid = self.session(session).backend_pid;
        let source = (self.source)(session, step);
        self.report.events.push(Event {
            at,
            session: session.to_owned(),
            backend_pid,
            kind,
            step: step.to_owned(),
            statement: None,
            blocked_by: Vec::new(),
            lock: None,
            sqlstate: None,
            message: None,
            rows: None,
            source,
        });
        self.report.elapsed = at;
        self.report.events.last_mut().unwrap()
    }

    fn send(&mut self, at: f64, session: &str, step: &str, sql: String) {
        let source = (self.source)(session, step);
        self.session(session).statements.push(Statement {
            sql,
            step: step.to_owned(),
            requested: at,
            finished: None,
            waited: false,
            locks: Vec::new(),
            rows: None,
            sqlstate: None,
            source,
        });
    }

    fn end(&mut self, at: f64, session: &str) -> &mut Statement {
        let statement = self.session(session).statements.last_mut().unwrap();
        statement.finished = Some(at);
        statement
    }

    pub fn begin(mut self, at: f64, session: &str) -> Self {
        self.send(at, session, "BEGIN", "BEGIN; SELECT pg_backend_pid()".to_owned());
        self.end(at, session);
        self.event(at, session, EventKind::Begin, "BEGIN");
        self
    }

    pub fn asks(mut self, at: f64, session: &str, step: &str) -> Self {
        let sql = (self.sql)(step);
        self.send(at, session, step, sql.clone());
        self.event(at, session, EventKind::Request, step).statement = Some(sql);
        self
    }

    pub fn takes(mut self, at: f64, session: &str, step: &str, rows: u64) -> Self {
        if self.session(session).statements.last().is_none_or(|last| last.finished.is_some()) {
            self = self.asks(at, session, step);
        }
        let first = self.session(session).statements.len() == 2;
        let statement = self.end(at, session);
        statement.rows = Some(rows);
        if rows > 0 {
            let table = "RowShareLock on relation bank_account".to_owned();
            statement.locks.extend(first.then_some(table));
            statement.locks.push(format!("row lock of FOR UPDATE on {rows} row"));
        }
        self.event(at, session, EventKind::Acquired, step).rows = Some(rows);
        self
    }

    pub fn waits(mut self, at: f64, session: &str, step: &str, holders: &[&str]) -> Self {
        if self.session(session).statements.last().is_none_or(|last| last.finished.is_some()) {
            self = self.asks(at, session, step);
        }
        self.session(session).statements.last_mut().unwrap().waited = true;
        let event = self.event(at, session, EventKind::Waiting, step);
        event.blocked_by = holders.iter().map(|&holder| holder.to_owned()).collect();
        event.lock = Some("ShareLock on transaction 757".to_owned());
        self
    }

    pub fn fails(mut self, at: f64, session: &str, sqlstate: &str, message: &str) -> Self {
        let statement = self.end(at, session);
        statement.sqlstate = Some(sqlstate.to_owned());
        let step = statement.step.clone();
        let event = self.event(at, session, EventKind::Error, &step);
        event.sqlstate = Some(sqlstate.to_owned());
        event.message = Some(message.to_owned());
        let outcome = match sqlstate {
            "40P01" => SessionOutcome::DeadlockVictim,
            "55P03" => SessionOutcome::LockTimeout,
            _ => SessionOutcome::Error,
        };
        let failed = self.session(session);
        (failed.outcome, failed.sqlstate) = (outcome, Some(sqlstate.to_owned()));
        failed.message = Some(message.to_owned());
        if sqlstate == "40P01" {
            failed.detail = Some(
                "Process 4711 waits for ShareLock on transaction 757; blocked by process 4712.\n\
                 Process 4712 waits for ShareLock on transaction 756; blocked by process 4711."
                    .to_owned(),
            );
            failed.hint = Some("See server log for query details.".to_owned());
        }
        failed.context = Some("while locking tuple (0,2) in relation \"bank_account\"".to_owned());
        self.report.victims.extend((sqlstate == "40P01").then(|| session.to_owned()));
        self
    }

    fn ends(mut self, at: f64, session: &str, kind: EventKind, sql: &str) -> Self {
        self.send(at, session, sql, sql.to_owned());
        self.end(at, session);
        self.event(at, session, kind, sql);
        self
    }

    pub fn commits(mut self, at: f64, session: &str) -> Self {
        self.session(session).outcome = SessionOutcome::Committed;
        self.ends(at, session, EventKind::Commit, "COMMIT")
    }

    pub fn rolls_back(self, at: f64, session: &str) -> Self {
        self.ends(at, session, EventKind::Rollback, "ROLLBACK")
    }

    pub fn cut_short(mut self, at: f64, session: &str, step: &str) -> Self {
        self.event(at, session, EventKind::Cancel, step);
        self
    }

    pub fn note(mut self, note: &str) -> Self {
        self.report.notes.push(note.to_owned());
        self
    }

    pub fn told(mut self, outcome: Outcome, cycle: &[&str]) -> Report {
        self.report.outcome = outcome;
        self.report.hidden_deadlock = self.hidden;
        self.report.cycle = cycle.iter().map(|&name| name.to_owned()).collect();
        self.report.explanation = explain(&Story {
            code: false,
            outcome,
            hidden: self.hidden,
            sessions: &self.report.sessions,
            events: &self.report.events,
            victims: &self.report.victims,
            cycle: &self.report.cycle,
            outsiders: &self.outsiders,
            stuck: &Stuck::default(),
            lock: "UPDATE",
            lock_is_shared: false,
            scratch: false,
            deadlock_timeout: 1.0,
            servers_deadlock_timeout: 1.0,
            lock_timeout: self.lock_timeout,
            statement_timeout: None,
            timeout: 30.0,
        });
        self.report
    }
}

/// A and B in opposite orders.
pub fn two_sessions() -> Report {
    let mut teller = Teller::new(&["A", "B"]);
    teller.source = |session, step| match (session, step) {
        ("A", "row 1") | ("B", "row 2") => Some("bank/transfers.py:20".to_owned()),
        (_, "row 1" | "row 2") => Some("bank/transfers.py:21".to_owned()),
        _ => None,
    };
    teller
        .begin(0.0004, "A")
        .begin(0.0009, "B")
        .takes(0.0012, "A", "row 1", 1)
        .takes(0.0021, "B", "row 2", 1)
        .waits(0.003, "A", "row 2", &["B"])
        .waits(0.504, "B", "row 1", &["A"])
        .fails(1.003, "A", "40P01", "deadlock detected")
        .takes(1.0031, "B", "row 1", 1)
        .rolls_back(1.0034, "A")
        .commits(1.004, "B")
        .told(Outcome::Deadlock, &["A", "B"])
}

/// Five sessions, each with a lock that the next one wants.
pub fn ring_of_five() -> Report {
    let names = ["A", "B", "C", "D", "E"];
    let mut teller = Teller::new(&names);
    let mut at = 0.0;
    let mut tick = || {
        at += 0.0011;
        at
    };
    for name in names {
        teller = teller.begin(tick(), name);
    }
    for (index, name) in names.into_iter().enumerate() {
        teller = teller.takes(tick(), name, &format!("row {}", index + 1), 1);
    }
    for (index, name) in names.into_iter().enumerate() {
        let next = (index + 1) % 5;
        let at = if next == 0 { 0.51 } else { tick() };
        teller = teller.waits(at, name, &format!("row {}", next + 1), &[names[next]]);
    }
    teller = teller
        .fails(1.012, "A", "40P01", "deadlock detected")
        .takes(1.0122, "E", "row 1", 1)
        .rolls_back(1.013, "A")
        .commits(1.0134, "E");
    for (index, (name, row)) in [("D", "row 5"), ("C", "row 4"), ("B", "row 3")].into_iter().enumerate() {
        let at = 1.014 + 0.001 * f64::from(u32::try_from(index).unwrap());
        teller = teller.takes(at, name, row, 1).commits(at + 0.0004, name);
    }
    teller.told(Outcome::Deadlock, &["A", "B", "C", "D", "E"])
}

/// S14: C waits behind B for A's row, and is the second victim.
pub fn two_victims() -> Report {
    Teller::new(&["A", "B", "C"])
        .begin(0.0004, "A")
        .begin(0.0007, "B")
        .begin(0.001, "C")
        .takes(0.002, "A", "row 1", 1)
        .takes(0.003, "C", "row 2", 1)
        .waits(0.004, "B", "row 1", &["A"])
        .waits(0.005, "C", "row 1", &["A", "B"])
        .waits(0.006, "A", "row 2", &["C"])
        .fails(1.005, "B", "40P01", "deadlock detected")
        .waits(1.006, "C", "row 1", &["A"])
        .rolls_back(1.0063, "B")
        .fails(1.007, "A", "40P01", "deadlock detected")
        .takes(1.0072, "C", "row 1", 1)
        .rolls_back(1.008, "A")
        .commits(1.009, "C")
        .told(Outcome::Deadlock, &["B", "A", "C"])
}

/// `lock_timeout` comes before `deadlock_timeout`.
pub fn lock_timeout() -> Report {
    let mut teller = Teller::new(&["A", "B"]);
    teller.lock_timeout = Some(0.1);
    teller
        .begin(0.0004, "A")
        .begin(0.0009, "B")
        .takes(0.0012, "A", "row 1", 1)
        .takes(0.0021, "B", "row 2", 1)
        .waits(0.003, "A", "row 2", &["B"])
        .waits(0.0503, "B", "row 1", &["A"])
        .fails(0.1033, "A", "55P03", "canceling statement due to lock timeout")
        .takes(0.1034, "B", "row 1", 1)
        .rolls_back(0.1039, "A")
        .commits(0.105, "B")
        .told(Outcome::LockTimeout, &[])
}

/// Nobody waits: the sessions lock one after the other.
pub fn nothing_happened() -> Report {
    Teller::new(&["A", "B"])
        .begin(0.0004, "A")
        .begin(0.0009, "B")
        .takes(0.0012, "A", "row 1", 1)
        .takes(0.0021, "B", "row 2", 1)
        .commits(0.003, "A")
        .commits(0.004, "B")
        .note("Role me may not CREATE in database shop, so the sessions took advisory locks in place of scratch rows.")
        .told(Outcome::NoConflict, &[])
}

/// A waits for the caller's own connection: a hang that PostgreSQL cannot see.
pub fn hidden_deadlock() -> Report {
    let mut teller = Teller::new(&["A", "B"]);
    teller.hidden = true;
    teller.outsiders = vec![Outsider {
        pid: 4700,
        application: String::new(),
        role: "me".to_owned(),
        state: "idle in transaction".to_owned(),
        query: "UPDATE bank_account SET balance = 0 WHERE id = 1".to_owned(),
        transaction_age: Some(1.5),
        place: None,
    }];
    teller
        .begin(0.0004, "A")
        .begin(0.0009, "B")
        .waits(0.0021, "A", "row 1", &["pid 4700"])
        .cut_short(0.0029, "A", "row 1")
        .fails(0.0033, "A", "57014", "canceling statement due to user request")
        .rolls_back(0.004, "A")
        .told(Outcome::BlockedByOutsider, &[])
}

/// What a search has found: the deadlock of two sessions, and an update that is lost when they do not wait.
pub fn exploration() -> Exploration {
    let lost = Teller::new(&["A", "B"])
        .begin(0.0004, "A")
        .begin(0.0009, "B")
        .takes(0.0012, "A", "SELECT bank_account", 1)
        .takes(0.0021, "B", "SELECT bank_account", 1)
        .commits(0.003, "A")
        .commits(0.004, "B")
        .told(Outcome::NoConflict, &[]);
    let deadlock = two_sessions();
    let about = format!("the cycle {}", deadlock.told_cycle());
    let finding = |kind: &str, about: &str, schedule: &str, preemptions, seen, report| Finding {
        kind: kind.to_owned(),
        about: about.to_owned(),
        schedule: schedule.to_owned(),
        preemptions,
        seen,
        report,
    };
    Exploration {
        sessions: vec!["A".to_owned(), "B".to_owned()],
        findings: vec![
            finding("deadlock", &about, "A B A B", 2, 4, deadlock),
            finding(
                "lost_update",
                "bank_account 1: balance is 110; one after the other leaves 120",
                "A B A",
                1,
                1,
                lost.clone(),
            ),
            finding("violation", "the invariant returned False", "A B A", 1, 1, lost),
        ],
        schedules: 14,
        redundant: 1,
        steps: 96,
        again: 2,
        complete: true,
        extent: "14 schedules, all that can differ".to_owned(),
        contended: true,
        only_deadlocks: false,
        notes: vec!["2 runs were begun again.".to_owned()],
        elapsed: 0.532,
    }
}

/// A search that has found nothing, between sessions that never met.
pub fn nothing_found() -> Exploration {
    Exploration {
        findings: Vec::new(),
        schedules: 1,
        redundant: 0,
        steps: 8,
        again: 0,
        extent: "1 schedule, all that can differ".to_owned(),
        contended: false,
        notes: vec!["No session ever waited for another one.".to_owned()],
        elapsed: 0.021,
        ..exploration()
    }
}

/// Two scenarios under each isolation level, with each what-if: every kind of cell.
pub fn matrix() -> Matrix {
    let cell = |effect: &str, elapsed| Cell::of(effect.parse().unwrap(), elapsed);
    let row = |scenario: &str, order: &str, isolation, cells| Row {
        scenario: scenario.to_owned(),
        permutation: 1,
        order: order.to_owned(),
        isolation,
        cells,
    };
    let none = || Cell::without("no locking clause");
    let (first, second) = ("a_locks_1 b_locks_2 a_locks_2 b_locks_1 a_commits b_commits", "a_counts b_counts a_c b_c");
    let locks = |isolation| {
        let cells = [("40P01", 0.1042), ("40P01", 0.099), ("55P03, 55P03", 0.002), ("none", 0.003), ("55P03", 0.012)];
        row("s02-select-for-update-order", first, isolation, cells.map(|(effect, took)| cell(effect, took)).into())
    };
    let skew = |isolation, effect: &str| {
        row("write-skew", second, isolation, vec![cell(effect, 0.004), none(), none(), none(), none()])
    };
    let server = two_sessions().server;
    Matrix {
        columns: vec!["as it is", "no_key", "nowait", "skip_locked", "lock_timeout"],
        rows: vec![
            locks("read committed"),
            locks("repeatable read"),
            locks("serializable"),
            skew("read committed", "none"),
            skew("repeatable read", "waits"),
            skew("serializable", "40001 at COMMIT"),
        ],
        notes: vec!["lock_timeout is 10 ms, below deadlock_timeout.".to_owned()],
        server,
    }
}

/// All of them, by name.
pub fn all() -> Vec<(&'static str, Report)> {
    vec![
        ("two_sessions", two_sessions()),
        ("ring_of_five", ring_of_five()),
        ("two_victims", two_victims()),
        ("lock_timeout", lock_timeout()),
        ("nothing_happened", nothing_happened()),
        ("hidden_deadlock", hidden_deadlock()),
    ]
}
