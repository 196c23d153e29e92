//! What a step touched, and when two steps are dependent.
//!
//! The relation rests on how PostgreSQL makes one transaction felt by another (the manual's chapter "Concurrency
//! Control"): through *locks*, from when they are asked for until they are let go; and through *commits*, which make
//! what was written visible to whoever reads after them. What is written and not committed is read by nobody.

use std::collections::{BTreeMap, BTreeSet};

/// The strength of a lock on rows, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowLock {
    /// `FOR KEY SHARE`, which a foreign key's check takes.
    KeyShare,
    /// `FOR SHARE`.
    Share,
    /// `FOR NO KEY UPDATE`, which most UPDATEs take.
    NoKeyUpdate,
    /// `FOR UPDATE`, also taken by DELETE. What is not known is taken for this.
    Update,
}

impl RowLock {
    /// Whether two transactions cannot both hold these on one row (the manual's table "Conflicting Row-Level Locks").
    #[must_use]
    pub fn conflicts(self, other: Self) -> bool {
        let (weak, strong) = if self <= other { (self, other) } else { (other, self) };
        match weak {
            Self::KeyShare => strong == Self::Update,
            Self::Share => strong >= Self::NoKeyUpdate,
            Self::NoKeyUpdate | Self::Update => true,
        }
    }
}

/// A mode of a heavyweight lock, in PostgreSQL's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "PostgreSQL's own names")]
pub enum TableLock {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl TableLock {
    /// The mode of this name, as `pg_locks` writes it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "AccessShareLock" => Self::AccessShare,
            "RowShareLock" => Self::RowShare,
            "RowExclusiveLock" => Self::RowExclusive,
            "ShareUpdateExclusiveLock" => Self::ShareUpdateExclusive,
            "ShareLock" => Self::Share,
            "ShareRowExclusiveLock" => Self::ShareRowExclusive,
            "ExclusiveLock" => Self::Exclusive,
            "AccessExclusiveLock" => Self::AccessExclusive,
            _ => return None,
        })
    }

    /// Whether two transactions cannot both hold these (the manual's table "Conflicting Lock Modes").
    #[must_use]
    pub fn conflicts(self, other: Self) -> bool {
        let (weak, strong) = if self <= other { (self, other) } else { (other, self) };
        match weak {
            Self::AccessShare => strong == Self::AccessExclusive,
            Self::RowShare => strong >= Self::Exclusive,
            Self::RowExclusive => strong >= Self::Share,
            Self::ShareUpdateExclusive => strong >= Self::ShareUpdateExclusive,
            // SHARE alone among the strong ones goes together with itself.
            Self::Share => strong != Self::Share,
            Self::ShareRowExclusive | Self::Exclusive | Self::AccessExclusive => true,
        }
    }
}

/// Some rows of a table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rows {
    /// It is not known which, or all of them.
    All,
    /// These, by their keys.
    These(BTreeSet<String>),
}

impl Rows {
    /// One row.
    pub fn one(key: impl Into<String>) -> Self {
        Self::These(BTreeSet::from([key.into()]))
    }

    fn meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::These(these), Self::These(others)) => !these.is_disjoint(others),
            (Self::These(rows), Self::All) | (Self::All, Self::These(rows)) => !rows.is_empty(),
            (Self::All, Self::All) => true,
        }
    }
}

/// What can be locked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// Rows of a table.
    Rows(String, Rows),
    /// What a table's unique indexes keep apart: taken by whoever adds, removes or changes keys.
    Keys(String),
    /// A relation as a whole, an advisory lock, or anything else that has a heavyweight lock.
    Whole(String),
}

impl Object {
    fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Rows(table, rows), Self::Rows(other_table, others)) => table == other_table && rows.meet(others),
            (one, other) => one == other,
        }
    }
}

/// A lock on an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lock {
    /// On rows, or on keys.
    Row(RowLock),
    /// On a whole.
    Table(TableLock),
}

impl Lock {
    fn conflicts(self, other: Self) -> bool {
        match (self, other) {
            (Self::Row(one), Self::Row(other)) => one.conflicts(other),
            (Self::Table(one), Self::Table(other)) => one.conflicts(other),
            _ => true,
        }
    }
}

/// What a step touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// What it read, as far as others can change it: what is committed, by table.
    pub reads: BTreeSet<(String, Rows)>,
    /// It fixed what its transaction sees of all tables: the first statement under REPEATABLE READ.
    pub reads_all: bool,
    /// The locks it took or asked for. One that its transaction had already is not taken again.
    pub takes: BTreeSet<(Object, Lock)>,
    /// The locks it let go.
    pub frees: BTreeSet<(Object, Lock)>,
    /// What it made visible.
    pub publishes: BTreeSet<(String, Rows)>,
    /// The sessions that wait after it, each with all for whom it waits, and for whom those wait, and so on.
    pub waits: BTreeMap<usize, BTreeSet<usize>>,
    /// It belongs to a SERIALIZABLE transaction, and those watch each other's every step.
    pub serializable: bool,
    /// Nobody knows: dependent on everything.
    pub unknown: bool,
}

impl Footprint {
    /// It looks at what is changed at once and not at a COMMIT, such as a sequence.
    pub fn reads_at_once(&mut self, object: &str) {
        self.takes.insert((Object::Keys(object.to_owned()), Lock::Row(RowLock::KeyShare)));
    }

    /// The footprint of a step of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self { unknown: true, ..Self::default() }
    }

    /// Whether it matters which of two steps of different sessions comes first.
    #[must_use]
    pub fn conflicts(&self, other: &Self) -> bool {
        self.unknown
            || other.unknown
            || (self.serializable && other.serializable)
            || sees(self, other)
            || sees(other, self)
            || close_a_cycle(&self.waits, &other.waits)
            || locks_meet(&self.takes, &other.takes)
            || locks_meet(&self.takes, &other.frees)
            || locks_meet(&self.frees, &other.takes)
    }

    /// Adds what another step touched, which happened together with this one.
    pub fn join(&mut self, other: Self) {
        self.reads.extend(other.reads);
        self.reads_all |= other.reads_all;
        self.takes.extend(other.takes);
        self.frees.extend(other.frees);
        self.publishes.extend(other.publishes);
        self.waits.extend(other.waits);
        self.serializable |= other.serializable;
        self.unknown |= other.unknown;
    }
}

fn sees(reader: &Footprint, writer: &Footprint) -> bool {
    if writer.publishes.is_empty() {
        return false;
    }
    reader.reads_all
        || reader
            .reads
            .iter()
            .any(|(table, rows)| writer.publishes.iter().any(|(written, others)| table == written && rows.meet(others)))
}

/// Two waits on different rows may be the two ends of one cycle: whoever comes second closes it.
fn close_a_cycle(ones: &BTreeMap<usize, BTreeSet<usize>>, others: &BTreeMap<usize, BTreeSet<usize>>) -> bool {
    ones.iter().any(|(one, ahead)| {
        others.iter().any(|(other, ahead_of_other)| ahead.contains(other) && ahead_of_other.contains(one))
    })
}

fn locks_meet(ones: &BTreeSet<(Object, Lock)>, others: &BTreeSet<(Object, Lock)>) -> bool {
    ones.iter().any(|(object, lock)| {
        others.iter().any(|(other, other_lock)| lock.conflicts(*other_lock) && object.meets(other))
    })
}

#[cfg(test)]
mod tests {
    use super::{Footprint, Lock, Object, RowLock, Rows, TableLock};

    const ROW_LOCKS: [RowLock; 4] = [RowLock::KeyShare, RowLock::Share, RowLock::NoKeyUpdate, RowLock::Update];
    const TABLE_LOCKS: [TableLock; 8] = [
        TableLock::AccessShare,
        TableLock::RowShare,
        TableLock::RowExclusive,
        TableLock::ShareUpdateExclusive,
        TableLock::Share,
        TableLock::ShareRowExclusive,
        TableLock::Exclusive,
        TableLock::AccessExclusive,
    ];

    fn table<T: Copy>(locks: &[T], conflicts: impl Fn(T, T) -> bool) -> Vec<String> {
        let line = |one: &T| locks.iter().map(|other| if conflicts(*one, *other) { '#' } else { '.' }).collect();
        locks.iter().map(line).collect()
    }

    #[test]
    fn row_locks_conflict_as_in_the_manual() {
        assert_eq!(table(&ROW_LOCKS, RowLock::conflicts), ["...#", "..##", ".###", "####"]);
    }

    #[test]
    fn table_locks_conflict_as_in_the_manual() {
        assert_eq!(
            table(&TABLE_LOCKS, TableLock::conflicts),
            [".......#", "......##", "....####", "...#####", "..##.###", "..######", ".#######", "########"]
        );
    }

    fn takes(row: &str, lock: RowLock) -> Footprint {
        let object = Object::Rows("t".to_owned(), Rows::one(row));
        Footprint { takes: [(object, Lock::Row(lock))].into(), ..Footprint::default() }
    }

    fn reads(table: &str) -> Footprint {
        Footprint { reads: [(table.to_owned(), Rows::All)].into(), ..Footprint::default() }
    }

    fn publishes(row: &str) -> Footprint {
        Footprint { publishes: [("t".to_owned(), Rows::one(row))].into(), ..Footprint::default() }
    }

    #[test]
    fn locks_on_different_rows_are_independent() {
        assert!(takes("1", RowLock::Update).conflicts(&takes("1", RowLock::Update)));
        assert!(!takes("1", RowLock::Update).conflicts(&takes("2", RowLock::Update)));
        assert!(!takes("1", RowLock::Share).conflicts(&takes("1", RowLock::Share)));
    }

    #[test]
    fn reading_depends_on_commits_and_not_on_locks() {
        assert!(reads("t").conflicts(&publishes("1")));
        assert!(publishes("1").conflicts(&reads("t")));
        assert!(!reads("u").conflicts(&publishes("1")));
        assert!(!reads("t").conflicts(&takes("1", RowLock::Update)));
        assert!(!publishes("1").conflicts(&publishes("1")));
    }

    #[test]
    fn a_snapshot_depends_on_every_commit_that_wrote() {
        let snapshot = Footprint { reads_all: true, ..Footprint::default() };
        assert!(snapshot.conflicts(&publishes("1")));
        assert!(!snapshot.conflicts(&Footprint::default()));
    }

    #[test]
    fn the_unknown_depends_on_everything() {
        assert!(Footprint::unknown().conflicts(&Footprint::default()));
        assert!(Footprint::default().conflicts(&Footprint::unknown()));
        assert!(!Footprint::default().conflicts(&Footprint::default()));
    }

    #[test]
    fn what_is_let_go_matters_to_whoever_asks_for_it() {
        let asked = takes("1", RowLock::Update);
        let freed = Footprint { frees: asked.takes.clone(), ..Footprint::default() };
        assert!(asked.conflicts(&freed) && freed.conflicts(&asked));
        assert!(!freed.conflicts(&freed));
    }
}
