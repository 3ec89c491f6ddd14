//! The catalogue, and what holds for every call.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::support::{all_rows, at, console, fails, json, run};
use crate::{rows, world};

#[test]
fn the_catalogue_has_every_code_with_its_severity() {
    let dir = tempfile::tempdir().expect("a folder");
    let catalog = json(console(dir.path()).arg("catalog"));
    let codes: Vec<&str> = catalog["audit"]
        .as_array()
        .expect("codes")
        .iter()
        .map(|row| {
            let known = ["Info", "Notice", "Warning", "Critical"];
            assert!(known.contains(&row["severity"].as_str().expect("a severity")), "{row}");
            row["code"].as_str().expect("a code")
        })
        .collect();
    let ours = |code: &&&str| {
        ["POLICY_", "APPROVAL_", "ENFORCEMENT_", "SCHEDULE_"].iter().any(|p| code.starts_with(p))
    };
    let own = codes.iter().filter(ours).count();
    assert_eq!((codes.len() - own, codes.iter().collect::<BTreeSet<_>>().len()), (84, codes.len()));
    assert!(own > 0);
    let text = run(console(dir.path()).arg("catalog"));
    let actions = catalog["actions"]
        .as_array()
        .expect("actions")
        .iter()
        .map(|row| row["name"].as_str().expect("a name"));
    let missing: Vec<_> =
        codes.iter().copied().chain(actions).filter(|name| !text.contains(&format!(" {name} "))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_command_speaks_json_and_nothing_but_text() {
    let dir = world();
    let dir = dir.path();
    let id = all_rows(dir, &["log"])[0]["id"].as_str().expect("an id").to_owned();
    let events = dir.join("events.ndjson").display().to_string();
    for args in [
        &["run"][..],
        &["rules", "list"],
        &["log"],
        &["log", "show", &id],
        &["signals"],
        &["approvals", "list", "--all"],
        &["audit", "list"],
        &["audit", "verify"],
        &["audit", "head"],
        &["catalog"],
        &["explain", "--event", &events],
        &["rules", "deactivate", "note"],
        &["rules", "activate", "note"],
        &["start", "rule:leave", "u-1", "--reason", "x"],
    ] {
        json(&mut at(dir, args));
        let text = run(&mut at(dir, args));
        assert!(!text.is_empty() && !text.contains('\x1b'), "{args:?}");
    }
    let graves = json(&mut at(dir, &["audit", "list", "--severity", "Notice", "--limit", "200"]));
    let ranks: Vec<_> =
        rows(&graves).iter().map(|row| row["severity"].as_str().expect("a severity")).collect();
    assert!(
        ranks.is_sorted_by_key(|rank| ["Critical", "Warning", "Notice"].iter().position(|r| r == rank)),
        "{ranks:?}"
    );
    let head = run(console(dir).args(["audit", "head"]));
    assert!(run(console(dir).args(["audit", "verify", "--head", head.trim()])).contains(head.trim()));
}

#[test]
fn what_is_wrong_with_a_call_is_told_by_its_status() {
    let dir = world();
    let dir = dir.path();
    for args in [
        &["lock"][..],
        &[],
        &["log", "--status", "done"],
        &["log", "--limit", "0"],
        &["log", "--limit", "201"],
        &["log", "--from", "yesterday"],
        &["log", "--after", "x"],
        &["log", "show", "enf_1"],
        &["signals", "--status", "failed"],
        &["audit", "verify", "--head", "1"],
        &["approvals", "approve", "apr_1", "--by", "s1"],
        &["replay"],
    ] {
        let error = fails(console(dir).args(args), 2);
        assert!(error.contains("Usage") || error.contains("--help"), "{args:?}: {error}");
    }
    let nowhere = tempfile::tempdir().expect("a folder");
    for args in [
        &["log"][..],
        &["audit", "verify"],
        &["approvals", "list"],
        &["run"],
        &["rules", "list"],
        &["start", "lock_account", "u-1", "--reason", "x"],
    ] {
        let error = fails(console(nowhere.path()).args(args), 1);
        assert!(error.starts_with("error: no database `") && error.contains("test.db"), "{error}");
    }
    assert_eq!(fs::read_dir(nowhere.path()).expect("a folder").count(), 0, "nothing was made");
    fs::write(nowhere.path().join("test.db"), "this is no database, only some text".repeat(20))
        .expect("written");
    assert!(fails(console(nowhere.path()).arg("log"), 1).contains("is no SQLite database"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_fault() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut command = console(dir.path());
    let mut child = command
        .arg("catalog")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut first = String::new();
    BufReader::with_capacity(64, child.stdout.take().expect("piped")).read_line(&mut first).expect("a line");
    let output = child.wait_with_output().expect("it ends");
    assert!(!first.is_empty() && output.status.success() && output.stderr.is_empty(), "{output:?}");
}
