//! How far up a subject is on a rule's ladder.

use serde::{Deserialize, Serialize};

use crate::time::{Span, Time};

/// How far up a subject is on a rule's ladder: only effects that came about count, and they count at
/// the time of the signal that led to them.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Offences {
    /// The rung for the next offence, from 0, before decay.
    pub next: u32,
    /// The time of the latest signal that counted.
    pub last: Time,
}

impl Offences {
    /// The rung for an offence at that time: each whole `decay` since the last takes one back.
    #[must_use]
    pub fn rung(&self, at: Time, decay: Span) -> u32 {
        let periods = (at - self.last).as_millis() / decay.as_millis().max(1);
        self.next.saturating_sub(u32::try_from(periods).unwrap_or(u32::MAX))
    }

    /// After an offence on that rung; a late one does not pull the count back.
    #[must_use]
    pub fn counted(known: Option<Self>, rung: u32, of: u32, at: Time) -> Self {
        let fresh = Self { next: rung.saturating_add(1).min(of.saturating_sub(1)), last: at };
        known.filter(|known| known.last > at).unwrap_or(fresh)
    }
}
