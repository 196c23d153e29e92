//! What the engine's tests share: the server to test against, and a witness that looks at it by another driver.

#![allow(dead_code, unreachable_pub, reason = "each test file is a crate of its own and uses what it needs")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "a test may panic")]

pub mod tables;

use django_lockstep::connection::conninfo::{Conninfo, SystemEnvironment};
use django_lockstep::engine::{Caller, Silent};
use django_lockstep::report::Report;
use django_lockstep::{Error, Options, simulate_deadlock};
use postgres::{Client, NoTls};

/// The server under test. `make test` starts one; there is no default, so that nothing is tested by mistake.
pub fn dsn() -> String {
    std::env::var("LOCKSTEP_TEST_DSN").expect(
        "LOCKSTEP_TEST_DSN must name a PostgreSQL server to test against: run `make test`, or \
         `python -m django_lockstep.embedded cargo test --no-default-features`",
    )
}

/// The same server, as another role or with other settings: `changes` are keyword/value pairs that win.
pub fn dsn_with(changes: &str) -> String {
    let pairs = conninfo().redacted();
    format!("{pairs} {changes}")
}

pub fn conninfo() -> Conninfo {
    Conninfo::resolve(&dsn(), &SystemEnvironment).unwrap()
}

pub fn simulate(options: &Options) -> Report {
    simulate_as(&dsn(), options, &mut Silent).unwrap()
}

pub fn simulate_as(dsn: &str, options: &Options, caller: &mut dyn Caller) -> Result<Report, Error> {
    simulate_deadlock(Conninfo::resolve(dsn, &SystemEnvironment).unwrap(), options, caller)
}

/// A connection of the test's own.
pub fn witness() -> Client {
    Client::connect(&conninfo().redacted(), NoTls).unwrap()
}

/// Waits until a query's one boolean is true; panics when it is not within ten seconds.
pub fn eventually(client: &mut Client, query: &str) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !client.query_one(query, &[]).unwrap().get::<_, bool>(0) {
        assert!(std::time::Instant::now() < deadline, "never true: {query}");
        std::thread::yield_now();
    }
}

/// Nothing of ours is left on the server (backends need a moment to end after their clients have).
pub fn assert_nothing_left() {
    let mut witness = witness();
    eventually(
        &mut witness,
        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name LIKE 'lockstep%') \
         AND NOT EXISTS (SELECT FROM pg_namespace WHERE nspname LIKE 'lockstep%')",
    );
}
