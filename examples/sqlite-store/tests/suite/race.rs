//! Several stores on one file at the same time. Each has connections of its own, as another
//! process would.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Barrier;
use std::thread;

use tipstaff::{Committed, Key, Kind, Record, Store, StoreError, TenantId};
use tipstaff_sqlite::SqliteStore;

use crate::support::{claim, commit, done, draft, plain, queued, tenant, verified};

const STORES: u64 = 4;
const ROUNDS: u64 = 20;

/// Does the work in several stores on one file that begin together.
fn race<T: Send>(path: &Path, work: impl Fn(u64, &SqliteStore) -> T + Sync) -> Vec<T> {
    let start = Barrier::new(usize::try_from(STORES).unwrap());
    thread::scope(|scope| {
        let runner = |n| {
            let (start, work) = (&start, &work);
            scope.spawn(move || {
                start.wait();
                work(n, &SqliteStore::open(path).unwrap())
            })
        };
        let runners: Vec<_> = (0..STORES).map(runner).collect();
        runners.into_iter().map(|runner| runner.join().unwrap()).collect()
    })
}

fn counter(tenant: &TenantId) -> Key {
    Key::new(tenant, Kind::Stats, "counter")
}

/// Adds one to the counter as the engine would; gives how often it had to decide again.
fn count(store: &SqliteStore, tenant: &TenantId, id: u64) -> u64 {
    for lost in 0.. {
        let old = done(store.load(&[counter(tenant)])).unwrap().remove(0);
        let (version, count) = old.map_or((0, 0), |old| (old.version, old.body.parse::<u64>().unwrap()));
        let body = (count + 1).to_string();
        let next = Record { key: counter(tenant), version, body, ..plain(tenant, "", 0, &[]) };
        let mut call = commit(tenant, id, vec![next]);
        call.audit = vec![draft(tenant, 1).personal("comment", "one more")];
        match done(store.commit(&call)) {
            Ok(Committed::Applied) => return lost,
            Err(StoreError::Conflict(key)) => assert_eq!(key, counter(tenant)),
            other => panic!("{other:?}"),
        }
    }
    unreachable!("the loop ends by returning")
}

#[test]
fn no_update_is_lost_and_the_chain_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let acme = tenant("acme");
    race(&path, |n, store| (0..ROUNDS).map(|round| count(store, &acme, n * ROUNDS + round)).sum::<u64>());
    let store = SqliteStore::open(&path).unwrap();
    let total = STORES * ROUNDS;
    let record = done(store.load(&[counter(&acme)])).unwrap().remove(0).unwrap();
    assert_eq!((record.version, record.body), (total, total.to_string()));
    assert_eq!(verified(&store, &acme, 0), total);
}

#[test]
fn a_commit_that_several_repeat_is_applied_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let acme = tenant("acme");
    let answers = race(&path, |_, store| {
        let call = |id| commit(&acme, id, vec![plain(&acme, &id.to_string(), 1, &[])]);
        (0..ROUNDS).filter(|id| done(store.commit(&call(*id))) == Ok(Committed::Applied)).count() as u64
    });
    assert_eq!(answers.iter().sum::<u64>(), ROUNDS);
}

#[test]
fn each_record_is_claimed_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let acme = tenant("acme");
    let total = 60;
    let store = SqliteStore::open(&path).unwrap();
    let records = (0..total).map(|n| queued(&acme, n, "send_email", 1)).collect();
    done(store.commit(&commit(&acme, 1, records))).unwrap();
    let batches = race(&path, |n, store| {
        let mut taken = Vec::new();
        for nonce in 0.. {
            let call = claim(n * 1_000 + nonce, 7, 10);
            let batch = done(store.claim(&call)).unwrap();
            assert_eq!(done(store.claim(&call)).unwrap(), batch);
            if batch.is_empty() {
                return taken;
            }
            taken.extend(batch.into_iter().map(|record| record.key));
        }
        taken
    });
    let mut times: BTreeMap<Key, u32> = BTreeMap::new();
    batches.into_iter().flatten().for_each(|key| *times.entry(key).or_default() += 1);
    assert_eq!(times.len() as u64, total);
    assert!(times.values().all(|n| *n == 1), "{times:?}");
    assert_eq!(verified(&store, &acme, 0), total);
}

#[test]
fn a_new_file_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let acme = tenant("acme");
    for n in 0..25 {
        let path = folder.path().join(n.to_string());
        race(&path, |n, store| done(store.commit(&commit(&acme, n, vec![]))).unwrap());
    }
}
