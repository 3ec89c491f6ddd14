//! The kill switch: after it returns no new claim is made, and what is under way is told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread;

use super::{LOCK, TELL, document, event, rule, told};
use crate::support::{Frail, Target, World, at, go, id};
use tipstaff::*;

/// Records claimed by a worker who never comes back, as they are in the middle of a delivery.
fn claimed(world: &World, most: usize) -> Vec<Record> {
    let claim = Claim {
        worker: id("w-lost"),
        nonce: crate::support::commit_id("c1"),
        channels: None,
        max: most,
        until: at(1),
        lease: Span::mins(5),
        after: None,
    };
    go(world.store.claim(&claim))
}

fn busy() -> World {
    let world = World::new(&document("", &[rule("one", LOCK, ""), rule("two", TELL, "")]));
    event(&world, "a", "ana", "one", 0);
    event(&world, "b", "bea", "two", 0);
    event(&world, "c", "cleo", "two", 0);
    // Whoever takes up what was lost asks the target first.
    world.target.knows("escalate_to_hr", Probe::NotDone);
    world
}

#[test]
fn what_is_in_flight_in_a_scope_is_told() {
    let both = ["escalate_to_hr", "escalate_to_hr", "lock_account"];
    let cases = [
        (KillScope::Tenant, &both[..]),
        (KillScope::Global, &both[..]),
        (KillScope::Rule(id("two")), &both[..2]),
        (KillScope::Rule(id("none")), &[]),
        (KillScope::Type(id("lock_account")), &both[2..]),
    ];
    for (scope, wanted) in cases {
        let world = busy();
        assert_eq!(claimed(&world, 9).len(), 3);
        let flying = go(world.engine.engage_kill_switch(&world.tenant, &scope, &id("olga"), "stop", at(1)));
        let mut actions: Vec<_> = flying.iter().map(|row| row.action.as_str()).collect();
        actions.sort_unstable();
        assert_eq!(actions, wanted, "{scope}");
        for row in &flying {
            assert_eq!((row.worker.as_str(), row.attempt, row.rules.len()), ("w-lost", 1, 1));
            assert!(row.lease_until.is_some());
        }
        // The lease runs out, and nothing of the scope is taken up again.
        let stopped = |job: &Job| scope.covers(job.holders.iter().map(|holder| &holder.rule), &job.action);
        world.run(at(10));
        assert!(!world.target.all().iter().any(stopped), "{scope}");
        go(world.engine.release_kill_switch(&world.tenant, &scope, &id("olga"), "go on", at(11)));
        world.run(at(12));
        assert_eq!(world.target.all().len(), 3, "{scope}");
        world.verified();
    }
}

#[test]
fn undo_and_notices_pass() {
    let ask = LOCK.replace(r#""none""#, "{}");
    let world = World::new(&document("", &[rule("one", LOCK, ""), rule("ask", &ask, "")]));
    event(&world, "a", "ana", "one", 0);
    world.run(at(1));
    event(&world, "b", "bea", "ask", 2);
    let flying =
        go(world.engine.engage_kill_switch(&world.tenant, &KillScope::Tenant, &id("olga"), "stop", at(3)));
    assert!(flying.is_empty());
    world.run(at(40));
    assert_eq!(world.reason("unlock_account"), "done", "the half hour is over, and it is taken back");
    assert_eq!(world.target.jobs("approval_notice").len(), 2, "people hear of what waits");
}

#[test]
fn everywhere_means_every_tenant_and_survives_a_fall_on_the_way() {
    let world = World::new(&document("", &[rule("r", TELL, "")]));
    let tenants: Vec<TenantId> = ["a", "b", "c", "d"].map(id).to_vec();
    let told_of = |tenant: &TenantId, n: &str| {
        let event = Event::new(tenant.clone(), n, "okta", id::<UserId>("ana"), at(0), r#"{ "do": "r" }"#);
        told(&world.submit(event.unwrap(), at(0)))
    };
    for tenant in &tenants {
        assert_eq!(told_of(tenant, "before"), ["made"]);
    }
    // One of them had been stopped for itself.
    go(world.engine.engage_kill_switch(&tenants[1], &KillScope::Tenant, &id("olga"), "an audit", at(1)));
    for commits in 0..=3 {
        let store = Frail::new(world.store.clone(), commits);
        let frail = Engine::new(store, Target::default(), RuleSet::from_json("[]").unwrap());
        let fell = ready(frail.engage_everywhere(tenants.clone(), &id("olga"), "a breach", at(2))).unwrap();
        // The first goes as far as it comes; each of the next, whatever it finds done, goes further.
        let stopped = |tenant: &TenantId| go(world.engine.control(tenant)).global.is_some();
        let reached = tenants.iter().filter(|tenant| stopped(tenant)).count();
        assert_eq!((reached, fell.is_ok()), ([0, 1, 3, 4][commits], commits == 3));
    }
    for tenant in &tenants {
        assert_eq!(told_of(tenant, "after"), ["kill_switch"]);
        let engaged = go(world.engine.audit(tenant, 0, MAX_PAGE)).into_iter();
        let engaged = engaged.filter(|row| {
            row.code == "POLICY_KILL_SWITCH_ENGAGED" && row.target.as_deref() == Some("global")
        });
        assert_eq!(engaged.count(), 1, "what is repeated is logged once");
    }
    world.run(at(3));
    assert_eq!(world.target.all().len(), 0);
    go(world.engine.release_everywhere(tenants.clone(), &id("olga"), "over", at(4)));
    let after: Vec<_> = tenants.iter().map(|tenant| told_of(tenant, "released")).collect();
    assert_eq!(after, [["made"], ["kill_switch"], ["made"], ["made"]], "its own switch is engaged still");
}

/// A delivery that keeps the keys that reach it, in their order.
#[derive(Clone, Default)]
struct Reached(Arc<Mutex<Vec<EnforcementId>>>);

impl Reached {
    fn keys(&self) -> Vec<EnforcementId> {
        self.0.lock().unwrap().clone()
    }
}

impl Delivery for Reached {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        None
    }
    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        self.0.lock().unwrap().push(job.key);
        Box::pin(std::future::ready(Delivered::done()))
    }
    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}

#[test]
fn after_it_returns_nobody_claims_anything_new() {
    let world = World::new(&document("", &[rule("r", TELL, "")]));
    for n in 0..300 {
        event(&world, &format!("s{n}"), "ana", "r", 0);
    }
    let reached = Reached::default();
    let work = || {
        let engine = Engine::new(world.store.clone(), reached.clone(), RuleSet::from_json("[]").unwrap());
        loop {
            go(engine.run_due(at(1)));
            if go(engine.control(&world.tenant)).tenant.is_some() {
                break;
            }
        }
    };
    thread::scope(|scope| {
        let hosts: Vec<_> = (0..3).map(|_| scope.spawn(work)).collect();
        while reached.keys().len() < 30 {
            thread::yield_now();
        }
        let (all, olga) = (KillScope::Tenant, id("olga"));
        let flying = go(world.engine.engage_kill_switch(&world.tenant, &all, &olga, "stop", at(1)));
        let before = reached.keys().len();
        let claims = || world.trail().iter().filter(|row| row.code == "ENFORCEMENT_CLAIMED").count();
        let claimed = claims();
        hosts.into_iter().for_each(|host| host.join().unwrap());
        assert_eq!(claims(), claimed, "none was claimed after it returned");
        // Whatever still reached the target was on the list.
        let listed: BTreeSet<_> = flying.iter().map(|row| row.enforcement).collect();
        assert!(reached.keys()[before..].iter().all(|key| listed.contains(key)), "{flying:?}");
    });
    assert!(go(world.engine.in_flight(&world.tenant, &KillScope::Tenant)).is_empty());
}

#[test]
fn what_takes_an_action_back_that_restricts_nobody_passes_as_well() {
    let types = r#""types": [{ "name": "open_case", "category": "integration",
            "restricts": false, "approval": false, "inverse": "close_case" },
        { "name": "close_case", "category": "integration", "restricts": false, "approval": false }],"#;
    let world = World::new(&document(types, &[rule("r", r#"{ "key": "a", "type": "open_case" }"#, "")]));
    event(&world, "a", "ana", "r", 0);
    world.run(at(1));
    let opened = world.the("open_case").id;
    go(world.engine.engage_kill_switch(&world.tenant, &KillScope::Tenant, &id("olga"), "stop", at(2)));
    go(world.engine.judge(&world.tenant, opened, Finding::FalsePositive, &id("olga"), None, at(3)));
    world.run(at(4));
    let closed = world.the("close_case");
    assert_eq!((closed.reason(), closed.purpose), (Reason::Done, Purpose::Reversal { of: opened }));
    assert_eq!(told(&event(&world, "b", "bea", "r", 5)), ["kill_switch"]);
    world.verified();
}
