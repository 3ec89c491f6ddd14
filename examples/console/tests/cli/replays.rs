//! Replays: what they take, refuse and repeat.

use std::fs;

use serde_json::{Value, json};

use crate::support::{EVENTS, all_rows, console, fails, inputs, json, replay, run};

#[test]
fn a_replay_tells_what_it_refused_and_changes_nothing_the_second_time() {
    let dir = inputs();
    let dir = dir.path();
    let state = || {
        let mut files: Vec<_> = ["chat", "access", "notices"]
            .iter()
            .flat_map(|folder| fs::read_dir(dir.join("outbox").join(folder)).expect("a folder"))
            .map(|file| file.expect("a file").path())
            .collect();
        files.sort();
        let requests = json(console(dir).args(["approvals", "list", "--all"]));
        let head = run(console(dir).args(["audit", "head"]));
        (all_rows(dir, &["log"]), all_rows(dir, &["signals"]), requests, head, files)
    };
    let first = json(&mut replay(dir));
    assert_eq!(
        first,
        json!({"signals": 8, "concerned": 5, "repeats": 1, "firings": 5, "rejected": 3, "until": "2026-03-02T09:05:00Z"})
    );
    let before = state();
    assert_eq!((before.0.len(), before.1.len()), (4, 5));
    let rejects = fs::read_to_string(dir.join("rejects.ndjson")).expect("rejects");
    let rejects: Vec<Value> = rejects.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let events = fs::read_to_string(dir.join("events.ndjson")).expect("events");
    for (reject, (line, fault)) in rejects.iter().zip([
        (3, "no JSON"),
        (4, "`time`: `yesterday` is no time"),
        (6, "signal `e1` came before with other content"),
    ]) {
        assert_eq!(reject["line"], line);
        let offset = reject["offset"].as_u64().and_then(|at| usize::try_from(at).ok()).expect("an offset");
        assert!(events[offset..].starts_with(reject["text"].as_str().expect("the line")), "{reject}");
        assert!(reject["fault"].as_str().expect("why").starts_with(fault), "{reject}");
    }
    assert_eq!((rejects.len(), &rejects[1]["at"]), (3, &json!(18)));

    let again = json(&mut replay(dir));
    assert_eq!((&again["signals"], &again["rejected"]), (&first["signals"], &first["rejected"]));
    assert!(state() == before, "0 new");
}

#[test]
fn a_replay_maps_other_forms() {
    let dir = inputs();
    let path = |name: &str| dir.path().join(name);
    fs::write(
        path("map.json"),
        r#"{"id": ["/n"], "type": {"is": "portal"}, "subject": {"from": ["/who"], "strip": ["@example.com"]},
        "time": {"from": ["/when"], "format": "epoch_seconds"}}"#,
    )
    .expect("written");
    fs::write(
        path("events.ndjson"),
        "{\"n\":7,\"who\":\"u-5@example.com\",\"when\":1772442000,\"kind\":\"login\"}\n",
    )
    .expect("written");
    let report = json(replay(dir.path()).arg("--map").arg(path("map.json")));
    assert_eq!((&report["firings"], &report["rejected"]), (&json!(1), &json!(0)));
    let log = all_rows(dir.path(), &["log", "--subject", "u-5", "--source", "portal"]);
    assert_eq!((log.len(), &log[0]["origin"]["at"]), (1, &json!("2026-03-02T09:00:00Z")));

    // Without the map the line is refused, and the reject file says why.
    let unmapped = json(&mut replay(dir.path()));
    assert_eq!((&unmapped["signals"], &unmapped["rejected"]), (&json!(0), &json!(1)));
    fs::write(path("map.json"), r#"{"id": ["n"], "colour": 1}"#).expect("written");
    let error = fails(replay(dir.path()).arg("--map").arg(path("map.json")), 1);
    assert!(error.contains("map.json: ") && error.contains("colour") && error.contains("`time`"), "{error}");
}

#[test]
fn a_replay_that_cannot_read_makes_and_replaces_nothing() {
    let dir = inputs();
    let dir = dir.path();
    let error = fails(replay(dir).args(["--events", "missing.ndjson"]), 1);
    assert!(error.contains("missing.ndjson: "), "{error}");
    assert!(!dir.join("test.db").exists() && !dir.join("rejects.ndjson").exists());
    let error = fails(replay(dir).arg("--rejects").arg(dir.join("events.ndjson")), 1);
    assert!(error.contains("would replace it"), "{error}");
    assert_eq!(fs::read_to_string(dir.join("events.ndjson")).expect("still there"), EVENTS);
}
