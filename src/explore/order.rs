//! Schedules as text: the sessions' names in the order in which their steps are released, `A B A B`.

use crate::scenario::names::name_of;

/// The text of an order.
#[must_use]
pub fn spell(order: &[usize]) -> String {
    order.iter().map(|&session| name_of(session)).collect::<Vec<_>>().join(" ")
}

/// The order that a text means, of so many sessions; the first word that names none of them if it means none.
pub fn read(text: &str, sessions: usize) -> Result<Vec<usize>, String> {
    let session = |word: &str| (0..sessions).find(|&session| name_of(session) == word).ok_or_else(|| word.to_owned());
    text.split_whitespace().map(session).collect()
}

#[cfg(test)]
mod tests {
    use super::{read, spell};

    #[test]
    fn are_read_as_they_are_written() {
        assert_eq!(spell(&[0, 1, 0, 1]), "A B A B");
        assert_eq!(read(" A B\nA B", 2), Ok(vec![0, 1, 0, 1]));
        assert_eq!(read("", 2), Ok(vec![]));
        assert_eq!(read("A C", 2), Err("C".to_owned()));
        assert_eq!(read("AB", 2), Err("AB".to_owned()));
    }
}
