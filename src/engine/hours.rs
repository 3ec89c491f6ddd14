//! What was decided on and may not be delivered yet: quiet hours and maintenance are asked about again
//! where an action waited for people, for its delay or for another attempt, and it waits for their end.

use super::tx::Tx;
use super::{Engine, EngineError};
use crate::audit::{Actor, AuditDraft};
use crate::broken::{self, Defect};
use crate::enforcement::{Enforcement, Input, Purpose, State};
use crate::guard::held_by_times;
use crate::id::RuleId;
use crate::rule::{RuleSet, Times};
use crate::time::Time;

/// What the times of a rule and of its tenant say to a delivery.
pub(super) enum Held {
    /// Not before then, and why.
    Until(Time, String),
    /// Not any more, and why.
    ForGood(String),
}

impl Engine {
    /// Whether the times that are in force now hold an action that would be delivered at `at`: those of
    /// one of the rules that ask for it, where it names one, and those of the tenant.
    pub(super) async fn held(
        &self,
        tx: &mut Tx<'_>,
        enforcement: &Enforcement,
        rule: Option<&RuleId>,
        at: Time,
        now: Time,
    ) -> Result<Option<Held>, EngineError> {
        if broken::is(Defect::HoursAtDecisionOnly) {
            return Ok(None);
        }
        // What is delivered as soon as it is decided on was judged a moment ago: it is looked at again
        // where the rules that are known here have any times at all.
        let waited = enforcement.approval.is_some()
            || enforcement.start_at.is_some()
            || enforcement.attempts > 1
            || enforcement.retry_of.is_some();
        if !waited {
            let known = self.rules_of(&enforcement.tenant, now).await?;
            let own = rule.and_then(|rule| times_of(&known.rules, rule));
            if *own.unwrap_or(&Times::default()) == Times::default()
                && known.rules.settings().times == Times::default()
            {
                return Ok(None);
            }
        }
        let installed = self.rules_in(tx, &enforcement.tenant, now).await?;
        let rules = &installed.rules;
        let Some(spec) = rules.catalog().get(&enforcement.action) else { return Ok(None) };
        let own = rule.and_then(|rule| times_of(rules, rule));
        let held = held_by_times(own, &rules.settings().times, spec, at);
        Ok(held.map(|held| match held.until {
            Some(until) => Held::Until(until, held.told()),
            None => Held::ForGood(held.told()),
        }))
    }

    /// Steps an enforcement, and where it would be ready in a time that holds it, or missed its start in
    /// one, it waits for the end of that time instead.
    pub(super) async fn step_outside_hours(
        &self,
        tx: &mut Tx<'_>,
        enforcement: &Enforcement,
        input: &Input,
        actor: &Actor,
        now: Time,
    ) -> Result<(Enforcement, Vec<AuditDraft>), EngineError> {
        if enforcement.purpose == Purpose::Action {
            // Its window to start in ran out while nothing was allowed to start: that is nobody's
            // neglect. What does harm when it comes late has no other time.
            if let (State::Queued { start_by: Some(by), .. }, Input::Elapsed) = (&enforcement.state, input)
                && *by <= now
                && enforcement.retry.not_after.is_none()
                && let Some((until, why)) = self.all_held(tx, enforcement, *by, now).await?
            {
                let (next, audit) = enforcement.step(&Input::Defer { until }, actor.clone(), now)?;
                return Ok((
                    next,
                    audit.into_iter().map(|draft| draft.detail("why", why.as_str())).collect(),
                ));
            }
            let ready =
                matches!(input, Input::Approve) || matches!(enforcement.state, State::Scheduled { .. });
            if ready
                && let Some((until, why)) = self.all_held(tx, enforcement, now, now).await?
                && let Some(held) = enforcement.step_held(input, (until, &why), actor.clone(), now)?
            {
                return Ok(held);
            }
        }
        Ok(enforcement.step(input, actor.clone(), now)?)
    }

    /// Until when everybody who asks for an action is held, and why; none where somebody is not, or is
    /// for good: that is for the worker to tell who takes it on.
    async fn all_held(
        &self,
        tx: &mut Tx<'_>,
        enforcement: &Enforcement,
        at: Time,
        now: Time,
    ) -> Result<Option<(Time, String)>, EngineError> {
        let mut rules: Vec<_> = enforcement.holders.iter().map(|holder| Some(&holder.rule)).collect();
        if rules.is_empty() {
            rules.push(None);
        }
        let mut first = None;
        for rule in rules {
            match self.held(tx, enforcement, rule, at, now).await? {
                Some(Held::Until(until, why)) => first = first.into_iter().chain([(until, why)]).min(),
                None | Some(Held::ForGood(_)) => return Ok(None),
            }
        }
        Ok(first)
    }
}

/// When a rule may act; none where it acts no more.
fn times_of<'r>(rules: &'r RuleSet, rule: &RuleId) -> Option<&'r Times> {
    rules.rule(rule).filter(|rule| rule.acts()).map(|rule| &rule.rule.guards.times)
}
