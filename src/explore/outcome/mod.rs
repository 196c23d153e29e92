//! What schedules leave, compared with what the serial orders leave.
//!
//! Rows are compared up to a renaming of generated keys and of all that refers to them ([`colour`]), and without what is
//! drawn by chance or read from a clock. What that is, is not known beforehand: it is what differs between two runs of
//! the very same schedule ([`Outcomes::repeated`]).

mod colour;
mod difference;
mod domain;
mod record;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use difference::Told;
use domain::Domains;
pub use domain::{Reference, Table};
use record::Row;

/// Rows, and how often each is there.
type Bag = BTreeMap<Row, usize>;
/// A table's name, and its rows as the server writes an array of records; nothing where there are none.
pub type Held = (String, Option<String>);

/// What a schedule has come to: how its tables differ from the starting state, and what each session raised.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Outcome {
    changes: BTreeMap<usize, Change>,
    raised: Vec<Option<String>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Change {
    gone: Bag,
    new: Bag,
}

/// Outcomes that no serial order comes to, all told alike.
#[derive(Debug, PartialEq, Eq)]
pub struct Lost {
    /// Their numbers.
    pub outcomes: Vec<usize>,
    /// What is different, in a sentence.
    pub about: String,
}

/// The outcomes of a search.
pub struct Outcomes {
    sessions: Vec<String>,
    tables: Vec<Table>,
    places: HashMap<String, usize>,
    domains: Domains,
    /// By table: its rows when a schedule begins, at first.
    start: Vec<(Option<String>, Bag)>,
    seen: Vec<Arc<Outcome>>,
    numbers: HashMap<Arc<Outcome>, usize>,
    /// Tables that differ between two runs of the same schedule, whatever is left out of their rows.
    left_out: BTreeSet<usize>,
    raises_by_chance: bool,
}

impl Outcomes {
    /// Without any yet; `start`: what the tables hold when a schedule begins.
    #[must_use]
    pub fn new(sessions: Vec<String>, tables: Vec<Table>, references: &[Reference], start: Vec<Held>) -> Self {
        let places = tables.iter().enumerate().map(|(place, table)| (table.name.clone(), place)).collect();
        let domains = Domains::new(&tables, references);
        let empty = tables.iter().map(|_| (None, Bag::new())).collect();
        let mut outcomes = Self {
            sessions,
            tables,
            places,
            domains,
            start: empty,
            seen: Vec::new(),
            numbers: HashMap::new(),
            left_out: BTreeSet::new(),
            raises_by_chance: false,
        };
        for (table, held) in start {
            if let Some(&place) = outcomes.places.get(&table) {
                let rows = outcomes.bag(place, held.as_deref());
                outcomes.start[place] = (held, rows);
            }
        }
        let values = outcomes.values(outcomes.start.iter().map(|(_, rows)| rows));
        outcomes.domains.fix(values);
        outcomes
    }

    /// Takes down what the tables hold when another schedule begins: what is not the same each time is by chance.
    pub fn started_again(&mut self, start: &[Held]) {
        let mut again: Vec<Bag> = self.start.iter().map(|(_, rows)| rows.clone()).collect();
        for (table, held) in start {
            if let Some(&place) = self.places.get(table) {
                again[place] = self.bag(place, held.as_deref());
            }
        }
        let pairs: Vec<(usize, Change)> = again
            .iter()
            .zip(&self.start)
            .enumerate()
            .map(|(place, (now, (_, before)))| (place, Change { gone: beyond(before, now), new: beyond(now, before) }))
            .collect();
        for (place, change) in pairs {
            self.vary(place, [(&change.new, 1), (&change.gone, -1)]);
        }
        let both = self.values(self.start.iter().map(|(_, rows)| rows));
        let again = self.values(again.iter());
        self.domains.fix(both.iter().zip(&again).map(|(one, other)| one & other).collect());
    }

    /// Takes down what a schedule came to, which wrote no other tables than these; equal outcomes have one number.
    pub fn add(&mut self, held: Vec<Held>, raised: Vec<Option<String>>) -> usize {
        let mut changes = BTreeMap::new();
        for (table, held) in held {
            let Some(&place) = self.places.get(&table) else { continue };
            let (text, start) = &self.start[place];
            if *text != held {
                let now = self.bag(place, held.as_deref());
                let change = Change { gone: beyond(start, &now), new: beyond(&now, start) };
                if !(change.gone.is_empty() && change.new.is_empty()) {
                    changes.insert(place, change);
                }
            }
        }
        let outcome = Arc::new(Outcome { changes, raised });
        let next = self.seen.len();
        let number = *self.numbers.entry(Arc::clone(&outcome)).or_insert(next);
        if number == next {
            self.seen.push(outcome);
        }
        number
    }

    /// Takes down that these are outcomes of the very same schedule; whether anything was learnt by that.
    pub fn repeated(&mut self, first: usize, second: usize) -> bool {
        let (Some(one), Some(other)) = (self.seen.get(first).cloned(), self.seen.get(second).cloned()) else {
            return false;
        };
        if first == second {
            return false;
        }
        let mut learnt = !self.raises_by_chance && one.raised != other.raised;
        self.raises_by_chance |= learnt;
        let nothing = Change { gone: Bag::new(), new: Bag::new() };
        let touched: BTreeSet<usize> = one.changes.keys().chain(other.changes.keys()).copied().collect();
        for &table in &touched {
            let [one, other] = [&one, &other].map(|outcome| outcome.changes.get(&table).unwrap_or(&nothing));
            learnt |= self.vary(table, [(&one.new, 1), (&one.gone, -1), (&other.new, -1), (&other.gone, 1)]);
        }
        let moving = self.moving();
        let apart: Vec<usize> = {
            let [one, other] = [&one, &other].map(|outcome| form(&self.told(outcome, &moving)));
            let colours = |form: &Form, table| form.0.iter().filter(|row| row.0 == table).copied().collect::<Vec<_>>();
            touched.into_iter().filter(|&table| colours(&one, table) != colours(&other, table)).collect()
        };
        for table in apart {
            learnt |= self.left_out.insert(table);
        }
        learnt
    }

    /// Which of these outcomes no serial order comes to.
    ///
    /// An outcome in which a session raised what it raises in no serial order is none of them: it is that exception which
    /// is to be told, and what its rollback leaves follows from it.
    #[must_use]
    pub fn lost(&self, serial: &[usize], outcomes: &[usize]) -> Vec<Lost> {
        let moving = self.moving();
        let at = |number: &usize| self.seen.get(*number);
        let serially: Vec<Told<'_>> = serial.iter().filter_map(at).map(|one| self.told(one, &moving)).collect();
        let expected: HashSet<Form> = serially.iter().map(form).collect();
        let raises = |session: usize, raised: &Option<String>| {
            raised.is_none() || serially.iter().any(|one| one.raised.get(session) == Some(raised))
        };
        let mut found: Vec<Lost> = Vec::new();
        let mut known: HashMap<Form, usize> = HashMap::new();
        for &number in outcomes {
            let Some(outcome) = self.seen.get(number) else { continue };
            let told = self.told(outcome, &moving);
            let form = form(&told);
            if expected.contains(&form) || !told.raised.iter().enumerate().all(|(at, raised)| raises(at, raised)) {
                continue;
            }
            let place = *known.entry(form).or_insert_with(|| {
                let about = difference::sentence(&self.tables, &self.sessions, &told, &serially);
                found.iter().position(|lost| lost.about == about).unwrap_or_else(|| {
                    found.push(Lost { outcomes: Vec::new(), about });
                    found.len() - 1
                })
            });
            found[place].outcomes.push(number);
        }
        found
    }

    fn bag(&self, table: usize, held: Option<&str>) -> Bag {
        let mut bag = Bag::new();
        for row in record::rows(held.unwrap_or_default(), self.tables[table].columns.len()) {
            *bag.entry(row).or_default() += 1;
        }
        bag
    }

    /// All values, by domain.
    fn values<'a>(&self, tables: impl Iterator<Item = &'a Bag>) -> Vec<HashSet<String>> {
        let mut values = vec![HashSet::new(); self.domains.count()];
        for (table, rows) in tables.enumerate() {
            for row in rows.keys() {
                for (column, value) in row.iter().enumerate() {
                    values[self.domains.of(table, column)].extend(value.clone());
                }
            }
        }
        values
    }

    /// Takes down the columns whose values do not add up to nothing; whether that is news.
    fn vary<'a>(&mut self, table: usize, rows: impl IntoIterator<Item = (&'a Bag, isize)>) -> bool {
        let mut sums: BTreeMap<(usize, &Option<String>), isize> = BTreeMap::new();
        for (bag, sign) in rows {
            for (row, &count) in bag {
                for (column, value) in row.iter().enumerate() {
                    *sums.entry((column, value)).or_default() += sign * count.cast_signed();
                }
            }
        }
        let varying: BTreeSet<usize> =
            sums.iter().filter(|&(_, &sum)| sum != 0).map(|(&(column, _), _)| column).collect();
        let mut news = false;
        for column in varying {
            news |= self.domains.vary(self.domains.of(table, column));
        }
        news
    }

    /// The rows of the starting state that some outcome has not: the others are the same in all.
    fn moving(&self) -> BTreeMap<usize, Bag> {
        let mut moving: BTreeMap<usize, Bag> = BTreeMap::new();
        for outcome in &self.seen {
            for (&table, change) in outcome.changes.iter().filter(|(table, _)| !self.left_out.contains(table)) {
                let bag = moving.entry(table).or_default();
                for (row, &count) in &change.gone {
                    let most = bag.entry(row.clone()).or_default();
                    *most = count.max(*most);
                }
            }
        }
        moving
    }

    fn told<'a>(&self, outcome: &'a Outcome, moving: &'a BTreeMap<usize, Bag>) -> Told<'a> {
        let mut rows: Vec<(usize, &Row)> = Vec::new();
        for (&table, bag) in moving {
            let change = outcome.changes.get(&table);
            for (row, &count) in bag {
                let gone = change.and_then(|change| change.gone.get(row)).copied().unwrap_or_default();
                rows.extend(std::iter::repeat_n((table, row), count.saturating_sub(gone)));
            }
            for (row, &count) in change.iter().flat_map(|change| &change.new) {
                rows.extend(std::iter::repeat_n((table, row), count));
            }
        }
        let raised = if self.raises_by_chance { &[][..] } else { &outcome.raised };
        Told { rows: colour::coloured(&self.domains, &rows), raised }
    }
}

/// What is the same of equal outcomes: the tables and colours of all rows, and what was raised.
type Form<'a> = (Vec<(usize, u64)>, &'a [Option<String>]);

fn form<'a>(told: &Told<'a>) -> Form<'a> {
    let mut rows: Vec<(usize, u64)> = told.rows.iter().map(|row| (row.table, row.colour)).collect();
    rows.sort_unstable();
    (rows, told.raised)
}

/// What is in the first bag more often than in the second.
fn beyond(one: &Bag, other: &Bag) -> Bag {
    let more = |(row, &count): (&Row, &usize)| {
        let rest = count.saturating_sub(other.get(row).copied().unwrap_or_default());
        (rest > 0).then(|| (row.clone(), rest))
    };
    one.iter().filter_map(more).collect()
}
