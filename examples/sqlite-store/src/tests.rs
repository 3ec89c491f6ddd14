//! What needs a look behind the trait: the plans of the statements, and a disk that gives out.

use std::time::Instant;

use rusqlite::Connection;
use tipstaff::{
    Actor, AuditCode, AuditDraft, Claim, Commit, Committed, Facet, Head, Key, Kind, Order, Query, Record,
    Span, Store, StoreError, TenantId, Time, ready,
};

use crate::{SqliteStore, claim, lock, open, query, read, write};

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
    let ready = "SEARCH records USING COVERING INDEX records_free (channel=? AND tenant=? AND (ready_at,kind,id)>(?,?,?) AND ready_at<?)";
    let trail = "SEARCH audit USING INDEX sqlite_autoindex_audit_1 (tenant=? AND lane=? AND seq>?)";
    for (sql, step) in [
        (read::DUE, due),
        (read::NEXT_TENANT, "SEARCH records USING COVERING INDEX records_due (tenant>?)"),
        (read::TRAIL, trail),
        (
            write::LANE,
            "SEARCH facet_lanes USING COVERING INDEX sqlite_autoindex_facet_lanes_1 (tenant=? AND kind=? AND facet=?)",
        ),
        (claim::READY, ready),
        (claim::NEXT_CHANNEL, "SEARCH records USING COVERING INDEX records_free (channel>?)"),
        (claim::NEXT_TENANT, "SEARCH records USING COVERING INDEX records_free (channel=? AND tenant>?)"),
        (
            claim::NEXT_READY,
            "SEARCH records USING COVERING INDEX records_free (channel=? AND tenant=? AND ready_at>?)",
        ),
        (claim::NEXT_TIMER, "SEARCH records USING COVERING INDEX records_due (tenant=? AND due_at>?)"),
        (claim::RUN_OUT, "SEARCH records USING COVERING INDEX records_lease (lease_until<?)"),
        (claim::NEXT_LEASE, "SEARCH records USING COVERING INDEX records_lease (lease_until>?)"),
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
            let facet = "USING PRIMARY KEY (lane=? AND value=? AND";
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

fn by_user(user: &str) -> Query {
    Query {
        tenant: "acme".parse().unwrap(),
        kind: Kind::Trigger,
        from: None,
        until: None,
        facets: vec![(Facet::User, vec![user.to_owned()])],
        order: Order::Oldest,
        after: None,
        limit: 10,
    }
}

fn claim_of(channel: &str) -> Claim {
    Claim {
        worker: "w1".parse().unwrap(),
        nonce: "cmt_00000000000000000000000000000001".parse().unwrap(),
        channels: Some([channel.parse().unwrap()].into()),
        max: 10,
        until: Time::EPOCH,
        lease: Span::secs(1),
        after: None,
    }
}

/// Every index and table, as it was made.
fn schema(db: &Connection) -> Vec<(String, String)> {
    let mut statement =
        db.prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

#[test]
fn a_file_of_each_earlier_schema_is_brought_up_to_date_and_keeps_what_it_holds() {
    let newest = SqliteStore::in_memory().unwrap();
    for version in 1..open::MIGRATIONS.len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(&open::MIGRATIONS[..version].concat()).unwrap();
        old.execute_batch(&format!(
            "PRAGMA application_id = 0x74707374; PRAGMA user_version = {version};
             INSERT INTO records (tenant, kind, id, version, at, channel, ready_at, token, facets, body)
                 VALUES ('acme', 'trigger', '1', 1, 0, 'send_email', 0, 0, '[[\"user\",\"ana\"]]', '{{}}');
             INSERT INTO facets (tenant, kind, facet, value, at, id)
                 VALUES ('acme', 'trigger', 'user', 'ana', 0, '1');"
        ))
        .unwrap();
        assert_ne!(schema(&old), schema(&lock(&newest.writer)), "schema {version}");
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(schema(&lock(&store.writer)), schema(&lock(&newest.writer)), "from schema {version}");
        let key = Key::new(&"acme".parse().unwrap(), Kind::Trigger, "1");
        let kept = ready(store.load(&[key])).unwrap().unwrap();
        assert_eq!(kept[0].as_ref().map(|record| record.body.as_str()), Some("{}"));
        let found = ready(store.query(&by_user("ana"))).unwrap().unwrap();
        assert_eq!(found.rows.len(), 1, "it is found by its facets");
        assert_eq!(ready(store.query(&by_user("bob"))).unwrap().unwrap().rows.len(), 0);
        let claim = claim_of("send_email");
        let ready_now = claim::look(&lock(&store.writer), &claim, &claim::Damaged::default(), Time::EPOCH);
        assert!(matches!(ready_now, Ok(claim::Found::Ready(keys)) if keys.len() == 1), "and claimed");
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
    let call = call("{}".into());
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(SqliteStore::open(&path).is_ok(), "to open a file that is up to date needs no lock");
    let nothing = Claim { channels: None, max: 1, ..claim_of("send_email") };
    assert_eq!(ready(store.claim(&nothing)).unwrap(), Ok(vec![]), "nor does a claim of nothing");
    let error = ready(store.commit(&call)).unwrap().unwrap_err();
    assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("another connection")), "{error}");
    drop(holder);
    assert_eq!(ready(store.commit(&call)).unwrap(), Ok(Committed::Applied));
}

#[test]
fn those_who_wait_for_each_other_lose_their_patience_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    let holder = Connection::open(&path).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let answer = ready(store.commit(&call("{}".into()))).unwrap();
                assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
            });
        }
    });
    assert!(begun.elapsed() < 2 * open::PATIENCE, "{:?}", begun.elapsed());
}

#[test]
fn a_read_only_database_is_unavailable() {
    let store = SqliteStore::in_memory().unwrap();
    lock(&store.writer).execute_batch("PRAGMA query_only = ON").unwrap();
    let call = call("{}".into());
    refused_until(&store, &call, "the database is read-only", "PRAGMA query_only = OFF", &call);
}
