//! `jsonlog`: an object a line (PostgreSQL manual, "Using JSON-Format Log Output").

use serde_json::{Map, Value};

use super::entry::Entry;

pub(super) fn entries(log: &str) -> Vec<Entry> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).map(|object| entry(&object)).collect()
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
