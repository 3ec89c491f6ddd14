//! Rules that rest: by an operator's word, or because they went beyond a cap.

use super::intake::replace;
use super::tx::Tx;
use super::{Engine, EngineError, not_found, until_settled};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::id::{ActorId, CommitId, RuleId, TenantId};
use crate::plan::Plan;
use crate::ready::Answer;
use crate::signal::MAX_REASON_BYTES;
use crate::state::{Control, Pause};
use crate::store::Claim;
use crate::time::Time;

impl Engine {
    /// Lets a rule rest until somebody resumes it: it counts, and what it would do is held back, orders
    /// by hand included. What it asked for before goes on, and it lets go of nothing; a kill switch
    /// stops that as well. A new revision of the rule rests on. One that rests already stays as it is.
    ///
    /// # Errors
    /// [`EngineError::Reason`] without a reason; [`EngineError::NotFound`].
    pub fn pause_rule<'a>(
        &'a self,
        tenant: &'a TenantId,
        rule: &'a RuleId,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<(), EngineError>> {
        Box::pin(
            async move { until_settled!({ self.set_paused(tenant, rule, true, actor, reason, now).await }) },
        )
    }

    /// Lets a rule act again that rests. Its caps stay as they are: one that is still exceeded pauses it
    /// again. One that does not rest stays as it is.
    ///
    /// # Errors
    /// As [`Engine::pause_rule`].
    pub fn resume_rule<'a>(
        &'a self,
        tenant: &'a TenantId,
        rule: &'a RuleId,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<(), EngineError>> {
        Box::pin(
            async move { until_settled!({ self.set_paused(tenant, rule, false, actor, reason, now).await }) },
        )
    }

    async fn set_paused(
        &self,
        tenant: &TenantId,
        rule: &RuleId,
        rests: bool,
        actor: &ActorId,
        reason: &str,
        now: Time,
    ) -> Result<(), EngineError> {
        if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
            return Err(EngineError::Reason(reason.len()));
        }
        let key = Claim::control_key(tenant);
        let mut tx = self.tx(tenant);
        let installed = self.rules_in(&mut tx, tenant, now).await?;
        installed.rules.rule(rule).ok_or_else(|| not_found("rule", rule))?;
        tx.load([key.clone()]).await?;
        let version = tx.version(&key);
        let mut control = tx.get::<Control>(&key)?.map(|stored| stored.body).unwrap_or_default();
        if control.paused.contains_key(rule) == rests {
            return Ok(());
        }
        let by = Actor::Person(actor.clone());
        let code = match rests {
            true => {
                let pause = Pause { by: by.clone(), at: now, reason: reason.to_owned() };
                control.paused.insert(rule.clone(), pause);
                AuditCode::PolicyRulePaused
            }
            false => {
                control.paused.remove(rule);
                AuditCode::PolicyRuleResumed
            }
        };
        replace(&mut tx, key, control)?;
        let draft = AuditDraft::new(tenant.clone(), code, by, now).target(rule.as_str());
        tx.log([draft.personal("reason", reason)]);
        let id = CommitId::derive(|h| {
            let h = h.text("pause").number(version).text(rule.as_str()).text(code.as_str());
            h.text(actor.as_str()).text(reason)
        });
        tx.commit(id).await?;
        Ok(())
    }

    /// Writes down which rules rest from a decision on.
    pub(super) fn put_pauses(&self, tx: &mut Tx<'_>, planned: &Plan) -> Result<(), EngineError> {
        if planned.pauses.is_empty() {
            return Ok(());
        }
        let key = Claim::control_key(&planned.decision.tenant);
        let mut control = tx.get::<Control>(&key)?.map(|stored| stored.body).unwrap_or_default();
        for (rule, pause) in &planned.pauses {
            control.paused.entry(rule.clone()).or_insert_with(|| pause.clone());
        }
        replace(tx, key, control)
    }
}
