//! What holds an action back, in the order of behaviour 6: mode, kill switch, what was agreed to,
//! time, rollout, protection, exemption, the last administrators, guessed subject, confidence, cooldown.
//! The first that applies is the reason; what comes
//! after it is not asked.

mod protected;
mod rollout;
mod times;

use serde::{Deserialize, Serialize};

use crate::action::{ActionSpec, ActionType};
use crate::exemption::Exemptions;
use crate::hash::{Hash, Hasher};
use crate::id::RuleId;
use crate::json::Node;
use crate::pattern::{Payload, values_at};
use crate::rule::{CompiledRule, CooldownScope, Settings, Trigger};
use crate::score::Fire;
use crate::signal::{DefaultedField, LevelWhy, Signal};
use crate::state::{Control, Cooling, MAX_RESTING_VALUES, SubjectState, Tally};
use crate::time::Time;
use crate::words::words;

pub(crate) use protected::{Keeping, protected};

words! {
    /// Why an action was not taken.
    Suppression, "reason of a suppression" {
        KillSwitch: "kill_switch", "a person stopped the tenant, the rule or the action type";
        NotBefore: "not_before", "the time from which the rule acts has not come";
        NotAfter: "not_after", "the time until which the rule acts is over";
        Maintenance: "maintenance", "a maintenance window holds it";
        QuietHours: "quiet_hours", "it is held in quiet hours";
        Rollout: "rollout", "the rule does not act on this user yet";
        Protected: "protected", "the subject is protected from it";
        AttributesUnknown: "attributes_unknown", "it restricts, and nobody knows whether the subject is protected";
        LastAdministrators: "last_administrators", "too few usable administrators would remain";
        AdministratorsUnknown: "administrators_unknown", "it could take an administrator away, and nobody knows who they are";
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
    pub(crate) settings: &'a Settings,
    /// What is known of the user's attributes.
    pub(crate) known: Option<&'a Payload>,
    pub(crate) keeping: Keeping<'a>,
    pub(crate) now: Time,
    /// The rest of the rule that the signal falls into.
    pub(crate) rest: Option<&'a Cooling>,
}

/// For what a rule rests after it acted on a signal: the subject as a whole, or a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RestKey {
    Subject,
    Value(Hash),
}

/// The digest of a value, the same whatever its spelling.
pub(crate) fn digest_at(node: &Node<'_>) -> Hash {
    node.feed(Hasher::new("tipstaff/value/1")).finish()
}

/// For what the rule rests on such a signal, if it ever rests; `tree` is the event's payload.
pub(crate) fn rest_key(rule: &CompiledRule, signal: &Signal, tree: Option<&Node<'_>>) -> Option<RestKey> {
    let cooldown = rule.rule.guards.cooldown.as_ref()?;
    // A manual start is a person's decision; it does not wait for a rule's rest.
    if matches!(signal, Signal::Manual(_)) {
        return match cooldown.per {
            CooldownScope::Subject => Some(RestKey::Subject),
            CooldownScope::Field(_) => None,
        };
    }
    Some(match &cooldown.per {
        CooldownScope::Subject => RestKey::Subject,
        CooldownScope::Field(field) => {
            let values = tree.map(|tree| values_at(tree, field)).unwrap_or_default();
            let hasher = Hasher::new("tipstaff/resting/1").number(values.len() as u64);
            RestKey::Value(values.into_iter().fold(hasher, |h, node| h.hash(&digest_at(node))).finish())
        }
    })
}

/// The rest of the rule that a signal of that time falls into, if there is one. Where as many values rest as are
/// remembered, a further one falls into the rest that began last.
pub(crate) fn resting<'a>(
    rule: &CompiledRule,
    signal: &Signal,
    at: Time,
    key: Option<RestKey>,
    subject: &'a SubjectState,
    tally: Option<&'a Tally>,
) -> Option<&'a Cooling> {
    let span = rule.rule.guards.cooldown.as_ref()?.span;
    if matches!(signal, Signal::Manual(_)) {
        return None;
    }
    match key? {
        RestKey::Subject => subject.resting(rule.is_shadow()).get(&rule.rule.id)?.holding(at, span),
        RestKey::Value(value) => {
            let resting = &tally?.resting;
            if let Some(rests) = resting.get(&value) {
                return rests.holding(at, span);
            }
            let held: Vec<&Cooling> = resting.values().filter_map(|rests| rests.holding(at, span)).collect();
            let full = held.len() >= MAX_RESTING_VALUES;
            held.into_iter().filter(|_| full).max_by_key(|rest| (rest.since, rest.repeats))
        }
    }
}

/// The first guard that holds the action back, if one does. Whether it runs in shadow is not
/// asked here: a shadow decision passes the same guards.
pub(crate) fn held_back(q: &Question<'_>) -> Option<Suppressed> {
    kill_switch(q)
        .or_else(|| over_agreed(q))
        .or_else(|| times(q))
        .or_else(|| rollout(q))
        .or_else(|| protected(q.settings, &q.action.spec, q.signal.subject(), q.known))
        .or_else(|| exempt(q))
        .or_else(|| q.keeping.held(&q.action.spec, &q.signal.subject().user))
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

fn times(q: &Question<'_>) -> Option<Suppressed> {
    times::held(Some(&q.rule.rule.guards.times), &q.settings.times, &q.action.spec, q.now)
}

fn rollout(q: &Question<'_>) -> Option<Suppressed> {
    let subject = q.signal.subject();
    let by_hand = matches!(q.signal, Signal::Manual(_));
    let share = q.rule.rule.guards.rollout.filter(|_| !by_hand);
    rollout::held(share, q.signal.tenant(), &q.rule.rule.id, &subject.user)
}

/// What holds back what a person orders beside all rules: every guard but those of a rule.
pub(crate) fn order_held_back(
    spec: &ActionSpec,
    signal: &Signal,
    control: &Control,
    exemptions: &[Exemptions],
    keeping: &Keeping<'_>,
    known: Option<&Payload>,
    now: Time,
) -> Option<Suppressed> {
    let stop = control.stops(std::iter::empty(), &spec.name);
    let stopped = stop.map(|stop| Suppressed::new(Suppression::KillSwitch).detail(stop.reason.clone()));
    let settings = keeping.settings;
    stopped
        .or_else(|| times::held(None, &settings.times, spec, now))
        .or_else(|| protected(settings, spec, signal.subject(), known))
        .or_else(|| exempted(exemptions, None, &spec.name, now))
        .or_else(|| keeping.held(spec, &signal.subject().user))
}

fn over_agreed(q: &Question<'_>) -> Option<Suppressed> {
    let Signal::Level(turn) = q.signal else { return None };
    let over = matches!(turn.why, LevelWhy::Reread { over: true, .. });
    over.then(|| Suppressed::new(Suppression::OverAgreed))
}

fn guessed(q: &Question<'_>) -> Option<Suppressed> {
    let guessed = q.signal.info().defaulted.contains(&DefaultedField::Subject);
    (guessed && q.action.spec.restricts).then(|| Suppressed::new(Suppression::DefaultedSubject))
}

fn confidence(q: &Question<'_>) -> Option<Suppressed> {
    let Trigger::Score(trigger) = &q.rule.rule.trigger else { return None };
    let stated = match q.signal {
        Signal::Score(reading) => &reading.confidence,
        Signal::Level(turn) => &turn.confidence,
        _ => return None,
    };
    let sure = trigger.is_confident(stated.as_ref());
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
    let rest = q.rest?;
    let held = resting(rest.until);
    Some(match rest.made.get(&q.action.action.key) {
        Some(made) => held.detail(format!("repeat {} of {made}", rest.repeats.saturating_add(1))),
        None => held,
    })
}
