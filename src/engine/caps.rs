//! What is made under caps: read with a decision and written in its commit, so that no two hosts take
//! the same place; given back in the commit that ends an enforcement or takes it back.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::intake::{enforcement_key, replace};
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::audit::{Actor, AuditCode};
use crate::broken::{self, Defect};
use crate::enforcement::{Enforcement, Status};
use crate::guard::{Cause, caps_of, strictest};
use crate::hash::Hash;
use crate::id::{EnforcementId, TenantId};
use crate::plan::{Facts, Plan, plan};
use crate::rule::{CapLimit, CompiledRule, OnExceed, RuleSet};
use crate::signal::Signal;
use crate::state::{CapCounter, Reserved};
use crate::store::{Key, Kind, Store, decode};
use crate::time::Time;

impl Engine {
    /// Plans a signal, and reads the counters that the plan asks about: a decision that makes nothing
    /// under a cap reads none, and so waits for nobody who does.
    pub(super) async fn planned(
        &self,
        tx: &mut Tx<'_>,
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
            self.read_counters(tx, signal.tenant(), missing, facts).await?;
        }
    }

    /// Reads the counters of every cap that the actions of a rule are under.
    pub(super) async fn count_caps(
        &self,
        tx: &mut Tx<'_>,
        rule: &Arc<CompiledRule>,
        signal: &Signal,
        facts: &mut Facts<'_>,
    ) -> Result<(), EngineError> {
        let (tenant, user) = (signal.tenant(), &signal.subject().user);
        let settings = facts.rules.settings();
        let caps = |spec| caps_of(Some(rule), settings, spec, user, rule.is_shadow());
        let ids: BTreeSet<Hash> =
            rule.actions.iter().flat_map(|action| caps(&action.spec)).map(|capped| capped.counter).collect();
        facts.population = self.population(tenant, facts.rules, std::slice::from_ref(rule)).await?;
        self.read_counters(tx, tenant, ids, facts).await
    }

    async fn read_counters(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        ids: impl IntoIterator<Item = Hash>,
        facts: &mut Facts<'_>,
    ) -> Result<(), EngineError> {
        let keys: Vec<(Hash, Key)> = ids.into_iter().map(|id| (id, cap_key(tenant, id))).collect();
        tx.load(keys.iter().map(|(_, key)| key.clone())).await?;
        for (id, key) in keys {
            let known = tx.get::<CapCounter>(&key)?;
            facts.caps.insert(id, known.map(|stored| stored.body));
        }
        Ok(())
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

    pub(super) fn put_caps(&self, tx: &mut Tx<'_>, planned: &Plan) -> Result<(), EngineError> {
        for (id, counter) in &planned.caps {
            replace(tx, cap_key(&planned.decision.tenant, *id), counter.clone())?;
        }
        Ok(())
    }

    /// Gives the places of an enforcement back that came to nothing. What may have been carried out
    /// keeps them.
    pub(super) async fn free_ended(
        &self,
        tx: &mut Tx<'_>,
        next: &mut Enforcement,
    ) -> Result<(), EngineError> {
        match next.status() == Status::Failed && !next.may_stand() {
            true => self.free(tx, next).await,
            false => Ok(()),
        }
    }

    /// Gives the places of an enforcement back: it has none from then on, so this happens once.
    /// Counters that are damaged stay so; what ended must end.
    pub(super) async fn free(&self, tx: &mut Tx<'_>, of: &mut Enforcement) -> Result<(), EngineError> {
        let reserved = std::mem::take(&mut of.reserved);
        let keys: BTreeSet<Key> = reserved.iter().map(|place| cap_key(&of.tenant, place.counter)).collect();
        tx.load(keys).await?;
        for place in reserved {
            let key = cap_key(&of.tenant, place.counter);
            let Ok(Some(stored)) = tx.get::<CapCounter>(&key) else { continue };
            let mut counter = stored.body.clone();
            counter.give_back(place.window);
            if broken::is(Defect::CapFreedTwice) {
                counter.give_back(place.window);
            }
            if counter != stored.body {
                tx.put(key, &stored.with(counter));
            }
        }
        Ok(())
    }

    /// Takes the places of an action that a person has tried again, as for a new one: those that it had
    /// before went when it failed. Gives why people must be asked, where a cap beyond which it is says so;
    /// what is asked about counts as well.
    ///
    /// # Errors
    /// [`EngineError::CapExceeded`] where a cap has no room and asks nobody.
    pub(super) async fn reserve_again(
        &self,
        tx: &mut Tx<'_>,
        next: &mut Enforcement,
        now: Time,
    ) -> Result<Vec<String>, EngineError> {
        let installed = self.rules_in(tx, &next.tenant, now).await?;
        let rules = &installed.rules;
        let Some(spec) = rules.catalog().get(&next.action) else { return Ok(Vec::new()) };
        let asking: Vec<_> =
            next.holders.iter().filter_map(|holder| rules.rule(&holder.rule).cloned()).collect();
        let population = self.population(&next.tenant, rules, &asking).await?;
        let user = &next.subject.user;
        let own = asking.iter().flat_map(|rule| {
            let caps = caps_of(Some(rule), rules.settings(), spec, user, false);
            caps.into_iter().map(|capped| (rule.rule.id.as_str(), capped))
        });
        let of_tenant = caps_of(None, rules.settings(), spec, user, false);
        let caps: Vec<_> = own.chain(of_tenant.into_iter().map(|capped| ("tenant", capped))).collect();
        let (mut exceeded, mut told) = (Vec::new(), Vec::new());
        for (owner, capped) in caps {
            if next.reserved.iter().any(|place| place.counter == capped.counter) {
                continue;
            }
            let key = cap_key(&next.tenant, capped.counter);
            tx.load([key.clone()]).await?;
            let known = tx.get::<CapCounter>(&key)?.map(|stored| stored.body);
            let held = capped.exceeded(known.as_ref(), population, now);
            let mut counter = known.unwrap_or_else(|| CapCounter::new(capped.of.clone(), capped.cap.span));
            if let Some(held) = held {
                let answer = capped.cap.answer(spec);
                if counter.tell(now) {
                    let draft = next.draft(AuditCode::PolicyCapExceeded, Actor::Engine, now).target(owner);
                    let draft = draft.detail("answer", answer.as_str());
                    let draft = draft.detail("cap", held.detail.clone().unwrap_or_default());
                    told.push(
                        held.until.into_iter().fold(draft, |draft, until| draft.detail("until", until)),
                    );
                }
                exceeded.push((answer, held));
            }
            let window = counter.take(now);
            next.reserved.push(Reserved { counter: capped.counter, window });
            replace(tx, key, counter)?;
        }
        match strictest(&exceeded) {
            None => Ok(Vec::new()),
            Some((OnExceed::Ask, held)) => {
                tx.log(told);
                Ok(vec![held.told()])
            }
            Some((_, held)) => Err(EngineError::CapExceeded(held.told())),
        }
    }

    /// Gives the places of a stored enforcement back whose effect is taken back before its time.
    pub(super) async fn free_stored(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        id: EnforcementId,
        now: Time,
    ) -> Result<(), EngineError> {
        let key = enforcement_key(tenant, id);
        tx.load([key.clone()]).await?;
        let Ok(Some(stored)) = tx.get::<Enforcement>(&key) else { return Ok(()) };
        if stored.body.reserved.is_empty() {
            return Ok(());
        }
        let mut next = stored.body.clone();
        self.free(tx, &mut next).await?;
        tx.log([next.draft(AuditCode::EnforcementPlacesFreed, Actor::Engine, now)]);
        tx.put_held(&key, &stored.with(next));
        Ok(())
    }

    /// Forgets the windows of a cap that are over. Nothing is audited, as nothing that was decided
    /// changes.
    pub(super) fn forget_windows(&self, tx: &mut Tx<'_>, key: &Key, now: Time) -> Result<bool, EngineError> {
        let Some(stored) = tx.get::<CapCounter>(key)? else { return Ok(false) };
        let mut counter = stored.body.clone();
        counter.forget(now);
        tx.put(key.clone(), &stored.with(counter));
        Ok(true)
    }
}

pub(super) fn cap_key(tenant: &TenantId, counter: Hash) -> Key {
    Key::new(tenant, Kind::Cap, counter.to_string())
}
