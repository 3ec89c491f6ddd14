//! What is ready: enforcements are claimed, looked at once more, and delivered.

use std::collections::{BTreeSet, VecDeque};

use super::approvals::{approval_keys, voided};
use super::crowd::Crowd;
use super::held::{Carrying, GivenUp, Hold, Unsettled};
use super::looks::{Look, Looks};
use super::run::{Course, Fault};
use super::settle::{Answered, End, is_down, lost};
use super::turns::{Before, rests_on};
use super::{Engine, EngineError, RunReport};
use crate::action::RetrySafety;
use crate::broken::{self, Defect};
use crate::delivery::{Delivered, Job, Probe};
use crate::enforcement::{Enforcement, Outcome, Purpose, State};
use crate::id::{EffectId, TenantId, WorkerId};
use crate::state::Control;
use crate::store::{Claim, Record, Renewal, Store, StoreError, decode};
use crate::time::{Span, Time};

/// How often a claim whose answer was lost is repeated before the run ends.
const REPEATS: usize = 8;
/// How long a delivery waits of which it cannot be told whether it may begin: a directory does not answer,
/// a record cannot be read.
const UNSURE_WAIT: Span = Span::secs(30);

/// What a claim gave, before it is carried out.
struct Claimed<'e> {
    carrying: Carrying<'e>,
    enforcement: Enforcement,
    /// When, by the store's clock, where that was in this run.
    since: Option<Time>,
}

/// One that was claimed, carried out or not.
struct Carried<'e> {
    effect: Option<EffectId>,
    /// How it ended, if that could be told.
    end: Unsettled<'e>,
    fault: Option<Fault>,
    delivered: bool,
}

/// A claim whose answer is waited for. Where that comes to nothing, also because nobody waits any longer,
/// the claim is made again by a later run.
struct Asked<'e> {
    engine: &'e Engine,
    claim: Option<Claim>,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            self.engine.lock(&self.engine.unanswered).push(claim);
        }
    }
}

impl Engine {
    /// Claims, delivers and settles what is ready, until nothing is or so many attempts were made.
    pub(super) async fn run_ready(
        &self,
        now: Time,
        mut room: usize,
        course: &mut Course,
        report: &mut RunReport,
    ) -> Result<usize, EngineError> {
        let worker = self.worker_id().await?;
        let mut taken = 0;
        // What cannot be written down is a reason not to do more of it.
        while room > 0 && !self.is_stopped() && !self.holdings.owes() {
            let again = !self.lock(&self.unanswered).is_empty();
            if broken::is(Defect::EffectBeforeClaim) {
                self.deliver_unclaimed().await?;
            }
            let batch = self.claim(&worker, room, now).await?;
            // A claim that is made once more asks for what was ready then.
            if batch.is_empty() && !again {
                break;
            }
            taken += batch.len();
            room = room.saturating_sub(batch.len());
            let claimed_at = batch.iter().find_map(|record| self.claimed_at(record)).filter(|_| !again);
            self.carry_out(batch, again, now, report).await?;
            if claimed_at.is_some_and(|at| course.is_old(at)) {
                report.more = true;
                break;
            }
        }
        Ok(taken)
    }

    /// When a record was claimed, by the store's clock.
    fn claimed_at(&self, claimed: &Record) -> Option<Time> {
        claimed.lease.as_ref().map(|lease| lease.until.before(self.lease))
    }

    /// When it is that answers are written down. Whoever asked to be left alone for a minute counts from
    /// their answer; of the others, the store's clock is not asked.
    async fn settled_at(&self, now: Time, answers: &[Answered]) -> Time {
        let waits = |answer: &&Answered| match &answer.end {
            End::Settle(delivered, _) => {
                matches!(delivered.outcome, Outcome::Retry { .. } | Outcome::Unknown)
            }
            _ => false,
        };
        let Some(waits) = answers.iter().find(waits) else { return now };
        match self.store.now().await {
            Ok(store_now) => by_now(now, self.claimed_at(&waits.claimed), store_now),
            Err(_) => now,
        }
    }

    /// A claim whose answer is lost may have been made: it is repeated as it was, by the next run if
    /// need be, so that nothing waits for its lease to run out.
    async fn claim(&self, worker: &WorkerId, room: usize, now: Time) -> Result<Vec<Record>, EngineError> {
        if let Some(batch) = self.claim_again().await? {
            return Ok(batch);
        }
        let claim = Claim {
            worker: worker.clone(),
            nonce: self.nonce().await?,
            channels: self.delivery.channels().filter(|_| !broken::is(Defect::UnknownTypesFailed)),
            max: self.batch.min(room),
            until: now,
            lease: self.lease,
            after: self.lock(&self.served).clone(),
        };
        self.ask(claim, false).await
    }

    /// Makes a claim of which nobody knows whether it was made; none where there is no such claim.
    pub(super) async fn claim_again(&self) -> Result<Option<Vec<Record>>, EngineError> {
        let unanswered = self.lock(&self.unanswered).pop();
        match unanswered {
            Some(claim) => self.ask(claim, true).await.map(Some),
            None => Ok(None),
        }
    }

    /// Makes a claim, and remembers it until it is certain what became of it. One that may have been made
    /// before stays in doubt when the store cannot be reached after that.
    async fn ask(&self, claim: Claim, mut doubtful: bool) -> Result<Vec<Record>, EngineError> {
        let mut asked = Asked { engine: self, claim: Some(claim.clone()) };
        let mut answer = self.store.claim(&claim).await;
        for _ in 0..REPEATS {
            match answer {
                Err(StoreError::Unknown(_)) => {
                    doubtful = true;
                    answer = self.store.claim(&claim).await;
                }
                _ => break,
            }
        }
        doubtful |= matches!(answer, Err(StoreError::Unknown(_)));
        if answer.is_ok() || !doubtful {
            asked.claim = None;
        }
        let batch = answer?;
        if let Some(last) = served_last(&batch, claim.after.as_ref()) {
            *self.lock(&self.served) = Some(last);
        }
        Ok(batch)
    }

    /// Carries a batch out. Where the delivery waits, all of it is under way at the same time, but
    /// for what concerns the same effect: that goes one after the other. Whatever has ended is settled
    /// together, while the others go on.
    async fn carry_out(
        &self,
        batch: Vec<Record>,
        again: bool,
        now: Time,
        report: &mut RunReport,
    ) -> Result<(), EngineError> {
        // What is claimed alone is delivered at once; of a batch, the last may have waited for long.
        let fresh = batch.len() == 1 && !again;
        let mut waiting = VecDeque::new();
        for record in batch {
            match sound(&record) {
                Ok(enforcement) => {
                    let since = self.claimed_at(&record).filter(|_| !again);
                    waiting.push_back(Claimed {
                        carrying: self.holdings.carrying(record),
                        enforcement,
                        since,
                    });
                }
                Err(error) => report.fault(Fault { key: record.key, error: error.into() }),
            }
        }
        // All of a tenant's deliveries ask for its rules: they are compiled once, before. Where they cannot
        // be, each of them says so.
        let tenants: BTreeSet<&TenantId> = waiting
            .iter()
            .filter(|claimed| !fresh && claimed.enforcement.purpose == Purpose::Action)
            .map(|claimed| &claimed.carrying.claimed.key.tenant)
            .collect();
        for tenant in tenants {
            drop(self.rules_of(tenant, now).await);
        }
        let looks = Looks::new(&self.store);
        let mut busy: BTreeSet<EffectId> = BTreeSet::new();
        let mut crowd = Crowd::new(&looks);
        let mut down = None;
        loop {
            for _ in 0..waiting.len() {
                let Some(next) = waiting.pop_front() else { break };
                let effect = next.enforcement.effect();
                if effect.is_some_and(|effect| !busy.insert(effect)) {
                    waiting.push_back(next);
                } else {
                    crowd.join(self.carry(next, fresh, &looks, now));
                }
            }
            let ended = crowd.next().await;
            if ended.is_empty() {
                return down.map_or(Ok(()), Err);
            }
            let mut answers = self.holdings.unsettled([]);
            for carried in ended {
                if let Some(effect) = carried.effect {
                    busy.remove(&effect);
                }
                report.attempts += usize::from(carried.delivered);
                match carried.fault {
                    // What comes of nothing but the store is not written now.
                    Some(fault) if is_down(&fault.error) => {
                        down = Some(fault.error);
                        continue;
                    }
                    Some(fault) => report.fault(fault),
                    None => {}
                }
                answers.join(carried.end);
            }
            let at = match again {
                true => now,
                false => crowd.beside(self.settled_at(now, &answers.answers)).await,
            };
            if let Err(error) = crowd.beside(self.settle(answers, at, report)).await {
                down = Some(error);
            }
        }
    }

    async fn carry<'e>(
        &'e self,
        claimed: Claimed<'e>,
        fresh: bool,
        looks: &Looks<'_>,
        now: Time,
    ) -> Carried<'e> {
        let effect = claimed.enforcement.effect();
        let before = self.before(&claimed, fresh, looks, now).await;
        let mut carrying = claimed.carrying;
        let (end, fault, delivered) = match before {
            Ok(Ready::Deliver(_)) if carrying.hold().is_lost() => {
                (End::Settle(lost_before(), None), None, false)
            }
            Ok(Ready::Deliver(enforcement)) => {
                carrying.begins();
                let delivered = self.attempt(&enforcement, carrying.hold()).await;
                (End::Settle(delivered, None), None, true)
            }
            Ok(Ready::Over(end)) => (end, None, false),
            // Nothing was delivered: it need not wait for its lease to run out, and is no attempt.
            Err(error) => {
                let end = match is_down(&error) {
                    true => End::HandBack("the store did not answer"),
                    false => End::Postpone(now.after(UNSURE_WAIT), error.to_string()),
                };
                (end, Some(Fault { key: carrying.claimed.key.clone(), error }), false)
            }
        };
        Carried { effect, end: carrying.ends(end), fault, delivered }
    }

    /// Everything that is asked between a claim and its delivery.
    async fn before(
        &self,
        claimed: &Claimed<'_>,
        fresh: bool,
        looks: &Looks<'_>,
        now: Time,
    ) -> Result<Ready, EngineError> {
        if self.is_stopped() {
            return Ok(Ready::Over(End::HandBack("the worker ends")));
        }
        let (record, hold) = (&claimed.carrying.claimed, claimed.carrying.hold());
        let mut enforcement = claimed.enforcement.clone();
        // All of what is asked below, in one call.
        let mut keys = rests_on(&enforcement);
        keys.extend(approval_keys(&enforcement).into_iter().flatten());
        if !fresh {
            keys.extend([record.key.clone(), Claim::control_key(&record.key.tenant)]);
        }
        let mut look = looks.look(keys, !fresh).await?;
        let now = look.store_now.map_or(now, |store_now| by_now(now, claimed.since, store_now));
        if !fresh {
            match self.look_again(record, &look).await? {
                Ok(now) => enforcement = *now,
                Err(end) => return Ok(Ready::Over(end)),
            }
        }
        let void = self.approval_fault(&enforcement, looks, &look).await?;
        let asks_target = asks_first(&enforcement);
        if asks_target {
            // The target's answer may take its time.
            look = Look::default();
        }
        let known = match &void {
            Some(void) => Some(Delivered::permanent(void.to_string())),
            None => self.verdict(&enforcement, hold, now).await?,
        };
        let before = match known {
            Some(known) => Before::Known(known),
            None => self.take_turn(record, &enforcement, look, now).await?,
        };
        // What others were asked for may have taken any time: a lease, and people's mind.
        if matches!(before, Before::Deliver { asked } if asked || asks_target) {
            let keys = vec![record.key.clone(), Claim::control_key(&record.key.tenant)];
            let look = looks.look(keys, true).await?;
            match self.look_again(record, &look).await? {
                Err(end) => return Ok(Ready::Over(end)),
                Ok(fresh) if matches!(fresh.state, State::Running { called_off: true, .. }) => {
                    return Ok(Ready::Over(End::Settle(called_off(), None)));
                }
                Ok(_) => {}
            }
        }
        Ok(match before {
            Before::Deliver { .. } if broken::is(Defect::EditedParamsDelivered) => {
                let params = self.params_by_now(&enforcement, now).await?;
                Ready::Deliver(Box::new(Enforcement { params, ..enforcement }))
            }
            Before::Deliver { .. } => Ready::Deliver(Box::new(enforcement)),
            Before::Known(known) => {
                let voided = void.map(|void| Box::new(voided(&enforcement, &void, now)));
                Ready::Over(End::Settle(known, voided))
            }
            Before::Outdated(why) => Ready::Over(End::Forgo(why)),
            Before::Later(until, why) => Ready::Over(End::Postpone(until, why)),
            Before::Held(until, why) => Ready::Over(End::Adjourn(until, why)),
        })
    }

    /// What a member of a batch is by now: claimed still, under a lease that lasts, called off or
    /// stopped by a kill switch meanwhile.
    async fn look_again(
        &self,
        record: &Record,
        look: &Look,
    ) -> Result<Result<Box<Enforcement>, End>, EngineError> {
        let gone = || Ok(Err(End::Settle(lost_before(), None)));
        let fresh = look.record(&record.key).filter(|fresh| fresh.token == record.token);
        let Some(fresh) = fresh else { return gone() };
        let Ok(enforcement) = sound(fresh) else { return gone() };
        // Where what people stopped cannot be read, nothing is carried out.
        let control = match look.record(&Claim::control_key(&record.key.tenant)).map(decode::<Control>) {
            None => Control::default(),
            Some(Ok(stored)) => stored.body,
            Some(Err(_)) => return Ok(Err(End::HandBack("what people stopped cannot be read"))),
        };
        if Claim::is_stopped(&enforcement, &control) {
            return Ok(Err(End::HandBack("a kill switch was engaged")));
        }
        let Some(lease) = &fresh.lease else { return gone() };
        let store_now = match look.store_now {
            Some(store_now) => store_now,
            None => self.store.now().await?,
        };
        if lease.until <= store_now.after(self.renew_every()) {
            let renewal = Renewal { key: record.key.clone(), token: record.token, lease: self.lease };
            match self.store.renew(&renewal).await {
                Ok(_) => {}
                Err(StoreError::Fenced(_)) => return gone(),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Ok(Box::new(enforcement)))
    }

    /// What is known before any delivery: that there must be none. Where an earlier attempt was
    /// lost with its process and a repeat would do harm, or is not wanted any more, the target is
    /// asked first.
    async fn verdict(
        &self,
        enforcement: &Enforcement,
        hold: &Hold<'_>,
        now: Time,
    ) -> Result<Option<Delivered>, EngineError> {
        let State::Running { retry_by, called_off, .. } = enforcement.state else { return Ok(None) };
        if asks_first(enforcement) {
            match self.probe(&Job::from(enforcement), hold).await {
                Probe::NotDone => {}
                Probe::Done => {
                    return Ok(Some(Delivered::done().message("an earlier attempt carried it out")));
                }
                Probe::Unknown => return Ok(Some(lost("an earlier attempt ended without an answer".into()))),
            }
        }
        if called_off {
            return Ok(Some(self::called_off()));
        }
        // A rescue may come long after the claim; what does harm when it comes late stays undone.
        if let Some(by) = retry_by.filter(|by| now >= *by) {
            return Ok(Some(Delivered::retry(format!("it had to start before {by}"))));
        }
        // The claim that finds nothing left to try has counted itself.
        let none_left =
            enforcement.attempts > enforcement.retry.attempts && !broken::is(Defect::NoAttemptCap);
        Ok(none_left.then(|| Delivered::retry("no attempt is left: earlier ones ended without an answer")))
    }

    async fn attempt(&self, enforcement: &Enforcement, hold: &Hold<'_>) -> Delivered {
        let job = Job::from(enforcement);
        let delivered = match hold.unless_given_up(self.delivery.deliver(&job)).await {
            Ok(delivered) => delivered,
            Err(GivenUp::Lost) => lost("its lease was lost while it was delivered".to_owned()),
            Err(GivenUp::Late) => lost(format!("no answer within {}", self.patience)),
        };
        // A lost answer of something that must not be repeated: perhaps the target can tell.
        if delivered.outcome == Outcome::Unknown && enforcement.retry.safety == RetrySafety::NotIdempotent {
            let outcome = match self.probe(&job, hold).await {
                Probe::Done => Outcome::Done,
                Probe::NotDone => Outcome::Retry { after: None },
                Probe::Unknown => Outcome::Unknown,
            };
            return Delivered { outcome, ..delivered };
        }
        delivered
    }

    async fn probe(&self, job: &Job, hold: &Hold<'_>) -> Probe {
        hold.unless_given_up(self.delivery.probe(job)).await.unwrap_or(Probe::Unknown)
    }
}

/// The decision time by now: what the run was given, and the seconds that have gone by since the claim.
/// Whole ones: a replay of the past, where nothing takes that long, is the same each time.
fn by_now(now: Time, claimed_at: Option<Time>, store_now: Time) -> Time {
    let since = claimed_at.map_or(Span::ZERO, |at| at.until(store_now));
    now.after(Span::secs(since.as_millis() / 1_000))
}

/// The answer where nothing was delivered, as the claim was somebody else's by then.
pub(super) fn lost_before() -> Delivered {
    Delivered::retry("the claim was lost before it was delivered")
}

/// The answer where nothing was delivered, as nobody wants it any more.
fn called_off() -> Delivered {
    Delivered::retry("it was called off")
}

/// What is known of a claim before its delivery.
enum Ready {
    Deliver(Box<Enforcement>),
    Over(End),
}

/// Whether the target is asked before a delivery what became of an earlier attempt: one that was lost
/// with its process, where a repeat would do harm or is not wanted any more.
fn asks_first(enforcement: &Enforcement) -> bool {
    let State::Running { called_off, .. } = enforcement.state else { return false };
    enforcement.is_lost()
        && !broken::is(Defect::BlindRescue)
        && (called_off || enforcement.retry.safety == RetrySafety::NotIdempotent)
}

/// The enforcement of a claimed record. A claim takes what makes no sense as it is, so that it is
/// found here and nowhere delivered.
fn sound(record: &Record) -> Result<Enforcement, StoreError> {
    let enforcement = decode::<Enforcement>(record)?.body;
    if !matches!(enforcement.state, State::Running { token, .. } if token == record.token) {
        let fault = format!("it waits to be claimed, but it is {}", enforcement.reason());
        return Err(StoreError::Corrupt { place: record.key.to_string(), fault });
    }
    Ok(enforcement)
}

/// The last tenant in turn that a batch took from: the turn begins after `after`.
fn served_last(batch: &[Record], after: Option<&TenantId>) -> Option<TenantId> {
    let tenants = batch.iter().map(|record| &record.key.tenant);
    tenants.max_by_key(|tenant| (after.is_some_and(|after| *tenant <= after), *tenant)).cloned()
}
