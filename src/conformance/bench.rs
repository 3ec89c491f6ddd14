//! What a law of a store works with: the store behind a driver that repeats what was lost, a clock
//! that can be moved, and shorthands for what laws do often.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::broken::{Broken, Checked, holds};
use super::faults::is_made;
use crate::audit::{AuditRecord, Head, Salt};
use crate::id::{CommitId, TenantId, UserId, WorkerId};
use crate::ready::Answer;
use crate::store::{
    Ahead, Claim, Commit, Committed, DuePage, Key, Page, Query, Record, Renewal, Store, StoreError, Trail,
    Upcoming,
};
use crate::time::{Span, Time};

/// How often a call is made at most while its answer is lost or the store not available.
const MAX_CALLS: usize = 100;

/// What drives a future to its end.
pub(super) type BlockOn<'a> = &'a (dyn Fn(Answer<'_, ()>) + Sync);

/// Drives a future; none if the executor gave it up.
pub(super) fn drive<T: Send>(block_on: BlockOn<'_>, future: impl Future<Output = T> + Send) -> Option<T> {
    let mut output = None;
    block_on(Box::pin(async { output = Some(future.await) }));
    output
}

/// An answer, and whether the call had to be repeated for it.
pub(super) struct Told<T> {
    pub(super) answer: Result<T, StoreError>,
    pub(super) repeated: bool,
}

/// Declares the calls of a store as plain functions, so that the laws are compiled only once.
macro_rules! calls {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)+) => {
        pub(super) trait Calls: Sync {
            $(fn $name(&self, $($arg: $type),*) -> Told<$answer>;)+
        }

        impl<S: Store> Calls for Driven<'_, S> {
            $(fn $name(&self, $($arg: $type),*) -> Told<$answer> {
                self.repeat(|| self.store.$name($($arg),*))
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
    head(tenant: &TenantId, lane: u16) -> Head;
    erase(tenant: &TenantId, user: &UserId) -> u64;
    now() -> Time;
    unique() -> Salt;
}

/// A store with what drives its futures.
pub(super) struct Driven<'a, S> {
    pub(super) store: &'a S,
    pub(super) block_on: BlockOn<'a>,
}

impl<S: Store> Driven<'_, S> {
    fn repeat<T: Send, F: Future<Output = Result<T, StoreError>> + Send>(
        &self,
        call: impl Fn() -> F,
    ) -> Told<T> {
        let mut calls = 0;
        loop {
            calls += 1;
            let answer = drive(self.block_on, call()).unwrap_or_else(|| {
                let fault = "a future had to wait; give the laws an executor that waits for it".to_owned();
                Err(StoreError::Corrupt { place: "the executor".to_owned(), fault })
            });
            match answer {
                Err(StoreError::Unknown(_) | StoreError::Unavailable(_)) if calls < MAX_CALLS => {
                    thread::yield_now();
                }
                Err(error) if is_made(&error) && calls < MAX_CALLS => {}
                answer => return Told { answer, repeated: calls > 1 },
            }
        }
    }
}

/// What a law of a store works with.
pub(super) struct Bench<'a> {
    pub(super) calls: &'a dyn Calls,
    pub(super) others: &'a dyn Calls,
    pub(super) advance: &'a (dyn Fn(Span) + Sync),
    pub(super) damage: &'a (dyn Fn(&TenantId) -> bool + Sync),
    pub(super) ids: &'a AtomicU64,
}

impl Bench<'_> {
    /// The same store as another process sees it, if the harness can open it twice.
    pub(super) const fn elsewhere(&self) -> Self {
        Self { calls: self.others, others: self.calls, ..*self }
    }

    fn id(&self) -> CommitId {
        let number = self.ids.fetch_add(1, Ordering::SeqCst);
        CommitId::derive(|hasher| hasher.text("conformance").number(number))
    }

    /// A commit of nothing, with an id of its own.
    pub(super) fn fresh(&self, tenant: &TenantId) -> Commit {
        Commit {
            id: self.id(),
            tenant: tenant.clone(),
            expect: Vec::new(),
            fence: Vec::new(),
            put: Vec::new(),
            audit: Vec::new(),
        }
    }

    /// A claim of whatever is ready at the end of the century, with a nonce of its own.
    pub(super) fn ask(&self, worker: &WorkerId, max: usize) -> Claim {
        Claim {
            worker: worker.clone(),
            nonce: self.id(),
            channels: None,
            max,
            until: super::props::LATE,
            lease: Span::hours(1),
            after: None,
        }
    }

    pub(super) fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, Broken> {
        Ok(self.calls.load(keys).answer?)
    }

    pub(super) fn find(&self, key: &Key) -> Result<Option<Record>, Broken> {
        let records = self.load(std::slice::from_ref(key))?;
        holds("load of one key", records.len() == 1, "one answer", &records)?;
        Ok(records.into_iter().next().flatten())
    }

    /// The record there, which must be.
    pub(super) fn get(&self, key: &Key) -> Result<Record, Broken> {
        self.find(key)?.ok_or_else(|| Broken::new(format!("load of {key}"), "the record", "none"))
    }

    pub(super) fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        self.calls.commit(commit).answer
    }

    /// A commit that must be written, now.
    pub(super) fn apply(&self, place: &str, commit: &Commit) -> Checked {
        let Told { answer, repeated } = self.calls.commit(commit);
        match answer {
            Ok(Committed::Applied) => Ok(()),
            // Its first answer was lost, and said so.
            Ok(Committed::AlreadyApplied) if repeated => Ok(()),
            other => Err(Broken::new(place, "Ok(Applied)", format!("{other:?}"))),
        }
    }

    /// Writes records of one tenant.
    pub(super) fn put(&self, tenant: &TenantId, put: Vec<Record>) -> Checked {
        self.apply("a commit of records", &Commit { put, ..self.fresh(tenant) })
    }

    /// Writes records of any tenants, one commit for each tenant.
    pub(super) fn put_all(&self, records: &[Record]) -> Checked {
        let mut tenants = BTreeMap::<&TenantId, Vec<Record>>::new();
        for record in records {
            tenants.entry(&record.key.tenant).or_default().push(record.clone());
        }
        tenants.into_iter().try_for_each(|(tenant, records)| self.put(tenant, records))
    }

    pub(super) fn claim(&self, claim: &Claim) -> Result<Vec<Record>, Broken> {
        Ok(self.calls.claim(claim).answer?)
    }

    /// A claim that must take exactly one record.
    pub(super) fn claim_one(&self, place: &str, claim: &Claim) -> Result<Record, Broken> {
        let taken = self.claim(claim)?;
        match <[Record; 1]>::try_from(taken) {
            Ok([record]) => Ok(record),
            Err(taken) => Err(Broken::new(place, "one record", format!("{}: {taken:?}", taken.len()))),
        }
    }

    pub(super) fn renew(&self, key: &Key, token: u64, lease: Span) -> Result<Time, StoreError> {
        self.calls.renew(&Renewal { key: key.clone(), token, lease }).answer
    }

    pub(super) fn upcoming(&self, ask: &Ahead) -> Result<Upcoming, Broken> {
        Ok(self.calls.upcoming(ask).answer?)
    }

    pub(super) fn due(&self, page: &DuePage) -> Result<Vec<Record>, Broken> {
        Ok(self.calls.due(page).answer?)
    }

    pub(super) fn query(&self, query: &Query) -> Result<Page<Record>, Broken> {
        Ok(self.calls.query(query).answer?)
    }

    pub(super) fn page_of(&self, trail: &Trail) -> Result<Vec<AuditRecord>, Broken> {
        Ok(self.calls.trail(trail).answer?)
    }

    /// The first thousand records of a lane; no law writes more.
    pub(super) fn lane(&self, tenant: &TenantId, lane: u16) -> Result<Vec<AuditRecord>, Broken> {
        self.page_of(&Trail { tenant: tenant.clone(), lane, after: 0, limit: 1_000 })
    }

    pub(super) fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, Broken> {
        Ok(self.calls.head(tenant, lane).answer?)
    }

    pub(super) fn erase(&self, tenant: &TenantId, user: &UserId) -> Told<u64> {
        self.calls.erase(tenant, user)
    }

    pub(super) fn now(&self) -> Result<Time, Broken> {
        Ok(self.calls.now().answer?)
    }

    pub(super) fn unique(&self) -> Result<Salt, Broken> {
        Ok(self.calls.unique().answer?)
    }

    /// Moves the store's clock, and sees that it moved.
    pub(super) fn advance(&self, span: Span) -> Checked {
        let before = self.calls.now().answer?;
        (self.advance)(span);
        let after = self.calls.now().answer?;
        let expected = format!("the store's clock at {} or later", before.after(span));
        holds("the harness's `advance`", after >= before.after(span), &expected, &after)
    }

    /// Does the same in several threads at once; each is told its number.
    pub(super) fn race<T: Send>(
        &self,
        threads: u64,
        run: impl Fn(u64) -> Result<T, Broken> + Sync,
    ) -> Result<Vec<T>, Broken> {
        let run = &run;
        thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|number| scope.spawn(move || run(number))).collect();
            let ends = handles.into_iter().map(|handle| {
                handle.join().unwrap_or_else(|_| Err(Broken::new("a racing call", "an answer", "a panic")))
            });
            ends.collect()
        })
    }
}
