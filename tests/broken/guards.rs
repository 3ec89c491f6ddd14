//! What must hold of the guards and of effects.

use std::collections::BTreeSet;
use std::sync::Arc;

use tipstaff::*;

use crate::caps::Crowded;
use crate::support::people::Directory;
use crate::support::{Target, World, at, go, id};

fn rule(id: &str, action: &str, more: &str) -> String {
    format!(
        r#"{{ "id": "{id}", "trigger": {{ "event": {{ "pattern": {{ "do": ["{id}"] }} }} }},
            "actions": [{{ "key": "a", "type": "{action}" {more} }}] }}"#
    )
}

fn lock(id: &str) -> String {
    rule(id, "lock_account", r#", "approval": "none", "for": "1h""#)
}

fn decide(world: &World, signal: &str, rule: &str, user: &str, minute: i64) -> Option<Suppression> {
    let payload = format!(r#"{{ "do": "{rule}" }}"#);
    reason(&world.submit(world.event(signal, user, at(minute), &payload), at(minute)))
}

fn reason(decision: &Decision) -> Option<Suppression> {
    match &decision.outcomes.first().expect("one action").effect {
        Effect::Suppressed(held) => Some(held.reason),
        _ => None,
    }
}

pub(crate) fn an_exemption_ends() {
    let world = World::new(&format!("[{}]", lock("r")));
    let (ana, all) = (Subject::user(id("ana")), ExemptionScope::All);
    go(world.engine.exempt(&world.tenant, &ana, &all, Some(at(60)), &id("olga"), "leave", at(0)));
    assert_eq!(decide(&world, "s1", "r", "ana", 59), Some(Suppression::Exempt));
    assert_eq!(decide(&world, "s2", "r", "ana", 60), None);
}

pub(crate) fn nothing_is_claimed_that_was_stopped() {
    let world = World::new(&format!("[{}]", lock("r")));
    assert_eq!(decide(&world, "s1", "r", "ana", 0), None);
    go(world.engine.engage_kill_switch(&world.tenant, &KillScope::Tenant, &id("olga"), "stop", at(0)));
    world.run(at(1));
    assert_eq!(world.target.all(), []);
}

pub(crate) fn whoever_recovered_is_left_alone() {
    let world = World::new(
        r#"[{ "id": "r", "trigger": { "score": { "enters": ["red"], "first": true } },
            "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "delay": "30m" }] }]"#,
    );
    world.submit(world.score("c1", "ana", at(0), "30"), at(0));
    world.submit(world.score("c2", "ana", at(10), "90"), at(10));
    world.run(at(30));
    assert_eq!(world.target.jobs("lock_account"), []);
    assert_eq!(world.reason("lock_account"), "superseded");
}

pub(crate) fn an_effect_stands_while_somebody_holds_it() {
    let world = World::new(&format!("[{},{}]", lock("q"), lock("r")));
    decide(&world, "s1", "q", "ana", 0);
    decide(&world, "s2", "r", "ana", 0);
    world.run(at(0));
    go(world.engine.deactivate(&world.tenant, &id("q"), &id("olga"), at(1)));
    world.run(at(2));
    assert_eq!(world.target.jobs("unlock_account"), []);
    world.run(at(60));
    assert_eq!(world.target.jobs("unlock_account").len(), 1);
}

pub(crate) fn quiet_hours_follow_their_zone() {
    let quiet = r#""quiet_hours": [{ "from": "22:00", "to": "06:00", "zone": "America/New_York" }]"#;
    let world = World::new(&format!(r#"{{ {quiet}, "rules": [{}] }}"#, rule("r", "escalate_to_hr", "")));
    let held = |signal: &str, now: &str| {
        let now: Time = id(now);
        reason(&world.submit(world.event(signal, "ana", now, r#"{ "do": "r" }"#), now))
    };
    assert_eq!(held("s1", "2026-03-02T23:00:00Z"), None);
    assert_eq!(held("s2", "2026-03-03T03:00:00Z"), Some(Suppression::QuietHours));
}

pub(crate) fn what_was_approved_waits_for_the_end_of_quiet_hours() {
    let guards = r#"{ "guards": { "quiet_hours": [{ "from": "13:00", "to": "14:00" }] }, "#;
    let rule = rule("r", "lock_account", r#", "for": "1h""#).replacen('{', guards, 1);
    let world = World::new(&format!(
        r#"{{ "approvers": {{ "default": "sec", "groups": {{ "sec": ["sam"] }} }}, "rules": [{rule}] }}"#
    ));
    assert_eq!(decide(&world, "s1", "r", "ana", 0), None);
    world.approve(&world.requests()[0], "sam", at(59));
    world.run(at(60));
    assert_eq!(world.target.jobs("lock_account"), []);
    world.run(at(120));
    assert_eq!(world.target.jobs("lock_account").len(), 1);
}

pub(crate) fn whoever_is_in_stays_in() {
    let users_in = |share: u8| -> BTreeSet<usize> {
        let document = rule("r", "escalate_to_hr", "");
        let document = document.replacen('{', &format!(r#"{{ "guards": {{ "rollout": {share} }}, "#), 1);
        let world = World::new(&format!("[{document}]"));
        (0..200).filter(|n| decide(&world, &format!("s{n}"), "r", &format!("u-{n}"), 0).is_none()).collect()
    };
    let shares: Vec<_> = [5, 10, 20, 40, 80].into_iter().map(users_in).collect();
    assert!(shares.is_sorted_by(|less, more| less.is_subset(more)));
}

pub(crate) fn orders_stop_at_the_protected() {
    let world = World::new(
        r#"{ "approvers": { "default": "sec", "groups": { "sec": ["bo", "cy"] } },
            "protected": [{ "users": ["ceo"] }], "rules": [] }"#,
    );
    let lock = ManualOrder::Action { action: id("lock_account"), params: Params::new() };
    let decision = world.submit(world.order("o1", "olga", "ceo", lock), at(0));
    assert_eq!(reason(&decision), Some(Suppression::Protected));
}

pub(crate) fn whoever_might_be_protected_is() {
    let world = World::new(&format!(
        r#"{{ "protected": [{{ "attributes": {{ "account": ["break_glass"] }} }}], "rules": [{}] }}"#,
        lock("r")
    ));
    assert_eq!(decide(&world, "s1", "r", "ana", 0), Some(Suppression::AttributesUnknown));
}

fn kept(rule: &str, people: &Directory) -> World {
    let document = format!(
        r#"{{ "approvers": {{ "default": "sec" }}, "administrators": {{ "keep": 1 }}, "rules": [{rule}] }}"#
    );
    World::of_people(&document, people)
}

fn staff() -> Directory {
    Directory::default().hire("sec", &["sam"]).administrators(&["ada", "bo"])
}

/// One decision is made whole between what another reads and what it writes. By two rules: nothing but the places is written by both decisions.
pub(crate) fn two_administrators_cannot_take_each_other_away() {
    let people = staff();
    let world = Arc::new(kept(&format!("{}, {}", lock("r"), lock("q")), &people));
    go(world.engine.rules(&world.tenant, at(0)));
    let event = |signal: &str, user: &str, what: &str| {
        world.event(signal, user, at(0), &format!(r#"{{ "do": "{what}" }}"#))
    };
    let (others, theirs) = (Arc::clone(&world), event("s2", "bo", "q"));
    let same = theirs.clone();
    let store = Crowded::new(&world).before_second_look(move || drop(others.submit(same.clone(), at(0))));
    let none = RuleSet::from_json("[]").unwrap();
    let engine = Engine::new(store, Target::default(), none).people(people.clone());
    let first = go(engine.submit(event("s1", "ada", "r"), at(0)));
    let held = [first, world.submit(theirs, at(0))].iter().filter_map(reason).collect::<Vec<_>>();
    assert_eq!(held, [Suppression::LastAdministrators], "one of the two is kept");
}

pub(crate) fn the_last_administrator_is_kept_at_the_delivery() {
    let people = staff();
    let world = kept(&rule("r", "lock_account", r#", "for": "1h""#), &people);
    assert_eq!(decide(&world, "s1", "r", "ada", 0), None);
    people.administrators(&["ada"]);
    world.approve(&world.requests()[0], "sam", at(60));
    world.run(at(60));
    assert_eq!(world.target.jobs("lock_account"), []);
}

pub(crate) fn what_came_to_nothing_holds_no_place() {
    let people = staff();
    let world = kept(&rule("r", "lock_account", r#", "for": "1h""#), &people);
    assert_eq!(decide(&world, "s1", "r", "ada", 0), None);
    let asked = world.requests().remove(0);
    go(world.engine.reject(&world.tenant, asked.id, &id("sam"), asked.digest, None, at(1)));
    assert_eq!(decide(&world, "s2", "r", "bo", 2), None);
}
