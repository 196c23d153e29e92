//! `jsonlog`: an object a line (PostgreSQL manual, "Using JSON-Format Log Output").

use std::io::{self, BufRead};

use serde_json::{Map, Value};

use super::entry::Entry;
use super::format::line_starts;
use super::line;

/// Where the first entry begins, if a log is one: at its first line, or at the second if the first has lost its head.
pub(super) fn start(beginning: &[u8]) -> Option<usize> {
    let is_object = |at: &usize| {
        let line = beginning.get(*at..).unwrap_or_default().split(|byte| *byte == b'\n').next().unwrap_or_default();
        // The first may be longer than the beginning.
        let is_cut = *at == 0 && !beginning.contains(&b'\n');
        line.trim_ascii_start().first() == Some(&b'{') && (is_cut || serde_json::from_slice::<Map<_, _>>(line).is_ok())
    };
    line_starts(beginning).take(2).find(is_object)
}

/// Calls `each` with every entry.
pub(super) fn each_entry(mut log: impl BufRead, each: &mut impl FnMut(Entry)) -> io::Result<()> {
    let mut line = Vec::new();
    while line::next(&mut log, &mut line)? {
        if let Ok(object) = serde_json::from_str(&String::from_utf8_lossy(&line)) {
            each(entry(&object));
        }
    }
    Ok(())
}

fn entry(object: &Map<String, Value>) -> Entry {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Entry {
        time: text("timestamp"),
        pid: object.get("pid").and_then(Value::as_i64).and_then(|pid| pid.try_into().ok()),
        database: text("dbname"),
        role: text("user"),
        message: text("message"),
        detail: text("detail"),
        hint: text("hint"),
        context: text("context"),
    }
}
