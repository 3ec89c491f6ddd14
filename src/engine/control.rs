//! The kill switch: what people stop, and let go again.

use std::fmt;

use serde::Serialize;

use super::intake::replace;
use super::{Engine, EngineError, until_settled};
use crate::action::ActionType;
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::broken::{self, Defect};
use crate::enforcement::{Enforcement, Reason, State};
use crate::id::{ActorId, CommitId, EnforcementId, RuleId, Subject, TenantId, WorkerId};
use crate::ready::Answer;
use crate::signal::MAX_REASON_BYTES;
use crate::state::{Control, KillScope, Stop};
use crate::store::{Claim, Facet, Filter, Kind, MAX_PAGE, Order, Query, Record, Store, decode};
use crate::time::Time;

/// An attempt that was under way when a kill switch was engaged: nothing calls it back.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct InFlight {
    /// Whose.
    pub tenant: TenantId,
    /// The enforcement: the key under which it is delivered.
    pub enforcement: EnforcementId,
    /// What is done.
    pub action: ActionType,
    /// For whom.
    pub subject: Subject,
    /// The rules that ask for it; none for a manual start.
    pub rules: Vec<RuleId>,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// Who carries it out.
    pub worker: WorkerId,
    /// Since when, by the store's clock.
    pub since: Time,
    /// Until when, by the store's clock: it is not taken up again after that while the switch is engaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_until: Option<Time>,
}

impl fmt::Display for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, enforcement, action, subject, attempt, worker, since, .. } = self;
        write!(
            f,
            "{tenant}: {enforcement} `{action}` for {subject}, attempt {attempt} by {worker} since {since}"
        )
    }
}

impl Engine {
    /// Stops everything, a tenant, a rule or an action type, for one tenant: no new enforcement of that
    /// scope is made, and none is claimed, from the moment this returns. What was claimed before, and
    /// may still reach its target, is given back. Notices go on, and so does the undoing of effects:
    /// it gives back.
    ///
    /// What is stopped already by the same person for the same reason stays as it is, so the call may
    /// be repeated.
    ///
    /// # Errors
    /// [`EngineError::Reason`] without a reason.
    pub fn engage_kill_switch<'a>(
        &'a self,
        tenant: &'a TenantId,
        scope: &'a KillScope,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<Vec<InFlight>, EngineError>> {
        Box::pin(async move {
            let stop = Stop { by: actor.clone(), at: now, reason: reason.to_owned() };
            let before = match broken::is(Defect::FlightListedBefore) {
                true => Some(self.in_flight(tenant, scope).await?),
                false => None,
            };
            until_settled!({ self.switch(tenant, scope, Some(stop.clone()), actor, reason, now).await })?;
            match before {
                Some(listed) => Ok(listed),
                None => self.in_flight(tenant, scope).await,
            }
        })
    }

    /// Stops everything of all these tenants, one after the other, and returns after the last: the host
    /// names them, as the library keeps no list. What was under way is given back. After a failure the
    /// call is repeated: tenants that were reached stay stopped, and are not logged again.
    ///
    /// # Errors
    /// As [`Engine::engage_kill_switch`]; the tenants before the one that failed are stopped.
    pub fn engage_everywhere<'a>(
        &'a self,
        tenants: impl IntoIterator<Item = TenantId>,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<Vec<InFlight>, EngineError>> {
        self.engage_all(tenants.into_iter().collect(), actor, reason, now)
    }

    fn engage_all<'a>(
        &'a self,
        tenants: Vec<TenantId>,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<Vec<InFlight>, EngineError>> {
        Box::pin(async move {
            let mut found = Vec::new();
            for tenant in tenants {
                found.extend(self.engage_kill_switch(&tenant, &KillScope::Global, actor, reason, now).await?);
            }
            Ok(found)
        })
    }

    /// Lets go what a kill switch stopped. What is not stopped stays as it is.
    ///
    /// # Errors
    /// As [`Engine::engage_kill_switch`].
    pub fn release_kill_switch<'a>(
        &'a self,
        tenant: &'a TenantId,
        scope: &'a KillScope,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<(), EngineError>> {
        Box::pin(
            async move { until_settled!({ self.switch(tenant, scope, None, actor, reason, now).await }) },
        )
    }

    /// Lets go what was stopped everywhere, of all these tenants. What was stopped for one of them alone
    /// stays so.
    ///
    /// # Errors
    /// As [`Engine::engage_everywhere`].
    pub fn release_everywhere<'a>(
        &'a self,
        tenants: impl IntoIterator<Item = TenantId>,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<(), EngineError>> {
        let tenants: Vec<TenantId> = tenants.into_iter().collect();
        Box::pin(async move {
            for tenant in tenants {
                self.release_kill_switch(&tenant, &KillScope::Global, actor, reason, now).await?;
            }
            Ok(())
        })
    }

    /// What people have stopped.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn control<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Result<Control, EngineError>> {
        Box::pin(async move {
            let mut tx = self.tx(tenant);
            tx.load([Claim::control_key(tenant)]).await?;
            Ok(tx.get::<Control>(&Claim::control_key(tenant))?.map(|stored| stored.body).unwrap_or_default())
        })
    }

    /// The attempts of a scope that are under way, the oldest enforcement first. Attempts of which the
    /// lease has run out are among them: their worker may still be at it.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn in_flight<'a>(
        &'a self,
        tenant: &'a TenantId,
        scope: &'a KillScope,
    ) -> Answer<'a, Result<Vec<InFlight>, EngineError>> {
        Box::pin(async move {
            let mut found = Vec::new();
            let running = Filter::new(tenant).reason(Reason::Running).order(Order::Oldest).limit(MAX_PAGE);
            let mut query = running.query(Kind::Enforcement);
            if let KillScope::Rule(rule) = scope {
                query.facets.push((Facet::Rule, vec![rule.to_string()]));
            }
            loop {
                let page = self.store.query(&query).await?;
                found.extend(page.rows.iter().filter_map(|record| flying(record, scope)));
                match page.next {
                    None => return Ok(found),
                    after => query = Query { after, ..query },
                }
            }
        })
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
        let known = match scope {
            KillScope::Global => control.global.as_ref(),
            KillScope::Tenant => control.tenant.as_ref(),
            KillScope::Rule(rule) => control.rules.get(rule),
            KillScope::Type(action) => control.types.get(action),
        };
        let same = |known: &Stop, stop: &Stop| known.by == stop.by && known.reason == stop.reason;
        match (known, &stop) {
            (None, None) => return Ok(()),
            (Some(known), Some(stop)) if same(known, stop) => return Ok(()),
            _ => {}
        }
        let code = match stop.is_some() {
            true => AuditCode::PolicyKillSwitchEngaged,
            false => AuditCode::PolicyKillSwitchReleased,
        };
        match (scope, stop) {
            (KillScope::Global, stop) => control.global = stop,
            (KillScope::Tenant, stop) => control.tenant = stop,
            (KillScope::Rule(rule), Some(stop)) => drop(control.rules.insert(rule.clone(), stop)),
            (KillScope::Rule(rule), None) => drop(control.rules.remove(rule)),
            (KillScope::Type(action), Some(stop)) => drop(control.types.insert(action.clone(), stop)),
            (KillScope::Type(action), None) => drop(control.types.remove(action)),
        }
        control.epoch += 1;
        let (epoch, target) = (control.epoch, scope.to_string());
        replace(&mut tx, key, control)?;
        let draft = AuditDraft::new(tenant.clone(), code, Actor::Person(actor.clone()), now)
            .target(target.as_str())
            .detail("epoch", i64::try_from(epoch).unwrap_or(i64::MAX))
            .personal("reason", reason);
        if !broken::is(Defect::SwitchUntold) {
            tx.log([draft]);
        }
        // Another order that was given at the same moment is another commit.
        let id = CommitId::derive(|h| {
            let h = h.text("switch").number(version).text(&target).text(code.as_str());
            h.text(actor.as_str()).text(reason)
        });
        tx.commit(id).await?;
        Ok(())
    }
}

/// A record as an attempt of that scope that is under way, if it is one.
fn flying(record: &Record, scope: &KillScope) -> Option<InFlight> {
    let running = decode::<Enforcement>(record).ok()?.body;
    let State::Running { worker, since, .. } = &running.state else { return None };
    let rules: Vec<RuleId> = running.holders.iter().map(|holder| holder.rule.clone()).collect();
    if !running.purpose.is_stoppable() || !scope.covers(rules.iter(), &running.action) {
        return None;
    }
    Some(InFlight {
        tenant: running.tenant,
        enforcement: running.id,
        action: running.action,
        subject: running.subject,
        rules,
        attempt: running.attempts,
        worker: worker.clone(),
        since: *since,
        lease_until: record.lease.as_ref().map(|lease| lease.until),
    })
}
