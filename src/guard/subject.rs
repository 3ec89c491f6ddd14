//! Who the subject is, and how sure it is that it is they.

use super::{Question, Suppressed, Suppression};
use crate::action::ActionType;
use crate::exemption::Exemptions;
use crate::id::RuleId;
use crate::rule::Trigger;
use crate::signal::{DefaultedField, Signal};
use crate::time::Time;

pub(super) fn exempt(q: &Question<'_>) -> Option<Suppressed> {
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

pub(super) fn guessed(q: &Question<'_>) -> Option<Suppressed> {
    let guessed = q.signal.info().defaulted.contains(&DefaultedField::Subject);
    (guessed && q.action.spec.restricts).then(|| Suppressed::new(Suppression::DefaultedSubject))
}

pub(super) fn confidence(q: &Question<'_>) -> Option<Suppressed> {
    let Trigger::Score(trigger) = &q.rule.rule.trigger else { return None };
    let stated = match q.signal {
        Signal::Score(reading) => &reading.confidence,
        Signal::Level(turn) => &turn.confidence,
        _ => return None,
    };
    let sure = trigger.is_confident(stated.as_ref());
    (!sure).then(|| Suppressed::new(Suppression::LowConfidence))
}
