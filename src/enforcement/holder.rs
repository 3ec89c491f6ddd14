//! Who asks for an enforcement, and what outlives a change of rules and catalogue.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::{ActionSpec, ActionType, Category, Retry, Success};
use crate::id::{ActionKey, ActorId, RuleId};
use crate::time::Span;

/// A rule that asks for an enforcement.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Holder {
    /// The rule.
    pub rule: RuleId,
    /// Its revision at the time.
    pub revision: u32,
    /// The action in it.
    pub key: ActionKey,
    /// How long it holds the effect; none until somebody lets go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// The rung of the rule's ladder that this is, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rung: Option<Rung>,
    /// Whether what led to it is checked again before it is carried out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recheck: bool,
}

/// A rung of a ladder.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Rung {
    /// Which, from 0.
    pub rung: u32,
    /// How many there are.
    pub of: u32,
}

/// Who holds an effect: as long as anybody does, it stands.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Holding {
    /// A rule, whatever its revision.
    Rule(RuleId),
    /// Whoever ordered it by hand, without a rule.
    Person(ActorId),
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => write!(f, "rule `{rule}`"),
            Self::Person(actor) => write!(f, "{actor}"),
        }
    }
}

/// How an action is carried out: all of its type that outlives a change of the catalogue.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Means {
    /// What is done.
    pub action: ActionType,
    /// The kind of what is done.
    pub category: Category,
    /// The delivery channel that carries it.
    pub channel: ActionType,
    /// How it is tried again.
    pub retry: Retry,
    /// What counts as success.
    pub success: Success,
}

impl From<&ActionSpec> for Means {
    fn from(spec: &ActionSpec) -> Self {
        Self {
            action: spec.name.clone(),
            category: spec.category,
            channel: spec.channel.clone(),
            retry: spec.retry.retry(),
            success: spec.success,
        }
    }
}
