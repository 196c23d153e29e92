//! django-lockstep: PostgreSQL's deadlocks, on demand.
//!
//! **Sessions** take **steps** in the order of a **schedule**, watched by an **observer**, told as a **report**.
//!
//! | module | what is there |
//! | --- | --- |
//! | [`connection`] | conninfo, opening, the r2d2 pools, cancelling |
//! | [`engine`] | the one idea: session, step, schedule, observer, run |
//! | [`scenario`] | who locks what in which order, as data |
//! | [`simulate`] | `simulate_deadlock`: the opposite-order scenario on the engine |
//! | [`provoke`] | `provoke_deadlock`: an opponent for code that is not ours |
//! | [`isolation`] | `.spec` files, run as PostgreSQL's isolation tester runs them |
//! | [`together`] | the user's own code in lock-step, on the engine |
//! | [`explore`] | the search over schedules, pure |
//! | [`report`] | the result and its faces |
//! | [`server_log`] | deadlocks in PostgreSQL's own log, as reports |
//! | [`error`] | everything that can go wrong |
//! | [`version`](mod@version) | the version, as Python writes it |
//!
//! The engine knows nothing of Python; the module `python` (feature `python`) is its Python face.

pub mod connection;
pub mod engine;
pub mod error;
pub mod explore;
pub mod isolation;
pub mod provoke;
#[cfg(feature = "python")]
mod python;
pub mod report;
pub mod scenario;
pub mod server_log;
pub mod simulate;
pub mod together;
pub mod version;

pub use error::{Error, ServerError};
pub use simulate::{Options, repeat_deadlock, simulate_deadlock};
