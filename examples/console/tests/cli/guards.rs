//! Exemptions, effects, why and why not.

use std::fs;

use crate::support::{all_rows, console, fails, json, run};

const RULES: &str = r#"{ "approvers": { "default": "sec", "groups": { "sec": ["s1", "s2"] } },
  "quiet_hours": [{ "from": "22:00", "to": "06:00", "categories": ["escalation"] }],
  "protected": [{ "users": ["ceo"], "why": "the board decides" }],
  "rules": [
    { "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
      "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "24h" }] },
    { "id": "tell", "trigger": { "event": { "pattern": { "do": ["tell"] } } },
      "actions": [{ "key": "a", "type": "escalate_to_hr" }], "guards": { "rollout": 0 } } ] }"#;

fn event(n: usize, user: &str, what: &str) -> String {
    format!(
        "{{\"id\":\"e{n}\",\"time\":\"2026-03-02T09:0{n}:00Z\",\"type\":\"vpn\",\"subject\":\"{user}\",\"payload\":{{\"do\":\"{what}\"}}}}\n"
    )
}

#[test]
fn people_ask_why_exempt_and_let_go() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let events = event(0, "u-1", "lock") + &event(1, "u-2", "lock") + &event(2, "ceo", "lock");
    fs::write(dir.join("rules.json"), RULES).expect("written");
    fs::write(dir.join("events.ndjson"), events).expect("written");
    run(console(dir)
        .args(["replay", "--rules"])
        .arg(dir.join("rules.json"))
        .arg("--events")
        .arg(dir.join("events.ndjson")));
    let at = |minute: &str, args: &[&str]| {
        let mut command = console(dir);
        command.args(["--now", &format!("2026-03-02T{minute}:00Z")]).args(args);
        command
    };

    let effects = json(&mut at("09:10", &["effects", "list"]));
    let effects = effects["rows"].as_array().expect("rows");
    assert_eq!(effects.len(), 2);
    let list = ["effects", "list", "--limit", "1"];
    let page = run(&mut at("09:10", &list));
    let cursor = page.split("more with --after ").nth(1).expect("more").trim().to_owned();
    let rest = json(at("09:10", &list).args(["--after", &cursor]));
    assert_eq!((&rest["rows"][0], &rest["next"]), (&effects[1], &serde_json::Value::Null));
    let text = run(&mut at("09:10", &["effects", "list", "--subject", "u-1"]));
    assert!(text.contains("rule `lock` until 2026-03-03T09:00:00Z"), "{text}");

    let rows = json(&mut at("09:10", &["log", "--subject", "u-1", "--action", "lock_account"]));
    let enforcement = rows["rows"][0]["id"].as_str().expect("an id").to_owned();
    let why = run(&mut at("09:10", &["why", &enforcement]));
    assert!(why.contains("because of event e0"), "{why}");
    assert!(
        why.contains("rule `lock` revision 1 asks for it on an event from any source where do is \"lock\""),
        "{why}"
    );
    assert!(why.contains("nobody was asked first"), "{why}");
    assert!(why.contains("what stands of it"), "{why}");

    let why_not = run(&mut at("23:00", &["why-not", "--subject", "u-9", "--rule", "tell"]));
    assert!(
        why_not.contains("suppressed (quiet_hours), every day 22:00-06:00 UTC, until 2026-03-03T06:00:00Z"),
        "{why_not}"
    );
    assert!(why_not.contains("suppressed (rollout), place "), "{why_not}");
    let why_not = run(&mut at("09:10", &["why-not", "--subject", "ceo", "--rule", "lock"]));
    assert!(why_not.contains("suppressed (protected), the board decides"), "{why_not}");
    let data = json(&mut at("09:10", &["why-not", "--subject", "ceo", "--rule", "lock"]));
    assert_eq!(data["last"][0]["signal"]["id"], "e2");
    let error = fails(&mut at("09:10", &["why-not", "--subject", "ceo", "--rule", "nobody"]), 1);
    assert!(error.contains("no rule `nobody`"), "{error}");

    // One is exempted by name, the other by an attribute that nobody has told yet.
    let granted = run(&mut at(
        "09:11",
        &[
            "exempt",
            "grant",
            "--subject",
            "u-1",
            "--from",
            "rule lock",
            "--until",
            "2026-03-05T00:00:00Z",
            "--reason",
            "a false alarm",
        ],
    ));
    assert!(granted.contains("rule lock") && granted.contains("a false alarm"), "{granted}");
    run(&mut at("09:11", &["exempt", "grant", "--where", r#"{"dept":["legal"]}"#, "--reason", "a trial"]));
    run(&mut at("09:12", &["run"]));
    let left = json(&mut at("09:13", &["effects", "list"]));
    assert_eq!(left["rows"].as_array().expect("rows").len(), 1);
    let listed = json(&mut at("09:13", &["exempt", "list"]));
    let whom: Vec<_> =
        listed["rows"].as_array().expect("rows").iter().map(|row| row["whom"].clone()).collect();
    assert_eq!(whom.len(), 2);
    assert_eq!(whom[1], r#"where {"dept":["legal"]}"#);
    run(&mut at("09:14", &["exempt", "revoke", "--where", r#"{"dept":["legal"]}"#, "--reason", "over"]));
    let listed = json(&mut at("09:15", &["exempt", "list"]));
    assert_eq!(listed["rows"].as_array().expect("rows").len(), 1);
    fails(&mut at("09:15", &["exempt", "grant", "--reason", "nobody"]), 2);
    for (from, told) in [("rule nope", "no rule `nope`"), ("type nope", "unknown action type `nope`")] {
        let grant = ["exempt", "grant", "--subject", "u-7", "--from", from, "--reason", "x"];
        let error = fails(&mut at("09:15", &grant), 1);
        assert!(error.contains(told), "{error}");
    }
    let error = fails(&mut at("09:15", &["exempt", "grant", "--where", "{", "--reason", "x"]), 2);
    assert!(error.contains("--where"), "{error}");

    let id = left["rows"][0]["id"].as_str().expect("an id").to_owned();
    let lifted = run(&mut at("09:16", &["effects", "lift", &id, "--reason", "over", "--by", "s1"]));
    assert!(lifted.contains("lifting"), "{lifted}");
    run(&mut at("09:17", &["run"]));
    let clear = json(&mut at("09:18", &["effects", "list", "--status", "clear"]));
    assert_eq!(clear["rows"].as_array().expect("rows").len(), 2);
}

#[test]
fn why_finds_what_took_a_lock_back_behind_many_other_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let rules = RULES.replace(r#""guards": { "rollout": 0 }"#, r#""mode": "live""#);
    fs::write(dir.join("rules.json"), rules).expect("written");
    let line = |n: usize, what: &str| event(0, "u-1", what).replace("\"e0\"", &format!("\"e{n}\""));
    let events: String = line(0, "lock") + &(1..=205).map(|n| line(n, "tell")).collect::<String>();
    fs::write(dir.join("events.ndjson"), events).expect("written");
    let mut replay = console(dir);
    replay.args(["replay", "--rules"]).arg(dir.join("rules.json"));
    run(replay.arg("--events").arg(dir.join("events.ndjson")));
    let at = |args: &[&str]| {
        let mut command = console(dir);
        command.args(["--now", "2026-03-02T09:10:00Z"]).args(args);
        command
    };
    let effects = json(&mut at(&["effects", "list"]));
    let effect = effects["rows"][0]["id"].as_str().expect("an effect");
    run(&mut at(&["effects", "lift", effect, "--reason", "over"]));
    run(&mut at(&["run"]));
    let locks = json(&mut at(&["log", "--action", "lock_account"]));
    let why = json(&mut at(&["why", locks["rows"][0]["id"].as_str().expect("an id")]));
    assert!(all_rows(dir, &["log", "--subject", "u-1"]).len() > 205, "more than a page comes before it");
    assert_eq!(why["effect"]["id"], effect);
    // What was to come at the end of the lock's time, and what came by hand instead.
    assert_eq!(why["undone_by"].as_array().map(Vec::len), Some(2));
}
