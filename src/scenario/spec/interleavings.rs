//! Every order in which the sessions' steps can be interleaved, each session's own steps in their order.

use super::{Permutation, PermutationStep, Session};

/// All interleavings, those that begin with the first session first. There are (n₁ + n₂ + …)! / (n₁! n₂! …) of them, so
/// they are made one by one.
pub fn interleavings(sessions: &[Session]) -> impl Iterator<Item = Permutation> + '_ {
    let mut choice = Some(first(sessions, vec![0; sessions.len()], Vec::new()));
    std::iter::from_fn(move || {
        let current = choice.take()?;
        choice = next(sessions, &current);
        Some(spelled(sessions, &current))
    })
}

/// The first way to go on from `order`, after which `taken` steps of each session are taken.
fn first(sessions: &[Session], mut taken: Vec<usize>, mut order: Vec<usize>) -> Vec<usize> {
    for (index, session) in sessions.iter().enumerate() {
        while taken.get(index).is_some_and(|&taken| taken < session.steps.len()) {
            order.push(index);
            taken[index] += 1;
        }
    }
    order
}

/// The order after `current`, in lexical order of the sessions' places.
fn next(sessions: &[Session], current: &[usize]) -> Option<Vec<usize>> {
    let mut order = current.to_vec();
    let mut left = vec![0; sessions.len()];
    while let Some(last) = order.pop() {
        left[last] += 1;
        let Some(other) = (last + 1..sessions.len()).find(|&other| left[other] > 0) else { continue };
        order.push(other);
        let mut taken = vec![0; sessions.len()];
        for &session in &order {
            taken[session] += 1;
        }
        return Some(first(sessions, taken, order));
    }
    None
}

fn spelled(sessions: &[Session], order: &[usize]) -> Permutation {
    let mut taken = vec![0; sessions.len()];
    let steps = order.iter().filter_map(|&index| {
        let step = sessions.get(index)?.steps.get(taken[index])?;
        taken[index] += 1;
        Some(PermutationStep { name: step.name.clone(), blockers: Vec::new() })
    });
    Permutation { steps: steps.collect() }
}

#[cfg(test)]
mod tests {
    use super::super::{Session, Step};
    use super::interleavings;

    fn sessions(counts: &[usize]) -> Vec<Session> {
        let step = |session: usize, number: usize| Step { name: format!("{session}{number}"), sql: String::new() };
        let session = |(index, &count)| Session {
            steps: (0..count).map(|number| step(index, number)).collect(),
            ..Session::default()
        };
        counts.iter().enumerate().map(session).collect()
    }

    fn orders(counts: &[usize]) -> Vec<String> {
        let name =
            |order: super::Permutation| order.steps.iter().map(|step| step.name.as_str()).collect::<Vec<_>>().join(" ");
        interleavings(&sessions(counts)).map(name).collect()
    }

    #[test]
    fn are_in_lexical_order() {
        assert_eq!(orders(&[1, 1]), ["00 10", "10 00"]);
        assert_eq!(
            orders(&[2, 2]),
            ["00 01 10 11", "00 10 01 11", "00 10 11 01", "10 00 01 11", "10 00 11 01", "10 11 00 01"]
        );
    }

    #[test]
    fn are_as_many_as_the_multinomial_coefficient() {
        assert_eq!(orders(&[3, 3]).len(), 20);
        assert_eq!(orders(&[2, 2, 2]).len(), 90);
        assert_eq!(orders(&[0, 2]).len(), 1);
    }
}
