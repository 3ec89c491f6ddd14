//! Caps: which ones an action is under, and which of them it would exceed.

use std::collections::BTreeMap;

use super::{Suppressed, Suppression};
use crate::action::ActionSpec;
use crate::broken::{self, Defect};
use crate::hash::{Hash, Hasher};
use crate::id::{RuleId, UserId};
use crate::rule::{Cap, CapLimit, CapScope, CompiledRule, OnExceed, Settings};
use crate::state::CapCounter;
use crate::time::Time;

/// A cap that an action is under.
pub(crate) struct Capped<'a> {
    pub(crate) cap: &'a Cap,
    /// Where it is counted. Several caps may count together.
    pub(crate) counter: Hash,
    /// What the counter counts, for people.
    pub(crate) of: String,
}

/// The caps that an action is under: its rule's, then the tenant's. What a rule does in shadow is
/// counted by itself.
pub(crate) fn caps_of<'a>(
    rule: Option<&'a CompiledRule>,
    settings: &'a Settings,
    spec: &ActionSpec,
    user: &UserId,
    shadow: bool,
) -> Vec<Capped<'a>> {
    let own = rule.into_iter().flat_map(|rule| {
        let id = &rule.rule.id;
        rule.rule.guards.caps.iter().map(move |cap| (Some(id), cap))
    });
    own.chain(settings.caps.iter().map(|cap| (None, cap)))
        .filter(|(_, cap)| cap.of.covers(spec))
        .map(|(owner, cap)| Capped {
            cap,
            counter: counter(owner, cap, spec, user, shadow),
            of: told(owner, cap, spec, shadow),
        })
        .collect()
}

/// Where a cap is counted: how much it allows is no part of it, so that an edit of that forgets nothing.
fn counter(owner: Option<&RuleId>, cap: &Cap, spec: &ActionSpec, user: &UserId, shadow: bool) -> Hash {
    let hasher = Hasher::new("tipstaff/cap/1").text(owner.map_or("", |rule| rule.as_str()));
    let apart = shadow && !broken::is(Defect::ShadowTakesPlaces);
    let hasher = hasher.number(owner.is_some().into()).number(apart.into());
    let hasher = hasher.text(cap.per.as_str()).number(cap.span.as_millis());
    let hasher = hasher.number(cap.of.categories.len() as u64);
    let hasher = cap.of.categories.iter().fold(hasher, |h, category| h.text(category.as_str()));
    let hasher = cap.of.types.iter().fold(hasher, |h, name| h.text(name.as_str()));
    match cap.per {
        CapScope::Subject => hasher.text(user.as_str()),
        CapScope::Type => hasher.text(spec.name.as_str()),
        _ => hasher,
    }
    .finish()
}

fn told(owner: Option<&RuleId>, cap: &Cap, spec: &ActionSpec, shadow: bool) -> String {
    let of = owner.map_or_else(|| "the tenant".to_owned(), |rule| format!("rule `{rule}`"));
    let per = match cap.per {
        CapScope::Subject => " for one subject".to_owned(),
        CapScope::Type => format!(" for `{}`", spec.name),
        CapScope::Rule | CapScope::Tenant => String::new(),
    };
    format!("{of}{per}{}", if shadow { ", in shadow" } else { "" })
}

impl Capped<'_> {
    /// What holds an action back that this cap has no room for at that time; none where it has.
    pub(crate) fn exceeded(
        &self,
        known: Option<&CapCounter>,
        population: Option<u64>,
        now: Time,
    ) -> Option<Suppressed> {
        let fresh = CapCounter::new("", self.cap.span);
        let counted = known.unwrap_or(&fresh);
        let allowed = self.cap.allows(population);
        if counted.used(now) < allowed {
            return None;
        }
        let limit = match (self.cap.limit, population) {
            (CapLimit::Share(_), None) => {
                format!("{}; nobody says how many users there are", self.cap.describe())
            }
            (CapLimit::Share(_), Some(users)) => format!("{}, {allowed} of {users}", self.cap.describe()),
            _ => self.cap.describe(),
        };
        let until = Some(counted.until(now));
        let held = Suppressed::new(Suppression::Cap).detail(format!("cap of {}: {limit}", self.of));
        Some(Suppressed { until, ..held })
    }
}

/// What is done about an action that exceeds caps: the strictest answer of any of them.
pub(crate) fn strictest(exceeded: &[(OnExceed, Suppressed)]) -> Option<(OnExceed, &Suppressed)> {
    let rank = |answer: OnExceed| match answer {
        OnExceed::Ask => 0,
        OnExceed::Suppress => 1,
        _ => 2,
    };
    // Of several with one answer the first tells.
    let strict = exceeded.iter().rev().max_by_key(|(answer, _)| rank(*answer))?;
    Some((strict.0, &strict.1))
}

/// What is counted under a cap, as a plan sees it: what it has counted itself, or else what was known.
pub(crate) fn counted<'a>(
    id: &Hash,
    own: &'a BTreeMap<Hash, CapCounter>,
    known: &'a BTreeMap<Hash, Option<CapCounter>>,
) -> Option<&'a CapCounter> {
    own.get(id).or_else(|| known.get(id)?.as_ref())
}
