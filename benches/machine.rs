//! One step of the state machine of an enforcement: the bare state, and the record with its audit
//! drafts. Beside them, the SHA-256 of 64 bytes as a yardstick.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sha2::{Digest as _, Sha256};
use tipstaff::{
    Actor, Delivered, Engine, Event, Filter, Input, Job, MemoryStore, Outcome, RuleSet, Time, UserId,
    WorkerId, ready,
};

fn bench(c: &mut Criterion) {
    let rules = r#"{"id":"r","trigger":{"event":{"pattern":{"a":[1]}}},"actions":[{"key":"a","type":"self_policing","params":{"template":"t"}}]}"#;
    let rules = RuleSet::from_json(rules).expect("the rule is right");
    let engine = Engine::new(MemoryStore::default(), |_: &Job| Delivered::done(), rules);
    let at: Time = "2026-03-02T09:00:00Z".parse().expect("a time");
    let (tenant, user): (_, UserId) = ("acme".parse().expect("an id"), "ana".parse().expect("an id"));
    let event = Event::new(tenant, "evt-1", "okta", user, at, r#"{"a":1}"#).expect("an event");
    let tenant = event.tenant.clone();
    ready(engine.submit(event, at)).expect("memory never waits").expect("it can be decided");
    let rows = ready(engine.enforcements(Filter::new(&tenant))).expect("memory never waits").expect("a page");
    let queued = rows.into_iter().next().expect("one enforcement");
    let worker: WorkerId = "w".parse().expect("an id");
    let claim = Input::Claim { token: 1, worker: worker.clone(), at };
    let running = queued.step(&claim, Actor::Worker(worker.clone()), at).expect("it is queued").0;
    let settle = Input::Settle { token: 1, outcome: Outcome::Done };

    let mut group = c.benchmark_group("machine");
    group
        .bench_function("state", |b| b.iter(|| running.state.step(black_box(&settle), &running.terms(), at)));
    group.bench_function("record and audit drafts", |b| {
        b.iter(|| running.step(black_box(&settle), Actor::Worker(worker.clone()), at));
    });
    group.bench_function("SHA-256 of 64 bytes", |b| b.iter(|| Sha256::digest(black_box([7_u8; 64]))));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
