//! A cap that names very many types: what the log says of it is cut, and nothing is refused for it.

use super::{TELL, document, go_on, held, rule, told};
use crate::support::{World, at, go, id};
use tipstaff::*;

/// A cap of one an hour that names types whose names alone are more than a detail of the log holds.
fn wide(on_exceed: &str) -> World {
    let name = |n: usize| format!("t{n:03}_{}", "x".repeat(55));
    let declared: Vec<_> =
        (0..100).map(|n| format!(r#"{{ "name": "{}", "category": "training" }}"#, name(n))).collect();
    let named: Vec<_> = (0..100).map(|n| format!(r#", "{}""#, name(n))).collect();
    let cap = format!(
        r#""cap": {{ "count": 1, "in": "1h", "on_exceed": "{on_exceed}", "types": ["escalate_to_hr"{}] }}"#,
        named.concat()
    );
    let types = format!(r#""types": [{}],"#, declared.join(","));
    World::new(&document(&types, &[rule("r", TELL, &cap)]))
}

/// What the log says of caps, by code.
fn cut(world: &World, code: &str) -> String {
    let record = world.trail().into_iter().find(|record| record.code == code).unwrap();
    record.details["cap"].to_string()
}

#[test]
fn whatever_it_answers_a_decision_beyond_it_is_made() {
    for (on_exceed, answer, code) in [
        ("ask", "asked", "POLICY_CAP_EXCEEDED"),
        ("suppress", "cap", "POLICY_CAP_EXCEEDED"),
        ("pause_rule", "cap", "POLICY_RULE_PAUSED"),
    ] {
        let world = wide(on_exceed);
        assert_eq!(told(&go_on(&world, "a", "ana", 0)), ["made"]);
        let second = go_on(&world, "b", "bea", 1);
        assert_eq!(told(&second), [answer]);
        // The decision says all of it, the log as much as it holds.
        let whole = held(&second).detail.unwrap();
        let said = cut(&world, code);
        assert!(whole.len() > MAX_DETAIL_BYTES && said.len() <= MAX_DETAIL_BYTES);
        assert!(whole.starts_with(said.trim_end_matches('…')) && said.ends_with('…'), "{said}");
        world.verified();
    }
}

#[test]
fn what_is_tried_again_beyond_it_waits_for_people() {
    let world = wide("ask");
    world.target.answers("escalate_to_hr", [Delivered::permanent("nobody there")]);
    go_on(&world, "a", "ana", 0);
    world.run(at(0));
    assert_eq!(world.reason("escalate_to_hr"), "permanent_error");
    let failed = world.the("escalate_to_hr").id;
    go_on(&world, "b", "bea", 1);
    let again = go(world.engine.retry(&world.tenant, failed, &id("olga"), "somebody is there", at(2)));
    assert_eq!(again.reason(), Reason::AwaitingApproval);
    assert!(cut(&world, "POLICY_CAP_EXCEEDED").ends_with('…'));
    world.verified();
}
