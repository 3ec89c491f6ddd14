//! What a rule has done, as far as it is counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::approval::Finding;
use crate::time::Time;

/// What a rule has done.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct RuleStats {
    /// How often it decided on a signal: acted, was suppressed, or ran in shadow.
    pub fired: u64,
    /// The decision time of the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fired: Option<Time>,
    /// How many enforcements it asked for.
    pub created: u64,
    /// How many of its actions were suppressed, by reason.
    #[serde(default)]
    pub suppressed: BTreeMap<String, u64>,
    /// How many of its actions shadow mode kept from being carried out.
    pub shadow: u64,
    /// How many were approved by people.
    pub approved: u64,
    /// How many people rejected.
    pub rejected: u64,
    /// How many succeeded.
    pub succeeded: u64,
    /// How many failed, for whatever reason.
    pub failed: u64,
    /// How many of its effects were taken back.
    #[serde(default)]
    pub undone: u64,
    /// Enforcements that people found right afterwards.
    #[serde(default)]
    pub true_positives: u64,
    /// Enforcements that people found wrong afterwards.
    #[serde(default)]
    pub false_positives: u64,
}

/// How often a rule was right, of the enforcements that people judged. A share without its number
/// says nothing, so it is shown with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Precision {
    /// How many were right.
    pub right: u64,
    /// How many were judged; at least one.
    pub judged: u64,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent =
            (u128::from(self.right) * 200 + u128::from(self.judged)) / (2 * u128::from(self.judged.max(1)));
        write!(f, "right in {} of {} judged ({percent} %)", self.right, self.judged)
    }
}

impl RuleStats {
    /// The rule's precision; none before anything was judged.
    #[must_use]
    pub const fn precision(&self) -> Option<Precision> {
        let judged = self.true_positives.saturating_add(self.false_positives);
        if judged == 0 {
            return None;
        }
        Some(Precision { right: self.true_positives, judged })
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { fired, created, shadow, approved, rejected, succeeded, failed, undone, .. } = self;
        for (count, more) in [
            (fired, other.fired),
            (created, other.created),
            (shadow, other.shadow),
            (approved, other.approved),
            (rejected, other.rejected),
            (succeeded, other.succeeded),
            (failed, other.failed),
            (undone, other.undone),
            (&mut self.true_positives, other.true_positives),
            (&mut self.false_positives, other.false_positives),
        ] {
            *count = count.saturating_add(more);
        }
        for (reason, more) in &other.suppressed {
            let count = self.suppressed.entry(reason.clone()).or_default();
            *count = count.saturating_add(*more);
        }
        self.last_fired = self.last_fired.max(other.last_fired);
    }

    /// Counts a finding, in the place of an earlier one.
    pub(crate) const fn judged(&mut self, was: Option<Finding>, now: Finding) {
        match was {
            Some(Finding::TruePositive) => self.true_positives = self.true_positives.saturating_sub(1),
            Some(Finding::FalsePositive) => self.false_positives = self.false_positives.saturating_sub(1),
            None => {}
        }
        match now {
            Finding::TruePositive => self.true_positives = self.true_positives.saturating_add(1),
            Finding::FalsePositive => self.false_positives = self.false_positives.saturating_add(1),
        }
    }
}
