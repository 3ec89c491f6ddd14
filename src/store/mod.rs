//! Where the engine keeps its records: the trait that a host implements, and what it deals in.

mod claim;
mod codec;
mod query;
mod record;
mod shared;
mod unknown;

use std::collections::BTreeSet;
use std::future::Future;

use crate::action::ActionType;
use crate::audit::{AuditDraft, AuditRecord, Head, Salt};
use crate::id::{CommitId, TenantId, UserId};
use crate::time::{Span, Time};

pub use claim::{Claim, MAX_CLAIM, Taken};
#[cfg(feature = "conformance")]
pub(crate) use codec::rewritten;
pub(crate) use codec::{Body, RuleDocument, Stored, decode, encode};
pub use query::{
    Cursor, CursorError, DEFAULT_PAGE, DuePage, Facet, Filter, MAX_PAGE, Order, Page, Query, Trail,
};
pub use record::{Key, Kind, Lease, Queue, Record};
pub use shared::SharedStore;

/// Why a store did not do what was asked, and what to do about it.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A record is not at the version that was expected: load it again and decide again. Nothing
    /// was written.
    #[error("`{0}` has changed meanwhile; reload and decide again")]
    Conflict(Key),
    /// The token is not the record's: somebody else has claimed it since. Nothing was written.
    #[error("the claim of `{0}` is no longer held")]
    Fenced(Key),
    /// The answer was lost; it was written or not. Repeat the same call.
    #[error("the answer was lost ({0}); repeat the call")]
    Unknown(String),
    /// The store cannot be reached or is overloaded: try again later. Nothing was written.
    #[error("the store is not available ({0}); try again later")]
    Unavailable(String),
    /// What is stored makes no sense, or the call does not: raise an alarm. Nothing was written.
    #[error("what is stored at {place} cannot be used: {fault}")]
    Corrupt {
        /// Where.
        place: String,
        /// What is wrong.
        fault: String,
    },
}

/// One transaction of one tenant: all of it or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Commit {
    /// Recognises a repeat.
    pub id: CommitId,
    /// Whose records these are.
    pub tenant: TenantId,
    /// Records that were read and must still be at that version; 0 for none there.
    pub expect: Vec<(Key, u64)>,
    /// Claims that must still be held: the record and its token.
    pub fence: Vec<(Key, u64)>,
    /// Records to write. Each names the version that it replaces, 0 for a new one, and is stored
    /// with the next.
    pub put: Vec<Record>,
    /// What to append to the audit log, in this order.
    pub audit: Vec<AuditDraft>,
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Committed {
    /// It was written.
    Applied,
    /// It had been written before.
    AlreadyApplied,
}

/// A lease to be prolonged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Renewal {
    /// The claimed record.
    pub key: Key,
    /// The token of the claim.
    pub token: u64,
    /// How long it shall last from now, by the store's clock.
    pub lease: Span,
}

/// What is asked of the time to come.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ahead {
    /// What lies after this decision time.
    pub after: Time,
    /// The channels that the worker carries; none means all.
    pub channels: Option<BTreeSet<ActionType>>,
}

/// What comes next, of all tenants.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Upcoming {
    /// The earliest timer after the time that was named.
    pub timer: Option<Time>,
    /// When the first of those that nobody holds is ready, after the time that was named.
    pub ready: Option<Time>,
    /// In how long the first lease runs out, by the store's clock.
    pub lease: Option<Span>,
}

/// Storage for the engine: a small versioned record store.
///
/// # Contract
/// Each sentence is proved by laws of the conformance suite (feature `conformance`), under the same
/// number. Texts are compared byte by byte, and kinds sort as their words do.
///
/// **Commit**
/// 1. *Atomic*: a refused commit writes nothing, an accepted one everything.
/// 2. *Versions*: a put is refused with [`StoreError::Conflict`] unless the record is at the
///    version that it names; 0 means that there is none. Each put raises the version by one.
/// 3. *Expectations*: the commit is refused with `Conflict` unless each expected key is at its
///    version; also a commit of nothing else. Of two that each expect what the other writes, one
///    is refused.
/// 4. *Fences*: the commit is refused with [`StoreError::Fenced`] unless each fenced record has
///    that token.
/// 5. *Repeats*: a commit whose id was applied before answers [`Committed::AlreadyApplied`] and
///    writes nothing, even when versions and tokens have moved on, for good.
/// 6. *Refused is not applied*: an id whose commit was refused may be used again.
/// 7. *Kept whole*: [`Store::load`] gives a record back as it was put: body, facets, times, queue,
///    lease, token. A body is text: its JSON is neither read nor written anew.
/// 8. *Tenants*: nothing of one tenant is seen or changed through another's keys; a commit that
///    names another tenant's is refused with [`StoreError::Corrupt`]. Commit ids are each tenant's
///    own.
///
/// **Audit**
/// 9. *Chained*: each draft is sealed by [`Head::seal`] after the lane's head, in the order of the
///    commit, within its transaction; heads are per tenant and lane.
/// 10. *Salted*: each personal field gets a salt of [`Store::unique`]'s quality of its own.
/// 11. *Read back*: [`Store::trail`] gives the records of a lane by rising sequence number, as
///     they were sealed, and [`Store::head`] the last one's place and hash.
/// 12. *Erasure*: [`Store::erase`] removes values and salts of personal fields of every record
///     about that user, and of nobody else, and the chain still verifies.
///
/// **Claim**
/// 13. *Ready only*: a claim takes records whose queue is on one of its channels and ready, and
///     no others.
/// 14. *One holder*: a record under a lease that has not run out is not taken.
/// 15. *Rescue*: a record whose lease has run out, by the store's clock, is taken again. A lease
///     runs out at the instant of its `until`, so one of no length is over at once.
/// 16. *Tokens rise*: each claim of a record raises its token by one, also after a settled one.
/// 17. *Through `take`*: what a claim writes is what [`Claim::take`] made of the record, with its
///     audit records, in one transaction; what `take` declines stays as it is, and takes no one
///     else's place in the batch; what makes no sense, a record or the end of a tenant's lane, holds
///     up no other.
/// 18. *Repeats*: a claim whose worker and nonce hold records returns those, unchanged, and takes no
///     others; also if it is made twice at once, or while an earlier one's writing is still under way:
///     what any of them was told is what the claim holds in the end.
/// 19. *Bounded*: a claim takes at most its `max` records, from 1 to [`MAX_CLAIM`]: what lies
///     outside is taken as the nearest end.
/// 20. *Renewal*: a renewal sets the lease of the token's holder anew, from now, as long as nobody
///     else has taken the record, and is refused with `Fenced` for any other token; it changes
///     neither version nor attempt. A put whose lease names the worker and the nonce that stand in
///     the record leaves the lease's end as it stands: only claims and renewals say when it is.
///
/// **Reading**
/// 21. *Due*: [`Store::due`] gives exactly the records with a `due_at` not after `until`, by
///     (tenant, `due_at`, kind, id), in pages of at most `limit`, each going on after the key of
///     the last record before, whatever was stepped or inserted meanwhile.
/// 22. *Query*: [`Store::query`] gives exactly the records that the filter names, by (`at`, id);
///     facets are those of the last put.
/// 23. *Pages*: following the cursor visits each record that was there from the beginning exactly
///     once, whatever is inserted meanwhile.
/// 24. *Own writes*: what was committed, claimed, renewed or erased is seen by every read that
///     begins later, in any process.
/// 25. *Unique*: [`Store::unique`] never gives the same bytes twice, in any process, and no salt of
///     an audit record.
///
/// **Among others**
/// 26. *Fair*: no record that is ready waits for ever while others become ready after it, whoever's
///     they are.
/// 27. *Seen whole*: whoever has seen one thing that a commit wrote sees all of it; a lane that is
///     written to is seen without gaps.
/// 28. *In turn*: a claim takes one record of each tenant that has any to take before a second of
///     any, from the tenant after [`Claim::after`] on, by name, and the first name after the last;
///     of one tenant, what has been ready longest.
/// 29. *Ahead*: [`Store::upcoming`] gives the earliest `due_at` after the time that is named; the
///     earliest `ready_at` after it, on the channels that are named, of what no lease holds; and how
///     long the lease lasts still that runs out first, of those that have not run out.
///
/// Every call may be repeated. A future that is dropped before it is finished counts as an answer
/// that was lost.
///
/// What cannot be read as a record, because it is damaged or a later version wrote it (a kind or a facet
/// that this one does not know), claims and [`Store::due`] pass over, so that it holds up no other; of a
/// tenant whose control record is such nothing is taken. Whoever loads it, or queries a page that it is
/// on, is told [`StoreError::Corrupt`]; so is a claim that finds nothing but tenants whose lanes make no
/// sense.
pub trait Store: Send + Sync {
    /// The records at these keys, in the order of the keys; `None` where there is none.
    fn load(&self, keys: &[Key]) -> impl Future<Output = Result<Vec<Option<Record>>, StoreError>> + Send;

    /// Writes one transaction.
    fn commit(&self, commit: &Commit) -> impl Future<Output = Result<Committed, StoreError>> + Send;

    /// Takes records to be carried out; gives them back as they are stored now.
    fn claim(&self, claim: &Claim) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// Prolongs a lease; gives the time when it runs out now.
    fn renew(&self, renewal: &Renewal) -> impl Future<Output = Result<Time, StoreError>> + Send;

    /// The next page of records whose timer has run out.
    fn due(&self, page: &DuePage) -> impl Future<Output = Result<Vec<Record>, StoreError>> + Send;

    /// What comes next: hosts sleep until then.
    fn upcoming(&self, ask: &Ahead) -> impl Future<Output = Result<Upcoming, StoreError>> + Send;

    /// A page of the records that a query names.
    fn query(&self, query: &Query) -> impl Future<Output = Result<Page<Record>, StoreError>> + Send;

    /// A page of an audit lane.
    fn trail(&self, trail: &Trail) -> impl Future<Output = Result<Vec<AuditRecord>, StoreError>> + Send;

    /// Where an audit lane ends.
    fn head(&self, tenant: &TenantId, lane: u16) -> impl Future<Output = Result<Head, StoreError>> + Send;

    /// Removes what is personal from the audit records about a user; gives how many held any.
    fn erase(&self, tenant: &TenantId, user: &UserId)
    -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The store's time, the only judge of leases.
    fn now(&self) -> impl Future<Output = Result<Time, StoreError>> + Send;

    /// Sixteen bytes that nobody can guess and no process has had before.
    fn unique(&self) -> impl Future<Output = Result<Salt, StoreError>> + Send;
}
