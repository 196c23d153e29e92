//! For programs made at random, the reduced search misses nothing that the full enumeration finds.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use proptest::prelude::*;

use super::model::{Explored, Op, Outcome, Program, ROWS, Server, Target, all_orders, explore, explore_on};
use crate::explore::{Limits, Mode, RowLock, Search, Statistics};

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![4 => (0..ROWS).prop_map(Target::Row), 1 => Just(Target::AsRead)]
}

fn strength() -> impl Strategy<Value = RowLock> {
    prop::sample::select(vec![RowLock::KeyShare, RowLock::Share, RowLock::NoKeyUpdate, RowLock::Update])
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => target().prop_map(Op::Read),
        3 => (prop::collection::vec(target(), 1..3), strength()).prop_map(|(rows, lock)| Op::Lock(rows, lock)),
        3 => prop::collection::vec(target(), 1..3).prop_map(Op::Write),
        1 => Just(Op::Commit),
        1 => Just(Op::Rollback),
    ]
}

/// A session that ends what it has begun.
fn session(most: usize) -> impl Strategy<Value = Vec<Op>> {
    (prop::collection::vec(op(), 1..=most), prop::bool::weighted(0.8)).prop_map(|(mut ops, commits)| {
        ops.push(if commits { Op::Commit } else { Op::Rollback });
        ops
    })
}

fn program() -> impl Strategy<Value = Program> {
    prop_oneof![prop::collection::vec(session(4), 2..=2), prop::collection::vec(session(2), 3..=3)]
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// What makes two orders the same trace, asked of the search itself.
fn signature(program: &Program, order: &[usize]) -> Vec<u32> {
    let mut search = Search::new(program.len(), Mode::Only(order.to_vec()), Limits::default());
    assert!(search.begin());
    let mut server = Server::new(program);
    while let Some(id) = search.choose(&server.gates()).unwrap() {
        let (involved, footprint) = server.release(id);
        search.observe(involved, footprint, &server.waits()).unwrap();
    }
    search.end().trace.signature()
}

proptest! {
    #![proptest_config(config(400))]

    #[test]
    fn the_reduced_search_finds_exactly_the_outcomes_of_the_full_enumeration(program in program()) {
        let all: BTreeSet<Outcome> = all_orders(&program).into_iter().map(|(outcome, ..)| outcome).collect();
        let reduced = explore(&program, Mode::All);
        prop_assert!(reduced.complete);
        prop_assert_eq!(reduced.outcomes, all);
        prop_assert_eq!(reduced.statistics.again, 0);
    }
}

/// Three or four that want the same rows, most of the time.
fn crowd() -> impl Strategy<Value = Program> {
    let op = prop_oneof![
        4 => prop::collection::vec((0..2_usize).prop_map(Target::Row), 1..3).prop_map(Op::Write),
        1 => (Just(vec![Target::Row(0)]), strength()).prop_map(|(rows, lock)| Op::Lock(rows, lock)),
        1 => Just(Op::Read(Target::Row(1))),
    ];
    let session = |most: usize| {
        prop::collection::vec(op.clone(), 1..=most).prop_map(|mut ops| {
            ops.push(Op::Commit);
            ops
        })
    };
    prop_oneof![
        3 => prop::collection::vec(session(2), 3..=3),
        1 => prop::collection::vec(session(1), 4..=4),
    ]
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn a_server_that_lets_in_whoever_comes_is_searched_like_one_that_keeps_the_order(program in crowd(), seed: u64) {
        let mut chance = Rng::with_seed(seed);
        for mode in [Mode::All, Mode::Preemptions(1)] {
            let fair = explore(&program, mode.clone());
            let unfair = explore_on(&program, mode, Limits::default(), || Server::unfair(&program, &mut chance));
            let choices = |explored: &Explored| -> Vec<Vec<usize>> {
                explored.executions.iter().map(|(execution, _)| execution.choices.clone()).collect()
            };
            prop_assert_eq!(choices(&unfair), choices(&fair));
            prop_assert_eq!(&unfair.outcomes, &fair.outcomes);
            prop_assert_eq!(unfair.complete, fair.complete);
            prop_assert_eq!(Statistics { again: 0, ..unfair.statistics }, fair.statistics);
        }
    }
}

proptest! {
    #![proptest_config(config(20))]

    #[test]
    fn so_is_it_in_every_other_mode(program in crowd(), seed: u64) {
        let mut chance = Rng::with_seed(seed);
        let limits = Limits { schedules: Some(40), time: None };
        for mode in [Mode::Unreduced, Mode::Random { seed, depth: 3 }, Mode::Only(vec![0, 1, 2, 0, 1, 2])] {
            let fair = explore_on(&program, mode.clone(), limits, || Server::new(&program));
            let unfair = explore_on(&program, mode, limits, || Server::unfair(&program, &mut chance));
            prop_assert_eq!(unfair.outcomes, fair.outcomes);
            prop_assert_eq!(Statistics { again: 0, ..unfair.statistics }, fair.statistics);
        }
    }
}

/// Four that want one row: three wait at once, and mostly they are not let in as they came.
#[test]
fn four_that_want_one_row_are_searched_to_the_end() {
    let program = vec![vec![Op::Write(vec![Target::Row(0)]), Op::Commit]; 4];
    let mut chance = Rng::with_seed(1);
    let unfair = explore_on(&program, Mode::All, Limits::default(), || Server::unfair(&program, &mut chance));
    // The orders in which they write, times the ways in which each begins before or after those before it have ended.
    assert_eq!((unfair.complete, unfair.statistics.schedules, unfair.outcomes.len()), (true, 24 * 14, 24));
    assert!(unfair.statistics.again > 100);
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn every_inequivalent_schedule_is_run_and_equivalent_ones_have_one_outcome(program in program()) {
        let mut traces: BTreeMap<Vec<u32>, (Outcome, usize)> = BTreeMap::new();
        for (outcome, preemptions, order) in all_orders(&program) {
            let entry = traces.entry(signature(&program, &order)).or_insert((outcome.clone(), preemptions));
            prop_assert_eq!(&entry.0, &outcome);
            entry.1 = entry.1.min(preemptions);
        }
        let reduced = explore(&program, Mode::All);
        let run: BTreeSet<Vec<u32>> = reduced.executions.iter().map(|(run, _)| run.trace.signature()).collect();
        prop_assert_eq!(&run, &traces.keys().cloned().collect::<BTreeSet<_>>());
        // The simplest order is equivalent, and no other order of the trace is simpler.
        for (execution, _) in &reduced.executions {
            let simplest = execution.simplest(None);
            let known = execution.trace.signature();
            prop_assert_eq!(&signature(&program, &simplest.sessions), &known);
            prop_assert_eq!(simplest.preemptions, traces[&known].1);
        }
    }

    #[test]
    fn a_bounded_search_finds_exactly_what_its_preemptions_allow(program in program(), bound in 0_usize..3) {
        let all = all_orders(&program);
        let within: BTreeSet<Outcome> =
            all.iter().filter(|(_, preemptions, _)| *preemptions <= bound).map(|(outcome, ..)| outcome.clone()).collect();
        let bounded = explore(&program, Mode::Preemptions(bound));
        prop_assert_eq!(bounded.outcomes, within);
        let most = all.iter().map(|(_, preemptions, _)| *preemptions).max().unwrap();
        prop_assert!(bounded.complete || most > bound);
    }

    #[test]
    fn the_serial_orders_are_recognised(program in program()) {
        let sessions: Vec<usize> = (0..program.len()).collect();
        let serial: Vec<usize> = sessions.iter().flat_map(|&session| vec![session; program[session].len()]).collect();
        let wanted = signature(&program, &serial);
        let reduced = explore(&program, Mode::All);
        let found: Vec<_> = reduced.executions.iter().filter(|(run, _)| run.is_serial(&sessions)).collect();
        prop_assert!(!found.is_empty());
        prop_assert!(found.iter().all(|(run, _)| run.trace.signature() == wanted));
    }
}

/// What a step touches after a wait counts where it would not have waited.
#[test]
fn a_step_that_waits_for_its_first_row_still_wants_its_second() {
    use Op::{Commit, Lock, Rollback, Write};
    let program = vec![
        vec![Write(vec![Target::Row(3), Target::AsRead]), Commit],
        vec![Write(vec![Target::Row(1)]), Lock(vec![Target::AsRead], RowLock::Share), Rollback],
        vec![Lock(vec![Target::Row(0)], RowLock::Share), Rollback],
    ];
    let all: BTreeSet<Outcome> = all_orders(&program).into_iter().map(|(outcome, ..)| outcome).collect();
    assert_eq!(explore(&program, Mode::All).outcomes, all);
}

/// A row that is let go to some is not yet free for one who came before them: it is no race that nobody passes that one.
#[test]
fn four_with_locks_of_three_strengths_are_searched_to_the_end() {
    let lock = |lock| vec![Op::Lock(vec![Target::Row(0)], lock), Op::Commit];
    let (share, update) = (lock(RowLock::KeyShare), lock(RowLock::Update));
    let program = vec![share.clone(), update, vec![Op::Write(vec![Target::Row(0)]), Op::Commit], share];
    for seed in 0..20 {
        let mut chance = Rng::with_seed(seed);
        let fair = explore(&program, Mode::All);
        let unfair = explore_on(&program, Mode::All, Limits::default(), || Server::unfair(&program, &mut chance));
        assert_eq!(unfair.outcomes, fair.outcomes);
        assert_eq!(Statistics { again: 0, ..unfair.statistics }, fair.statistics);
    }
}
