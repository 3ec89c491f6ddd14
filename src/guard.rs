//! What holds an action back, in the order of behaviour 6: mode, kill switch, exemption, guessed subject,
//! confidence, cooldown. The first that applies is the reason; what comes after it is not asked.

use serde::{Deserialize, Serialize};

use crate::action::ActionType;
use crate::exemption::Exemptions;
use crate::id::RuleId;
use crate::rule::{CompiledRule, Mode, Trigger};
use crate::score::Fire;
use crate::signal::{DefaultedField, Signal};
use crate::state::{Control, SubjectState};
use crate::time::Time;
use crate::words::words;

words! {
    /// Why an action was not taken.
    Suppression, "reason of a suppression" {
        KillSwitch: "kill_switch", "a person stopped the tenant, the rule or the action type";
        Exempt: "exempt", "the subject is exempt from it";
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
    pub(crate) subject: &'a SubjectState,
    pub(crate) control: &'a Control,
    pub(crate) exemptions: &'a [Exemptions],
    pub(crate) now: Time,
}

/// The first guard that holds the action back, if one does. Whether it runs in shadow is not
/// asked here: a shadow decision passes the same guards.
pub(crate) fn held_back(q: &Question<'_>) -> Option<Suppressed> {
    kill_switch(q)
        .or_else(|| exempt(q))
        .or_else(|| guessed(q))
        .or_else(|| confidence(q))
        .or_else(|| cooldown(q))
}

fn kill_switch(q: &Question<'_>) -> Option<Suppressed> {
    let stop = q.control.stops(std::iter::once(&q.rule.rule.id), &q.action.spec.name)?;
    Some(Suppressed::new(Suppression::KillSwitch).detail(stop.reason.clone()))
}

fn exempt(q: &Question<'_>) -> Option<Suppressed> {
    exempted(q.exemptions, Some(&q.rule.rule.id), &q.action.spec.name, q.now)
}

/// Whether the subject is exempt from such an action, and until when.
pub(crate) fn exempted(
    exemptions: &[Exemptions],
    rule: Option<&RuleId>,
    action: &ActionType,
    now: Time,
) -> Option<Suppressed> {
    let covering = exemptions.iter().filter_map(|known| known.covering(rule, action, now));
    let exempt = covering.max_by_key(|exempt| exempt.until.unwrap_or(Time::MAX))?;
    let held = Suppressed::new(Suppression::Exempt).detail(exempt.reason.clone());
    Some(Suppressed { until: exempt.until, ..held })
}

fn guessed(q: &Question<'_>) -> Option<Suppressed> {
    let guessed = q.signal.info().defaulted.contains(&DefaultedField::Subject);
    (guessed && q.action.spec.restricts).then(|| Suppressed::new(Suppression::DefaultedSubject))
}

fn confidence(q: &Question<'_>) -> Option<Suppressed> {
    let (Trigger::Score(trigger), Signal::Score(reading)) = (&q.rule.rule.trigger, q.signal) else {
        return None;
    };
    let sure = trigger.is_confident(reading.confidence.as_ref());
    (!sure).then(|| Suppressed::new(Suppression::LowConfidence))
}

fn cooldown(q: &Question<'_>) -> Option<Suppressed> {
    let resting = |until| Suppressed { until: Some(until), ..Suppressed::new(Suppression::Cooldown) };
    if let Some(until) = q.fire.and_then(|fire| fire.cooling_until) {
        return Some(resting(until));
    }
    // Entry into the worst band always fires (behaviour 2.4).
    if q.fire.is_some_and(|fire| fire.worst) {
        return None;
    }
    let cooldown = q.rule.rule.guards.cooldown?;
    // A manual start is a person's decision; it does not wait for a rule's rest.
    if matches!(q.signal, Signal::Manual(_)) {
        return None;
    }
    let cooling = q.subject.resting(q.rule.rule.mode == Mode::Shadow).get(&q.rule.rule.id)?;
    let at = q.signal.at();
    // A late signal from the same storm rests as well, so the window reaches to both sides.
    let within = at < cooling.until && at.after(cooldown.span) > cooling.since;
    within.then(|| resting(cooling.until))
}
