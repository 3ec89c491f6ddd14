//! Why a rule acts on a signal, or why not, on what the store knows now.

use super::intake::trigger_key;
use super::{Engine, EngineError, not_found, until_settled};
use crate::id::{RuleId, Subject, TenantId};
use crate::plan::{Decision, Facts, Why, WhyNot, explain, why_not};
use crate::ready::Answer;
use crate::signal::{Event, Signal};
use crate::store::Filter;
use crate::time::Time;

/// How many decisions are shown of a rule about a subject.
const SHOWN: usize = 3;

impl Engine {
    /// Explains what a rule of the tenant, active or not, says to a signal: each part of the rule
    /// with what is wanted and what is there, and what would follow if the signal came now. Nothing
    /// is decided; a signal that came before is told with the decision that stands. (A tenant that
    /// has no rules yet gets the engine's own first, as by any call.)
    ///
    /// ```
    /// # use tipstaff::{Delivered, Engine, Event, Job, MemoryStore, Part, RuleAnswer, RuleSet, Time, UserId, ready};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let rules = RuleSet::from_json(r#"{ "id": "guessing", "actions": [{ "key": "a", "type": "escalate_to_hr" }],
    ///     "trigger": { "event": { "pattern": { "login": ["failed"] }, "window": { "count": 5, "in": "10m" } } } }"#)?;
    /// # let engine = Engine::new(MemoryStore::default(), |_: &Job| Delivered::done(), rules);
    /// # let (ana, now): (UserId, Time) = ("ana".parse()?, "2026-03-02T09:00:00Z".parse()?);
    /// let event = Event::new("acme".parse()?, "e1", "vpn", ana, now, r#"{ "login": "failed" }"#)?;
    /// let why = ready(engine.explain(&"guessing".parse()?, event, now))??;
    /// assert_eq!((why.answer, why.decided_by), (RuleAnswer::Waits, Some(Part::Window)));
    /// println!("{why}"); // … window: 1 of 5 within 10m …
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where the tenant has no such rule; [`EngineError::Store`].
    pub fn explain<'a>(
        &'a self,
        rule: &'a RuleId,
        signal: impl Into<Signal>,
        now: Time,
    ) -> Answer<'a, Result<Why, EngineError>> {
        self.explain_one(rule, signal.into(), now)
    }

    fn explain_one<'a>(
        &'a self,
        rule: &'a RuleId,
        signal: Signal,
        now: Time,
    ) -> Answer<'a, Result<Why, EngineError>> {
        Box::pin(async move {
            let tenant = signal.tenant();
            until_settled!({
                let mut tx = self.tx(tenant);
                let installed = self.rules_in(&mut tx, tenant, now).await?;
                let known = installed.rules.rule(rule).ok_or_else(|| not_found("rule", rule))?;
                let asked = std::slice::from_ref(known);
                let mut facts = self.facts(&mut tx, &installed.rules, asked, &signal).await?;
                // For the caps that it asks about; a signal that no decision can be made on asks about none.
                match self.planned(&mut tx, asked, &signal, &mut facts, now).await {
                    Ok(_) | Err(EngineError::Plan(_)) => {}
                    Err(error) => return Err(error),
                }
                let trigger = trigger_key(tenant, signal.trigger_id());
                tx.load([trigger.clone()]).await?;
                let decided = tx.get::<Decision>(&trigger)?.map(|stored| stored.body);
                Ok(Why { decided, ..explain(known, &signal, &facts, now) })
            })
        })
    }

    /// Tells why a rule of the tenant does not act on a subject now, without a signal: every guard
    /// that would hold it back, with its values and when it lifts, and what was decided last.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where the tenant has no such rule; [`EngineError::Store`].
    pub fn why_not<'a>(
        &'a self,
        tenant: &'a TenantId,
        rule: &'a RuleId,
        subject: &'a Subject,
        now: Time,
    ) -> Answer<'a, Result<WhyNot, EngineError>> {
        Box::pin(async move {
            let asked = until_settled!({
                let mut tx = self.tx(tenant);
                let installed = self.rules_in(&mut tx, tenant, now).await?;
                let known = installed.rules.rule(rule).ok_or_else(|| not_found("rule", rule))?;
                let signal = Event::new(tenant.clone(), "why-not", "why-not", subject.clone(), now, "{}");
                let signal = signal.map_err(|_| not_found("subject", subject))?.into();
                let asked = std::slice::from_ref(known);
                let mut facts = self.facts(&mut tx, &installed.rules, asked, &signal).await?;
                self.count_caps(&mut tx, known, &signal, &mut facts).await?;
                let attributes = self.attributes_of(&mut tx, tenant, &subject.user).await?;
                Ok(why_not(known, tenant, subject, &Facts { attributes, ..facts }, now))
            })?;
            let filter = Filter::new(tenant).user(subject.user.clone()).rule(rule.clone()).limit(SHOWN);
            let filter = match &subject.session {
                Some(session) => filter.session(session.clone()),
                None => filter,
            };
            let last = self.signals(filter).await?.rows;
            Ok(WhyNot { last, ..asked })
        })
    }
}
