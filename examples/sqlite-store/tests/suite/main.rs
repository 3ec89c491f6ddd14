//! What the store does, seen through the trait. The laws of the contract itself stand in
//! `tests/conformance.rs`.
#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod behaviour;
mod file;
mod model;
mod race;
mod reference;
mod support;
