//! What people say of an enforcement afterwards.

use serde::{Deserialize, Serialize};

use crate::id::ActorId;
use crate::time::Time;
use crate::words::words;

words! {
    /// Whether an enforcement was right, as alert queues call it.
    Finding, "finding" {
        TruePositive: "true_positive", "the subject did what the rule looks for";
        FalsePositive: "false_positive", "the rule was wrong about the subject";
    }
}

/// Somebody's finding on an enforcement.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Judgement {
    /// What they found.
    pub finding: Finding,
    /// Who.
    pub by: ActorId,
    /// When.
    pub at: Time,
    /// What they said to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}
