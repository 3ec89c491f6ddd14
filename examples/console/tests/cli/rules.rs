//! Rules: checked, added, listed, stopped.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::rows;
use crate::support::{RULES, at, console, fails, inputs, json, run};

#[test]
fn a_document_is_checked_with_every_fault_in_its_place() {
    let dir = inputs();
    let dir = dir.path();
    let file = |name: &str, text: &str| {
        fs::write(dir.join(name), text).expect("written");
        dir.join(name)
    };
    let bad = file(
        "bad.json",
        r#"{ "rules": [
  { "id": "a", "trigger": { "event": { "pattern": { "kind": [] } } }, "actions": [{ "key": "k", "type": "escalate_to_hr" }] },
  { "id": "b", "trigger": { "manual": {} }, "colour": "red", "actions": [{ "key": "k", "type": "escalate_to_hr" }] },
  { "id": "c", "trigger": { "manual": {} }, "actions": [{ "key": "k", "type": "lock_acount" }] },
  { "id": "d", "trigger": { "manual": {} }, "actions": [{ "key": "k", "type": "lock_account" }] },
  { "id": "c", "trigger": { "schedule": { "cron": "61 * * * *", "audience": {"band": ["red"]} } },
    "actions": [{ "key": "k", "type": "create_ticket", "params": { "queue": "q" } }] } ] }"#,
    );
    let places = [
        ("/rules/0/trigger/event/pattern/kind", 2, 61, "an empty list"),
        ("/rules/1/colour", 3, 45, "unknown field `colour`"),
        ("/rules/2/actions/0/type", 4, 79, "unknown action type `lock_acount`"),
        ("/rules/3/actions/0/approval", 5, 57, "approv"),
        // One that could not be read hides nothing of the rest of its rule.
        ("/rules/4/id", 6, 11, "stands twice"),
        ("/rules/4/trigger/schedule/cron", 6, 51, "`61` is out of range"),
        ("/rules/4/actions/0/params", 7, 66, "`title` is missing"),
    ];
    let error = fails(console(dir).args(["rules", "check"]).arg(&bad), 1);
    for (pointer, line, column, fault) in places {
        let start = format!("{pointer} (line {line}, column {column}): ");
        let told = error.lines().find(|told| told.starts_with(&start));
        assert!(told.is_some_and(|told| told.contains(fault)), "{start}{fault} in\n{error}");
    }
    let output = console(dir).args(["rules", "check", "--json"]).arg(&bad).output().expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &report["ok"]), (Some(1), &json!(false)));
    assert_eq!(report["faults"].as_array().map(Vec::len), Some(places.len()), "{report:#}");
    assert!(
        fails(console(dir).args(["rules", "add"]).arg(&bad), 1)
            .contains("bad.json: the document has 7 fault(s)")
    );
    assert!(!dir.join("test.db").exists(), "rules with faults make no database");

    let good = dir.join("rules.json");
    assert!(
        run(console(dir).args(["rules", "check"]).arg(&good)).ends_with("rules.json: 4 rules, no fault\n")
    );
    let loose = file(
        "loose.json",
        &RULES.replace(
            r#""approval": { "groups": [{ "name": "security", "need": 2 }] }"#,
            r#""approval": "none""#,
        ),
    );
    let report = json(console(dir).args(["rules", "check"]).arg(&loose));
    assert_eq!(
        (&report["ok"], &report["rules"], report["warnings"].as_array().map(Vec::len)),
        // Nobody is asked, and nothing ends the lock.
        (&json!(true), &json!(4), Some(2))
    );
}

#[test]
fn rules_are_added_listed_stopped_and_let_go() {
    let dir = inputs();
    let dir = dir.path();
    let add = |file: &Path| json(at(dir, &["rules", "add"]).arg(file));
    let first = add(&dir.join("rules.json"));
    assert_eq!((first["added"].as_array().map(Vec::len), &first["unchanged"]), (Some(4), &json!([])));
    let next = dir.join("next.json");
    fs::write(&next, RULES.replace("\"login\" } }]", "\"signed in\" } }]")).expect("written");
    assert_eq!(add(&next)["added"], json!([{"rule": "note", "revision": 2}]));

    run(&mut at(dir, &["rules", "deactivate", "note", "--by", "s1"]));
    let mut again = console(dir);
    again.args(["replay", "--rules"]).arg(&next).arg("--events").arg(dir.join("events.ndjson"));
    run(&mut again);
    let list = || json(&mut at(dir, &["rules", "list"]));
    let row = |list: &Value, id: &str| {
        list.as_array().expect("rules").iter().find(|row| row["id"] == id).expect("the rule").clone()
    };
    let listed = list();
    let (note, lock) = (row(&listed, "note"), row(&listed, "lock"));
    assert_eq!((&note["active"], &note["executions"]), (&json!(false), &json!(0)));
    assert_eq!(
        (&lock["active"], &lock["executions"], &lock["last_fired"]),
        (&json!(true), &json!(2), &json!("2026-03-02T09:02:00Z"))
    );
    assert!(run(&mut at(dir, &["rules", "list"])).contains("lock_account (asks 2 of security)"));
    run(&mut at(dir, &["rules", "activate", "note"]));
    assert_eq!(row(&list(), "note")["active"], true);
    for change in ["activate", "deactivate"] {
        assert!(fails(&mut at(dir, &["rules", change, "nope"]), 1).contains("no rule `nope`"));
    }
    let audit = json(&mut at(dir, &["audit", "list", "--trail", "--code", "POLICY_RULE_DEACTIVATED"]));
    assert_eq!((rows(&audit).len(), &rows(&audit)[0]["actor"]), (1, &json!("person:s1")));
}
