//! Which columns hold the same kind of value, and what of a value counts.

use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A table whose rows are compared.
#[derive(Clone, Debug)]
pub struct Table {
    /// With its schema.
    pub name: String,
    /// Each column's name, and whether a sequence gives its values.
    pub columns: Vec<(String, bool)>,
    /// The columns of its primary key, by their places.
    pub key: Vec<usize>,
}

/// Two columns that hold the same values: table and column, table and column.
pub type Reference = (String, String, String, String);

/// What of a value counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cell<'a> {
    Null,
    /// It is drawn by chance, or from a clock: any other would do.
    Any,
    Is(&'a str),
    /// It says no more than which rows belong together: a generated key, and what refers to it.
    Key(usize, &'a str),
}

/// Columns that foreign keys tie together are one domain.
pub(super) struct Domains {
    /// By table and column.
    of: Vec<Vec<usize>>,
    /// Of several columns.
    tied: Vec<bool>,
    /// Its values come from a sequence.
    drawn: Vec<bool>,
    /// Its values were seen to differ between two runs of the same schedule.
    varying: BTreeSet<usize>,
    /// The values that the starting state has every time.
    fixed: Vec<HashSet<String>>,
}

impl Domains {
    pub(super) fn new(tables: &[Table], references: &[Reference]) -> Self {
        let mut numbers: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut above: Vec<usize> = Vec::new();
        let mut number = |column| {
            *numbers.entry(column).or_insert_with(|| {
                above.push(above.len());
                above.len() - 1
            })
        };
        let own: Vec<Vec<usize>> = tables
            .iter()
            .map(|table| table.columns.iter().map(|(column, _)| number((&*table.name, &**column))).collect())
            .collect();
        let pairs: Vec<(usize, usize)> = references
            .iter()
            .map(|(table, column, other, its)| (number((&**table, &**column)), number((&**other, &**its))))
            .collect();
        let mut tied = vec![false; above.len()];
        for (one, other) in pairs {
            let (one, other) = (root(&above, one), root(&above, other));
            above[other] = one;
            tied[one] = true;
        }
        let of: Vec<Vec<usize>> =
            own.iter().map(|columns| columns.iter().map(|&column| root(&above, column)).collect()).collect();
        let mut drawn = vec![false; above.len()];
        for (table, domains) in tables.iter().zip(&of) {
            for ((_, generated), &domain) in table.columns.iter().zip(domains) {
                drawn[domain] |= generated;
            }
        }
        let fixed = vec![HashSet::new(); above.len()];
        Self { of, tied, drawn, varying: BTreeSet::new(), fixed }
    }

    pub(super) fn of(&self, table: usize, column: usize) -> usize {
        self.of[table][column]
    }

    /// Takes down that a domain's values differ between two runs of the same schedule; whether that is news.
    pub(super) fn vary(&mut self, domain: usize) -> bool {
        self.varying.insert(domain)
    }

    /// Takes down the values that the starting state has every time.
    pub(super) fn fix(&mut self, fixed: Vec<HashSet<String>>) {
        self.fixed = fixed;
    }

    pub(super) fn count(&self) -> usize {
        self.tied.len()
    }

    pub(super) fn cell<'a>(&self, table: usize, column: usize, value: Option<&'a str>) -> Cell<'a> {
        let Some(value) = value else { return Cell::Null };
        let domain = self.of(table, column);
        if !self.drawn[domain] && !self.varying.contains(&domain) {
            return Cell::Is(value);
        }
        // By chance, other values than these may be equal: a clock may not have moved.
        if !(self.drawn[domain] || self.tied[domain] || is_uuid(value)) {
            return Cell::Any;
        }
        if self.fixed[domain].contains(value) { Cell::Is(value) } else { Cell::Key(domain, value) }
    }
}

fn root(above: &[usize], mut column: usize) -> usize {
    while above[column] != column {
        column = above[column];
    }
    column
}

fn is_uuid(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_hexdigit).count();
    digits == 32 && (value.len() == 32 || value.len() == 36 && value.bytes().filter(|&byte| byte == b'-').count() == 4)
}
