//! Scenarios as data: who locks what in which order. Pure; no database here.

pub mod catalogue;
pub mod effect;
pub mod lock;
pub mod matrix;
pub mod names;
pub mod opposite_order;
pub mod spec;
pub mod sql;
pub mod victim;
pub mod what_if;
