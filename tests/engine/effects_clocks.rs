//! Stories of hosts whose clocks differ, and of those that outlive their lease: what they bring about is
//! held by whoever may hold it, and is there for certain only when it is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::effects_guards::{Lands, Meanwhile, done, event, exempt, lock, slow, the_effect};
use crate::support::{World, at, go, id};
use tipstaff::*;

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

#[test]
fn a_sweep_lets_go_of_what_a_faster_clock_brought_about() {
    for how in ["inactive", "shadow", "exempt", "exempt by attribute"] {
        let world = World::new(&format!("[{}]", lock("open", "")));
        go(world.engine.describe(
            &world.tenant,
            &id("ana"),
            Some(&Payload::new(r#"{ "is": "ana" }"#).unwrap()),
            at(0),
        ));
        event(&world, "s1", "open", 0);
        // The clock of the host that carries it out is ten minutes ahead.
        world.another().run(at(10));
        let olga: ActorId = id("olga");
        match how {
            "inactive" => go(world.engine.deactivate(&world.tenant, &id("open"), &olga, at(1))),
            "shadow" => {
                let shadow = lock("open", "").replacen('{', r#"{ "mode": "shadow","#, 1);
                let set = RuleSet::from_json(&shadow).unwrap();
                drop(go(world.engine.add_rules(&world.tenant, &set, &Actor::Host, at(1))));
            }
            "exempt" => drop(exempt(&world, "all", None, 1)),
            _ => {
                let (who, all) = (Pattern::parse(r#"{ "is": ["ana"] }"#).unwrap(), ExemptionScope::All);
                drop(go(world.engine.exempt_where(&world.tenant, &who, &all, None, &olga, "x", at(1))));
            }
        }
        world.run(at(2));
        assert_eq!(done(&world), ["lock_account", "unlock_account"], "{how}");
        assert_eq!(the_effect(&world).status(), EffectStatus::Clear, "{how}");
        world.verified();
    }
}

#[test]
fn an_exemption_calls_off_what_a_faster_clock_asked_for() {
    let world = World::new(&format!("[{}]", lock("slow", r#", "delay": "1h""#)));
    let payload = r#"{ "do": "slow" }"#;
    world.submit(world.event("s1", "ana", at(0), payload), at(10));
    exempt(&world, "all", Some(30), 1);
    world.run(at(2));
    assert_eq!(world.reason("lock_account"), "cancelled");
    world.run(at(DAY));
    assert!(done(&world).is_empty());
    world.verified();
}

#[test]
fn what_a_rule_asks_for_that_acts_again_stays() {
    for how in ["inactive", "exempt", "by hand"] {
        let event_trigger = r#"{ "event": { "pattern": { "do": ["open", "all"] } } }"#;
        let trigger = if how == "by hand" { r#"{ "manual": {} }"# } else { event_trigger };
        let rule = lock("open", "").replace(event_trigger, trigger);
        let world = World::new(&format!("[{rule}]"));
        let others = world.another();
        // What begins and ends it comes while the lock is delivered; the sweep comes when that is there.
        let between: Meanwhile = Box::new(move || {
            let (olga, open) = (id("olga"), id("open"));
            match how {
                "exempt" => drop(exempt(&others, "all", Some(2), 1)),
                _ => {
                    go(others.engine.deactivate(&others.tenant, &open, &olga, at(1)));
                    go(others.engine.activate(&others.tenant, &open, &olga, at(2)));
                }
            }
            if how == "by hand" {
                let set = RuleSet::from_json(&rule.replacen('{', r#"{ "mode": "shadow","#, 1)).unwrap();
                go(others.engine.add_rules(&others.tenant, &set, &Actor::Host, at(3)));
            }
        });
        match how {
            "by hand" => {
                let order = world.order("m1", "olga", "ana", ManualOrder::Rule(id("open")));
                world.submit(order, at(0));
            }
            _ => drop(event(&world, "s1", "open", 0)),
        }
        let landed: Arc<Mutex<Vec<String>>> = Arc::default();
        let slow = slow(&world, &landed, between, Lands::Before);
        go(slow.engine.run_due(at(5)));
        world.run(at(6));
        assert_eq!(the_effect(&world).holders().len(), 1, "{how}");
        assert_eq!(*landed.lock().unwrap(), ["lock_account"], "{how}");
        assert!(done(&world).is_empty(), "{how}");
        world.verified();
    }
}

/// Carries out what comes by these channels, and answers as it is told.
struct Carries(&'static str, World);

impl Delivery for Carries {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        Some([id(self.0)].into())
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        self.1.target.deliver(job)
    }

    fn probe<'a>(&'a self, job: &'a Job) -> Answer<'a, Probe> {
        self.1.target.probe(job)
    }
}

#[test]
fn what_crossed_is_no_reason_to_leave_it_until_it_is_put_back() {
    let rule = |name: &str, more: &str| {
        format!(
            r#"{{ "id": "{name}", "trigger": {{ "event": {{ "pattern": {{ "do": ["{name}"] }} }} }},
                "actions": [{{ "key": "take", "type": "take_badge" {more} }}] }}"#
        )
    };
    let rules = format!(
        r#"{{ "types": [
            {{ "name": "take_badge", "category": "access_control", "approval": false, "inverse": "give_badge", "retry": "keyed" }},
            {{ "name": "give_badge", "category": "access_control", "approval": false, "restricts": false, "retry": "keyed" }} ],
          "rules": [{}, {}, {}] }}"#,
        rule("hour", r#", "for": "1h""#),
        rule("day", r#", "for": "24h""#),
        rule("late", "")
    );
    // Who outlives its lease, and what the others can carry meanwhile.
    for (crossing, others_carry) in [
        ("an undo that another took over", None),
        ("an undo", Some("take_badge")),
        ("a lock", Some("give_badge")),
    ] {
        for put_back in [false, true] {
            let case = format!("{crossing}, put back: {put_back}");
            let clock = Arc::new(Mutex::new(at(0)));
            let reads = Arc::clone(&clock);
            let store = MemoryStore::with_clock(move || *reads.lock().unwrap());
            let world = World::on(store, RuleSet::from_json(&rules).unwrap());
            event(&world, "s1", "hour", 0);
            world.run(at(0));
            *clock.lock().unwrap() = at(HOUR);
            let lock_is_slow = crossing == "a lock";
            if lock_is_slow {
                world.target.answers("give_badge", [Delivered::retry("busy")]);
                world.run(at(HOUR));
                event(&world, "s2", "day", HOUR);
            }
            let none = || RuleSet::from_json("[]").unwrap();
            let engine = match others_carry {
                Some(channel) => Engine::new(world.store.clone(), Carries(channel, world.another()), none()),
                None => world.another().engine,
            };
            let (tick, submits) = (Arc::clone(&clock), world.another());
            let meanwhile: Meanwhile = Box::new(move || {
                *tick.lock().unwrap() = at(HOUR + 10);
                if !lock_is_slow {
                    event(&submits, "s2", "day", HOUR);
                }
                go(engine.run_due(at(HOUR + 10)));
            });
            let once = Mutex::new(Some(meanwhile));
            let slow = move |_: &Job| {
                let first = once.lock().unwrap().take();
                match first {
                    Some(others) => {
                        others();
                        Delivered::done()
                    }
                    None if put_back => Delivered::done(),
                    None => Delivered::permanent("the door is shut"),
                }
            };
            go(Engine::new(world.store.clone(), slow, none()).run_due(at(HOUR)));
            let log = world.log();
            let restored = log.iter().find(|row| matches!(row.purpose, Purpose::Restore { .. }));
            let restored = restored.unwrap_or_else(|| panic!("{case}: {log:#?}"));
            let ended = if put_back { Reason::Done } else { Reason::PermanentError };
            assert_eq!(restored.reason(), ended, "{case}");
            assert_eq!(the_effect(&world).status(), EffectStatus::Standing, "{case}");
            // Nobody put it back: who wants it now has it brought about.
            let before = world.target.jobs("take_badge").len();
            event(&world, "s3", "late", HOUR + 20);
            *clock.lock().unwrap() = at(HOUR + 20);
            world.run(at(HOUR + 20));
            let told = world.target.jobs("take_badge").len() - before;
            assert_eq!(told, usize::from(!put_back), "{case}");
            world.verified();
        }
    }
}
