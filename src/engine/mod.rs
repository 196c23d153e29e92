//! The one idea: **sessions** take **steps** in the order of a **schedule**, watched by an **observer**.
//!
//! *The lock-step rule*: the next step is released only when the previous one has completed, failed, or the *server*
//! says that it waits for a lock. See [`run`] for the loop that keeps it.

pub mod caller;
mod handed;
mod journal;
mod member;
pub mod observer;
mod questions;
mod record;
pub mod run;
pub mod schedule;
pub mod script;
mod seat;
pub mod session;
pub mod step;

pub use caller::{Caller, Halt, OwnBackend, Silent, Threads, supervise};
pub use observer::Observer;
pub use record::{Ending, HeldUp, Helper, Record, Stuck};
pub use run::{Run, Settled};
pub use schedule::{Board, Decision, InOrder, Schedule, Standing};
pub use script::{Fixed, Laps, Script};
pub use session::{Driver, End, Gate, Message, Permit, SessionId, Stopped};
pub use step::{Access, Reach, Step, StepKind, StepResult};
