//! Exemptions by attribute: granted, revoked, read.

use super::exemptions::reasoned;
use super::intake::replace;
use super::sweeps::{begin_sweep, waiver_sweep};
use super::{Engine, EngineError, until_settled};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::exemption::{Exempt, ExemptionScope, MAX_EXEMPTIONS, Waiver, Waivers};
use crate::id::{ActorId, CommitId, TenantId};
use crate::pattern::Pattern;
use crate::ready::Answer;
use crate::store::{Key, Kind};
use crate::time::Time;

/// How much of a pattern an audit record shows, in characters.
const SHOWN: usize = 500;

impl Engine {
    /// Exempts everybody whose attributes match, now or later, for as long as they do. As by
    /// [`Engine::exempt`], what is in force and what waits is taken back at the next
    /// [`Engine::run_due`] for those who match then; whoever comes to match later keeps what they are
    /// under until it ends. Nobody is exempt of whom no attributes are known, but by `exists: false`.
    ///
    /// # Errors
    /// As [`Engine::exempt`].
    #[expect(clippy::too_many_arguments, reason = "an exemption has that many parts, and each is needed")]
    pub fn exempt_where<'a>(
        &'a self,
        tenant: &'a TenantId,
        attributes: &'a Pattern,
        scope: &'a ExemptionScope,
        until: Option<Time>,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<Waivers, EngineError>> {
        Box::pin(async move {
            reasoned(reason)?;
            if let Some(until) = until.filter(|until| *until <= now) {
                return Err(EngineError::ExemptionOver(until));
            }
            let attributes = attributes.text();
            let exempt = Exempt {
                scope: scope.clone(),
                reason: reason.to_owned(),
                by: actor.clone(),
                since: now,
                until,
            };
            until_settled!({
                let mut tx = self.tx(tenant);
                let key = waiver_key(tenant);
                tx.load([key.clone()]).await?;
                let mut next = tx.get::<Waivers>(&key)?.map(|stored| stored.body).unwrap_or_default();
                next.granted.retain(|known| {
                    !(known.attributes == attributes && known.exempt.scope == *scope)
                        && known.exempt.is_in_force(now)
                });
                next.granted.push(Waiver { attributes: attributes.to_owned(), exempt: exempt.clone() });
                if next.granted.len() > MAX_EXEMPTIONS {
                    return Err(EngineError::TooManyExemptions(next.granted.len()));
                }
                let code = AuditCode::PolicyExemptionGranted;
                let draft = draft(tenant, code, attributes, scope, actor, now).personal("reason", reason);
                tx.log([match until {
                    Some(until) => draft.detail("until", until),
                    None => draft,
                }]);
                begin_sweep(&mut tx, tenant, waiver_sweep(attributes, &exempt)).await?;
                let until = until.map_or(i64::MAX, Time::micros);
                let id = CommitId::derive(|h| {
                    let h =
                        h.text("waive").number(tx.version(&key)).text(attributes).text(&scope.to_string());
                    h.text(actor.as_str()).text(reason).number(until.cast_unsigned())
                });
                replace(&mut tx, key, next.clone())?;
                tx.commit(id).await?;
                Ok(next)
            })
        })
    }

    /// Takes an exemption by attribute back before its end, as [`Engine::revoke_exemption`] does one
    /// of a subject.
    ///
    /// # Errors
    /// [`EngineError::Reason`] without a reason. Where there is no such exemption all stays as it is.
    pub fn revoke_exemption_where<'a>(
        &'a self,
        tenant: &'a TenantId,
        attributes: &'a Pattern,
        scope: &'a ExemptionScope,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<Waivers, EngineError>> {
        Box::pin(async move {
            reasoned(reason)?;
            let attributes = attributes.text();
            until_settled!({
                let mut tx = self.tx(tenant);
                let key = waiver_key(tenant);
                tx.load([key.clone()]).await?;
                let known = tx.get::<Waivers>(&key)?.map(|stored| stored.body).unwrap_or_default();
                let is_it =
                    |waiver: &Waiver| waiver.attributes == attributes && waiver.exempt.scope == *scope;
                if !known.granted.iter().any(|waiver| is_it(waiver) && waiver.exempt.is_in_force(now)) {
                    return Ok(known);
                }
                let mut next = known;
                next.granted.retain(|waiver| !is_it(waiver));
                let code = AuditCode::PolicyExemptionRevoked;
                tx.log([draft(tenant, code, attributes, scope, actor, now).personal("reason", reason)]);
                let id = CommitId::derive(|h| {
                    let h = h.text("unwaive").number(tx.version(&key)).text(attributes);
                    h.text(&scope.to_string()).text(actor.as_str()).text(reason)
                });
                replace(&mut tx, key, next.clone())?;
                tx.commit(id).await?;
                Ok(next)
            })
        })
    }

    /// The exemptions by attribute of a tenant.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn waivers<'a>(&'a self, tenant: &'a TenantId) -> Answer<'a, Result<Waivers, EngineError>> {
        Box::pin(async move {
            let mut tx = self.tx(tenant);
            tx.load([waiver_key(tenant)]).await?;
            Ok(tx.get::<Waivers>(&waiver_key(tenant))?.map(|stored| stored.body).unwrap_or_default())
        })
    }
}

fn draft(
    tenant: &TenantId,
    code: AuditCode,
    attributes: &str,
    scope: &ExemptionScope,
    actor: &ActorId,
    now: Time,
) -> AuditDraft {
    AuditDraft::new(tenant.clone(), code, Actor::Person(actor.clone()), now)
        .target(scope.to_string())
        .detail("attributes", attributes.chars().take(SHOWN).collect::<String>())
}

pub(super) fn waiver_key(tenant: &TenantId) -> Key {
    Key::new(tenant, Kind::Waiver, "attributes")
}
