//! How many schedules there are, for cases where that is known.

use super::model::{Op, Program, Target, explore, explore_within};
use crate::explore::{Limits, Mode, RowLock};

fn row(number: usize) -> Target {
    Target::Row(number)
}

fn write(number: usize) -> Op {
    Op::Write(vec![row(number)])
}

fn count(program: &Program) -> usize {
    let explored = explore(program, Mode::All);
    assert!(explored.complete);
    assert_eq!(explored.statistics.redundant, 0, "{program:?}");
    explored.statistics.schedules
}

#[test]
fn independent_steps_run_once() {
    assert_eq!(count(&vec![vec![Op::Think; 12], vec![Op::Think; 12]]), 1);
    assert_eq!(count(&vec![vec![Op::Think; 5]; 4]), 1);
    assert_eq!(count(&vec![vec![write(0), write(1), Op::Commit], vec![write(2), write(3), Op::Commit]]), 1);
    let readers = vec![vec![Op::Read(row(0)), Op::Read(row(1)), Op::Commit]; 3];
    assert_eq!(count(&readers), 1);
}

#[test]
fn no_session_and_no_step_make_one_schedule() {
    assert_eq!(count(&Vec::new()), 1);
    assert_eq!(count(&vec![Vec::new(), Vec::new()]), 1);
}

#[test]
fn dependent_steps_run_in_every_order() {
    // Each of these is a transaction of its own that reads what all others write.
    let step = || vec![write(0), Op::Commit];
    // Who waits is resumed by the other's commit, so whole transactions are ordered, and waits told from no waits.
    let explored = explore(&vec![step(), step()], Mode::All);
    // A A B B, A B A B (B waits), and the same with B first.
    assert_eq!(explored.statistics.schedules, 4);
    assert_eq!(explored.outcomes.len(), 2);
}

#[test]
fn the_naive_transfers_deadlock_in_one_way_for_each_victim() {
    let lock = |number| Op::Lock(vec![row(number)], RowLock::Update);
    let transfer = |from, to| vec![lock(from), lock(to), write(from), write(to), Op::Commit];
    let explored = explore(&vec![transfer(0, 1), transfer(1, 0)], Mode::All);
    assert!(explored.complete);
    let aborted = |explored: &super::model::Explored| {
        explored.executions.iter().filter(|(_, (_, sessions))| sessions.iter().any(|(_, aborted)| *aborted)).count()
    };
    assert_eq!(aborted(&explored), 2);
    assert_eq!(explored.outcomes.len(), 4);
    let unreduced = explore(&vec![transfer(0, 1), transfer(1, 0)], Mode::Unreduced);
    assert_eq!((explored.statistics.schedules, unreduced.statistics.schedules), (6, 12));

    let ordered = explore(&vec![transfer(0, 1), transfer(0, 1)], Mode::All);
    assert_eq!((aborted(&ordered), ordered.outcomes.len(), ordered.complete), (0, 2, true));
}

#[test]
fn the_unreduced_search_runs_as_many_as_the_multinomial_coefficient() {
    let explored = explore(&vec![vec![Op::Think; 3]; 3], Mode::Unreduced);
    assert_eq!((explored.statistics.schedules, explored.complete), (1680, true));
}

#[test]
fn a_gate_in_the_middle_makes_two_statements_over_many_rows_deadlock() {
    let up = vec![Op::Lock(vec![row(0), row(1), row(2)], RowLock::Update), Op::Commit];
    let down = vec![Op::Lock(vec![row(2), row(1), row(0)], RowLock::Update), Op::Commit];
    let gate = vec![Op::Lock(vec![row(1)], RowLock::Update), Op::Rollback];
    let aborts = |program: &Program| {
        explore(program, Mode::All).outcomes.iter().any(|(_, sessions)| sessions.iter().any(|(_, aborted)| *aborted))
    };
    assert!(!aborts(&vec![up.clone(), down.clone()]));
    assert!(aborts(&vec![up, down, gate]));
}

#[test]
fn limits_are_kept_and_an_unfinished_search_is_not_complete() {
    let program = vec![vec![write(0), Op::Commit], vec![write(0), Op::Commit]];
    let limited = |schedules| {
        let limits = Limits { schedules: Some(schedules), time: None };
        let explored = explore_within(&program, Mode::All, limits);
        (explored.statistics.schedules, explored.complete)
    };
    assert_eq!(limited(0), (0, false));
    assert_eq!(limited(3), (3, false));
    assert_eq!(limited(4), (4, true));
    assert_eq!(limited(5), (4, true));
    let no_time = Limits { schedules: None, time: Some(std::time::Duration::ZERO) };
    assert!(!explore_within(&program, Mode::All, no_time).complete);
}

#[test]
fn a_bound_that_cuts_nothing_is_complete() {
    let program = vec![vec![write(0), Op::Commit], vec![write(0), Op::Commit]];
    let bounded = |bound| explore(&program, Mode::Preemptions(bound));
    assert!(!bounded(0).complete);
    assert!(bounded(4).complete);
    let orders: Vec<_> = bounded(0).executions.iter().map(|(execution, _)| execution.choices.clone()).collect();
    assert_eq!(orders, [[0, 0, 1, 1], [1, 1, 0, 0]]);
}

#[test]
fn random_schedules_are_the_same_for_the_same_seed() {
    let program = vec![vec![write(0), write(1), Op::Commit], vec![write(1), write(0), Op::Commit]];
    let run = |seed| {
        let limits = Limits { schedules: Some(40), time: None };
        let explored = explore_within(&program, Mode::Random { seed, depth: 3 }, limits);
        assert!(!explored.complete);
        explored.executions.into_iter().map(|(execution, _)| execution.choices).collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn random_schedules_find_what_their_guarantee_promises() {
    // The deadlock needs two ordered steps more than the program's own: depth 2, at least one in 2 · 6.
    let program = vec![vec![write(0), write(1), Op::Commit], vec![write(1), write(0), Op::Commit]];
    let limits = Limits { schedules: Some(600), time: None };
    let explored = explore_within(&program, Mode::Random { seed: 7, depth: 2 }, limits);
    let aborted = explored.executions.iter().filter(|(_, (_, sessions))| sessions.iter().any(|(_, gone)| *gone));
    assert!(aborted.count() >= 600 / 12);
}
