//! Why, and why not, on the command line; windows and storms as the log shows them.

use std::fs;

use crate::support::{console, fails, json, run};

const RULES: &str = r#"[
  { "id": "guessing", "trigger": { "event": { "sources": ["vpn"], "pattern": { "login": ["failed"] },
      "window": { "count": 3, "in": "10m" } } },
    "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
  { "id": "noisy", "trigger": { "event": { "pattern": { "login": ["failed"] } } },
    "actions": [{ "key": "a", "type": "escalate_to_manager" }], "guards": { "cooldown": { "for": "1h" } } } ]"#;

#[test]
fn a_rule_says_why_it_does_not_act() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let line = |n: usize, kind: &str| {
        format!(
            "{{\"id\":\"e{n}\",\"time\":\"2026-03-02T09:0{n}:00Z\",\"type\":\"{kind}\",\"subject\":\"u-1\",\"payload\":{{\"login\":\"failed\"}}}}\n"
        )
    };
    let events: String = (0..3).map(|n| line(n, "vpn")).collect();
    fs::write(dir.join("rules.json"), RULES).expect("written");
    fs::write(dir.join("events.ndjson"), events).expect("written");
    fs::write(dir.join("next.ndjson"), line(3, "web") + &line(4, "vpn")).expect("written");
    run(console(dir)
        .args(["replay", "--rules"])
        .arg(dir.join("rules.json"))
        .arg("--events")
        .arg(dir.join("events.ndjson")));

    let next = dir.join("next.ndjson");
    let text = run(console(dir).args(["explain", "--rule", "guessing", "--event"]).arg(&next));
    assert!(text.contains("rule `guessing` revision 1: unconcerned, because of its source"), "{text}");
    assert!(text.contains("- source (first): web; wanted: vpn"), "{text}");
    let text = run(console(dir).args(["explain", "--line", "2", "--event"]).arg(&next));
    assert!(text.contains("3 of 3 within 10m, and the rule has acted in this window"), "{text}");
    assert!(text.contains("suppressed (cooldown), repeat 3 of enf_"), "{text}");
    let data = json(console(dir).args(["explain", "--rule", "noisy", "--event"]).arg(&next));
    assert_eq!((&data[0]["answer"], &data[0]["decided_by"]), (&"held_back".into(), &"guards".into()));
    // Nothing was decided by asking.
    assert_eq!(json(console(dir).arg("signals"))["rows"].as_array().expect("rows").len(), 3);

    let log = run(console(dir).arg("log"));
    assert!(log.contains("event e0 and 2 more"), "{log}");
    let signals = run(console(dir).arg("signals"));
    assert!(signals.contains("guessing: 2 of 3 within 10m"), "{signals}");
    let rows = json(console(dir).args(["log", "--rule", "guessing"]));
    let id = rows["rows"][0]["id"].as_str().expect("an id").to_owned();
    let shown = run(console(dir).args(["log", "show", &id]));
    assert!(shown.contains("3 of 3 within 10m: e0, e1, e2"), "{shown}");

    let told = fails(console(dir).args(["explain", "--line", "9", "--event"]).arg(&next), 1);
    assert!(told.ends_with("no line 9\n"), "{told}");
    let told = fails(console(dir).args(["explain", "--rule", "nobody", "--event"]).arg(&next), 1);
    assert!(told.contains("no rule `nobody`"), "{told}");

    // Lines are counted as editors and the reject file count them.
    fs::write(&next, format!("\n{}\n  \n{}\n", line(3, "web"), line(4, "vpn"))).expect("written");
    let text = run(console(dir).args(["explain", "--line", "5", "--event"]).arg(&next));
    assert!(text.contains("3 of 3 within 10m, and the rule has acted in this window"), "{text}");
    for empty in ["1", "3", "6"] {
        let told = fails(console(dir).args(["explain", "--line", empty, "--event"]).arg(&next), 1);
        assert!(told.ends_with(&format!("no line {empty} but an empty one\n")), "{told}");
    }
    let told = fails(console(dir).args(["explain", "--line", "7", "--event"]).arg(&next), 1);
    assert!(told.ends_with("no line 7\n"), "{told}");
    let told = fails(console(dir).args(["explain", "--line", "7", "--event"]).arg(dir), 1);
    assert!(told.contains("reading failed"), "{told}");
}
