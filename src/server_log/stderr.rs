//! `stderr`: lines with a prefix that the administrator chose, a label in the server's language, and a text.
//!
//! `PREFIX LABEL:  TEXT`. A text of several lines goes on in lines that begin with a tab. A message comes first; its DETAIL,
//! HINT, CONTEXT and STATEMENT follow at once, for the server writes them in one go.

use super::deadlock::{edges, first_number};
use super::entry::Entry;
use super::time;

/// What stands between a label and its text.
const COLON: &str = ":  ";

/// A line with those that it goes on in.
struct Line<'a> {
    prefix: &'a str,
    label: &'a str,
    text: String,
}

pub(super) fn entries(log: &str) -> Vec<Entry> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for line in log.lines() {
        if let Some(more) = line.strip_prefix('\t') {
            if let Some(last) = lines.last_mut() {
                last.text.push('\n');
                last.text.push_str(more);
            }
        } else if let Some(line) = read(line) {
            lines.push(line);
        }
    }
    let mut entries = Vec::new();
    let mut rest = lines.as_slice();
    while let Some((line, after)) = rest.split_first() {
        let (entry, used) = entry(line, after);
        entries.push(entry);
        rest = after.get(used..).unwrap_or_default();
    }
    entries
}

/// Splits a line at its label: the last word before the first colon that two blanks follow.
fn read(line: &str) -> Option<Line<'_>> {
    let (before, text) = line.split_once(COLON)?;
    let at = before.rfind(|other: char| !other.is_alphanumeric()).map_or(0, |at| at + 1);
    let at = (at..=before.len()).find(|&at| before.is_char_boundary(at))?;
    let (prefix, label) = before.split_at(at);
    // PostgreSQL writes labels in capitals, where a script has them.
    let is_label =
        !label.is_empty() && label.chars().all(|character| character.is_alphabetic() && !character.is_lowercase());
    is_label.then(|| Line { prefix, label, text: text.to_owned() })
}

/// The entry that begins with this line, and how many of the following belong to it.
fn entry(line: &Line<'_>, after: &[Line<'_>]) -> (Entry, usize) {
    let mut entry = Entry {
        time: time::find(line.prefix).unwrap_or_default().to_owned(),
        message: line.text.clone(),
        ..Entry::default()
    };
    let Some(detail) = after.first().filter(|next| belongs(line, next) && edges(&next.text).len() > 1) else {
        return (entry, 0);
    };
    entry.detail.clone_from(&detail.text);
    // Its own prefix may tell who wrote it; the DETAIL does in any case: the first process is the one that was aborted.
    entry.pid = first_number(&detail.text);
    let mut used = 1;
    for next in after.iter().skip(1).take(4).take_while(|next| belongs(line, next)) {
        if super::deadlock::names_a_tuple(&next.text) {
            entry.context.clone_from(&next.text);
        } else if !detail.text.contains(next.text.as_str()) && entry.hint.is_empty() {
            entry.hint.clone_from(&next.text);
        }
        used += 1;
    }
    (entry, used)
}

/// Whether a line is of the same entry as the message: written with the same prefix (but for numbers: times, and the count
/// of lines), under another label.
fn belongs(message: &Line<'_>, line: &Line<'_>) -> bool {
    let shape = |prefix: &str| prefix.chars().filter(|character| !character.is_ascii_digit()).collect::<String>();
    message.label != line.label && shape(message.prefix) == shape(line.prefix)
}

#[cfg(test)]
mod tests {
    use super::{entries, read};

    #[test]
    fn the_label_stands_before_the_first_colon_with_two_blanks() {
        let told = |line| read(line).map(|line| (line.prefix, line.label, line.text)).unwrap_or_default();
        assert_eq!(
            told("2026-11-24 10:00:00 UTC [7] ERROR:  a:  b"),
            ("2026-11-24 10:00:00 UTC [7] ", "ERROR", "a:  b".into())
        );
        assert_eq!(told("FEHLER:  Verklemmung"), ("", "FEHLER", "Verklemmung".into()));
        assert_eq!(told("[7]错误:  检测到死锁"), ("[7]", "错误", "检测到死锁".into()));
        assert!(read("no label here: at all").is_none());
        assert!(read("not a label:  this").is_none());
    }

    #[test]
    fn lines_that_begin_with_a_tab_belong_to_the_one_before() {
        let log = "\tlost\nLOG:  one\n\ttwo\n\t\tthree\nLOG:  four";
        let messages: Vec<String> = entries(log).into_iter().map(|entry| entry.message).collect();
        assert_eq!(messages, ["one\ntwo\n\tthree", "four"]);
    }
}
