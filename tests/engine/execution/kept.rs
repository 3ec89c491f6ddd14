//! What a run has in hand, from its claim until the end of it is written: the lease is kept, the end is not
//! lost, and nobody is touched by whom it does not belong to any more.

use std::collections::BTreeSet;
use std::future::ready as at_once;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tipstaff::*;

use super::batches::{RULES, event, poll};
use super::doubt::{Gate, nothing_of_its_own};
use crate::support::people::Directory;
use crate::support::{World, at, content, go, id, refused, tamper, tenant};

const SESSIONS: &str = r#"{ "approvers": { "default": "sec" }, "administrators": { "keep": 1, "types": ["revoke_sessions"] }, "rules": [
    { "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } },
      "actions": [{ "key": "a", "type": "revoke_sessions", "approval": "none" }] } ] }"#;

/// A directory before whose answer something happens.
struct Asked<F> {
    inner: Directory,
    before: F,
}

impl<F: Fn() -> Result<(), PeopleError> + Send + Sync> People for Asked<F> {
    fn members<'a>(
        &'a self,
        tenant: &'a TenantId,
        group: &'a GroupId,
    ) -> Answer<'a, Result<Vec<ActorId>, PeopleError>> {
        self.inner.members(tenant, group)
    }

    fn groups<'a>(
        &'a self,
        tenant: &'a TenantId,
        actor: &'a ActorId,
    ) -> Answer<'a, Result<BTreeSet<GroupId>, PeopleError>> {
        self.inner.groups(tenant, actor)
    }

    fn administrators<'a>(
        &'a self,
        tenant: &'a TenantId,
    ) -> Answer<'a, Result<Option<Administrators>, PeopleError>> {
        match (self.before)() {
            Ok(()) => People::administrators(&self.inner, tenant),
            Err(error) => Box::pin(at_once(Err(error))),
        }
    }
}

/// A store with a clock of its own, in minutes.
fn timed(rules: &str) -> (World, Arc<AtomicI64>) {
    let clock = Arc::new(AtomicI64::new(0));
    let minutes = Arc::clone(&clock);
    let store = MemoryStore::with_clock(move || at(minutes.load(Ordering::SeqCst)));
    (World::on(store, RuleSet::from_json(rules).unwrap()), clock)
}

#[test]
fn a_page_for_an_answer_is_cut_and_uses_up_no_attempt() {
    let people = Directory::default().hire("sec", &["sam"]).administrators(&["ada", "bo"]);
    let world = World::of_people(SESSIONS, &people);
    world.submit(world.event("s1", "u1", at(0), r#"{ "do": "it" }"#), at(0));
    let page = || Err(PeopleError("<html>".repeat(2_000)));
    let engine = Engine::new(world.store.clone(), world.target.clone(), nothing_of_its_own())
        .people(Asked { inner: people.clone(), before: page });
    let report = go(engine.run_due(at(1)));
    assert!(matches!(report.faults[0].error, EngineError::People(_)), "{report:?}");
    let row = world.the("revoke_sessions");
    assert_eq!((row.attempts, row.reason()), (0, Reason::Scheduled), "it waits, and not for a lease");
    assert_eq!(world.run(at(2)).succeeded, 1);
    world.verified();
}

#[test]
fn what_has_ended_in_a_batch_keeps_its_lease_until_it_is_written() {
    let (world, clock) = timed(RULES);
    (0..4).for_each(|n| drop(world.submit(event("acme", n), at(0))));
    let engine = Arc::new(OnceLock::<Engine>::new());
    let (held, other, minutes) = (Arc::downgrade(&engine), world.another(), Arc::clone(&clock));
    // Each blocks for two minutes of a lease of three, while another thread renews.
    let blocks = move |_: &Job| {
        let now = minutes.fetch_add(2, Ordering::SeqCst) + 2;
        let renewed = go(held.upgrade().unwrap().get().unwrap().renew_held());
        assert_eq!((renewed.renewed, renewed.lost), (4, Vec::new()));
        assert_eq!(other.run(at(now)).attempts, 0, "nobody takes any of them over in minute {now}");
        Delivered::done()
    };
    let engine = engine.get_or_init(|| {
        Engine::new(world.store.clone(), blocks, nothing_of_its_own()).claim_up_to(4).lease(Span::mins(3))
    });
    let report = go(engine.run_due(at(0)));
    assert_eq!((report.attempts, report.succeeded, report.stale), (4, 4, 0));
    assert_eq!(go(engine.renew_held()), Renewals::default(), "nothing is held any more");
    assert!(world.target.all().is_empty(), "the other one has delivered nothing");
    world.verified();
}

#[test]
fn what_is_owed_keeps_its_lease_until_it_is_written() {
    let (world, clock) = timed(RULES);
    world.submit(event("acme", 1), at(0));
    let gate = Gate::before(&world.store, false, true);
    let engine = Engine::new(Arc::clone(&gate), world.target.clone(), nothing_of_its_own());
    let engine = engine.lease(Span::mins(3));
    assert!(poll(pin!(engine.run_due(at(0))).as_mut()).is_pending(), "delivered, and not written");
    for minute in 1..10 {
        clock.store(minute, Ordering::SeqCst);
        assert_eq!(go(engine.renew_held()).renewed, 1, "minute {minute}");
        assert_eq!(world.run(at(minute)).attempts, 0);
    }
    gate.open();
    assert_eq!(go(engine.run_due(at(10))).succeeded, 1);
    assert_eq!(world.target.all().len(), 1);
    world.verified();
}

#[test]
fn what_was_claimed_by_a_run_that_nobody_waits_for_is_handed_back() {
    for most in [1, 3] {
        let world = World::new(RULES);
        (0..3).for_each(|n| drop(world.submit(event("acme", n), at(0))));
        let gate = Gate::before(&world.store, true, false);
        let engine = Engine::new(Arc::clone(&gate), world.target.clone(), nothing_of_its_own());
        let engine = engine.claim_up_to(most);
        for _ in 0..20 {
            gate.shut();
            assert!(poll(pin!(engine.run_due(at(0))).as_mut()).is_pending(), "claimed, and nothing is read");
            assert!(world.target.all().is_empty());
            gate.open();
        }
        assert_eq!(go(engine.run_due(at(0))).succeeded, 3, "at once, and none has run out of attempts");
        assert!(world.log().iter().all(|row| row.attempts == 1));
        world.verified();
    }
}

/// A store in which somebody else is always faster, for as long as it is crowded.
struct Crowded {
    inner: MemoryStore,
    crowded: AtomicBool,
}

impl Store for Crowded {
    crate::pass_on! { inner: load, claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        match commit.put.first() {
            Some(put) if self.crowded.load(Ordering::SeqCst) => Err(StoreError::Conflict(put.key.clone())),
            _ => self.inner.commit(commit).await,
        }
    }
}

#[test]
fn where_answers_cannot_be_written_nothing_more_is_claimed() {
    let world = World::new(RULES);
    (0..50).for_each(|n| drop(world.submit(event("acme", n), at(0))));
    let store = Arc::new(Crowded { inner: world.store.clone(), crowded: true.into() });
    let engine = Engine::new(Arc::clone(&store), world.target.clone(), nothing_of_its_own());
    let engine = engine.claim_up_to(5).poll(Span::hours(1));
    for second in 0..10 {
        let now = at(0).after(Span::secs(second));
        let report = go(engine.run_due(now));
        assert!(matches!(report.faults[0].error, EngineError::Busy), "{report:?}");
        assert_eq!(world.target.all().len(), 5, "second {second}");
        let wakes = go(engine.next_wakeup(now));
        assert!(wakes > now && wakes <= now.after(Span::secs(2)), "it tries again soon: {wakes}");
    }
    store.crowded.store(false, Ordering::SeqCst);
    assert_eq!(go(engine.run_due(at(1))).succeeded, 50);
    assert_eq!(world.target.all().len(), 50, "each once");
    world.verified();
}

#[test]
fn whoever_is_asked_for_long_may_have_lost_the_claim_meanwhile() {
    let people = Directory::default().hire("sec", &["sam"]).administrators(&["ada", "bo"]);
    let (world, clock) = timed(SESSIONS);
    let world = World { engine: world.engine.people(people.clone()), ..world };
    world.submit(world.event("s1", "u1", at(0), r#"{ "do": "it" }"#), at(0));
    let other = World { engine: world.another().engine.people(people.clone()), ..world.another() };
    let slow = move || {
        clock.store(3, Ordering::SeqCst);
        assert_eq!(other.run(at(3)).succeeded, 1, "somebody else takes it over, and does it");
        Ok(())
    };
    let engine = Engine::new(world.store.clone(), world.target.clone(), nothing_of_its_own())
        .people(Asked { inner: people, before: slow });
    let report = go(engine.run_due(at(0)));
    assert_eq!((report.attempts, report.stale), (0, 1));
    assert_eq!(world.target.all().len(), 1, "not twice");
    world.verified();
}

#[test]
fn what_people_stop_while_others_are_asked_is_stopped() {
    let people = Directory::default().hire("sec", &["sam"]).administrators(&["ada", "bo"]);
    let world = World::of_people(SESSIONS, &people);
    world.submit(world.event("s1", "u1", at(0), r#"{ "do": "it" }"#), at(0));
    let other = world.another();
    let slow = move || {
        go(other.engine.engage_kill_switch(&other.tenant, &KillScope::Tenant, &id("olga"), "stop", at(1)));
        Ok(())
    };
    let engine = Engine::new(world.store.clone(), world.target.clone(), nothing_of_its_own())
        .people(Asked { inner: people, before: slow });
    assert_eq!(go(engine.run_due(at(0))).handed_back, 1);
    assert!(world.target.all().is_empty());
    world.verified();
}

/// A store that answers nothing for certain, and then nothing at all.
struct Doubtful {
    inner: MemoryStore,
    calls: AtomicUsize,
}

impl Store for Doubtful {
    crate::pass_on! { inner: load, claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        match self.calls.fetch_add(1, Ordering::SeqCst) {
            0 => self.inner.commit(commit).await.and(Err(StoreError::Unknown("cut off".to_owned()))),
            _ => Err(StoreError::Unavailable("it fell".to_owned())),
        }
    }
}

#[test]
fn what_may_have_been_written_is_not_said_not_to_be() {
    let world = World::new(RULES);
    world.submit(event("acme", 1), at(0));
    let store = Doubtful { inner: world.store.clone(), calls: 0.into() };
    let engine = Engine::new(store, world.target.clone(), nothing_of_its_own());
    let (olga, scope) = (id("olga"), KillScope::Tenant);
    let told = refused(engine.engage_kill_switch(&world.tenant, &scope, &olga, "stop", at(1)));
    assert!(matches!(told, EngineError::Store(StoreError::Unknown(_))), "{told}");
    assert!(world.run(at(2)).is_idle(), "it is engaged");
}

const LOCKS: &str = r#"[ { "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": "none" }] } ]"#;

#[test]
fn an_answer_that_damage_stands_against_is_written_when_that_is_mended() {
    let people = Directory::default().administrators(&["ada", "bo"]);
    let world = World::of_people(LOCKS, &people);
    world.submit(world.event("s1", "u1", at(0), r#"{ "do": "it" }"#), at(0));
    let effect = |store: &MemoryStore| {
        let texts = content(store, &tenant());
        let mut records = texts.iter().filter_map(|text| serde_json::from_str::<Record>(text).ok());
        records.find(|record| record.key.kind == Kind::Effect).unwrap()
    };
    let (store, delivered) = (world.store.clone(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&delivered);
    let damages = move |job: &Job| {
        if job.action.as_str() == "lock_account" {
            count.fetch_add(1, Ordering::SeqCst);
            tamper(&store, effect(&store), "1", |body| body["turn"] = "?".into());
        }
        Delivered::done()
    };
    let engine = Engine::new(world.store.clone(), damages, nothing_of_its_own()).people(people);
    for _ in 0..2 {
        let report = go(engine.run_due(at(0)));
        assert!(
            matches!(report.faults[0].error, EngineError::Store(StoreError::Corrupt { .. })),
            "{report:?}"
        );
    }
    tamper(&world.store, effect(&world.store), "2", |body| body["turn"] = serde_json::Value::Null);
    assert!(go(engine.run_due(at(0))).faults.is_empty());
    assert_eq!(world.reason("lock_account"), "done");
    assert_eq!(delivered.load(Ordering::SeqCst), 1);
    world.verified();
}

#[test]
fn each_process_has_a_name_of_its_own() {
    let world = World::new(RULES);
    for n in 0..3 {
        world.submit(event("acme", n), at(0));
        assert_eq!(world.another().run(at(0)).succeeded, 1);
    }
    let names: BTreeSet<_> = world.log().iter().map(|row| row.history[0].worker.to_string()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}
