//! Records and calls to try a store with, and how its answers are had.

#[path = "records.rs"]
mod records;

use tipstaff::{Store, TenantId, Trail, Verifier, ready};

pub(crate) use records::*;

/// The output of a future that never waits.
pub(crate) fn done<T>(future: impl Future<Output = T>) -> T {
    ready(future).expect("the store never waits")
}

/// How many records a lane has, all of which verify up to its head.
pub(crate) fn verified(store: &impl Store, tenant: &TenantId, lane: u16) -> u64 {
    let head = done(store.head(tenant, lane)).unwrap();
    let mut verifier = Verifier::new(tipstaff::Head::default()).of(tenant.clone(), lane).kept(head);
    loop {
        let after = verifier.head().seq;
        let page = done(store.trail(&Trail { tenant: tenant.clone(), lane, after, limit: 7 })).unwrap();
        if page.is_empty() {
            return verifier.finish().unwrap().seq;
        }
        page.iter().for_each(|record| verifier.push(record).unwrap());
    }
}
