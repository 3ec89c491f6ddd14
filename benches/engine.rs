//! What one signal costs from its submission to its commit on the reference store: singly, and in
//! groups of 100 and 1,000; beside the same commits written as they are (the same bytes in the same
//! number of transactions), which is the store's own share.

use std::hint::black_box;
use std::sync::{Arc, Mutex};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tipstaff::{
    Commit, Committed, Delivered, Engine, Event, Job, MemoryStore, RuleSet, Signal, Store, StoreError,
    TenantId, Time, UserId, ready,
};

#[path = "../tests/support/pass_on.rs"]
mod pass_on;

const RULES: &str = r#"{ "rules": [
  { "id": "mfa-off",
    "trigger": { "event": { "sources": ["okta"], "pattern": { "eventType": ["user.mfa.factor.deactivate"] } } },
    "actions": [ { "key": "ticket", "type": "create_ticket", "params": { "queue": "soc", "title": "{event.eventType}" } } ] } ] }"#;

/// A store that remembers what was committed.
struct Recording {
    inner: MemoryStore,
    commits: Mutex<Vec<Commit>>,
}

impl Store for Recording {
    crate::pass_on! { inner: load, claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        self.commits.lock().expect("nobody panics with it").push(commit.clone());
        self.inner.commit(commit).await
    }
}

fn done<T>(call: impl Future<Output = Result<T, impl std::fmt::Debug>>) -> T {
    ready(call).expect("the store never waits").expect("the call succeeds")
}

fn signals(count: usize) -> Vec<Signal> {
    let at: Time = "2026-03-02T09:00:00Z".parse().expect("a time");
    let tenant: TenantId = "acme".parse().expect("an id");
    let event = |n: usize| {
        let user: UserId = format!("user-{}", n % 10_000).parse().expect("an id");
        let payload = format!(
            r#"{{"eventType":"user.mfa.factor.deactivate","uuid":"{n:032x}","severity":"WARN",
            "client":{{"ipAddress":"192.0.2.14","geographicalContext":{{"country":"US","city":"Dayton"}},
            "userAgent":{{"rawUserAgent":"Mozilla/5.0 (X11; Linux x86_64)"}},"zone":"OFF_NETWORK"}},
            "outcome":{{"result":"SUCCESS"}},"published":"2026-03-02T08:59:58Z"}}"#
        );
        Event::new(tenant.clone(), &format!("evt-{n}"), "okta", user, at, payload).expect("an event").into()
    };
    (0..count).map(event).collect()
}

fn engine(store: impl Store + 'static) -> Engine {
    let engine = Engine::new(
        store,
        |_: &Job| Delivered::done(),
        RuleSet::from_json(RULES).expect("the rules are right"),
    );
    // The rules are in the store before anything is measured.
    done(engine.rules(&"acme".parse().expect("an id"), Time::EPOCH));
    engine
}

fn submit(engine: &Engine, signals: Vec<Signal>, group: usize) -> usize {
    let now: Time = "2026-03-02T09:00:01Z".parse().expect("a time");
    let mut signals = signals.into_iter();
    let mut decided = 0;
    loop {
        let next: Vec<Signal> = signals.by_ref().take(group).collect();
        match next.len() {
            0 => return decided,
            1 => {
                for signal in next {
                    done(engine.submit(signal, now));
                    decided += 1;
                }
            }
            _ => {
                let answers = ready(engine.submit_all(next, now)).expect("the store never waits");
                decided += answers.iter().filter(|answer| answer.is_ok()).count();
            }
        }
    }
}

/// What those signals commit, and a store that has the rules alone.
fn commits(count: usize, group: usize) -> (Vec<Commit>, Vec<Commit>) {
    let store = Arc::new(Recording { inner: MemoryStore::default(), commits: Mutex::default() });
    let engine = engine(Arc::clone(&store));
    let rules = std::mem::take(&mut *store.commits.lock().expect("nobody panics with it"));
    assert_eq!(submit(&engine, signals(count), group), count);
    let made = std::mem::take(&mut *store.commits.lock().expect("nobody panics with it"));
    (rules, made)
}

fn write(store: &MemoryStore, commits: &[Commit]) {
    for commit in commits {
        assert_eq!(done(store.commit(black_box(commit))), Committed::Applied);
    }
}

fn bench(c: &mut Criterion) {
    let mut bench = c.benchmark_group("submit");
    bench.sample_size(20);
    for (group, count) in [(1, 1_000), (100, 1_000), (1_000, 1_000)] {
        bench.throughput(Throughput::Elements(count as u64));
        bench.bench_with_input(BenchmarkId::new("engine", group), &group, |b, group| {
            b.iter_batched(
                || (engine(MemoryStore::default()), signals(count)),
                |(engine, signals)| assert_eq!(submit(&engine, signals, *group), count),
                BatchSize::PerIteration,
            );
        });
        let (rules, made) = commits(count, group);
        let bytes: usize = made.iter().flat_map(|commit| &commit.put).map(|record| record.body.len()).sum();
        let rows: usize = made.iter().map(|commit| commit.put.len() + commit.audit.len()).sum();
        println!(
            "groups of {group}: {} transactions, {rows} rows, {bytes} bytes of bodies for {count} signals",
            made.len()
        );
        bench.bench_with_input(BenchmarkId::new("the same commits", group), &made, |b, made| {
            b.iter_batched(
                || {
                    let store = MemoryStore::default();
                    write(&store, &rules);
                    store
                },
                |store| write(&store, made),
                BatchSize::PerIteration,
            );
        });
    }
    bench.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
