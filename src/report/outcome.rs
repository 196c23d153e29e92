//! How a run, and how a session, ended.

/// An enum whose values have the names that users see.
macro_rules! named {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident => $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ::serde::Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// The name that users see.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use named;

named! {
    /// How a run ended, as a whole.
    Outcome {
        /// PostgreSQL aborted at least one session with 40P01.
        Deadlock => "deadlock",
        /// A session gave up with 55P03: `lock_timeout` or NOWAIT.
        LockTimeout => "lock_timeout",
        /// A session was cancelled by `statement_timeout` (57014).
        StatementTimeout => "statement_timeout",
        /// A session failed with 40001.
        SerializationFailure => "serialization_failure",
        /// Every session got what it asked for.
        NoConflict => "no_conflict",
        /// A session outside the run holds what a session waits for.
        BlockedByOutsider => "blocked_by_outsider",
        /// The whole call's `timeout` ran out.
        Timeout => "timeout",
        /// Something else failed.
        Error => "error",
    }
}

impl SessionOutcome {
    /// Whether it ended as its own code wanted.
    #[must_use]
    pub fn is_well(self) -> bool {
        matches!(self, Self::Committed | Self::RolledBack)
    }
}

named! {
    /// How one session ended.
    SessionOutcome {
        /// Its transaction was committed.
        Committed => "committed",
        /// Its own code rolled its last transaction back, and returned.
        RolledBack => "rolled_back",
        /// PostgreSQL aborted it with 40P01.
        DeadlockVictim => "deadlock_victim",
        /// It gave up with 55P03.
        LockTimeout => "lock_timeout",
        /// It was cancelled by `statement_timeout`.
        StatementTimeout => "statement_timeout",
        /// It failed with 40001.
        SerializationFailure => "serialization_failure",
        /// It was rolled back because the run ended before it did.
        Cancelled => "cancelled",
        /// Nobody knows: a server log does not tell.
        Unknown => "unknown",
        /// Its connection was lost or terminated.
        Disconnected => "disconnected",
        /// It failed with another error.
        Error => "error",
    }
}
