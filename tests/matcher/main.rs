//! The matcher against the interpreter.
//!
//! What counts its allocations and its memory stands in programs of their own, as it replaces the allocator.

mod borders;
mod data;
mod oracle;
mod updates;
