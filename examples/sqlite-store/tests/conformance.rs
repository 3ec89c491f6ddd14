//! The laws of the store's contract, on a file that two stores have open, and in memory.

#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tipstaff::conformance::Harness;
use tipstaff::{Span, TenantId, Time};
use tipstaff_sqlite::SqliteStore;

/// An arbitrary day of 2026; only what is added to it matters.
const BEGIN: i64 = 1_780_000_000_000_000;

struct Fresh {
    store: SqliteStore,
    clock: Arc<AtomicI64>,
    path: Option<PathBuf>,
    /// Removed with the harness.
    _folder: Option<tempfile::TempDir>,
}

fn ticking(store: SqliteStore, clock: &Arc<AtomicI64>) -> SqliteStore {
    let hand = Arc::clone(clock);
    store.with_clock(move || Time::from_micros(hand.load(Ordering::SeqCst)))
}

impl Harness for Fresh {
    type Store = SqliteStore;

    fn store(&self) -> &SqliteStore {
        &self.store
    }

    fn reopen(&self) -> Option<SqliteStore> {
        self.path.as_ref().map(|path| ticking(SqliteStore::open(path).unwrap(), &self.clock))
    }

    fn advance(&self, span: Span) {
        self.clock.fetch_add(i64::try_from(span.as_millis()).unwrap() * 1_000, Ordering::SeqCst);
    }

    fn damage(&self, tenant: &TenantId) -> bool {
        let Some(path) = &self.path else { return false };
        let file = rusqlite::Connection::open(path).unwrap();
        file.busy_timeout(Duration::from_secs(5)).unwrap();
        // It is taken for one record shorter than it is.
        file.execute("UPDATE heads SET seq = seq - 1 WHERE tenant = ?1", [tenant.as_str()]).unwrap() > 0
    }
}

mod file {
    use super::*;

    fn fresh() -> Fresh {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let clock = Arc::new(AtomicI64::new(BEGIN));
        let store = ticking(SqliteStore::open(&path).unwrap(), &clock);
        Fresh { store, clock, path: Some(path), _folder: Some(folder) }
    }

    tipstaff::conformance::store_laws!(fresh);
}

mod memory {
    use super::*;

    fn fresh() -> Fresh {
        let clock = Arc::new(AtomicI64::new(BEGIN));
        let store = ticking(SqliteStore::in_memory().unwrap(), &clock);
        Fresh { store, clock, path: None, _folder: None }
    }

    tipstaff::conformance::store_laws!(fresh);
}
