//! A place in a window is given back once, when what took it comes to nothing or is taken back.

use super::{LOCK, document, go_on, rule, told};
use crate::support::{World, at, go, id, refused};
use tipstaff::*;

const ONE: &str = r#""cap": { "count": 1, "in": "1h", "on_exceed": "suppress" }"#;

fn asked(lock: &str) -> World {
    World::new(&document("", &[rule("r", lock, ONE)]))
}

/// A lock that people must agree to.
fn guarded() -> String {
    LOCK.replace(r#""none""#, r#"{ "within": "10m" }"#)
}

/// Whether the one place is free.
fn is_free(world: &World, n: &str, minute: i64) -> bool {
    let why = world.event(n, "zoe", at(minute), r#"{ "do": "r" }"#);
    go(world.engine.explain(&id("r"), why, at(minute))).answer == RuleAnswer::Acts
}

#[test]
fn what_comes_to_nothing_gives_its_place_back() {
    type End = fn(&World);
    let cases: [(&str, &str, End); 6] = [
        ("rejected", "asked", |world| {
            let request = world.requests().remove(0);
            go(world.engine.reject(&world.tenant, request.id, &id("bo"), request.digest, None, at(1)));
        }),
        ("expired", "asked", |world| drop(world.run(at(11)))),
        ("cancelled", "asked", |world| {
            let lock = world.the("lock_account").id;
            go(world.engine.cancel(&world.tenant, lock, &id("olga"), "a mistake", at(1)));
        }),
        ("refused by the target", "made", |world| {
            world.target.answers("lock_account", [Delivered::permanent("no such account")]);
            world.run(at(1));
        }),
        ("a false positive that waits", "asked", |world| {
            let lock = world.the("lock_account").id;
            let wrong = Finding::FalsePositive;
            go(world.engine.judge(&world.tenant, lock, wrong, &id("olga"), None, at(1)));
        }),
        ("superseded by an exemption", "made", |world| {
            let (ana, all) = (Subject::user(id("ana")), ExemptionScope::All);
            go(world.engine.exempt(&world.tenant, &ana, &all, None, &id("olga"), "on call", at(1)));
            world.run(at(1));
        }),
    ];
    for (name, first, end) in cases {
        let world = asked(&if first == "asked" { guarded() } else { LOCK.to_owned() });
        assert_eq!(told(&go_on(&world, "a", "ana", 0)), [first]);
        assert!(!is_free(&world, "x", 0), "{name}");
        end(&world);
        assert_eq!(world.the("lock_account").status(), Status::Failed, "{name}");
        assert!(world.the("lock_account").reserved.is_empty(), "{name}");
        assert!(is_free(&world, "y", 12), "{name}");
        // Once: what follows has one place again, not two.
        assert_eq!(told(&go_on(&world, "b", "bea", 12)), [first], "{name}");
        world.run(at(13));
        assert_eq!(told(&go_on(&world, "c", "cleo", 14)), ["cap"], "{name}");
        world.verified();
    }
}

#[test]
fn what_was_taken_back_before_its_time_gives_its_place_back() {
    type Undo = fn(&World);
    let cases: [(&str, Undo); 3] = [
        ("judged", |world| {
            let lock = world.the("lock_account").id;
            for _ in 0..2 {
                let wrong = Finding::FalsePositive;
                go(world.engine.judge(&world.tenant, lock, wrong, &id("olga"), None, at(2)));
            }
        }),
        ("lifted", |world| {
            let effect = world.the("lock_account").effect().unwrap();
            for _ in 0..2 {
                go(world.engine.lift(&world.tenant, effect, None, &id("olga"), "solved", at(2)));
            }
        }),
        ("exempted", |world| {
            let (ana, all) = (Subject::user(id("ana")), ExemptionScope::All);
            go(world.engine.exempt(&world.tenant, &ana, &all, None, &id("olga"), "on call", at(2)));
        }),
    ];
    for (name, undo) in cases {
        let world = asked(LOCK);
        go_on(&world, "a", "ana", 0);
        world.run(at(1));
        assert_eq!(world.reason("lock_account"), "done");
        assert!(!is_free(&world, "x", 1), "{name}: what was done counts");
        undo(&world);
        world.run(at(3));
        assert_eq!(world.target.jobs("unlock_account").len(), 1, "{name}");
        assert!(is_free(&world, "y", 4), "{name}");
        assert_eq!(told(&go_on(&world, "b", "bea", 5)), ["made"], "{name}");
        assert_eq!(told(&go_on(&world, "c", "cleo", 6)), ["cap"], "{name}");
        world.verified();
    }
}

#[test]
fn the_end_of_the_time_that_was_asked_for_gives_nothing_back() {
    let world = asked(LOCK);
    go_on(&world, "a", "ana", 0);
    world.run(at(1));
    world.run(at(40));
    assert_eq!(world.target.jobs("unlock_account").len(), 1);
    assert_eq!(told(&go_on(&world, "b", "bea", 41)), ["cap"]);
}

#[test]
fn what_may_have_been_done_keeps_its_place() {
    let world = asked(super::TELL);
    world.target.answers("escalate_to_hr", [Outcome::Unknown.into()]);
    go_on(&world, "a", "ana", 0);
    world.run(at(1));
    let ended = world.the("escalate_to_hr");
    assert!(ended.may_stand(), "{ended}");
    assert!(!is_free(&world, "x", 2));
}

#[test]
fn of_a_window_that_is_past_there_is_nothing_to_give_back() {
    let world = asked(&guarded().replace("10m", "5h"));
    go_on(&world, "a", "ana", 59);
    assert_eq!(told(&go_on(&world, "b", "bea", 60)), ["asked"]);
    let first = world.requests().into_iter().find(|request| request.subject.user == id("ana")).unwrap();
    go(world.engine.reject(&world.tenant, first.id, &id("bo"), first.digest, None, at(61)));
    assert_eq!(told(&go_on(&world, "c", "cleo", 62)), ["cap"], "the hour of one o'clock is full");
    // Nor of one that is forgotten.
    let second = world.requests().into_iter().find(|request| request.subject.user == id("bea")).unwrap();
    world.run(at(200));
    go(world.engine.reject(&world.tenant, second.id, &id("bo"), second.digest, None, at(201)));
    assert_eq!(told(&go_on(&world, "d", "dee", 202)), ["asked"]);
    assert_eq!(told(&go_on(&world, "e", "eve", 203)), ["cap"]);
    world.verified();
}

#[test]
fn what_a_person_has_tried_again_takes_a_place_of_its_own() {
    let world = asked(LOCK);
    world.target.answers("lock_account", [Delivered::permanent("no such account")]);
    go_on(&world, "a", "ana", 0);
    world.run(at(1));
    let failed = world.the("lock_account").id;
    assert_eq!(told(&go_on(&world, "b", "bea", 2)), ["made"], "its place was free");
    let olga: ActorId = id("olga");
    let again = |now| world.engine.retry(&world.tenant, failed, &olga, "it exists now", now);
    let error = refused(again(at(3)));
    assert!(matches!(&error, EngineError::CapExceeded(cap) if cap.contains("1 in 1h")), "{error}");
    // In the next hour there is room for it, and then for nothing else.
    assert_eq!(go(again(at(60))).reserved.len(), 1);
    assert_eq!(told(&go_on(&world, "c", "cleo", 61)), ["cap"]);
    world.verified();
}

/// Beyond a cap that asks, people are asked about it as they would be at first.
#[test]
fn what_a_person_has_tried_again_beyond_a_cap_that_asks_waits_for_people() {
    let one = ONE.replace("suppress", "ask");
    let own = guarded().replace("10m", "2h");
    for (lock, because) in [(LOCK, 1), (&own, 1)] {
        let world = World::new(&document("", &[rule("r", lock, &one)]));
        world.target.answers("lock_account", [Delivered::permanent("no such account")]);
        go_on(&world, "a", "ana", 0);
        for request in world.requests() {
            world.approve(&request, "bo", at(0));
        }
        world.run(at(1));
        let failed = world.the("lock_account").id;
        assert_ne!(told(&go_on(&world, "b", "bea", 2)), ["cap"], "its place was free");
        let again = go(world.engine.retry(&world.tenant, failed, &id("cy"), "it exists now", at(3)));
        assert_eq!((again.reason(), again.reserved.len()), (Reason::AwaitingApproval, 1));
        let asked = world.requests().into_iter().find(|asked| asked.enforcement == again.id).unwrap();
        assert_eq!(asked.because.len(), because);
        assert!(asked.because[0].starts_with("cap: cap of rule `r`: 1 in 1h, until "), "{:?}", asked.because);
        let view = go(world.engine.approval_view(&world.tenant, asked.id, at(3))).to_string();
        assert!(view.contains("people are asked because of cap"), "{view}");
        // Those of the default group, as at first; whoever has it tried again does not agree to it.
        assert!(matches!(world.denied(&asked, "cy", at(4)), ApprovalError::IsOrderer(_)));
        world.run(at(5));
        let locks = || world.target.jobs("lock_account").iter().filter(|job| job.key == again.id).count();
        assert_eq!(locks(), 0);
        world.approve(&asked, "bo", at(6));
        world.run(at(6));
        assert_eq!(locks(), 1, "{}", world.reason("unlock_account"));
        // The log says so once a window, and the same order again gives the same back.
        assert_eq!(world.count("POLICY_CAP_EXCEEDED"), 1);
        let same = go(world.engine.retry(&world.tenant, failed, &id("cy"), "once more", at(7)));
        assert_eq!(same.id, again.id);
        world.verified();
    }
}

#[test]
fn rules_that_share_a_place_give_it_back_together() {
    let tenant = r#""caps": [{ "count": 1, "in": "1h", "on_exceed": "suppress" }],"#;
    let both = |id: &str| rule(id, LOCK, "").replace(&format!(r#"["{id}"]"#), r#"["r"]"#);
    let world = World::new(&document(tenant, &[both("one"), both("two")]));
    go_on(&world, "a", "ana", 0);
    world.run(at(1));
    let effect = world.the("lock_account").effect().unwrap();
    let lift = |rule: &str, minute| {
        let holder = Holding::Rule(id(rule));
        go(world.engine.lift(&world.tenant, effect, Some(&holder), &id("olga"), "solved", at(minute)));
    };
    lift("one", 2);
    assert_eq!(told(&go_on(&world, "b", "bea", 3)), ["cap", "cap"], "the lock stands by the other rule");
    lift("two", 4);
    assert_eq!(told(&go_on(&world, "c", "cleo", 5)), ["made", "made"]);
    assert_eq!(told(&go_on(&world, "d", "dee", 6)), ["cap", "cap"]);
}
