//! What is due: timers are stepped, tenant by tenant in turn, and what is ready is carried out.

use std::collections::BTreeMap;

use super::intake::{replace, stats_key};
use super::rules::rule_at;
use super::settle::is_down;
use super::tx::Tx;
use super::{Engine, EngineError, until_settled};
use crate::approval::{Approval, ApprovalInput, ApprovalState};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::delivery::Delivery;
use crate::enforcement::{Enforcement, Input, Purpose, Status};
use crate::id::{CommitId, TenantId};
use crate::state::RuleStats;
use crate::store::{DuePage, Key, Kind, Store, StoreError};
use crate::time::Time;

/// How many due records are read at once, and how many of one tenant are stepped before it is
/// another one's turn.
const DUE_PAGE: usize = 100;
/// How many timers are stepped, and how many attempts made, before it is the other's turn: a
/// million of the one must not hold up the other.
const TURN: usize = 1_000;
/// The most faults that one report holds.
const MAX_FAULTS: usize = 1_000;

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunReport {
    /// Timers that were stepped: requests that ran out, occurrences, missed starts, levels whose
    /// dwell or hold ended, pages of changed bands.
    pub timers: usize,
    /// Attempts that were made.
    pub attempts: usize,
    /// Enforcements and notices that succeeded.
    pub succeeded: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that wait for another attempt.
    pub waiting: usize,
    /// Those that were claimed and given back without an attempt: a kill switch was engaged
    /// meanwhile, the store did not answer, or the engine was [stopped](Engine::stop).
    pub handed_back: usize,
    /// Answers that came too late: the claim was somebody else's by then.
    pub stale: usize,
    /// Records that could not be stepped. The others were; these are tried again at the next run.
    pub faults: Vec<Fault>,
    /// How many such records there were beyond the thousand that `faults` holds.
    pub more_faults: usize,
}

/// A record that could not be stepped.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Which.
    pub key: Key,
    /// Why.
    pub error: EngineError,
}

impl RunReport {
    /// Whether there was nothing to do.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        match self.faults.len() < MAX_FAULTS {
            true => self.faults.push(fault),
            false => self.more_faults += 1,
        }
    }
}

/// How far the timers of a run have been stepped.
#[derive(Default)]
struct Round {
    /// Where the turn of each tenant ended that has more; bounded by their number.
    places: BTreeMap<TenantId, Place>,
    stepped: usize,
    /// What could not be stepped since the round began.
    report: RunReport,
}

type Place = (TenantId, Time, Kind, String);

impl<S: Store, D: Delivery> Engine<S, D> {
    /// Does what is due at `now`: steps timers that ran out, then claims, delivers and settles
    /// what is ready, until nothing is. Whatever any process left unfinished is taken up when its
    /// lease has run out. Tenants are served in turn, so that one with a hundred thousand open records
    /// holds up no other; [`Engine::next_wakeup`] says when to call it again.
    ///
    /// # Errors
    /// [`EngineError`] when the store fails as a whole: try again later. Nothing is lost then. What
    /// was delivered and could not be written down is written by the next call of the same engine,
    /// before it claims anything; where the process ends first, the lease runs out, and what was
    /// delivered is delivered again under the same key. A fault of one record is reported, and holds
    /// up no other.
    pub async fn run_due(&self, now: Time) -> Result<RunReport, EngineError> {
        let mut report = RunReport::default();
        self.settle_owed(now, &mut report).await?;
        let mut round = Round::default();
        loop {
            let stepped = self.run_timers(now, &mut round, &mut report).await?;
            let taken = self.run_ready(now, TURN, &mut report).await?;
            if self.is_stopped() || (stepped < TURN && taken < TURN) {
                report.faults.append(&mut round.report.faults);
                report.more_faults += round.report.more_faults;
                return Ok(report);
            }
        }
    }

    /// Steps timers until none is due, or so many were that it is the turn of what is ready. One step
    /// may make another record due at once, before the place that the paging has come to: so rounds
    /// are made until one finds nothing to step.
    async fn run_timers(
        &self,
        now: Time,
        round: &mut Round,
        report: &mut RunReport,
    ) -> Result<usize, EngineError> {
        let before = report.timers;
        while report.timers - before < TURN && !self.is_stopped() {
            let first = round.places.is_empty();
            if first {
                *round = Round::default();
            }
            let stepped = match first {
                true => self.first_pages(now, round).await?,
                false => self.next_pages(now, round).await?,
            };
            report.timers += stepped;
            round.stepped += stepped;
            if round.places.is_empty() && round.stepped == 0 {
                break;
            }
        }
        Ok(report.timers - before)
    }

    /// A page of each tenant that has anything due.
    async fn first_pages(&self, now: Time, round: &mut Round) -> Result<usize, EngineError> {
        let (mut stepped, mut after) = (0, None);
        loop {
            let page = DuePage { until: now, after: after.clone(), limit: DUE_PAGE };
            let due = self.store.due(&page).await?;
            let (Some(first), Some(last)) = (due.first(), due.last()) else { return Ok(stepped) };
            after = DuePage::place(last);
            // A page of one tenant alone: there may be more, but it is the next one's turn.
            if due.len() == DUE_PAGE && first.key.tenant == last.key.tenant {
                let tenant = last.key.tenant.clone();
                round.places.extend(after.map(|place| (tenant.clone(), place)));
                after = Some((tenant, Time::MAX, Kind::Watch, String::new()));
            }
            stepped += self.step_all(due.into_iter().map(|record| record.key), now, round).await?;
        }
    }

    /// One more page of each tenant that has more.
    async fn next_pages(&self, now: Time, round: &mut Round) -> Result<usize, EngineError> {
        let mut stepped = 0;
        for (tenant, place) in std::mem::take(&mut round.places) {
            let page = DuePage { until: now, after: Some(place), limit: DUE_PAGE };
            let mut due = self.store.due(&page).await?;
            due.retain(|record| record.key.tenant == tenant);
            if due.len() == DUE_PAGE {
                round.places.extend(due.last().and_then(DuePage::place).map(|place| (tenant, place)));
            }
            stepped += self.step_all(due.into_iter().map(|record| record.key), now, round).await?;
        }
        Ok(stepped)
    }

    async fn step_all(
        &self,
        due: impl Iterator<Item = Key>,
        now: Time,
        round: &mut Round,
    ) -> Result<usize, EngineError> {
        let mut stepped = 0;
        for key in due {
            if self.is_stopped() {
                break;
            }
            match until_settled!({ self.step_timer(&key, now).await }) {
                Ok(()) => stepped += 1,
                Err(error) if is_down(&error) => return Err(error),
                Err(error) => round.report.fault(Fault { key, error }),
            }
        }
        Ok(stepped)
    }

    /// Steps one record's timer as often as it is due. Another process may have been faster; then
    /// nothing is due any more.
    async fn step_timer(&self, key: &Key, now: Time) -> Result<(), EngineError> {
        loop {
            let mut tx = self.tx(&key.tenant);
            tx.load([key.clone()]).await?;
            let due = tx.record(key).and_then(|record| record.due_at).is_some_and(|due| due <= now);
            if !due {
                return Ok(());
            }
            match key.kind {
                Kind::Approval => self.expire(tx, key, now).await?,
                Kind::Enforcement | Kind::Notice => self.elapse(tx, key, now).await?,
                Kind::Cap => self.forget_windows(tx, key, now).await?,
                Kind::Tally => self.forget_tally(tx, key).await?,
                Kind::Timer => self.step_timetable(tx, key, now).await?,
                Kind::Run => self.step_run(tx, key, now).await?,
                Kind::Sweep => self.step_sweep(tx, key, now).await?,
                Kind::Subject => self.step_levels(tx, key, now).await?,
                Kind::Change => self.step_bands(tx, key, now).await?,
                Kind::Watch => self.step_watch(tx, key, now).await?,
                _ => {
                    let fault = "it has a timer, but records of its kind have none".to_owned();
                    return Err(StoreError::Corrupt { place: key.to_string(), fault }.into());
                }
            }
        }
    }

    async fn expire(&self, mut tx: Tx<'_, S>, key: &Key, now: Time) -> Result<(), EngineError> {
        let Some(stored) = tx.get::<Approval>(key)? else { return Ok(()) };
        let next = stored.body.step(&ApprovalInput::Elapsed, now)?;
        let id = step_id(&tx, key);
        self.follow(&mut tx, &stored.body, next, Actor::Engine, now).await?;
        tx.commit(id).await?;
        Ok(())
    }

    async fn elapse(&self, mut tx: Tx<'_, S>, key: &Key, now: Time) -> Result<(), EngineError> {
        let Some(stored) = tx.get::<Enforcement>(key)? else { return Ok(()) };
        if matches!(stored.body.purpose, Purpose::Undo { .. }) {
            return self.undo_due(tx, key, now).await;
        }
        let id = step_id(&tx, key);
        let (mut next, audit) = stored.body.step(&Input::Elapsed, Actor::Engine, now)?;
        tx.log(audit);
        self.count_end(&mut tx, &mut next).await?;
        self.effect_after(&mut tx, &next, None, now).await?;
        replace(&mut tx, key.clone(), next)?;
        tx.commit(id).await?;
        Ok(())
    }

    /// What follows for the enforcement when its request is over: the log, the next state, the
    /// counters of its rules. The caller writes the request itself.
    pub(super) async fn decided(
        &self,
        tx: &mut Tx<'_, S>,
        approval: &Approval,
        actor: Actor,
        now: Time,
    ) -> Result<(), EngineError> {
        let (code, input) = match approval.state {
            ApprovalState::Open => return Ok(()),
            ApprovalState::Granted => (AuditCode::ApprovalGranted, Input::Approve),
            ApprovalState::Rejected => (AuditCode::ApprovalRejected, Input::Reject),
            ApprovalState::Expired => (AuditCode::ApprovalExpired, Input::ExpireApproval),
            ApprovalState::Withdrawn => (AuditCode::ApprovalWithdrawn, Input::Cancel),
        };
        let draft = AuditDraft::new(approval.tenant.clone(), code, actor.clone(), now)
            .subject(approval.subject.clone())
            .target(approval.action.as_str())
            .approval(approval.id)
            .enforcement(approval.enforcement)
            .trigger(approval.context.trigger);
        tx.log([draft]);
        if approval.ratifies {
            return self.ratified(tx, approval, now).await;
        }
        let key = super::intake::enforcement_key(&approval.tenant, approval.enforcement);
        tx.load([key.clone()]).await?;
        let Some(stored) = tx.get::<Enforcement>(&key)? else {
            let fault = "the enforcement of an approval is missing".to_owned();
            return Err(StoreError::Corrupt { place: key.to_string(), fault }.into());
        };
        // One that was settled without its request, changed by hand, stays as it is; the request
        // must end all the same, or it would be due for ever.
        if approval.state == ApprovalState::Expired && stored.body.status() != Status::Pending {
            return Ok(());
        }
        let (mut next, audit) = stored.body.step(&input, actor, now)?;
        next.votes.clone_from(&approval.votes);
        tx.log(audit);
        self.count_end(tx, &mut next).await?;
        if approval.state == ApprovalState::Granted {
            for rule in &approval.rules {
                let key = stats_key(&approval.tenant, rule);
                tx.load([key.clone()]).await?;
                let Ok(known) = tx.get::<RuleStats>(&key) else { continue };
                let mut stats = known.map(|stored| stored.body).unwrap_or_default();
                stats.approved += 1;
                replace(tx, key, stats)?;
            }
        }
        replace(tx, key, next)
    }

    /// The rules as they were when a run began.
    pub(super) async fn rules_at(
        &self,
        tx: &mut Tx<'_, S>,
        key: &Key,
        rule: &crate::id::RuleId,
        revision: u32,
        now: Time,
    ) -> Result<crate::rule::RuleSet, EngineError> {
        let installed = self.rules_in(tx, &key.tenant, now).await?;
        rule_at(self, &key.tenant, &installed, rule, revision).await
    }
}

/// The id of a step of one record: the same step is made once.
pub(super) fn step_id<S: Store>(tx: &Tx<'_, S>, key: &Key) -> CommitId {
    let version = tx.version(key);
    CommitId::derive(|h| h.text("step").text(key.kind.as_str()).text(&key.id).number(version))
}
