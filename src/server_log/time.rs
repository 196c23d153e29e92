//! Moments in a log: `2026-11-24 23:55:46.123 UTC`.

/// As long as a date and a time to the second are.
const LENGTH: usize = "2026-11-24 23:55:46".len();

/// The first moment in a text.
pub(super) fn find(text: &str) -> Option<&str> {
    let at = (0..text.len()).find(|&at| text.as_bytes().get(at..).is_some_and(is_moment))?;
    let end = text[at + LENGTH..].find(|other: char| !(other.is_ascii_digit() || other == '.'));
    text.get(at..end.map_or(text.len(), |end| at + LENGTH + end))
}

/// Whether a text begins with a moment.
pub(super) fn is_moment(text: &[u8]) -> bool {
    let fits = |(wanted, byte): (u8, &u8)| if wanted == b'0' { byte.is_ascii_digit() } else { wanted == *byte };
    text.len() >= LENGTH && b"0000-00-00 00:00:00".iter().copied().zip(text).all(fits)
}

/// A moment as seconds, to be compared with others of the same log; whatever time zone they are in, it is the same.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let moment = find(text)?;
    let number = |from: usize, to: usize| moment.get(from..to)?.parse::<i32>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let second: f64 = moment.get(17..)?.trim_end_matches('.').parse().ok()?;
    let minutes = (days(year, month, day) * 24 + number(11, 13)?) * 60 + number(14, 16)?;
    Some(f64::from(minutes).mul_add(60.0, second))
}

/// Days since 2000-03-01, in the Gregorian calendar.
fn days(year: i32, month: i32, day: i32) -> i32 {
    let (year, month) = if month > 2 { (year - 2000, month - 3) } else { (year - 2001, month + 9) };
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day - 1
}

#[cfg(test)]
mod tests {
    use super::{days, find, seconds};

    #[test]
    fn moments_are_found_in_any_prefix() {
        assert_eq!(find("<2026-11-24 23:55:46.123 UTC [7]>"), Some("2026-11-24 23:55:46.123"));
        assert_eq!(find("ü 2026-11-24 23:55:46"), Some("2026-11-24 23:55:46"));
        assert_eq!(find("[7] 23:55:46"), None);
    }

    #[test]
    fn a_new_year_is_a_second_later() {
        assert_eq!(days(2000, 3, 1), 0);
        assert_eq!(days(2024, 3, 1) - days(2024, 2, 28), 2);
        let (old, new) = (seconds("2026-12-31 23:59:59.500"), seconds("2027-01-01 00:00:00.500"));
        assert_eq!(new.zip(old).map(|(new, old)| new - old), Some(1.0));
    }
}
