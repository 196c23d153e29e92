//! PostgreSQL's own isolation specs give PostgreSQL's own expected output, byte for byte.
//!
//! The specs are read from `../shared/conformance/pg18`, beside the project; without that folder, or on another server
//! than PostgreSQL 18, there is nothing to compare and the test says so.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use django_lockstep::connection::conninfo::{Conninfo, SystemEnvironment};
use django_lockstep::engine::Silent;
use django_lockstep::isolation::{SpecOptions, run_spec};
use django_lockstep::scenario::spec::parse;
use support::{conninfo, eventually, witness};

const DATABASE: &str = "isolation_regression";
/// The environment that the expected files were made in.
const SETTINGS: &str = "-c timezone=America/Los_Angeles -c datestyle=Postgres,MDY -c intervalstyle=postgres_verbose \
                        -c lc_messages=C -c bytea_output=hex";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance/pg18")
}

/// The specs, all of them or those that `LOCKSTEP_SPECS` names, separated by blanks.
fn specs() -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder().join("specs")) else { return Vec::new() };
    let chosen = std::env::var("LOCKSTEP_SPECS").ok();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(str::to_owned))
        .filter(|name| chosen.as_ref().is_none_or(|chosen| chosen.split(' ').any(|one| one == name)))
        .collect();
    names.sort();
    names
}

/// `NAME.out`, `NAME_1.out`, …
fn expected(name: &str) -> Vec<String> {
    let file = |suffix: String| fs::read_to_string(folder().join("expected").join(format!("{name}{suffix}.out"))).ok();
    let alternatives = (0..10).filter_map(|digit| file(format!("_{digit}")));
    file(String::new()).into_iter().chain(alternatives).collect()
}

fn fresh_database() {
    let mut witness = witness();
    witness.batch_execute(&format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")).unwrap();
    witness
        .batch_execute(&format!(
            "CREATE DATABASE {DATABASE} TEMPLATE template0; ALTER DATABASE {DATABASE} SET lc_messages = 'C'"
        ))
        .unwrap_or_else(|_| witness.batch_execute(&format!("CREATE DATABASE {DATABASE} TEMPLATE template0")).unwrap());
}

fn run(name: &str) -> String {
    let text = fs::read_to_string(folder().join("specs").join(format!("{name}.spec"))).unwrap();
    let spec = parse(&text).unwrap_or_else(|error| panic!("{name}.spec: {error}"));
    let dsn = format!("{} dbname={DATABASE} options='{SETTINGS}'", conninfo().redacted());
    let options = SpecOptions { application_name: format!("isolation/{name}"), ..SpecOptions::default() };
    let conninfo = Conninfo::resolve(&dsn, &SystemEnvironment).unwrap();
    match run_spec(conninfo, &spec, &options, &mut Silent) {
        Ok(report) => report.transcript,
        Err(error) => format!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

/// Says it in the test's output, also when the test passes: what is printed by macros is kept back then.
fn say(what: &str) {
    let _ = writeln!(std::io::stderr(), "conformance: {what}");
}

#[test]
fn specs_of_postgresql_give_its_own_output() {
    let specs = specs();
    if specs.is_empty() {
        say(&format!("NOT RUN: there is no {}", folder().display()));
        return;
    }
    let version: i32 = witness().query_one("SELECT current_setting('server_version_num')::int", &[]).unwrap().get(0);
    if version / 10_000 != 18 {
        say(&format!("NOT RUN: the expected output is that of PostgreSQL 18, and this server is {version}"));
        return;
    }
    let mut different = Vec::new();
    let mut time = Duration::ZERO;
    for name in &specs {
        fresh_database();
        let start = std::time::Instant::now();
        let output = run(name);
        time += start.elapsed();
        if !expected(name).contains(&output) {
            if let Ok(folder) = std::env::var("LOCKSTEP_OUTPUT") {
                fs::write(Path::new(&folder).join(format!("{name}.out")), &output).unwrap();
            }
            different.push(name.clone());
        }
    }
    eventually(
        &mut witness(),
        &format!("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '{DATABASE}' AND state IS NOT NULL)"),
    );
    witness().batch_execute(&format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")).unwrap();
    say(&format!("{} of PostgreSQL's own specs in {time:?}", specs.len()));
    assert!(different.is_empty(), "{} of {} specs differ: {}", different.len(), specs.len(), different.join(" "));
}
