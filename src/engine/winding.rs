//! The timer of a rule that changes: it is wound up anew, or stopped, and what came due before the
//! change is dealt with.

use std::sync::Arc;

use super::installed::{book_key, timer_key};
use super::intake::replace;
use super::run::step_id;
use super::timetable::{scheduled, skips, step};
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::id::TenantId;
use crate::rule::{CompiledRule, Mode, Rule, Trigger};
use crate::state::Timer;
use crate::store::StoreError;
use crate::time::Time;

/// What became of a timer that was to be wound up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wound {
    /// It is, in the transaction.
    Up,
    /// More came due before the change than one commit deals with: that comes first.
    Behind,
}

impl Engine {
    /// Winds the timer of a scheduled rule up, or stops it. What came due before the change is dealt
    /// with as `before` says, the rule that was in force: nothing of it is lost, and the new
    /// timetable answers for nothing that lies before it.
    pub(super) async fn set_timer(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        before: Option<&Arc<CompiledRule>>,
        rule: &Rule,
        active: bool,
        now: Time,
    ) -> Result<Wound, EngineError> {
        let key = timer_key(tenant, &rule.id);
        tx.load([key.clone()]).await?;
        let known = tx.get::<Timer>(&key)?.map(|stored| stored.body);
        let is_new = known.is_none();
        let mut timer = known.unwrap_or_else(|| Timer::new(rule.id.clone()));
        if let Some((before, timetable, _)) = before.filter(|before| before.acts()).and_then(scheduled) {
            let stepped = step(&timer, timetable, before.catch_up(), now);
            if stepped.more {
                return Ok(Wound::Behind);
            }
            tx.log(skips(tenant, &rule.id, &stepped.skipped, now));
            timer = stepped.timer;
        }
        let acts = active && rule.mode != Mode::Off;
        let next = match &rule.trigger {
            Trigger::Schedule { timetable, .. } if acts => timetable.after(now),
            _ => None,
        };
        if next.is_none() {
            let stopped: Vec<_> = timer.waiting.drain(..).map(|at| (at, "stopped")).collect();
            tx.log(skips(tenant, &rule.id, &stopped, now));
        }
        let same =
            before.is_some_and(|before| before.acts() && before.rule.trigger.watches_as(&rule.trigger));
        let listening = match acts && rule.trigger.watches() {
            true => timer.listening.filter(|_| same).or(Some(now)),
            false => None,
        };
        // A disabled rule creates no timer; one that had a timer keeps it, stopped.
        if is_new && next.is_none() && listening.is_none() {
            return Ok(Wound::Up);
        }
        replace(tx, key, Timer { next, since: Some(now), listening, ..timer })?;
        Ok(Wound::Up)
    }

    /// Deals, page by page, with what came due of these rules before they change. Gives the conflict
    /// on which the change is tried again.
    pub(super) async fn catch_up_first(
        &self,
        tenant: &TenantId,
        behind: &[Arc<CompiledRule>],
        now: Time,
    ) -> Result<StoreError, EngineError> {
        for (rule, timetable, _) in behind.iter().filter_map(scheduled) {
            let key = timer_key(tenant, &rule.rule.id);
            loop {
                let mut tx = self.tx(tenant);
                tx.load([key.clone()]).await?;
                let Some(stored) = tx.get::<Timer>(&key)? else { break };
                let stepped = step(&stored.body, timetable, rule.catch_up(), now);
                // The last page belongs to the change.
                if !stepped.more {
                    break;
                }
                let id = step_id(&tx, &key);
                tx.log(skips(tenant, &rule.rule.id, &stepped.skipped, now));
                tx.put(key.clone(), &stored.with(stepped.timer));
                tx.commit(id).await?;
            }
        }
        Ok(StoreError::Conflict(book_key(tenant)))
    }
}
