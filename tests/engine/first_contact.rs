//! A tenant begins with the first thing that concerns its rules: what is refused, or concerns nobody, leaves no
//! trace, so that a name that is misspelt becomes no tenant.

use crate::support::{World, at, content, go, id, refused};
use tipstaff::*;

const RULES: &str = r#"[
    { "id": "tell", "trigger": { "event": { "pattern": { "do": ["tell"] } } },
      "actions": [{ "key": "a", "type": "send_chat_message", "params": { "channel": "soc", "message": "{user}" } }] },
    { "id": "red", "trigger": { "score": { "scale": "default", "enters": ["red"] } },
      "actions": [{ "key": "a", "type": "escalate_to_hr" }] } ]"#;
const WEEKLY: &str = r#"[
    { "id": "weekly", "trigger": { "schedule": { "cron": "0 9 * * MON", "zone": "UTC", "audience": "all" } },
      "actions": [{ "key": "a", "type": "assign_training", "params": { "course": "c" } }] } ]"#;

fn is_unknown(world: &World) -> bool {
    content(&world.store, &world.tenant).is_empty()
}

#[test]
fn what_concerns_nobody_makes_no_tenant() {
    let world = World::new(RULES);
    let other = |n: usize| world.event(&format!("s{n}"), "ana", at(0), r#"{ "do": "nothing" }"#);
    let decision = world.submit(other(1), at(0));
    assert!(decision.outcomes.is_empty() && is_unknown(&world), "{decision}");
    let many = ready(world.engine.submit_all((2..50).map(|n| other(n).into()), at(0))).unwrap();
    assert!(many.iter().all(|one| one.as_ref().is_ok_and(|one| one.outcomes.is_empty())));
    assert!(is_unknown(&world));
    let tell = world.event("s50", "ana", at(1), r#"{ "do": "tell" }"#);
    assert_eq!(world.submit(tell, at(1)).outcomes.len(), 1, "and then it begins");
    assert_eq!(world.count("POLICY_RULE_ADDED"), 2);
    assert_eq!(world.run(at(1)).succeeded, 1);
    world.verified();
}

#[test]
fn what_is_refused_makes_no_tenant() {
    let world = World::new(RULES);
    let unknown = ScoreReading { scale: id("defualt"), ..world.score("s1", "ana", at(0), "90") };
    let action = ManualOrder::Rule(id("no-such-rule"));
    let orders = [
        world.order("m1", "olga", "ana", action),
        world.order("m2", "olga", "ana", ManualOrder::Rule(id("tell"))),
    ];
    let refusals = orders.into_iter().map(Signal::from).chain([unknown.into()]);
    for signal in refusals {
        let error = refused(world.engine.submit(signal.clone(), at(0)));
        assert!(!matches!(error, EngineError::Store(_)), "{error}");
        assert!(is_unknown(&world), "{error}");
        let same = ready(world.engine.submit_all([signal], at(0))).unwrap().remove(0).unwrap_err();
        assert_eq!(same, error);
        assert!(is_unknown(&world), "{error}");
    }
}

#[test]
fn timetables_begin_with_whatever_is_heard_of_a_tenant() {
    let world = World::new(WEEKLY);
    world.submit(world.event("s1", "ana", at(0), r#"{ "do": "nothing" }"#), at(0));
    assert!(!is_unknown(&world));
    let wakes = go(world.engine.next_wakeup(at(0)));
    assert!(wakes > at(0), "{wakes}");
}
