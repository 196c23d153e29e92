//! What one session's transaction has locked and written so far, and what that makes of its next step.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::schedule::HeldLock;
use crate::engine::{Access, Reach};
use crate::explore::{Footprint, Lock, Object, RowLock, Rows, TableLock};

/// The books of one transaction.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    taken: BTreeSet<(Object, Lock)>,
    written: BTreeMap<String, Rows>,
    /// Tables of which keys may have been written, so that deferred checks may follow.
    keys: BTreeSet<String>,
    /// It did what locks do not tell.
    pub(super) opaque: bool,
}

impl Ledger {
    /// A statement that touches what is known beforehand.
    pub(super) fn reach(&mut self, reach: &[Reach]) -> Footprint {
        let mut footprint = Footprint::default();
        for one in reach {
            let rows = one.key.as_ref().map_or(Rows::All, Rows::one);
            footprint.reads.insert((one.table.clone(), rows.clone()));
            let (mode, lock) = strength(one.access);
            footprint.takes.insert((Object::Whole(one.table.clone()), Lock::Table(mode)));
            if let Some(lock) = lock {
                footprint.takes.insert((Object::Rows(one.table.clone(), rows.clone()), Lock::Row(lock)));
            }
            if matches!(one.access, Access::Insert | Access::Delete) {
                footprint.takes.insert((Object::Keys(one.table.clone()), Lock::Row(RowLock::Update)));
                self.keys.insert(one.table.clone());
            }
            if one.access == Access::Write {
                // Whoever would insert the row's key waits for this, although the key stays what it is.
                footprint.takes.insert((Object::Keys(one.table.clone()), Lock::Row(RowLock::KeyShare)));
            }
            if mode == TableLock::RowExclusive {
                self.write(&one.table, &rows);
            }
        }
        self.taken.extend(footprint.takes.iter().cloned());
        footprint
    }

    /// A statement of which only the locks are known that its transaction has, or asks for, now.
    pub(super) fn locks(&mut self, held: &[HeldLock]) -> Footprint {
        let now = locks_of(held);
        let is_gone = |lock: &&(Object, Lock)| matches!(lock.0, Object::Whole(_)) && !now.contains(lock);
        let frees = self.taken.iter().filter(is_gone).cloned().collect();
        let reads = held.iter().map(|lock| (lock.object.clone(), Rows::All)).collect();
        for lock in held.iter().filter(|lock| lock.of_relation && writes(mode_of(lock))) {
            self.write(&lock.object, &Rows::All);
            self.keys.insert(lock.object.clone());
        }
        self.taken.extend(now.iter().cloned());
        Footprint { takes: now, frees, reads, ..Footprint::default() }
    }

    /// Whether these locks are more than a statement of this reach was to take.
    pub(super) fn goes_beyond(&self, held: &[HeldLock], reach: &[Reach]) -> bool {
        held.iter().any(|lock| {
            let mode = mode_of(lock);
            let taken = (Object::Whole(lock.object.clone()), Lock::Table(mode));
            let expected = |one: &Reach| one.table == lock.object && mode <= strength(one.access).0;
            !self.taken.contains(&taken) && !reach.iter().any(expected)
        })
    }

    /// All that it has taken.
    pub(super) fn taken(&self) -> BTreeSet<(Object, Lock)> {
        self.taken.clone()
    }

    /// What its COMMIT makes visible, and what deferred foreign keys (pairs of tables that refer to each other) check.
    pub(super) fn commit(&self, deferred: &[(String, String)]) -> Footprint {
        let mut footprint = Footprint { frees: self.taken(), unknown: self.opaque, ..Footprint::default() };
        footprint.publishes = self.written.iter().map(|(table, rows)| (table.clone(), rows.clone())).collect();
        for (one, other) in deferred.iter().flat_map(|(one, other)| [(one, other), (other, one)]) {
            if self.keys.contains(one) {
                let rows = Object::Rows(other.clone(), Rows::All);
                footprint.takes.insert((rows, Lock::Row(RowLock::KeyShare)));
                footprint.reads.insert((other.clone(), Rows::All));
            }
        }
        footprint
    }

    /// What a statement outside any transaction does at once.
    pub(super) fn alone(reach: &[Reach], waits: bool) -> Footprint {
        let mut ledger = Self::default();
        let mut footprint = ledger.reach(reach);
        if !waits {
            footprint.join(ledger.commit(&[]));
        }
        footprint
    }

    /// The tables and sequences that it has written.
    pub(super) fn written(&self) -> impl Iterator<Item = &String> {
        self.written.keys()
    }

    fn write(&mut self, table: &str, rows: &Rows) {
        let known = self.written.entry(table.to_owned()).or_insert_with(|| Rows::These(BTreeSet::new()));
        match (known, rows) {
            (Rows::These(known), Rows::These(rows)) => known.extend(rows.iter().cloned()),
            (known, Rows::All) => *known = Rows::All,
            (Rows::All, _) => {}
        }
    }
}

fn strength(access: Access) -> (TableLock, Option<RowLock>) {
    match access {
        Access::Read => (TableLock::AccessShare, None),
        Access::KeyShare => (TableLock::RowShare, Some(RowLock::KeyShare)),
        Access::Share => (TableLock::RowShare, Some(RowLock::Share)),
        Access::NoKeyUpdate => (TableLock::RowShare, Some(RowLock::NoKeyUpdate)),
        Access::Update => (TableLock::RowShare, Some(RowLock::Update)),
        Access::Write => (TableLock::RowExclusive, Some(RowLock::NoKeyUpdate)),
        Access::Delete => (TableLock::RowExclusive, Some(RowLock::Update)),
        // Nobody sees its rows; its keys are waited for.
        Access::Insert => (TableLock::RowExclusive, None),
    }
}

fn mode_of(lock: &HeldLock) -> TableLock {
    TableLock::named(&lock.mode).unwrap_or(TableLock::AccessExclusive)
}

fn writes(mode: TableLock) -> bool {
    mode >= TableLock::RowExclusive
}

/// What locks on relations stand for: any of its rows, and where it is written, its keys.
fn locks_of(held: &[HeldLock]) -> BTreeSet<(Object, Lock)> {
    let mut locks = BTreeSet::new();
    for lock in held {
        let mode = mode_of(lock);
        locks.insert((Object::Whole(lock.object.clone()), Lock::Table(mode)));
        if lock.of_relation && mode >= TableLock::RowShare {
            locks.insert((Object::Rows(lock.object.clone(), Rows::All), Lock::Row(RowLock::Update)));
        }
        if lock.of_relation && writes(mode) {
            locks.insert((Object::Keys(lock.object.clone()), Lock::Row(RowLock::Update)));
        }
    }
    locks
}
