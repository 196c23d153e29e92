//! `stderr`: lines with a prefix that the administrator chose, a label in the server's language, and a text.
//!
//! `PREFIX LABEL:  TEXT`. A text of several lines goes on in lines that begin with a tab. A message comes first; its DETAIL,
//! HINT, CONTEXT and STATEMENT follow at once, for the server writes them in one go.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::deadlock::{edges, first_number};
use super::entry::Entry;
use super::{line, time};

/// What stands between a label and its text.
const COLON: &str = ":  ";

/// An entry has this many lines at most, those of its texts not counted: a message, its DETAIL, and four more.
const MOST: usize = 6;

/// A line with those that it goes on in.
#[derive(Debug)]
struct Line {
    prefix: String,
    label: String,
    text: String,
}

/// Calls `each` with every entry.
pub(super) fn each_entry(mut log: impl BufRead, each: &mut impl FnMut(Entry)) -> io::Result<()> {
    let mut lines: VecDeque<Line> = VecDeque::new();
    let mut bytes = Vec::new();
    while line::next(&mut log, &mut bytes)? {
        let text = String::from_utf8_lossy(&bytes);
        if let Some(more) = text.strip_prefix('\t') {
            if let Some(last) = lines.back_mut() {
                last.text.push('\n');
                last.text.push_str(more);
            }
        } else if let Some(line) = read(&text) {
            lines.push_back(line);
        }
        // The last may go on in the next line.
        if lines.len() > MOST {
            take(&mut lines, each);
        }
    }
    while !lines.is_empty() {
        take(&mut lines, each);
    }
    Ok(())
}

/// Takes the first entry out of the lines.
fn take(lines: &mut VecDeque<Line>, each: &mut impl FnMut(Entry)) {
    if let Some((line, after)) = lines.make_contiguous().split_first() {
        let (entry, used) = entry(line, after);
        each(entry);
        lines.drain(..=used);
    }
}

/// Splits a line at its label: the last word before the first colon that two blanks follow.
fn read(line: &str) -> Option<Line> {
    let (before, text) = line.split_once(COLON)?;
    // French sets a blank before its colons.
    let before = before.trim_end();
    let at = before.char_indices().rev().find(|(_, other)| !other.is_alphanumeric());
    let (prefix, label) = before.split_at(at.map_or(0, |(at, other)| at + other.len_utf8()));
    // PostgreSQL writes labels in capitals, where a script has them: Georgian has, and does not use them.
    let is_of_labels = |letter: char| letter.is_alphabetic() && (!letter.is_lowercase() || is_georgian(letter));
    let is_label = !label.is_empty() && label.chars().all(is_of_labels);
    is_label.then(|| Line { prefix: prefix.to_owned(), label: label.to_owned(), text: text.to_owned() })
}

fn is_georgian(letter: char) -> bool {
    ('\u{10a0}'..='\u{10ff}').contains(&letter)
}

/// The entry that begins with this line, and how many of the following belong to it.
fn entry(line: &Line, after: &[Line]) -> (Entry, usize) {
    let mut entry = Entry {
        time: time::find(&line.prefix).unwrap_or_default().to_owned(),
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
fn belongs(message: &Line, line: &Line) -> bool {
    let shape = |prefix: &str| prefix.chars().filter(|character| !character.is_ascii_digit()).collect::<String>();
    message.label != line.label && shape(&message.prefix) == shape(&line.prefix)
}

#[cfg(test)]
mod tests {
    use super::{each_entry, read};

    #[test]
    fn the_label_stands_before_the_first_colon_with_two_blanks() {
        let told = |line| read(line).map(|line| [line.prefix, line.label, line.text]).unwrap_or_default();
        assert_eq!(
            told("2026-11-24 10:00:00 UTC [7] ERROR:  a:  b"),
            ["2026-11-24 10:00:00 UTC [7] ", "ERROR", "a:  b"]
        );
        assert_eq!(told("FEHLER:  Verklemmung"), ["", "FEHLER", "Verklemmung"]);
        assert_eq!(told("[7]错误:  检测到死锁"), ["[7]", "错误", "检测到死锁"]);
        assert_eq!(told("[7] CONTEXTE :  pendant"), ["[7] ", "CONTEXTE", "pendant"]);
        assert_eq!(told("[7] შეცდომა:  აღმოჩენილია"), ["[7] ", "შეცდომა", "აღმოჩენილია"]);
        assert!(read("no label here: at all").is_none());
        assert!(read("not a label:  this").is_none());
    }

    #[test]
    fn lines_that_begin_with_a_tab_belong_to_the_one_before() {
        let log = "\tlost\nLOG:  one\n\ttwo\n\t\tthree\nLOG:  four";
        let mut messages = Vec::new();
        each_entry(log.as_bytes(), &mut |entry| messages.push(entry.message)).unwrap();
        assert_eq!(messages, ["one\ntwo\n\tthree", "four"]);
    }
}
