//! Windows of decision time: what counts in which.

use super::{LOCK, TELL, document, event, go_on, held, rule, told};
use crate::support::{World, at, go, id};
use tipstaff::*;

fn capped(cap: &str) -> World {
    World::new(&document("", &[rule("r", TELL, &format!(r#""cap": {cap}"#))]))
}

#[test]
fn so_many_are_made_in_an_hour_of_decision_time() {
    let world = capped(r#"{ "count": 2, "in": "1h" }"#);
    assert_eq!(told(&go_on(&world, "a", "ana", 0)), ["made"]);
    assert_eq!(told(&go_on(&world, "b", "bea", 30)), ["made"]);
    let third = go_on(&world, "c", "cleo", 59);
    assert_eq!(told(&third), ["cap"]);
    let why = held(&third);
    assert_eq!(why.until, Some(at(60)), "noon's hour is over at one o'clock");
    assert_eq!(why.detail.as_deref(), Some("cap of rule `r`: 2 in 1h"));
    // A new hour has room of its own, from its first moment on.
    assert_eq!(told(&go_on(&world, "d", "dee", 60)), ["made"]);
    // A back-dated event counts when it is decided.
    let late = world.event("e", "eve", at(10), r#"{ "do": "r" }"#);
    assert_eq!(told(&world.submit(late, at(61))), ["made"]);
    let late = world.event("f", "fay", at(10), r#"{ "do": "r" }"#);
    assert_eq!(told(&world.submit(late, at(62))), ["cap"]);
    // One record a window, however much it holds back.
    go_on(&world, "g", "gil", 63);
    assert_eq!((world.count("POLICY_CAP_EXCEEDED"), world.count("POLICY_ACTION_SUPPRESSED")), (2, 3));
    assert_eq!(world.stats("r", at(64)).suppressed["cap"], 3);
    world.verified();
}

#[test]
fn a_repeat_takes_no_place() {
    let world = capped(r#"{ "count": 2, "in": "1h" }"#);
    let first = world.event("a", "ana", at(0), r#"{ "do": "r" }"#);
    world.submit(first.clone(), at(0));
    assert!(world.submit(first, at(1)).repeat);
    assert_eq!(told(&go_on(&world, "b", "bea", 2)), ["made"]);
    assert_eq!(told(&go_on(&world, "c", "cleo", 3)), ["cap"]);
}

#[test]
fn a_clock_that_steps_back_finds_no_room_that_was_taken() {
    let world = capped(r#"{ "count": 1, "in": "1h" }"#);
    assert_eq!(told(&go_on(&world, "a", "ana", 0)), ["made"]);
    assert_eq!(told(&go_on(&world, "b", "bea", 60)), ["made"]);
    assert_eq!(told(&go_on(&world, "c", "cleo", 59)), ["cap"], "the hour before is still counted");
    // Hours later all of it is forgotten, and a clock that steps back then is taken for the newest hour.
    world.run(at(60 * 5));
    assert_eq!(told(&go_on(&world, "d", "dee", 300)), ["made"]);
    assert_eq!(told(&go_on(&world, "e", "eve", 61)), ["made"], "an hour after the forgotten ones");
    assert_eq!(told(&go_on(&world, "f", "fay", 1)), ["cap"], "and no more than that");
}

#[test]
fn counters_are_forgotten_when_their_window_is_long_past() {
    let world = capped(r#"{ "count": 1, "in": "1h" }"#);
    go_on(&world, "a", "ana", 0);
    assert_eq!(counters(&world)[0].windows.len(), 1);
    world.run(at(119));
    assert_eq!(counters(&world)[0].windows.len(), 1);
    world.run(at(120));
    assert!(counters(&world)[0].windows.is_empty());
    world.verified();
}

#[test]
fn an_edit_of_the_count_forgets_nothing() {
    let world = capped(r#"{ "count": 1, "in": "1h" }"#);
    go_on(&world, "a", "ana", 0);
    let wider = RuleSet::from_json(&document("", &[rule("r", TELL, r#""cap": { "count": 2, "in": "1h" }"#)]));
    go(world.engine.add_rules(&world.tenant, &wider.unwrap(), &Actor::Host, at(1)));
    assert_eq!(told(&go_on(&world, "b", "bea", 2)), ["made"]);
    assert_eq!(told(&go_on(&world, "c", "cleo", 3)), ["cap"]);
}

#[test]
fn each_subject_type_rule_and_tenant_is_counted_by_itself() {
    let two = [TELL, r#"{ "key": "boss", "type": "escalate_to_manager" }"#].join(",");
    // (the settings, the rule's guards, what events of ana, ana, bea lead to)
    let cases: [(&str, &str, [[&str; 2]; 3]); 6] = [
        ("", r#""cap": { "count": 3, "in": "1h" }"#, [["made", "made"], ["made", "cap"], ["cap", "cap"]]),
        (
            "",
            r#""cap": { "count": 2, "in": "1h", "per": "subject" }"#,
            [["made", "made"], ["cap", "cap"], ["made", "made"]],
        ),
        (
            "",
            r#""cap": { "count": 1, "in": "1h", "types": ["escalate_to_hr"] }"#,
            [["made", "made"], ["cap", "made"], ["cap", "made"]],
        ),
        (
            r#""caps": [{ "count": 2, "in": "1h", "per": "type", "on_exceed": "suppress" }],"#,
            "",
            [["made", "made"], ["made", "made"], ["cap", "cap"]],
        ),
        (
            r#""caps": [{ "count": 3, "in": "1h", "on_exceed": "suppress" }],"#,
            "",
            [["made", "made"], ["made", "cap"], ["cap", "cap"]],
        ),
        (
            r#""caps": [{ "count": 1, "in": "1h", "per": "subject", "categories": ["escalation"] }],"#,
            r#""cap": [{ "count": 9, "in": "1h" }, { "count": 9, "in": "1d" }]"#,
            [["made", "cap"], ["cap", "cap"], ["made", "cap"]],
        ),
    ];
    for (settings, guards, wanted) in cases {
        let world = World::new(&document(settings, &[rule("r", &two, guards)]));
        let made =
            [("a", "ana"), ("b", "ana"), ("c", "bea")].map(|(n, user)| told(&go_on(&world, n, user, 0)));
        assert_eq!(made, wanted.map(Vec::from), "{settings} {guards}");
    }
}

#[test]
fn a_users_sessions_are_one_subject() {
    let world = capped(r#"{ "count": 1, "in": "1h", "per": "subject" }"#);
    let of = |n: &str, session: &str| {
        let subject = Subject::session(id("ana"), id(session));
        Event::new(world.tenant.clone(), n, "okta", subject, at(0), r#"{ "do": "r" }"#).unwrap()
    };
    assert_eq!(told(&world.submit(of("a", "s1"), at(0))), ["made"]);
    assert_eq!(told(&world.submit(of("b", "s2"), at(0))), ["cap"]);
}

#[test]
fn rules_that_share_an_enforcement_share_its_place() {
    let tenant = r#""caps": [{ "count": 1, "in": "1h", "on_exceed": "suppress" }],"#;
    let both = |id: &str| rule(id, LOCK, "").replace(&format!(r#"["{id}"]"#), r#"["r"]"#);
    let world = World::new(&document(tenant, &[both("one"), both("two")]));
    assert_eq!(told(&go_on(&world, "a", "ana", 0)), ["made", "made"], "one lock that both ask for");
    assert_eq!(world.log().len(), 1);
    assert_eq!(told(&go_on(&world, "b", "bea", 1)), ["cap", "cap"]);
}

#[test]
fn shadow_counts_by_itself() {
    let cap = r#""cap": { "count": 1, "in": "1h" }"#;
    let shadow = rule("r", TELL, cap).replacen('{', r#"{ "mode": "shadow","#, 1);
    let settings = r#""caps": [{ "count": 2, "in": "1h", "on_exceed": "suppress" }],"#;
    let world = World::new(&document(settings, &[shadow, rule("live", TELL, "")]));
    assert_eq!(told(&go_on(&world, "a", "ana", 0)), ["shadow"]);
    assert_eq!(told(&go_on(&world, "b", "bea", 0)), ["cap"]);
    // The tenant's cap is not touched by what only would have been done.
    for (n, wanted) in [("c", "made"), ("d", "made"), ("e", "cap")] {
        assert_eq!(told(&event(&world, n, "ana", "live", 0)), [wanted]);
    }
}

/// The host's word on how many users there are.
struct Users(Option<u64>);

impl People for Users {
    fn members<'a>(
        &'a self,
        _: &'a TenantId,
        _: &'a GroupId,
    ) -> Answer<'a, Result<Vec<ActorId>, PeopleError>> {
        Box::pin(std::future::ready(Ok(vec![id("bo")])))
    }

    fn groups<'a>(
        &'a self,
        _: &'a TenantId,
        _: &'a ActorId,
    ) -> Answer<'a, Result<std::collections::BTreeSet<GroupId>, PeopleError>> {
        Box::pin(std::future::ready(Ok([id("security")].into())))
    }

    fn population<'a>(&'a self, _: &'a TenantId) -> Answer<'a, Result<Option<u64>, PeopleError>> {
        Box::pin(std::future::ready(Ok(self.0)))
    }
}

#[test]
fn a_share_of_the_users_is_as_large_as_the_host_says() {
    for (users, room) in [(Some(400), 2), (Some(399), 1), (Some(199), 0), (None, 0)] {
        let world = capped(r#"{ "percent": 0.5, "in": "1d" }"#);
        let world = World { engine: world.engine.people(Users(users)), ..world };
        let made: Vec<_> = (0..4).map(|n| told(&go_on(&world, &format!("s{n}"), "ana", n))[0]).collect();
        assert_eq!(made.iter().filter(|word| **word == "made").count(), room, "{users:?}");
        assert!(made[room..].iter().all(|word| *word == "cap"));
    }
    // Without a directory nobody knows.
    let world = capped(r#"{ "percent": 100, "in": "1d" }"#);
    let decision = go_on(&world, "a", "ana", 0);
    let why = held(&decision).detail.unwrap();
    assert!(why.ends_with("nobody says how many users there are"), "{why}");
}

fn counters(world: &World) -> Vec<CapCounter> {
    let query = Query {
        tenant: world.tenant.clone(),
        kind: Kind::Cap,
        from: None,
        until: None,
        facets: Vec::new(),
        order: Order::Oldest,
        after: None,
        limit: MAX_PAGE,
    };
    let rows = go(world.store.query(&query)).rows;
    rows.iter().map(|record| serde_json::from_str(&record.body).unwrap()).collect()
}
