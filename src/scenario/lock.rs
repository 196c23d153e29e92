//! Lock strengths and isolation levels, by PostgreSQL's names.

use std::str::FromStr;

/// What a session takes on each row (the manual's "Row-Level Locks"), or an advisory lock instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// FOR UPDATE: Django's `select_for_update()`.
    Update,
    /// FOR NO KEY UPDATE: `select_for_update(no_key=True)`, and what a plain UPDATE takes.
    NoKeyUpdate,
    /// FOR SHARE.
    Share,
    /// FOR KEY SHARE: what a foreign key's check takes.
    KeyShare,
    /// `pg_advisory_xact_lock`.
    Advisory,
}

impl Lock {
    /// Every strength by the name that users give.
    pub const ALL: [(&'static str, Self); 5] = [
        ("update", Self::Update),
        ("no key update", Self::NoKeyUpdate),
        ("share", Self::Share),
        ("key share", Self::KeyShare),
        ("advisory", Self::Advisory),
    ];

    /// The locking clause of a SELECT; `None` for an advisory lock.
    #[must_use]
    pub fn clause(self) -> Option<&'static str> {
        match self {
            Self::Update => Some("FOR UPDATE"),
            Self::NoKeyUpdate => Some("FOR NO KEY UPDATE"),
            Self::Share => Some("FOR SHARE"),
            Self::KeyShare => Some("FOR KEY SHARE"),
            Self::Advisory => None,
        }
    }

    /// Whether two sessions can both have it on the same row.
    #[must_use]
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Share | Self::KeyShare)
    }
}

impl FromStr for Lock {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, lock)| lock).ok_or(())
    }
}

/// A transaction's isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// READ COMMITTED, PostgreSQL's and Django's default.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

impl Isolation {
    /// Every level by the name that users give.
    pub const ALL: [(&'static str, Self); 3] = [
        ("read committed", Self::ReadCommitted),
        ("repeatable read", Self::RepeatableRead),
        ("serializable", Self::Serializable),
    ];

    /// The level in SQL.
    #[must_use]
    pub fn sql(self) -> &'static str {
        match self {
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Serializable => "SERIALIZABLE",
        }
    }
}

impl FromStr for Isolation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, level)| level).ok_or(())
    }
}
