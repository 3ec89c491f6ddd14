//! What holds an action back, in the order of behaviour 6: mode, kill switch, what was agreed to,
//! exemption, guessed subject, confidence, cooldown. The first that applies is the reason; what comes
//! after it is not asked.

mod cooldown;
mod subject;

use serde::{Deserialize, Serialize};

use crate::exemption::Exemptions;
use crate::rule::CompiledRule;
use crate::score::Fire;
use crate::signal::{LevelWhy, Signal};
use crate::state::{Control, Cooling};
use crate::time::Time;
use crate::words::words;

pub(crate) use cooldown::{RestKey, digest_at, rest_key, resting};
pub(crate) use subject::exempted;

words! {
    /// Why an action was not taken.
    Suppression, "reason of a suppression" {
        KillSwitch: "kill_switch", "a person stopped the tenant, the rule or the action type";
        Exempt: "exempt", "the subject is exempt from it";
        OverAgreed: "over_agreed", "more subjects moved by changed bands than was agreed to";
        DefaultedSubject: "defaulted_subject", "it restricts, and the subject was guessed by the host";
        LowConfidence: "low_confidence", "the score is less sure than the rule asks";
        LateScore: "late_score", "a newer score of the subject is known";
        Cooldown: "cooldown", "the rule rests for this subject";
        MissingVariable: "missing_variable", "a parameter needs a value that the signal lacks";
        BadParameter: "bad_parameter", "a parameter, filled in, is not what its type asks";
    }
}

/// An action that was held back.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Suppressed {
    /// Why.
    pub reason: Suppression,
    /// What exactly: the variable, the switch's own reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When it would lift, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

impl Suppressed {
    pub(crate) const fn new(reason: Suppression) -> Self {
        Self { reason, detail: None, until: None }
    }

    pub(crate) fn detail(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

/// What the guards of one rule ask about.
pub(crate) struct Question<'a> {
    pub(crate) rule: &'a CompiledRule,
    pub(crate) action: &'a crate::rule::CompiledAction,
    pub(crate) signal: &'a Signal,
    pub(crate) fire: Option<&'a Fire>,
    pub(crate) control: &'a Control,
    pub(crate) exemptions: &'a [Exemptions],
    pub(crate) now: Time,
    /// The rest of the rule that the signal falls into.
    pub(crate) rest: Option<&'a Cooling>,
}

/// The first guard that holds the action back, if one does. Whether it runs in shadow is not
/// asked here: a shadow decision passes the same guards.
pub(crate) fn held_back(q: &Question<'_>) -> Option<Suppressed> {
    kill_switch(q)
        .or_else(|| over_agreed(q))
        .or_else(|| subject::exempt(q))
        .or_else(|| subject::guessed(q))
        .or_else(|| subject::confidence(q))
        .or_else(|| cooldown::cooldown(q))
}

fn kill_switch(q: &Question<'_>) -> Option<Suppressed> {
    let stop = q.control.stops(std::iter::once(&q.rule.rule.id), &q.action.spec.name)?;
    Some(Suppressed::new(Suppression::KillSwitch).detail(stop.reason.clone()))
}

fn over_agreed(q: &Question<'_>) -> Option<Suppressed> {
    let Signal::Level(turn) = q.signal else { return None };
    let over = matches!(turn.why, LevelWhy::Reread { over: true, .. });
    over.then(|| Suppressed::new(Suppression::OverAgreed))
}
