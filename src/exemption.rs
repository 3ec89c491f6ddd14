//! What a subject is exempt from: by whom, why and until when.
//!
//! ```
//! use tipstaff::ExemptionScope;
//! let scope: ExemptionScope = "type lock_account".parse()?;
//! assert_eq!(scope, ExemptionScope::Type("lock_account".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An exemption of a user covers their sessions. While it lasts nothing that it covers is begun, an
//! order by hand included; granting it calls off what waits and takes back what is in force. A signal
//! that came meanwhile has been decided on: it does not act when the exemption is over.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::action::ActionType;
use crate::id::{ActorId, RuleId, Subject};
use crate::pattern::{Pattern, Payload};
use crate::time::Time;

/// The most exemptions of one subject at a time, and the most by attribute. Our decision: whoever
/// needs more is exempt from everything.
pub const MAX_EXEMPTIONS: usize = 100;

/// The exemptions of one subject.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Exemptions {
    /// Who is exempt.
    pub subject: Subject,
    /// From what: each scope once, those that are over included until another is granted.
    pub granted: Vec<Exempt>,
}

/// What everybody is exempt from whose attributes match, for one tenant.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Waivers {
    /// Each pattern with each scope once; those that are over included until another is granted.
    pub granted: Vec<Waiver>,
}

/// One exemption by attribute.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Waiver {
    /// What must be true of the attributes: the text of a [`Pattern`]. Of somebody of whom nothing is
    /// known only `exists: false` is true.
    pub attributes: String,
    /// From what, why, by whom, until when.
    pub exempt: Exempt,
}

impl Waivers {
    /// What somebody is exempt from of whom these attributes are known. One that cannot be read
    /// exempts nobody.
    #[must_use]
    pub fn of(&self, attributes: Option<&Payload>) -> Vec<Exempt> {
        let matches = |waiver: &&Waiver| {
            Pattern::parse(&waiver.attributes).is_ok_and(|pattern| pattern.matches_known(attributes))
        };
        self.granted.iter().filter(matches).map(|waiver| waiver.exempt.clone()).collect()
    }
}

/// One exemption.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Exempt {
    /// From what.
    pub scope: ExemptionScope,
    /// Why.
    pub reason: String,
    /// Who granted it.
    pub by: ActorId,
    /// When, by decision time.
    pub since: Time,
    /// When it is over; none until it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// What an exemption covers, written as `all`, `rule NAME` or `type NAME`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ExemptionScope {
    /// Every action, of any rule and by hand.
    All,
    /// What one rule asks for.
    Rule(RuleId),
    /// Actions of one type.
    Type(ActionType),
}

/// A text that is no scope of an exemption.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{text}` is no scope of an exemption; accepted: `all`, `rule NAME` or `type NAME`")]
pub struct ExemptionScopeError {
    /// What was given, cut to 80 characters.
    pub text: String,
}

impl FromStr for ExemptionScope {
    type Err = ExemptionScopeError;
    fn from_str(text: &str) -> Result<Self, ExemptionScopeError> {
        let refused = || ExemptionScopeError { text: text.chars().take(80).collect() };
        match text.split_once(' ') {
            None if text == "all" => Ok(Self::All),
            Some(("rule", name)) => name.parse().map(Self::Rule).map_err(|_| refused()),
            Some(("type", name)) => name.parse().map(Self::Type).map_err(|_| refused()),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for ExemptionScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Rule(rule) => write!(f, "rule {rule}"),
            Self::Type(action) => write!(f, "type {action}"),
        }
    }
}

crate::words::serde_as_text!(ExemptionScope);

impl Exemptions {
    /// Of somebody who is exempt from nothing.
    #[must_use]
    pub const fn none(subject: Subject) -> Self {
        Self { subject, granted: Vec::new() }
    }

    /// The exemption in force that covers such an action of that rule: the one that lasts longest.
    #[must_use]
    pub fn covering(&self, rule: Option<&RuleId>, action: &ActionType, now: Time) -> Option<&Exempt> {
        let covers = |exempt: &&Exempt| exempt.is_in_force(now) && exempt.scope.covers(rule, action);
        // None is longer than any time.
        self.granted.iter().filter(covers).max_by_key(|exempt| exempt.until.map_or(Time::MAX, |until| until))
    }
}

impl Exempt {
    /// Whether it holds at that time.
    #[must_use]
    pub fn is_in_force(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl ExemptionScope {
    /// Whether it covers such an action of that rule, or of none.
    #[must_use]
    pub fn covers(&self, rule: Option<&RuleId>, action: &ActionType) -> bool {
        match self {
            Self::All => true,
            Self::Rule(of) => rule == Some(of),
            Self::Type(of) => action == of,
        }
    }
}
