//! How work is carried out: in turn, in batches, renewed, handed back, called off and tried again.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

#[path = "../support/mod.rs"]
mod support;

mod age;
mod batches;
mod doubt;
mod ends;
mod groups;
mod narrow;
mod people;
