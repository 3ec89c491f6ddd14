//! What people and targets say of an enforcement that is under way.

use super::effects::{By, effect_key};
use super::intake::enforcement_key;
use super::tx::Tx;
use super::{Engine, EngineError, not_found, until_settled};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::effect::HeldEffect;
use crate::enforcement::{Enforcement, Input, MoveError, Purpose, Reason};
use crate::id::{ActorId, CommitId, EnforcementId, Subject, TenantId, UserId};
use crate::ready::Answer;
use crate::signal::MAX_REASON_BYTES;
use crate::store::{Key, Store, StoreError};
use crate::time::Time;

impl Engine {
    /// Calls off what has not been carried out. A request for its approval is withdrawn with it. What
    /// runs at this moment goes on, and is not tried again: it is given back as running, and ends as
    /// its attempt does, or as `cancelled` where that came to nothing. Where a worker died with it, the
    /// target is asked instead of told again; if it cannot tell, or is not asked, that is
    /// `outcome_unknown`. So ends what waits, too, where its last attempt was lost and must not be repeated.
    ///
    /// A restriction that the target took and has yet to report ends as the target reports. As it may be
    /// there already, it is taken back at once, and once more when it is reported or its time is over; what
    /// others hold stands.
    ///
    /// # Errors
    /// [`EngineError::Move`] for what is over, was called off before, or waits for its confirmation and
    /// leaves nothing that stands; [`EngineError::UndoStands`] for an undo; [`EngineError::NotFound`];
    /// [`EngineError::Reason`].
    pub fn cancel<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: EnforcementId,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<Enforcement, EngineError>> {
        Box::pin(async move {
            if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
                return Err(EngineError::Reason(reason.len()));
            }
            until_settled!({
                let mut tx = self.tx(tenant);
                let key = enforcement_key(tenant, id);
                tx.load([key.clone()]).await?;
                let stored = tx.get::<Enforcement>(&key)?.ok_or_else(|| not_found("enforcement", &id))?;
                let commit = CommitId::derive(|h| {
                    let h = h.text("cancel").bytes(id.bytes()).number(tx.version(&key));
                    h.text(actor.as_str()).text(reason)
                });
                if matches!(stored.body.purpose, Purpose::Undo { .. }) {
                    return Err(EngineError::UndoStands(id));
                }
                let by =
                    By { actor: Actor::Person(actor.clone()), person: Some(actor), reason: Some(reason) };
                self.cancel_in(&mut tx, &key, &by, now).await?;
                tx.give_reason(reason);
                let cancelled = tx.get::<Enforcement>(&key)?.ok_or_else(|| not_found("enforcement", &id))?;
                tx.commit(commit).await?;
                Ok(cancelled.body)
            })
        })
    }

    /// Calls off an enforcement that the transaction has read, and withdraws the request for it.
    pub(super) async fn cancel_in(
        &self,
        tx: &mut Tx<'_>,
        key: &Key,
        by: &By<'_>,
        now: Time,
    ) -> Result<(), EngineError> {
        let Some(stored) = tx.get::<Enforcement>(key)? else { return Ok(()) };
        let before = &stored.body;
        if self.withdraw(tx, before, by.actor.clone(), now).await? {
            return Ok(());
        }
        if before.reason() == Reason::AwaitingConfirmation {
            let id = before.effect().filter(|_| before.is_awaited());
            let id = id.ok_or(MoveError::Illegal { state: before.reason(), input: "cancel" })?;
            let key = effect_key(&before.tenant, id);
            tx.load([key.clone()]).await?;
            let known = tx.get::<HeldEffect>(&key)?.ok_or_else(|| StoreError::Corrupt {
                place: key.to_string(),
                fault: "the effect of what a target took is missing".to_owned(),
            })?;
            let effect = self.call_off_awaited(tx, known.body.clone(), before, by, now).await?;
            tx.put(key, &known.with(effect));
            return Ok(());
        }
        let (mut next, audit) = before.step(&Input::Cancel, by.actor.clone(), now)?;
        self.count_end(tx, &mut next).await?;
        self.effect_after_cancel(tx, &before.state, &next, now).await?;
        tx.log(audit);
        tx.put_held(key, &stored.with(next));
        Ok(())
    }

    /// Takes the later report of a target that confirms: whether the action of that key is done.
    ///
    /// # Errors
    /// [`EngineError::Move`] for what was not delivered or is over; [`EngineError::NotFound`].
    pub fn confirm<'a>(
        &'a self,
        tenant: &'a TenantId,
        key: EnforcementId,
        done: bool,
        now: Time,
    ) -> Answer<'a, Result<Enforcement, EngineError>> {
        Box::pin(async move {
            until_settled!({
                let mut tx = self.tx(tenant);
                let place = enforcement_key(tenant, key);
                tx.load([place.clone()]).await?;
                let stored = tx.get::<Enforcement>(&place)?.ok_or_else(|| not_found("enforcement", &key))?;
                let commit = CommitId::derive(|h| {
                    h.text("confirm").bytes(key.bytes()).number(tx.version(&place)).number(done.into())
                });
                let (mut next, audit) = stored.body.step(&Input::Confirm { done }, Actor::Host, now)?;
                tx.log(audit);
                self.count_end(&mut tx, &mut next).await?;
                self.effect_after(&mut tx, &stored.body.state, &next, now).await?;
                tx.put(place, &stored.with(next.clone()));
                tx.commit(commit).await?;
                Ok(next)
            })
        })
    }

    /// Writes an audit record of the host's own. `commit` recognises a repeat.
    ///
    /// # Errors
    /// [`EngineError::Audit`] for a record that is refused.
    pub fn record(&self, draft: AuditDraft, commit: CommitId) -> Answer<'_, Result<(), EngineError>> {
        Box::pin(async move {
            draft.check()?;
            let mut tx = self.tx(&draft.tenant);
            tx.log([draft]);
            tx.commit(commit).await?;
            Ok(())
        })
    }

    /// Removes what is personal from the audit records about a user, and audits that: the order before
    /// anything is removed, and how much it was afterwards. The chain still verifies. Gives how many
    /// records held any. Where it fails, or the process ends, in between, ask again.
    ///
    /// # Errors
    /// [`EngineError`].
    pub fn erase<'a>(
        &'a self,
        tenant: &'a TenantId,
        user: &'a UserId,
        actor: &'a ActorId,
        now: Time,
    ) -> Answer<'a, Result<u64, EngineError>> {
        Box::pin(async move {
            let salt = self.store.unique().await?;
            let draft = |code| {
                AuditDraft::new(tenant.clone(), code, Actor::Person(actor.clone()), now)
                    .subject(Subject::user(user.clone()))
            };
            let ordered = CommitId::derive(|h| h.text("erasure").bytes(salt.bytes()));
            self.record(draft(AuditCode::PolicyErasureOrdered), ordered).await?;
            let erased = self.store.erase(tenant, user).await?;
            let done = draft(AuditCode::PolicyPersonalDataErased).detail("records", erased);
            self.record(done, CommitId::derive(|h| h.text("erased").bytes(salt.bytes()))).await?;
            Ok(erased)
        })
    }
}
