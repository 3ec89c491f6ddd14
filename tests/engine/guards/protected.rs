//! People who are protected by name or by attribute.

use tipstaff::*;

use super::{held, reason};
use crate::support::{World, at, go, id};

const LOCKS: &str = r#"{ "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "1h" }] }"#;

fn world(protected: &str) -> World {
    World::new(&format!(r#"{{ "protected": [{protected}], "rules": [{LOCKS}] }}"#))
}

fn decide(world: &World, signal: &str, user: &str, attributes: Option<&str>) -> Decision {
    let event = world.event(signal, user, at(0), r#"{ "do": "it" }"#);
    let event = match attributes {
        Some(text) => event.attributes(Payload::new(text).unwrap()),
        None => event,
    };
    world.submit(event, at(0))
}

#[test]
fn whoever_is_named_is_not_touched_whoever_asks() {
    let world = world(r#"{ "users": ["Ceo"], "why": "the board decides" }"#);
    let decision = decide(&world, "s1", "ceo", None);
    assert_eq!(held(&decision), Some(("protected", None)));
    assert!(decision.to_string().contains("suppressed (protected), the board decides"), "{decision}");
    let mut session = world.event("s2", "ceo", at(0), r#"{ "do": "it" }"#);
    session.subject.session = Some(id("s"));
    assert_eq!(reason(&world.submit(session, at(0))), Some("protected"), "a session is its user's");
    // What does not restrict is not held.
    let order = |name, action: &str, params: Params| {
        world.order(name, "bo", "ceo", ManualOrder::Action { action: id(action), params })
    };
    assert_eq!(reason(&world.submit(order("o2", "escalate_to_hr", Params::new()), at(0))), None);
    assert_eq!(reason(&decide(&world, "s3", "ana", None)), None);
    world.run(at(0));
    assert_eq!(world.target.jobs("lock_account").len(), 1, "ana's alone");
    world.verified();
}

#[test]
fn an_order_and_broken_glass_stop_at_a_protected_subject() {
    let world = World::new(
        r#"{ "approvers": { "default": "sec", "groups": { "sec": ["bo", "cy"] }, "operators": ["olga"] },
            "protected": [{ "users": ["ceo"] }], "rules": [] }"#,
    );
    let order = |name| {
        let lock = ManualOrder::Action { action: id("lock_account"), params: Params::new() };
        world.order(name, "olga", "ceo", lock)
    };
    assert_eq!(reason(&world.submit(order("o1"), at(0))), Some("protected"));
    assert_eq!(reason(&go(world.engine.break_glass(order("o2"), at(0)))), Some("protected"));
    world.run(at(0));
    assert_eq!(world.target.all(), []);
    assert_eq!(world.requests(), []);
}

#[test]
fn whoever_might_be_protected_is_until_it_is_known() {
    let world = world(r#"{ "attributes": { "account": ["break_glass"] } }"#);
    assert_eq!(reason(&decide(&world, "s1", "ana", None)), Some("attributes_unknown"));
    assert_eq!(reason(&decide(&world, "s2", "ana", Some(r#"{"account":"plain"}"#))), None);
    assert_eq!(reason(&decide(&world, "s3", "ana", None)), None, "what a signal told is remembered");
    assert_eq!(reason(&decide(&world, "s4", "eve", Some(r#"{"account":"break_glass"}"#))), Some("protected"));
    // The host's directory tells as well, and takes back.
    let told = Payload::new(r#"{"account":"plain"}"#).unwrap();
    go(world.engine.describe(&world.tenant, &id("flo"), Some(&told), at(1)));
    assert_eq!(reason(&decide(&world, "s5", "flo", None)), None);
    go(world.engine.describe(&world.tenant, &id("flo"), None, at(2)));
    assert_eq!(reason(&decide(&world, "s6", "flo", None)), Some("attributes_unknown"));
}

#[test]
fn an_entry_may_name_what_it_protects_from() {
    let world = World::new(
        r#"{ "protected": [{ "users": ["ana"], "categories": ["escalation"] }], "rules": [
            { "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } }, "actions": [
                { "key": "a", "type": "escalate_to_hr" },
                { "key": "b", "type": "lock_account", "approval": "none" } ] }] }"#,
    );
    let decision = world.submit(world.event("s1", "ana", at(0), r#"{ "do": "it" }"#), at(0));
    let held: Vec<_> = decision
        .outcomes
        .iter()
        .map(|outcome| match &outcome.effect {
            Effect::Suppressed(held) => Some(held.reason),
            _ => None,
        })
        .collect();
    assert_eq!(held, [Some(Suppression::Protected), None]);
}

/// Somebody is protected while a lock waits: it is not carried out, whoever agreed to it.
#[test]
fn protection_counts_again_before_the_delivery() {
    let approved = LOCKS.replace(r#""none""#, r#"{ "groups": [{ "name": "sec", "need": 1 }] }"#);
    let document = |protected: &str| {
        format!(
            r#"{{ "approvers": {{ "groups": {{ "sec": ["bo", "cy"] }} }}, "protected": [{protected}], "rules": [{approved}] }}"#
        )
    };
    let world = World::new(&document(""));
    decide(&world, "s1", "ana", None);
    let rules = RuleSet::from_json(&document(r#"{ "users": ["ana"] }"#)).unwrap();
    world.approve(&world.requests()[0], "bo", at(1));
    go(world.engine.add_rules(&world.tenant, &rules, &Actor::Host, at(2)));
    world.run(at(3));
    assert_eq!(world.target.jobs("lock_account"), []);
    let lock = world.the("lock_account");
    assert_eq!(lock.reason(), Reason::Superseded);
    assert_eq!(lock.history[0].report.message.as_deref(), Some("protected"));
}
