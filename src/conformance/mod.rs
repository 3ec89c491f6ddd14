//! The suite by which an integrator proves a [`Store`](crate::Store) or a
//! [`Delivery`](crate::Delivery).
//!
//! Each sentence of the two contracts is one or more named laws: [`STORE_LAWS`], [`DELIVERY_LAWS`].
//! [`store_laws!`] makes one `#[test]` of each in each [`Variant`], a module each:
//!
//! | variant | what happens |
//! |---|---|
//! | `plain` | every answer arrives |
//! | `lost` | the store stands behind [`AnswersLost`]: the first answer of each writing call is lost |
//! | `dropped` | the first future of each writing call is dropped after one to seven polls |
//! | `unavailable` | each call fails with `Unavailable`, before it is made and after it was carried out |
//! | `conflict` | each commit is first made with a false expectation, which the store itself must refuse; then as above |
//! | `fenced` | each commit and renewal is first made under a token that nobody has, which the store itself must refuse; then these fail with `Fenced`, before and after |
//! | `corrupt` | each commit is first made with a record of another tenant, which the store itself must refuse; then as with `conflict` |
//! | `crowd` | two other hosts write and read beside each call, for other tenants and for the same |
//!
//! After each failure the same call is repeated, as the engine does it, and the law must hold all
//! the same: nothing was half written, and no repeat does harm. Each law begins with a fresh, empty
//! store.
//!
//! The suite is the feature `conformance`, for `[dev-dependencies]` only:
//!
//! ```toml
//! [dev-dependencies]
//! tipstaff = { version = "0.1", features = ["conformance"] }
//! ```
//!
//! # A store
//! A [`Harness`] gives the store, a second handle on its data, a clock that can be moved, and damage
//! where it can be done; here that of the reference store, in `tests/conformance.rs`:
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicU64, Ordering};
//!
//! use tipstaff::conformance::{self, Harness};
//! use tipstaff::{MemoryStore, Span, TenantId, Time};
//!
//! struct Fresh {
//!     store: MemoryStore,
//!     passed: Arc<AtomicU64>,
//! }
//!
//! impl Harness for Fresh {
//!     type Store = MemoryStore;
//!
//!     fn store(&self) -> &MemoryStore {
//!         &self.store
//!     }
//!
//!     fn reopen(&self) -> Option<MemoryStore> {
//!         Some(self.store.clone())
//!     }
//!
//!     fn advance(&self, span: Span) {
//!         self.passed.fetch_add(span.as_millis(), Ordering::SeqCst);
//!     }
//!
//!     fn damage(&self, _: &TenantId) -> bool {
//!         false
//!     }
//! }
//!
//! fn fresh() -> Fresh {
//!     let passed = Arc::new(AtomicU64::new(0));
//!     let clock = Arc::clone(&passed);
//!     let now = move || Time::EPOCH.after(Span::millis(clock.load(Ordering::SeqCst)));
//!     Fresh { store: MemoryStore::with_clock(now), passed }
//! }
//!
//! // One test for each law in each variant.
//! conformance::store_laws!(fresh);
//!
//! // The same as a report, wherever there is no test runner.
//! let report = conformance::run_store(fresh);
//! assert!(report.holds(), "{report}");
//! ```
//!
//! A store whose clock is a server's writes `std::thread::sleep` into [`Harness::advance`]; the laws
//! then take some seconds. A store whose futures wait names what drives them, such as
//! `store_laws!(fresh, |future| runtime().block_on(future))`; laws of races call it from several
//! threads at once.
//!
//! The records of the suite keep to what the engine writes: ids of at most 600 bytes without NUL,
//! facets sorted and each once, tokens and versions below 2⁶³, claims whose decision time is the
//! end of this century or of time.
//!
//! # A delivery
//! A [`Target`] gives the delivery, counts the effects that each key has had, and makes trouble:
//!
//! ```
//! use std::collections::{BTreeMap, BTreeSet};
//! use std::sync::Mutex;
//!
//! use tipstaff::conformance::{self, Target, Trouble};
//! use tipstaff::{ActionType, Answer, BuiltinAction, Delivered, Delivery, EnforcementId, Job, Params, Probe};
//!
//! /// A mailbox that takes each key once.
//! #[derive(Default)]
//! struct Mailbox(Mutex<BTreeMap<EnforcementId, usize>>);
//!
//! impl Delivery for Mailbox {
//!     fn channels(&self) -> Option<BTreeSet<ActionType>> {
//!         Some(BTreeSet::from([BuiltinAction::SendEmail.into()]))
//!     }
//!
//!     fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
//!         Box::pin(async move {
//!             if self.channels().is_some_and(|channels| !channels.contains(&job.channel)) {
//!                 return Delivered::permanent("not a mail");
//!             }
//!             self.0.lock().unwrap().entry(job.key).or_insert(1);
//!             Delivered::done()
//!         })
//!     }
//!
//!     fn probe<'a>(&'a self, job: &'a Job) -> Answer<'a, Probe> {
//!         let there = self.0.lock().unwrap().contains_key(&job.key);
//!         Box::pin(async move { if there { Probe::Done } else { Probe::NotDone } })
//!     }
//! }
//!
//! impl Target for Mailbox {
//!     type Delivery = Self;
//!
//!     fn delivery(&self) -> &Self {
//!         self
//!     }
//!
//!     fn channel(&self) -> ActionType {
//!         BuiltinAction::SendEmail.into()
//!     }
//!
//!     fn params(&self) -> Params {
//!         Params::from([("to".to_owned(), "manager".into())])
//!     }
//!
//!     fn honours_keys(&self) -> bool {
//!         true
//!     }
//!
//!     fn effects(&self, key: EnforcementId) -> usize {
//!         self.0.lock().unwrap().get(&key).copied().unwrap_or(0)
//!     }
//!
//!     fn trouble(&self, _: Trouble) -> bool {
//!         false
//!     }
//! }
//!
//! conformance::delivery_laws!(Mailbox::default);
//!
//! let report = conformance::run_delivery(Mailbox::default);
//! assert!(report.holds(), "{report}");
//! ```

mod bench;
mod broken;
mod crowd;
mod faults;
mod laws;
mod lost;
mod props;
mod run;
mod table;
mod target;

use crate::store::{Record, StoreError};

pub use broken::Broken;
pub use lost::AnswersLost;
pub use run::{
    DELIVERY_LAWS, Proof, Report, STORE_LAWS, Variant, at_once, prove_delivery, prove_store, run_delivery,
    run_delivery_with, run_store, run_store_with,
};
pub use table::Law;
pub use target::{Harness, Target, Trouble};

/// Reads a record that a store holds and writes it again, as the engine does: with the same content,
/// and with what a later version has put in it. A host that is to be brought up to date can try the
/// new version on all that its store holds before it runs it.
///
/// # Errors
/// [`StoreError::Corrupt`] for a body that this version cannot read, also of a newer format.
pub fn rewritten(record: &Record) -> Result<Record, StoreError> {
    crate::store::rewritten(record)
}

#[doc(inline)]
pub use crate::__tipstaff_delivery_suite as delivery_laws;
#[doc(inline)]
pub use crate::__tipstaff_store_suite as store_laws;
