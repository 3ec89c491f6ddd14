//! Replays: what they take, refuse and repeat.

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{EVENTS, all_rows, at, console, fails, inputs, json, replay, run};
use crate::{rows, world};

/// What a replay has left, which must end by itself.
fn left(replay: &mut Command) -> Value {
    let mut child = replay.arg("--json").stdout(Stdio::piped()).spawn().expect("the program runs");
    let begun = Instant::now();
    while child.try_wait().expect("it can be asked").is_none() {
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().expect("it can be ended");
            panic!("it waits for what never comes");
        }
        sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("it has ended");
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    report["left"].clone()
}

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
        json!({"signals": 8, "concerned": 5, "repeats": 1, "firings": 5, "rejected": 3,
            "until": "2026-03-02T09:05:00Z", "left": {"stopped": 0, "later": 0, "ready": 0}})
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

#[test]
fn a_replay_does_not_wait_for_a_later_time() {
    let dir = world();
    let dir = dir.path();
    let open = json(&mut at(dir, &["approvals", "list"]));
    let request = rows(&open).iter().find(|row| row["approval"]["subject"]["user"] == "u-2");
    let id = request.expect("a request")["approval"]["id"].as_str().expect("an id");
    for by in ["s1", "s2"] {
        run(&mut at(dir, &["approvals", "approve", id, "--by", by]));
    }
    // It was agreed to an hour after the last line: what is ready from then on is not of this replay.
    assert_eq!(left(&mut replay(dir)), json!({"stopped": 0, "later": 1, "ready": 0}));
    let text = run(&mut replay(dir));
    assert!(
        text.contains("\n1 not carried out yet: 0 stopped by a kill switch, 1 not ready before"),
        "{text}"
    );
    assert_eq!(json(&mut at(dir, &["run"]))["succeeded"], 1);
    assert!(!run(&mut replay(dir)).contains("not carried out"));
}

#[test]
fn a_replay_does_not_wait_for_what_a_kill_switch_stops() {
    let dir = inputs();
    let dir = dir.path();
    let fails = r#"{"fail": {"type:escalate_to_hr": {"retry": 1, "after": "30s"}}}"#;
    fs::write(dir.join("outbox.json"), fails).expect("written");
    run(console(dir).args(["rules", "add"]).arg(dir.join("rules.json")));
    let early = |args: &[&str]| {
        let mut call = console(dir);
        call.args(["--now", "2026-03-02T08:00:00Z", "--outbox-config"])
            .arg(dir.join("outbox.json"))
            .args(args);
        call
    };
    let start =
        |id: &str| run(&mut early(&["start", "escalate_to_hr", "u-7", "--reason", "left", "--id", id]));
    let stop = ["--action", "escalate_to_hr", "--reason", "a drill"];
    // One was tried and waits for the next attempt, one was never begun.
    start("o1");
    assert_eq!(json(&mut early(&["run"]))["waiting"], 1);
    start("o2");
    run(early(&["kill-switch", "engage"]).args(stop));
    assert_eq!(left(&mut replay(dir)), json!({"stopped": 2, "later": 0, "ready": 0}));
    run(early(&["kill-switch", "release"]).args(stop));
    assert_eq!(left(&mut replay(dir)), json!({"stopped": 0, "later": 0, "ready": 0}));
    assert_eq!(all_rows(dir, &["log", "--action", "escalate_to_hr", "--status", "succeeded"]).len(), 2);
}

#[test]
fn a_replay_stops_at_a_file_that_cannot_be_read() {
    let dir = inputs();
    let dir = dir.path();
    // It can be opened, and that is all.
    fs::create_dir(dir.join("folder")).expect("made");
    let error = fails(replay(dir).arg(dir.join("folder")), 1);
    assert!(error.contains("folder: line 1 (byte 0): reading failed: "), "{error}");
    let rejects = fs::read_to_string(dir.join("rejects.ndjson")).expect("rejects");
    assert_eq!(rejects.lines().count(), 3, "those of the file before");
}
