//! The rooms of the console host: [input] turns lines of logs into signals, [outbox] stands for
//! the systems that actions reach.
//!
//! They are a library so that tests and the examples of this package can use them.

pub mod cli;
pub mod input;
pub mod outbox;
