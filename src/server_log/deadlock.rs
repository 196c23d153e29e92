//! A deadlock in a log: its cycle, and the statement of each process.

use super::entry::Entry;
use super::time;

/// One process waits for another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoggedWait {
    pub(super) waiter: i32,
    pub(super) holder: i32,
    /// The lock, in the server's words.
    pub(super) lock: String,
}

/// A deadlock.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Deadlock<'a> {
    pub(super) entry: &'a Entry,
    /// The cycle; the first waiter is the process that was aborted.
    pub(super) waits: Vec<LoggedWait>,
    /// The statement of each process, as far as the log has it.
    pub(super) statements: Vec<(i32, String)>,
    /// The DETAIL without the statements, as the client got it.
    pub(super) detail: String,
}

impl<'a> Deadlock<'a> {
    /// The deadlock that an entry tells of, if it does: its DETAIL is a line a wait, and the last waits for the first.
    pub(super) fn of(entry: &'a Entry) -> Option<Self> {
        let waits = edges(&entry.detail);
        let (first, last) = waits.first().zip(waits.last())?;
        if waits.len() < 2 || last.holder != first.waiter {
            return None;
        }
        let lines: Vec<&str> = entry.detail.lines().collect();
        let (detail, rest) = lines.split_at_checked(waits.len())?;
        let statements = statements(rest, &waits);
        Some(Self { entry, statements, detail: detail.join("\n"), waits })
    }
}

/// The lines at the beginning of a text that are waits: a process, a lock whose mode is a word in `…Lock` (which no
/// language translates), and the process that is in the way.
pub(super) fn edges(detail: &str) -> Vec<LoggedWait> {
    detail.lines().map_while(edge).collect()
}

fn edge(line: &str) -> Option<LoggedWait> {
    let mode = line.find("Lock")?;
    let start = line.get(..mode)?.rfind(|other: char| !other.is_ascii_alphabetic()).map_or(0, |at| at + 1);
    let start = (start..=mode).find(|&at| line.is_char_boundary(at))?;
    let (before, lock) = line.split_at(start);
    // PostgreSQL's sentences part the two processes by a semicolon, or a comma of theirs; the lock is what comes before it.
    let (lock, after) = lock.rsplit_once([';', '；', '、', '，'])?;
    Some(LoggedWait { waiter: first_number(before)?, holder: first_number(after)?, lock: lock.trim().to_owned() })
}

/// The statements of a DETAIL: `Process 4711: SELECT …`, which may have lines of its own.
fn statements(lines: &[&str], waits: &[LoggedWait]) -> Vec<(i32, String)> {
    let mut found: Vec<(i32, String)> = Vec::new();
    for line in lines {
        let begins = statement(line).filter(|(pid, _)| {
            waits.iter().any(|wait| wait.waiter == *pid) && found.iter().all(|(known, _)| known != pid)
        });
        match (begins, found.last_mut()) {
            (Some((pid, sql)), _) => found.push((pid, sql.to_owned())),
            (None, Some((_, sql))) => {
                sql.push('\n');
                sql.push_str(line);
            }
            (None, None) => {}
        }
    }
    found
}

/// A process's number and what comes behind the colon.
fn statement(line: &str) -> Option<(i32, &str)> {
    let colon = line.find([':', '：'])?;
    let (before, after) = line.split_at(colon);
    let words = before.trim_end().trim_end_matches('\u{a0}');
    let is_process = words.ends_with(|last: char| last.is_ascii_digit()) && words.chars().count() < 30;
    let sql = after.trim_start_matches([':', '：']);
    is_process.then(|| Some((first_number(words)?, sql.strip_prefix(' ').unwrap_or(sql)))).flatten()
}

/// The first number in a text.
pub(super) fn first_number(text: &str) -> Option<i32> {
    text.split(|other: char| !other.is_ascii_digit()).find(|digits| !digits.is_empty())?.parse().ok()
}

/// Whether a text names a row by its place, as the CONTEXT of a deadlock does: `tuple (0,2) in relation "account"`.
pub(super) fn names_a_tuple(text: &str) -> bool {
    text.split('(').skip(1).filter_map(|rest| rest.split_once(')')).any(|(inside, _)| {
        inside.split_once(',').is_some_and(|(page, tuple)| [page, tuple].iter().all(|part| part.parse::<u32>().is_ok()))
    })
}

/// What `log_lock_waits` says of a process: that it waits for a lock, or waited, for so long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pause {
    pub(super) pid: i32,
    /// When the wait began, and when this was said.
    pub(super) began: f64,
    pub(super) at: f64,
}

impl Pause {
    /// `process 4711 still waiting for ShareLock on transaction 757 after 1000.067 ms`, in any language.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let message = &entry.message;
        if !message.contains("Lock") || message.lines().count() > 1 {
            return None;
        }
        let numbers = message.split(|other: char| !is_of_decimals(other)).rev();
        // A tuple's place, (0,123), could be taken for a German number: that is the second choice.
        let milliseconds = [
            numbers.clone().find_map(|digits| decimal(digits, '.')),
            numbers.clone().find_map(|digits| decimal(digits, ',')),
        ];
        let milliseconds = milliseconds.into_iter().flatten().next()?;
        let at = time::seconds(&entry.time)?;
        Some(Self { pid: first_number(message)?, began: at - milliseconds / 1000.0, at })
    }
}

fn is_of_decimals(character: char) -> bool {
    character.is_ascii_digit() || matches!(character, '.' | ',')
}

/// A number with three decimals, as milliseconds are written: German has a comma before them.
fn decimal(digits: &str, point: char) -> Option<f64> {
    let (whole, decimals) = digits.trim_end_matches(['.', ',']).split_once(point)?;
    if decimals.len() == 3 { format!("{whole}.{decimals}").parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::{Deadlock, Entry, Pause, decimal, edges, names_a_tuple};

    #[test]
    fn milliseconds_have_three_decimals() {
        let points = ["1000.250", "12", "0.2", "1000.250.", "0,017"].map(|digits| decimal(digits, '.'));
        assert_eq!(points, [Some(1000.25), None, None, Some(1000.25), None]);
        assert_eq!(decimal("0,017", ','), Some(0.017));
    }

    fn entry(detail: &str) -> Entry {
        Entry { detail: detail.to_owned(), ..Entry::default() }
    }

    #[test]
    fn statements_keep_their_lines_and_what_looks_like_a_process() {
        let entry = entry(
            "Process 11 waits for ShareLock on transaction 745; blocked by process 12.\n\
             Process 12 waits for ShareLock on transaction 744; blocked by process 11.\n\
             Process 11: UPDATE a\n  SET b = 1 -- Process 13: no\nProcess 99: neither\n\
             Process 12: SELECT 'Process 11: x'",
        );
        let deadlock = Deadlock::of(&entry).unwrap_or_else(|| unreachable!());
        assert_eq!(
            deadlock.statements,
            [
                (11, "UPDATE a\n  SET b = 1 -- Process 13: no\nProcess 99: neither".to_owned()),
                (12, "SELECT 'Process 11: x'".to_owned())
            ]
        );
        assert_eq!(deadlock.waits[0].lock, "ShareLock on transaction 745");
        assert!(deadlock.detail.ends_with("process 11."));
    }

    #[test]
    fn any_language_will_do() {
        for detail in [
            "Prozess 11 wartet auf ShareLock-Sperre auf Transaktion 745; blockiert von Prozess 12.\n\
             Prozess 12 wartet auf ShareLock-Sperre auf Transaktion 744; blockiert von Prozess 11.\nProzess 11: a\nProzess 12: b",
            "Le processus 11 attend ShareLock sur transaction 745 ; bloqué par le processus 12.\n\
             Le processus 12 attend ShareLock sur transaction 744 ; bloqué par le processus 11.\n\
             Processus 11 : a\nProcessus 12 : b",
            "プロセス 11 は ShareLock を トランザクション 745 で待機していましたが、プロセス 12 でブロックされました\n\
             プロセス 12 は ShareLock を トランザクション 744 で待機していましたが、プロセス 11 でブロックされました\n\
             プロセス 11: a\nプロセス 12: b",
            "进程11等待在事务 745上的ShareLock; 由进程12阻塞.\n进程12等待在事务 744上的ShareLock; 由进程11阻塞.\n进程 11: a\n进程 12: b",
        ] {
            let entry = entry(detail);
            let deadlock = Deadlock::of(&entry).unwrap_or_else(|| unreachable!("{detail}"));
            let pids: Vec<(i32, i32)> = deadlock.waits.iter().map(|wait| (wait.waiter, wait.holder)).collect();
            assert_eq!(pids, [(11, 12), (12, 11)], "{detail}");
            assert_eq!(deadlock.statements, [(11, "a".to_owned()), (12, "b".to_owned())]);
        }
    }

    #[test]
    fn what_is_no_cycle_is_no_deadlock() {
        let chain = "Process 11 waits for ShareLock on transaction 745; blocked by process 12.\n\
                     Process 12 waits for ShareLock on transaction 744; blocked by process 13.";
        assert!(Deadlock::of(&entry(chain)).is_none());
        assert!(Deadlock::of(&entry("Process holding the lock: 12. Wait queue: 11.")).is_none());
        assert!(edges("").is_empty());
    }

    #[test]
    fn a_tuple_is_two_numbers_in_parentheses() {
        assert!(names_a_tuple("while locking tuple (0,2) in relation \"account\""));
        assert!(!names_a_tuple("SELECT f(a,b), (1, 2)"));
    }

    #[test]
    fn log_lock_waits_tells_since_when() {
        let entry = Entry {
            time: "2026-11-24 23:55:47.500 UTC".to_owned(),
            message: "process 11 still waiting for ShareLock on transaction 745 after 1000.250 ms".to_owned(),
            ..Entry::default()
        };
        let pause = Pause::of(&entry).unwrap_or_else(|| unreachable!());
        assert_eq!(pause.pid, 11);
        assert!((pause.at - pause.began - 1.00025).abs() < 1e-6);
    }
}
