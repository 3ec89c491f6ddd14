//! What is due: timers are stepped, ready enforcements are claimed, delivered and settled.

use super::approvals::voided;
use super::intake::{replace, stats_key};
use super::rules::rule_at;
use super::turns::Before;
use super::tx::Tx;
use super::{BATCH, Engine, EngineError, until_settled};
use crate::action::RetrySafety;
use crate::approval::{Approval, ApprovalInput, ApprovalState};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::delivery::{Delivered, Delivery, Job, Probe};
use crate::enforcement::{Attempt, Enforcement, Input, Outcome, Purpose, Reason, State, Status};
use crate::id::{CommitId, WorkerId};
use crate::state::RuleStats;
use crate::store::{Claim, DuePage, Key, Kind, Record, Store, StoreError, decode};
use crate::time::Time;

/// How many due records are read at once.
const DUE_PAGE: usize = 100;

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
    /// Answers that came too late: the claim was somebody else's by then.
    pub stale: usize,
    /// Records that could not be stepped. The others were; these are tried again at the next run.
    pub faults: Vec<Fault>,
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
}

impl<S: Store, D: Delivery> Engine<S, D> {
    /// Does what is due at `now`: steps timers that ran out, then claims, delivers and settles
    /// what is ready, until nothing is. Whatever any process left unfinished is taken up when its
    /// lease has run out.
    ///
    /// # Errors
    /// [`EngineError`] when the store fails as a whole. A fault of one record is reported, and
    /// holds up no other.
    pub async fn run_due(&self, now: Time) -> Result<RunReport, EngineError> {
        let mut report = RunReport::default();
        self.run_timers(now, &mut report).await?;
        self.run_ready(now, &mut report).await?;
        Ok(report)
    }

    /// One step may make another record due at once, before the place that the paging has come to:
    /// so passes are made until one finds nothing to step.
    async fn run_timers(&self, now: Time, report: &mut RunReport) -> Result<(), EngineError> {
        loop {
            let mut faults = Vec::new();
            let stepped = self.pass(now, &mut faults).await?;
            report.timers += stepped;
            if stepped == 0 {
                report.faults.append(&mut faults);
                return Ok(());
            }
        }
    }

    async fn pass(&self, now: Time, faults: &mut Vec<Fault>) -> Result<usize, EngineError> {
        let mut stepped = 0;
        let mut after = None;
        loop {
            let page = DuePage { until: now, after: after.clone(), limit: DUE_PAGE };
            let due = self.store.due(&page).await?;
            let Some(last) = due.last() else { return Ok(stepped) };
            after = DuePage::place(last);
            for record in &due {
                match until_settled!({ self.step_timer(&record.key, now).await }) {
                    Ok(()) => stepped += 1,
                    Err(EngineError::Store(
                        error @ (StoreError::Unavailable(_) | StoreError::Unknown(_)),
                    )) => {
                        return Err(error.into());
                    }
                    Err(error) => faults.push(Fault { key: record.key.clone(), error }),
                }
            }
        }
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

    async fn run_ready(&self, now: Time, report: &mut RunReport) -> Result<(), EngineError> {
        let worker = self.worker_id().await?;
        loop {
            let claim = Claim {
                worker: worker.clone(),
                nonce: self.nonce().await?,
                channels: self.delivery.channels(),
                max: BATCH,
                until: now,
                lease: self.lease,
            };
            let batch = match self.store.claim(&claim).await {
                Err(StoreError::Unknown(_)) => self.store.claim(&claim).await?,
                known => known?,
            };
            if batch.is_empty() {
                return Ok(());
            }
            for record in batch {
                let key = record.key.clone();
                if let Err(error) = self.carry_out(&record, &worker, now, report).await {
                    if let EngineError::Store(StoreError::Unavailable(_) | StoreError::Unknown(_)) = error {
                        return Err(error);
                    }
                    report.faults.push(Fault { key, error });
                }
            }
        }
    }

    async fn carry_out(
        &self,
        record: &Record,
        worker: &WorkerId,
        now: Time,
        report: &mut RunReport,
    ) -> Result<(), EngineError> {
        let enforcement = decode::<Enforcement>(record)?.body;
        // A claim takes what makes no sense as it is, so that it is found here and nowhere delivered.
        if !matches!(enforcement.state, State::Running { token, .. } if token == record.token) {
            let fault = format!("it waits to be claimed, but it is {}", enforcement.reason());
            return Err(StoreError::Corrupt { place: record.key.to_string(), fault }.into());
        }
        let void = self.approval_fault(&enforcement).await?;
        let known = match &void {
            Some(void) => Some(Delivered::permanent(void.to_string())),
            None => self.verdict(&enforcement, now).await?,
        };
        let before = match known {
            Some(known) => Before::Known(known),
            None => self.take_turn(record, &enforcement, now).await?,
        };
        let voided = void.map(|void| voided(&enforcement, &void, now));
        let settled = match before {
            Before::Deliver => {
                report.attempts += 1;
                let delivered = self.attempt(&enforcement).await;
                self.settle(record, worker, delivered, voided, now).await?
            }
            Before::Known(known) => self.settle(record, worker, known, voided, now).await?,
            Before::Outdated(why) => self.forgo(record, worker, &why, now).await?,
        };
        match settled {
            None => report.stale += 1,
            Some(settled) => match settled.status() {
                Status::Succeeded => report.succeeded += 1,
                Status::Failed => report.failed += 1,
                Status::Pending => report.waiting += 1,
            },
        }
        Ok(())
    }

    /// What is known before any delivery: that there must be none. Where an earlier attempt was
    /// lost with its process and a repeat would do harm, the target is asked first.
    async fn verdict(&self, enforcement: &Enforcement, now: Time) -> Result<Option<Delivered>, EngineError> {
        // A rescue may come long after the claim; what does harm when it comes late stays undone.
        if let State::Running { retry_by: Some(by), .. } = enforcement.state
            && now >= by
        {
            return Ok(Some(Delivered::retry(format!("it had to start before {by}"))));
        }
        let earlier = enforcement.history.iter().rev().nth(1);
        let lost = earlier.is_some_and(|attempt: &Attempt| attempt.outcome.is_none());
        if lost && enforcement.retry.safety == RetrySafety::NotIdempotent {
            match self.delivery.probe(&Job::from(enforcement)).await {
                Probe::NotDone => {}
                Probe::Done => {
                    return Ok(Some(Delivered::done().message("an earlier attempt carried it out")));
                }
                Probe::Unknown => {
                    let unknown = Delivered::from(Outcome::Unknown);
                    return Ok(Some(unknown.message("an earlier attempt ended without an answer")));
                }
            }
        }
        // The claim that finds nothing left to try has counted itself.
        let none_left = enforcement.attempts > enforcement.retry.attempts;
        Ok(none_left.then(|| Delivered::retry("no attempt is left: earlier ones ended without an answer")))
    }

    async fn attempt(&self, enforcement: &Enforcement) -> Delivered {
        let job = Job::from(enforcement);
        let delivered = self.delivery.deliver(&job).await;
        // A lost answer of something that must not be repeated: perhaps the target can tell.
        if delivered.outcome == Outcome::Unknown && enforcement.retry.safety == RetrySafety::NotIdempotent {
            let outcome = match self.delivery.probe(&job).await {
                Probe::Done => Outcome::Done,
                Probe::NotDone => Outcome::Retry { after: None },
                Probe::Unknown => Outcome::Unknown,
            };
            return Delivered { outcome, ..delivered };
        }
        delivered
    }

    /// Writes down how a delivery came back. `None` when the claim was somebody else's by then.
    async fn settle(
        &self,
        claimed: &Record,
        worker: &WorkerId,
        delivered: Delivered,
        voided: Option<AuditDraft>,
        now: Time,
    ) -> Result<Option<Enforcement>, EngineError> {
        let actor = Actor::Worker(worker.clone());
        let settled = until_settled!({
            let mut tx = self.tx(&claimed.key.tenant);
            tx.load([claimed.key.clone()]).await?;
            let Some(stored) = tx.get::<Enforcement>(&claimed.key)? else { return Ok(None) };
            let input = Input::Settle { token: claimed.token, outcome: delivered.outcome };
            let Ok((next, audit)) = stored.body.step(&input, actor.clone(), now) else { return Ok(None) };
            let mut next = next.reported(claimed.token, delivered.report.clone());
            tx.log(voided.clone());
            tx.log(audit);
            self.count_end(&mut tx, &mut next).await?;
            self.effect_after(&mut tx, &next, Some(claimed.token), now).await?;
            tx.fence(claimed.key.clone(), claimed.token);
            tx.put(claimed.key.clone(), &stored.with(next.clone()));
            let id = CommitId::derive(|h| h.text("settle").text(&claimed.key.id).number(claimed.token));
            match tx.commit(id).await {
                Ok(_) => Ok(Some(next)),
                Err(EngineError::Store(StoreError::Fenced(_))) => Ok(None),
                Err(other) => Err(other),
            }
        })?;
        if settled.is_none() {
            self.refuse_settle(claimed, &actor, &delivered, now).await?;
        }
        Ok(settled)
    }

    /// A stale answer changes nothing, and is audited: its effect may have been a second one.
    async fn refuse_settle(
        &self,
        claimed: &Record,
        actor: &Actor,
        delivered: &Delivered,
        now: Time,
    ) -> Result<(), EngineError> {
        let enforcement = decode::<Enforcement>(claimed)?.body;
        let outcome = serde_json::to_string(&delivered.outcome).unwrap_or_default();
        until_settled!({
            let mut tx = self.tx(&claimed.key.tenant);
            let draft = enforcement
                .draft(AuditCode::EnforcementSettleRefused, actor.clone(), now)
                .detail("token", i64::try_from(claimed.token).unwrap_or(i64::MAX))
                .detail("outcome", outcome.as_str());
            tx.log([draft]);
            self.effect_after_stale(&mut tx, &enforcement, delivered.outcome, now).await?;
            let id = CommitId::derive(|h| h.text("stale").text(&claimed.key.id).number(claimed.token));
            tx.commit(id).await?;
            Ok(())
        })
    }

    /// What the end of an enforcement means beside its effect: its place is given back, and it counts
    /// for the rules that asked for it. Counters that are damaged stay so: what was carried out must be
    /// settled, or it is carried out again.
    pub(super) async fn count_end(
        &self,
        tx: &mut Tx<'_, S>,
        next: &mut Enforcement,
    ) -> Result<(), EngineError> {
        let status = next.status();
        if status == Status::Pending || next.purpose != Purpose::Action {
            return Ok(());
        }
        self.away_after_end(tx, next).await?;
        self.free_ended(tx, next).await?;
        for holder in &next.holders {
            let key = stats_key(&next.tenant, &holder.rule);
            tx.load([key.clone()]).await?;
            let Ok(known) = tx.get::<RuleStats>(&key) else { continue };
            let mut stats = known.map(|stored| stored.body).unwrap_or_default();
            match status {
                Status::Succeeded => stats.succeeded += 1,
                _ => stats.failed += 1,
            }
            if next.reason() == Reason::Rejected {
                stats.rejected += 1;
            }
            replace(tx, key, stats)?;
        }
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
