//! What is due: timers are stepped, tenant by tenant in turn, and what is ready is carried out.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::atomic::Ordering;

use super::approvals::approval_key;
use super::installed::rule_at;
use super::intake::replace;
use super::settle::{Answered, End, is_down};
use super::steps::{is_due, is_plain, together};
use super::tx::Tx;
use super::{Engine, EngineError, until_settled};
use crate::approval::{Approval, ApprovalState};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::broken::{self, Defect};
use crate::enforcement::{Enforcement, Input, Status};
use crate::id::{CommitId, TenantId};
use crate::ready::Answer;
use crate::store::{DuePage, Key, Kind, Record, Store, StoreError};
use crate::time::{Span, Time};

/// How many due records are read at once, and how many of one tenant are stepped before it is
/// another one's turn.
const DUE_PAGE: usize = 100;
/// How many timers are stepped, and how many attempts made, before it is the other's turn: a
/// million of the one must not hold up the other.
const TURN: usize = 1_000;
/// How much of it the next page of an audience, of a sweep or of changed bands is: each decides for up to
/// hundreds of people.
const PAGE_OF_TURN: usize = 100;
/// How long a run takes up new work, by the store's clock. All of it is decided by the time that the run
/// was given; what has come since then, and whatever has run out, waits for the next one.
const LONGEST: Span = Span::secs(5);
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
    /// Whether it ended before all was done, as the time that it was given had grown old: run again at
    /// once, with the present time.
    pub more: bool,
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

/// What two runs did, one after the other; whether there is more is what the later one says.
impl AddAssign for RunReport {
    fn add_assign(&mut self, later: Self) {
        self.timers += later.timers;
        self.attempts += later.attempts;
        self.succeeded += later.succeeded;
        self.failed += later.failed;
        self.waiting += later.waiting;
        self.handed_back += later.handed_back;
        self.stale += later.stale;
        self.more_faults += later.more_faults;
        self.more = later.more;
        later.faults.into_iter().for_each(|fault| self.fault(fault));
    }
}

/// Since when a run goes on, by the store's clock.
#[derive(Default)]
pub(super) struct Course {
    begun: Option<Time>,
}

impl Course {
    /// Whether it has gone on for long enough, as the store's clock shows now.
    pub(super) fn is_old(&mut self, store_now: Time) -> bool {
        store_now >= self.begun.get_or_insert(store_now).after(LONGEST)
    }
}

/// How far the timers of a run have been stepped.
#[derive(Default)]
struct Round {
    /// Where the first look at all tenants left off, if it has.
    rest: Option<Place>,
    /// Where the turn of each tenant ended that has more; bounded by their number.
    places: BTreeMap<TenantId, Place>,
    stepped: usize,
    /// What that comes to of a turn.
    weight: usize,
    /// Nothing of it has been looked at yet.
    anew: bool,
    /// What could not be stepped since the round began.
    report: RunReport,
    /// Somebody else was at it: what they have stepped is carried out before any more is.
    crossed: bool,
}

type Place = (TenantId, Time, Kind, String);

impl Engine {
    /// Does what is due at `now`: steps timers that ran out, then claims, delivers and settles
    /// what is ready, until nothing is, or until seconds have passed by the store's clock and `now` has
    /// grown old ([`RunReport::more`]). Whatever any process left unfinished is taken up when its
    /// lease has run out. Tenants are served in turn, so that one with a hundred thousand open records
    /// holds up no other; [`Engine::next_wakeup`] says when to call it again.
    ///
    /// # Errors
    /// [`EngineError`] when the store fails as a whole: try again later. Nothing is lost then. What
    /// was delivered and could not be written down is written by the next call of the same engine,
    /// before it claims anything; where the process ends first, the lease runs out, and what was
    /// delivered is delivered again under the same key. A fault of one record is reported, and holds
    /// up no other.
    pub fn run_due(&self, now: Time) -> Answer<'_, Result<RunReport, EngineError>> {
        Box::pin(async move {
            let mut report = RunReport::default();
            if self.is_stopped() {
                self.left_off.store(false, Ordering::SeqCst);
                self.give_back(now, &mut report).await?;
                return Ok(report);
            }
            self.settle_owed(now, &mut report).await?;
            let (mut round, mut course) = (Round::default(), Course::default());
            loop {
                let stepped = self.run_timers(now, &mut round, &mut report).await?;
                let taken = self.run_ready(now, TURN, &mut course, &mut report).await?;
                let over = stepped < TURN && taken < TURN && !round.crossed && !report.more;
                if self.is_stopped() || over {
                    break;
                }
                report.more = report.more || course.is_old(self.store.now().await?);
                if report.more {
                    break;
                }
            }
            // Whoever ends takes up nothing more.
            let more = report.more && !self.is_stopped();
            report += RunReport { more, ..round.report };
            self.left_off.store(report.more, Ordering::SeqCst);
            Ok(report)
        })
    }

    /// The last work of an engine that was stopped: what it owes is written down, and a claim that may
    /// have been made, but whose answer was lost, is made once more to be handed back.
    async fn give_back(&self, now: Time, report: &mut RunReport) -> Result<(), EngineError> {
        if broken::is(Defect::OwedForgotten) {
            return Ok(());
        }
        self.settle_owed(now, report).await?;
        while let Some(claimed) = self.claim_again().await? {
            let end = || End::HandBack("the worker ends");
            let answers = claimed.into_iter().map(|claimed| Answered {
                claimed,
                end: end(),
                again: false,
                stuck: false,
            });
            self.settle(self.holdings.unsettled(answers), now, report).await?;
        }
        match self.holdings.owes() {
            true => Err(EngineError::Busy),
            false => Ok(()),
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
        let mut done = 0;
        // Whoever has stood aside once does not do so again: the others may have ended since. What they
        // have not stepped, and what lies behind it, is looked at anew.
        let aside = std::mem::take(&mut round.crossed);
        if aside {
            (round.rest, round.places) = (None, BTreeMap::new());
        }
        while done < TURN && !self.is_stopped() && !round.crossed {
            if round.rest.is_none() && round.places.is_empty() {
                *round = Round { anew: true, ..Round::default() };
            }
            let before = (round.stepped, round.weight);
            match round.anew || round.rest.is_some() {
                true => self.first_pages(now, TURN - done, aside, round).await?,
                false => self.next_pages(now, aside, round).await?,
            }
            report.timers += round.stepped - before.0;
            done += round.weight - before.1;
            let ended = round.rest.is_none() && round.places.is_empty();
            if ended && round.stepped == 0 && !round.crossed {
                break;
            }
        }
        Ok(done)
    }

    /// A page of each tenant that has anything due, as far as there is room.
    async fn first_pages(
        &self,
        now: Time,
        room: usize,
        aside: bool,
        round: &mut Round,
    ) -> Result<(), EngineError> {
        let (before, mut after) = (round.weight, round.rest.take());
        round.anew = false;
        loop {
            let page = DuePage { until: now, after: after.clone(), limit: DUE_PAGE };
            let due = self.store.due(&page).await?;
            let (Some(first), Some(last)) = (due.first(), due.last()) else { return Ok(()) };
            after = DuePage::place(last);
            // A page of one tenant alone: there may be more, but it is the next one's turn.
            if due.len() == DUE_PAGE && first.key.tenant == last.key.tenant {
                let tenant = last.key.tenant.clone();
                round.places.extend(after.map(|place| (tenant.clone(), place)));
                after = Some((tenant, Time::MAX, Kind::Watch, String::new()));
            }
            self.step_all(due, now, aside, round).await?;
            if round.crossed || self.is_stopped() {
                return Ok(());
            }
            if round.weight - before >= room {
                round.rest = after;
                return Ok(());
            }
        }
    }

    /// One more page of each tenant that has more.
    async fn next_pages(&self, now: Time, aside: bool, round: &mut Round) -> Result<(), EngineError> {
        for (tenant, place) in std::mem::take(&mut round.places) {
            let page = DuePage { until: now, after: Some(place), limit: DUE_PAGE };
            let mut due = self.store.due(&page).await?;
            due.retain(|record| record.key.tenant == tenant);
            if due.len() == DUE_PAGE {
                round.places.extend(due.last().and_then(DuePage::place).map(|place| (tenant, place)));
            }
            self.step_all(due, now, aside, round).await?;
        }
        Ok(())
    }

    /// Steps a page of timers, in as few commits as may be. Where somebody else is at the same ones, and
    /// nobody stood aside before, it leaves off.
    async fn step_all(
        &self,
        due: Vec<Record>,
        now: Time,
        aside: bool,
        round: &mut Round,
    ) -> Result<(), EngineError> {
        let keys: Vec<Key> = due.iter().map(|record| record.key.clone()).collect();
        let mut due = due.into_iter();
        let mut rest = keys.as_slice();
        while !rest.is_empty() && !self.is_stopped() {
            let (group, later) = rest.split_at(together(rest));
            rest = later;
            let read = due.by_ref().take(group.len());
            let read = read.map(|record| (record.key.clone(), Some(record))).collect();
            let mut alone = group.to_vec();
            if group.len() > 1 {
                let done = match self.step_together(group, read, now).await {
                    Err(EngineError::Store(StoreError::Conflict(_))) if aside => {
                        until_settled!({ self.step_together(group, BTreeMap::new(), now).await })
                    }
                    done => done,
                };
                match done {
                    Ok(done) => {
                        round.stepped += done.count;
                        round.weight += done.count;
                        alone = done.alone;
                    }
                    Err(error) if is_down(&error) => return Err(error),
                    Err(EngineError::Store(StoreError::Conflict(_))) => {
                        round.crossed = true;
                        return Ok(());
                    }
                    // What stands in the way of the others shows when each is alone.
                    Err(_) => {}
                }
            }
            for key in alone {
                if self.is_stopped() {
                    break;
                }
                match until_settled!({ self.step_timer(&key, now).await }) {
                    Ok(()) => {
                        round.stepped += 1;
                        round.weight += match key.kind {
                            Kind::Run | Kind::Sweep | Kind::Change => PAGE_OF_TURN,
                            _ => 1,
                        };
                    }
                    Err(error) if is_down(&error) => return Err(error),
                    Err(error) => round.report.fault(Fault { key, error }),
                }
            }
        }
        Ok(())
    }

    /// Steps one record's timer once: where it is due again, the next round comes to it. Another process
    /// may have been faster; then nothing is due any more.
    async fn step_timer(&self, key: &Key, now: Time) -> Result<(), EngineError> {
        let mut tx = self.tx(&key.tenant);
        tx.load([key.clone()]).await?;
        if !is_due(&tx, key, now) {
            return Ok(());
        }
        match key.kind {
            kind if is_plain(kind) => {
                let id = step_id(&tx, key);
                if self.step_in(&mut tx, key, now).await? {
                    tx.commit(id).await?;
                }
                Ok(())
            }
            Kind::Timer => self.step_timetable(tx, key, now).await,
            Kind::Run => self.step_run(tx, key, now).await,
            Kind::Sweep => self.step_sweep(tx, key, now).await,
            Kind::Subject => self.step_levels(tx, key, now).await,
            Kind::Change => self.step_bands(tx, key, now).await,
            Kind::Watch => self.step_watch(tx, key, now).await,
            _ => {
                let fault = "it has a timer, but records of its kind have none".to_owned();
                Err(StoreError::Corrupt { place: key.to_string(), fault }.into())
            }
        }
    }

    /// What follows for the enforcement when its request is over: the log, the next state, the
    /// counters of its rules. The caller writes the request itself.
    pub(super) async fn decided(
        &self,
        tx: &mut Tx<'_>,
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
        let stepped = self.step_outside_hours(tx, &stored.body, &input, &actor, now).await;
        if let Err(EngineError::Move(_)) = stepped {
            // The request and its enforcement were read one after the other: where somebody else was faster
            // in between, it is their answer that stands, and the request says so when it is read again.
            tx.unchanged(&approval_key(&approval.tenant, approval.id)).await?;
        }
        let (mut next, audit) = stepped?;
        next.votes.clone_from(&approval.votes);
        tx.log(audit);
        self.count_end(tx, &mut next).await?;
        if approval.state == ApprovalState::Granted {
            self.count(tx, &approval.tenant, tx.part(), &approval.rules, |stats| stats.approved += 1).await?;
        }
        replace(tx, key, next)
    }

    /// The rules as they were when a run began.
    pub(super) async fn rules_at(
        &self,
        tx: &mut Tx<'_>,
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
pub(super) fn step_id(tx: &Tx<'_>, key: &Key) -> CommitId {
    let version = tx.version(key);
    CommitId::derive(|h| h.text("step").text(key.kind.as_str()).text(&key.id).number(version))
}
