//! How long a rule rests after it acted, and for whom.

use super::document::Faults;
use super::item::{Item, Object};
use super::read::{span, word};
use super::window::field;
use super::{MAX_COOLDOWN, MIN_DEADLINE};
use crate::time::Span;

/// How long a rule rests after it acted, by signal time.
///
/// ```
/// let text = r#"{ "id": "storm", "actions": [{ "key": "a", "type": "escalate_to_hr" }],
///     "trigger": { "event": { "pattern": { "kind": ["alert"] } } },
///     "guards": { "cooldown": { "per": "field", "field": "client.ip", "for": "60m" } } }"#;
/// let rule = tipstaff::Rule::from_json(text)?;
/// assert_eq!(rule.guards.cooldown.and_then(|c| c.field().map(str::to_owned)).as_deref(), Some("client.ip"));
/// # Ok::<(), tipstaff::DocumentError>(())
/// ```
///
/// The first signal of a storm is answered. Each further one within the span, on either side of
/// it, is held back, and raises a count on the enforcements that the first one made
/// ([`Enforcement::repeats`](crate::Enforcement::repeats)), also when these are over. The log has
/// one audit record for each signal; what was held back is told by itself at the repeats 1, 2, 4,
/// 8 and so on. [`MAX_RESTS`](crate::MAX_RESTS) and
/// [`MAX_RESTING_VALUES`](crate::MAX_RESTING_VALUES) say what happens where more rests than is
/// remembered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cooldown {
    /// For whom it rests.
    pub per: CooldownScope,
    /// How long.
    pub span: Span,
}

/// For whom a rule rests.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CooldownScope {
    /// For the subject that it acted on.
    Subject,
    /// For the subject and the value of a field of the event, by its dotted path: another value
    /// is another storm. Events without the field share one.
    Field(String),
}

impl Cooldown {
    /// The path of the field for whose values the rule rests, if it rests for values.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        match &self.per {
            CooldownScope::Subject => None,
            CooldownScope::Field(field) => Some(field),
        }
    }
}

/// Reads a cooldown.
pub(super) fn cooldown(item: &Item<'_>, faults: &mut Faults) -> Option<Cooldown> {
    let object = item.object(&["per", "field", "for"], "a cooldown", faults)?;
    let per = scope(&object, faults);
    let span = span(&object.need("for", faults)?, MIN_DEADLINE, MAX_COOLDOWN, faults);
    Some(Cooldown { per: per?, span: span? })
}

/// `per: "subject"`, which needs no saying, or `per: "field"` with the `field`.
fn scope(object: &Object<'_>, faults: &mut Faults) -> Option<CooldownScope> {
    let per = word(object.get("per"), &[("subject", false), ("field", true)], faults);
    let per_field = match object.get("per") {
        Some(_) => per?,
        None => object.get("field").is_some(),
    };
    if per_field {
        return field(&object.need("field", faults)?, faults).map(CooldownScope::Field);
    }
    if let Some(field) = object.get("field") {
        field.kind_fault("no `field` where the rule rests per `subject`", faults);
        return None;
    }
    Some(CooldownScope::Subject)
}
