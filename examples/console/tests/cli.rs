//! Every command as people and scripts call it: what it prints, what it refuses, how it ends.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use support::{RULES, all_rows, at, console, fails, inputs, json, replay, run};
use tempfile::TempDir;
use tipstaff::Time;

fn world() -> TempDir {
    let dir = inputs();
    run(&mut replay(dir.path()));
    dir
}

/// The rows of a page.
fn rows(value: &Value) -> &[Value] {
    value["rows"].as_array().expect("rows")
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().expect("an id")).collect()
}

fn demo(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tipstaff-console"));
    command.args(["demo", "--dir"]).arg(dir);
    command
}

/// The cells of the table below a heading, without blanks: a cell that was broken over several
/// lines is one again.
fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let section = text.split("\n== ").find(|part| part.starts_with(heading)).expect("the section");
    let mut lines = section.lines().skip_while(|line| !line.starts_with('─')).skip(1);
    let names: Vec<char> = lines.next().expect("a heading").chars().collect();
    let starts: Vec<usize> = (1..names.len())
        .filter(|&i| names[i] != ' ' && names[i - 1] == ' ' && (i < 2 || names[i - 2] == ' '))
        .collect();
    let mut rows = vec![];
    for line in lines.take_while(|line| line.starts_with([' ', '─', '═'])) {
        if line.starts_with(['─', '═']) {
            rows.push(vec![String::new(); starts.len()]);
            continue;
        }
        let row = rows.last_mut().expect("a line above the first row");
        for (i, c) in line.chars().enumerate().filter(|(_, c)| !c.is_whitespace()) {
            let column = starts.iter().rposition(|start| *start <= i).expect("a column");
            row[column].push(c);
        }
    }
    rows.retain(|row| row.iter().any(|cell| !cell.is_empty()));
    rows
}

/// One row of a table has all of these in its cells.
#[track_caller]
fn has_row(rows: &[Vec<String>], parts: &[&str]) {
    let bare = |text: &str| text.replace(' ', "");
    let has = |row: &Vec<String>| parts.iter().all(|part| row.iter().any(|cell| cell.contains(&bare(part))));
    assert!(rows.iter().any(has), "{parts:?} in\n{rows:#?}");
}

#[test]
fn the_demo_answers_who_is_locked_who_must_agree_and_what_failed() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = run(&mut demo(dir.path()));
    assert!(!text.contains('\x1b'), "no colours in a pipe");

    let restricted = table(&text, "Who is restricted");
    let event = "event 3f857213-b921-4e24-a57b-c6de383c322c of 2026-03-04T22:04:41Z";
    has_row(&restricted, &["u-1003", "lock_account", "privileged-mfa-off r1", event]);
    has_row(&restricted, &["u-1003", "u-1001 \"cannot be reached by phone\"u-1002 \"agreed\""]);
    has_row(&restricted, &["u-1019", "lock_account", "score-critical r1", "score score-u-1019-4"]);
    has_row(&restricted, &["u-1036", "lock_account", "ordered by u-1002", "u-1001 \"spoke with the owner\""]);
    has_row(&restricted, &["u-1031", "revoke_sessions", "no approval asked"]);
    assert!(!restricted.iter().flatten().any(|cell| cell == "u-1022" || cell == "u-1012"), "{restricted:#?}");

    let waiting = text.split("\n== ").find(|part| part.starts_with("Waiting")).expect("the section");
    for line in [
        "`lock_account` for u-1022, needs 1 of `security` until 2026-03-16T18:30:00Z",
        "  ordered by u-1002",
        "    takes copies after the notice was given",
        "  told of it in security: u-1001, u-1003, u-1004\n",
    ] {
        assert!(waiting.contains(line), "{line} in\n{waiting}");
    }

    let failed = table(&text, "What failed");
    let announced = "reject by u-1004 \"the scanner of the red team, announced\"";
    has_row(&failed, &["u-1012", "restrict_access", "rejected", "threat-detected r1", announced]);
    has_row(&failed, &["u-1006", "lock_account", "approval_expired", "approve by u-1001 \"one of two\""]);
    has_row(&failed, &["send_webhook", "permanent_error", "no such target: `endpoint:legacy-siem`"]);
    for section in ["The latest", "Rules", "Audit trail"] {
        assert!(table(&text, section).len() > 20, "{section}");
    }
    assert!(text.contains("records is whole; head "), "{text}");

    fs::rename(dir.path().join("demo.db"), dir.path().join("test.db")).expect("nobody has it open");
    the_log_filters_by_anything_and_pages_over_all(dir.path());
    signals_filter_by_what_was_held_back(dir.path());
}

/// An argument, and whether it should keep a row.
type Filter = (&'static [&'static str], fn(&Value) -> bool);

fn since(row: &Value, text: &str) -> bool {
    let recorded: Time = row["recorded_at"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    recorded >= text.parse().expect("a time")
}

fn any(row: &Value, list: &str, field: &str, value: &str) -> bool {
    row[list].as_array().is_some_and(|list| list.iter().any(|item| item[field] == value))
}

const FILTERS: &[Filter] = &[
    (&["--subject", "u-1019"], |row| row["subject"]["user"] == "u-1019"),
    (&["--action", "lock_account", "--action", "revoke_sessions"], |row| {
        ["lock_account", "revoke_sessions"].iter().any(|action| row["action"] == *action)
    }),
    (&["--category", "access_control"], |row| row["category"] == "access_control"),
    (&["--trigger", "score", "--trigger", "event"], |row| {
        ["score", "event"].iter().any(|kind| row["origin"]["kind"] == *kind)
    }),
    (&["--status", "failed"], |row| row["status"] == "failed"),
    (&["--reason", "approval_expired"], |row| row["reason"] == "approval_expired"),
    (&["--rule", "score-critical", "--rule", "threat-detected"], |row| {
        any(row, "holders", "rule", "score-critical") || any(row, "holders", "rule", "threat-detected")
    }),
    (&["--approver", "u-1001"], |row| any(row, "votes", "actor", "u-1001")),
    (&["--source", "okta"], |row| row["origin"]["source"] == "okta"),
    (&["--from", "2026-03-04T12:00:00Z"], |row| since(row, "2026-03-04T12:00:00Z")),
    (&["--until", "2026-03-11T10:02:05Z"], |row| !since(row, "2026-03-11T10:02:05Z")),
    (&["--mode", "shadow"], |_| false),
];

fn the_log_filters_by_anything_and_pages_over_all(dir: &Path) {
    let all = all_rows(dir, &["log"]);
    assert!(all.len() > 100, "{}", all.len());
    let check = |chosen: &[&Filter]| {
        let args: Vec<&str> =
            ["log"].into_iter().chain(chosen.iter().flat_map(|(args, _)| *args).copied()).collect();
        let expected: Vec<Value> =
            all.iter().filter(|row| chosen.iter().all(|(_, keeps)| keeps(row))).cloned().collect();
        assert_eq!(ids(&all_rows(dir, &args)), ids(&expected), "{args:?}");
        expected.len()
    };
    let mut some = 0;
    for (i, one) in FILTERS.iter().enumerate() {
        let found = check(&[one]);
        assert!(found < all.len() && (found > 0 || one.0[0] == "--mode"), "{:?}: {found}", one.0);
        some += FILTERS[i + 1..].iter().filter(|other| check(&[one, other]) > 0).count();
    }
    println!("{some} pairs of filters with rows in common");
    assert!(some >= 25, "{some}");

    for order in [None, Some("--oldest")] {
        let mut expected = ids(&all);
        if order.is_some() {
            expected.reverse();
        }
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let mut command = console(dir);
            command.args(["log", "--limit", "25"]).args(order);
            command.args(after.iter().flat_map(|cursor| ["--after", cursor]));
            let page = json(&mut command);
            assert!((1..=25).contains(&rows(&page).len()));
            found.extend(ids(rows(&page)).into_iter().map(str::to_owned));
            after = page["next"].as_str().map(str::to_owned);
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected);
    }
}

fn signals_filter_by_what_was_held_back(dir: &Path) {
    let all = all_rows(dir, &["signals"]);
    let outcomes = |row: &Value| row["outcomes"].as_array().expect("outcomes").clone();
    for reason in ["cooldown", "defaulted_subject", "missing_variable"] {
        let held = |row: &&Value| outcomes(row).iter().any(|o| o["effect"]["suppressed"]["reason"] == reason);
        let expected: Vec<Value> = all.iter().filter(held).cloned().collect();
        let found = all_rows(dir, &["signals", "--suppressed", reason]);
        assert!(!expected.is_empty() && ids(&found) == ids(&expected), "{reason}");
    }
    let shadow = all_rows(dir, &["signals", "--mode", "shadow"]);
    assert!(!shadow.is_empty());
    assert!(shadow.iter().flat_map(outcomes).all(|o| o["rule"]["id"] == "bucket-opened"), "{shadow:#?}");
    let both = ["signals", "--rule", "threat-detected", "--subject", "u-1012", "--source", "okta"];
    assert_eq!(all_rows(dir, &both).len(), 1);
}

/// Takes out what is the process's and the store's own: the worker is named anew by each process,
/// attempts start by the store's clock, which is the present, and the audit trail's hashes cover
/// both, and random salts.
fn decided(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| {
                !["worker", "started_at", "hash", "previous", "head"].contains(&name.as_str())
            });
            if let Some(actor) =
                fields.get_mut("actor").filter(|a| a.as_str().is_some_and(|a| a.starts_with("worker:")))
            {
                *actor = json!("worker");
            }
            fields.values_mut().for_each(decided);
        }
        Value::Array(items) => items.iter_mut().for_each(decided),
        _ => {}
    }
}

/// The decisions of a demo, byte by byte as they are printed.
fn signals(dir: &Path) -> String {
    let (mut text, mut after) = (String::new(), None::<String>);
    loop {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tipstaff-console"));
        command.arg("--db").arg(dir.join("demo.db")).args(["signals", "--json", "--limit", "200"]);
        command.args(after.iter().flat_map(|cursor| ["--after", cursor]));
        let page = run(&mut command);
        let next: Value = serde_json::from_str(&page).expect("it prints JSON");
        after = next["next"].as_str().map(str::to_owned);
        text += &page;
        if after.is_none() {
            return text;
        }
    }
}

#[test]
fn the_demo_decides_the_same_again_in_the_same_folder_and_spares_others() {
    let dir = tempfile::tempdir().expect("a folder");
    let theirs = dir.path().join("theirs");
    fs::create_dir(&theirs).expect("made");
    fs::write(theirs.join("file"), "precious").expect("written");
    assert!(fails(&mut demo(&theirs), 1).contains("is not empty and not of an earlier demo"));
    assert!(fails(&mut demo(&theirs.join("file")), 1).contains("theirs/file: "));
    assert_eq!(fs::read(theirs.join("file")).expect("still there"), b"precious");

    let ours = dir.path().join("ours");
    let mut last = None;
    for _ in 0..2 {
        // From within: the folder that one stands in may be the demo's.
        fs::create_dir_all(&ours).expect("made");
        let mut report = json(demo(Path::new(".")).current_dir(&ours));
        decided(&mut report);
        let now = (report, signals(&ours), fs::read(ours.join("rejects.ndjson")).expect("rejects"));
        match &last {
            None => last = Some(now),
            Some(last) => assert!(*last == now, "two runs differ"),
        }
    }
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
    assert_eq!(fs::read_to_string(dir.join("events.ndjson")).expect("still there"), support::EVENTS);
}

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
        ("/rules/4/trigger/schedule/cron", 6, 51, "`61` is out of range"),
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
            .contains("bad.json: the document has 5 fault(s)")
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
        (&json!(true), &json!(4), Some(1))
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

#[test]
fn people_start_actions_and_answer_for_them() {
    let dir = world();
    let dir = dir.path();
    let refused = |args: &[&str], status, part: &str| {
        let error = fails(at(dir, &["start"]).args(args), status);
        assert!(error.contains(part), "{part} in {error}");
    };
    refused(&["lock_acount", "u-7", "--reason", "x"], 1, "unknown action type `lock_acount`");
    refused(&["create_ticket", "u-7", "--reason", "x", "--param", "queue=q"], 1, "`title` is missing");
    refused(&["create_ticket", "u-7", "--reason", "x", "--param", "colour=red"], 1, "`colour` is not one of");
    refused(&["create_ticket", "u-7", "--reason", "x", "--param", "queue"], 2, "accepted: NAME=VALUE");
    refused(&["lock_account", "u-7"], 2, "--reason");
    refused(&["lock_account", "u-7", "--reason", ""], 1, "the reason has 0 bytes");
    refused(&["rule:note", "u-7", "--reason", "x"], 1, "no active rule `note` with a manual trigger");

    let order = [
        "start",
        "lock_account",
        "u-7",
        "--session",
        "s-1",
        "--reason",
        "a stolen laptop",
        "--by",
        "s3",
        "--id",
        "order-1",
    ];
    let decision = json(&mut at(dir, &order));
    assert_eq!(json(&mut at(dir, &order))["id"], decision["id"], "the same id is one order");
    let row = all_rows(dir, &["log", "--session", "s-1"]);
    assert_eq!(
        (row.len(), &row[0]["origin"]["operator"], &row[0]["origin"]["reason"]),
        (1, &json!("s3"), &json!("a stolen laptop"))
    );
    run(&mut at(dir, &["start", "rule:leave", "u-8", "--reason", "last day", "--by", "s3"]));
    assert_eq!(json(&mut at(dir, &["run"]))["succeeded"], 3, "a rule's action, and notices to s1 and s2");
    let leave = all_rows(dir, &["log", "--rule", "leave", "--trigger", "manual"]);
    assert_eq!((leave.len(), &leave[0]["status"]), (1, &json!("succeeded")));
    assert!(dir.join("outbox/hr").join(format!("{}.json", ids(&leave)[0])).exists());
}

#[test]
fn two_of_three_agree_and_nobody_to_what_concerns_themselves() {
    let dir = world();
    let dir = dir.path();
    let open = json(&mut at(dir, &["approvals", "list"]));
    let asked: BTreeMap<&str, &Value> = rows(&open)
        .iter()
        .map(|row| (row["approval"]["subject"]["user"].as_str().expect("a user"), &row["approval"]))
        .collect();
    assert_eq!(asked.keys().copied().collect::<Vec<_>>(), ["s1", "u-2"]);
    let id = |user: &str| asked[user]["id"].as_str().expect("an id");
    let digest = |user: &str| asked[user]["digest"].as_str().expect("a digest");
    let answer = |word: &str, user: &str, by: &str, more: &[&str]| {
        let mut command = at(dir, &["approvals", word, id(user), "--by", by]);
        command.args(more);
        command
    };
    let mut refusals = BTreeSet::new();
    for (user, by, more, why) in [
        ("s1", "s1", &[][..], "`s1` is the subject of the action"),
        ("u-2", "u-3", &[], "`u-3` belongs to none of the groups"),
        ("u-2", "s1", &["--digest", digest("s1")], "the answer is for other content"),
    ] {
        let error = fails(&mut answer("approve", user, by, more), 1);
        assert!(error.contains(why), "{why} in {error}");
        refusals.insert(error.trim_start_matches("error: ").trim().to_owned());
    }
    let audited = json(&mut at(dir, &["audit", "list", "--code", "APPROVAL_VOTE_REFUSED"]));
    let reasons =
        rows(&audited).iter().map(|row| row["details"]["reason"]["text"].as_str().expect("why").to_owned());
    assert_eq!(reasons.collect::<BTreeSet<_>>(), refusals);

    assert!(
        run(&mut answer("approve", "u-2", "s1", &["--digest", digest("u-2")]))
            .ends_with("; 1 more must agree\n")
    );
    assert_eq!(json(&mut at(dir, &["run"]))["attempts"], 0, "one of two is not enough");
    assert!(fails(&mut answer("approve", "u-2", "s1", &[]), 1).contains("`s1` has answered already"));
    let granted = json(&mut answer("approve", "u-2", "s2", &["--comment", "seen"]));
    assert_eq!((&granted["approval"]["state"], &granted["missing"]), (&json!("granted"), &json!(0)));
    assert_eq!(json(&mut at(dir, &["run"]))["succeeded"], 1);
    assert!(fails(&mut answer("reject", "u-2", "s3", &[]), 1).contains("the request is granted"));

    let rejected = run(&mut answer("reject", "s1", "s2", &["--comment", "a drill"]));
    assert!(rejected.contains(" rejected: ") && !rejected.contains("must agree"), "{rejected}");
    assert_eq!(json(&mut at(dir, &["approvals", "list"]))["rows"], json!([]));
    assert_eq!(rows(&json(&mut at(dir, &["approvals", "list", "--state", "rejected"]))).len(), 1);
    let failed = run(&mut at(dir, &["log", "--status", "failed"]));
    assert!(failed.contains("reject by s2"), "{failed}");
    let approved = all_rows(dir, &["log", "--approver", "s2", "--status", "succeeded"]);
    let shown = run(&mut at(dir, &["log", "show", ids(&approved)[0]]));
    for part in [
        "succeeded (done)",
        "Signal\n",
        "event e2",
        "Approval\n",
        "approve by s2",
        ": seen",
        "Audit\n",
        "ENFORCEMENT_SUCCEEDED",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let unknown = format!("enf_{:032}", 0);
    assert!(
        fails(&mut at(dir, &["log", "show", &unknown]), 1).contains(&format!("no enforcement `{unknown}`"))
    );
}

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
