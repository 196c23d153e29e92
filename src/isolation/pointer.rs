//! Where in a statement an error is: the line, and a pointer below it, as libpq shows it.

/// How wide the line may be shown; a longer one is cut, …
const WIDTH: usize = 60;
/// … but at least this much is left to the right of the place, if there is as much.
const RIGHT: usize = 10;

/// `LINE 1: SELECT nothing` and below it a `^`; `at` is in characters, from 1. Empty if there is no such place.
pub(super) fn pointer(sql: &str, at: u32) -> String {
    let characters: Vec<char> = sql.chars().map(|one| if one == '\t' { ' ' } else { one }).collect();
    let Some(place) = usize::try_from(at).ok().and_then(|at| at.checked_sub(1)) else { return String::new() };
    if place > characters.len() {
        return String::new();
    }
    let is_end = |one: &char| matches!(one, '\n' | '\r');
    let before = &characters[..place];
    let begin = before.iter().rposition(is_end).map_or(0, |last| last + 1);
    let end = characters[place..].iter().position(is_end).map_or(characters.len(), |length| place + length);
    // A line feed after a carriage return ends no other line.
    let starts_line =
        |(index, one): &(usize, &char)| is_end(one) && (**one == '\r' || *index == 0 || before[index - 1] != '\r');
    let line = 1 + before.iter().enumerate().filter(starts_line).count();
    let (from, to) = cut(begin, place, end);
    let head = format!("LINE {line}: {}", if from > begin { "..." } else { "" });
    let shown: String = characters[from..to].iter().collect();
    let tail = if to < end { "..." } else { "" };
    format!("{head}{shown}{tail}\n{}^\n", " ".repeat(head.len() + place - from))
}

/// The part of a line from `begin` to `end` that is shown: the right is cut first, then the left.
fn cut(begin: usize, place: usize, end: usize) -> (usize, usize) {
    if end - begin <= WIDTH {
        return (begin, end);
    }
    if begin + WIDTH >= place + RIGHT {
        return (begin, begin + WIDTH);
    }
    let end = end.min(place + RIGHT);
    (begin.max(end.saturating_sub(WIDTH)), end)
}

#[cfg(test)]
mod tests {
    use super::pointer;

    #[test]
    fn the_line_is_counted_and_pointed_at() {
        assert_eq!(pointer("SELEC 1", 1), "LINE 1: SELEC 1\n        ^\n");
        assert_eq!(pointer("SELECT 1,\r\n\tno\nFROM a", 13), "LINE 2:  no\n         ^\n");
        assert_eq!(pointer("a", 0), "");
        assert_eq!(pointer("a", 3), "");
        assert_eq!(pointer("", 1), "LINE 1: \n        ^\n");
    }

    #[test]
    fn a_long_line_is_cut_where_it_is_far_from_the_place() {
        let long = "x".repeat(200);
        assert_eq!(pointer(&long, 3), format!("LINE 1: {}...\n          ^\n", "x".repeat(60)));
        let middle = pointer(&long, 101);
        assert_eq!(middle, format!("LINE 1: ...{}...\n{}^\n", "x".repeat(60), " ".repeat(11 + 50)));
        assert_eq!(pointer(&long, 200), format!("LINE 1: ...{}\n{}^\n", "x".repeat(60), " ".repeat(11 + 59)));
    }
}
