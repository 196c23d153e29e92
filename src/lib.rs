//! django-lockstep's engine.
//!
//! **Sessions** take **steps** in the order of a **schedule**, watched by an **observer**, told as a **report**.

pub mod connection;
#[cfg(feature = "python")]
mod python;
