//! Connections: what a DSN means, how a connection is opened, and the pools that sessions draw from.
//!
//! Probe first, then pool: r2d2 keeps only the text of an error and goes on trying, so the first connection is opened
//! directly, its failure told at once and whole. Then it becomes the observer's, or the pool's first.

mod aside;
mod attempt;
mod backend;
mod cancel;
mod cancel_request;
mod client_certificate;
pub mod conninfo;
mod endpoint;
mod exchange;
mod failure;
mod hostname;
mod leash;
mod open;
mod pool;
mod pooler;
mod probe;
mod revocation;
mod tls;
mod tls_session;
mod verifier;
mod wire;

pub use aside::{Aside, Asides, Nudge};
pub use backend::{Backend, Broken, Reply, ResultSet};
pub use cancel::{CancelHandle, cancel_all};
pub use leash::Leash;
pub use open::open;
pub use pool::{Manager, Pool, Pooled};
pub use pooler::POOLER_PATIENCE;
pub(crate) use pooler::{exhausted, explained, gave_up};
pub use probe::Facts;
