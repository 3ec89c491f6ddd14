//! The demo, and what its database answers.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tipstaff::Time;

use crate::support::{all_rows, console, fails, json, run};
use crate::{ids, rows};

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
fn the_demo_tells_to_go_on_with_what_it_has_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let told = run(demo(dir.path()).args(["--tenant", "acme"]));
    let next = told.lines().find(|line| line.ends_with("audit verify"));
    let mut words = next.expect("a call").split_whitespace();
    assert_eq!(words.next(), Some("tipstaff-console"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_tipstaff-console"));
    let records = json(command.args(words))["records"].clone();
    assert!(records.as_u64() > Some(0), "{records} in\n{told}");
}
