//! What becomes of actions beyond a cap: people are asked, nothing is made, or the rule rests.

use super::{LOCK, TELL, document, event, go_on, held, rule, told};
use crate::support::{World, at, go, id, refused};
use tipstaff::*;

fn asking() -> World {
    World::new(&document("", &[rule("r", LOCK, r#""cap": { "count": 1, "in": "1h" }"#)]))
}

#[test]
fn beyond_a_cap_people_are_asked_for_what_restricts() {
    let world = asking();
    assert_eq!(told(&go_on(&world, "a", "ana", 0)), ["made"]);
    let second = go_on(&world, "b", "bea", 1);
    assert_eq!(told(&second), ["asked"]);
    assert_eq!(held(&second).reason, Suppression::Cap);
    let request = world.requests().remove(0);
    assert_eq!(request.because, ["cap: cap of rule `r`: 1 in 1h, until 2026-03-02T13:00:00Z"]);
    assert_eq!(request.policy.groups, [Quorum { name: id("security"), need: 1 }]);
    let view = go(world.engine.approval_view(&world.tenant, request.id, at(1))).to_string();
    assert!(view.contains("people are asked because of cap"), "{view}");
    assert_eq!(world.run(at(2)).succeeded, 3, "the first lock, and two people are told of the second");
    world.approve(&request, "bo", at(3));
    world.run(at(4));
    assert_eq!(world.target.jobs("lock_account").len(), 2);
    world.verified();
}

#[test]
fn an_action_with_a_policy_of_its_own_asks_those() {
    let own = LOCK.replace(r#""none""#, r#"{ "groups": [{ "name": "security", "need": 2 }] }"#);
    let world = World::new(&document("", &[rule("r", &own, r#""cap": { "count": 1, "in": "1h" }"#)]));
    for n in ["a", "b"] {
        assert_eq!(told(&go_on(&world, n, n, 0)), ["asked"]);
    }
    let mut requests = world.requests();
    requests.sort_by_key(|request| request.because.len());
    assert_eq!(requests.iter().map(|request| request.because.len()).collect::<Vec<_>>(), [0, 1]);
    assert!(requests.iter().all(|request| request.policy.groups[0].need == 2));
}

#[test]
fn the_strictest_of_several_caps_answers() {
    let caps = r#""cap": [{ "count": 1, "in": "1h", "on_exceed": "ask" },
        { "count": 2, "in": "1h", "on_exceed": "suppress" }, { "count": 3, "in": "1d", "on_exceed": "pause_rule" }]"#;
    let world = World::new(&document("", &[rule("r", LOCK, caps)]));
    let made = |n: &str, minute| told(&go_on(&world, n, n, minute));
    assert_eq!([made("a", 0), made("b", 1), made("c", 2)], [["made"], ["asked"], ["cap"]]);
    assert_eq!(
        [made("d", 60), made("e", 61)],
        [["made"], ["cap"]],
        "three today: the rule rests from now on"
    );
    assert_eq!(made("f", 62), ["paused"]);
}

#[test]
fn an_order_by_hand_is_under_caps() {
    let settings = r#""caps": [{ "count": 1, "in": "1h", "per": "type" }],"#;
    let world = World::new(&document(settings, &[rule("r", TELL, "")]));
    let order = |n: &str, action: &str| {
        let order = ManualOrder::Action { action: id(action), params: Params::new() };
        told(&world.submit(world.order(n, "olga", "ana", order), at(0)))
    };
    assert_eq!([order("a", "escalate_to_hr"), order("b", "escalate_to_hr")], [["made"], ["cap"]]);
    assert_eq!([order("c", "lock_account"), order("d", "lock_account")], [["asked"], ["asked"]]);
    let mut because: Vec<_> = world.requests().iter().map(|request| request.because.len()).collect();
    because.sort_unstable();
    assert_eq!(because, [0, 1], "of the second people are told that it is beyond a cap");
    // And what was ordered counts for rules.
    assert_eq!(told(&go_on(&world, "e", "bea", 1)), ["cap"]);
}

#[test]
fn a_rule_that_goes_too_far_rests_until_somebody_resumes_it() {
    let cap = r#""cap": { "count": 2, "in": "1h", "on_exceed": "pause_rule" }"#;
    let world = World::new(&document("", &[rule("r", TELL, cap), rule("other", TELL, "")]));
    for n in ["a", "b"] {
        assert_eq!(told(&go_on(&world, n, n, 0)), ["made"]);
    }
    assert_eq!(told(&go_on(&world, "c", "cleo", 1)), ["cap"]);
    // The log, the list, the explanation and its owner say so.
    assert_eq!(world.count("POLICY_RULE_PAUSED"), 1);
    let row = || {
        let rows = go(world.engine.rule_rows(&world.tenant, at(2)));
        rows.into_iter().find(|row| row.rule.rule.id == id("r")).unwrap()
    };
    let pause = row().paused.expect("it rests");
    assert_eq!((pause.by, pause.at), (Actor::Engine, at(1)));
    assert_eq!(pause.reason, "cap of rule `r`: 2 in 1h");
    let asked = world.event("d", "dee", at(90), r#"{ "do": "r" }"#);
    let why = go(world.engine.explain(&id("r"), asked, at(90)));
    assert_eq!((why.answer, why.decided_by), (RuleAnswer::HeldBack, Some(Part::Guards)));
    assert!(why.to_string().contains("suppressed (paused), cap of rule `r`"), "{why}");
    let held = go(world.engine.why_not(&world.tenant, &id("r"), &Subject::user(id("dee")), at(2)));
    assert!(held.to_string().contains("suppressed (paused), cap of rule `r`"), "{held}");
    assert!(held.to_string().contains("suppressed (cap), cap of rule `r`: 2 in 1h, until"), "{held}");
    world.run(at(2));
    let notices = world.target.jobs("approval_notice");
    let recipients: Vec<_> = notices.iter().map(|job| job.purpose.recipient().unwrap().as_str()).collect();
    assert_eq!(recipients, ["ann"]);
    assert_eq!(notices[0].params["kind"], "rule_paused".into());
    assert_eq!(world.count("POLICY_NOTICE_SENT"), 1);
    // Another hour has room, and the rule rests on; so does a new revision of it.
    assert_eq!(told(&go_on(&world, "e", "eve", 60)), ["paused"]);
    let edited = document("", &[rule("r", TELL, &format!(r#"{cap}, "cooldown": {{ "for": "1m" }}"#))]);
    let edited = RuleSet::from_json(&edited).unwrap();
    go(world.engine.add_rules(&world.tenant, &edited, &Actor::Host, at(61)));
    assert_eq!(told(&go_on(&world, "f", "fay", 62)), ["paused"]);
    assert_eq!(told(&event(&world, "g", "gil", "other", 62)), ["made"], "others act");
    let (olga, r) = (id("olga"), id("r"));
    go(world.engine.resume_rule(&world.tenant, &r, &olga, "the scanner is fixed", at(63)));
    assert_eq!(row().paused, None);
    assert_eq!(told(&go_on(&world, "h", "hal", 64)), ["made"]);
    world.verified();
}

#[test]
fn an_operator_pauses_a_rule_and_what_it_asked_for_goes_on() {
    let world = asking();
    go_on(&world, "a", "ana", 0);
    let (olga, r) = (id("olga"), id("r"));
    for reason in ["", " ", &"x".repeat(5000)] {
        let error = refused(world.engine.pause_rule(&world.tenant, &r, &olga, reason, at(1)));
        assert!(matches!(error, EngineError::Reason(_)), "{error}");
    }
    let error = refused(world.engine.pause_rule(&world.tenant, &id("none"), &olga, "why", at(1)));
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
    for _ in 0..2 {
        go(world.engine.pause_rule(&world.tenant, &r, &olga, "too loud", at(1)));
    }
    assert_eq!(world.count("POLICY_RULE_PAUSED"), 1, "it rests already");
    assert_eq!(held(&go_on(&world, "b", "bea", 2)).detail.as_deref(), Some("too loud"));
    assert_eq!(world.run(at(2)).succeeded, 1, "the lock that it had asked for");
    for _ in 0..2 {
        go(world.engine.resume_rule(&world.tenant, &r, &olga, "quiet again", at(3)));
    }
    assert_eq!(world.count("POLICY_RULE_RESUMED"), 1);
    assert_eq!(told(&go_on(&world, "c", "cleo", 4)), ["asked"], "its cap stands as it did");
    world.verified();
}

#[test]
fn the_default_group_hears_of_a_rule_without_an_author() {
    let nobodys = rule("r", TELL, r#""cap": { "count": 1, "in": "1h", "on_exceed": "pause_rule" }"#)
        .replace(r#""author": "ann","#, "");
    let world = World::new(&document("", &[nobodys]));
    for n in ["a", "b"] {
        go_on(&world, n, n, 0);
    }
    world.run(at(1));
    let notices = world.target.jobs("approval_notice");
    let mut told: Vec<_> = notices.iter().map(|job| job.purpose.recipient().unwrap().as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, ["bo", "cy"]);
}
