//! Nondeterminism that no schedule controls is noticed.

use std::collections::BTreeSet;

use crate::explore::{Diverged, Footprint, Limits, Mode, Search};

fn gate(text: &str) -> String {
    text.to_owned()
}

#[test]
fn says_which_session_at_which_step_wants_what() {
    let mut search = Search::new(2, Mode::All, Limits::default());
    let mut next = |clock: &str| -> Result<(), Diverged> {
        assert!(search.begin());
        search.choose(&[Some(gate("a1")), Some(gate("b1"))])?;
        search.observe(BTreeSet::new(), Footprint::unknown());
        search.choose(&[Some(gate(clock)), Some(gate("b1"))])?;
        search.observe(BTreeSet::new(), Footprint::unknown());
        search.choose(&[None, Some(gate("b1"))])?;
        search.observe(BTreeSet::new(), Footprint::unknown());
        search.choose(&[None, None])?;
        search.end();
        Ok(())
    };
    assert_eq!(next("noon"), Ok(()));
    let diverged = next("one o'clock");
    assert_eq!(
        diverged,
        Err(Diverged { session: 0, after: 1, step: 1, before: Some(gate("noon")), now: Some(gate("one o'clock")) })
    );
}

#[test]
fn an_end_instead_of_a_step_is_noticed() {
    let mut search = Search::new(1, Mode::Unreduced, Limits::default());
    assert!(search.begin());
    assert_eq!(search.choose(&[Some(gate("a1"))]), Ok(Some(0)));
    search.observe(BTreeSet::new(), Footprint::default());
    assert_eq!(search.choose(&[None]), Ok(None));
    search.end();
    assert!(!search.begin());
    assert!(search.is_complete());
}
