//! What a rule may ask of the subject's attributes (behaviour 3.4), in the language of events.

use crate::support::{World, at, id};
use tipstaff::*;

const KNOWN: &str = r#"{ "department": "Finance", "privileged": true, "grade": 7.0, "address": "10.1.2.3",
    "groups": [{ "name": "payments", "role": "owner" }, { "name": "audit", "role": "guest" }] }"#;

fn concerns(pattern: &str, attributes: Option<&str>) -> bool {
    let rules = format!(
        r#"{{ "id": "r", "trigger": {{ "event": {{ "pattern": {{ "a": [1] }} }} }}, "subject": {pattern},
            "actions": [{{ "key": "k", "type": "escalate_to_hr" }}] }}"#
    );
    let world = World::new(&rules);
    let event = world.event("s1", "ana", at(0), r#"{ "a": 1 }"#);
    let event = match attributes {
        Some(text) => event.attributes(Payload::new(text).unwrap()),
        None => event,
    };
    let created = world.submit(event.clone(), at(0)).enforcements().count();
    // What is explained is what was decided.
    let rules = RuleSet::from_json(&rules).unwrap();
    let parts = rules.rule(&id("r")).unwrap().parts(&event.into());
    let subject = parts.iter().find(|part| part.part == Part::Subject).unwrap();
    assert_eq!(subject.holds, created == 1, "{subject}");
    created == 1
}

#[test]
fn attributes_speak_the_language_of_events() {
    for (pattern, with, without) in [
        (r#"{ "department": ["Finance", "HR"] }"#, true, false),
        (r#"{ "department": ["finance"] }"#, false, false),
        (r#"{ "department": [{ "equals-ignore-case": "finance" }] }"#, true, false),
        (r#"{ "privileged": [true] }"#, true, false),
        (r#"{ "privileged": ["true"] }"#, false, false),
        (r#"{ "grade": [{ "numeric": [">=", 7] }] }"#, true, false),
        (r#"{ "address": [{ "cidr": "10.0.0.0/8" }] }"#, true, false),
        (r#"{ "department": [{ "anything-but": ["HR"] }] }"#, true, false),
        (r#"{ "contractor": [{ "exists": false }] }"#, true, true),
        (r#"{ "department": [{ "exists": false }] }"#, false, true),
        (r#"{ "groups": { "name": ["payments"], "role": ["owner"] } }"#, true, false),
        (r#"{ "groups": { "name": ["payments"], "role": ["guest"] } }"#, false, false),
        (r#"{ "$or": [{ "department": ["HR"] }, { "privileged": [true] }] }"#, true, false),
    ] {
        assert_eq!(concerns(pattern, Some(KNOWN)), with, "{pattern}");
        assert_eq!(concerns(pattern, None), without, "{pattern}, of whom nothing is known");
        assert_eq!(concerns(pattern, Some("{}")), without, "{pattern}, of whom there is nothing to know");
    }
}

#[test]
fn a_window_counts_only_those_who_fit() {
    let world = World::new(
        r#"{ "id": "r", "subject": { "privileged": [true] },
            "trigger": { "event": { "pattern": { "a": [1] }, "window": { "count": 2, "in": "1h" } } },
            "actions": [{ "key": "k", "type": "escalate_to_hr" }] }"#,
    );
    let submit = |n: i64, privileged: bool| {
        let attributes = Payload::new(format!(r#"{{ "privileged": {privileged} }}"#)).unwrap();
        let event = world.event(&format!("s{n}"), "ana", at(n), r#"{ "a": 1 }"#).attributes(attributes);
        world.submit(event, at(n)).windows.first().map(|stand| stand.count)
    };
    assert_eq!([submit(0, true), submit(1, false), submit(2, true)], [Some(1), None, Some(2)]);
}

#[test]
fn a_pattern_on_attributes_is_checked_as_any() {
    let error = RuleSet::from_json(
        r#"[{ "id": "r", "trigger": { "manual": {} }, "subject": { "grade": [{ "numeric": [">", 5, "<", 5] }] },
            "actions": [{ "key": "k", "type": "escalate_to_hr" }] }]"#,
    )
    .unwrap_err();
    assert_eq!(error.faults.len(), 1);
    assert!(error.faults[0].pointer.starts_with("/0/subject/grade"), "{error}");
}
