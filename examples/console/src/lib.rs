//! The rooms of the console host: [input] turns lines of logs into signals, [outbox] stands for
//! the systems that actions reach, [store] is a file or a server.
//!
//! They are a library so that tests and the examples of this package can use them.

pub mod cli;
pub mod input;
pub mod outbox;
pub mod store;
