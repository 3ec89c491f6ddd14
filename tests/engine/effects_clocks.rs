//! Stories of hosts whose clocks differ, and of those that outlive their lease: what they bring about is
//! held by whoever may hold it, and is there for certain only when it is.

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
