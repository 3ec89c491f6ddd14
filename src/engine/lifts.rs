//! What people ask about effects, and how they let go of them by hand.

use super::effects::{By, create, effect_key, holders};
use super::intake::enforcement_key;
use super::tx::Tx;
use super::{Engine, EngineError, not_found, until_settled};
use crate::audit::Actor;
use crate::effect::{EffectInput, EffectState, Held, HeldEffect};
use crate::enforcement::{Enforcement, Holding, Origin, Reason};
use crate::id::{ActorId, CommitId, EffectId, EnforcementId, TenantId};
use crate::ready::Answer;
use crate::signal::MAX_REASON_BYTES;
use crate::store::{Filter, Kind, MAX_PAGE, Page, Query, Store, decode};
use crate::time::Time;

impl Engine {
    /// A page of the effects that rules and people brought about, those that are gone included;
    /// [`Filter::effect`] names a state.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub fn effects(&self, filter: Filter) -> Answer<'_, Result<Page<HeldEffect>, EngineError>> {
        Box::pin(async move {
            let page = self.store.query(&filter.query(Kind::Effect)).await?;
            page.try_map(|record| Ok(decode::<HeldEffect>(&record)?.body))
        })
    }

    /// One effect.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub fn effect<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: EffectId,
    ) -> Answer<'a, Result<HeldEffect, EngineError>> {
        Box::pin(async move {
            let mut tx = self.tx(tenant);
            let key = effect_key(tenant, id);
            tx.load([key.clone()]).await?;
            Ok(tx.get::<HeldEffect>(&key)?.ok_or_else(|| not_found("effect", &id))?.body)
        })
    }

    /// Lets go of an effect by hand: for one holder, or for all of them. When nobody holds it any
    /// more it is taken back at once, whatever a kill switch says. One that could not be taken back
    /// before is tried again. What the target took and has yet to report is called off, where only those ask
    /// for it who let go: see [`Engine::cancel`]. What is gone already, or held by others only, stays as
    /// it is: the call may be repeated.
    ///
    /// # Errors
    /// [`EngineError::NotFound`]; [`EngineError::Reason`] without a reason.
    pub fn lift<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: EffectId,
        holder: Option<&'a Holding>,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<HeldEffect, EngineError>> {
        Box::pin(async move {
            if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
                return Err(EngineError::Reason(reason.len()));
            }
            until_settled!({
                let mut tx = self.tx(tenant);
                let key = effect_key(tenant, id);
                tx.load([key.clone()]).await?;
                let stored = tx.get::<HeldEffect>(&key)?.ok_or_else(|| not_found("effect", &id))?;
                let commit = CommitId::derive(|h| {
                    let h = h.text("lift").bytes(id.bytes()).number(tx.version(&key));
                    h.text(actor.as_str())
                        .text(reason)
                        .text(&holder.map(ToString::to_string).unwrap_or_default())
                });
                let by =
                    By { actor: Actor::Person(actor.clone()), person: Some(actor), reason: Some(reason) };
                let mut effect = stored.body.clone();
                let wanted = |held: &&Held| holder.is_none_or(|holder| held.holder == *holder);
                let gone: Vec<Holding> =
                    effect.holders().iter().filter(wanted).map(|held| held.holder.clone()).collect();
                for holder in &gone {
                    effect = self.release_early(&mut tx, &effect, holder, &by, now).await?;
                }
                let awaited = self.awaited(&mut tx, &effect, holder, now).await?;
                for of in &awaited {
                    effect = self.call_off_awaited(&mut tx, effect, of, &by, now).await?;
                }
                if let (EffectState::Stuck { undo }, None) = (&effect.state, holder) {
                    effect = self.lift_again(&mut tx, &effect, *undo, actor, reason, now).await?;
                }
                if effect == stored.body && awaited.is_empty() {
                    return Ok(effect);
                }
                tx.give_reason(reason);
                tx.put(key, &stored.with(effect.clone()));
                tx.commit(commit).await?;
                Ok(effect)
            })
        })
    }

    /// What the target took for an effect and has yet to report, where only that holder asks for it.
    async fn awaited(
        &self,
        tx: &mut Tx<'_>,
        effect: &HeldEffect,
        holder: Option<&Holding>,
        now: Time,
    ) -> Result<Vec<Enforcement>, EngineError> {
        let filter = Filter::new(&effect.tenant)
            .user(effect.subject.user.clone())
            .action(effect.apply.action.clone())
            .reason(Reason::AwaitingConfirmation)
            .limit(MAX_PAGE);
        let mut query = filter.query(Kind::Enforcement);
        let mut found = Vec::new();
        loop {
            let page = self.store.query(&query).await?;
            for record in &page.rows {
                tx.load([record.key.clone()]).await?;
                let Ok(Some(stored)) = tx.get::<Enforcement>(&record.key) else { continue };
                let of = stored.body;
                let only = |name: &Holding| holders(&of, now).iter().all(|held| held.holder == *name);
                if of.is_awaited() && of.effect() == Some(effect.id) && holder.is_none_or(only) {
                    found.push(of);
                }
            }
            match page.next {
                None => return Ok(found),
                after => query = Query { after, ..query },
            }
        }
    }

    /// Another undo in place of one that failed.
    async fn lift_again(
        &self,
        tx: &mut Tx<'_>,
        effect: &HeldEffect,
        failed: EnforcementId,
        actor: &ActorId,
        reason: &str,
        now: Time,
    ) -> Result<HeldEffect, EngineError> {
        let key = enforcement_key(&effect.tenant, failed);
        tx.load([key.clone()]).await?;
        let failed = tx.get::<Enforcement>(&key)?.ok_or_else(|| not_found("enforcement", &failed))?.body;
        let holder = Holding::Person(actor.clone());
        let next = effect.step(&EffectInput::Lift { by: holder.clone() }, now)?;
        let held = Held {
            holder,
            since: now,
            until: None,
            generation: next.generation,
            enforcement: failed.id,
            origin: Origin {
                operator: Some(actor.clone()),
                reason: Some(reason.to_owned()),
                ..failed.origin.clone()
            },
            rule: None,
        };
        let undo = Enforcement { holders: failed.holders, ..next.undo(&held, next.generation, None, now) };
        create(tx, undo, &Actor::Person(actor.clone()), now);
        Ok(next)
    }
}
