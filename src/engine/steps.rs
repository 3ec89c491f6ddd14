//! Timers of one tenant in few commits: what ran out in a page is stepped together.

use std::collections::BTreeMap;

use super::run::step_id;
use super::settle::is_down;
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::approval::{Approval, ApprovalInput};
use crate::audit::Actor;
use crate::enforcement::{Enforcement, Input, Purpose};
use crate::engine::intake::replace;
use crate::id::CommitId;
use crate::store::{Key, Kind, Record, StoreError};
use crate::time::Time;

/// What stepping several timers at once came to.
#[derive(Default)]
pub(super) struct Stepped {
    /// How many were stepped.
    pub(super) count: usize,
    /// Those that must be stepped alone.
    pub(super) alone: Vec<Key>,
}

/// Where the next ones begin that may be stepped together: consecutive ones of one tenant, of kinds whose
/// step is a commit of its own records alone.
pub(super) fn together(due: &[Key]) -> usize {
    let Some(first) = due.first() else { return 0 };
    let fits = |key: &&Key| key.tenant == first.tenant && is_plain(key.kind) == is_plain(first.kind);
    match is_plain(first.kind) {
        true => due.iter().take_while(fits).count(),
        false => 1,
    }
}

/// Whether a timer of that kind may be stepped beside others.
pub(super) const fn is_plain(kind: Kind) -> bool {
    matches!(kind, Kind::Approval | Kind::Cap | Kind::Enforcement | Kind::Notice | Kind::Tally)
}

impl Engine {
    /// Steps the timers of records of one tenant in one commit, each once, as they were read a moment ago
    /// or, where that is none of them, as they are. What stands in the way of the others is left to be
    /// stepped alone, and so is what another of them has changed.
    ///
    /// # Errors
    /// `Conflict` where somebody else was faster with any of them.
    pub(super) async fn step_together(
        &self,
        keys: &[Key],
        read: BTreeMap<Key, Option<Record>>,
        now: Time,
    ) -> Result<Stepped, EngineError> {
        let mut stepped = Stepped::default();
        let Some(first) = keys.first() else { return Ok(stepped) };
        let mut tx = self.tx(&first.tenant);
        tx.offer(read);
        tx.load(keys.iter().cloned()).await?;
        let mut ids = Vec::new();
        for key in keys {
            if !is_due(&tx, key, now) {
                continue;
            }
            if tx.is_written(key) {
                stepped.alone.push(key.clone());
                continue;
            }
            let mark = tx.mark();
            match self.step_in(&mut tx, key, now).await {
                Ok(true) => ids.push(step_id(&tx, key)),
                Ok(false) => stepped.alone.push(key.clone()),
                Err(error @ EngineError::Store(StoreError::Conflict(_))) => return Err(error),
                Err(error) if is_down(&error) => return Err(error),
                Err(_) => {
                    tx.back_to(&mark);
                    stepped.alone.push(key.clone());
                }
            }
        }
        stepped.count = ids.len();
        if !ids.is_empty() {
            let id = CommitId::derive(|h| ids.iter().fold(h.text("steps"), |h, id| h.bytes(id.bytes())));
            tx.commit(id).await?;
        }
        Ok(stepped)
    }

    /// Puts a step of one record into a transaction. False where there is none of its kind.
    pub(super) async fn step_in(&self, tx: &mut Tx<'_>, key: &Key, now: Time) -> Result<bool, EngineError> {
        match key.kind {
            Kind::Approval => self.expire(tx, key, now).await,
            Kind::Enforcement | Kind::Notice => self.elapse(tx, key, now).await,
            Kind::Cap => self.forget_windows(tx, key, now),
            Kind::Tally => self.forget_tally(tx, key),
            _ => Ok(false),
        }
    }

    async fn expire(&self, tx: &mut Tx<'_>, key: &Key, now: Time) -> Result<bool, EngineError> {
        let Some(stored) = tx.get::<Approval>(key)? else { return Ok(false) };
        let next = stored.body.step(&ApprovalInput::Elapsed, now)?;
        self.follow(tx, &stored.body, next, Actor::Engine, now).await?;
        Ok(true)
    }

    async fn elapse(&self, tx: &mut Tx<'_>, key: &Key, now: Time) -> Result<bool, EngineError> {
        let Some(stored) = tx.get::<Enforcement>(key)? else { return Ok(false) };
        if matches!(stored.body.purpose, Purpose::Undo { .. }) {
            return self.undo_due(tx, key, now).await;
        }
        let stepped = self.step_outside_hours(tx, &stored.body, &Input::Elapsed, &Actor::Engine, now);
        let (mut next, audit) = stepped.await?;
        tx.log(audit);
        self.count_end(tx, &mut next).await?;
        self.effect_after(tx, &stored.body.state, &next, now).await?;
        replace(tx, key.clone(), next)?;
        Ok(true)
    }
}

/// Whether a record that was read has a timer that has run out.
pub(super) fn is_due(tx: &Tx<'_>, key: &Key, now: Time) -> bool {
    tx.record(key).and_then(|record| record.due_at).is_some_and(|due| due <= now)
}
