//! Faults beside each other: none hides another, moves its place, or leads to a false one.

use serde_json::{Value, json};
use tipstaff::RuleSet;

#[test]
fn one_rule_may_have_many_faults() {
    let text = r#"{ "id": "", "titel": 1, "mode": "on",
      "trigger": { "event": { "sources": [" "], "pattern": { "a": [], "b": [{ "regex": 1 }] } } },
      "actions": [{ "type": "x y" }, { "key": "k", "type": "lock_account", "approval": 7 }],
      "guards": { "cooldown": { "per": "all" } } }"#;
    let error = RuleSet::from_json(text).unwrap_err();
    let told: Vec<_> = error.faults.iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(
        told,
        [
            "/id",
            "/titel",
            "/mode",
            "/trigger/event/sources/0",
            "/trigger/event/pattern/a",
            "/trigger/event/pattern/b/0/regex",
            "/actions/0",
            "/actions/0/type",
            "/actions/1/approval",
            "/guards/cooldown",
            "/guards/cooldown/per",
        ]
    );
}

/// The pointers of all faults, and what the document says there.
fn told(text: &str) -> Vec<String> {
    let error = RuleSet::from_json(text).unwrap_err();
    error.faults.into_iter().map(|fault| fault.pointer).collect()
}

#[test]
fn what_cannot_be_read_hides_nothing_of_the_rest() {
    let trigger = r#""trigger": { "event": { "pattern": 7 } }"#;
    let actions = r#""actions": [{ "key": "a", "type": "no_such_type" },
        { "key": "b", "type": "send_chat_message", "params": { "channel": "c", "message": "{band}" } }]"#;
    let guards = r#""guards": { "cooldown": { "for": "1h", "per": "field", "field": "ip" }, "rollout": 5 }"#;
    // The variable and the field may be known to what the rule hears: that is not judged.
    let unread = format!(r#"[{{ "id": "r", {trigger}, {guards}, {actions} }}]"#);
    assert_eq!(told(&unread), ["/0/trigger/event/pattern", "/0/actions/0/type"]);
    // Two rules without an id have none twice, and one with an id of its own is told of.
    let nameless = r#"{ "trigger": { "manual": {} }, "actions": [{ "key": "a", "type": "no_such_type" }] }"#;
    let twice = r#"{ "id": "r", "trigger": { "manual": {} }, "actions": [] }"#;
    let all = format!("[{nameless}, {nameless}, {twice}, {twice}]");
    assert_eq!(
        told(&all),
        ["/0", "/0/actions/0/type", "/1", "/1/actions/0/type", "/2/actions", "/3/id", "/3/actions"]
    );
}

#[test]
fn what_stands_after_something_unreadable_is_told_of_at_its_own_place() {
    let text = r#"{
      "scales": [7, { "id": "s", "low": 0, "high": 9, "high_is": "safe",
                      "bands": [{ "name": "a", "from": 0 }, { "name": "b", "from": 5 }] },
                 { "id": "s", "low": 0, "high": 9, "high_is": "safe",
                   "bands": [{ "name": "a", "from": 0 }, { "name": "b", "from": 5 }] }],
      "types": [7, { "name": "x", "title": "", "category": "notification" }],
      "protected": [7, {}, { "users": 7 }],
      "maintenance": [7, { "from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z" }],
      "quiet_hours": [7, { "from": "01:00", "to": "01:00" }],
      "caps": [7, { "percent": 5, "in": "1h", "per": "subject", "on_exceed": "suppress" }],
      "rules": [7, { "id": "r",
        "trigger": { "score": { "scale": "s", "enters": [7, "c"] } },
        "actions": [7, { "key": "a", "type": "send_chat_message", "params": { "channel": "c" } },
                    { "key": "a", "type": "create_ticket", "params": { "queue": "q", "title": "t" } }],
        "guards": { "cap": [7, { "percent": 5, "in": "1h", "per": "subject", "on_exceed": "suppress" }] } }] }"#;
    assert_eq!(
        told(text),
        [
            "/scales/0",
            "/scales/2",
            "/types/0",
            "/types/1/title",
            "/protected/0",
            "/protected/1",
            "/protected/2/users",
            "/maintenance/0",
            "/maintenance/1/to",
            "/quiet_hours/0",
            "/quiet_hours/1",
            "/caps/0",
            "/caps/1/percent",
            "/rules/0",
            "/rules/1/trigger/score/enters/0",
            "/rules/1/trigger/score/enters/1",
            "/rules/1/actions/0",
            "/rules/1/actions/1/params",
            "/rules/1/actions/2/key",
            "/rules/1/guards/cap/0",
            "/rules/1/guards/cap/1/percent",
        ]
    );
}

#[test]
fn what_cannot_be_read_is_not_called_missing() {
    let text = r#"{
      "approvers": { "default": "g", "groups": { "g": 7 } },
      "administrators": { "group": "g", "keep": 1 },
      "scales": [{ "id": "s" }],
      "types": [{ "name": "x", "restricts": 7, "retry": 7, "params": [{ "required": 7, "kind": "flag" }] }],
      "maintenance": [{ "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z", "types": ["x"] }],
      "rules": [
        { "id": "by hand", "trigger": { "manual": {} }, "actions": [] },
        { "id": "score", "trigger": { "score": { "scale": "s", "enters": ["bad"] } },
          "actions": [{ "key": "a", "type": "x" }, { "key": "b", "type": "lock_account", "for": "1h" }] }] }"#;
    assert_eq!(
        told(text),
        [
            "/approvers/groups/g",
            "/scales/0",
            "/scales/0",
            "/scales/0",
            "/scales/0",
            "/types/0",
            "/types/0/restricts",
            "/types/0/retry",
            "/types/0/params/0",
            "/types/0/params/0/required",
            "/rules/0/actions",
        ]
    );
}

#[test]
fn pointers_are_escaped() {
    let text = r#"[{ "id": "r", "trigger": { "event": { "pattern": { "a/b~c": [] } } }, "actions": [] }]"#;
    let error = RuleSet::from_json(text).unwrap_err();
    assert_eq!(error.faults[0].pointer, "/0/trigger/event/pattern/a~1b~0c");
}

#[test]
fn a_list_of_one_is_a_list() {
    let rule = |guards: &str, approval: &str| {
        format!(
            r#"{{ "approvers": {{ "default": "g", "groups": {{ "g": ["bo"] }} }},
                 "rules": [{{ "id": "a", "trigger": {{ "manual": {{}} }}, "guards": {guards},
                   "actions": [{{ "key": "k", "type": "escalate_to_hr", "approval": {approval} }}] }}] }}"#
        )
    };
    let cap = r#"{ "count": 2, "in": "1h", "types": ["nothing"] }"#;
    let twice = r#"{ "groups": [{ "name": "g" }, { "name": "g" }] }"#;
    for (guards, approval, place) in [
        (format!(r#"{{ "cap": {cap} }}"#), r#""none""#.to_owned(), "/rules/0/guards/cap/types"),
        (format!(r#"{{ "cap": [{cap}] }}"#), r#""none""#.to_owned(), "/rules/0/guards/cap/0/types"),
        ("{}".to_owned(), twice.to_owned(), "/rules/0/actions/0/approval/groups"),
        (
            "{}".to_owned(),
            format!(r#"{{ "stages": [{twice}] }}"#),
            "/rules/0/actions/0/approval/stages/0/groups",
        ),
    ] {
        let places = told(&rule(&guards, &approval));
        assert!(places.contains(&place.to_owned()), "{place}: {places:?}");
    }
}

/// A sound document that says something in every room of the reader.
const WHOLE: &str = r#"{
  "approvers": { "default": "g", "groups": { "g": ["bo", "cy", "di"], "h": ["ed"] }, "operators": ["olga"] },
  "policy": "strict",
  "administrators": { "group": "h", "keep": 1, "types": ["cut_off"] },
  "scales": [{ "id": "s", "low": 0, "high": 9, "high_is": "safe", "hold": "7d",
               "bands": [{ "name": "a", "from": 0 }, { "name": "b", "from": 5 }],
               "hysteresis": { "margin": 1, "dwell": "1h", "toward": "better" } }],
  "types": [{ "name": "let_in", "title": "Let in", "category": "access_control", "restricts": false, "params": [] },
            { "name": "cut_off", "title": "Cut off", "category": "access_control", "restricts": true,
              "inverse": "let_in", "approval": true, "channel": "door", "confirm_within": "1h",
              "params": [{ "name": "how", "kind": "choice", "choices": ["all", "some"], "required": false }] }],
  "protected": [{ "users": ["ana"], "types": ["cut_off"], "why": "on call" }],
  "maintenance": [{ "from": "2026-03-01T00:00:00Z", "to": "2026-03-02T00:00:00Z", "categories": ["notification"] }],
  "quiet_hours": [{ "days": ["sat"], "from": "00:00", "to": "24:00", "zone": "Europe/Berlin" }],
  "caps": [{ "count": 9, "in": "1h", "on_exceed": "ask" }],
  "loop_depth": 3,
  "rules": [
    { "id": "heard", "title": "Heard", "revision": 2, "mode": "shadow", "author": "olga",
      "trigger": { "event": { "sources": ["okta"], "pattern": { "kind": ["login"], "n": [{ "numeric": [">", 1] }] },
                              "window": { "count": 3, "in": "1h" } } },
      "subject": { "department": ["hr"] },
      "actions": [{ "key": "a", "type": "send_chat_message", "params": { "channel": "c", "message": "{event.n}" } },
                  { "key": "b", "type": "cut_off", "for": { "ladder": ["1h", "2h"], "decay": "30d" }, "delay": "5m",
                    "approval": { "stages": [{ "groups": [{ "name": "g", "need": 2 }], "within": "2h",
                                               "fallback": { "groups": [{ "name": "h" }] } }],
                                  "start_within": "1h" } }],
      "guards": { "cooldown": { "for": "1h", "per": "field", "field": "ip" }, "rollout": 5,
                  "not_before": "2026-01-01T00:00:00Z", "not_after": "2027-01-01T00:00:00Z",
                  "cap": [{ "count": 2, "in": "1h", "on_exceed": "ask" }] } },
    { "id": "scored", "trigger": { "score": { "scale": "s", "enters": ["a"], "direction": "worse", "cooldown": "1h" } },
      "actions": [{ "key": "a", "type": "create_ticket", "params": { "queue": "q", "title": "{band}" } }] },
    { "id": "timed", "trigger": { "schedule": { "cron": "0 9 * * *", "zone": "UTC",
                                                "audience": { "scale": "s", "band": ["a"] } } },
      "actions": [{ "key": "a", "type": "escalate_to_manager" }] },
    { "id": "late", "trigger": { "deadline": { "opens": { "pattern": { "do": ["open"] } },
                                               "closes": { "sources": ["hr"], "pattern": { "do": ["close"] } },
                                               "within": "2d" } },
      "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
    { "id": "hand", "trigger": { "manual": {} }, "actions": [{ "key": "a", "type": "escalate_to_hr" }] }] }"#;

/// The pointers of all values below one.
fn places(value: &Value, pointer: &str, found: &mut Vec<String>) {
    let mut visit = |name: String, value: &Value| {
        let pointer = format!("{pointer}/{name}");
        found.push(pointer.clone());
        places(value, &pointer, found);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| visit(name.clone(), value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, value)| visit(i.to_string(), value)),
        _ => {}
    }
}

#[test]
fn one_value_that_cannot_be_read_is_the_only_one_that_is_blamed() {
    RuleSet::from_json(WHOLE).expect("the document is sound");
    let whole: Value = serde_json::from_str(WHOLE).expect("it is JSON");
    let mut all = Vec::new();
    places(&whole, "", &mut all);
    assert!(all.len() > 200, "{}", all.len());
    let within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
    let mut wrong = Vec::new();
    for place in all {
        let mut broken = whole.clone();
        *broken.pointer_mut(&place).expect("it is there") = json!([[7]]);
        let told = told(&broken.to_string());
        // Of a value that is judged as one, such as a scale, a part's fault may be told as the whole's.
        let blames = |fault: &String| within(fault, &place) || (!fault.is_empty() && within(&place, fault));
        let others: Vec<_> = told.iter().filter(|fault| !blames(fault)).collect();
        if !others.is_empty() {
            wrong.push(format!("{place}: {others:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
