//! A stored record that makes no sense holds up nothing else, and is reported at every run.

use tipstaff::{
    CommitId, Delivered, Engine, Event, Filter, Job, Key, Kind, MemoryStore, Queue, Record, RuleSet, Status,
    Store, TenantId, Time, UserId, ready,
};

#[test]
fn a_poisoned_record_holds_up_nothing_else() {
    let rules = r#"{"id":"r","trigger":{"event":{"pattern":{"a":[1]}}},
        "actions":[{"key":"a","type":"self_policing","params":{"template":"t"}}]}"#;
    let store = MemoryStore::default();
    let engine =
        Engine::new(store.clone(), |_: &Job| Delivered::done(), RuleSet::from_json(rules).expect("a rule"));
    let tenant: TenantId = "acme".parse().expect("an id");
    let user: UserId = "u-1".parse().expect("an id");
    let now: Time = "2026-03-02T09:00:00Z".parse().expect("a time");

    let key = Key::new(&tenant, Kind::Enforcement, "enf_poison");
    let queue = Some(Queue { channel: "self_policing".parse().expect("a name"), ready_at: Time::MIN });
    let poison = Record {
        key: key.clone(),
        version: 0,
        at: now,
        due_at: None,
        queue,
        lease: None,
        token: 0,
        facets: Vec::new(),
        body: "{\"v\":1}".to_owned(),
    };
    let id: CommitId = format!("cmt_{}", "0".repeat(32)).parse().expect("an id");
    let commit = tipstaff::Commit {
        id,
        tenant: tenant.clone(),
        expect: Vec::new(),
        fence: Vec::new(),
        put: vec![poison],
        audit: Vec::new(),
    };
    ready(store.commit(&commit)).expect("memory never waits").expect("it is written");

    let event = Event::new(tenant.clone(), "e1", "web", user, now, r#"{"a":1}"#).expect("an event");
    ready(engine.submit(event, now)).expect("memory never waits").expect("decided");
    let report = ready(engine.run_due(now)).expect("memory never waits").expect("it runs");
    assert_eq!(report.succeeded, 1, "the sound one is delivered");
    let faults: Vec<_> = report.faults.iter().map(|fault| &fault.key).collect();
    assert_eq!(faults, [&key], "the other is reported");
    let filter = Filter::new(&tenant).status(Status::Succeeded);
    assert_eq!(
        ready(engine.enforcements(filter)).expect("memory never waits").expect("a page").rows.len(),
        1
    );
}
