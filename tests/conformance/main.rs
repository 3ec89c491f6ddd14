//! The suite that proves stores and deliveries, itself put to the proof: the reference store
//! passes, and stores and deliveries that are wrong in one way break the laws named for it.
#![cfg(feature = "conformance")]
#![allow(clippy::unwrap_used, reason = "what a test prepares must be there")]

mod contract;
mod defects;
mod deliveries;
mod faulty;
mod stores;
mod waiting;

/// The reference store, by the macro that integrators use.
mod memory {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use tipstaff::conformance::{Harness, store_laws};
    use tipstaff::{MemoryStore, Span, TenantId, Time};

    struct Memory {
        store: MemoryStore,
        clock: Arc<AtomicI64>,
    }

    impl Harness for Memory {
        type Store = MemoryStore;

        fn store(&self) -> &MemoryStore {
            &self.store
        }

        fn reopen(&self) -> Option<MemoryStore> {
            Some(self.store.clone())
        }

        fn advance(&self, span: Span) {
            self.clock.fetch_add(span.as_millis() as i64 * 1_000, Ordering::SeqCst);
        }

        fn damage(&self, _: &TenantId) -> bool {
            false
        }
    }

    fn memory() -> Memory {
        let clock = Arc::new(AtomicI64::new(1_780_000_000_000_000));
        let hand = Arc::clone(&clock);
        let store = MemoryStore::with_clock(move || Time::from_micros(hand.load(Ordering::SeqCst)));
        Memory { store, clock }
    }

    store_laws!(memory);
}
