//! The isolation matrix as a page: a table for each permutation, coloured by what came of it.

use askama::Template;

use super::{drawn, mood};
use crate::report::Outcome;
use crate::report::plain::one_line;
use crate::scenario::effect::Effect;
use crate::scenario::matrix::{Cell, Matrix, Row};

struct Square {
    text: String,
    /// What a glance should tell.
    mood: &'static str,
    took: String,
}

struct Line {
    isolation: String,
    squares: Vec<Square>,
}

struct Table {
    title: String,
    order: String,
    lines: Vec<Line>,
}

#[derive(Template)]
#[template(path = "matrix.html", config = "src/report/html/askama.toml")]
struct Page {
    title: String,
    mood: &'static str,
    heading: String,
    columns: Vec<String>,
    tables: Vec<Table>,
    notes: Vec<String>,
}

impl Matrix {
    /// As one self-contained HTML document.
    #[must_use]
    pub fn to_html(&self) -> String {
        let tables = self.permutations().map(table).collect::<Vec<_>>();
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        let effects: Vec<&Effect> = cells.filter_map(|cell| cell.effect.as_ref()).collect();
        let deadlocks = effects.iter().filter(|effect| effect.is_deadlock()).count();
        let page = Page {
            title: format!("Isolation matrix: a deadlock in {deadlocks} of {} runs", effects.len()),
            mood: mood(if deadlocks > 0 { Outcome::Deadlock } else { Outcome::NoConflict }),
            heading: self.server.to_string(),
            columns: self.columns.iter().map(|column| one_line(column)).collect(),
            tables,
            notes: self.notes.iter().map(|note| one_line(note)).collect(),
        };
        drawn(&page)
    }
}

fn table(rows: &[Row]) -> Table {
    let (title, order) = rows.first().map_or_else(Default::default, |row| {
        (format!("{} {}", one_line(&row.scenario), row.permutation), one_line(&row.order))
    });
    let lines = rows
        .iter()
        .map(|row| Line { isolation: one_line(row.isolation), squares: row.cells.iter().map(square).collect() });
    Table { title, order, lines: lines.collect() }
}

fn square(cell: &Cell) -> Square {
    let (text, mood) = match &cell.effect {
        Some(effect @ Effect::Fails(_)) if effect.is_deadlock() => (effect.to_string(), "bad"),
        Some(effect @ Effect::Fails(_)) => (effect.to_string(), "slow"),
        Some(effect @ (Effect::Waits | Effect::NotRun)) => (effect.to_string(), ""),
        Some(effect @ Effect::None) => (effect.to_string(), "well"),
        None => (one_line(cell.why.as_deref().unwrap_or("not run")), "quiet"),
    };
    let took = cell.elapsed.map(|elapsed| format!("{:.0} ms", elapsed * 1000.0)).unwrap_or_default();
    Square { text, mood, took }
}
