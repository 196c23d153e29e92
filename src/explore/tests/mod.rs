//! The search against a model of row locks: what is found, what is counted, and that nothing is missed.

mod counts;
mod diverged;
mod model;
mod soundness;
