//! Levels of subjects between scores: dwells and holds that end, dismissals.

use super::installed::Installed;
use super::intake::{replace, subject_key, trigger_key};
use super::run::step_id;
use super::tx::Tx;
use super::{Engine, EngineError, not_found, until_settled};
use crate::id::{CommitId, ScaleId};
use crate::plan::{Decision, Plan};
use crate::ready::Answer;
use crate::score::{Level, Scale};
use crate::signal::{Dismissal, LevelTurn, LevelWhy, ScoreReading, Signal};
use crate::state::SubjectState;
use crate::store::{Committed, Key, StoreError};
use crate::time::Time;

impl Engine {
    /// Resets a subject's level on a scale to the band where the last score lies, and ends the hold
    /// (Purview: a level resets when its alert is dismissed or its case resolved). Rules that look at
    /// better bands may fire on the move. The same order twice gives the first decision back.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] where the subject has no score on the scale;
    /// [`EngineError::Plan`] without a reason, or where the operator is the subject;
    /// [`EngineError::SignalReused`] where the id came with another order.
    pub fn dismiss_level<'a>(
        &'a self,
        order: &'a Dismissal,
        now: Time,
    ) -> Answer<'a, Result<Decision, EngineError>> {
        Box::pin(async move {
            let why = LevelWhy::Dismissed {
                id: order.id.clone(),
                operator: order.operator.clone(),
                reason: order.reason.clone(),
            };
            let key = subject_key(&order.tenant, &order.subject);
            until_settled!({
                let mut tx = self.tx(&order.tenant);
                let installed = self.rules_in(&mut tx, &order.tenant, now).await?;
                tx.load([key.clone()]).await?;
                let state = tx.get::<SubjectState>(&key)?.map(|stored| stored.body);
                let level = state.as_ref().and_then(|state| state.scores.get(&order.scale));
                let scale = installed.rules.settings().scale(&order.scale);
                let (Some(state), Some(level), Some(scale)) = (&state, level, scale) else {
                    return Err(not_found("score of the subject on scale", &order.scale));
                };
                let turn = turn(order, level, why.clone());
                let trigger = trigger_key(&order.tenant, turn.trigger_id());
                tx.load([trigger.clone()]).await?;
                if let Some(known) = tx.get::<Decision>(&trigger)? {
                    return self.repeated(&turn, known.body, now).await;
                }
                if let Some(turn) = overdue(&installed, state, &scale, level, order.at) {
                    self.make_up(tx, &installed, turn, now).await?;
                    return Err(StoreError::Conflict(key.clone()).into());
                }
                let concerned = installed.rules.concerned(&turn);
                let planned = self.plan_into(&mut tx, &installed.rules, &concerned, &turn, now).await?;
                let commit = CommitId::derive(|h| h.text("decide").bytes(planned.decision.id.bytes()));
                match tx.commit(commit).await? {
                    Committed::Applied => Ok(planned.decision),
                    Committed::AlreadyApplied => Err(StoreError::Conflict(trigger).into()),
                }
            })
        })
    }

    /// Makes the move of a subject whose dwell or hold has ended: the first that is due.
    pub(super) async fn step_levels(&self, mut tx: Tx<'_>, key: &Key, now: Time) -> Result<(), EngineError> {
        let Some(stored) = tx.get::<SubjectState>(key)? else { return Ok(()) };
        let installed = self.rules_in(&mut tx, &key.tenant, now).await?;
        let Some((id, _)) = stored.body.next_due() else { return Ok(()) };
        let id = id.clone();
        let (scale, level) = (installed.rules.settings().scale(&id), stored.body.scores.get(&id));
        if let (Some(scale), Some(level)) = (scale, level)
            && let Some(turn) = overdue(&installed, &stored.body, &scale, level, now)
        {
            return self.make_up(tx, &installed, turn, now).await;
        }
        // A scale that is gone moves nobody; what waits on it would be due for ever.
        self.wait_no_more(tx, key, &id, stored.body).await
    }

    async fn wait_no_more(
        &self,
        mut tx: Tx<'_>,
        key: &Key,
        scale: &ScaleId,
        mut state: SubjectState,
    ) -> Result<(), EngineError> {
        let id = step_id(&tx, key);
        if let Some(level) = state.scores.get_mut(scale) {
            level.leaving = None;
        }
        replace(&mut tx, key.clone(), state)?;
        tx.commit(id).await?;
        Ok(())
    }

    /// What must be decided before a score, if anything: the subject's band is read by the bands in
    /// force, and moves that were due before the score are made. The caller begins anew then.
    pub(super) async fn before_score(
        &self,
        tx: &mut Tx<'_>,
        installed: &Installed,
        reading: &ScoreReading,
        now: Time,
    ) -> Result<(), EngineError> {
        let Some(scale) = installed.rules.settings().scale(&reading.scale) else { return Ok(()) };
        let key = subject_key(&reading.tenant, &reading.subject);
        tx.load([key.clone()]).await?;
        let Some(state) = tx.get::<SubjectState>(&key)?.map(|stored| stored.body) else { return Ok(()) };
        let Some(level) = state.scores.get(&reading.scale) else { return Ok(()) };
        let Some(turn) = overdue(installed, &state, &scale, level, reading.at) else { return Ok(()) };
        let mut before = self.tx(&reading.tenant);
        before.load([key.clone()]).await?;
        if before.version(&key) == tx.version(&key) {
            self.rules_in(&mut before, &reading.tenant, now).await?;
            self.make_up(before, installed, turn, now).await?;
        }
        Err(StoreError::Conflict(key).into())
    }

    /// Decides on a look at a level, in a commit of its own.
    async fn make_up(
        &self,
        mut tx: Tx<'_>,
        installed: &Installed,
        turn: LevelTurn,
        now: Time,
    ) -> Result<(), EngineError> {
        let key = subject_key(&turn.tenant, &turn.subject);
        let id = step_id(&tx, &key);
        let turn = match turn.why {
            LevelWhy::Reread { .. } => self.counted(&mut tx, installed, turn).await?,
            _ => turn,
        };
        self.look(&mut tx, installed, turn, now).await?;
        tx.commit(id).await?;
        Ok(())
    }

    /// Puts what follows from a look at a level into the transaction.
    pub(super) async fn look(
        &self,
        tx: &mut Tx<'_>,
        installed: &Installed,
        turn: LevelTurn,
        now: Time,
    ) -> Result<Plan, EngineError> {
        let signal = Signal::Level(turn);
        let trigger = trigger_key(signal.tenant(), signal.trigger_id());
        tx.load([trigger.clone()]).await?;
        if tx.get::<Decision>(&trigger)?.is_some() {
            let fault = "the move was decided on before, but the subject was not moved".to_owned();
            return Err(StoreError::Corrupt { place: trigger.to_string(), fault }.into());
        }
        let concerned = installed.rules.concerned(&signal);
        self.plan_into(tx, &installed.rules, &concerned, &signal, now).await
    }
}

/// The look that a level needs by `until`: it was read by other bands, or a dwell or hold has ended.
fn overdue(
    installed: &Installed,
    state: &SubjectState,
    scale: &Scale,
    level: &Level,
    until: Time,
) -> Option<LevelTurn> {
    let look = |at, why| LevelTurn::new(&installed.tenant, &state.subject, scale.id(), level, at, why);
    if level.revision != scale.revision() {
        let at = installed.since(scale.id()).max(level.at);
        let due = level.due().is_some_and(|due| due <= until);
        let moves = scale.reread(level, at).is_ok_and(|step| due || !step.only_numbers(level));
        let why = LevelWhy::Reread { revision: scale.revision(), over: false };
        return moves.then(|| look(at, why));
    }
    let due = level.due().filter(|due| *due <= until)?;
    Some(look(due, LevelWhy::Elapsed { score: level.signal.clone() }))
}

fn turn(order: &Dismissal, level: &Level, why: LevelWhy) -> Signal {
    Signal::Level(LevelTurn::new(&order.tenant, &order.subject, &order.scale, level, order.at, why))
}
