//! Taking back what was done: the inverse action, where its type has one.

use super::effects::{By, effect_key};
use super::intake::{enforcement_key, replace};
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::action::Success;
use crate::audit::{Actor, AuditCode};
use crate::effect::{EffectState, HeldEffect};
use crate::enforcement::{
    Enforcement, Input, MoveError, Origin, Outcome, Purpose, Reason, State, Status, Terms,
};
use crate::id::EnforcementId;
use crate::time::Time;

/// What taking an enforcement back came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TakenBack {
    /// It came to nothing, or the target was in that state already and nothing holds it there: there is
    /// nothing to take back.
    Nothing,
    /// It had not been carried out, and was called off.
    CalledOff,
    /// Its inverse is under way.
    Undone(EnforcementId),
    /// Its type has no inverse: what was done stays.
    Irreversible,
}

impl Engine {
    /// Takes an action back within a transaction: calls off what waits, and makes the inverse of what
    /// was, or may have been, carried out. The same enforcement is taken back once.
    ///
    /// # Errors
    /// [`EngineError::Move`] while it runs: what is under way can be neither called off nor undone.
    /// What is no action is refused as [`action_only`] says.
    pub(super) async fn take_back(
        &self,
        tx: &mut Tx<'_>,
        of: &Enforcement,
        why: &str,
        actor: Actor,
        now: Time,
    ) -> Result<TakenBack, EngineError> {
        action_only(of, "cancel")?;
        if of.reason() == Reason::Running {
            return Err(MoveError::Illegal { state: Reason::Running, input: "cancel" }.into());
        }
        let waits = of.status() == Status::Pending && of.reason() != Reason::AwaitingConfirmation;
        if waits {
            let (mut next, audit) = of.step(&Input::Cancel, actor.clone(), now)?;
            self.count_end(tx, &mut next).await?;
            self.effect_after_cancel(tx, &of.state, &next, now).await?;
            tx.log(audit);
            replace(tx, enforcement_key(&of.tenant, of.id), next)?;
        }
        if !may_have_effect(of) {
            return Ok(if waits { TakenBack::CalledOff } else { TakenBack::Nothing });
        }
        // What stands is taken back when nobody else holds it.
        if of.effect().is_some() {
            return match waits {
                true => Ok(TakenBack::CalledOff),
                false => self.let_go_of(tx, of, why, actor, now).await,
            };
        }
        let installed = self.rules_in(tx, &of.tenant, now).await?;
        let catalog = installed.rules.catalog();
        let Some(inverse) = catalog.get(&of.action).and_then(|spec| spec.inverse.clone()) else {
            tx.log([of.draft(AuditCode::EnforcementNotReversed, actor, now).detail("reason", why)]);
            return Ok(TakenBack::Irreversible);
        };
        let id = EnforcementId::derive(|h| h.text("undo").bytes(of.id.bytes()).number(0));
        let key = enforcement_key(&of.tenant, id);
        tx.load([key.clone()]).await?;
        if tx.get::<Enforcement>(&key)?.is_some() {
            return Ok(TakenBack::Undone(id));
        }
        let spec = catalog.get(&inverse);
        // A type that is no more than a name is carried as what it takes back.
        let channel = spec.map_or_else(|| of.channel.clone(), |spec| spec.channel.clone());
        let retry = spec.map_or(of.retry, |spec| spec.retry.retry());
        let success = spec.map_or(Success::Accepted, |spec| spec.success);
        let terms =
            Terms { id, attempts: 0, lost: false, retry, success, start_at: None, start_within: None };
        let undo = Enforcement {
            id,
            tenant: of.tenant.clone(),
            purpose: Purpose::Reversal { of: of.id },
            origin: Origin { reason: Some(format!("takes back {}: {why}", of.id)), ..of.origin.clone() },
            subject: of.subject.clone(),
            action: inverse,
            category: spec.map_or(of.category, |spec| spec.category),
            channel,
            params: of.params.clone(),
            holders: Vec::new(),
            approval: None,
            votes: Vec::new(),
            recorded_at: now,
            settled_at: None,
            state: State::begin(None, &terms, now),
            attempts: 0,
            history: Vec::new(),
            retry,
            success,
            start_at: None,
            start_within: None,
            inverse: None,
            administrator: false,
            judged: None,
            retry_of: None,
            repeats: 0,
            last_repeat: None,
            windows: Vec::new(),
            reserved: Vec::new(),
        };
        tx.log([undo
            .draft(AuditCode::EnforcementUndone, actor, now)
            .detail("undoes", of.id.to_string())
            .detail("reason", why)]);
        tx.put_new(key, undo);
        self.free_stored(tx, &of.tenant, of.id, now).await?;
        Ok(TakenBack::Undone(id))
    }
}

impl Engine {
    /// Lets go of the effect for those who hold it because of this enforcement, or calls off what is to
    /// bring it about. A holder that qualified again since holds because of a later one, and goes on.
    async fn let_go_of(
        &self,
        tx: &mut Tx<'_>,
        of: &Enforcement,
        why: &str,
        actor: Actor,
        now: Time,
    ) -> Result<TakenBack, EngineError> {
        let Some(id) = of.effect() else { return Ok(TakenBack::Nothing) };
        let key = effect_key(&of.tenant, id);
        tx.load([key.clone()]).await?;
        let Some(stored) = tx.get::<HeldEffect>(&key)? else { return Ok(TakenBack::Nothing) };
        let mut effect = stored.body.clone();
        let person = match &actor {
            Actor::Person(person) => Some(person.clone()),
            _ => None,
        };
        let by = By { actor: actor.clone(), person: person.as_ref(), reason: Some(why) };
        let of_this = effect.holders().iter().filter(|held| held.enforcement == of.id);
        let gone: Vec<_> = of_this.map(|held| held.holder.clone()).collect();
        for holder in &gone {
            effect = self.release_early(tx, &effect, holder, &by, now).await?;
        }
        if of.is_awaited() {
            effect = self.call_off_awaited(tx, effect, of, &by, now).await?;
        } else if gone.is_empty() {
            return Ok(TakenBack::Nothing);
        }
        let lifting = match &effect.state {
            EffectState::Lifting { undo } => Some(*undo),
            _ => None,
        };
        tx.put(key, &stored.with(effect));
        let Some(undo) = lifting else { return Ok(TakenBack::CalledOff) };
        tx.log([of
            .draft(AuditCode::EnforcementUndone, actor, now)
            .detail("undoes", of.id.to_string())
            .detail("reason", why)]);
        Ok(TakenBack::Undone(undo))
    }
}

/// Refuses what nobody asked for as an action: an undo that is called off would leave a person restricted
/// with nobody to hold them so, and a restoration is there for those who hold.
pub(super) fn action_only(of: &Enforcement, input: &'static str) -> Result<(), EngineError> {
    match of.purpose {
        Purpose::Action => Ok(()),
        Purpose::Undo { .. } => Err(EngineError::UndoStands(of.id)),
        _ => Err(MoveError::Illegal { state: of.reason(), input }.into()),
    }
}

/// Whether the target may be in another state because of it. What was lost on its way may have
/// arrived.
fn may_have_effect(of: &Enforcement) -> bool {
    let arrived = |outcome: Option<Outcome>| matches!(outcome, None | Some(Outcome::Done | Outcome::Unknown));
    match of.reason() {
        Reason::PermanentError => false,
        // Whoever found an effect there holds it as well; of anything else nothing was done.
        Reason::NoOp => of.effect().is_some(),
        Reason::Done | Reason::OutcomeUnknown | Reason::AwaitingConfirmation => true,
        _ => of.history.iter().any(|attempt| arrived(attempt.outcome)),
    }
}
