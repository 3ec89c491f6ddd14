//! What this engine holds at the moment: its claims, whose leases are renewed while they last, and
//! the answers that it could not write down yet.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::settle::Answered;
use super::{Engine, EngineError};
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

/// Everything that is held. Bounded by the claims of the runs that are under way.
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
#[derive(Clone, Copy)]
enum Call {
    Waits,
    Began(Option<Time>),
}

/// Answers that are on their way to the store. Those that have not come there when it is dropped, also
/// because nobody waits any longer, are owed.
pub(super) struct Unsettled<'e> {
    holdings: &'e Holdings,
    pub(super) answers: Vec<Answered>,
}

impl Unsettled<'_> {
    /// Takes others with it.
    pub(super) fn join(&mut self, mut others: Unsettled<'_>) {
        self.answers.append(&mut others.answers);
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
    pub(super) fn hold(&self, claimed: &Record) -> Hold<'_> {
        let (key, token) = (claimed.key.clone(), claimed.token);
        let held = Held { token, call: Call::Waits, given_up: None, waker: None };
        self.claims().insert(key.clone(), held);
        Hold { holdings: self, key, token }
    }

    /// Keeps answers that the store did not take.
    pub(super) fn owe(&self, answers: impl IntoIterator<Item = Answered>) {
        self.owed().extend(answers.into_iter().map(|answer| Answered { again: true, ..answer }));
    }

    /// The answers that wait to be written.
    pub(super) fn take_owed(&self) -> Unsettled<'_> {
        self.unsettled(std::mem::take(&mut *self.owed()))
    }

    /// Whether any answer waits to be written.
    pub(super) fn owes(&self) -> bool {
        !self.owed().is_empty()
    }

    /// Answers on their way to the store.
    pub(super) fn unsettled(&self, answers: impl IntoIterator<Item = Answered>) -> Unsettled<'_> {
        Unsettled { holdings: self, answers: answers.into_iter().collect() }
    }

    /// Tells a delivery that it is given up. False where it is none any more.
    fn give_up(&self, key: &Key, token: u64, why: GivenUp) -> bool {
        let mut claims = self.claims();
        let Some(held) = claims.get_mut(key).filter(|held| held.token == token) else { return false };
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
    /// Renews the leases of everything that this engine holds. A host whose deliveries may take
    /// longer than a lease calls it from another task or thread, every
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
            let held: Vec<(Key, u64)> =
                self.holdings.claims().iter().map(|(key, held)| (key.clone(), held.token)).collect();
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
