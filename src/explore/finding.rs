//! What was found: equal findings are one, shown by the schedule that has the fewest preemptions.

use std::collections::BTreeMap;

use super::linear::Order;

/// Something that was found, and the simplest schedule that shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding<T> {
    /// What makes it the same as another.
    pub key: String,
    /// The schedule.
    pub order: Order,
    /// How many schedules showed it.
    pub seen: usize,
    /// Whatever is known about it, of the schedule that showed it in the simplest way.
    pub about: T,
}

/// All that was found, in the order in which it was found first.
#[derive(Clone, Debug)]
pub struct Findings<T> {
    found: Vec<Finding<T>>,
    places: BTreeMap<String, usize>,
}

impl<T> Default for Findings<T> {
    fn default() -> Self {
        Self { found: Vec::new(), places: BTreeMap::new() }
    }
}

impl<T> Findings<T> {
    /// Adds one.
    pub fn add(&mut self, key: String, order: Order, about: T) {
        if let Some(known) = self.places.get(&key).and_then(|&place| self.found.get_mut(place)) {
            known.seen += 1;
            if simplicity(&order) < simplicity(&known.order) {
                known.order = order;
                known.about = about;
            }
            return;
        }
        self.places.insert(key.clone(), self.found.len());
        self.found.push(Finding { key, order, seen: 1, about });
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Finding<T>] {
        &self.found
    }

    /// All of them.
    #[must_use]
    pub fn into_all(self) -> Vec<Finding<T>> {
        self.found
    }
}

fn simplicity(order: &Order) -> (usize, usize, &[usize]) {
    (order.preemptions, order.sessions.len(), &order.sessions)
}

#[cfg(test)]
mod tests {
    use super::Findings;
    use crate::explore::linear::Order;

    #[test]
    fn equal_ones_are_grouped_and_the_simplest_is_kept() {
        let order = |sessions: &[usize], preemptions| Order { sessions: sessions.to_vec(), preemptions };
        let mut findings = Findings::default();
        findings.add("deadlock".to_owned(), order(&[0, 1, 0, 1], 2), 1);
        findings.add("violation".to_owned(), order(&[0], 0), 2);
        findings.add("deadlock".to_owned(), order(&[1, 0, 0, 1, 1], 1), 3);
        findings.add("deadlock".to_owned(), order(&[0, 1, 0, 1, 1], 1), 4);
        findings.add("deadlock".to_owned(), order(&[0, 1, 0, 1, 1], 3), 5);
        let all = findings.all();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].seen, all[0].about, all[0].order.preemptions), (4, 4, 1));
        assert_eq!((all[1].seen, all[1].about), (1, 2));
    }
}
