//! A store whose calls fail, each in the way of one error, before they succeed.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use super::props::{id, plain};
use crate::audit::{AuditRecord, Head, Salt};
use crate::id::{TenantId, UserId};
use crate::store::{
    Ahead, Claim, Commit, Committed, DuePage, Key, Kind, Page, Query, Record, Renewal, Store, StoreError,
    Trail, Upcoming,
};
use crate::time::Time;

/// By what the errors of the suite's own making are known.
const MADE: &str = "made by the suite";
/// A token that no record has.
const NOBODYS: u64 = (1 << 62) + 7;
/// After how many polls at most a call is dropped; the next call after one fewer or more.
const POLLS: usize = 7;

/// In which way calls fail.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    Dropped,
    Unavailable,
    Conflict,
    Fenced,
    Corrupt,
}

/// A store in front of which each call fails: a reading one once, before it is made; a writing one a
/// second time, after it was carried out. Dropped calls are writing ones that are given up midway. Only
/// commits and renewals name a token, so only these are fenced off.
pub(super) struct Failing<'a, S> {
    store: &'a S,
    fault: Fault,
    made: Mutex<BTreeMap<String, usize>>,
    cuts: AtomicUsize,
}

/// Whether an error is the suite's own, so that the same call is to be repeated.
pub(super) fn is_made(error: &StoreError) -> bool {
    match error {
        StoreError::Conflict(key) | StoreError::Fenced(key) => key.id == MADE,
        StoreError::Corrupt { place, .. } => place == MADE,
        _ => false,
    }
}

fn made_key(tenant: &TenantId) -> Key {
    Key::new(tenant, Kind::Watch, MADE)
}

impl<'a, S: Store> Failing<'a, S> {
    pub(super) const fn new(store: &'a S, fault: Fault) -> Self {
        Self { store, fault, made: Mutex::new(BTreeMap::new()), cuts: AtomicUsize::new(0) }
    }

    fn error(&self) -> StoreError {
        match self.fault {
            Fault::Dropped => StoreError::Unknown(MADE.to_owned()),
            Fault::Unavailable => StoreError::Unavailable(MADE.to_owned()),
            Fault::Conflict => StoreError::Conflict(made_key(&id("suite"))),
            Fault::Fenced => StoreError::Fenced(made_key(&id("suite"))),
            Fault::Corrupt => StoreError::Corrupt { place: MADE.to_owned(), fault: String::new() },
        }
    }

    /// How often this call was made before.
    fn turn(&self, call: String) -> usize {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = made.entry(call).or_default();
        *turn += 1;
        *turn - 1
    }

    async fn read<T>(
        &self,
        call: String,
        make: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fails = !matches!(self.fault, Fault::Dropped | Fault::Fenced);
        if fails && self.turn(call) == 0 {
            return Err(self.error());
        }
        make.await
    }

    /// A call that writes and names no token.
    async fn write_any<T>(
        &self,
        call: String,
        make: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.fault {
            Fault::Fenced => make.await,
            _ => self.write(call, make).await,
        }
    }

    async fn write<T>(
        &self,
        call: String,
        make: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match (self.turn(call), self.fault) {
            (0, Fault::Dropped) => self.cut(make).await,
            (0, _) => Err(self.error()),
            (1, Fault::Unavailable | Fault::Conflict | Fault::Fenced | Fault::Corrupt) => {
                drop(make.await);
                Err(self.error())
            }
            _ => make.await,
        }
    }

    /// Polls a call a few times and drops it then, if it is not finished.
    async fn cut<T>(
        &self,
        make: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let mut polls = 1 + self.cuts.fetch_add(1, Ordering::SeqCst) % POLLS;
        let mut make = Box::pin(make);
        poll_fn(|context| {
            if polls == 0 {
                return Poll::Ready(Err(self.error()));
            }
            polls -= 1;
            make.as_mut().poll(context)
        })
        .await
    }

    /// The store itself must refuse a commit that is right but for one part, and have written
    /// nothing of it.
    async fn spoiled(&self, commit: &Commit) -> Result<(), StoreError> {
        let mut commit = commit.clone();
        match self.fault {
            Fault::Conflict => commit.expect.push((made_key(&commit.tenant), 7)),
            Fault::Fenced => commit.fence.push((made_key(&commit.tenant), NOBODYS)),
            Fault::Corrupt => commit.put.push(plain(&id("suite"), Kind::Watch, MADE)),
            Fault::Dropped | Fault::Unavailable => return Ok(()),
        }
        match self.store.commit(&commit).await {
            Ok(Committed::Applied) => Err(self.applied("a commit")),
            // Refused for this or for what is wrong with it besides, or known already.
            _ => Ok(()),
        }
    }

    /// The store itself must refuse a renewal under a token that nobody has.
    async fn spoiled_renewal(&self, renewal: &Renewal) -> Result<(), StoreError> {
        if self.fault != Fault::Fenced {
            return Ok(());
        }
        match self.store.renew(&Renewal { token: NOBODYS, ..renewal.clone() }).await {
            Ok(_) => Err(self.applied("a renewal")),
            Err(_) => Ok(()),
        }
    }

    fn applied(&self, what: &str) -> StoreError {
        let place = format!("{what} that must be refused as {:?}", self.fault);
        StoreError::Corrupt { place, fault: "it was applied".to_owned() }
    }
}

impl<S: Store> Store for Failing<'_, S> {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.read(format!("load {keys:?}"), self.store.load(keys)).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let call = format!("commit {} {}", commit.tenant, commit.id);
        self.spoiled(commit).await?;
        self.write(call, self.store.commit(commit)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let call = format!("claim {} {}", claim.worker, claim.nonce);
        self.write_any(call, self.store.claim(claim)).await
    }

    async fn renew(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        self.spoiled_renewal(renewal).await?;
        self.write(format!("renew {renewal:?}"), self.store.renew(renewal)).await
    }

    async fn upcoming(&self, ask: &Ahead) -> Result<Upcoming, StoreError> {
        self.read(format!("upcoming {ask:?}"), self.store.upcoming(ask)).await
    }

    async fn due(&self, page: &DuePage) -> Result<Vec<Record>, StoreError> {
        self.read(format!("due {page:?}"), self.store.due(page)).await
    }

    async fn query(&self, query: &Query) -> Result<Page<Record>, StoreError> {
        self.read(format!("query {query:?}"), self.store.query(query)).await
    }

    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        self.read(format!("trail {trail:?}"), self.store.trail(trail)).await
    }

    async fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, StoreError> {
        self.read(format!("head {tenant} {lane}"), self.store.head(tenant, lane)).await
    }

    async fn erase(&self, tenant: &TenantId, user: &UserId) -> Result<u64, StoreError> {
        self.write_any(format!("erase {tenant} {user}"), self.store.erase(tenant, user)).await
    }

    async fn now(&self) -> Result<Time, StoreError> {
        self.read("now".to_owned(), self.store.now()).await
    }

    async fn unique(&self) -> Result<Salt, StoreError> {
        self.read("unique".to_owned(), self.store.unique()).await
    }
}
