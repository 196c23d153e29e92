//! The cycle of a deadlock, out of who waits for whom, and how it is told.

use super::plain::one_line;

/// One session (by any name for it: here a backend's pid) waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edge {
    /// The backend that waits.
    pub waiter: i32,
    /// The backend that is in its way.
    pub holder: i32,
}

/// The shortest cycle of `edges` that goes through `start`: `start` first, each waiting for the next, the last for `start`.
///
/// Breadth first, so that a session which is merely ahead in the queue (`pg_blocking_pids` lists it too) does not
/// lengthen the cycle. Empty when there is none.
#[must_use]
pub fn cycle_through(start: i32, edges: &[Edge]) -> Vec<i32> {
    let mut paths = std::collections::VecDeque::from([vec![start]]);
    let mut seen = vec![start];
    while let Some(path) = paths.pop_front() {
        let last = path.last().copied().unwrap_or(start);
        for edge in edges.iter().filter(|edge| edge.waiter == last) {
            if edge.holder == start {
                return path;
            }
            if !seen.contains(&edge.holder) {
                seen.push(edge.holder);
                let mut longer = path.clone();
                longer.push(edge.holder);
                paths.push_back(longer);
            }
        }
    }
    Vec::new()
}

/// The cycle as it is told everywhere: from the first of its sessions, in the order of `names`.
///
/// A cycle has no beginning, and while it closes nobody knows yet who will be the victim.
#[must_use]
pub fn from_the_first(cycle: &[String], names: &[String]) -> Vec<String> {
    let place = |name: &String| names.iter().position(|other| other == name).unwrap_or(usize::MAX);
    let mut told = cycle.to_vec();
    if let Some(first) = (0..cycle.len()).min_by_key(|&at| cycle.get(at).map_or(usize::MAX, place)) {
        told.rotate_left(first);
    }
    told
}

/// The same in words, back to where it began: `A → B → A`; empty where there is none.
#[must_use]
pub fn told_cycle(cycle: &[String], names: &[String]) -> String {
    let told: Vec<String> = from_the_first(cycle, names).iter().map(|name| one_line(name)).collect();
    told.iter().chain(told.first()).map(String::as_str).collect::<Vec<_>>().join(" → ")
}

#[cfg(test)]
mod tests {
    use super::{Edge, cycle_through, from_the_first, told_cycle};

    #[test]
    fn it_is_told_from_the_first_of_its_sessions() {
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for cycle in ["B D C", "D C B", "C B D"] {
            assert_eq!(from_the_first(&names(cycle), &names("A B C D")), ["B", "D", "C"]);
        }
        assert_eq!(told_cycle(&names("D C B"), &names("A B C D")), "B → D → C → B");
        assert_eq!(told_cycle(&names("y x"), &names("A")), "y → x → y");
        assert_eq!(told_cycle(&[], &names("A")), "");
    }

    fn edges(pairs: &[(i32, i32)]) -> Vec<Edge> {
        pairs.iter().map(|&(waiter, holder)| Edge { waiter, holder }).collect()
    }

    #[test]
    fn a_ring_is_its_own_cycle() {
        let ring = edges(&[(1, 2), (2, 3), (3, 1)]);
        assert_eq!(cycle_through(2, &ring), [2, 3, 1]);
    }

    #[test]
    fn a_chain_has_no_cycle() {
        assert_eq!(cycle_through(1, &edges(&[(1, 2), (2, 3)])), Vec::<i32>::new());
    }

    #[test]
    fn a_waiter_outside_the_cycle_is_not_in_it() {
        let graph = edges(&[(9, 1), (1, 2), (2, 1)]);
        assert_eq!(cycle_through(1, &graph), [1, 2]);
        assert_eq!(cycle_through(9, &graph), Vec::<i32>::new());
    }

    #[test]
    fn the_shortest_cycle_wins_over_one_through_the_queue() {
        let graph = edges(&[(1, 3), (1, 2), (3, 2), (2, 1)]);
        assert_eq!(cycle_through(1, &graph), [1, 2]);
    }
}
