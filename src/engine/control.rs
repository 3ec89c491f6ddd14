//! The kill switch: what people stop, and let go again.

use super::intake::replace;
use super::{Engine, EngineError, until_settled};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::delivery::Delivery;
use crate::id::{ActorId, CommitId, TenantId};
use crate::signal::MAX_REASON_BYTES;
use crate::state::{Control, KillScope, Stop};
use crate::store::{Claim, Store};
use crate::time::Time;

impl<S: Store, D: Delivery> Engine<S, D> {
    /// Stops a tenant, a rule or an action type: no new enforcement of that scope is made, and
    /// none is claimed, from the moment this returns. Notices to approvers go on.
    ///
    /// # Errors
    /// [`EngineError::Reason`] without a reason.
    pub async fn engage_kill_switch(
        &self,
        tenant: &TenantId,
        scope: &KillScope,
        actor: &ActorId,
        reason: &str,
        now: Time,
    ) -> Result<(), EngineError> {
        let stop = Stop { by: actor.clone(), at: now, reason: reason.to_owned() };
        until_settled!({ self.switch(tenant, scope, Some(stop.clone()), actor, reason, now).await })
    }

    /// Lets go what a kill switch stopped.
    ///
    /// # Errors
    /// As [`Engine::engage_kill_switch`].
    pub async fn release_kill_switch(
        &self,
        tenant: &TenantId,
        scope: &KillScope,
        actor: &ActorId,
        reason: &str,
        now: Time,
    ) -> Result<(), EngineError> {
        until_settled!({ self.switch(tenant, scope, None, actor, reason, now).await })
    }

    /// What people have stopped.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn control(&self, tenant: &TenantId) -> Result<Control, EngineError> {
        let mut tx = self.tx(tenant);
        tx.load([Claim::control_key(tenant)]).await?;
        Ok(tx.get::<Control>(&Claim::control_key(tenant))?.map(|stored| stored.body).unwrap_or_default())
    }

    async fn switch(
        &self,
        tenant: &TenantId,
        scope: &KillScope,
        stop: Option<Stop>,
        actor: &ActorId,
        reason: &str,
        now: Time,
    ) -> Result<(), EngineError> {
        if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
            return Err(EngineError::Reason(reason.len()));
        }
        let key = Claim::control_key(tenant);
        let mut tx = self.tx(tenant);
        tx.load([key.clone()]).await?;
        let version = tx.version(&key);
        let mut control = tx.get::<Control>(&key)?.map(|stored| stored.body).unwrap_or_default();
        let engaged = stop.is_some();
        let target = match scope {
            KillScope::Tenant => {
                control.tenant = stop;
                "tenant".to_owned()
            }
            KillScope::Rule(rule) => {
                match stop {
                    Some(stop) => drop(control.rules.insert(rule.clone(), stop)),
                    None => drop(control.rules.remove(rule)),
                }
                format!("rule {rule}")
            }
            KillScope::Type(action) => {
                match stop {
                    Some(stop) => drop(control.types.insert(action.clone(), stop)),
                    None => drop(control.types.remove(action)),
                }
                format!("type {action}")
            }
        };
        control.epoch += 1;
        let epoch = control.epoch;
        replace(&mut tx, key, control)?;
        let code = match engaged {
            true => AuditCode::PolicyKillSwitchEngaged,
            false => AuditCode::PolicyKillSwitchReleased,
        };
        let draft = AuditDraft::new(tenant.clone(), code, Actor::Person(actor.clone()), now)
            .target(target.as_str())
            .detail("epoch", i64::try_from(epoch).unwrap_or(i64::MAX))
            .personal("reason", reason);
        tx.log([draft]);
        // Another order that was given at the same moment is another commit.
        let id = CommitId::derive(|h| {
            let h = h.text("switch").number(version).text(&target).text(code.as_str());
            h.text(actor.as_str()).text(reason)
        });
        tx.commit(id).await?;
        Ok(())
    }
}
