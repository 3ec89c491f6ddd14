//! Letting go, page by page: of what a rule held that acts no more, of what an exempted subject was
//! under. A sweep is a record with a timer, written with what brings it about, so that a crash in the
//! middle loses nothing.

use super::effects::By;
use super::intake::replace;
use super::run::step_id;
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::audit::Actor;
use crate::effect::{Held, HeldEffect};
use crate::enforcement::{Enforcement, Holding, Purpose, Reason, Status};
use crate::exemption::Exempt;
use crate::hash::Hasher;
use crate::id::{ActorId, RuleId, Subject, TenantId};
use crate::pattern::Pattern;
use crate::state::{Sweep, SweepCause};
use crate::store::{Facet, Key, Kind, Order, Query, Record, Store, StoreError, decode};
use crate::time::Time;

/// How many records one commit of a sweep looks at.
const PAGE: usize = 20;

impl Engine {
    /// Works through the next page.
    pub(super) async fn step_sweep(&self, mut tx: Tx<'_>, key: &Key, now: Time) -> Result<(), EngineError> {
        let Some(stored) = tx.get::<Sweep>(key)? else { return Ok(()) };
        let id = step_id(&tx, key);
        let sweep = &stored.body;
        let (kind, mut facets) = match (&sweep.cause, sweep.waiting) {
            (SweepCause::Rule(rule), _) => (Kind::Effect, vec![(Facet::Rule, vec![rule.to_string()])]),
            (SweepCause::Exempt { subject, .. }, false) => (Kind::Effect, of(subject)),
            (SweepCause::Exempt { subject, .. }, true) => (Kind::Enforcement, of(subject)),
            (SweepCause::Waived { .. }, false) => (Kind::Effect, Vec::new()),
            (SweepCause::Waived { .. }, true) => (Kind::Enforcement, Vec::new()),
        };
        if sweep.waiting {
            facets.push((Facet::Status, vec![Status::Pending.to_string()]));
        }
        let query = Query {
            tenant: key.tenant.clone(),
            kind,
            from: None,
            until: None,
            facets,
            order: Order::Oldest,
            after: sweep.cursor.as_ref().and_then(|cursor| cursor.parse().ok()),
            limit: PAGE,
        };
        let page = self.store.query(&query).await?;
        let actor = sweep.by.clone().map_or(Actor::Engine, Actor::Person);
        let by = By { actor, person: sweep.by.as_ref(), reason: sweep.reason.as_deref() };
        for record in &page.rows {
            tx.load([record.key.clone()]).await?;
            let mark = tx.mark();
            match self.sweep_one(&mut tx, record, sweep, &by, now).await {
                // A damaged record holds up nobody else; whoever reads it is told.
                Err(EngineError::Store(StoreError::Corrupt { .. })) => tx.back_to(&mark),
                swept => swept?,
            }
        }
        if let Some(reason) = &sweep.reason {
            tx.give_reason(reason);
        }
        let ends = page.next.is_none();
        let next = Sweep {
            waiting: sweep.waiting || (ends && !matches!(sweep.cause, SweepCause::Rule(_))),
            cursor: page.next.map(|cursor| cursor.to_string()),
            done: ends && (sweep.waiting || matches!(sweep.cause, SweepCause::Rule(_))),
            ..sweep.clone()
        };
        tx.put(key.clone(), &stored.with(next));
        tx.commit(id).await?;
        Ok(())
    }

    async fn sweep_one(
        &self,
        tx: &mut Tx<'_>,
        record: &Record,
        sweep: &Sweep,
        by: &By<'_>,
        now: Time,
    ) -> Result<(), EngineError> {
        if !self.concerns(tx, record, &sweep.cause).await? {
            return Ok(());
        }
        match sweep.waiting {
            true => self.call_off(tx, &record.key, sweep, by, now).await,
            false => self.let_go(tx, &record.key, sweep, by, now).await,
        }
    }

    /// Whether a record is about somebody whom the sweep is about.
    async fn concerns(
        &self,
        tx: &mut Tx<'_>,
        record: &Record,
        cause: &SweepCause,
    ) -> Result<bool, EngineError> {
        let SweepCause::Waived { attributes, .. } = cause else { return Ok(true) };
        let subject = match record.key.kind {
            Kind::Effect => decode::<HeldEffect>(record).map(|stored| stored.body.subject),
            _ => decode::<Enforcement>(record).map(|stored| stored.body.subject),
        };
        let (Ok(subject), Ok(pattern)) = (subject, Pattern::parse(attributes)) else { return Ok(false) };
        let known = self.attributes_of(tx, &record.key.tenant, &subject.user).await?;
        Ok(pattern.matches_known(known.as_ref()))
    }

    async fn let_go(
        &self,
        tx: &mut Tx<'_>,
        key: &Key,
        sweep: &Sweep,
        by: &By<'_>,
        now: Time,
    ) -> Result<(), EngineError> {
        let Some(stored) = tx.get::<HeldEffect>(key)? else { return Ok(()) };
        let mut effect = stored.body.clone();
        let action = &effect.apply.action;
        let covers = |held: &&Held| match (&sweep.cause, &held.holder) {
            (SweepCause::Rule(rule), Holding::Rule(of)) => rule == of,
            (SweepCause::Exempt { scope, .. } | SweepCause::Waived { scope, .. }, Holding::Rule(of)) => {
                scope.covers(Some(of), action)
            }
            (SweepCause::Exempt { scope, .. } | SweepCause::Waived { scope, .. }, Holding::Person(_)) => {
                scope.covers(None, action)
            }
            (SweepCause::Rule(_), Holding::Person(_)) => false,
        };
        let mut gone = Vec::new();
        for held in effect.holders().iter().filter(covers) {
            // What began later stays where it may: a time alone tells nothing, as each host has a clock.
            if held.since <= sweep.since || !self.may_hold(tx, &effect, held, now).await? {
                gone.push(held.holder.clone());
            }
        }
        for holder in &gone {
            effect = self.release_early(tx, &effect, holder, by, now).await?;
        }
        if !gone.is_empty() {
            tx.put(key.clone(), &stored.with(effect));
        }
        Ok(())
    }

    /// Calls off what waits and what nobody but the exempted rules asks for. What runs finds the
    /// exemption before it is delivered, or when it is settled.
    async fn call_off(
        &self,
        tx: &mut Tx<'_>,
        key: &Key,
        sweep: &Sweep,
        by: &By<'_>,
        now: Time,
    ) -> Result<(), EngineError> {
        let Ok(Some(stored)) = tx.get::<Enforcement>(key) else { return Ok(()) };
        let waiting = &stored.body;
        let (SweepCause::Exempt { scope, .. } | SweepCause::Waived { scope, .. }) = &sweep.cause else {
            return Ok(());
        };
        let all = |covers: &dyn Fn(Option<&RuleId>) -> bool| match waiting.holders.as_slice() {
            [] => covers(None),
            holders => holders.iter().all(|holder| covers(Some(&holder.rule))),
        };
        let covered = all(&|rule| scope.covers(rule, &waiting.action));
        let stoppable = match waiting.reason() {
            Reason::Running => false,
            Reason::AwaitingConfirmation => waiting.is_awaited(),
            _ => true,
        };
        let stoppable = stoppable && waiting.purpose == Purpose::Action;
        if !covered || !stoppable || waiting.status() != Status::Pending {
            return Ok(());
        }
        if waiting.recorded_at > sweep.since {
            // While it is in force nothing is asked for that it covers, whatever the clocks say.
            let exemptions = self.exemptions_of(tx, &key.tenant, &waiting.subject, None).await?;
            let is_exempt = |rule: Option<&RuleId>| {
                exemptions.iter().any(|known| known.covering(rule, &waiting.action, now).is_some())
            };
            if !all(&is_exempt) {
                return Ok(());
            }
        }
        self.cancel_in(tx, key, by, now).await
    }
}

/// The facets of what concerns a subject: a user's exemption covers their sessions.
fn of(subject: &Subject) -> Vec<(Facet, Vec<String>)> {
    let user = (Facet::User, vec![subject.user.to_string()]);
    let session = subject.session.as_ref().map(|session| (Facet::Session, vec![session.to_string()]));
    std::iter::once(user).chain(session).collect()
}

/// The sweep of a rule that acts no more.
pub(super) fn rule_sweep(rule: &RuleId, by: &Actor, now: Time) -> Sweep {
    let by = match by {
        Actor::Person(actor) => Some(actor.clone()),
        _ => None,
    };
    sweep(SweepCause::Rule(rule.clone()), by, None, now)
}

/// The sweep of a subject who was exempted.
pub(super) fn exempt_sweep(subject: &Subject, exempt: &Exempt) -> Sweep {
    let (by, reason, now) = (&exempt.by, &exempt.reason, exempt.since);
    let cause = SweepCause::Exempt { subject: subject.clone(), scope: exempt.scope.clone() };
    sweep(cause, Some(by.clone()), Some(reason.clone()), now)
}

/// The sweep of everybody who was exempted by an attribute.
pub(super) fn waiver_sweep(attributes: &str, exempt: &Exempt) -> Sweep {
    let (by, reason, now) = (&exempt.by, &exempt.reason, exempt.since);
    let cause = SweepCause::Waived { attributes: attributes.to_owned(), scope: exempt.scope.clone() };
    sweep(cause, Some(by.clone()), Some(reason.clone()), now)
}

const fn sweep(cause: SweepCause, by: Option<ActorId>, reason: Option<String>, now: Time) -> Sweep {
    Sweep { cause, by, reason, since: now, waiting: false, cursor: None, done: false }
}

/// Puts a sweep into the transaction; one that is under way begins anew.
pub(super) async fn begin_sweep(tx: &mut Tx<'_>, tenant: &TenantId, sweep: Sweep) -> Result<(), EngineError> {
    let key = match &sweep.cause {
        SweepCause::Rule(rule) => Key::new(tenant, Kind::Sweep, format!("rule:{rule}")),
        SweepCause::Exempt { subject, scope } => {
            let hasher = subject.feed(Hasher::new("tipstaff/sweep/1")).text(&scope.to_string());
            Key::new(tenant, Kind::Sweep, format!("exempt:{}", hasher.finish()))
        }
        SweepCause::Waived { attributes, scope } => {
            let hasher = Hasher::new("tipstaff/sweep/1").text(attributes).text(&scope.to_string());
            Key::new(tenant, Kind::Sweep, format!("waived:{}", hasher.finish()))
        }
    };
    tx.load([key.clone()]).await?;
    replace(tx, key, sweep)
}
