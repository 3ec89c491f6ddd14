//! What becomes of effects when an enforcement is over, and when a holder's time is (behaviour 8.4).
//! Every change is in the commit that leads to it.

use super::counts::rules_of;
use super::intake::{enforcement_key, replace, subject_key};
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::broken::{self, Defect};
use crate::effect::{EffectInput, EffectState, EffectStatus, Held, HeldEffect};
use crate::enforcement::{Enforcement, Holding, Input, Outcome, Purpose, Reason, State, Status};
use crate::id::{ActorId, EffectId, EnforcementId, TenantId};
use crate::rule::Mode;
use crate::signal::TriggerKind;
use crate::state::{Offences, SubjectState};
use crate::store::{Key, Kind, StoreError, Stored};
use crate::time::Time;

impl Engine {
    /// What follows for the effect when an enforcement moved that was in that state before.
    pub(super) async fn effect_after(
        &self,
        tx: &mut Tx<'_>,
        was: &State,
        next: &Enforcement,
        now: Time,
    ) -> Result<(), EngineError> {
        let called_off = match (next.reason(), was) {
            (Reason::OutcomeUnknown, State::Running { called_off, .. })
            | (_, State::AwaitingConfirmation { called_off, .. }) => *called_off,
            _ => false,
        };
        self.effect_follows(tx, was, next, called_off, now).await
    }

    /// What follows for the effect when somebody called an enforcement off: where it may be there, it is
    /// taken back.
    pub(super) async fn effect_after_cancel(
        &self,
        tx: &mut Tx<'_>,
        was: &State,
        next: &Enforcement,
        now: Time,
    ) -> Result<(), EngineError> {
        self.effect_follows(tx, was, next, true, now).await
    }

    async fn effect_follows(
        &self,
        tx: &mut Tx<'_>,
        was: &State,
        next: &Enforcement,
        called_off: bool,
        now: Time,
    ) -> Result<(), EngineError> {
        let Some(id) = next.effect() else { return Ok(()) };
        let came_back = was.reason() == Reason::Running && next.reason() != Reason::Running;
        // What was never claimed brought nothing about.
        if next.attempts == 0 || (next.status() == Status::Pending && !came_back) {
            return Ok(());
        }
        let key = effect_key(&next.tenant, id);
        tx.load([key.clone()]).await?;
        let known = tx.get::<HeldEffect>(&key)?;
        let Some(before) =
            known.as_ref().map(|stored| stored.body.clone()).or_else(|| HeldEffect::of(next, now))
        else {
            let fault = "the effect of an undo is missing".to_owned();
            return Err(StoreError::Corrupt { place: key.to_string(), fault }.into());
        };
        let mut effect = before.clone();
        // An older claim of the same enforcement is fenced, so the turn is this one's.
        let own = effect.turn.as_ref().is_some_and(|turn| turn.enforcement == next.id);
        if own {
            effect.turn = None;
        }
        if next.status() != Status::Pending {
            effect = match next.purpose {
                Purpose::Undo { .. } => self.undone(tx, effect, next, own, now).await?,
                _ if !next.may_stand() => effect,
                _ => self.brought_about(tx, effect, next, own, called_off, now).await?,
            };
        } else if matches!(next.state, State::AwaitingConfirmation { called_off: true, .. }) {
            // It was called off while it was delivered, and the target took it.
            effect = self.not_awaited(tx, effect, next, &ENGINE, now).await?;
        }
        self.away_after_effect(tx, next, &mut effect).await?;
        if effect != before || (known.is_none() && own) {
            match known {
                Some(stored) => tx.put(key, &stored.with(effect)),
                None => tx.put(key, &Stored::new(effect)),
            }
        }
        Ok(())
    }

    /// A delivery came back when its claim was somebody else's: nobody knows what it came after, so
    /// what is asked for now comes once more.
    pub(super) async fn effect_after_stale(
        &self,
        tx: &mut Tx<'_>,
        stale: &Enforcement,
        outcome: Outcome,
        now: Time,
    ) -> Result<(), EngineError> {
        let nothing = matches!(outcome, Outcome::Permanent | Outcome::Retry { .. });
        let Some(id) = stale.effect().filter(|_| !nothing) else { return Ok(()) };
        let key = effect_key(&stale.tenant, id);
        tx.load([key.clone()]).await?;
        let Some(stored) = tx.get::<HeldEffect>(&key)? else { return Ok(()) };
        let mut effect = stored.body.clone();
        match (&stale.purpose, effect.holders().is_empty()) {
            (Purpose::Undo { .. }, false) => {
                effect.lifted_at = Some(now);
                put_back(tx, &mut effect, now);
            }
            (Purpose::Action | Purpose::Restore { .. }, true) => {
                effect = self.not_held(tx, effect, stale, &ENGINE, now).await?;
            }
            _ => return Ok(()),
        }
        self.away_after_effect(tx, stale, &mut effect).await?;
        tx.put(key, &stored.with(effect));
        Ok(())
    }

    /// A delivery may have brought an effect about, or back, that nobody holds: it is taken back at once.
    async fn not_held(
        &self,
        tx: &mut Tx<'_>,
        effect: HeldEffect,
        of: &Enforcement,
        by: &By<'_>,
        now: Time,
    ) -> Result<HeldEffect, EngineError> {
        let Some(held) = holders(of, now).into_iter().next() else { return Ok(effect) };
        let holder = held.holder.clone();
        let effect = self.hold(tx, &effect, Held { until: None, ..held }, now).await?;
        self.release(tx, &effect, &holder, by, now).await
    }

    /// Calls off what [awaits](Enforcement::is_awaited) its confirmation, and gives its places under caps
    /// back. What is taken back at once is taken back once more when the target has reported, or has not
    /// in time: it may come about in between.
    pub(super) async fn call_off_awaited(
        &self,
        tx: &mut Tx<'_>,
        effect: HeldEffect,
        of: &Enforcement,
        by: &By<'_>,
        now: Time,
    ) -> Result<HeldEffect, EngineError> {
        let (mut next, audit) = of.step(&Input::Cancel, by.actor.clone(), now)?;
        self.free(tx, &mut next).await?;
        tx.log(audit);
        replace(tx, enforcement_key(&of.tenant, of.id), next)?;
        self.not_awaited(tx, effect, of, by, now).await
    }

    /// What was called off may be there before the target reports: it is taken back at once, unless it is
    /// being taken back, or others hold it.
    async fn not_awaited(
        &self,
        tx: &mut Tx<'_>,
        effect: HeldEffect,
        of: &Enforcement,
        by: &By<'_>,
        now: Time,
    ) -> Result<HeldEffect, EngineError> {
        match effect.status() {
            EffectStatus::Clear | EffectStatus::Stuck => self.not_held(tx, effect, of, by, now).await,
            EffectStatus::Standing | EffectStatus::Lifting => Ok(effect),
        }
    }

    /// An action is over whose effect is there, or may be.
    async fn brought_about(
        &self,
        tx: &mut Tx<'_>,
        mut effect: HeldEffect,
        done: &Enforcement,
        own: bool,
        called_off: bool,
        now: Time,
    ) -> Result<HeldEffect, EngineError> {
        // Without the turn, another delivery may have come in between.
        let crossed = !own
            && (effect.turn.is_some()
                || matches!(effect.state, EffectState::Lifting { .. })
                || effect.lifted_at.is_some_and(|at| at >= done.recorded_at));
        let known = effect.status() == EffectStatus::Standing && !effect.uncertain;
        effect.uncertain = done.status() != Status::Succeeded && !known;
        if done.purpose == Purpose::Action {
            let wanted = !called_off && !matches!(done.reason(), Reason::Cancelled | Reason::Superseded);
            // What was called off and may be there all the same is taken back, unless others hold it.
            if !wanted && !effect.holders().is_empty() {
                return Ok(effect);
            }
            for held in holders(done, now) {
                let stays = wanted && self.may_hold(tx, &effect, &held, now).await?;
                let holder = held.holder.clone();
                effect = self.hold(tx, &effect, held, now).await?;
                if !stays {
                    effect = self.release(tx, &effect, &holder, &ENGINE, now).await?;
                }
            }
            if wanted {
                self.count_offences(tx, done).await?;
            }
        }
        match effect.holders().is_empty() {
            false if crossed => put_back(tx, &mut effect, now),
            // It was put back for somebody who has let go since: the undo may have come before it.
            true if crossed && matches!(done.purpose, Purpose::Restore { .. }) => {
                effect = self.not_held(tx, effect, done, &ENGINE, now).await?;
            }
            _ => {}
        }
        Ok(effect)
    }

    /// An undo is over.
    async fn undone(
        &self,
        tx: &mut Tx<'_>,
        mut effect: HeldEffect,
        undo: &Enforcement,
        own: bool,
        now: Time,
    ) -> Result<HeldEffect, EngineError> {
        let current = matches!(&effect.state, EffectState::Lifting { undo: id } if *id == undo.id);
        match (undo.status(), current) {
            (Status::Succeeded, true) => {
                effect = effect.step(&EffectInput::Lifted { undo: undo.id }, now)?;
                tx.log([effect
                    .draft(AuditCode::EnforcementEffectLifted, Actor::Engine, now)
                    .trigger(undo.origin.trigger)
                    .enforcement(undo.id)]);
                let rules = rules_of(&undo.holders);
                self.count(tx, &undo.tenant, tx.part(), rules, |stats| stats.undone += 1).await?;
            }
            (Status::Failed, true) if undo.reason() != Reason::Superseded => {
                effect = effect.step(&EffectInput::Failed { undo: undo.id }, now)?;
            }
            // It came after somebody else took the turn: what the holders ask for comes once more.
            (_, false) if undo.may_stand() && !own => {
                effect.lifted_at = Some(now);
                put_back(tx, &mut effect, now);
            }
            _ => {}
        }
        Ok(effect)
    }

    /// A holder joins, or holds longer: with an undo for the end of their time.
    async fn hold(
        &self,
        tx: &mut Tx<'_>,
        effect: &HeldEffect,
        held: Held,
        now: Time,
    ) -> Result<HeldEffect, EngineError> {
        let next = effect.step(&EffectInput::Hold(held.clone()), now)?;
        let Some(stands) = next.held_by(&held.holder).cloned() else { return Ok(next) };
        // The undo that was to end it, or to end this holder's time, is not wanted any more.
        let before = match &effect.state {
            EffectState::Lifting { undo } => Some(*undo),
            _ => effect.held_by(&held.holder).and_then(|known| scheduled(effect, known)),
        };
        let known = effect.held_by(&held.holder);
        if known.is_none_or(|known| known.generation != stands.generation) {
            if let Some(before) = before {
                self.supersede(tx, &effect.tenant, before, now).await?;
            }
            if let Some(until) = stands.until
                && !broken::is(Defect::UndoForgotten)
            {
                let undo = next.undo(&stands, stands.generation, Some(until), now);
                create(tx, undo, &Actor::Engine, now);
            }
        }
        let draft = next
            .draft(AuditCode::EnforcementEffectHeld, Actor::Engine, now)
            .trigger(held.origin.trigger)
            .enforcement(held.enforcement)
            .detail("holder", stands.holder.to_string())
            .detail("generation", i64::from(stands.generation));
        tx.log([match stands.until {
            Some(until) => draft.detail("until", until),
            None => draft,
        }]);
        Ok(next)
    }

    /// A holder lets go before their time; the last one has the effect taken back at once.
    pub(super) async fn release(
        &self,
        tx: &mut Tx<'_>,
        effect: &HeldEffect,
        holder: &Holding,
        by: &By<'_>,
        now: Time,
    ) -> Result<HeldEffect, EngineError> {
        let Some(held) = effect.held_by(holder).cloned() else { return Ok(effect.clone()) };
        let next = effect.step(&EffectInput::Release { holder: holder.clone(), undo: None }, now)?;
        if let Some(undo) = scheduled(effect, &held) {
            self.supersede(tx, &effect.tenant, undo, now).await?;
        }
        tx.log([released(&next, &held, by.actor.clone(), now)]);
        if let EffectState::Lifting { .. } = next.state {
            let mut held = held;
            if by.person.is_some() || by.reason.is_some() {
                held.origin.operator = by.person.cloned();
                held.origin.reason = by.reason.map(str::to_owned);
            }
            create(tx, next.undo(&held, next.generation, None, now), &by.actor, now);
        }
        Ok(next)
    }

    /// A holder is made to let go before their time: what brought the effect about gives its places
    /// under caps back. The end of the time that was asked for gives nothing back, or a rule that acts
    /// for minutes could act on everybody within the hour.
    pub(super) async fn release_early(
        &self,
        tx: &mut Tx<'_>,
        effect: &HeldEffect,
        holder: &Holding,
        by: &By<'_>,
        now: Time,
    ) -> Result<HeldEffect, EngineError> {
        let next = self.release(tx, effect, holder, by, now).await?;
        let of = effect.held_by(holder).map(|held| held.enforcement);
        // Rules that share an enforcement share its places until the last of them lets go.
        if let Some(of) = of.filter(|of| next.holders().iter().all(|other| other.enforcement != *of)) {
            self.free_stored(tx, &effect.tenant, of, now).await?;
        }
        Ok(next)
    }

    /// The timer of an undo ran out: its holder's time is over, or its confirmation did not come.
    pub(super) async fn undo_due(&self, tx: &mut Tx<'_>, key: &Key, now: Time) -> Result<bool, EngineError> {
        let Some(stored) = tx.get::<Enforcement>(key)? else { return Ok(false) };
        let undo = &stored.body;
        let Purpose::Undo { effect: id, holder, generation } = &undo.purpose else { return Ok(false) };
        let mut input = Input::Elapsed;
        if undo.reason() == Reason::Scheduled {
            let place = effect_key(&undo.tenant, *id);
            tx.load([place.clone()]).await?;
            let known = tx.get::<HeldEffect>(&place)?.ok_or_else(|| StoreError::Corrupt {
                place: place.to_string(),
                fault: "the effect of an undo is missing".to_owned(),
            })?;
            let held = known.body.held_by(holder).filter(|held| held.generation == *generation).cloned();
            match held {
                // The time was over before: it could not begin then, and waited for this.
                None if known.body.state == (EffectState::Lifting { undo: undo.id }) => {}
                // Whoever held then holds longer now, or let go.
                None => input = Input::Supersede,
                Some(held) => {
                    let release = EffectInput::Release { holder: holder.clone(), undo: Some(undo.id) };
                    let next = known.body.step(&release, now)?;
                    tx.log([released(&next, &held, Actor::Engine, now)]);
                    // The effect stands on: the last holder's undo takes it back.
                    if !next.holders().is_empty() {
                        input = Input::Supersede;
                    }
                    tx.put(place, &known.with(next));
                }
            }
        }
        let (next, audit) = undo.step(&input, Actor::Engine, now)?;
        tx.log(audit);
        self.effect_after(tx, &undo.state, &next, now).await?;
        tx.put(key.clone(), &stored.with(next));
        Ok(true)
    }

    /// Calls off an undo that waits. One that runs finds for itself that it is not wanted.
    async fn supersede(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        id: EnforcementId,
        now: Time,
    ) -> Result<(), EngineError> {
        let key = enforcement_key(tenant, id);
        tx.load([key.clone()]).await?;
        let Some(stored) = tx.get::<Enforcement>(&key)? else { return Ok(()) };
        if let Ok((next, audit)) = stored.body.step(&Input::Supersede, Actor::Engine, now) {
            tx.log(audit);
            tx.put(key, &stored.with(next));
        }
        Ok(())
    }

    /// Whether somebody may hold an effect now: not a rule that acts no more, and of nobody who is
    /// exempt.
    pub(super) async fn may_hold(
        &self,
        tx: &mut Tx<'_>,
        effect: &HeldEffect,
        held: &Held,
        now: Time,
    ) -> Result<bool, EngineError> {
        let (tenant, action) = (&effect.tenant, &effect.apply.action);
        let exemptions = self.exemptions_of(tx, tenant, &effect.subject, None).await?;
        let rule = match &held.holder {
            Holding::Rule(rule) => Some(rule),
            Holding::Person(_) => None,
        };
        if exemptions.iter().any(|known| known.covering(rule, action, now).is_some()) {
            return Ok(false);
        }
        let Some(rule) = rule else { return Ok(true) };
        let installed = self.rules_in(tx, tenant, now).await?;
        let by_hand = held.origin.kind == TriggerKind::Manual;
        let acting = installed.rules.rule(rule).filter(|rule| rule.acts());
        Ok(acting.is_some_and(|rule| by_hand || rule.rule.mode == Mode::Live))
    }

    /// An effect that came about takes its subject up the ladders of the rules that asked for it.
    async fn count_offences(&self, tx: &mut Tx<'_>, done: &Enforcement) -> Result<(), EngineError> {
        let rungs: Vec<_> =
            done.holders.iter().filter_map(|holder| Some((&holder.rule, holder.rung?))).collect();
        if rungs.is_empty() {
            return Ok(());
        }
        let key = subject_key(&done.tenant, &done.subject);
        tx.load([key.clone()]).await?;
        let known = tx.get::<SubjectState>(&key)?.map(|stored| stored.body);
        let mut state = known.unwrap_or_else(|| SubjectState::new(done.subject.clone()));
        for (rule, rung) in rungs {
            let known = state.offences.get(rule).copied();
            let next = Offences::counted(known, rung.rung, rung.of, done.origin.at);
            state.offences.insert(rule.clone(), next);
        }
        replace(tx, key, state)
    }
}

/// Who has somebody let go.
pub(super) struct By<'a> {
    pub(super) actor: Actor,
    pub(super) person: Option<&'a ActorId>,
    pub(super) reason: Option<&'a str>,
}

/// What the engine lets go of by itself.
const ENGINE: By<'_> = By { actor: Actor::Engine, person: None, reason: None };

/// Who holds what an enforcement brought about, each once, and until when.
pub(super) fn holders(done: &Enforcement, now: Time) -> Vec<Held> {
    let held = |holder, until, rule| Held {
        holder,
        since: now,
        until,
        generation: 0,
        enforcement: done.id,
        origin: done.origin.clone(),
        rule,
    };
    let mut all: Vec<Held> = Vec::new();
    for holder in &done.holders {
        let until = holder.hold.map(|span| now.after(span));
        let name = Holding::Rule(holder.rule.clone());
        match all.iter_mut().find(|known| known.holder == name) {
            // One rule with two actions of the same effect holds as long as the longer one.
            Some(known) => known.until = known.until.zip(until).map(|(one, other)| one.max(other)),
            None => all.push(held(name, until, Some((holder.revision, holder.key.clone())))),
        }
    }
    if let (true, Some(operator)) = (all.is_empty(), &done.origin.operator) {
        all.push(held(Holding::Person(operator.clone()), None, None));
    }
    all
}

/// The undo that is scheduled for the end of a holder's time.
fn scheduled(effect: &HeldEffect, held: &Held) -> Option<EnforcementId> {
    held.until.map(|_| effect.undo_id(&held.holder, held.generation))
}

fn released(effect: &HeldEffect, held: &Held, actor: Actor, now: Time) -> AuditDraft {
    effect
        .draft(AuditCode::EnforcementEffectReleased, actor, now)
        .trigger(held.origin.trigger)
        .enforcement(held.enforcement)
        .detail("holder", held.holder.to_string())
        .detail("generation", i64::from(held.generation))
}

/// Makes what puts an effect back for those who hold it, if anybody does: another delivery may have taken
/// it back. Until it is there again, nobody knows that it is.
fn put_back(tx: &mut Tx<'_>, effect: &mut HeldEffect, now: Time) {
    let Some(held) = effect.holders().first() else { return };
    let restoration = effect.restoration(held, now);
    effect.generation += 1;
    effect.uncertain = true;
    create(tx, restoration, &Actor::Engine, now);
}

pub(super) fn create(tx: &mut Tx<'_>, made: Enforcement, actor: &Actor, now: Time) {
    tx.log([made.created(actor.clone(), now)]);
    tx.put_new(enforcement_key(&made.tenant, made.id), made);
}

pub(super) fn effect_key(tenant: &TenantId, id: EffectId) -> Key {
    Key::new(tenant, Kind::Effect, id.to_string())
}
