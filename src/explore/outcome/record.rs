//! Rows, as PostgreSQL writes an array of records: `{"(1,\"Ada L.\",100)","(2,,0)"}`.

use std::iter::Peekable;
use std::str::Chars;

/// A row: what its columns hold, as text, or nothing for NULL.
pub(super) type Row = Vec<Option<String>>;

/// Reads the rows of a table that has so many columns.
pub(super) fn rows(array: &str, width: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut chars = array.strip_prefix('{').unwrap_or_default().chars().peekable();
    while chars.peek().is_some_and(|&next| next != '}') {
        rows.push(record(&element(&mut chars), width));
        chars.next_if_eq(&',');
    }
    rows
}

/// An array's next element; a backslash stands before what stands for itself.
fn element(chars: &mut Peekable<Chars<'_>>) -> String {
    let mut text = String::new();
    if chars.next_if_eq(&'"').is_none() {
        while let Some(next) = chars.next_if(|next| !matches!(next, ',' | '}')) {
            text.push(next);
        }
        return text;
    }
    while let Some(next) = chars.next() {
        match next {
            '"' => break,
            '\\' => text.extend(chars.next()),
            _ => text.push(next),
        }
    }
    text
}

/// A record: what is empty is NULL; quotes and backslashes are doubled within quotes.
fn record(text: &str, width: usize) -> Row {
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).unwrap_or_default();
    let mut row = Row::with_capacity(width);
    let mut chars = inner.chars().peekable();
    while row.len() < width {
        row.push(field(&mut chars));
    }
    row
}

fn field(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let (mut text, mut quoted, mut known) = (String::new(), false, false);
    while let Some(next) = chars.next() {
        match next {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => text.push('"'),
            '"' => (quoted, known) = (!quoted, true),
            '\\' => text.extend(chars.next()),
            ',' if !quoted => break,
            _ => text.push(next),
        }
    }
    (known || !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn records_are_read_as_the_server_writes_them() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(rows(r"{(1),(2)}", 1), [[some("1")], [some("2")]]);
        assert_eq!(
            rows(r#"{"(1,\"Ada L.\",,\"\")","(2,b,t,NULL)"}"#, 4),
            [[some("1"), some("Ada L."), None, some("")], [some("2"), some("b"), some("t"), some("NULL")]]
        );
        // SELECT array_agg((x.*)::text) FROM (VALUES (E'a"b\\c,(d)}', ARRAY['e f', NULL])) x;
        let told = r#"{"(\"a\"\"b\\\\c,(d)}\",\"{\"\"e f\"\",NULL}\")"}"#;
        assert_eq!(rows(told, 2), [[some(r#"a"b\c,(d)}"#), some(r#"{"e f",NULL}"#)]]);
        assert_eq!(rows("{()}", 1), [[None]]);
        assert_eq!(rows("{(),()}", 0), [[], []] as [[Option<String>; 0]; 2]);
        assert_eq!(rows("{}", 3), [] as [Vec<Option<String>>; 0]);
    }
}
