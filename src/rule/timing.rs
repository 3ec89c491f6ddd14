//! When an action runs, and how long its effect stands: the members `for`, `delay`, `recheck` and
//! `not_after` of an action in a document.
//!
//! ```
//! use tipstaff::{Hold, RuleSet, Span};
//! let rules = RuleSet::from_json(r#"{
//!   "approvers": { "default": "security", "groups": { "security": ["u-sec-1", "u-sec-2"] } },
//!   "rules": [{ "id": "brute-force",
//!     "trigger": { "event": { "pattern": { "eventType": ["user.account.attacked"] } } },
//!     "actions": [
//!       { "key": "lock", "type": "lock_account", "delay": "15m",
//!         "for": { "ladder": ["1h", "24h", "7d"], "decay": "30d" } },
//!       { "key": "narrow", "type": "restrict_access", "params": { "scope": "vpn" }, "for": "24h" },
//!       { "key": "end", "type": "revoke_sessions", "not_after": "10m", "recheck": false } ] }] }"#)?;
//! let rule = rules.rules().next().unwrap();
//! assert_eq!(rule.actions[1].action.timing.hold, Some(Hold::For(Span::hours(24))));
//! # Ok::<(), tipstaff::DocumentError>(())
//! ```
//!
//! A ladder is what fail2ban calls `bantime.increment` (with `bantime.multipliers` and
//! `bantime.maxtime`) and what CrowdSec's profiles compute with `duration_expr` from the number of
//! earlier decisions: each further offence stands longer. Ours names the spans one by one, because an
//! author must see what a person is given, and it decays: each whole `decay` without an offence takes
//! one rung back.

use super::document::{Faults, RuleFault, below};
use super::item::{Item, Object};
use super::read::span;
use super::{MAX_APPROVAL_WITHIN, MIN_DEADLINE, RuleAction};
use crate::action::{ActionCatalog, ActionSpec, Category};
use crate::time::Span;

/// The longest time that an effect stands before it is taken back by itself; what is to stand longer
/// is held until somebody lets go. Our decision.
pub const MAX_EFFECT_HOLD: Span = Span::days(366);
/// The longest delay of an action. Our decision: that of a request for approval.
pub const MAX_DELAY: Span = Span::days(30);
/// The fewest rungs of a ladder: with one it would be a plain `for`.
pub const MIN_RUNGS: usize = 2;
/// The most rungs of a ladder. Our decision; fail2ban's own example of multipliers has about that
/// many.
pub const MAX_RUNGS: usize = 10;

/// When an action runs, and how long its effect stands.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Timing {
    /// How long its effect stands (`for`), from the moment when it is there; without one it stands
    /// until somebody lets go. Only for types that restrict and can be taken back.
    pub hold: Option<Hold>,
    /// How long after the decision it may start at the earliest: until then anybody who may call it
    /// off has a veto. At most [`MAX_DELAY`].
    pub delay: Option<Span>,
    /// Whether what led to it is checked again before it is carried out; by default for access
    /// control.
    pub recheck: Option<bool>,
    /// How long after it is ready it may still start; without one, what its type says.
    pub not_after: Option<Span>,
}

/// How long an effect stands.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Hold {
    /// That long, each time; at most [`MAX_EFFECT_HOLD`].
    For(Span),
    /// Longer for those who do it again.
    Ladder(Ladder),
}

/// Spans for the first offence of a subject against a rule, the second, and so on; the last one for
/// all that follow.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Ladder {
    /// The spans, each longer than the one before: [`MIN_RUNGS`] to [`MAX_RUNGS`].
    pub rungs: Vec<Span>,
    /// How long without an offence, by signal time, takes one rung back.
    pub decay: Span,
}

impl Ladder {
    /// A ladder of these rungs that decays by one for each such span.
    #[must_use]
    pub const fn new(rungs: Vec<Span>, decay: Span) -> Self {
        Self { rungs, decay }
    }
}

impl Timing {
    /// Whether what led to an action of that type is checked again before it is carried out.
    #[must_use]
    pub fn rechecks(&self, spec: &ActionSpec) -> bool {
        self.recheck.unwrap_or(spec.category == Category::AccessControl)
    }
}

/// The members of an action that belong here.
pub(super) fn read(object: &Object<'_>, faults: &mut Faults) -> Timing {
    let mut within = |name, most| object.get(name).and_then(|item| span(&item, MIN_DEADLINE, most, faults));
    let (delay, not_after) = (within("delay", MAX_DELAY), within("not_after", MAX_APPROVAL_WITHIN));
    Timing {
        hold: object.get("for").and_then(|item| hold(&item, faults)),
        delay,
        recheck: object.get("recheck").and_then(|item| item.flag(faults)),
        not_after,
    }
}

fn hold(item: &Item<'_>, faults: &mut Faults) -> Option<Hold> {
    if !matches!(item.node.value, crate::json::Value::Object(_)) {
        return span(item, MIN_DEADLINE, MAX_EFFECT_HOLD, faults).map(Hold::For);
    }
    let object =
        item.object(&["ladder", "decay"], "a span, or an object with `ladder` and `decay`", faults)?;
    let rungs = object.need("ladder", faults).and_then(|item| item.items("an array of spans", faults));
    let read = |item: &Item<'_>| span(item, MIN_DEADLINE, MAX_EFFECT_HOLD, faults);
    let rungs = rungs.map(|rungs| rungs.iter().map(read).collect::<Vec<_>>());
    let decay = object.need("decay", faults).and_then(|item| span(&item, MIN_DEADLINE, Span::MAX, faults));
    let rungs = rungs?.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Hold::Ladder(Ladder { rungs, decay: decay? }))
}

/// The members as [`read`] reads them.
pub(super) fn write(timing: &Timing) -> [(&'static str, Option<String>); 4] {
    let text = |span: Span| format!("\"{span}\"");
    let hold = timing.hold.as_ref().map(|hold| match hold {
        Hold::For(span) => text(*span),
        Hold::Ladder(ladder) => {
            let rungs: Vec<_> = ladder.rungs.iter().map(|rung| text(*rung)).collect();
            format!("{{\"ladder\":[{}],\"decay\":{}}}", rungs.join(","), text(ladder.decay))
        }
    });
    [
        ("for", hold),
        ("delay", timing.delay.map(text)),
        ("recheck", timing.recheck.map(|recheck| recheck.to_string())),
        ("not_after", timing.not_after.map(text)),
    ]
}

/// What the members mean for a type.
pub(super) fn check(
    pointer: &str,
    action: &RuleAction,
    spec: &ActionSpec,
    catalog: &ActionCatalog,
    faults: &mut Faults,
) {
    let Some(hold) = &action.timing.hold else { return };
    let pointer = below(pointer, "for");
    if !stands(spec, catalog) {
        faults.add(&pointer, RuleFault::NotReversible(spec.name.clone()));
    }
    let Hold::Ladder(ladder) = hold else { return };
    let pointer = below(&pointer, "ladder");
    let found = ladder.rungs.len();
    if !(MIN_RUNGS..=MAX_RUNGS).contains(&found) {
        faults.add(&pointer, RuleFault::Count { what: "rungs", found, least: MIN_RUNGS, most: MAX_RUNGS });
    }
    for (i, pair) in ladder.rungs.windows(2).enumerate() {
        if pair[1] <= pair[0] {
            faults.add(below(&pointer, i + 1), RuleFault::Rungs { found: pair[1], before: pair[0] });
        }
    }
}

/// Whether an action of that type leaves an effect that stands until it is taken back.
pub(super) fn stands(spec: &ActionSpec, catalog: &ActionCatalog) -> bool {
    spec.restricts && catalog.inverse(spec).is_some()
}
