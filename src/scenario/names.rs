//! What sessions are called.

/// The name of the session at `index`: `A` … `Z`, then `AA`, `AB`, … as in a spreadsheet.
#[must_use]
pub fn name_of(index: usize) -> String {
    let letter = char::from(b'A' + u8::try_from(index % 26).unwrap_or_default());
    match index / 26 {
        0 => letter.to_string(),
        more => name_of(more - 1) + &letter.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn go_on_after_z() {
        let names: Vec<String> = [0, 1, 25, 26, 27, 51, 52, 701, 702].into_iter().map(name_of).collect();
        assert_eq!(names, ["A", "B", "Z", "AA", "AB", "AZ", "BA", "ZZ", "AAA"]);
    }
}
