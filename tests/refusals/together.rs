//! Faults beside each other: none hides another, moves its place, or leads to a false one.

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
