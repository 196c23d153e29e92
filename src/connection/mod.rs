//! Connections: what a DSN means, how a connection is opened, and the pools that sessions draw from.

pub mod conninfo;
