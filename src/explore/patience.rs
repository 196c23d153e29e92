//! How often a schedule is begun again that the server has not followed.

use std::collections::BTreeSet;

use super::queue::Overtaken;

/// A schedule is begun again this often.
const MOST_AGAIN: usize = 1000;
/// What is the same so many times in a row is no race, but how the server does it: a statement may leave a queue without
/// having got what the others want.
const SURE: usize = 50;

/// What becomes of runs in which somebody was overtaken: so many are begun again.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    /// How often the current schedule was begun again.
    again: usize,
    last: Option<Overtaken>,
    in_a_row: usize,
    /// Who overtakes whom every time, after which choices. After others it may be a race.
    rules: BTreeSet<(Vec<usize>, Overtaken)>,
}

impl Patience {
    /// What is not known to be so every time, after these choices.
    pub(super) fn first_of(&self, overtaken: Vec<Overtaken>, choices: &[usize]) -> Option<Overtaken> {
        overtaken.into_iter().find(|one| !self.rules.contains(&(choices.to_vec(), *one)))
    }

    /// A schedule has come to its end.
    pub(super) fn end(&mut self) {
        (self.again, self.last, self.in_a_row) = (0, None, 0);
    }

    /// Whether the schedule shall be begun again, after this or something else that the server has chosen after these choices.
    pub(super) fn again(&mut self, overtaken: Option<Overtaken>, choices: &[usize]) -> bool {
        self.in_a_row = if self.last == overtaken { self.in_a_row + 1 } else { 1 };
        self.last = overtaken;
        if let Some(one) = overtaken.filter(|_| self.in_a_row >= SURE) {
            self.rules.insert((choices.to_vec(), one));
        }
        self.again += 1;
        self.again <= MOST_AGAIN
    }

    /// How often the schedule has been begun again.
    pub(super) fn count(&self) -> usize {
        self.again
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_AGAIN, Overtaken, Patience, SURE};

    #[test]
    fn what_is_so_every_time_is_how_the_server_does_it() {
        let one = Overtaken { session: (1, 1), by: (2, 1), after: 4 };
        let choices = [0, 1, 2, 0];
        let mut patience = Patience::default();
        for _ in 1..SURE {
            assert!(patience.again(Some(one), &choices));
        }
        assert!(patience.again(None, &choices));
        assert_eq!(patience.first_of(vec![one], &choices), Some(one));
        for _ in 0..SURE {
            assert!(patience.again(Some(one), &choices));
        }
        assert_eq!(patience.first_of(vec![one], &choices), None);
        assert_eq!(patience.first_of(vec![one], &[1, 0, 2, 0]), Some(one));
        for _ in patience.count()..MOST_AGAIN {
            assert!(patience.again(None, &choices));
        }
        assert!(!patience.again(None, &choices));
        patience.end();
        assert!(patience.again(None, &choices));
        assert_eq!(patience.first_of(vec![one], &choices), None);
    }
}
