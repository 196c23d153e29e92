//! The catalogue as a Markdown table: what the documentation has of it.

use std::fmt::Write;

use super::{Expectation, Scenario};

/// All of these scenarios, a row each.
#[must_use]
pub fn table(scenarios: &[Scenario]) -> String {
    let mut text =
        "| scenario | what happens | outcome | with the fix | seen in |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for scenario in scenarios {
        let of = |fixed: bool| {
            let those = scenario.expectations.iter().filter(|expectation| expectation.fixed == fixed);
            those.map(outcome).collect::<Vec<_>>().join("<br>")
        };
        let seen: Vec<String> = scenario.seen_in.iter().map(|issue| link(issue)).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            scenario.name,
            scenario.title.replace('|', "\\|"),
            of(false),
            of(true),
            seen.join(", ")
        );
    }
    text
}

/// The outcome under READ COMMITTED, then those of other levels where they differ: RR, S.
fn outcome(expectation: &Expectation) -> String {
    let [read_committed, repeatable_read, serializable] = &expectation.effects;
    let mut text = read_committed.to_string();
    match (repeatable_read == read_committed, serializable == read_committed) {
        (true, true) => {}
        (false, false) if repeatable_read == serializable => {
            let _ = write!(text, " (RR, S: {serializable})");
        }
        (false, true) => {
            let _ = write!(text, " (RR: {repeatable_read})");
        }
        (true, false) => {
            let _ = write!(text, " (S: {serializable})");
        }
        (false, false) => {
            let _ = write!(text, " (RR: {repeatable_read}; S: {serializable})");
        }
    }
    text
}

/// `owner/repo #1` as a link to the issue.
fn link(issue: &str) -> String {
    issue.split_once(" #").map_or_else(
        || issue.to_owned(),
        |(repository, number)| format!("[{repository} #{number}](https://github.com/{repository}/issues/{number})"),
    )
}
