//! A store whose answers get lost.

use std::collections::BTreeSet;
use std::future::Future;
use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use crate::audit::{AuditRecord, Head, Salt};
use crate::id::{TenantId, UserId};
use crate::store::{
    Ahead, Claim, Commit, Committed, DuePage, Key, Page, Query, Record, Renewal, Store, StoreError, Trail,
    Upcoming,
};
use crate::time::Time;

/// A store whose writing calls (commit, claim, renew, erase) are carried out but answer
/// [`StoreError::Unknown`] the first time that each is made, so that the caller must repeat it.
///
/// It stands before any pointer to a store: `AnswersLost::new(&store)`, or an [`Arc`](std::sync::Arc)
/// of one.
#[derive(Debug)]
pub struct AnswersLost<P> {
    store: P,
    made: Mutex<BTreeSet<String>>,
}

impl<P> AnswersLost<P> {
    /// The store behind this pointer, with nothing lost so far.
    pub const fn new(store: P) -> Self {
        Self { store, made: Mutex::new(BTreeSet::new()) }
    }

    /// The answer, or its loss if no such call was made before.
    async fn answer<T>(
        &self,
        call: String,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = answer.await;
        let first = self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(call);
        if first {
            Err(StoreError::Unknown("the first answer of each call is lost".to_owned()))
        } else {
            answer
        }
    }
}

impl<P: Deref<Target: Store> + Send + Sync> Store for AnswersLost<P> {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.store.load(keys).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let call = format!("commit {} {}", commit.tenant, commit.id);
        self.answer(call, self.store.commit(commit)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let call = format!("claim {} {}", claim.worker, claim.nonce);
        self.answer(call, self.store.claim(claim)).await
    }

    async fn renew(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        let call = format!("renew {} {}", renewal.key, renewal.token);
        self.answer(call, self.store.renew(renewal)).await
    }

    async fn upcoming(&self, ask: &Ahead) -> Result<Upcoming, StoreError> {
        self.store.upcoming(ask).await
    }

    async fn due(&self, page: &DuePage) -> Result<Vec<Record>, StoreError> {
        self.store.due(page).await
    }

    async fn query(&self, query: &Query) -> Result<Page<Record>, StoreError> {
        self.store.query(query).await
    }

    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        self.store.trail(trail).await
    }

    async fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, StoreError> {
        self.store.head(tenant, lane).await
    }

    async fn erase(&self, tenant: &TenantId, user: &UserId) -> Result<u64, StoreError> {
        let call = format!("erase {tenant} {user}");
        self.answer(call, self.store.erase(tenant, user)).await
    }

    async fn now(&self) -> Result<Time, StoreError> {
        self.store.now().await
    }

    async fn unique(&self) -> Result<Salt, StoreError> {
        self.store.unique().await
    }
}
