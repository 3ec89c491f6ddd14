//! Writing down how attempts ended: several of one tenant in one commit.

use std::collections::BTreeSet;

use super::counts::rules_of;
use super::held::Unsettled;
use super::tx::Tx;
use super::{Engine, EngineError, Fault, RunReport, until_settled};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::broken::{self, Defect};
use crate::delivery::Delivered;
use crate::enforcement::{Enforcement, Input, Outcome, Purpose, Reason, Report, State, Status};
use crate::hash::Hasher;
use crate::id::{CommitId, WorkerId};
use crate::store::{Key, Record, StoreError, decode};
use crate::time::Time;

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// With an answer; the log says beside it why nothing was delivered, if nothing was.
    Settle(Delivered, Option<Box<AuditDraft>>),
    /// What led to it no longer holds, and why.
    Forgo(String),
    /// It was not begun, and why; it waits again.
    HandBack(&'static str),
    /// It cannot begin before then, and why.
    Postpone(Time, String),
    /// It must not begin before then, by the times of its rules, and why.
    Adjourn(Time, String),
}

/// An attempt that ended, and is to be written down.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) claimed: Record,
    pub(super) end: End,
    /// Whether the same was tried before, and its answer was lost.
    pub(super) again: bool,
    /// Whether a fault of what is stored stands against it: it is tried at each run until the claim is
    /// somebody else's, but is no reason to wait for it.
    pub(super) stuck: bool,
}

impl Answered {
    fn input(&self, token: u64) -> Input {
        match &self.end {
            End::Settle(delivered, _) => Input::Settle { token, outcome: delivered.outcome },
            End::Forgo(_) => Input::Forgo { token },
            End::HandBack(_) => Input::HandBack { token },
            End::Postpone(until, _) => Input::Postpone { token, until: *until },
            End::Adjourn(until, _) => Input::Adjourn { token, until: *until },
        }
    }

    fn feed(&self, hasher: Hasher) -> Hasher {
        let verb = match &self.end {
            End::Settle(..) => "settle",
            End::Forgo(_) => "forgo",
            End::HandBack(_) => "hand back",
            End::Postpone(..) => "postpone",
            End::Adjourn(..) => "adjourn",
        };
        hasher.text(verb).text(&self.claimed.key.id).number(self.claimed.token)
    }

    /// Whether the record says already what would be written: its answer was lost, and it had been.
    fn is_written(&self, stored: &Enforcement) -> bool {
        let End::Settle(delivered, _) = &self.end else { return false };
        let attempt = stored.history.iter().rfind(|attempt| attempt.token == self.claimed.token);
        self.again && attempt.is_some_and(|attempt| attempt.outcome == Some(delivered.outcome))
    }
}

impl Engine {
    /// Writes down what an earlier call could not. What the store does not take now either stays.
    pub(super) async fn settle_owed(&self, now: Time, report: &mut RunReport) -> Result<(), EngineError> {
        let owed = self.holdings.take_owed();
        match owed.answers.is_empty() {
            true => Ok(()),
            false => self.settle(owed, now, report).await,
        }
    }

    /// Writes down how attempts ended, in one commit a tenant. What the store does not take is kept for the
    /// next run. Where that is because the store is not available, or because of too many others who write
    /// the same, nothing is claimed until it is written.
    pub(super) async fn settle(
        &self,
        mut answers: Unsettled<'_>,
        now: Time,
        report: &mut RunReport,
    ) -> Result<(), EngineError> {
        let worker = self.worker_id().await?;
        while let Some(tenant) = answers.answers.first().map(|answer| answer.claimed.key.tenant.clone()) {
            let of_tenant = |answer: &&Answered| answer.claimed.key.tenant == tenant;
            let group: Vec<Answered> = answers.answers.iter().filter(of_tenant).cloned().collect();
            let done = self.settle_group(group, &worker, now, report).await;
            match done {
                Ok(()) => answers.written(&tenant, Vec::new()),
                Err((error, left)) => {
                    answers.written(&tenant, left);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// One commit for all; where one of them stands in the way of the others, each has its own.
    async fn settle_group(
        &self,
        group: Vec<Answered>,
        worker: &WorkerId,
        now: Time,
        report: &mut RunReport,
    ) -> Result<(), (EngineError, Vec<Answered>)> {
        let settled = match self.settle_together(&group, worker, now).await {
            Ok(settled) => settled,
            Err(error) if is_down(&error) => return Err((error, group)),
            // Where many hosts count for one rule, singly they would be in each other's way all the more:
            // the next run writes it.
            Err(error) if group.len() == 1 || error == EngineError::Busy => {
                let key = group[0].claimed.key.clone();
                let stuck = error != EngineError::Busy;
                self.holdings.owe(group.into_iter().map(|answer| Answered { stuck, ..answer }));
                report.fault(Fault { key, error });
                return Ok(());
            }
            Err(_) => {
                let mut rest = group.into_iter();
                while let Some(one) = rest.next() {
                    if let Err((error, mut left)) =
                        Box::pin(self.settle_group(vec![one], worker, now, report)).await
                    {
                        left.extend(rest);
                        return Err((error, left));
                    }
                }
                return Ok(());
            }
        };
        let mut pairs = group.into_iter().zip(settled);
        while let Some((answer, settled)) = pairs.next() {
            if settled.is_none()
                && let Err(error) = self.refuse_stale(&answer, worker, now).await
            {
                if is_down(&error) {
                    let rest = pairs.filter(|(_, settled)| settled.is_none()).map(|(answer, _)| answer);
                    return Err((error, std::iter::once(answer).chain(rest).collect()));
                }
                report.fault(Fault { key: answer.claimed.key.clone(), error });
                continue;
            }
            report.ended(&answer.end, settled.as_ref());
        }
        Ok(())
    }

    /// The enforcements as they are now; none for a claim that is somebody else's by then.
    async fn settle_together(
        &self,
        group: &[Answered],
        worker: &WorkerId,
        now: Time,
    ) -> Result<Vec<Option<Enforcement>>, EngineError> {
        let Some(tenant) = group.first().map(|answer| &answer.claimed.key.tenant) else {
            return Ok(Vec::new());
        };
        let actor = Actor::Worker(worker.clone());
        let mut fenced: BTreeSet<Key> = BTreeSet::new();
        until_settled!({
            let mut tx = self.tx(tenant);
            tx.load(group.iter().map(|answer| answer.claimed.key.clone())).await?;
            let mut settled = Vec::new();
            let mut written = Vec::new();
            for answer in group {
                let next = match fenced.contains(&answer.claimed.key) {
                    true => None,
                    false => self.settle_in(&mut tx, answer, &actor, now, &mut written).await?,
                };
                settled.push(next);
            }
            if written.is_empty() {
                return Ok(settled);
            }
            let id = CommitId::derive(|h| written.iter().fold(h, |h, answer| answer.feed(h)));
            match tx.commit(id).await {
                Ok(_) => Ok(settled),
                Err(EngineError::Store(StoreError::Fenced(key))) => {
                    fenced.insert(key.clone());
                    Err(StoreError::Conflict(key).into())
                }
                Err(error) => Err(error),
            }
        })
    }

    /// Puts one end into a transaction, with what follows from it.
    async fn settle_in<'a>(
        &self,
        tx: &mut Tx<'_>,
        answer: &'a Answered,
        actor: &Actor,
        now: Time,
        written: &mut Vec<&'a Answered>,
    ) -> Result<Option<Enforcement>, EngineError> {
        let (key, token) = (&answer.claimed.key, answer.claimed.token);
        let Some(stored) = tx.get::<Enforcement>(key)? else { return Ok(None) };
        let token = match stored.body.state {
            State::Running { token, .. } if broken::is(Defect::SettledWithoutToken) => token,
            _ => token,
        };
        let Ok((next, audit)) = stored.body.step(&answer.input(token), actor.clone(), now) else {
            return Ok(answer.is_written(&stored.body).then_some(stored.body));
        };
        let mut next = match &answer.end {
            End::Settle(delivered, voided) => {
                tx.log(voided.as_deref().cloned());
                if broken::is(Defect::ToldTwice) {
                    tx.log(audit.clone());
                }
                tx.log(audit);
                next.reported(token, delivered.report.clone())
            }
            End::Forgo(why) => {
                tx.log(audit.into_iter().map(|draft| draft.detail("why", why.as_str())));
                next.reported(token, Report { message: Some(why.clone()), ..Report::default() })
            }
            End::Postpone(_, why) | End::Adjourn(_, why) => {
                tx.log(audit.into_iter().map(|draft| draft.detail("why", why.as_str())));
                next
            }
            End::HandBack(why) => {
                tx.log(audit.into_iter().map(|draft| draft.detail("why", *why)));
                next
            }
        };
        self.count_end(tx, &mut next).await?;
        self.effect_after(tx, &stored.body.state, &next, now).await?;
        tx.fence(key.clone(), token);
        tx.put(key.clone(), &stored.with(next.clone()));
        written.push(answer);
        Ok(Some(next))
    }

    /// A stale answer changes nothing, and is audited: its effect may have been a second one.
    async fn refuse_stale(&self, answer: &Answered, worker: &WorkerId, now: Time) -> Result<(), EngineError> {
        let End::Settle(delivered, _) = &answer.end else { return Ok(()) };
        let claimed = &answer.claimed;
        let enforcement = decode::<Enforcement>(claimed)?.body;
        let outcome = serde_json::to_string(&delivered.outcome).unwrap_or_default();
        let actor = Actor::Worker(worker.clone());
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

    /// What the end of an enforcement means beside its effect: the places that it took are given back,
    /// and it counts for the rules that asked for it.
    pub(super) async fn count_end(&self, tx: &mut Tx<'_>, next: &mut Enforcement) -> Result<(), EngineError> {
        let status = next.status();
        if status == Status::Pending || next.purpose != Purpose::Action {
            return Ok(());
        }
        self.away_after_end(tx, next).await?;
        self.free_ended(tx, next).await?;
        self.count(tx, &next.tenant, tx.part(), rules_of(&next.holders), |stats| {
            match status {
                Status::Succeeded => stats.succeeded += 1,
                _ => stats.failed += 1,
            }
            stats.rejected += u64::from(next.reason() == Reason::Rejected);
        })
        .await
    }
}

/// Whether the store is what fails, so that trying others now is of no use.
pub(super) const fn is_down(error: &EngineError) -> bool {
    matches!(error, EngineError::Store(StoreError::Unavailable(_) | StoreError::Unknown(_)))
}

impl RunReport {
    /// Counts how an attempt ended.
    fn ended(&mut self, end: &End, settled: Option<&Enforcement>) {
        match (end, settled) {
            (_, None) => self.stale += 1,
            (End::HandBack(_), Some(next)) if next.status() == Status::Pending => self.handed_back += 1,
            (_, Some(next)) => match next.status() {
                Status::Succeeded => self.succeeded += 1,
                Status::Failed => self.failed += 1,
                Status::Pending => self.waiting += 1,
            },
        }
    }
}

/// The answer of a delivery that was given up.
pub(super) fn lost(message: String) -> Delivered {
    Delivered::from(Outcome::Unknown).message(message)
}
