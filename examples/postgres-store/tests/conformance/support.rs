//! What the model asks of a test: records, and how the answers of a store are had that waits.

#[path = "../../../sqlite-store/tests/suite/records.rs"]
mod records;

use std::future::Future;

use tipstaff::{Head, Store, TenantId, Trail, Verifier};

pub(crate) use records::*;

pub(crate) fn done<T>(future: impl Future<Output = T>) -> T {
    crate::runtime().block_on(future)
}

/// How many records a lane has, all of which verify up to its head.
pub(crate) fn verified(store: &impl Store, tenant: &TenantId, lane: u16) -> u64 {
    let head = done(store.head(tenant, lane)).unwrap();
    let mut verifier = Verifier::new(Head::default()).of(tenant.clone(), lane).kept(head);
    let trail = Trail { tenant: tenant.clone(), lane, after: 0, limit: 10_000 };
    done(store.trail(&trail)).unwrap().iter().for_each(|record| verifier.push(record).unwrap());
    verifier.finish().unwrap().seq
}
