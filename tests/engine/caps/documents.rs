//! Caps as their authors write them, and what is refused in its place.

use super::{LOCK, TELL, document, rule};
use crate::support::{World, at, go};
use tipstaff::*;

fn faults(text: &str) -> Vec<String> {
    let error = RuleSet::from_json(text).expect_err("it is refused");
    error.faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.fault)).collect()
}

#[test]
fn what_makes_no_cap_is_refused_in_its_place() {
    let whole = "no number that fits; accepted: a whole number from 1 to 1000000";
    let share = "no number that fits; accepted: a number above 0 and up to 100, with at most two decimals";
    // (the cap of the only rule, the pointer below `guards`, what is said)
    for (cap, place, said) in [
        ("5", "cap", "a number; accepted: a cap with `count` or `percent`, and `in`"),
        (r#"{ "in": "1h" }"#, "cap", "the field `count` is missing"),
        (r#"{ "count": 5 }"#, "cap", "the field `in` is missing"),
        (r#"{ "count": 0, "in": "1h" }"#, "cap/count", whole),
        (r#"{ "count": 1000001, "in": "1h" }"#, "cap/count", whole),
        (r#"{ "count": 1.5, "in": "1h" }"#, "cap/count", whole),
        (r#"{ "percent": 0, "in": "1h" }"#, "cap/percent", share),
        (r#"{ "percent": 100.01, "in": "1h" }"#, "cap/percent", share),
        (r#"{ "percent": 0.125, "in": "1h" }"#, "cap/percent", share),
        (r#"{ "percent": -1, "in": "1h" }"#, "cap/percent", share),
        (
            r#"{ "count": 1, "percent": 1, "in": "1h" }"#,
            "cap/percent",
            "a number; accepted: either `count` or `percent`; two caps for both",
        ),
        (r#"{ "count": 1, "in": "10ms" }"#, "cap/in", "`10ms`; accepted: 1s to 366d"),
        (r#"{ "count": 1, "in": "400d" }"#, "cap/in", "`400d`; accepted: 1s to 366d"),
        (
            r#"{ "count": 1, "in": "1h", "per": "tenant" }"#,
            "cap/per",
            "`tenant` is no word known here; accepted: rule, subject",
        ),
        (
            r#"{ "count": 1, "in": "1h", "on_exceed": "stop" }"#,
            "cap/on_exceed",
            "`stop` is no answer to a cap that is exceeded; accepted: ask, suppress, pause_rule",
        ),
        (
            r#"{ "percent": 1, "in": "1h", "per": "subject" }"#,
            "cap/percent",
            "a share of all users says nothing of one; accepted for each subject: `count`",
        ),
        (
            r#"[{ "count": 1, "in": "1h" }, { "count": 1, "in": "1h", "until": "2h" }]"#,
            "cap/1/until",
            "unknown field `until`; accepted: `count`, `percent`, `in`, `per`, `on_exceed`, `categories`, `types`",
        ),
    ] {
        let found = faults(&document("", &[rule("r", TELL, &format!(r#""cap": {cap}"#))]));
        assert_eq!(found, [format!("/rules/0/guards/{place} {said}")], "{cap}");
    }
    let unknown =
        faults(&document("", &[rule("r", TELL, r#""cap": { "count": 1, "in": "1h", "types": ["no"] }"#)]));
    assert!(unknown[0].starts_with("/rules/0/guards/cap/types unknown action type `no`"), "{unknown:?}");
    // All faults of a document at once, the settings' among them.
    let settings =
        r#""caps": [{ "count": 1, "in": "1h", "per": "rule" }, { "percent": 1 }], "loop_depth": 21,"#;
    let all = faults(&document(settings, &[rule("r", TELL, r#""cap": { "count": "5", "in": "1h" }"#)]));
    assert_eq!(
        all,
        [
            "/caps/0/per `rule` is no word known here; accepted: tenant, type, subject",
            "/caps/1 the field `in` is missing",
            "/loop_depth no number that fits; accepted: a whole number from 0 to 20",
            "/rules/0/guards/cap/count a text; accepted: a whole number from 1 to 1000000",
        ]
    );
}

#[test]
fn a_cap_that_asks_nobody_does_not_load() {
    let nobody = |settings: &str, actions: &str, guards: &str| {
        format!(r#"{{ {settings} "rules": [{}] }}"#, rule("r", actions, guards))
    };
    let cap = |answer: &str| format!(r#""cap": {{ "count": 1, "in": "1h"{answer} }}"#);
    let said = "beyond the cap people are asked, and the document has no default group; set `approvers.default`, or say `on_exceed`: `suppress` or `pause_rule`";
    let place = "/rules/0/guards/cap";
    assert_eq!(faults(&nobody("", LOCK, &cap(""))), [format!("{place} {said}")]);
    let ask = r#", "on_exceed": "ask""#;
    assert_eq!(faults(&nobody("", TELL, &cap(ask))), [format!("{place} {said}")]);
    assert_eq!(
        faults(&nobody(r#""caps": [{ "count": 1, "in": "1h" }],"#, TELL, "")),
        [format!("/caps/0 {said}")]
    );
    // What suppresses or pauses needs nobody, nor does an action that has people of its own.
    let own = LOCK.replace(r#""none""#, r#"{ "groups": [{ "name": "hr" }] }"#);
    for fine in [
        nobody("", TELL, &cap("")),
        nobody("", LOCK, &cap(r#", "on_exceed": "suppress""#)),
        nobody("", LOCK, &cap(r#", "on_exceed": "pause_rule""#)),
        nobody("", &own, &cap("")),
        nobody(r#""caps": [{ "count": 1, "in": "1h", "categories": ["notification"] }],"#, TELL, ""),
    ] {
        RuleSet::from_json(&fine).unwrap_or_else(|error| panic!("{error}"));
    }
    // The only approver wrote the rule, and nobody approves what their own rule asks for.
    let alone = r#""approvers": { "default": "s", "groups": { "s": ["ann"] } },"#;
    for found in [
        faults(&nobody(alone, LOCK, &cap(""))),
        faults(&nobody(&format!(r#"{alone} "caps": [{{ "count": 1, "in": "1h" }}],"#), LOCK, "")),
    ] {
        assert!(found.len() == 1 && found[0].contains("`ann` does not count"), "{found:?}");
    }
}

#[test]
fn caps_are_written_as_they_are_read() {
    let settings = r#""caps": [{ "percent": 0.5, "in": "1d", "per": "type", "categories": ["access_control"] },
        { "percent": 12.05, "in": "7d" }, { "percent": 100, "in": "1h", "on_exceed": "suppress" }], "loop_depth": 0,"#;
    let caps = r#""cap": [{ "count": 20, "in": "1h", "on_exceed": "ask" }, { "count": 3, "in": "1d", "per": "subject", "types": ["escalate_to_hr"] }]"#;
    let set = RuleSet::from_json(&document(settings, &[rule("r", TELL, caps)])).unwrap();
    let again = Settings::from_json(&set.settings().to_json()).unwrap();
    assert_eq!((&again.caps, again.loop_depth), (&set.settings().caps, Some(0)));
    let read = &set.rules().next().unwrap().rule;
    assert_eq!(Rule::from_json(&read.to_json()).unwrap(), *read);
    assert_eq!(read.guards.caps.len(), 2);
    let told = read.conditions();
    assert!(told.ends_with("at most 20 in 1h; at most 3 in 1d per subject for escalate_to_hr"), "{told}");
    let shares: Vec<_> = again.caps.iter().map(Cap::describe).collect();
    assert_eq!(
        shares,
        [
            "0.5 % of users in 1d per type for all of access_control",
            "12.05 % of users in 7d",
            "100 % of users in 1h"
        ]
    );
    // And come back whole from the store.
    let world = World::on(MemoryStore::default(), set.clone());
    assert_eq!(go(world.engine.rules(&world.tenant, at(0))).settings().caps, again.caps);
}
