//! Storms: a rule that acted rests, and what comes meanwhile is counted where it acted.

use std::collections::BTreeMap;

use super::decide::Planner;
use crate::guard::RestKey;
use crate::id::{ActionKey, EnforcementId};
use crate::rule::CompiledRule;
use crate::state::{Cooling, MAX_RESTING_VALUES, Rests};

impl Planner<'_> {
    /// The rule acted: it rests from now on, and knows what it made.
    pub(super) fn cool(
        &mut self,
        rule: &CompiledRule,
        shadow: bool,
        key: RestKey,
        made: BTreeMap<ActionKey, EnforcementId>,
    ) {
        let Some(span) = rule.rule.guards.cooldown.as_ref().map(|cooldown| cooldown.span) else { return };
        let (at, now) = (self.at(), self.now);
        let fresh = Cooling { since: at, until: at.after(span), repeats: 0, made };
        match key {
            RestKey::Subject => {
                let known = self.plan.subject.resting_mut(shadow);
                match known.get_mut(&rule.rule.id) {
                    Some(rests) => rests.begin(fresh),
                    None => drop(known.insert(rule.rule.id.clone(), Rests::new(fresh))),
                }
            }
            RestKey::Value(value) => {
                let tally = self.tally(rule);
                tally.keep(span, at, now);
                match tally.resting.get_mut(&value) {
                    Some(rests) => rests.begin(fresh),
                    None => drop(tally.resting.insert(value, Rests::new(fresh))),
                }
                // It acted, so not all of them rest: one whose rest is over gives its place up.
                while tally.resting.len() > MAX_RESTING_VALUES {
                    let oldest = tally.resting.iter().min_by_key(|(value, r)| (r.newest.until, **value));
                    let Some(oldest) = oldest.map(|(value, _)| *value) else { return };
                    tally.resting.remove(&oldest);
                }
            }
        }
    }

    /// The rule rests: the signal is counted where the rest began, and on what was made then.
    pub(super) fn repeat(&mut self, rule: &CompiledRule, shadow: bool, key: RestKey, rest: &Cooling) {
        self.plan.repeated.extend(rest.made.values());
        match key {
            RestKey::Subject => {
                if let Some(rests) = self.plan.subject.resting_mut(shadow).get_mut(&rule.rule.id) {
                    rests.repeat(rest.since);
                }
            }
            RestKey::Value(value) => {
                let resting = &mut self.tally(rule).resting;
                // A value for which there was no place counts with the one that it rests with.
                let with = resting.iter().find(|(_, r)| r.newest == *rest || r.earlier.contains(rest));
                let with = if resting.contains_key(&value) { Some(value) } else { with.map(|(v, _)| *v) };
                if let Some(rests) = with.and_then(|value| resting.get_mut(&value)) {
                    rests.repeat(rest.since);
                }
            }
        }
    }
}
