//! At least so many usable administrators remain, whoever asks for what, and however they come together.

use std::sync::Arc;
use std::thread;

use tipstaff::*;

use super::reason;
use crate::support::people::Directory;
use crate::support::{Between, Target, World, at, go, id};

const LOCK: &str = r#"{ "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "1h" }] }"#;
const ASKED: &str = r#"{ "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "for": "24h" }] }"#;

/// A tenant that keeps so many of these administrators, whom the host names.
fn world(keep: u32, people: &Directory, rule: &str) -> World {
    World::of_people(
        &format!(
            r#"{{ "approvers": {{ "default": "sec" }}, "administrators": {{ "keep": {keep} }}, "rules": [{rule}] }}"#
        ),
        people,
    )
}

fn staff(people: &[&str]) -> Directory {
    Directory::default().hire("sec", &["sam", "sue"]).administrators(people)
}

fn decide(world: &World, signal: &str, user: &str, minute: i64) -> Decision {
    world.submit(world.event(signal, user, at(minute), r#"{ "do": "it" }"#), at(minute))
}

#[test]
fn the_last_administrators_are_not_locked() {
    let world = world(2, &staff(&["ada", "bo", "cy"]), LOCK);
    assert_eq!(reason(&decide(&world, "s1", "ada", 0)), None);
    let decision = decide(&world, "s2", "BO", 0);
    assert_eq!(reason(&decision), Some("last_administrators"));
    assert!(decision.to_string().contains("1 usable administrator(s) would remain; 2 must"), "{decision}");
    assert_eq!(reason(&decide(&world, "s3", "ana", 0)), None, "who is none is not kept");
    assert_eq!(reason(&decide(&world, "s4", "ada", 1)), None, "who is away takes nobody else's place");
    // When the lock is over, another may be locked.
    world.run(at(1));
    assert_eq!(reason(&decide(&world, "s5", "bo", 2)), Some("last_administrators"));
    world.run(at(62));
    assert_eq!(world.target.jobs("unlock_account").len(), 2);
    assert_eq!(reason(&decide(&world, "s6", "bo", 63)), None);
    world.verified();
}

#[test]
fn what_comes_to_nothing_gives_the_place_back() {
    let world = world(1, &staff(&["ada", "bo"]), ASKED);
    decide(&world, "s1", "ada", 0);
    assert_eq!(reason(&decide(&world, "s2", "bo", 0)), Some("last_administrators"), "it waits for an answer");
    let asked = world.requests().remove(0);
    go(world.engine.reject(&world.tenant, asked.id, &id("sam"), asked.digest, None, at(1)));
    assert_eq!(reason(&decide(&world, "s3", "bo", 2)), None);
    let bo = world.requests().remove(1);
    go(world.engine.cancel(&world.tenant, bo.enforcement, &id("sam"), "no", at(3)));
    assert_eq!(reason(&decide(&world, "s4", "ada", 4)), None);
    // Nobody answers in time.
    world.run(at(4 + 24 * 60));
    assert_eq!(reason(&decide(&world, "s5", "bo", 5 + 24 * 60)), None);
    // It is carried out, and the target refuses it for good.
    let asked = world.requests().remove(3);
    world.approve(&asked, "sam", at(6 + 24 * 60));
    world.target.answers("lock_account", [Delivered::permanent("no such account")]);
    world.run(at(6 + 24 * 60));
    assert_eq!(reason(&decide(&world, "s6", "ada", 7 + 24 * 60)), None);
    world.verified();
}

#[test]
fn an_effect_that_somebody_lifts_gives_the_place_back() {
    let world = world(1, &staff(&["ada", "bo"]), LOCK);
    decide(&world, "s1", "ada", 0);
    world.run(at(0));
    let effect = go(world.engine.effects(Filter::new(&world.tenant))).rows.remove(0);
    go(world.engine.lift(&world.tenant, effect.id, None, &id("olga"), "a mistake", at(1)));
    assert_eq!(reason(&decide(&world, "s2", "bo", 1)), Some("last_administrators"), "it is not lifted yet");
    world.run(at(2));
    assert_eq!(reason(&decide(&world, "s3", "bo", 3)), None);
}

/// A lost answer may have locked: the place is kept until the lock is taken back.
#[test]
fn what_may_have_been_done_keeps_the_place() {
    let world = world(1, &staff(&["ada", "bo"]), LOCK);
    decide(&world, "s1", "ada", 0);
    world.target.answers("lock_account", std::iter::repeat_n(Delivered::from(Outcome::Unknown), 20));
    for minute in 0..600 {
        world.run(at(minute * 10));
        if world.reason("lock_account") == "exhausted" {
            break;
        }
    }
    assert_eq!(world.reason("lock_account"), "exhausted");
    let stands = go(world.engine.effects(Filter::new(&world.tenant))).rows.remove(0);
    assert_ne!(stands.status(), EffectStatus::Clear);
    let minute = (stands.changed_at.micros() - at(0).micros()) / 60_000_000;
    assert_eq!(reason(&decide(&world, "s2", "bo", minute + 1)), Some("last_administrators"));
    world.run(at(minute + 62));
    assert_eq!(reason(&decide(&world, "s3", "bo", minute + 63)), None);
}

/// What was called off may come about until the target reports: the place is kept, and then given back.
#[test]
fn what_was_called_off_keeps_the_place_until_the_target_reports() {
    let confirmed = LOCK.replace(r#""approval""#, r#""confirm_within": "1d", "approval""#);
    for done in [true, false] {
        let world = world(1, &staff(&["ada", "bo"]), &confirmed);
        decide(&world, "s1", "ada", 0);
        world.run(at(0));
        let lock = world.the("lock_account").id;
        go(world.engine.cancel(&world.tenant, lock, &id("olga"), "a mistake", at(1)));
        world.run(at(1));
        assert_eq!(reason(&decide(&world, "s2", "bo", 2)), Some("last_administrators"));
        go(world.engine.confirm(&world.tenant, lock, done, at(3)));
        world.run(at(3));
        assert_eq!(reason(&decide(&world, "s3", "bo", 4)), None, "{done}");
        world.verified();
    }
}

#[test]
fn without_a_count_what_is_not_taken_back_keeps_the_place() {
    let world = World::new(
        r#"{ "approvers": { "groups": { "admins": ["ada", "bo"] } }, "administrators": { "group": "admins", "keep": 1 },
            "types": [{ "name": "close_account", "category": "access_control", "approval": false }],
            "rules": [{ "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } },
              "actions": [{ "key": "a", "type": "close_account" }] }] }"#,
    );
    decide(&world, "s1", "ada", 0);
    world.run(at(400 * 24 * 60));
    let later = 400 * 24 * 60;
    assert_eq!(reason(&decide(&world, "s2", "bo", later)), Some("last_administrators"));
    // A host that counts says who is usable now.
    let counts = World { engine: world.another().engine.people(staff(&["ada", "bo"])), ..world.another() };
    assert_eq!(reason(&decide(&counts, "s3", "bo", later)), None);
}

#[test]
fn who_nobody_names_is_not_locked_where_the_settings_ask() {
    let nobody = Directory::default().hire("sec", &["sam"]);
    assert_eq!(reason(&decide(&world(1, &nobody, LOCK), "s1", "ada", 0)), Some("administrators_unknown"));
    assert_eq!(
        reason(&decide(&world(1, &staff(&[]), LOCK), "s1", "ada", 0)),
        Some("administrators_unknown"),
        "a list of nobody is no answer"
    );
    assert_eq!(reason(&decide(&world(0, &nobody, LOCK), "s1", "ada", 0)), None, "0 switches it off");
    // Without a setting one is kept of those whom the host names, and nobody else is asked about.
    let by_default = |people: &Directory| World::of_people(&format!("[{LOCK}]"), people);
    assert_eq!(reason(&decide(&by_default(&staff(&["ada"])), "s1", "ada", 0)), Some("last_administrators"));
    assert_eq!(reason(&decide(&by_default(&nobody), "s1", "ada", 0)), None);
    // A group that the settings declare stands in for a directory.
    let declared = World::new(&format!(
        r#"{{ "approvers": {{ "groups": {{ "admins": ["ada", "bo"] }} }},
            "administrators": {{ "group": "admins", "keep": 1 }}, "rules": [{LOCK}] }}"#
    ));
    assert_eq!(reason(&decide(&declared, "s1", "ada", 0)), None);
    assert_eq!(reason(&decide(&declared, "s2", "bo", 0)), Some("last_administrators"));
}

#[test]
fn a_directory_that_is_behind_is_not_believed() {
    let people = staff(&["ada", "bo"]);
    let ahead = world(1, &people, LOCK);
    people.administrators(&["ada", "bo", "cy"]);
    decide(&ahead, "s1", "ada", 0);
    // Another process on the same store has a directory that has not heard of it.
    let behind = World { engine: ahead.another().engine.people(staff(&["ada", "bo"])), ..ahead.another() };
    assert_eq!(reason(&decide(&behind, "s2", "bo", 0)), Some("administrators_unknown"));
    assert_eq!(reason(&decide(&ahead, "s3", "bo", 0)), None, "one remains: cy");
}

/// An approved lock hours later, when the other administrator has gone: nobody is locked.
#[test]
fn an_approved_lock_must_not_take_the_last_one_hours_later() {
    let people = staff(&["ada", "bo"]);
    let world = world(1, &people, ASKED);
    decide(&world, "s1", "ada", 0);
    let asked = world.requests().remove(0);
    people.administrators(&["ada"]);
    world.approve(&asked, "sam", at(180));
    world.run(at(180));
    assert_eq!(world.target.jobs("lock_account"), []);
    let lock = world.the("lock_account");
    assert_eq!(lock.reason(), Reason::Superseded);
    let why = lock.history[0].report.message.clone().unwrap();
    assert_eq!(why, "last_administrators: 0 usable administrator(s) would remain; 1 must");
    world.verified();
}

/// Somebody becomes an administrator while a lock of theirs waits: their place is taken when it runs.
#[test]
fn whoever_became_an_administrator_meanwhile_counts_from_the_delivery_on() {
    let people = staff(&["bo"]);
    let world = world(1, &people, ASKED);
    decide(&world, "s1", "ada", 0);
    people.administrators(&["ada", "bo"]);
    world.approve(&world.requests()[0], "sam", at(1));
    world.run(at(1));
    assert_eq!(world.target.jobs("lock_account").len(), 1);
    assert_eq!(world.count("ENFORCEMENT_PLACE_TAKEN"), 1);
    assert_eq!(reason(&decide(&world, "s2", "bo", 2)), Some("last_administrators"));
    world.run(at(2 + 24 * 60));
    assert_eq!(reason(&decide(&world, "s3", "bo", 3 + 24 * 60)), None);
}

/// What a person orders, and what breaks glass, stops there as well.
#[test]
fn orders_and_broken_glass_keep_the_last_one() {
    let people = staff(&["ada", "bo"]);
    people.let_do("olga", &Right::BreakGlass(id("lock_account")));
    let world = world(1, &people, LOCK);
    let order = |name, user| {
        let lock = ManualOrder::Action { action: id("lock_account"), params: Params::new() };
        world.order(name, "olga", user, lock)
    };
    assert_eq!(reason(&go(world.engine.break_glass(order("o1", "ada"), at(0)))), None);
    world.run(at(0));
    assert_eq!(reason(&go(world.engine.break_glass(order("o2", "bo"), at(1)))), Some("last_administrators"));
    assert_eq!(reason(&world.submit(order("o3", "bo"), at(1))), Some("last_administrators"));
    // Nobody ratifies it: it is taken back, and the place with it.
    world.run(at(24 * 60));
    world.run(at(24 * 60 + 1));
    assert_eq!(world.target.jobs("unlock_account").len(), 1);
    assert_eq!(reason(&world.submit(order("o4", "bo"), at(24 * 60 + 2))), None);
}

/// Two administrators order each other's lock at the same moment: one is locked, whoever comes first.
#[test]
fn two_administrators_lock_each_other() {
    for (first, second) in [("ada", "bo"), ("bo", "ada")] {
        let people = staff(&["ada", "bo"]);
        let world = Arc::new(world(1, &people, LOCK));
        go(world.engine.rules(&world.tenant, at(0)));
        let lock = ManualOrder::Action { action: id("lock_account"), params: Params::new() };
        let glass = |operator: &str, user: &str| ManualStart {
            break_glass: true,
            ..world.order(&format!("{operator}-locks-{user}"), operator, user, lock.clone())
        };
        people.let_do("ada", &Right::BreakGlass(id("lock_account")));
        people.let_do("bo", &Right::BreakGlass(id("lock_account")));
        let (others, other) = (Arc::clone(&world), glass(second, first));
        let happens = move || drop(others.submit(other.clone(), at(0)));
        let store = Between::new(world.store.clone(), happens);
        let none = RuleSet::from_json("[]").unwrap();
        let engine = Engine::new(store, Target::default(), none).people(people.clone());
        let decision = go(engine.submit(glass(first, second), at(0)));
        assert_eq!(reason(&decision), Some("last_administrators"), "{second} was faster");
        world.run(at(0));
        let locked: Vec<_> =
            world.target.jobs("lock_account").iter().map(|job| job.subject.to_string()).collect();
        assert_eq!(locked, [first]);
        world.verified();
    }
}

/// Many processes lock all administrators at once, again and again: so many as must remain do.
#[test]
fn however_many_processes_there_are_some_remain() {
    const ADMINISTRATORS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    for round in 0..8 {
        let world = Arc::new(world(2, &staff(&ADMINISTRATORS), LOCK));
        go(world.engine.rules(&world.tenant, at(0)));
        let threads: Vec<_> = ADMINISTRATORS
            .iter()
            .map(|user| {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    let signal = format!("r{round}-{user}");
                    let event = world.event(&signal, user, at(0), r#"{ "do": "it" }"#);
                    go(world.engine.submit(event, at(0)));
                    let _ = ready(world.engine.run_due(at(0))).unwrap();
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        world.run(at(1));
        assert_eq!(world.target.jobs("lock_account").len(), 4, "two of six remain");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let faults = |text: &str| -> Vec<String> {
        let error = RuleSet::from_json(text).unwrap_err();
        error.faults.into_iter().map(|fault| fault.pointer).collect()
    };
    let unreadable = r#"{ "administrators": { "keep": 1001 },
        "protected": [{ "users": [" a"] }],
        "quiet_hours": [{ "from": "8:00", "to": "25:00" }, { "days": ["monday"], "from": "00:00", "to": "24:00" }],
        "maintenance": [{ "from": "today" }],
        "rules": [] }"#;
    let places = [
        "/administrators/keep",
        "/protected/0/users/0",
        "/quiet_hours/0/from",
        "/quiet_hours/0/to",
        "/quiet_hours/1/days/0",
        "/maintenance/0",
        "/maintenance/0/from",
    ];
    assert_eq!(faults(unreadable), places);
    let senseless = r#"{ "approvers": { "groups": { "sec": ["bo"] } },
        "administrators": { "group": "admins", "keep": 1, "types": ["fire"] },
        "protected": [{ "why": "x" }, { "users": ["ana"], "types": ["fire"] }],
        "quiet_hours": [{ "from": "08:00", "to": "08:00" }, { "from": "00:00", "to": "24:00" }],
        "maintenance": [{ "from": "2026-03-02T12:00:00Z", "to": "2026-03-02T12:00:00Z" }],
        "rules": [] }"#;
    let places = [
        "/administrators/group",
        "/administrators/types",
        "/protected/0",
        "/protected/1/types",
        "/quiet_hours/0",
        "/quiet_hours/1",
        "/maintenance/0/to",
    ];
    assert_eq!(faults(senseless), places);
}
