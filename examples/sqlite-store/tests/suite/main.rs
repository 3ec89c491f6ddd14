//! What the store does, seen through the trait. The laws of the contract itself stand in
//! `tests/conformance.rs`.

mod behaviour;
mod file;
mod model;
mod race;
mod support;
