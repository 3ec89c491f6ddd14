//! What needs a look behind the trait: the plans of the statements, and a disk that gives out.

use std::time::Duration;

use rusqlite::Connection;
use tipstaff::{
    Actor, AuditCode, AuditDraft, Claim, Commit, Committed, Facet, Head, Key, Kind, Order, Record, Span,
    Store, StoreError, TenantId, Time, ready,
};

use crate::{SqliteStore, claim, lock, query, read};

/// How SQLite carries a statement out, a line a step.
fn plan(db: &Connection, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.raw_query();
    steps.mapped(|row| row.get("detail")).collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn every_search_goes_by_an_index_and_none_sorts() {
    let store = SqliteStore::in_memory().unwrap();
    let db = lock(&store.writer);
    let due = "SEARCH records USING INDEX records_due (tenant=? AND (due_at,kind,id)>(?,?,?) AND due_at<?)";
    let ready = "SEARCH records USING COVERING INDEX records_queue (channel=? AND tenant=? AND (ready_at,kind,id)>(?,?,?) AND ready_at<?)";
    let trail = "SEARCH audit USING INDEX sqlite_autoindex_audit_1 (tenant=? AND lane=? AND seq>?)";
    for (sql, step) in [
        (read::DUE, due),
        (read::NEXT_TENANT, "SEARCH records USING COVERING INDEX records_due (tenant>?)"),
        (read::TRAIL, trail),
        (claim::READY, ready),
        (claim::NEXT_CHANNEL, "SEARCH records USING COVERING INDEX records_queue (channel>?)"),
    ] {
        assert_eq!(plan(&db, sql), [step], "{sql}");
    }
    // What one claim holds is few, and may be sorted.
    assert_eq!(plan(&db, claim::HELD)[0], "SEARCH records USING INDEX records_nonce (lease_nonce=?)");
    for (order, range) in
        [(Order::Newest, "at>? AND (at,id)<(?,?)"), (Order::Oldest, "(at,id)>(?,?) AND at<?")]
    {
        let all = format!("SEARCH l USING COVERING INDEX records_at (tenant=? AND kind=? AND {range})");
        assert_eq!(plan(&db, &query::sql(false, 0, order)), [all]);
        for others in 0..4 {
            let steps = plan(&db, &query::sql(true, others, order));
            let facet = "USING PRIMARY KEY (tenant=? AND kind=? AND facet=? AND value=? AND";
            assert_eq!(steps[0], format!("SEARCH l {facet} {range})"));
            let other = format!("{facet} at=? AND id=?)");
            assert_eq!(steps.iter().filter(|step| step.contains(&other)).count(), others, "{steps:?}");
            for step in &steps {
                assert!(!step.contains("TEMP B-TREE"), "{steps:?}");
                assert!(!step.starts_with("SCAN") || step.contains("json_each"), "{steps:?}");
            }
        }
    }
}

fn call(body: String) -> Commit {
    let tenant: TenantId = "acme".parse().unwrap();
    let record = Record {
        key: Key::new(&tenant, Kind::Trigger, "1"),
        version: 0,
        at: Time::EPOCH,
        due_at: None,
        queue: None,
        lease: None,
        token: 0,
        facets: vec![(Facet::User, "ana".into())],
        body,
    };
    let draft = AuditDraft::new(tenant.clone(), AuditCode::PolicyRulesInstalled, Actor::Engine, Time::EPOCH);
    Commit {
        id: "cmt_00000000000000000000000000000001".parse().unwrap(),
        tenant,
        expect: Vec::new(),
        fence: Vec::new(),
        put: vec![record],
        audit: vec![draft],
    }
}

/// Refuses the call with that reason, and then takes one once the fault is mended.
fn refused_until(store: &SqliteStore, call: &Commit, why: &str, mended: &str, then: &Commit) {
    let error = ready(store.commit(call)).unwrap().unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(text) if text.starts_with(why)), "{error}");
    let keys = [call.put[0].key.clone()];
    assert_eq!(ready(store.load(&keys)).unwrap(), Ok(vec![None]));
    assert_eq!(ready(store.head(&call.tenant, 0)).unwrap(), Ok(Head::default()));
    lock(&store.writer).execute_batch(mended).unwrap();
    assert_eq!(ready(store.commit(then)).unwrap(), Ok(Committed::Applied));
}

#[test]
fn a_full_disk_is_unavailable_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("store.db")).unwrap();
    lock(&store.writer).query_row("PRAGMA max_page_count = 40", [], |_| Ok(())).unwrap();
    refused_until(&store, &call("x".repeat(1_000_000)), "the disk is full", "", &call("{}".into()));
}

#[test]
fn a_file_that_another_holds_is_unavailable_for_writes_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    lock(&store.writer).busy_timeout(Duration::ZERO).unwrap();
    let call = call("{}".into());
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(SqliteStore::open(&path).is_ok(), "to open a file that is up to date needs no lock");
    let nothing = Claim {
        worker: "w1".parse().unwrap(),
        nonce: call.id,
        channels: None,
        max: 1,
        until: Time::EPOCH,
        lease: Span::secs(1),
        after: None,
    };
    assert_eq!(ready(store.claim(&nothing)).unwrap(), Ok(vec![]), "nor does a claim of nothing");
    let error = ready(store.commit(&call)).unwrap().unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("another connection")), "{error}");
    drop(holder);
    assert_eq!(ready(store.commit(&call)).unwrap(), Ok(Committed::Applied));
}

#[test]
fn a_read_only_database_is_unavailable() {
    let store = SqliteStore::in_memory().unwrap();
    lock(&store.writer).execute_batch("PRAGMA query_only = ON").unwrap();
    let call = call("{}".into());
    refused_until(&store, &call, "the database is read-only", "PRAGMA query_only = OFF", &call);
}
