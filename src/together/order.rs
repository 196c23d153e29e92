//! The orders that sessions of code can be given: strictly in turns, or a list of sessions, a step an entry.

use crate::engine::schedule::{Board, Decision, Schedule, Standing};
use crate::engine::{SessionId, Step};

/// Strictly in turns: after a session's step comes the next session that stands at its gate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turns {
    last: Option<usize>,
}

impl Schedule for Turns {
    fn next(&mut self, board: &Board) -> Decision {
        let count = board.standings.len();
        let first = self.last.map_or(0, |last| last + 1);
        let turn = (first..first + count)
            .map(|place| place % count.max(1))
            .find(|&index| matches!(board.standings.get(index), Some(Standing::AtGate(_))));
        match turn {
            Some(index) => {
                self.last = Some(index);
                Decision::Release(SessionId(index))
            }
            None => Decision::Rest,
        }
    }
}

const NO_MORE: &str = "has no more steps there: it has ended";

/// A given order, a step an entry, and how far it was followed.
///
/// A step that must wait stays waiting and the order goes on. An entry whose session has no step to take cannot be followed:
/// [`Route::trouble`] says where and why.
#[derive(Clone, Debug)]
pub struct Route {
    names: Vec<String>,
    entries: Vec<SessionId>,
    place: usize,
    last: Option<String>,
    trouble: Option<String>,
}

impl Route {
    /// The order of `entries` among sessions of these names.
    #[must_use]
    pub fn new(names: Vec<String>, entries: Vec<SessionId>) -> Self {
        Self { names, entries, place: 0, last: None, trouble: None }
    }

    /// Where the order could not be followed, and why.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What the next entry asks for; `None` when there is none left.
    pub(super) fn next(&mut self, board: &Board) -> Option<Decision> {
        let SessionId(index) = *self.entries.get(self.place)?;
        Some(match board.standings.get(index) {
            Some(Standing::AtGate(step)) => {
                self.last = Some(told(self.names.get(index), step));
                self.place += 1;
                Decision::Release(SessionId(index))
            }
            // Nobody else can go on either: the server has a deadlock to resolve.
            Some(Standing::Waiting { .. } | Standing::HeldUp { .. }) if board.first_at_gate().is_none() => {
                Decision::Rest
            }
            Some(Standing::Waiting { .. }) => {
                self.give_up(index, "waits for a lock there, and only another session's step could let it go on")
            }
            Some(Standing::HeldUp { place }) => {
                let why = format!("waits for another thread at {place}, and only another session could let it go on");
                self.give_up(index, &why)
            }
            _ => self.give_up(index, NO_MORE),
        })
    }

    /// Everybody has ended: whoever has entries left had fewer steps.
    pub fn end(&mut self) {
        if let Some(&SessionId(index)) = self.entries.get(self.place).filter(|_| self.trouble.is_none()) {
            self.give_up(index, NO_MORE);
        }
    }

    fn give_up(&mut self, session: usize, why: &str) -> Decision {
        let name = |index: usize| self.names.get(index).map_or("?", String::as_str);
        let written: Vec<&str> = self.entries.iter().map(|entry| name(entry.0)).collect();
        let after = self.last.as_ref().map_or_else(String::new, |last| format!(", after {last}"));
        self.trouble = Some(format!(
            "the order \"{}\" cannot be followed at its entry {} ({}){after}: {} {why}",
            written.join(" "),
            self.place + 1,
            name(session),
            name(session),
        ));
        Decision::GiveUp
    }
}

/// A given order; when it is through, the rest goes on in turns. Where it cannot be followed, the schedule gives up.
#[derive(Clone, Debug)]
pub struct Given {
    route: Route,
    rest: Turns,
}

impl Given {
    /// This order.
    #[must_use]
    pub fn new(route: Route) -> Self {
        Self { route, rest: Turns::default() }
    }

    /// Everybody has ended.
    pub fn end(&mut self) {
        self.route.end();
    }

    /// Where the order could not be followed, and why.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.route.trouble()
    }
}

impl Schedule for Given {
    fn next(&mut self, board: &Board) -> Decision {
        let Some(decision) = self.route.next(board) else { return self.rest.next(board) };
        if let Decision::Release(SessionId(index)) = decision {
            self.rest = Turns { last: Some(index) };
        }
        decision
    }
}

fn told(name: Option<&String>, step: &Step) -> String {
    let name = name.map_or("?", String::as_str);
    let source = step.source.as_ref().map_or_else(String::new, |source| format!(" at {source}"));
    format!("{name}'s {}{source}", step.name)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Given, Route, Turns};
    use crate::engine::schedule::{Board, Decision, Schedule, Standing};
    use crate::engine::{SessionId, Step};

    fn gate() -> Standing {
        Standing::AtGate(Step::statement("UPDATE account", "UPDATE account SET balance = 0"))
    }

    fn waiting() -> Standing {
        let now = Instant::now();
        Standing::Waiting { released: now, seen: now, checked: None }
    }

    fn board(standings: Vec<Standing>) -> Board {
        let count = standings.len();
        Board { standings, finished: vec![None; count], failed: vec![false; count], isolation: vec![None; count] }
    }

    fn given(entries: &[usize]) -> Given {
        let names = ["ada", "bob"].map(str::to_owned).to_vec();
        Given::new(Route::new(names, entries.iter().copied().map(SessionId).collect()))
    }

    #[test]
    fn turns_go_round() {
        let mut turns = Turns::default();
        let released: Vec<Decision> = (0..4).map(|_| turns.next(&board(vec![gate(), gate(), gate()]))).collect();
        assert_eq!(released, [0, 1, 2, 0].map(|index| Decision::Release(SessionId(index))));
    }

    #[test]
    fn turns_pass_over_whoever_waits_or_has_left() {
        let mut turns = Turns::default();
        assert_eq!(turns.next(&board(vec![waiting(), gate()])), Decision::Release(SessionId(1)));
        assert_eq!(turns.next(&board(vec![Standing::Left, gate()])), Decision::Release(SessionId(1)));
        assert_eq!(turns.next(&board(vec![waiting(), Standing::Left])), Decision::Rest);
        assert_eq!(turns.next(&board(Vec::new())), Decision::Rest);
    }

    #[test]
    fn the_rest_of_an_order_goes_on_in_turns() {
        let mut order = given(&[1, 1]);
        let both = || board(vec![gate(), gate()]);
        let released: Vec<Decision> = (0..4).map(|_| order.next(&both())).collect();
        assert_eq!(released, [1, 1, 0, 1].map(|index| Decision::Release(SessionId(index))));
    }

    #[test]
    fn an_order_waits_for_the_server_when_nobody_can_go_on() {
        assert_eq!(given(&[0]).next(&board(vec![waiting(), waiting()])), Decision::Rest);
    }

    #[test]
    fn an_order_is_not_followed_by_sessions_that_have_ended_before_it() {
        let mut order = given(&[0, 1]);
        order.next(&board(vec![gate(), gate()]));
        order.end();
        assert!(order.trouble().is_some_and(|trouble| trouble.contains("entry 2 (bob), after ada's UPDATE account")));
    }

    #[test]
    fn an_order_says_where_it_cannot_be_followed() {
        let mut order = given(&[0, 0]);
        order.next(&board(vec![gate(), gate()]));
        assert_eq!(order.next(&board(vec![waiting(), gate()])), Decision::GiveUp);
        insta::assert_snapshot!(order.trouble().unwrap_or_default(), @r#"the order "ada ada" cannot be followed at its entry 2 (ada), after ada's UPDATE account: ada waits for a lock there, and only another session's step could let it go on"#);
        let mut order = given(&[1]);
        assert_eq!(order.next(&board(vec![gate(), Standing::Left])), Decision::GiveUp);
        assert_eq!(
            order.trouble(),
            Some(
                "the order \"bob\" cannot be followed at its entry 1 (bob): bob has no more steps there: it has ended"
            )
        );
    }
}
