//! What is made under caps: read with a decision and written in its commit, so that no two hosts take
//! the same place; given back in the commit that ends an enforcement or takes it back.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::intake::{enforcement_key, replace};
use super::run::step_id;
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::delivery::Delivery;
use crate::enforcement::{Enforcement, Status};
use crate::guard::Cause;
use crate::hash::Hash;
use crate::id::{EnforcementId, TenantId};
use crate::plan::{Facts, Plan, plan};
use crate::rule::{CapLimit, CompiledRule, RuleSet};
use crate::signal::Signal;
use crate::state::CapCounter;
use crate::store::{Key, Kind, Store, decode};
use crate::time::Time;

impl<S: Store, D: Delivery> Engine<S, D> {
    /// Plans a signal, and reads the counters that the plan asks about: a decision that makes nothing
    /// under a cap reads none, and so waits for nobody who does.
    pub(super) async fn planned(
        &self,
        tx: &mut Tx<'_, S>,
        concerned: &[Arc<CompiledRule>],
        signal: &Signal,
        facts: &mut Facts<'_>,
        now: Time,
    ) -> Result<Plan, EngineError> {
        loop {
            let planned = plan(signal, concerned, facts, now)?;
            let missing: Vec<Hash> =
                planned.counters.iter().filter(|id| !facts.caps.contains_key(id)).copied().collect();
            if missing.is_empty() {
                return Ok(planned);
            }
            if facts.caps.is_empty() {
                facts.population = self.population(signal.tenant(), facts.rules, concerned).await?;
            }
            tx.load(missing.iter().map(|id| cap_key(signal.tenant(), *id))).await?;
            for id in missing {
                let known = tx.get::<CapCounter>(&cap_key(signal.tenant(), id))?;
                facts.caps.insert(id, known.map(|stored| stored.body));
            }
        }
    }

    /// How many users there are, by the host's word, where any cap is a share of it.
    pub(super) async fn population(
        &self,
        tenant: &TenantId,
        rules: &RuleSet,
        concerned: &[Arc<CompiledRule>],
    ) -> Result<Option<u64>, EngineError> {
        let own = concerned.iter().flat_map(|rule| &rule.rule.guards.caps);
        let mut caps = own.chain(&rules.settings().caps);
        match &self.people {
            Some(people) if caps.any(|cap| matches!(cap.limit, CapLimit::Share(_))) => {
                Ok(people.population(tenant).await?)
            }
            _ => Ok(None),
        }
    }

    /// How deep the action is that the host names as a signal's cause. It is read beside the
    /// transaction: the depth of an enforcement never changes, and the enforcement does.
    pub(super) async fn cause(&self, signal: &Signal) -> Result<Cause, EngineError> {
        let Some(id) = signal.cause() else { return Ok(Cause::None) };
        let key = enforcement_key(signal.tenant(), id);
        let record = self.store.load(std::slice::from_ref(&key)).await?.pop().flatten();
        // What cannot be read says nothing of how deep it is.
        let known = record.and_then(|record| decode::<Enforcement>(&record).ok());
        Ok(known.map_or(Cause::Unknown, |stored| Cause::Depth(stored.body.origin.depth)))
    }

    pub(super) fn put_caps(&self, tx: &mut Tx<'_, S>, planned: &Plan) -> Result<(), EngineError> {
        for (id, counter) in &planned.caps {
            replace(tx, cap_key(&planned.decision.tenant, *id), counter.clone())?;
        }
        Ok(())
    }

    /// Gives the places of an enforcement back that came to nothing. What may have been carried out
    /// keeps them.
    pub(super) async fn free_ended(
        &self,
        tx: &mut Tx<'_, S>,
        next: &mut Enforcement,
    ) -> Result<(), EngineError> {
        match next.status() == Status::Failed && !next.may_stand() {
            true => self.free(tx, next).await,
            false => Ok(()),
        }
    }

    /// Gives the places of an enforcement back: it has none from then on, so this happens once.
    /// Counters that are damaged stay so; what ended must end.
    pub(super) async fn free(&self, tx: &mut Tx<'_, S>, of: &mut Enforcement) -> Result<(), EngineError> {
        let reserved = std::mem::take(&mut of.reserved);
        let keys: BTreeSet<Key> = reserved.iter().map(|place| cap_key(&of.tenant, place.counter)).collect();
        tx.load(keys).await?;
        for place in reserved {
            let key = cap_key(&of.tenant, place.counter);
            let Ok(Some(stored)) = tx.get::<CapCounter>(&key) else { continue };
            let mut counter = stored.body.clone();
            counter.give_back(place.window);
            if counter != stored.body {
                tx.put(key, &stored.with(counter));
            }
        }
        Ok(())
    }

    /// Gives the places of a stored enforcement back whose effect is taken back before its time.
    pub(super) async fn free_stored(
        &self,
        tx: &mut Tx<'_, S>,
        tenant: &TenantId,
        id: EnforcementId,
    ) -> Result<(), EngineError> {
        let key = enforcement_key(tenant, id);
        tx.load([key.clone()]).await?;
        let Ok(Some(stored)) = tx.get::<Enforcement>(&key) else { return Ok(()) };
        if stored.body.reserved.is_empty() {
            return Ok(());
        }
        let mut next = stored.body.clone();
        self.free(tx, &mut next).await?;
        tx.put_held(&key, &stored.with(next));
        Ok(())
    }

    /// Forgets the windows of a cap that are over. Nothing is audited, as nothing that was decided
    /// changes.
    pub(super) async fn forget_windows(
        &self,
        mut tx: Tx<'_, S>,
        key: &Key,
        now: Time,
    ) -> Result<(), EngineError> {
        let Some(stored) = tx.get::<CapCounter>(key)? else { return Ok(()) };
        let id = step_id(&tx, key);
        let mut counter = stored.body.clone();
        counter.forget(now);
        tx.put(key.clone(), &stored.with(counter));
        tx.commit(id).await?;
        Ok(())
    }
}

pub(super) fn cap_key(tenant: &TenantId, counter: Hash) -> Key {
    Key::new(tenant, Kind::Cap, counter.to_string())
}
