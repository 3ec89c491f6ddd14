//! Records and calls to try a store with; the other stores use them, too.
#![allow(dead_code, reason = "each of them uses a part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::json;
use tipstaff::{
    Actor, AuditCode, AuditDraft, Claim, Commit, CommitId, DuePage, Facet, Key, Kind, Order, Query, Queue,
    Record, Span, Store, StoreError, TenantId, Time,
};

pub(crate) fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

pub(crate) fn at(micros: i64) -> Time {
    Time::from_micros(micros)
}

pub(crate) fn id(n: u64) -> CommitId {
    format!("cmt_{n:032x}").parse().unwrap()
}

/// A clock that tests move.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(crate) fn set(&self, micros: i64) {
        self.0.store(micros, Ordering::SeqCst);
    }

    pub(crate) fn read(&self) -> impl Fn() -> Time + Send + Sync + 'static {
        let micros = Arc::clone(&self.0);
        move || at(micros.load(Ordering::SeqCst))
    }
}

/// A record that nothing but its facets and times is known of.
pub(crate) fn plain(tenant: &TenantId, id: &str, micros: i64, facets: &[(Facet, &str)]) -> Record {
    Record {
        key: Key::new(tenant, Kind::Trigger, id),
        version: 0,
        at: at(micros),
        due_at: None,
        queue: None,
        lease: None,
        token: 0,
        facets: facets.iter().map(|(facet, value)| (*facet, (*value).to_owned())).collect(),
        body: "{}".into(),
    }
}

/// An enforcement that waits on a channel since that time.
pub(crate) fn queued(tenant: &TenantId, n: u64, channel: &str, since: i64) -> Record {
    let id = format!("enf_{n:032x}");
    let body = json!({
        "v": 1, "id": id, "tenant": tenant, "purpose": "action",
        "origin": { "trigger": format!("trg_{n:032x}"), "kind": "event", "source": "okta",
                    "signal": format!("evt-{n}"), "at": at(since) },
        "subject": { "user": "ana" }, "action": channel, "category": "notification",
        "channel": channel, "params": {}, "holders": [], "recorded_at": at(since),
        "state": { "reason": "queued", "since": at(since) }, "attempts": 0,
        "retry": { "safety": "idempotent", "attempts": 5, "first": "1s", "cap": "1m" },
        "success": "accepted", "added_later": true,
    });
    Record {
        key: Key::new(tenant, Kind::Enforcement, id),
        queue: Some(Queue { channel: channel.parse().unwrap(), ready_at: at(since) }),
        body: body.to_string(),
        ..plain(tenant, "", since, &[(Facet::Status, "pending")])
    }
}

/// The record of a kill switch over a whole tenant.
pub(crate) fn stopped(tenant: &TenantId) -> Record {
    let body = json!({ "v": 1, "epoch": 1, "rules": {}, "types": {},
                       "tenant": { "by": "ana", "at": Time::EPOCH, "reason": "drill" } });
    Record { key: Claim::control_key(tenant), body: body.to_string(), ..plain(tenant, "", 0, &[]) }
}

pub(crate) fn draft(tenant: &TenantId, micros: i64) -> AuditDraft {
    AuditDraft::new(tenant.clone(), AuditCode::PolicyRulesInstalled, Actor::Engine, at(micros))
}

pub(crate) fn commit(tenant: &TenantId, n: u64, put: Vec<Record>) -> Commit {
    Commit {
        id: id(n),
        tenant: tenant.clone(),
        expect: Vec::new(),
        fence: Vec::new(),
        put,
        audit: Vec::new(),
    }
}

pub(crate) fn claim(nonce: u64, max: usize, until: i64) -> Claim {
    Claim {
        worker: "w1".parse().unwrap(),
        nonce: id(nonce),
        channels: None,
        max,
        until: at(until),
        lease: Span::secs(60),
        after: None,
    }
}

pub(crate) fn query(tenant: &TenantId, facets: &[(Facet, &[&str])]) -> Query {
    let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
    Query {
        tenant: tenant.clone(),
        kind: Kind::Trigger,
        from: None,
        until: None,
        facets: facets.iter().map(|(facet, accepted)| (*facet, values(accepted))).collect(),
        order: Order::Newest,
        after: None,
        limit: 50,
    }
}

/// What only a later version can read, or none, is passed over by claims and timers: the tenants' records
/// are spoiled in that table, all but the last one's.
pub(crate) fn is_passed_over(store: &impl Store, table: &str, run: impl Fn(&str)) {
    let tenants = ["a", "b", "c", "d", "e"].map(tenant);
    for tenant in &tenants {
        let record = Record { due_at: Some(at(3)), ..queued(tenant, 1, "send_email", 0) };
        super::done(store.commit(&commit(tenant, 1, vec![record]))).unwrap();
    }
    let spoilt = [
        ("a", "kind = 'zone'"),
        ("b", r#"facets = '[["zone","z"]]'"#),
        ("c", "facets = 'no list'"),
        ("d", "channel = 'no channel'"),
    ];
    for (tenant, what) in spoilt {
        run(&format!("UPDATE {table} SET {what} WHERE tenant = '{tenant}'"));
    }
    let sound = [queued(&tenants[4], 1, "send_email", 0).key];
    let keys = |records: Vec<Record>| records.into_iter().map(|record| record.key).collect::<Vec<_>>();
    let page = DuePage { until: at(3), after: None, limit: 1 };
    assert_eq!(keys(super::done(store.due(&page)).unwrap()), sound);
    assert_eq!(keys(super::done(store.claim(&claim(1, 1, 2))).unwrap()), sound);
    // Whoever asks for it is told.
    let spoilt = queued(&tenants[1], 1, "send_email", 0).key;
    let told = super::done(store.load(&[spoilt]));
    assert!(matches!(told, Err(StoreError::Corrupt { .. })), "{told:?}");
}
