//! Action types of every origin under one roof.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::params::{MAX_PARAMS, Param};
use super::table::{self, BuiltinAction};
use crate::time::Span;
use crate::words::words;

/// The most types that a host and a tenant may add to the built-in ones.
pub const MAX_ACTION_TYPES: usize = 200;

/// The name of an action type: `lock_account`, or one that a host or a tenant added.
///
/// 1 to 64 lower-case letters, digits and `_`, beginning with a letter.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ActionType(Arc<str>);

impl ActionType {
    /// The channel on which approvers are told of a request. No rule can name it: the engine
    /// itself asks for it, and a delivery that claims it tells people.
    #[must_use]
    pub fn approval_notice() -> Self {
        Self("approval_notice".into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ActionType {
    type Err = SpecFault;
    fn from_str(text: &str) -> Result<Self, SpecFault> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        let begins = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if begins && text.len() <= 64 && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(SpecFault::Name)
        }
    }
}

impl From<BuiltinAction> for ActionType {
    fn from(builtin: BuiltinAction) -> Self {
        Self(builtin.as_str().into())
    }
}

impl fmt::Display for ActionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ActionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

crate::words::serde_as_text!(ActionType);

words! {
    /// What kind of action a type is.
    Category, "category" {
        Notification: "notification", "tells somebody something";
        Training: "training", "teaches the subject something";
        AccessControl: "access_control", "changes what the subject can reach";
        Integration: "integration", "hands over to another system";
        GuidedCorrection: "guided_correction", "asks the subject to put it right themselves";
        Escalation: "escalation", "brings in HR or a manager";
    }

    /// What a second delivery of the same action does (behaviour 5.1, 8.3).
    RetrySafety, "retry safety" {
        Idempotent: "idempotent", "nothing: the effect is a state that is set";
        Keyed: "keyed", "nothing, where the target honours the key";
        TimeSensitive: "time_sensitive", "nothing if it comes in time, harm if it comes late";
        NotIdempotent: "not_idempotent", "the effect again";
    }
}

impl RetrySafety {
    /// How such an action is tried again. The numbers are our decision. An attempt counts from its
    /// claim, so a process that is ended takes one with it.
    #[must_use]
    pub const fn retry(self) -> Retry {
        let (attempts, first, cap, not_after) = match self {
            Self::Idempotent | Self::Keyed => (10, Span::secs(5), Span::hours(1), None),
            Self::TimeSensitive => (10, Span::secs(2), Span::mins(1), Some(Span::hours(1))),
            Self::NotIdempotent => (10, Span::secs(30), Span::hours(1), None),
        };
        Retry { safety: self, attempts, first, cap, not_after }
    }
}

/// When and how often an action is tried again.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Retry {
    /// What a repeat does.
    pub safety: RetrySafety,
    /// How many attempts there are in all; each claim counts as one.
    pub attempts: u32,
    /// The wait after the first failed attempt; it doubles from then on.
    pub first: Span,
    /// The longest wait.
    pub cap: Span,
    /// How long after it is first ready an action may still start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Span>,
}

/// What counts as success (behaviour 5.6).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Success {
    /// The target took the action.
    #[default]
    Accepted,
    /// The target reported later that it is done; without that report within the span the
    /// outcome is unknown.
    Confirmed(Span),
}

/// All that is known of one action type.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionSpec {
    /// Its name in rules and records.
    pub name: ActionType,
    /// Its name on a screen.
    pub title: String,
    /// Its kind.
    pub category: Category,
    /// Whether people must agree where a rule says nothing of approval.
    pub approval: bool,
    /// Whether it takes something away from a person.
    pub restricts: bool,
    /// The action that takes it back, where there is one.
    pub inverse: Option<ActionType>,
    /// What a repeat does.
    pub retry: RetrySafety,
    /// What counts as success, unless a rule says otherwise.
    pub success: Success,
    /// Its parameters.
    pub params: Vec<Param>,
    /// Whether further text parameters are handed on, as variables of a template.
    pub open: bool,
    /// The delivery channel that carries it: a delivery claims channels. By default its name.
    pub channel: ActionType,
}

impl ActionSpec {
    /// A type with the cautious defaults: it needs approval, restricts, cannot be taken back, and
    /// is not repeated when an answer is lost.
    #[must_use]
    pub fn new(name: ActionType, title: impl Into<String>, category: Category) -> Self {
        Self {
            channel: name.clone(),
            name,
            title: title.into(),
            category,
            approval: true,
            restricts: true,
            inverse: None,
            retry: RetrySafety::NotIdempotent,
            success: Success::Accepted,
            params: Vec::new(),
            open: false,
        }
    }
}

/// Why an action type cannot be added.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpecFault {
    /// The name has another form.
    #[error(
        "no action type's name; accepted: 1 to 64 lower-case letters, digits and `_`, beginning with a letter"
    )]
    Name,
    /// There is such a type already.
    #[error("the action type `{0}` exists already; choose another name")]
    Exists(ActionType),
    /// More than [`MAX_ACTION_TYPES`].
    #[error("more than 200 added action types")]
    TooMany,
    /// More parameters than [`MAX_PARAMS`].
    #[error("`{0}` has more than 64 parameters")]
    TooManyParams(ActionType),
    /// Two parameters of one name.
    #[error("`{0}` has two parameters named `{1}`")]
    RepeatedParam(ActionType, String),
    /// The inverse is the type itself.
    #[error("`{0}` is its own inverse; name the action that takes it back, or none")]
    OwnInverse(ActionType),
    /// There is no action type of the inverse's name.
    #[error("the inverse of `{0}`, `{1}`, is no action type; declare it as well, or name none")]
    UnknownInverse(ActionType, ActionType),
    /// What takes a restriction back restricts itself.
    #[error("the inverse of `{0}`, `{1}`, restricts; accepted: a type that takes nothing away")]
    RestrictingInverse(ActionType, ActionType),
}

/// The action types that rules may use: the built-in ones and those added beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionCatalog {
    types: BTreeMap<ActionType, ActionSpec>,
}

impl Default for ActionCatalog {
    /// The built-in types.
    fn default() -> Self {
        let specs = BuiltinAction::ALL.iter().map(|builtin| builtin.spec());
        Self { types: specs.map(|spec| (spec.name.clone(), spec)).collect() }
    }
}

impl ActionCatalog {
    /// Adds a type of the host's or the tenant's.
    ///
    /// # Errors
    /// Every [`SpecFault`]; nothing is added then.
    pub fn register(&mut self, spec: ActionSpec) -> Result<(), SpecFault> {
        let name = spec.name.clone();
        let taken = self.types.contains_key(&name) || table::inverse(&name).is_some();
        if taken || name == ActionType::approval_notice() {
            return Err(SpecFault::Exists(name));
        }
        // That channel tells approvers what to answer; nobody else may speak on it.
        if spec.channel == ActionType::approval_notice() {
            return Err(SpecFault::Exists(spec.channel));
        }
        if self.types.len() >= BuiltinAction::ALL.len() + MAX_ACTION_TYPES {
            return Err(SpecFault::TooMany);
        }
        if spec.params.len() > MAX_PARAMS {
            return Err(SpecFault::TooManyParams(name));
        }
        if spec.inverse.as_ref() == Some(&name) {
            return Err(SpecFault::OwnInverse(name));
        }
        for (i, param) in spec.params.iter().enumerate() {
            if spec.params[..i].iter().any(|earlier| earlier.name == param.name) {
                return Err(SpecFault::RepeatedParam(name, param.name.clone()));
            }
        }
        self.types.insert(name, spec);
        Ok(())
    }

    /// The type that takes such an action back, where there is one: a built-in inverse, which no
    /// rule can name, or a type of the catalogue.
    #[must_use]
    pub fn inverse(&self, spec: &ActionSpec) -> Option<ActionSpec> {
        let name = spec.inverse.as_ref()?;
        table::inverse(name).or_else(|| self.types.get(name).cloned())
    }

    /// Why the inverse that a type names cannot take it back.
    pub(crate) fn inverse_fault(&self, spec: &ActionSpec) -> Option<SpecFault> {
        let name = spec.inverse.clone()?;
        match self.inverse(spec) {
            None => Some(SpecFault::UnknownInverse(spec.name.clone(), name)),
            Some(inverse) if inverse.restricts => {
                Some(SpecFault::RestrictingInverse(spec.name.clone(), name))
            }
            Some(_) => None,
        }
    }

    /// What is known of a type.
    #[must_use]
    pub fn get(&self, name: &ActionType) -> Option<&ActionSpec> {
        self.types.get(name)
    }

    /// Every type, by name.
    pub fn iter(&self) -> impl Iterator<Item = &ActionSpec> {
        self.types.values()
    }
}
