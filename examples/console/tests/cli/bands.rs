//! Changed bands: shown first, agreed to, carried out.

use std::fs;

use serde_json::json;

use crate::support::{RULES, all_rows, at, fails, json, run};
use crate::{rows, world};

/// Red begins at 35 now, so that 30.5 is critical.
const SCALES: &str = r#""scales": [{ "id": "default", "low": 0, "high": 100, "high_is": "safe", "bands": [
    { "name": "green", "from": 80 }, { "name": "yellow", "from": 60 }, { "name": "orange", "from": 40 },
    { "name": "red", "from": 35 }, { "name": "critical", "from": 0 }] }]"#;

#[test]
fn bands_change_as_they_were_shown_and_agreed_to() {
    let dir = world();
    let dir = dir.path();
    let file = dir.join("bands.json");
    let lock = r#"{ "id": "crit", "trigger": { "score": { "enters": ["critical"] } }, "actions": [{ "key": "a", "type": "lock_account" }] }, "#;
    let text = RULES.replace(r#""rules": ["#, &format!(r#"{SCALES}, "rules": [{lock}"#));
    fs::write(&file, &text).expect("written");
    let path = file.to_str().expect("text");

    let error = fails(&mut at(dir, &["rules", "add", path]), 1);
    assert!(error.contains("the bands of `default` change") && error.contains("preview"), "{error}");
    let shown = run(&mut at(dir, &["bands", "preview", path]));
    for part in
        ["the bands of `default` change", "lock_account", "1 of ", "1 requests for approval", "bands apply"]
    {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let found = json(&mut at(dir, &["bands", "preview", path]));
    let moves = &found["moves"][0];
    assert_eq!(
        (&moves["from"], &moves["to"], &moves["subjects"], &moves["sample"][0]["user"]),
        (&json!("red"), &json!("critical"), &json!(1), &json!("u-3"))
    );
    assert_eq!((&found["approvals"], &found["actions"][0]["ask"]), (&json!(1), &json!(1)));
    assert!(shown.contains(found["digest"].as_str().expect("a digest")));

    let none = "0".repeat(64);
    let apply = |digest: &str, more: &[&str]| {
        let mut call =
            at(dir, &["bands", "apply", path, "--digest", digest, "--by", "s1", "--reason", "stricter"]);
        call.args(more);
        call
    };
    assert!(fails(&mut apply(&none, &[]), 1).contains("does not hold any more"));
    let digest = found["digest"].as_str().expect("a digest");
    assert!(fails(&mut apply(digest, &["--max-moves", "0"]), 1).contains("1 move(s), but 0 were agreed to"));
    let before = rows(&json(&mut at(dir, &["approvals", "list"]))).len();
    assert!(run(&mut apply(digest, &[])).contains("`run` moves the subjects"));
    run(&mut at(dir, &["run"]));
    assert_eq!(run(&mut apply(digest, &[])), run(&mut apply(digest, &[])));
    assert_eq!(json(&mut apply(digest, &[]))["change"]["moved"], 1);
    assert_eq!(rows(&json(&mut at(dir, &["approvals", "list"]))).len(), before + 1);
    assert_eq!(all_rows(dir, &["log", "--rule", "crit"])[0]["subject"]["user"], "u-3");
    assert!(run(&mut at(dir, &["bands", "preview", path])).contains("the bands of no scale change"));
    run(&mut at(dir, &["audit", "verify"]));
}
