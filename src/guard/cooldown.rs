//! For what a rule rests after it acted, and what falls into such a rest.

use super::{Question, Suppressed, Suppression};
use crate::hash::{Hash, Hasher};
use crate::json::Node;
use crate::pattern::values_at;
use crate::rule::{CompiledRule, CooldownScope};
use crate::signal::Signal;
use crate::state::{Cooling, MAX_RESTING_VALUES, SubjectState, Tally};
use crate::time::Time;

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

pub(super) fn cooldown(q: &Question<'_>) -> Option<Suppressed> {
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
