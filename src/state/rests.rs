//! When a rule rests: after it acted, and on both sides of that instant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{ActionKey, EnforcementId};
use crate::time::{Span, Time};

/// How many rests of one rule are remembered for a subject, or a value, the newest ones. A signal
/// that is older than all of them, when there are so many, rests with the oldest: a storm of late
/// signals is answered as few times as one of fresh ones.
pub const MAX_RESTS: usize = 8;

/// A rule rests for a subject.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Cooling {
    /// The time of the signal that it acted on.
    pub since: Time,
    /// Until when it rests, by signal time.
    pub until: Time,
    /// How often it would have acted again meanwhile.
    pub repeats: u64,
    /// What it made when it acted, by the actions' keys: the records on which repeats are counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub made: BTreeMap<ActionKey, EnforcementId>,
}

/// The rests of one rule: the newest, and those before it, for signals that come late.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rests {
    /// The newest.
    #[serde(flatten)]
    pub newest: Cooling,
    /// Those before, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Cooling>,
}

impl Rests {
    /// The first of them.
    #[must_use]
    pub const fn new(cooling: Cooling) -> Self {
        Self { newest: cooling, earlier: Vec::new() }
    }

    /// The rest that holds back a signal of that time, if one does. A late signal of the storm
    /// rests as well, so each reaches to both sides.
    #[must_use]
    pub fn holding(&self, at: Time, span: Span) -> Option<&Cooling> {
        let holds = |rest: &&Cooling| at < rest.until && at.after(span) > rest.since;
        let oldest =
            self.earlier.last().filter(|oldest| self.earlier.len() + 1 >= MAX_RESTS && at < oldest.since);
        std::iter::once(&self.newest).chain(&self.earlier).find(holds).or(oldest)
    }

    /// Counts a signal that rests with the one that began then.
    pub(crate) fn repeat(&mut self, since: Time) {
        let all = std::iter::once(&mut self.newest).chain(&mut self.earlier);
        all.filter(|rest| rest.since == since).take(1).for_each(|rest| rest.repeats += 1);
    }

    /// Begins another. Time never moves back: a late one finds its place among those before.
    pub(crate) fn begin(&mut self, cooling: Cooling) {
        let cooling = if cooling.since > self.newest.since {
            std::mem::replace(&mut self.newest, cooling)
        } else if cooling.since == self.newest.since {
            return;
        } else {
            cooling
        };
        let place = self.earlier.partition_point(|known| known.since > cooling.since);
        if self.earlier.get(place).is_none_or(|known| known.since != cooling.since) {
            self.earlier.insert(place, cooling);
            self.earlier.truncate(MAX_RESTS - 1);
        }
    }
}
