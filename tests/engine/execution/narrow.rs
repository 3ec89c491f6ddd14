//! A store that serves few calls at once, as a pool of connections does, and how many calls it gets.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tipstaff::*;

use crate::support::{World, at, go, id, stored, tamper};

/// Every call stands in line for a connection, and has it in hand until it is polled once more.
struct Narrow {
    inner: MemoryStore,
    free: Mutex<usize>,
    calls: Mutex<BTreeMap<&'static str, usize>>,
}

impl Narrow {
    fn new(inner: MemoryStore, connections: usize) -> Self {
        Self { inner, free: Mutex::new(connections), calls: Mutex::default() }
    }

    fn calls(&self, of: &str) -> usize {
        self.calls.lock().unwrap().get(of).copied().unwrap_or(0)
    }

    async fn served<T>(&self, of: &'static str, call: impl Future<Output = T>) -> T {
        *self.calls.lock().unwrap().entry(of).or_default() += 1;
        poll_fn(|_| {
            let mut free = self.free.lock().unwrap();
            match free.checked_sub(1) {
                Some(left) => {
                    *free = left;
                    Poll::Ready(())
                }
                None => Poll::Pending,
            }
        })
        .await;
        let mut waited = false;
        poll_fn(|_| match std::mem::replace(&mut waited, true) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
        let answer = call.await;
        *self.free.lock().unwrap() += 1;
        answer
    }
}

macro_rules! narrow {
    ($($call:ident($($name:ident: $of:ty),*) -> $answer:ty;)*) => {
        impl Store for Narrow {
            $(async fn $call(&self, $($name: $of),*) -> Result<$answer, StoreError> {
                self.served(stringify!($call), self.inner.$call($($name),*)).await
            })*
        }
    };
}

narrow! {
    load(keys: &[Key]) -> Vec<Option<Record>>;
    commit(commit: &Commit) -> Committed;
    claim(claim: &Claim) -> Vec<Record>;
    renew(renewal: &Renewal) -> Time;
    due(page: &DuePage) -> Vec<Record>;
    upcoming(ask: &Ahead) -> Upcoming;
    query(query: &Query) -> Page<Record>;
    trail(trail: &Trail) -> Vec<AuditRecord>;
    head(tenant: &TenantId, lane: u16) -> Head;
    erase(tenant: &TenantId, user: &UserId) -> u64;
    now() -> Time;
    unique() -> Salt;
}

/// Polls a call until it is over; one that stands still is polled for nothing.
fn driven<T>(call: impl Future<Output = Result<T, EngineError>>) -> T {
    let mut call = pin!(call);
    for _ in 0..10_000 {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return answer.unwrap();
        }
    }
    panic!("everybody waits for somebody who is not asked");
}

const RULES: &str = r#"[
    { "id": "tell", "trigger": { "event": { "pattern": { "do": ["tell"] } } },
      "actions": [{ "key": "a", "type": "send_chat_message", "params": { "channel": "soc", "message": "{user}" } }] },
    { "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
      "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "1h" }] },
    { "id": "later", "trigger": { "event": { "pattern": { "do": ["later"] } } },
      "actions": [{ "key": "a", "type": "create_ticket", "delay": "5m", "params": { "queue": "soc", "title": "{user}" } }] } ]"#;

fn crowd(what: &str, size: usize) -> World {
    let world = World::new(RULES);
    let payload = format!(r#"{{"do": "{what}"}}"#);
    for n in 0..size {
        world.submit(world.event(&format!("s{n}"), &format!("u{n}"), at(0), &payload), at(0));
    }
    world
}

fn engine(world: &World, connections: usize, most: usize) -> (Engine, Arc<Narrow>) {
    let rules = RuleSet::from_json(RULES).unwrap();
    let store = Arc::new(Narrow::new(world.store.clone(), connections));
    (Engine::new(Arc::clone(&store), world.target.clone(), rules).claim_up_to(most), store)
}

#[test]
fn a_batch_is_carried_out_however_few_calls_the_store_serves_at_once() {
    for (what, connections) in [("tell", 1), ("tell", 2), ("tell", 8), ("lock", 1), ("lock", 8)] {
        let world = crowd(what, 20);
        let report = driven(engine(&world, connections, 20).0.run_due(at(1)));
        assert_eq!((report.attempts, report.succeeded), (20, 20), "{what}, {connections} connections");
        world.verified();
    }
}

#[test]
fn deliveries_of_a_batch_ask_the_store_together() {
    let world = crowd("tell", 50);
    let (engine, store) = engine(&world, 8, 50);
    assert_eq!(driven(engine.run_due(at(1))).succeeded, 50);
    assert!(store.calls("load") < 20, "{} reads", store.calls("load"));
    assert!(store.calls("now") < 10, "{} looks at the clock", store.calls("now"));
    assert!(store.calls("commit") < 20, "{} commits", store.calls("commit"));
    assert_eq!(world.target.all().len(), 50, "each once");
}

#[test]
fn timers_of_a_page_are_stepped_in_one_commit() {
    let world = crowd("later", 90);
    let (engine, store) = engine(&world, 8, 90);
    assert_eq!(driven(engine.run_due(at(4))).timers, 0, "not before their time");
    let report = driven(engine.run_due(at(6)));
    assert_eq!((report.timers, report.succeeded), (90, 90));
    assert!(store.calls("commit") < 20, "{} commits", store.calls("commit"));
    assert_eq!(world.count("ENFORCEMENT_SUCCEEDED"), 90);
    world.verified();
}

#[test]
fn a_record_that_cannot_be_stepped_holds_up_none_of_its_page() {
    let world = crowd("later", 10);
    let record = stored(&world.store, Kind::Enforcement, world.log()[4].id).unwrap();
    let key = record.key.clone();
    tamper(&world.store, record, "7", |body| body["state"] = serde_json::json!("nonsense"));
    let report = go(world.engine.run_due(at(6)));
    assert_eq!((report.timers, report.succeeded, report.faults.len()), (9, 9, 1));
    assert_eq!(report.faults[0].key, key);
}

#[test]
fn the_rules_of_the_tenants_served_last_are_kept_and_no_others() {
    let world = World::new("[]");
    let served = |kept: usize, tenants: &[&str]| {
        let rules = RuleSet::from_json(RULES).unwrap();
        let store = Arc::new(Narrow::new(world.store.clone(), 8));
        let engine = Engine::new(Arc::clone(&store), world.target.clone(), rules).keep_tenants(kept);
        for tenant in tenants {
            driven(engine.rules(&id(tenant), at(0)));
        }
        store.calls("query")
    };
    // The first look at a tenant writes the engine's own rules and reads them back.
    served(9, &["one", "two", "three"]);
    let once = served(9, &["one"]);
    assert_eq!(served(2, &["one", "two", "one", "two", "two", "one"]), 2 * once);
    assert_eq!(
        served(2, &["one", "two", "one", "three", "one"]),
        3 * once,
        "two went, as it was asked for first"
    );
    assert_eq!(served(2, &["one", "two", "three", "two", "one"]), 4 * once);
    assert_eq!(served(0, &["one", "one", "two"]), 2 * once, "one at least");
}
