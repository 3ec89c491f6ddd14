//! What lets go of effects, and how far that has come.

use serde::{Deserialize, Serialize};

use crate::exemption::ExemptionScope;
use crate::id::{ActorId, RuleId, Subject};
use crate::time::Time;

/// What must let go of effects, page by page: it goes on after a crash where it stopped.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Sweep {
    /// What lets go.
    pub cause: SweepCause,
    /// Who brought that about; none for the engine itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<ActorId>,
    /// Why, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When: what began later stays, where the rule acts again or the exemption is over.
    pub since: Time,
    /// Whether the effects are done, and what waits is called off next.
    pub waiting: bool,
    /// How far it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Whether it is over.
    pub done: bool,
}

/// What lets go of effects.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SweepCause {
    /// A rule that acts no more.
    Rule(RuleId),
    /// A subject who was exempted: from what, whatever became of the exemption since.
    Exempt {
        /// Who.
        subject: Subject,
        /// From what.
        scope: ExemptionScope,
    },
    /// Everybody was exempted whose attributes match.
    Waived {
        /// The text of the pattern.
        attributes: String,
        /// From what.
        scope: ExemptionScope,
    },
}
