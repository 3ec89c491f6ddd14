//! A store whose futures wait: with an executor it passes, without one the laws say why not.

use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use tipstaff::conformance::{Harness, Variant, at_once, prove_store, store_laws};
use tipstaff::{
    Ahead, AuditRecord, Claim, Commit, Committed, DuePage, Head, Key, Page, Query, Record, Renewal, Salt,
    Span, Store, StoreError, TenantId, Time, Trail, Upcoming, UserId,
};

use crate::defects::Defect;
use crate::faulty::Faulty;

/// A right store that is not ready at the first poll.
struct Waiting(Faulty);

/// Declares the calls: each waits once, and then asks the store within.
macro_rules! calls {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)+) => {
        impl Store for Waiting {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, StoreError> {
                wait().await;
                self.0.$name($($arg),*).await
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

async fn wait() {
    let mut polled = false;
    poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

fn waker() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl Harness for Waiting {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    fn reopen(&self) -> Option<Self> {
        None
    }

    fn advance(&self, span: Span) {
        self.0.advance(span);
    }

    fn damage(&self, tenant: &TenantId) -> bool {
        self.0.damage(tenant)
    }
}

fn waiting() -> Waiting {
    Waiting(Faulty::new(Defect::None))
}

// A closure will do, as a host that keeps a runtime writes one.
store_laws!(waiting, |mut future| while future.as_mut().poll(&mut waker()).is_pending() {});

#[test]
fn without_an_executor_the_law_says_what_is_missing() {
    let law = "an_accepted_commit_writes_everything";
    let broken = prove_store(law, Variant::Plain, waiting, at_once).unwrap_err();
    assert!(broken.to_string().contains("give the laws an executor"), "{broken}");
}

#[test]
fn a_law_that_is_none_is_refused() {
    let broken = prove_store("no_such_law", Variant::Plain, waiting, at_once).unwrap_err();
    assert!(broken.to_string().contains("no_such_law"), "{broken}");
}
