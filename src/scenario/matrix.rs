//! What would change under another isolation level, or if locks were asked for in another way: scenarios as a table.

use std::fmt::Write;

use serde::Serialize;

use super::effect::Effect;
use crate::report::markdown::{code, escaped};
use crate::report::{Server, broken, one_line, wrapped};

/// The table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matrix {
    /// The columns: no change, then each what-if by its name.
    pub columns: Vec<&'static str>,
    /// The rows: each permutation that shows a problem, under each isolation level.
    pub rows: Vec<Row>,
    /// What to know about how it was made, a sentence each.
    pub notes: Vec<String>,
    /// The server.
    pub server: Server,
}

/// What stands before each column of the text.
const GAP: &str = "  ";
/// No column is broken into a narrower one.
const NARROWEST: usize = 12;
/// The name of the column without any change.
pub const AS_IT_IS: &str = "as it is";

/// One permutation under one isolation level.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The scenario's name.
    pub scenario: String,
    /// The permutation's number in the scenario's file, from 1.
    pub permutation: usize,
    /// Its steps.
    pub order: String,
    /// The isolation level.
    pub isolation: &'static str,
    /// A cell for each column.
    pub cells: Vec<Cell>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// In a word or two; `None` if it was not run, or did not come to its end.
    pub effect: Option<Effect>,
    /// Seconds from the first step to the last; `None` if it was not run.
    pub elapsed: Option<f64>,
    /// Why there is no effect.
    pub why: Option<String>,
}

impl Cell {
    /// A cell that was run.
    #[must_use]
    pub fn of(effect: Effect, elapsed: f64) -> Self {
        Self { effect: Some(effect), elapsed: Some(elapsed), why: None }
    }

    /// A cell that has no effect to tell.
    pub fn without(why: impl Into<String>) -> Self {
        Self { effect: None, elapsed: None, why: Some(why.into()) }
    }

    fn to_text(&self) -> String {
        match (&self.effect, self.elapsed, &self.why) {
            (Some(effect), Some(elapsed), _) => format!("{effect}, {:.0} ms", elapsed * 1000.0),
            (Some(effect), None, _) => effect.to_string(),
            (None, _, why) => one_line(why.as_deref().unwrap_or_default()),
        }
    }
}

impl Matrix {
    /// As JSON, indented by two spaces.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Face<'a> {
            schema_version: u32,
            #[serde(flatten)]
            matrix: &'a Matrix,
        }
        let face = Face { schema_version: 1, matrix: self };
        serde_json::to_string_pretty(&face).unwrap_or_else(|error| format!("{{\"error\": \"{error}\"}}"))
    }

    /// As plain text, at most `width` columns wide: a small table for each permutation, a column for each isolation level.
    #[must_use]
    pub fn to_text(&self, width: usize) -> String {
        let mut text = format!("{}\n", self.server);
        for rows in self.permutations() {
            let mut lines = vec![headed("", rows.iter().map(|row| row.isolation.to_owned()))];
            lines.extend(self.columns.iter().enumerate().map(|(place, column)| {
                let cells = rows.iter().map(|row| row.cells.get(place).map(Cell::to_text).unwrap_or_default());
                headed(column, cells)
            }));
            let title = rows.first().map(|row| format!("{} {}: {}", row.scenario, row.permutation, row.order));
            let title = wrapped(&one_line(&title.unwrap_or_default()), width, "  ");
            // Writing to a String cannot fail.
            let _ = write!(text, "\n{title}\n{}", aligned(&lines, width));
        }
        self.notes.iter().for_each(|note| {
            let _ = write!(text, "\n{}\n", wrapped(&format!("Note: {}", one_line(note)), width, "      "));
        });
        text
    }

    /// As one Markdown table.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let server = escaped(&self.server.to_string());
        let mut text = format!("{server}\n\n| scenario | isolation | {} |\n", self.columns.join(" | "));
        let _ = writeln!(text, "| --- | --- {}|", "| --- ".repeat(self.columns.len()));
        for row in &self.rows {
            let cells: Vec<String> = row.texts().iter().map(|text| escaped(text)).collect();
            let _ = writeln!(text, "| {} {} | {} |", code(&row.scenario), row.permutation, cells.join(" | "));
        }
        self.notes.iter().for_each(|note| {
            let _ = write!(text, "\n{}\n", escaped(note));
        });
        text
    }

    /// The rows of each permutation together.
    pub(crate) fn permutations(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|one, other| one.scenario == other.scenario && one.permutation == other.permutation)
    }
}

impl Row {
    /// The isolation level, then the cells.
    fn texts(&self) -> Vec<String> {
        std::iter::once(self.isolation.to_owned()).chain(self.cells.iter().map(Cell::to_text)).collect()
    }
}

fn headed(head: &str, cells: impl Iterator<Item = String>) -> Vec<String> {
    std::iter::once(head.to_owned()).chain(cells).collect()
}

/// The lines as a table; where it is too wide, what is in its cells goes on below.
fn aligned(lines: &[Vec<String>], width: usize) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let widest = |column: usize| {
        let texts = lines.iter().filter_map(|line| line.get(column));
        texts.map(|text| text.chars().count()).max().unwrap_or_default()
    };
    let first = widest(0);
    let room = width.saturating_sub(first + GAP.len() * columns) / columns.saturating_sub(1).max(1);
    let limits: Vec<usize> =
        (0..columns).map(|column| if column == 0 { first } else { widest(column).min(room.max(NARROWEST)) }).collect();
    let mut text = String::new();
    for line in lines {
        let cells: Vec<Vec<String>> = line.iter().zip(&limits).map(|(cell, &limit)| broken(cell, limit, "")).collect();
        for row in 0..cells.iter().map(Vec::len).max().unwrap_or_default() {
            let part = |cell: &Vec<String>| cell.get(row).cloned().unwrap_or_default();
            let padded = cells.iter().zip(&limits).map(|(cell, &limit)| format!("{GAP}{:<limit$}", part(cell)));
            let _ = writeln!(text, "{}", padded.collect::<String>().trim_end());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{AS_IT_IS, Cell, Matrix, Row};
    use crate::report::Server;

    fn matrix() -> Matrix {
        let row = |isolation, cells| Row {
            scenario: "s04-deadlock-at-commit".to_owned(),
            permutation: 1,
            order: "a b".to_owned(),
            isolation,
            cells,
        };
        let cell = |effect: &str, elapsed| Cell::of(effect.parse().unwrap(), elapsed);
        let server = Server { version: "18.6".to_owned(), deadlock_timeout: 1.0, ..Server::default() };
        Matrix {
            columns: vec![AS_IT_IS, "nowait"],
            rows: vec![
                row("read committed", vec![cell("40P01 at COMMIT", 0.1042), cell("55P03", 0.001)]),
                row("serializable", vec![cell("40P01 at COMMIT", 0.099), Cell::without("no clause")]),
            ],
            notes: vec!["A note.".to_owned()],
            server,
        }
    }

    #[test]
    fn as_text() {
        insta::assert_snapshot!(matrix().to_text(100));
    }

    #[test]
    fn as_text_on_a_narrow_terminal() {
        insta::assert_snapshot!(matrix().to_text(50));
    }

    #[test]
    fn as_markdown() {
        insta::assert_snapshot!(matrix().to_markdown());
    }

    #[test]
    fn as_json() {
        insta::assert_snapshot!(matrix().to_json());
    }
}
