#![doc = include_str!("../README.md")]

mod back_off;
pub mod by_hand;
pub mod tasks;
pub mod threads;

pub use back_off::BackOff;

use std::fmt;
use std::time::{Duration, SystemTime};

use tipstaff::Time;

/// The host's clock: decision time is its word.
#[must_use]
pub fn now() -> Time {
    SystemTime::now().into()
}

/// How long it is until then; nothing where that is past.
#[must_use]
pub fn left_until(moment: Time) -> Duration {
    Duration::from_millis(now().until(moment).as_millis().saturating_add(1))
}

/// The end did not come in good order: a delivery, or what it came to, was not written down in time.
/// Nothing is lost. The leases run out, and another process delivers it again under the same keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Unfinished;

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not all was written down in time; when the leases have run out, others take it up")
    }
}

impl std::error::Error for Unfinished {}
