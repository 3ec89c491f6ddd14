//! What this engine holds at the moment: its claims, whose leases are renewed while they last, and
//! the answers that it could not write down yet.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::settle::{Answered, End};
use super::{Engine, EngineError};
use crate::id::TenantId;
use crate::ready::Answer;
use crate::store::{Key, Record, Renewal, Store, StoreError};
use crate::time::{Span, Time};

/// What a round of renewals came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Renewals {
    /// How many leases were prolonged.
    pub renewed: usize,
    /// Claims that are somebody else's by now: their deliveries are given up, and what their targets
    /// answer comes too late ([`RunReport::stale`](crate::RunReport::stale)).
    pub lost: Vec<Key>,
    /// Claims whose delivery takes longer than [`Engine::deliver_within`] allows: it is given up, and
    /// its answer counts as lost.
    pub late: Vec<Key>,
}

/// Why a delivery was given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum GivenUp {
    /// Its lease is lost.
    Lost,
    /// It took too long.
    Late,
}

/// Everything that is held. Bounded by the claims of the runs that are under way, as nothing is claimed while
/// an answer waits to be written; what a fault stands against, by those whose claims have not run out.
#[derive(Default)]
pub(super) struct Holdings {
    claims: Mutex<BTreeMap<Key, Held>>,
    owed: Mutex<Vec<Answered>>,
}

struct Held {
    token: u64,
    call: Call,
    given_up: Option<GivenUp>,
    waker: Option<Waker>,
}

/// Whether a target is being asked, and since when: by the store's clock, at the first renewal.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Call {
    Waits,
    Began(Option<Time>),
    /// Its end is known, and is on its way to the store.
    Ended,
}

/// Answers that are on their way to the store, with their claims, which are renewed until they are there.
/// Those that have not come there when it is dropped, also because nobody waits any longer, are owed.
pub(super) struct Unsettled<'e> {
    holdings: &'e Holdings,
    pub(super) answers: Vec<Answered>,
    holds: Vec<Hold<'e>>,
}

impl<'e> Unsettled<'e> {
    /// Takes others with it.
    pub(super) fn join(&mut self, mut others: Self) {
        self.answers.append(&mut others.answers);
        self.holds.append(&mut others.holds);
    }

    /// A tenant's answers are written, but for those that are left.
    pub(super) fn written(&mut self, tenant: &TenantId, left: Vec<Answered>) {
        self.answers.retain(|answer| answer.claimed.key.tenant != *tenant);
        self.holds.retain(|hold| {
            hold.key.tenant != *tenant || left.iter().any(|answer| answer.claimed.key == hold.key)
        });
        self.answers.extend(left);
    }
}

/// A claim on its way through a run. Where that is dropped before the delivery has begun, it is owed that
/// the claim is handed back; during it, nobody knows what has come of it, and its lease must run out.
pub(super) struct Carrying<'e> {
    unsettled: Unsettled<'e>,
    pub(super) claimed: Record,
}

impl<'e> Carrying<'e> {
    pub(super) fn hold(&self) -> &Hold<'e> {
        // One claim, one hold: it is made with it below.
        &self.unsettled.holds[0]
    }

    /// The delivery begins.
    pub(super) fn begins(&mut self) {
        self.unsettled.answers.clear();
    }

    /// How it ended.
    pub(super) fn ends(mut self, end: End) -> Unsettled<'e> {
        self.hold().with(|held| held.call = Call::Ended);
        self.unsettled.answers = vec![Answered { claimed: self.claimed, end, again: false, stuck: false }];
        self.unsettled
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        self.holdings.owe(self.answers.drain(..));
    }
}

/// Forgets a claim when it is dropped, however the run ends.
pub(super) struct Hold<'e> {
    holdings: &'e Holdings,
    key: Key,
    token: u64,
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let mut claims = self.holdings.claims();
        if claims.get(&self.key).is_some_and(|held| held.token == self.token) {
            claims.remove(&self.key);
        }
    }
}

impl Hold<'_> {
    /// Whether a renewal found that the claim is somebody else's by now.
    pub(super) fn is_lost(&self) -> bool {
        self.with(|held| held.given_up == Some(GivenUp::Lost)).unwrap_or(false)
    }

    /// The answer of a call to the target, unless it is given up meanwhile: then the call is dropped. What
    /// was late with one call has its time again for the next; a claim that is lost stays so, and nothing
    /// is asked.
    pub(super) async fn unless_given_up<T>(&self, mut call: Answer<'_, T>) -> Result<T, GivenUp> {
        if self.is_lost() {
            return Err(GivenUp::Lost);
        }
        self.with(|held| (held.call, held.given_up) = (Call::Began(None), None));
        let answer = poll_fn(|context| {
            self.with(|held| held.waker = Some(context.waker().clone()));
            // What has come is an answer, however late.
            if let Poll::Ready(answer) = call.as_mut().poll(context) {
                return Poll::Ready(Ok(answer));
            }
            match self.with(|held| held.given_up).flatten() {
                Some(why) => Poll::Ready(Err(why)),
                None => Poll::Pending,
            }
        })
        .await;
        self.with(|held| (held.call, held.waker) = (Call::Waits, None));
        answer
    }

    fn with<T>(&self, act: impl FnOnce(&mut Held) -> T) -> Option<T> {
        self.holdings.claims().get_mut(&self.key).filter(|held| held.token == self.token).map(act)
    }
}

impl Holdings {
    fn claims(&self) -> MutexGuard<'_, BTreeMap<Key, Held>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn owed(&self) -> MutexGuard<'_, Vec<Answered>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a claim for as long as the guard lives.
    fn hold(&self, claimed: &Record, call: Call) -> Hold<'_> {
        let (key, token) = (claimed.key.clone(), claimed.token);
        let mut claims = self.claims();
        // An answer that is long overdue may be of a claim before the one that is under way.
        if claims.get(&key).is_none_or(|held| held.token <= token) {
            claims.insert(key.clone(), Held { token, call, given_up: None, waker: None });
        }
        Hold { holdings: self, key, token }
    }

    /// Takes a claim in hand.
    pub(super) fn carrying(&self, claimed: Record) -> Carrying<'_> {
        let end = End::HandBack("the run ended before it was begun");
        let begun = Answered { claimed: claimed.clone(), end, again: false, stuck: false };
        let holds = vec![self.hold(&claimed, Call::Waits)];
        Carrying { unsettled: Unsettled { holdings: self, answers: vec![begun], holds }, claimed }
    }

    /// Keeps answers that the store did not take.
    pub(super) fn owe(&self, answers: impl IntoIterator<Item = Answered>) {
        self.owed().extend(answers.into_iter().map(|answer| Answered { again: true, ..answer }));
    }

    /// The answers that wait to be written.
    pub(super) fn take_owed(&self) -> Unsettled<'_> {
        self.unsettled(std::mem::take(&mut *self.owed()))
    }

    /// Whether any answer waits to be written, but for those that a fault of what is stored stands against.
    pub(super) fn owes(&self) -> bool {
        self.owed().iter().any(|answer| !answer.stuck)
    }

    /// Answers on their way to the store.
    pub(super) fn unsettled(&self, answers: impl IntoIterator<Item = Answered>) -> Unsettled<'_> {
        let answers: Vec<Answered> = answers.into_iter().collect();
        let holds = answers.iter().map(|answer| self.hold(&answer.claimed, Call::Ended)).collect();
        Unsettled { holdings: self, answers, holds }
    }

    /// Whatever is to be renewed: what is under way, and what waits to be written.
    fn held(&self) -> Vec<(Key, u64)> {
        let under_way: Vec<_> = self.claims().iter().map(|(key, held)| (key.clone(), held.token)).collect();
        let owed = self.owed();
        let owed = owed.iter().filter(|answer| !answer.stuck);
        let owed = owed.map(|answer| (answer.claimed.key.clone(), answer.claimed.token));
        under_way.into_iter().chain(owed).collect()
    }

    /// Tells a delivery that it is given up. False where it is none any more.
    fn give_up(&self, key: &Key, token: u64, why: GivenUp) -> bool {
        let mut claims = self.claims();
        let known = claims.get_mut(key).filter(|held| held.token == token && held.call != Call::Ended);
        let Some(held) = known else { return false };
        held.given_up = Some(why);
        if let Some(waker) = held.waker.take() {
            waker.wake();
        }
        true
    }

    /// Since when a target is being asked, by the store's clock; none where it is not.
    fn asked_since(&self, key: &Key, token: u64, store_now: Time) -> Option<Time> {
        match self.claims().get_mut(key).filter(|held| held.token == token).map(|held| &mut held.call) {
            Some(Call::Began(since)) => Some(*since.get_or_insert(store_now)),
            _ => None,
        }
    }
}

impl Engine {
    /// Renews the leases of everything that this engine holds: what waits for its turn in a batch, what is
    /// being delivered, and what has ended until that is written down. A host whose deliveries may take
    /// longer than a lease, together where they are a batch, calls it from another task or thread, every
    /// [`Engine::renew_every`], while [`Engine::run_due`] is under way.
    ///
    /// A delivery whose lease is lost, or that takes longer than [`Engine::deliver_within`], is given
    /// up: where it waits, its future is dropped. One that blocks its thread cannot be stopped; its
    /// answer is taken when it comes, and refused if it is not the answer of the running attempt.
    ///
    /// # Errors
    /// [`EngineError::Store`] where the store does not renew; the leases run on as they are.
    pub fn renew_held(&self) -> Answer<'_, Result<Renewals, EngineError>> {
        Box::pin(async move {
            let held = self.holdings.held();
            let mut renewals = Renewals::default();
            for (key, token) in held {
                let renewal = Renewal { key: key.clone(), token, lease: self.lease };
                match self.store.renew(&renewal).await {
                    Ok(until) => {
                        renewals.renewed += 1;
                        let store_now = until.before(self.lease);
                        let since = self.holdings.asked_since(&key, token, store_now);
                        let late = since.is_some_and(|since| since.after(self.patience) <= store_now);
                        if late && self.holdings.give_up(&key, token, GivenUp::Late) {
                            renewals.late.push(key);
                        }
                    }
                    // Settled meanwhile, it is not held any more, and nothing is lost.
                    Err(StoreError::Fenced(_)) => {
                        if self.holdings.give_up(&key, token, GivenUp::Lost) {
                            renewals.lost.push(key);
                        }
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(renewals)
        })
    }

    /// How often [`Engine::renew_held`] is to be called: three times a lease.
    #[must_use]
    pub const fn renew_every(&self) -> Span {
        Span::millis(self.lease.as_millis() / 3)
    }
}
