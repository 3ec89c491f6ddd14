//! Timetables: listed, foretold, checked.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::support::{console, fails, json, run};

const RULES: &str = r#"[
  { "id": "berlin", "trigger": { "schedule": { "cron": "30 2 * * *", "zone": "Europe/Berlin", "audience": "all", "catch_up": "all" } },
    "actions": [{ "key": "a", "type": "assign_training", "params": { "course": "basics" } }] },
  { "id": "hourly", "trigger": { "schedule": { "cron": "@hourly", "audience": "all" } },
    "actions": [{ "key": "a", "type": "require_step_up_mfa" }] },
  { "id": "leave", "trigger": { "manual": {} }, "actions": [{ "key": "a", "type": "escalate_to_hr" }] } ]"#;

/// The day before Berlin's clock goes from two to three, at half past midnight.
const NOW: &str = "2026-03-27T23:30:00Z";

fn world() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("rules.json"), RULES).expect("written");
    run(at(dir.path(), NOW).args(["rules", "add"]).arg(dir.path().join("rules.json")));
    dir
}

fn at(dir: &Path, now: &str) -> std::process::Command {
    let mut command = console(dir);
    command.args(["--now", now]);
    command
}

#[test]
fn timetables_are_listed_with_where_they_stand() {
    let dir = world();
    let dir = dir.path();
    let list = json(at(dir, NOW).args(["schedule", "list"]));
    let rules = list.as_array().expect("rows");
    assert_eq!(rules.len(), 2, "{list:#}");
    assert_eq!(rules[0]["rule"], "berlin");
    assert_eq!(rules[0]["next"], "2026-03-28T01:30:00Z");
    assert_eq!(rules[0]["says"], "at 02:30 every day, Europe/Berlin");
    assert_eq!((&rules[0]["catch_up"], &rules[1]["catch_up"]), (&json!("all"), &json!("skip")));
    assert_eq!((&rules[0]["last"], &rules[0]["running"]), (&json!(null), &json!(null)));
    run(at(dir, "2026-03-28T02:00:00Z").arg("run"));
    let text = run(at(dir, "2026-03-28T02:00:00Z").args(["schedule", "list"]));
    for part in ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "Europe/Berlin", "waits", "skip"] {
        assert!(text.split_whitespace().any(|word| word.contains(part)), "{part} in\n{text}");
    }
    run(at(dir, NOW).args(["rules", "deactivate", "hourly"]));
    let list = json(at(dir, NOW).args(["schedule", "list"]));
    assert_eq!((&list[1]["acts"], &list[1]["next"]), (&json!(false), &json!(null)));
}

#[test]
fn coming_occurrences_have_zone_and_offset() {
    let dir = world();
    let dir = dir.path();
    let next = json(at(dir, NOW).args(["schedule", "next", "berlin", "--count", "3"]));
    let local: Vec<_> = next.as_array().expect("rows").iter().map(|run| &run["local"]).collect();
    assert_eq!(
        local,
        ["2026-03-28T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"]
    );
    assert_eq!(next[1]["offset_seconds"], 7_200);
    let all = json(at(dir, NOW).args(["schedule", "next", "--count", "4"]));
    let rules: Vec<_> = all.as_array().expect("rows").iter().map(|run| &run["rule"]).collect();
    assert_eq!(rules, ["hourly", "hourly", "berlin", "hourly"]);
    let error = fails(at(dir, NOW).args(["schedule", "next", "leave"]), 1);
    assert!(error.contains("no rule `leave` with a timetable"), "{error}");
}

#[test]
fn a_line_is_said_or_its_fault_is_shown() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let check = |args: &[&str]| {
        let mut command = at(dir, NOW);
        command.args(["schedule", "check"]).args(args);
        command
    };
    let said = run(&mut check(&["30 2 * * *", "--zone", "Europe/Berlin", "--count", "2"]));
    assert_eq!(
        said,
        "at 02:30 every day, Europe/Berlin\n  2026-03-28T02:30:00+01:00 Europe/Berlin\n  2026-03-29T03:00:00+02:00 Europe/Berlin\n"
    );
    let refused = fails(&mut check(&["0 9 * * MON#2"]), 1);
    assert!(refused.ends_with("\n  0 9 * * MON#2\n          ^^^^^\n"), "{refused}");
    assert!(refused.contains("asks for the n-th weekday") && refused.contains("accepted: "), "{refused}");
    let odd = fails(&mut check(&["0 9 * * *\u{1b}[2J"]), 1);
    assert!(!odd.contains('\u{1b}'), "nothing that a terminal would obey: {odd:?}");
    let output = check(&["0 25 * * *", "--json"]).output().expect("it runs");
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&value["ok"], &value["offset"], &value["field"]), (&json!(false), &json!(2), &json!("hour")));
    assert_eq!(output.status.code(), Some(1));
    let zone = fails(&mut check(&["0 9 * * *", "--zone", "berlin"]), 2);
    assert!(zone.contains("`Europe/Berlin`"), "{zone}");
    assert!(!dir.join("test.db").exists(), "it needs no database");
}
