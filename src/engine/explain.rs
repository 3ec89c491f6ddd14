//! Why a rule acts on a signal, or why not, on what the store knows now.

use super::intake::trigger_key;
use super::{Engine, EngineError, not_found, until_settled};
use crate::delivery::Delivery;
use crate::id::RuleId;
use crate::plan::{Decision, Why, explain};
use crate::signal::Signal;
use crate::store::Store;
use crate::time::Time;

impl<S: Store, D: Delivery> Engine<S, D> {
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
    pub async fn explain(
        &self,
        rule: &RuleId,
        signal: impl Into<Signal>,
        now: Time,
    ) -> Result<Why, EngineError> {
        let signal = signal.into();
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
    }
}
