//! The same rows, locked in opposite orders; for more than two sessions, a ring.

/// What one session locks: first what it holds, then what it asks for while it holds that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal {
    /// Its first locks. Nobody else wants them yet.
    pub holds: Vec<i64>,
    /// Its next locks. The first of them is held by somebody else by then.
    pub asks: Vec<i64>,
}

/// Deals `rows` out to `sessions`.
///
/// Two sessions: the first locks all rows in the given order, the second in reverse; each holds its half of them before
/// either asks for more. More sessions: session i holds row i and asks for row i + 1, the last for the first.
#[must_use]
pub fn deal(rows: &[i64], sessions: usize) -> Vec<Deal> {
    if sessions == 2 {
        let reverse: Vec<i64> = rows.iter().rev().copied().collect();
        let (first_half, rest) = rows.split_at(rows.len().div_ceil(2));
        let (last_half, reverse_rest) = reverse.split_at(rest.len());
        return vec![
            Deal { holds: first_half.to_vec(), asks: rest.to_vec() },
            Deal { holds: last_half.to_vec(), asks: reverse_rest.to_vec() },
        ];
    }
    let next = rows.iter().cycle().skip(1);
    rows.iter().zip(next).map(|(&own, &next)| Deal { holds: vec![own], asks: vec![next] }).collect()
}

#[cfg(test)]
mod tests {
    use super::{Deal, deal};

    fn dealt(holds: &[i64], asks: &[i64]) -> Deal {
        Deal { holds: holds.to_vec(), asks: asks.to_vec() }
    }

    #[test]
    fn two_sessions_take_the_rows_in_opposite_orders() {
        assert_eq!(deal(&[1, 2], 2), [dealt(&[1], &[2]), dealt(&[2], &[1])]);
        assert_eq!(deal(&[1, 2, 3], 2), [dealt(&[1, 2], &[3]), dealt(&[3], &[2, 1])]);
        assert_eq!(deal(&[4, 3, 2, 1], 2), [dealt(&[4, 3], &[2, 1]), dealt(&[1, 2], &[3, 4])]);
    }

    #[test]
    fn more_sessions_make_a_ring() {
        assert_eq!(deal(&[5, 6, 7], 3), [dealt(&[5], &[6]), dealt(&[6], &[7]), dealt(&[7], &[5])]);
    }
}
