//! Every scenario of the catalogue does what its header says, under every isolation level.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;

use django_lockstep::engine::Silent;
use django_lockstep::isolation::{Ground, SpecOptions, run_spec};
use django_lockstep::scenario::catalogue::{Scenario, table};
use django_lockstep::scenario::lock::Isolation;
use django_lockstep::scenario::spec::parse;
use support::{assert_nothing_left, conninfo};

/// How many scenarios run at a time.
const AT_A_TIME: usize = 4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python/django_lockstep/scenarios")
}

fn catalogue() -> Vec<Scenario> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Scenario {
    let scenario = Scenario::parse(&fs::read_to_string(file).unwrap());
    let scenario = scenario.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert_eq!(file.file_stem().unwrap().to_str(), Some(scenario.name.as_str()), "the name is that of the file");
    scenario
}

#[test]
fn every_scenario_shows_its_problem_and_its_fix() {
    for scenario in catalogue() {
        let name = &scenario.name;
        assert!(scenario.title.len() <= 110, "{name}: its title is one line of a list");
        assert!(scenario.seen_in.iter().all(|issue| issue.contains('/') && issue.contains(" #")), "{name}: seen in");
        assert!(scenario.expectations.iter().any(|one| !one.fixed), "{name} shows no problem");
        assert!(scenario.expectations.iter().any(|one| one.fixed), "{name} shows no fix");
        let deadlocks = |one: &django_lockstep::scenario::catalogue::Expectation| {
            Isolation::ALL.iter().any(|(_, level)| one.effect(*level).is_deadlock())
        };
        assert!(!scenario.expectations.iter().any(|one| one.fixed && deadlocks(one)), "{name}: its fix deadlocks");
        assert_eq!(parse(&scenario.spec.to_string()).unwrap(), scenario.spec, "{name} is printed as it is");
        assert_eq!(scenario.spec.unused(), [""; 0], "{name}: a step is never used");
    }
}

#[test]
fn every_pattern_that_projects_meet_is_there() {
    let names: Vec<String> = catalogue().into_iter().map(|scenario| scenario.name).collect();
    let numbers = "01 01b 02 03 03b 03c 03d 04 05 06 07 08 08b 09 10 11 12 13 14 15 16 17 18 19 20 21 22 23";
    for number in numbers.split(' ') {
        assert!(names.iter().any(|name| name.starts_with(&format!("s{number}-"))), "no s{number}");
    }
    for name in [
        "add-fk-under-traffic",
        "delete-parent-insert-child",
        "fk-child-against-parent",
        "gapless-number",
        "get-or-create-race",
        "lock-or-statement-timeout",
        "lock-upgrade",
        "lost-update",
        "nowait",
        "queued-migration",
        "skip-locked-queue",
        "transfer-cycle",
        "upsert-race",
        "write-skew",
    ] {
        assert!(names.iter().any(|other| other == name), "no {name}");
    }
}

/// What is not as the header says.
fn differences(scenario: &Scenario) -> Vec<String> {
    let mut differences = Vec::new();
    for (level, isolation) in Isolation::ALL {
        let options = SpecOptions { isolation: Some(isolation), ground: Ground::SCRATCH, ..SpecOptions::default() };
        let report = run_spec(conninfo(), &scenario.spec, &options, &mut Silent).unwrap();
        if let Some(failure) = report.failure {
            differences.push(format!("{} {level}: {failure}", scenario.name));
            continue;
        }
        for (number, (one, expected)) in report.permutations.iter().zip(&scenario.expectations).enumerate() {
            let expected = expected.effect(isolation);
            if one.effect != *expected {
                differences.push(format!(
                    "{} {} {level}: {} instead of {expected}\n{}",
                    scenario.name,
                    number + 1,
                    one.effect,
                    one.to_text(1, 100)
                ));
            }
        }
    }
    differences
}

#[test]
fn every_scenario_does_what_its_header_says() {
    let left = Mutex::new(catalogue());
    let differences = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(scenario) = { left.lock().unwrap().pop() } {
                    let found = self::differences(&scenario);
                    differences.lock().unwrap().extend(found);
                }
            });
        }
    });
    let differences = differences.into_inner().unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert_nothing_left();
}

#[test]
fn the_table_in_the_documentation_is_that_of_the_files() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/catalogue.md");
    let text = fs::read_to_string(&page).unwrap();
    let (begin, end) = ("<!-- The table: make catalogue -->\n", "<!-- The end of the table. -->\n");
    let (before, rest) = text.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let wanted = format!("{before}{begin}\n{}\n{end}{after}", table(&catalogue()));
    if std::env::var_os("LOCKSTEP_WRITE_CATALOGUE").is_some() {
        fs::write(&page, &wanted).unwrap();
    }
    assert_eq!(fs::read_to_string(&page).unwrap(), wanted, "run `make catalogue`");
}
