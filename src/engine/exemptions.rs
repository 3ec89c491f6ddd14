//! Exemptions: granted, revoked, read.

use super::intake::{replace, subject_key};
use super::sweeps::{begin_sweep, exempt_sweep};
use super::tx::Tx;
use super::waivers::waiver_key;
use super::{Engine, EngineError, until_settled};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::exemption::{Exempt, ExemptionScope, Exemptions, MAX_EXEMPTIONS, Waivers};
use crate::id::{ActorId, CommitId, Subject, TenantId};
use crate::pattern::Payload;
use crate::ready::Answer;
use crate::signal::MAX_REASON_BYTES;
use crate::store::{Filter, Key, Kind, Page, Store, decode};
use crate::time::Time;

impl Engine {
    /// Exempts a subject: from the moment when this returns nothing that it covers is begun. The next
    /// [`Engine::run_due`] calls off what waits and takes back what is in force. An exemption of the
    /// same scope is replaced. A user's exemption covers their sessions.
    ///
    /// # Errors
    /// [`EngineError::Reason`] without a reason; [`EngineError::ExemptionOver`] for one that is over
    /// at `now`; [`EngineError::TooManyExemptions`].
    #[expect(clippy::too_many_arguments, reason = "an exemption has that many parts, and each is needed")]
    pub fn exempt<'a>(
        &'a self,
        tenant: &'a TenantId,
        subject: &'a Subject,
        scope: &'a ExemptionScope,
        until: Option<Time>,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<Exemptions, EngineError>> {
        Box::pin(async move {
            reasoned(reason)?;
            if let Some(until) = until.filter(|until| *until <= now) {
                return Err(EngineError::ExemptionOver(until));
            }
            let exempt = Exempt {
                scope: scope.clone(),
                reason: reason.to_owned(),
                by: actor.clone(),
                since: now,
                until,
            };
            until_settled!({
                let mut tx = self.tx(tenant);
                let key = exemption_key(tenant, subject);
                tx.load([key.clone()]).await?;
                let known = tx.get::<Exemptions>(&key)?.map(|stored| stored.body);
                let mut next = known.unwrap_or_else(|| Exemptions::none(subject.clone()));
                next.granted.retain(|known| known.scope != *scope && known.is_in_force(now));
                next.granted.push(exempt.clone());
                if next.granted.len() > MAX_EXEMPTIONS {
                    return Err(EngineError::TooManyExemptions(next.granted.len()));
                }
                let code = AuditCode::PolicyExemptionGranted;
                let draft = draft(tenant, code, subject, scope, actor, now).personal("reason", reason);
                tx.log([match until {
                    Some(until) => draft.detail("until", until),
                    None => draft,
                }]);
                begin_sweep(&mut tx, tenant, exempt_sweep(subject, &exempt)).await?;
                let until = until.map_or(i64::MAX, Time::micros);
                let id = CommitId::derive(|h| {
                    let h = h.text("exempt").text(&key.id).number(tx.version(&key)).text(&scope.to_string());
                    h.text(actor.as_str()).text(reason).number(until.cast_unsigned())
                });
                replace(&mut tx, key, next.clone())?;
                tx.commit(id).await?;
                Ok(next)
            })
        })
    }

    /// Takes an exemption back before its end. What was taken back for it stays so; the next signal
    /// counts again.
    ///
    /// # Errors
    /// [`EngineError::Reason`] without a reason. A subject without such an exemption stays as they are.
    pub fn revoke_exemption<'a>(
        &'a self,
        tenant: &'a TenantId,
        subject: &'a Subject,
        scope: &'a ExemptionScope,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<Exemptions, EngineError>> {
        Box::pin(async move {
            reasoned(reason)?;
            until_settled!({
                let mut tx = self.tx(tenant);
                let key = exemption_key(tenant, subject);
                tx.load([key.clone()]).await?;
                let known = tx.get::<Exemptions>(&key)?.map(|stored| stored.body);
                let known = known.unwrap_or_else(|| Exemptions::none(subject.clone()));
                let in_force = |exempt: &&Exempt| exempt.scope == *scope && exempt.is_in_force(now);
                if !known.granted.iter().any(|exempt| in_force(&exempt)) {
                    return Ok(known);
                }
                let mut next = known;
                next.granted.retain(|exempt| exempt.scope != *scope);
                let code = AuditCode::PolicyExemptionRevoked;
                tx.log([draft(tenant, code, subject, scope, actor, now).personal("reason", reason)]);
                let id = CommitId::derive(|h| {
                    let h = h.text("revoke").text(&key.id).number(tx.version(&key)).text(&scope.to_string());
                    h.text(actor.as_str()).text(reason)
                });
                replace(&mut tx, key, next.clone())?;
                tx.commit(id).await?;
                Ok(next)
            })
        })
    }

    /// A page of the subjects that were ever exempted, with what they are exempt from.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn exemptions(&self, filter: Filter) -> Answer<'_, Result<Page<Exemptions>, EngineError>> {
        Box::pin(async move {
            let page = self.store.query(&filter.query(Kind::Exemption)).await?;
            page.try_map(|record| Ok(decode::<Exemptions>(&record)?.body))
        })
    }

    /// What a subject is exempt from; of a session, what its user is exempt from as well. By
    /// attribute: by those that are `told`, or else by those that are known.
    pub(super) async fn exemptions_of(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        subject: &Subject,
        told: Option<&Payload>,
    ) -> Result<Vec<Exemptions>, EngineError> {
        let keys = exemption_keys(tenant, subject);
        tx.load(keys.iter().cloned().chain([waiver_key(tenant)])).await?;
        let mut found = Vec::new();
        for key in keys {
            found.extend(tx.get::<Exemptions>(&key)?.map(|stored| stored.body));
        }
        let waivers = tx.get::<Waivers>(&waiver_key(tenant))?.map(|stored| stored.body).unwrap_or_default();
        if !waivers.granted.is_empty() {
            let stored = match told {
                Some(_) => None,
                None => self.attributes_of(tx, tenant, &subject.user).await?,
            };
            let granted = waivers.of(told.or(stored.as_ref()));
            if !granted.is_empty() {
                found.push(Exemptions { subject: Subject::user(subject.user.clone()), granted });
            }
        }
        Ok(found)
    }
}

/// Where a subject's exemptions stand: a user's cover their sessions.
pub(super) fn exemption_keys(tenant: &TenantId, subject: &Subject) -> Vec<Key> {
    let user = Subject::user(subject.user.clone());
    let mut keys = vec![exemption_key(tenant, &user), exemption_key(tenant, subject)];
    keys.dedup();
    keys
}

pub(super) fn reasoned(reason: &str) -> Result<(), EngineError> {
    match reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
        true => Err(EngineError::Reason(reason.len())),
        false => Ok(()),
    }
}

fn draft(
    tenant: &TenantId,
    code: AuditCode,
    subject: &Subject,
    scope: &ExemptionScope,
    actor: &ActorId,
    now: Time,
) -> AuditDraft {
    AuditDraft::new(tenant.clone(), code, Actor::Person(actor.clone()), now)
        .subject(subject.clone())
        .target(scope.to_string())
}

pub(super) fn exemption_key(tenant: &TenantId, subject: &Subject) -> Key {
    Key { kind: Kind::Exemption, ..subject_key(tenant, subject) }
}
