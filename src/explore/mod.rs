//! The search over schedules: every inequivalent interleaving of some sessions' steps, and each but once.
//!
//! Pure: it knows no database. Whoever runs the sessions asks a [`Search`] at every choice which session to release,
//! and tells it afterwards what that touched, as a [`Footprint`]. Two steps are *dependent* where their footprints
//! conflict; schedules that differ only in the order of independent steps are equivalent, and one of them is run.
//!
//! | file | what is there |
//! | --- | --- |
//! | [`footprint`] | what a step touched, and the dependency relation |
//! | [`trace`] | the events of one schedule, and which happened before which |
//! | [`linear`] | the same trace with the fewest preemptions; whether it is a serial one |
//! | [`reduction`] | source-set dynamic partial-order reduction with sleep sets: the search that can be complete |
//! | [`bounded`] | fewest preemptions first, up to a bound |
//! | [`random`] | probabilistic concurrency testing, for what is too large |
//! | `plain` | one given order, and every order there is |
//! | [`order`] | schedules as text: `A B A B` |
//! | [`queue`] | who waits behind whom, and whether somebody was let in out of turn |
//! | `patience` | how often a schedule is begun again that the server has not followed |
//! | [`search`] | the front: limits, statistics, the check for nondeterminism |
//! | [`outcome`] | what schedules leave, compared with what the serial orders leave |
//! | [`finding`] | equal findings grouped, the one with the fewest preemptions shown |
//!
//! How it works and why that is sound: `docs/explore.md`.

pub mod bounded;
pub mod finding;
pub mod footprint;
pub mod linear;
mod memory;
pub mod order;
pub mod outcome;
mod patience;
mod plain;
pub mod queue;
pub mod random;
pub mod reduction;
pub mod search;
mod strategy;
pub mod trace;

#[cfg(test)]
mod tests;

pub use finding::{Finding, Findings};
pub use footprint::{Footprint, Lock, Object, RowLock, Rows, TableLock};
pub use linear::Order;
pub use memory::Diverged;
pub use outcome::Outcomes;
pub use queue::{Overtaken, Waits};
pub use search::{Execution, Limits, Mode, Search, Statistics};
pub use trace::{Event, Trace};
