//! A record as a store sees it: a body that it need not understand, and the columns that it
//! indexes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::query::Facet;
use crate::action::ActionType;
use crate::id::{CommitId, TenantId, WorkerId};
use crate::time::Time;
use crate::words::words;

words! {
    /// What a record is. The values sort as their words do, so that a store may keep the words.
    Kind, "kind of record" {
        Approval: "approval", "a request for people's agreement";
        Away: "away", "which administrators are being taken away";
        Book: "book", "which rules of the tenant are in force";
        Cap: "cap", "what was made under a cap, window by window";
        Change: "change", "a change of bands on its way through the subjects";
        Control: "control", "what people have stopped";
        Effect: "effect", "a restriction of a subject, and who holds it";
        Enforcement: "enforcement", "one action on one subject";
        Entry: "entry", "which revision of a rule is in force, and whether it is active";
        Exemption: "exemption", "what a subject is exempt from";
        Notice: "notice", "a notice to an approver";
        Rule: "rule", "one revision of a rule, never changed";
        Run: "run", "one run of a timetable over its audience";
        Stats: "stats", "what a rule has done";
        Subject: "subject", "what is known of a subject";
        Sweep: "sweep", "the letting go of what a rule, or an exempted subject's rules, held";
        Tally: "tally", "what a rule remembers of a subject: what its window counted, for what it rests";
        Timer: "timer", "where a timetable stands";
        Trigger: "trigger", "a signal that concerned a rule, and the decision on it";
        Waiver: "waiver", "what everybody with certain attributes is exempt from";
        Watch: "watch", "what a rule that waits for something has heard about a user";
    }
}

/// Where a record stands: tenant first.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Key {
    /// Its owner.
    pub tenant: TenantId,
    /// What it is.
    pub kind: Kind,
    /// Its id within the kind: at most 600 bytes of text.
    pub id: String,
}

impl Key {
    /// The key of that kind and id.
    #[must_use]
    pub fn new(tenant: &TenantId, kind: Kind, id: impl Into<String>) -> Self {
        Self { tenant: tenant.clone(), kind, id: id.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.kind, self.id)
    }
}

/// A record with the columns that a store indexes.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Record {
    /// Where it stands.
    pub key: Key,
    /// How often it was written. In a put: the version that it replaces, 0 for a new record.
    pub version: u64,
    /// When it came into being: the order of queries. It never changes.
    pub at: Time,
    /// When its timer runs out, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Time>,
    /// Where it waits to be claimed, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queue>,
    /// Who holds it, if it was claimed. A put that keeps the lease leaves its end as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// The token of the last claim; 0 before the first. A put keeps it.
    #[serde(default)]
    pub token: u64,
    /// What queries filter by; a facet may have several values.
    #[serde(default)]
    pub facets: Vec<(Facet, String)>,
    /// The content: JSON text that only the engine reads.
    pub body: String,
}

/// Where a record waits to be claimed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Queue {
    /// Which channel must carry it.
    pub channel: ActionType,
    /// From when it may be claimed, in decision time.
    pub ready_at: Time,
}

/// Who holds a claimed record.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Lease {
    /// The process.
    pub worker: WorkerId,
    /// The nonce of its claim.
    pub nonce: CommitId,
    /// When the lease runs out, by the store's clock.
    pub until: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_sort_as_their_words() {
        assert!(Kind::ALL.is_sorted_by(|a, b| a < b && a.as_str() < b.as_str()));
    }
}
