//! One store in memory.

use tipstaff::{
    Committed, Cursor, DuePage, Facet, Key, Kind, Order, Record, Renewal, Span, Store, StoreError,
};
use tipstaff_sqlite::SqliteStore;

use crate::support::{
    Clock, at, claim, commit, done, draft, id, plain, query, queued, stopped, tenant, verified,
};

fn store() -> (SqliteStore, Clock) {
    let clock = Clock::default();
    (SqliteStore::in_memory().unwrap().with_clock(clock.read()), clock)
}

fn loaded(store: &SqliteStore, key: &Key) -> Option<Record> {
    done(store.load(std::slice::from_ref(key))).unwrap().remove(0)
}

#[test]
fn a_record_comes_back_as_it_was_put() {
    let (store, _) = store();
    let acme = tenant("acme");
    let mut record = queued(&acme, 1, "send_email", 5);
    record.due_at = Some(at(i64::MIN));
    record.facets =
        vec![(Facet::User, "b\0'\"é".into()), (Facet::User, "a".into()), (Facet::Mode, String::new())];
    record.token = u64::MAX;
    record.lease = Some(tipstaff::Lease { worker: "w 1".parse().unwrap(), nonce: id(9), until: at(7) });
    assert_eq!(done(store.commit(&commit(&acme, 1, vec![record.clone()]))), Ok(Committed::Applied));
    assert_eq!(loaded(&store, &record.key), Some(Record { version: 1, ..record }));
}

#[test]
fn a_refused_commit_writes_nothing_and_may_be_made_good() {
    let (store, _) = store();
    let acme = tenant("acme");
    let (one, two) = (plain(&acme, "1", 1, &[]), plain(&acme, "2", 2, &[(Facet::User, "ana")]));
    done(store.commit(&commit(&acme, 1, vec![one.clone()]))).unwrap();

    let mut refused = commit(&acme, 2, vec![two.clone(), one.clone()]);
    refused.audit = vec![draft(&acme, 1)];
    assert_eq!(done(store.commit(&refused)), Err(StoreError::Conflict(one.key.clone())));
    refused.put.pop();
    refused.expect = vec![(one.key.clone(), 1), (Key::new(&acme, Kind::Book, "book"), 1)];
    assert_eq!(done(store.commit(&refused)), Err(StoreError::Conflict(Key::new(&acme, Kind::Book, "book"))));
    refused.expect.pop();
    refused.fence = vec![(one.key.clone(), 1)];
    assert_eq!(done(store.commit(&refused)), Err(StoreError::Fenced(one.key.clone())));

    assert_eq!(loaded(&store, &two.key), None);
    assert_eq!(done(store.query(&query(&acme, &[(Facet::User, &["ana"])]))).unwrap().rows, []);
    assert_eq!(verified(&store, &acme, 0), 0);

    refused.fence = vec![(one.key.clone(), 0)];
    assert_eq!(done(store.commit(&refused)), Ok(Committed::Applied));
    assert_eq!(done(store.commit(&refused)), Ok(Committed::AlreadyApplied));
    assert_eq!(verified(&store, &acme, 0), 1);
}

#[test]
fn a_commit_that_reaches_into_another_tenant_is_refused() {
    let (store, _) = store();
    let (acme, other) = (tenant("acme"), tenant("other"));
    let foreign = plain(&other, "1", 1, &[]);
    let by_put = commit(&acme, 1, vec![foreign.clone()]);
    let by_audit = tipstaff::Commit { audit: vec![draft(&other, 1)], ..commit(&acme, 1, vec![]) };
    let by_expect = tipstaff::Commit { expect: vec![(foreign.key.clone(), 0)], ..commit(&acme, 1, vec![]) };
    for refused in [by_put, by_audit, by_expect] {
        let error = done(store.commit(&refused)).unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt { fault, .. } if fault.contains("`other`")), "{error}");
    }
    assert_eq!(loaded(&store, &foreign.key), None);
}

#[test]
fn claims_take_what_is_ready_the_longest_ready_first() {
    let (store, clock) = store();
    let (acme, zeta) = (tenant("acme"), tenant("zeta"));
    let mine = vec![queued(&acme, 1, "send_email", 30), queued(&acme, 2, "lock_account", 20)];
    done(store.commit(&commit(&acme, 1, mine))).unwrap();
    let theirs = vec![queued(&zeta, 3, "send_email", 10), queued(&zeta, 4, "send_email", 99)];
    done(store.commit(&commit(&zeta, 1, theirs))).unwrap();

    let ids = |records: &[Record]| -> Vec<u64> {
        records.iter().map(|record| u64::from_str_radix(&record.key.id[4..], 16).unwrap()).collect()
    };
    clock.set(1_000);
    let first = claim(1, 2, 50);
    let taken = done(store.claim(&first)).unwrap();
    // The order within a batch is that of the keys.
    assert_eq!(ids(&taken), [2, 3]);
    assert_eq!(taken[0].token, 1);
    assert_eq!(done(store.claim(&first)).unwrap(), taken, "a repeat");
    assert_eq!(ids(&done(store.claim(&claim(2, 10, 50))).unwrap()), [1]);
    assert_eq!(done(store.claim(&claim(3, 10, 50))).unwrap(), [], "all are held, one is not ready");

    let held = Renewal { key: taken[0].key.clone(), token: 1, lease: Span::secs(90) };
    assert_eq!(done(store.renew(&held)), Ok(at(90_001_000)));
    let stale = Renewal { token: 0, ..held.clone() };
    assert_eq!(done(store.renew(&stale)), Err(StoreError::Fenced(held.key.clone())));

    // The store's clock alone ends a lease; the renewed one is still held.
    clock.set(60_001_000);
    let mut rescue = claim(4, 10, 60_001_000);
    rescue.channels = Some(["lock_account", "send_email"].map(|name| name.parse().unwrap()).into());
    let rescued = done(store.claim(&rescue)).unwrap();
    assert_eq!(ids(&rescued), [1, 3, 4]);
    assert_eq!(rescued.iter().map(|record| record.token).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(verified(&store, &acme, 0), 3);
    assert_eq!(verified(&store, &zeta, 0), 3);
}

#[test]
fn what_a_kill_switch_holds_back_takes_no_place() {
    let (store, _) = store();
    let (acme, zeta) = (tenant("acme"), tenant("zeta"));
    let mut held_back: Vec<_> = (0..25).map(|n| queued(&acme, n, "send_email", 1)).collect();
    held_back.push(stopped(&acme));
    done(store.commit(&commit(&acme, 1, held_back))).unwrap();
    let last = queued(&zeta, 99, "send_email", 2);
    done(store.commit(&commit(&zeta, 1, vec![last.clone()]))).unwrap();

    let taken = done(store.claim(&claim(1, 1, 10))).unwrap();
    assert_eq!(taken.iter().map(|record| &record.key).collect::<Vec<_>>(), [&last.key]);
    assert_eq!(done(store.claim(&claim(2, 5, 10))).unwrap(), []);
    assert_eq!(verified(&store, &acme, 0), 0);
}

#[test]
fn facets_follow_their_record() {
    let (store, _) = store();
    let acme = tenant("acme");
    let named = |facet, value| {
        let page = done(store.query(&query(&acme, &[(facet, &[value])]))).unwrap();
        page.rows.len()
    };
    let first = plain(&acme, "1", 1, &[(Facet::Status, "pending"), (Facet::User, "ana")]);
    done(store.commit(&commit(&acme, 1, vec![first]))).unwrap();
    assert_eq!((named(Facet::Status, "pending"), named(Facet::User, "ana")), (1, 1));
    let next = plain(&acme, "1", 1, &[(Facet::User, "ana"), (Facet::Status, "failed")]);
    done(store.commit(&commit(&acme, 2, vec![Record { version: 1, ..next }]))).unwrap();
    assert_eq!((named(Facet::Status, "pending"), named(Facet::Status, "failed")), (0, 1));
    assert_eq!(named(Facet::User, "ana"), 1);
}

#[test]
fn pages_visit_each_row_once_while_others_are_inserted() {
    let (store, _) = store();
    let acme = tenant("acme");
    let user = |n: u64| if n.is_multiple_of(2) { "ana" } else { "ben" };
    // Many rows of one time, so that the id decides.
    let rows = (0..25)
        .map(|n| plain(&acme, &format!("{n:02}"), i64::try_from(n / 10).unwrap(), &[(Facet::User, user(n))]));
    done(store.commit(&commit(&acme, 1, rows.collect()))).unwrap();
    for order in [Order::Newest, Order::Oldest] {
        let mut asked = query(&acme, &[(Facet::User, &["ana", "ben", "ana"])]);
        (asked.order, asked.limit) = (order, 4);
        let mut seen = Vec::new();
        for turn in 0.. {
            let page = done(store.query(&asked)).unwrap();
            seen.extend(page.rows.into_iter().map(|row| row.key.id).filter(|id| !id.starts_with('x')));
            let Some(next) = page.next else { break };
            asked.after = Some(next);
            let late = plain(&acme, &format!("x{order}{turn}"), 1, &[(Facet::User, "ana")]);
            done(store.commit(&commit(&acme, 1_000 + turn + 100 * (order as u64), vec![late]))).unwrap();
        }
        if order == Order::Newest {
            seen.reverse();
        }
        assert_eq!(seen, (0..25).map(|n| format!("{n:02}")).collect::<Vec<_>>());
    }
    let far = Cursor { at: at(5), id: "z".into() };
    let end = tipstaff::Query { order: Order::Oldest, after: Some(far), ..query(&acme, &[]) };
    assert_eq!(done(store.query(&end)).unwrap().next, None);
}

#[test]
fn a_range_begins_with_its_first_row_and_ends_before_its_last() {
    let (store, _) = store();
    let acme = tenant("acme");
    let row = |id: &str, micros| plain(&acme, id, micros, &[(Facet::User, "ana")]);
    let rows = vec![row("a", 1), row("", 2), row("b", 2), row("c", 3)];
    done(store.commit(&commit(&acme, 1, rows))).unwrap();
    for order in [Order::Newest, Order::Oldest] {
        let asked = query(&acme, &[(Facet::User, &["ana"])]);
        let asked = tipstaff::Query { from: Some(at(2)), until: Some(at(3)), order, ..asked };
        assert_eq!(done(store.query(&asked)).unwrap().rows.len(), 2);
        assert_eq!(
            done(store.query(&tipstaff::Query { until: Some(at(2)), ..asked })).unwrap().rows.len(),
            0
        );
    }
}

#[test]
fn due_records_come_by_tenant_time_kind_and_id() {
    let (store, _) = store();
    let kinds = [Kind::Run, Kind::Approval, Kind::Enforcement, Kind::Timer];
    for (n, name) in ["b", "a", "c"].into_iter().enumerate() {
        let of = tenant(name);
        let due = |kind, id: &str, due| Record {
            key: Key::new(&of, kind, id),
            due_at: Some(at(due)),
            ..plain(&of, "", 0, &[])
        };
        let records = kinds.map(|kind| due(kind, "1", 10)).into_iter();
        let later = [due(Kind::Run, "0", 5), due(Kind::Run, "2", 11)];
        let records =
            if name == "c" { vec![due(Kind::Run, "9", 11)] } else { records.chain(later).collect() };
        done(store.commit(&commit(&of, u64::try_from(n).unwrap(), records))).unwrap();
    }
    let of_tenant = |name: &str| {
        let row = |kind: &str, id: &str| format!("{name}/{kind}/{id}");
        [row("run", "0"), row("approval", "1"), row("enforcement", "1"), row("run", "1"), row("timer", "1")]
    };
    for limit in 1..=11 {
        let mut page = DuePage { until: at(10), after: None, limit };
        let mut seen = Vec::new();
        loop {
            let rows = done(store.due(&page)).unwrap();
            assert!(rows.len() <= limit);
            let Some(last) = rows.last() else { break };
            page.after = DuePage::place(last);
            seen.extend(rows.iter().map(|row| row.key.to_string()));
        }
        assert_eq!(seen, [of_tenant("a"), of_tenant("b")].concat());
    }
}

#[test]
fn unique_bytes_differ_between_stores() {
    let stores = [store().0, store().0];
    let bytes = stores.iter().flat_map(|store| (0..100).map(|_| done(store.unique()).unwrap()));
    assert_eq!(bytes.collect::<std::collections::BTreeSet<_>>().len(), 200);
}

#[test]
fn a_damaged_record_holds_up_no_other() {
    let (store, _) = store();
    let (acme, zeta) = (tenant("acme"), tenant("zeta"));
    let mut damaged = queued(&acme, 1, "send_email", 0);
    damaged.body = "{}".into();
    done(store.commit(&commit(&acme, 1, vec![damaged.clone(), queued(&acme, 2, "send_email", 1)]))).unwrap();
    done(store.commit(&commit(&zeta, 1, vec![queued(&zeta, 3, "send_email", 2)]))).unwrap();
    for nonce in [1, 2, 3] {
        assert_eq!(done(store.claim(&claim(nonce, 1, 9))).unwrap().len(), 1);
    }
    // It was given out as it is, for the engine to find.
    let there = loaded(&store, &damaged.key).unwrap();
    assert_eq!((there.body.as_str(), there.lease.is_some()), ("{}", true));
}
