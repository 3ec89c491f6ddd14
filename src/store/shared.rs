//! A store behind one type, whatever it is: the engine is compiled once for all of them.

use std::fmt;
use std::sync::Arc;

use super::{
    Ahead, Claim, Commit, Committed, DuePage, Key, Page, Query, Record, Renewal, Store, StoreError, Trail,
    Upcoming,
};
use crate::audit::{AuditRecord, Head, Salt};
use crate::id::{TenantId, UserId};
use crate::ready::Answer;
use crate::time::Time;

/// A store of any type, which may be cloned and shared. It is what an [`Engine`](crate::Engine) keeps, and
/// what a host that chooses its store when it starts hands around. Whoever needs the store's own type beside
/// the engine gives the engine an `Arc` of it.
///
/// ```
/// use tipstaff::{MemoryStore, SharedStore, Store, ready};
///
/// let store = SharedStore::new(MemoryStore::default());
/// let same = store.clone();
/// assert_ne!(ready(same.unique()).unwrap(), ready(store.unique()).unwrap());
/// ```
#[derive(Clone)]
pub struct SharedStore(Arc<dyn Erased>);

impl SharedStore {
    /// That store.
    pub fn new(store: impl Store + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStore")
    }
}

/// Declares the calls once: with boxed answers, and as stores that pass them on. What is passed by value comes last.
macro_rules! calls {
    ($($call:ident($($name:ident: &$of:ty),* $(; $last:ident: $value:ty)?) -> $answer:ty;)+) => {
        trait Erased: Send + Sync {
            $(fn $call<'a>(&'a self, $($name: &'a $of,)* $($last: $value)?) -> Answer<'a, Result<$answer, StoreError>>;)+
        }

        impl<S: Store> Erased for S {
            $(fn $call<'a>(&'a self, $($name: &'a $of,)* $($last: $value)?) -> Answer<'a, Result<$answer, StoreError>> {
                Box::pin(Store::$call(self, $($name,)* $($last)?))
            })+
        }

        impl<S: Store> Store for Arc<S> {
            $(async fn $call(&self, $($name: &$of,)* $($last: $value)?) -> Result<$answer, StoreError> {
                S::$call(self, $($name,)* $($last)?).await
            })+
        }

        impl Store for SharedStore {
            $(async fn $call(&self, $($name: &$of,)* $($last: $value)?) -> Result<$answer, StoreError> {
                self.0.$call($($name,)* $($last)?).await
            })+
        }
    };
}

calls! {
    load(keys: &[Key]) -> Vec<Option<Record>>;
    commit(commit: &Commit) -> Committed;
    claim(claim: &Claim) -> Vec<Record>;
    renew(renewal: &Renewal) -> Time;
    due(page: &DuePage) -> Vec<Record>;
    upcoming(ask: &Ahead) -> Upcoming;
    query(query: &Query) -> Page<Record>;
    trail(trail: &Trail) -> Vec<AuditRecord>;
    head(tenant: &TenantId; lane: u16) -> Head;
    erase(tenant: &TenantId, user: &UserId) -> u64;
    now() -> Time;
    unique() -> Salt;
}
