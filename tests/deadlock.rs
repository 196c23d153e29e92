//! The main job: a real deadlock, every time, and its report.

mod support;

use django_lockstep::Options;
use django_lockstep::report::{Outcome, SessionOutcome};
use support::{assert_nothing_left, simulate};

/// A quick deadlock, where the role may have one.
fn quick() -> Options {
    Options { deadlock_timeout: Some(0.02), ..Options::default() }
}

#[test]
fn two_sessions_in_opposite_orders_deadlock() {
    let report = simulate(&Options::default());
    println!("{}", report.to_text(3));
    assert_eq!(report.outcome, Outcome::Deadlock);
    assert_eq!(report.victims.len(), 1);
    assert_eq!(report.cycle.len(), 2);
    let survivor = report.sessions.iter().find(|session| !report.victims.contains(&session.name)).unwrap();
    assert_eq!(survivor.outcome, SessionOutcome::Committed);
}

#[test]
fn rings_deadlock_and_name_their_cycle() {
    for sessions in [2, 3, 8, 32] {
        let report = simulate(&Options { sessions, ..quick() });
        assert_eq!(report.outcome, Outcome::Deadlock, "{}", report.to_text(3));
        assert_eq!(report.cycle.len(), sessions, "{}", report.to_text(3));
    }
    assert_nothing_left();
}

#[test]
fn it_deadlocks_every_time() {
    let mut times = Vec::new();
    for _ in 0..200 {
        let report = simulate(&Options { deadlock_timeout: Some(0.001), ..Options::default() });
        assert_eq!(report.outcome, Outcome::Deadlock, "{}", report.to_text(3));
        times.push(report.elapsed);
    }
    times.sort_by(f64::total_cmp);
    println!("elapsed {:?}", (times[0], times[100], times[199]));
}
