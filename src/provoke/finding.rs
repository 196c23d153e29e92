//! What is found out about the code under test, besides its deadlocks.

use crate::report::named;

named! {
    /// What is found out about the code under test.
    Finding {
        /// It never asked for what the opponent held.
        NeverAsked => "never_asked",
        /// When it asked, it held nothing that the opponent wanted: no cycle.
        WrongOrder => "wrong_order",
        /// When it asked, what the opponent wanted was held in another transaction: no cycle that PostgreSQL could see.
        OtherTransaction => "other_transaction",
        /// It tried again in the transaction that had been aborted in part: an outer `atomic()` kept its locks.
        NestedRetry => "nested_retry",
        /// It got 40P01, did not try again, and nobody was told.
        Swallowed => "swallowed",
        /// 40P01 left it as an exception.
        GaveUp => "gave_up",
        /// What must happen once happened more often.
        RanTwice => "ran_twice",
        /// What must happen once did not happen.
        NeverRan => "never_ran",
        /// Its wait ended early, by another error than 40P01: a `lock_timeout`, NOWAIT, a cancellation.
        Interrupted => "interrupted",
        /// Its check for deadlocks was over before the cycle could be closed: the machine stalled.
        Missed => "missed",
        /// The time was up, so the opponent stepped aside.
        Timeout => "timeout",
    }
}
