//! Nondeterminism that no schedule controls is noticed.

use std::collections::BTreeSet;

use crate::explore::{Diverged, Footprint, Limits, Mode, Search, Waits};

fn gate(text: &str) -> String {
    text.to_owned()
}

#[test]
fn says_which_session_at_which_step_wants_what() {
    let mut search = Search::new(2, Mode::All, Limits::default());
    let mut next = |clock: &str| -> Result<(), Diverged> {
        assert!(search.begin());
        search.choose(&[Some(gate("a1")), Some(gate("b1"))])?;
        search.observe(BTreeSet::new(), Footprint::unknown(), &Waits::default()).unwrap();
        search.choose(&[Some(gate(clock)), Some(gate("b1"))])?;
        search.observe(BTreeSet::new(), Footprint::unknown(), &Waits::default()).unwrap();
        search.choose(&[None, Some(gate("b1"))])?;
        search.observe(BTreeSet::new(), Footprint::unknown(), &Waits::default()).unwrap();
        search.choose(&[None, None])?;
        search.end();
        Ok(())
    };
    assert_eq!(next("noon"), Ok(()));
    let diverged = next("one o'clock");
    assert_eq!(
        diverged,
        Err(Diverged {
            session: 0,
            after: 1,
            step: 1,
            before: Some(gate("noon")),
            now: Some(gate("one o'clock")),
            waits: false
        })
    );
}

#[test]
fn an_end_instead_of_a_step_is_noticed() {
    let mut search = Search::new(1, Mode::Unreduced, Limits::default());
    assert!(search.begin());
    assert_eq!(search.choose(&[Some(gate("a1"))]), Ok(Some(0)));
    search.observe(BTreeSet::new(), Footprint::default(), &Waits::default()).unwrap();
    assert_eq!(search.choose(&[None]), Ok(None));
    search.end();
    assert!(!search.begin());
    assert!(search.is_complete());
}

#[test]
fn another_one_who_waits_is_the_servers_doing_and_another_statement_is_not() {
    let mut search = Search::new(3, Mode::All, Limits::default());
    let mut after = |gates: [Option<&str>; 3], waiting: &[usize]| {
        assert!(search.begin());
        search.choose(&[Some(gate("a1")), Some(gate("b1")), Some(gate("c1"))]).unwrap();
        let ahead = waiting.iter().map(|&session| (session, BTreeSet::from([3]))).collect();
        let waits = Waits { ahead, ..Waits::default() };
        search.observe(BTreeSet::new(), Footprint::unknown(), &waits).unwrap();
        let told =
            search.choose(&gates.map(|text| text.map(gate))).map_err(|diverged| (diverged.session, diverged.waits));
        assert!(search.again(None));
        told
    };
    assert_eq!(after([Some("a2"), None, Some("c2")], &[1]), Ok(Some(0)));
    assert_eq!(after([Some("a2"), None, Some("c2")], &[1]), Ok(Some(0)));
    assert_eq!(after([Some("a2"), Some("b2"), None], &[2]), Err((1, true)));
    assert_eq!(after([Some("a2"), Some("b2"), Some("c3")], &[]), Err((2, false)));
    assert_eq!(after([None, None, Some("c2")], &[1]), Err((0, false)));
}

#[test]
fn a_search_of_one_schedule_runs_it_once_more() {
    let mut search = Search::new(1, Mode::All, Limits::default()).repeating();
    let mut run = |text: &str| {
        assert!(search.begin());
        search.choose(&[Some(gate(text))])?;
        search.observe(BTreeSet::new(), Footprint::default(), &Waits::default()).unwrap();
        search.choose(&[None])?;
        Ok::<bool, Diverged>(search.end().repeat)
    };
    assert_eq!(run("a1"), Ok(false));
    assert_eq!(run("a1"), Ok(true));
    assert!(!search.begin());
    assert!(!search.begin());
    assert!(search.is_complete());
    assert_eq!(search.statistics().schedules, 1);
}

#[test]
fn what_differs_the_second_time_is_noticed_although_one_schedule_is_all() {
    let mut search = Search::new(1, Mode::All, Limits::default()).repeating();
    assert!(search.begin());
    search.choose(&[Some(gate("row 1"))]).unwrap();
    search.observe(BTreeSet::new(), Footprint::default(), &Waits::default()).unwrap();
    search.choose(&[None]).unwrap();
    search.end();
    assert!(search.begin());
    let diverged = search.choose(&[Some(gate("row 2"))]).unwrap_err();
    assert_eq!((diverged.before, diverged.now), (Some(gate("row 1")), Some(gate("row 2"))));
}
