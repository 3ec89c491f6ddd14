//! The places of administrators who are being taken away: read with every decision that would take
//! one, written with it, and given back when nothing takes them away any more.

use super::tx::Tx;
use super::{Engine, EngineError};
use crate::audit::{Actor, AuditCode};
use crate::broken::{self, Defect};
use crate::effect::{EffectStatus, HeldEffect};
use crate::enforcement::{Enforcement, Status};
use crate::guard::Keeping;
use crate::id::TenantId;
use crate::rule::RuleSet;
use crate::state::{Administrators, Away, TakenBy};
use crate::store::{Key, Kind};
use crate::time::Time;

/// Who the administrators are and which of them are away, as a decision sees it.
pub(super) struct Staff {
    pub(super) known: Option<Administrators>,
    pub(super) away: Away,
}

impl Engine {
    /// What a decision needs to know of the administrators: the host's word at this moment, and the
    /// record of those who are away, on whose not changing the decision then depends.
    pub(super) async fn staff(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        rules: &RuleSet,
    ) -> Result<Staff, EngineError> {
        let settings = rules.settings();
        let asked = settings.administrators.as_ref();
        if asked.is_some_and(|asked| asked.keep == 0) {
            return Ok(Staff { known: None, away: Away::default() });
        }
        let named = match &self.people {
            Some(people) => people.administrators(tenant).await?,
            None => None,
        };
        let known = match (named, asked.and_then(|asked| asked.group.as_ref())) {
            (Some(known), _) => Some(known),
            (None, None) => None,
            (None, Some(group)) => {
                let members = match &self.people {
                    Some(people) => people.members(tenant, group).await?,
                    None => settings.groups.get(group).cloned().unwrap_or_default(),
                };
                let users = members.iter().map(|member| member.as_str().parse());
                Some(Administrators { members: users.collect::<Result<_, _>>()?, version: 0 })
            }
        };
        let known = known.filter(|known| !known.members.is_empty());
        let mut away = Away::default();
        if known.is_some() && broken::is(Defect::PlacesOutsideCommit) {
            let mut beside = self.tx(tenant);
            beside.load([away_key(tenant)]).await?;
            away = beside.get::<Away>(&away_key(tenant))?.map(|stored| stored.body).unwrap_or_default();
        } else if known.is_some() {
            tx.load([away_key(tenant)]).await?;
            away = tx.get::<Away>(&away_key(tenant))?.map(|stored| stored.body).unwrap_or_default();
        }
        Ok(Staff { known, away })
    }

    /// Only for a defect: writes over whatever was reserved meanwhile, without asking about it.
    pub(super) async fn join_away(
        &self,
        tx: &mut Tx<'_>,
        planned: &mut Away,
        tenant: &TenantId,
    ) -> Result<(), EngineError> {
        tx.load([away_key(tenant)]).await?;
        let known = tx.get::<Away>(&away_key(tenant))?.map(|stored| stored.body).unwrap_or_default();
        for place in known.taken {
            planned.reserve(&place.user, place.by, known.version);
        }
        Ok(())
    }

    /// Somebody became an administrator after the decision to act on them: their place is taken with
    /// the delivery's turn.
    pub(super) async fn take_place(
        &self,
        tx: &mut Tx<'_>,
        key: &Key,
        enforcement: &Enforcement,
        now: Time,
    ) -> Result<(), EngineError> {
        tx.load([key.clone()]).await?;
        let Some(stored) = tx.get::<Enforcement>(key)? else { return Ok(()) };
        let marked = Enforcement { administrator: true, ..stored.body.clone() };
        tx.log([marked.draft(AuditCode::EnforcementPlaceTaken, Actor::Engine, now)]);
        tx.put_held(key, &stored.with(marked));
        let (user, by) = (&enforcement.subject.user, TakenBy::Enforcement(enforcement.id));
        self.change_away(tx, &enforcement.tenant, |away| away.reserve(user, by, away.version)).await
    }

    /// An enforcement is over: its place is given back, or passes to the effect that it left.
    pub(super) async fn away_after_end(
        &self,
        tx: &mut Tx<'_>,
        next: &Enforcement,
    ) -> Result<(), EngineError> {
        if !next.administrator || next.status() == Status::Pending {
            return Ok(());
        }
        let (user, enforcement) = (&next.subject.user, next.id);
        self.change_away(tx, &next.tenant, |away| {
            let version = away.version;
            away.release(&TakenBy::Enforcement(enforcement));
            match next.effect().filter(|_| next.may_stand()) {
                None if broken::is(Defect::PlacesKept) => {
                    away.reserve(user, TakenBy::Enforcement(enforcement), version);
                }
                Some(effect) => away.reserve(user, TakenBy::Effect(effect), version),
                None if next.may_stand() => {
                    away.reserve(user, TakenBy::Done { enforcement, version }, version);
                }
                None => {}
            }
        })
        .await
    }

    /// An effect changed: while it may be there, whoever is away by it stays so.
    pub(super) async fn away_after_effect(
        &self,
        tx: &mut Tx<'_>,
        next: &Enforcement,
        effect: &mut HeldEffect,
    ) -> Result<(), EngineError> {
        let there = effect.status() != EffectStatus::Clear;
        let was = effect.administrator;
        effect.administrator = there && (was || next.administrator);
        if !(was || next.administrator && next.status() != Status::Pending) {
            return Ok(());
        }
        let (user, by) = (effect.subject.user.clone(), TakenBy::Effect(effect.id));
        self.change_away(tx, &next.tenant, |away| {
            if there {
                away.reserve(&user, by.clone(), away.version);
            } else {
                away.release(&by);
            }
        })
        .await
    }

    async fn change_away(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        change: impl FnOnce(&mut Away) + Send,
    ) -> Result<(), EngineError> {
        let key = away_key(tenant);
        tx.load([key.clone()]).await?;
        let known = tx.get::<Away>(&key)?;
        let before = known.as_ref().map(|stored| stored.body.clone()).unwrap_or_default();
        let mut next = before.clone();
        change(&mut next);
        if next != before {
            match known {
                Some(stored) => tx.put(key, &stored.with(next)),
                None => tx.put_new(key, next),
            }
        }
        Ok(())
    }
}

impl Staff {
    pub(super) fn keeping<'a>(&'a self, rules: &'a RuleSet) -> Keeping<'a> {
        Keeping { settings: rules.settings(), known: self.known.as_ref(), away: &self.away }
    }
}

pub(super) fn away_key(tenant: &TenantId) -> Key {
    Key::new(tenant, Kind::Away, "administrators")
}
