//! The engine on the reference store: its stories, its laws, and what must not be done to it.
//!
//! One program, as each program of tests is linked with the whole library: `cargo test --test engine storms`
//! runs one of its rooms.
#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

mod absence;
mod approvals;
mod attacks;
mod audience;
mod audit_chain;
mod audit_codes;
mod audit_record;
mod caps;
mod catch_up;
mod deliveries;
mod determinism;
mod effects;
mod effects_awaited;
mod effects_clocks;
mod effects_guards;
mod effects_model;
mod execution;
mod explain;
mod first_contact;
mod guards;
mod laws;
mod machines;
mod pages;
mod poison;
mod score_bands;
mod score_engine;
mod score_levels;
mod stories;
mod stories_of_time;
mod storms;
mod subjects;
mod votes;
mod window_races;
mod windows;

#[path = "../support/mod.rs"]
mod support;
