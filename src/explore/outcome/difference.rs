//! What an outcome has that the nearest serial one has not, in a sentence.

use super::colour::{Coloured, Shade};
use super::domain::Table;

/// So many characters of a value are shown.
const SHOWN: usize = 40;

/// An outcome to be told of: its rows, and what each session raised.
pub(super) struct Told<'a> {
    pub(super) rows: Vec<Coloured<'a>>,
    pub(super) raised: &'a [Option<String>],
}

/// What is said of one difference; what is plainer comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Value,
    Row,
    Raised,
    Key,
}

/// Says how an outcome differs from the nearest of those that serial orders leave.
pub(super) fn sentence(tables: &[Table], sessions: &[String], left: &Told<'_>, serial: &[Told<'_>]) -> String {
    let nearest = serial.iter().map(|other| differences(tables, sessions, left, other)).min_by_key(Vec::len);
    let mut found = nearest.unwrap_or_default();
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    match &found[..] {
        [] => "the rows refer to others than they do one after the other".to_owned(),
        [(_, only)] => only.clone(),
        [(_, first), more @ ..] => format!("{first} (and {} more)", more.len()),
    }
}

fn differences(tables: &[Table], sessions: &[String], left: &Told<'_>, serial: &Told<'_>) -> Vec<(Rank, String)> {
    let mut found = Vec::new();
    let (mine, mut theirs) = apart(&left.rows, &serial.rows);
    for row in mine {
        let table = &tables[row.table];
        let Some(same) = counterpart(table, row, &theirs) else {
            found.push((Rank::Row, counted(table, row, count(&left.rows, row), count(&serial.rows, row))));
            continue;
        };
        let other = theirs.swap_remove(same);
        for (at, (column, _)) in table.columns.iter().enumerate() {
            let (is, was) = (value(row.row[at].as_deref()), value(other.row[at].as_deref()));
            let key: Vec<String> = table.key.iter().map(|&at| value(row.row[at].as_deref())).collect();
            let place = match &key[..] {
                [] => format!("{}, a row: {column}", name(table)),
                key => format!("{} {}: {column}", name(table), key.join(", ")),
            };
            match (row.shades[at], other.shades[at]) {
                (one, other) if one == other => {}
                (Shade::Key(_), Shade::Key(_)) if table.key.contains(&at) => {}
                (Shade::Key(_), Shade::Key(_)) => {
                    found.push((Rank::Key, format!("{place} ({is}) goes with other rows than one after the other")));
                }
                _ => found.push((Rank::Value, format!("{place} is {is}; one after the other leaves {was}"))),
            }
        }
    }
    for row in theirs {
        let table = &tables[row.table];
        found.push((Rank::Row, counted(table, row, count(&left.rows, row), count(&serial.rows, row))));
    }
    for ((session, is), was) in sessions.iter().zip(left.raised).zip(serial.raised) {
        if is != was {
            let [is, was] = [is, was].map(|raised| raised.as_deref().unwrap_or("nothing"));
            found.push((Rank::Raised, format!("{session} raises {is}; one after the other it raises {was}")));
        }
    }
    // Of several that are alike, each has said the same.
    found.dedup();
    // A row that is another one takes those with it that refer to it.
    if found.iter().any(|(rank, _)| *rank != Rank::Key) {
        found.retain(|(rank, _)| *rank != Rank::Key);
    }
    found
}

/// How many rows are like this one.
fn count(rows: &[Coloured<'_>], row: &Coloured<'_>) -> usize {
    rows.iter().filter(|other| other.colour == row.colour).count()
}

/// That another number of rows like this one is left.
fn counted(table: &Table, row: &Coloured<'_>, left: usize, serial: usize) -> String {
    let (table, row) = (name(table), spelt(table, row));
    match (left, serial) {
        (1, 0) => format!("{table}: a row {row} is left; one after the other leaves none like it"),
        (0, 1) => format!("{table}: no row {row} is left; one after the other leaves one"),
        (0, _) => format!("{table}: no row {row} is left; one after the other leaves {serial}"),
        (1, _) => format!("{table}: 1 row {row} is left; one after the other leaves {serial}"),
        _ => format!("{table}: {left} rows {row} are left; one after the other leaves {serial}"),
    }
}

/// The place of the row that this one is to be compared with: that of the same key or, where a sequence gives that or
/// chance, the one that has most in common.
fn counterpart(table: &Table, row: &Coloured<'_>, others: &[&Coloured<'_>]) -> Option<usize> {
    let own = |other: &&Coloured<'_>| other.table == row.table;
    if table.key.iter().all(|&at| matches!(row.shades[at], Shade::Is(_))) && !table.key.is_empty() {
        return others
            .iter()
            .position(|other| own(other) && table.key.iter().all(|&at| other.shades[at] == row.shades[at]));
    }
    let common = |other: &Coloured<'_>| {
        let same = |at: &usize| !table.key.contains(at) && other.shades[*at] == row.shades[*at];
        (0..table.columns.len()).filter(same).count()
    };
    let near = others.iter().enumerate().filter(|(_, other)| own(other) && common(other) > 0);
    near.max_by_key(|(place, other)| (common(other), std::cmp::Reverse(*place))).map(|(place, _)| place)
}

/// The rows of each that the other has not.
fn apart<'a, 'b>(
    left: &'a [Coloured<'b>],
    serial: &'a [Coloured<'b>],
) -> (Vec<&'a Coloured<'b>>, Vec<&'a Coloured<'b>>) {
    let mut theirs: Vec<&Coloured<'_>> = serial.iter().collect();
    let mut mine = Vec::new();
    for row in left {
        match theirs.iter().position(|other| other.colour == row.colour) {
            Some(same) => {
                theirs.remove(same);
            }
            None => mine.push(row),
        }
    }
    (mine, theirs)
}

fn name(table: &Table) -> &str {
    table.name.strip_prefix("public.").unwrap_or(&table.name)
}

/// What of a row is not by chance.
fn spelt(table: &Table, row: &Coloured<'_>) -> String {
    let told = |(((column, _), shade), held): ((&(String, bool), &Shade<'_>), &Option<String>)| {
        matches!(shade, Shade::Is(_) | Shade::Null).then(|| format!("{column} = {}", value(held.as_deref())))
    };
    let parts: Vec<String> = table.columns.iter().zip(&row.shades).zip(row.row).filter_map(told).collect();
    format!("({})", parts.join(", "))
}

fn value(held: Option<&str>) -> String {
    let Some(held) = held else { return "NULL".to_owned() };
    let plain = |letter: char| letter.is_alphanumeric() || "_-+.:".contains(letter);
    if !held.is_empty() && held.chars().count() <= SHOWN && held.chars().all(plain) {
        return held.to_owned();
    }
    let shown: String = held.chars().take(SHOWN).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    format!("'{shown}{}'", if held.chars().count() > SHOWN { "…" } else { "" })
}
