//! A store that counts the calls it gets, and keeps what is committed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tipstaff::{
    Ahead, AuditRecord, Claim, Commit, Committed, DuePage, Head, Key, Page, Query, Record, Renewal, Salt,
    SharedStore, Store, StoreError, TenantId, Time, Trail, Upcoming, UserId,
};

/// What a store was asked.
#[derive(Default)]
struct Seen {
    calls: BTreeMap<&'static str, u64>,
    commits: Vec<Commit>,
    /// What it took to keep them.
    keeping: Duration,
}

/// The store, with what it was asked.
#[derive(Clone)]
pub struct Counted {
    store: SharedStore,
    seen: Arc<Mutex<Seen>>,
}

impl Counted {
    /// Counts from now on.
    #[must_use]
    pub fn new(store: SharedStore) -> Self {
        Self { store, seen: Arc::default() }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often each call came, from now on anew.
    #[must_use]
    pub fn take_calls(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.seen().calls)
    }

    /// The commits since the last time, and how long it took to keep them: no part of what is measured.
    #[must_use]
    pub fn take_commits(&self) -> (Vec<Commit>, Duration) {
        let mut seen = self.seen();
        (std::mem::take(&mut seen.commits), std::mem::take(&mut seen.keeping))
    }

    fn keep(&self, commit: &Commit) {
        let begun = Instant::now();
        let kept = commit.clone();
        let mut seen = self.seen();
        seen.commits.push(kept);
        seen.keeping += begun.elapsed();
    }

    fn count(&self, call: &'static str) {
        *self.seen().calls.entry(call).or_default() += 1;
    }
}

/// One row for the commit, one for each record, each value of a facet of a new record, each audit
/// record, and the head of the lane.
#[must_use]
pub fn rows(commit: &Commit) -> Vec<Vec<u8>> {
    let mut rows = vec![[commit.tenant.as_str().as_bytes(), commit.id.bytes()].concat()];
    for record in &commit.put {
        let facets = serde_json::to_string(&record.facets).unwrap_or_default();
        rows.push(format!("{} {facets} {}", record.key, record.body).into_bytes());
        for (facet, value) in record.facets.iter().filter(|_| record.version == 0) {
            rows.push(format!("{} {facet} {value} {}", record.key, record.at.micros()).into_bytes());
        }
    }
    let mut head = Head::default();
    for draft in &commit.audit {
        let (record, next) = head.seal(draft.clone(), &mut || Salt::from([7; 16]));
        rows.push(serde_json::to_vec(&record).unwrap_or_default());
        head = next;
    }
    if !commit.audit.is_empty() {
        rows.push(head.to_string().into_bytes());
    }
    rows
}

/// Every call is counted and goes on to the store; commits are kept as well.
macro_rules! counted {
    ($($call:ident($($name:ident: $of:ty),*) -> $answer:ty;)*) => {
        impl Store for Counted {
            async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
                self.count("commit");
                self.keep(commit);
                self.store.commit(commit).await
            }

            $(async fn $call(&self, $($name: $of),*) -> Result<$answer, StoreError> {
                self.count(stringify!($call));
                self.store.$call($($name),*).await
            })*
        }
    };
}

counted! {
    load(keys: &[Key]) -> Vec<Option<Record>>;
    claim(claim: &Claim) -> Vec<Record>;
    renew(renewal: &Renewal) -> Time;
    due(page: &DuePage) -> Vec<Record>;
    upcoming(ask: &Ahead) -> Upcoming;
    query(query: &Query) -> Page<Record>;
    trail(trail: &Trail) -> Vec<AuditRecord>;
    head(tenant: &TenantId, lane: u16) -> Head;
    erase(tenant: &TenantId, user: &UserId) -> u64;
    now() -> Time;
    unique() -> Salt;
}
