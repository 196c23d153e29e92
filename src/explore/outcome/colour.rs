//! Rows compared up to a renaming of keys, by colour refinement: a row's colour is made of what it holds, where keys count
//! by their own colour; a key's colour is made of the rows that it stands in.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::domain::{Cell, Domains};
use super::record::Row;

/// What counts of a value, once keys have their colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Shade<'a> {
    Null,
    Any,
    Is(&'a str),
    Key(u64),
}

/// A row of an outcome.
#[derive(Debug)]
pub(super) struct Coloured<'a> {
    pub(super) table: usize,
    pub(super) row: &'a Row,
    pub(super) shades: Vec<Shade<'a>>,
    pub(super) colour: u64,
}

/// Colours rows.
pub(super) fn coloured<'a>(domains: &Domains, rows: &[(usize, &'a Row)]) -> Vec<Coloured<'a>> {
    let mut keys: Vec<u64> = Vec::new();
    let mut places: HashMap<(usize, &str), usize> = HashMap::new();
    let mut standing: Vec<Vec<(usize, usize)>> = Vec::new();
    let cells: Vec<Vec<Cell<'a>>> = rows
        .iter()
        .map(|&(table, row)| {
            let cell = |(column, value): (usize, &'a Option<String>)| domains.cell(table, column, value.as_deref());
            row.iter().enumerate().map(cell).collect()
        })
        .collect();
    for (at, row) in cells.iter().enumerate() {
        for (column, cell) in row.iter().enumerate() {
            if let &Cell::Key(domain, value) = cell {
                let place = *places.entry((domain, value)).or_insert_with(|| {
                    keys.push(hashed(&domain));
                    standing.push(Vec::new());
                    keys.len() - 1
                });
                standing[place].push((at, column));
            }
        }
    }
    let shade = |cell: &Cell<'a>, keys: &[u64]| match *cell {
        Cell::Null => Shade::Null,
        Cell::Any => Shade::Any,
        Cell::Is(value) => Shade::Is(value),
        Cell::Key(domain, value) => Shade::Key(places.get(&(domain, value)).map_or(0, |&place| keys[place])),
    };
    let mut known = 0;
    loop {
        let found: Vec<Coloured<'a>> = rows
            .iter()
            .zip(&cells)
            .map(|(&(table, row), cells)| {
                let shades: Vec<Shade<'a>> = cells.iter().map(|cell| shade(cell, &keys)).collect();
                let colour = hashed(&(table, &shades));
                Coloured { table, row, shades, colour }
            })
            .collect();
        let told_apart = keys.iter().collect::<BTreeSet<_>>().len();
        if told_apart == known {
            return found;
        }
        known = told_apart;
        for (key, standing) in keys.iter_mut().zip(&standing) {
            let mut around: Vec<(usize, u64)> =
                standing.iter().map(|&(at, column)| (column, found[at].colour)).collect();
            around.sort_unstable();
            *key = hashed(&(*key, around));
        }
    }
}

fn hashed(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
