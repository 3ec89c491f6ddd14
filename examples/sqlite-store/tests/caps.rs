//! Several hosts on one file at once: no cap is exceeded, whoever decides first, and a place that is
//! given back is taken once.
#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::path::Path;
use std::thread;

use tipstaff::{
    Decision, Delivered, Effect, Enforcement, Engine, EngineError, Event, Filter, Job, MAX_PAGE, RuleSet,
    Status, StoreError, TenantId, Time, UserId, ready,
};
use tipstaff_sqlite::SqliteStore;

const HOSTS: usize = 3;
const EVENTS: usize = 24;

const RULES: &str = r#"{ "approvers": { "default": "security", "groups": { "security": ["bo"] } },
  "caps": [{ "count": 9, "in": "1h", "on_exceed": "suppress" }],
  "rules": [{ "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
    "actions": [{ "key": "lock", "type": "lock_account" }],
    "guards": { "cap": { "count": 2, "in": "1h", "per": "subject", "on_exceed": "suppress" } } }] }"#;

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn now() -> Time {
    "2026-03-02T12:10:00Z".parse().unwrap()
}

fn host(path: &Path) -> Engine {
    let carried = |_: &Job| Delivered::done();
    Engine::new(SqliteStore::open(path).unwrap(), carried, RuleSet::from_json(RULES).unwrap())
}

/// The answer of a call that is repeated while others are too busy.
fn until_done<T>(mut call: impl FnMut() -> Result<T, EngineError>) -> T {
    loop {
        match call() {
            Err(EngineError::Busy | EngineError::Store(StoreError::Unavailable(_))) => thread::yield_now(),
            answer => return answer.unwrap(),
        }
    }
}

fn made(decision: &Decision) -> bool {
    decision.outcomes.iter().any(|outcome| matches!(outcome.effect, Effect::Created { .. }))
}

fn waiting(path: &Path) -> Vec<Enforcement> {
    let filter = Filter::new(&acme()).status(Status::Pending).limit(MAX_PAGE);
    let engine = host(path);
    until_done(|| ready(engine.enforcements(filter.clone())).unwrap()).rows
}

#[test]
fn caps_hold_over_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let first = host(&path);
    until_done(|| ready(first.rules(&acme(), now())).unwrap());
    let work = |n: usize| {
        let engine = host(&path);
        for i in 0..EVENTS {
            let user: UserId = format!("u{}", i / 2 % 6).parse().unwrap();
            let event =
                Event::new(acme(), &format!("h{n}-{i}"), "okta", user, now(), r#"{ "do": "lock" }"#).unwrap();
            let decision = until_done(|| ready(engine.submit(event.clone(), now())).unwrap());
            // Every other one is called off at once, and its place may be taken again.
            let Some(id) = decision.enforcements().next().filter(|_| made(&decision) && i % 2 == 0) else {
                continue;
            };
            let olga = "olga".parse().unwrap();
            until_done(|| ready(engine.cancel(&acme(), id, &olga, "a drill", now())).unwrap());
        }
    };
    thread::scope(|scope| {
        for n in 0..HOSTS {
            scope.spawn(move || work(n));
        }
    });
    let waiting = waiting(&path);
    assert_eq!(waiting.len(), 9, "in the end every place is taken, and none twice");
    for n in 0..6 {
        let user = format!("u{n}");
        let of = waiting.iter().filter(|row| row.subject.user.as_str() == user).count();
        assert!(of <= 2, "{user}: {of}");
    }
    assert!(waiting.iter().all(|row| row.reserved.len() == 2), "one of the rule's cap, one of the tenant's");
    until_done(|| ready(first.verify_audit(&acme(), None)).unwrap()).expect("the chain is whole");
}
