//! The SQLite file is altered behind the program: the trail says where, and nothing is delivered
//! that people did not agree to.

mod support;

use std::path::Path;

use rusqlite::{Connection, params};
use serde_json::{Value, json};
use support::{at, console, fails, inputs, json, replay, run};
use tempfile::TempDir;

fn open(dir: &Path) -> Connection {
    Connection::open(dir.join("test.db")).expect("a database")
}

fn alter(dir: &Path, sql: &str) {
    open(dir).execute_batch(sql).expect("it is altered");
}

fn record(dir: &Path, seq: u64) -> Value {
    let text: String = open(dir)
        .query_row("SELECT record FROM audit WHERE seq = ?1", [seq.cast_signed()], |row| row.get(0))
        .expect("a record");
    serde_json::from_str(&text).expect("JSON")
}

fn put(dir: &Path, seq: u64, record: &str) {
    let changed = open(dir)
        .execute("UPDATE audit SET record = ?2 WHERE seq = ?1", params![seq.cast_signed(), record])
        .expect("it is altered");
    assert_eq!(changed, 1);
}

/// The first sequence number that is found bad, if the trail is not whole.
fn first_bad(dir: &Path, head: Option<&str>) -> Option<u64> {
    let mut command = console(dir);
    command.args(["audit", "verify"]);
    if let Some(head) = head {
        command.args(["--head", head]);
    }
    let text = command.output().expect("the program runs");
    let output = command.arg("--json").output().expect("the program runs");
    assert_eq!(text.status, output.status, "with and without --json");
    let verdict: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(verdict["ok"].as_bool(), Some(output.status.success()), "{verdict}");
    let seq = verdict["seq"].as_u64();
    if let Some(seq) = seq {
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8_lossy(&text.stdout).into_owned();
        assert!(text.starts_with(&format!("the trail is not whole: audit record {seq} ")), "{text}");
    }
    seq
}

fn head(dir: &Path) -> (u64, String) {
    let head = run(console(dir).args(["audit", "head"])).trim().to_owned();
    let seq = head.split_once(':').and_then(|(seq, _)| seq.parse().ok()).expect("a head");
    (seq, head)
}

fn request(dir: &Path, user: &str) -> Value {
    let open = json(&mut at(dir, &["approvals", "list"]));
    let rows = open["rows"].as_array().expect("rows");
    let found = rows.iter().find(|row| row["approval"]["subject"]["user"] == user);
    found.expect("a request")["approval"].clone()
}

/// A replay with an answer to a request; its comment is a personal value.
fn world() -> TempDir {
    let dir = inputs();
    run(&mut replay(dir.path()));
    let asked = request(dir.path(), "u-2");
    let id = asked["id"].as_str().expect("an id");
    run(&mut at(dir.path(), &["approvals", "approve", id, "--by", "s1", "--comment", "I saw it"]));
    dir
}

fn seq_of(dir: &Path, code: &str) -> u64 {
    let found = json(console(dir).args(["audit", "list", "--trail", "--code", code]));
    found["rows"][0]["seq"].as_u64().expect("such a record")
}

#[test]
fn a_record_that_was_altered_is_named() {
    let dir = world();
    let dir = dir.path();
    let seq = seq_of(dir, "ENFORCEMENT_CREATED");
    assert!(seq > 1, "{seq}");
    let genuine = record(dir, seq);
    let later = record(dir, seq + 1);
    for (field, forged) in [
        ("v", json!(2)),
        ("tenant", json!("other")),
        ("lane", json!(1)),
        ("seq", json!(seq + 1)),
        ("time", json!("2026-03-02T09:00:01Z")),
        ("code", json!("ENFORCEMENT_FAILED")),
        ("severity", json!("Critical")),
        ("actor", json!("person:s3")),
        ("subject", json!({"user": "u-9"})),
        ("target", json!("send_email")),
        ("details", json!({"rule": {"text": "another"}})),
        ("trigger", json!(format!("trg_{:032x}", 7))),
        ("enforcement", json!(format!("enf_{:032x}", 7))),
        ("approval", json!(format!("apr_{:032x}", 7))),
        ("previous", later["hash"].clone()),
        ("hash", later["hash"].clone()),
        ("note", json!("a field that the format does not have")),
    ] {
        let mut altered = genuine.clone();
        altered[field] = forged;
        assert_ne!(altered, genuine, "{field}");
        put(dir, seq, &altered.to_string());
        assert_eq!(first_bad(dir, None), Some(seq), "{field}");
    }
    put(dir, seq, "{");
    let error = fails(console(dir).args(["audit", "verify"]), 1);
    assert!(error.contains(&format!("default/audit/0/{seq}")), "{error}");
    // It does not hide an earlier one.
    let earlier = record(dir, seq - 1);
    let mut altered = earlier.clone();
    altered["code"] = json!("ENFORCEMENT_FAILED");
    put(dir, seq - 1, &altered.to_string());
    assert_eq!(first_bad(dir, None), Some(seq - 1));
    put(dir, seq - 1, &earlier.to_string());
    put(dir, seq, &genuine.to_string());
    assert_eq!(first_bad(dir, None), None);
}

#[test]
fn a_record_that_is_gone_moved_or_doubled_is_named() {
    let dir = world();
    let dir = dir.path();
    let (last, kept) = head(dir);
    let seq = last / 2;
    let [one, two] = [seq, seq + 1].map(|seq| record(dir, seq).to_string());
    put(dir, seq, &two);
    assert_eq!(first_bad(dir, None), Some(seq), "one stands twice");
    put(dir, seq + 1, &one);
    assert_eq!(first_bad(dir, None), Some(seq), "two are swapped");
    put(dir, seq, &one);
    assert_eq!(first_bad(dir, None), Some(seq + 1), "the other stands twice");
    put(dir, seq + 1, &two);
    assert_eq!(first_bad(dir, Some(&kept)), None);
    alter(dir, &format!("DELETE FROM audit WHERE seq = {seq}"));
    assert_eq!(first_bad(dir, None), Some(seq), "one is gone");
    alter(dir, "DELETE FROM audit WHERE seq = 1");
    assert_eq!(first_bad(dir, None), Some(1), "the first is gone");
}

#[test]
fn a_personal_value_is_covered_until_it_is_erased_as_a_whole() {
    let dir = world();
    let dir = dir.path();
    let seq = seq_of(dir, "APPROVAL_VOTE_CAST");
    let genuine = record(dir, seq);
    assert_eq!(genuine["personal"]["comment"]["value"], "I saw it");
    let altered = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut altered = genuine.clone();
        change(altered["personal"]["comment"].as_object_mut().expect("a field"));
        put(dir, seq, &altered.to_string());
        first_bad(dir, None)
    };
    assert_eq!(altered(&|field| drop(field.insert("value".into(), json!("I saw nothing")))), Some(seq));
    assert_eq!(altered(&|field| drop(field.insert("salt".into(), json!("0".repeat(32))))), Some(seq));
    assert_eq!(altered(&|field| drop(field.remove("value"))), Some(seq));
    assert_eq!(altered(&|field| field.retain(|key, _| key == "commitment")), None);
    let shown = json(console(dir).args(["audit", "list", "--code", "APPROVAL_VOTE_CAST"]));
    assert_eq!(shown["rows"][0]["personal"]["comment"]["value"], Value::Null);
}

#[test]
fn a_trail_that_was_cut_off_is_whole_only_to_those_who_kept_no_head() {
    let dir = world();
    let dir = dir.path();
    let (last, kept) = head(dir);
    alter(dir, &format!("DELETE FROM audit WHERE seq > {}", last - 2));
    assert_eq!(first_bad(dir, None), Some(last - 1), "the stored head says that there was more");

    let hash = record(dir, last - 2)["hash"].as_str().expect("a hash").to_owned();
    alter(dir, &format!("UPDATE heads SET seq = {}, hash = x'{hash}'", last - 2));
    assert_eq!(first_bad(dir, None), None);
    assert_eq!(first_bad(dir, Some(&kept)), Some(last - 1));

    // The program goes on where the trail ends now; the kept head knows another record there.
    run(&mut at(dir, &["rules", "deactivate", "note"]));
    run(&mut at(dir, &["rules", "activate", "note"]));
    assert_eq!(head(dir).0, last);
    assert_eq!(first_bad(dir, None), None);
    assert_eq!(first_bad(dir, Some(&kept)), Some(last));
}

#[test]
fn what_nobody_approved_is_not_delivered_whatever_the_file_says() {
    let dir = world();
    let dir = dir.path();
    let asked = request(dir, "s1");
    let id = asked["enforcement"].as_str().expect("an id");
    let body: String = open(dir)
        .query_row("SELECT body FROM records WHERE kind = 'enforcement' AND id = ?1", [id], |row| row.get(0))
        .expect("the record");
    let mut body: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(body["state"]["reason"], "awaiting_approval");
    body["state"] = json!({"reason": "queued", "since": "2026-03-02T09:02:00Z"});
    let queued = open(dir)
        .execute(
            "UPDATE records SET body = ?2, channel = 'lock_account', ready_at = at WHERE kind = 'enforcement' AND id = ?1",
            params![id, body.to_string()],
        )
        .expect("it is altered");
    assert_eq!(queued, 1);

    let report = json(&mut at(dir, &["run"]));
    assert_eq!(
        [&report["attempts"], &report["succeeded"], &report["failed"], &report["faults"]],
        [&json!(0), &json!(0), &json!(1), &json!([])]
    );
    let shown = json(&mut at(dir, &["log", "show", id]));
    assert_eq!(shown["enforcement"]["reason"], "permanent_error");
    assert_eq!(
        shown["enforcement"]["history"][0]["report"]["message"],
        "its approval is open; only a granted one counts"
    );
    assert!(!dir.join("outbox/access").join(format!("{id}.json")).exists());
    let last = shown["audit"].as_array().and_then(|audit| audit.last()).expect("records");
    assert_eq!(
        (last["code"].as_str(), last["severity"].as_str()),
        (Some("ENFORCEMENT_FAILED"), Some("Warning"))
    );
    assert_eq!(first_bad(dir, None), None);

    // Its request ends in its time, and is no fault for ever.
    let later = json(console(dir).args(["--now", "2026-03-04T10:00:00Z", "run"]));
    assert_eq!(later["faults"], json!([]));
    assert_eq!(json(&mut at(dir, &["approvals", "list"]))["rows"], json!([]));
    assert_eq!(json(&mut at(dir, &["log", "show", id]))["enforcement"]["reason"], "permanent_error");
}

#[test]
fn what_is_in_the_queue_by_its_columns_alone_is_not_taken() {
    let dir = world();
    let dir = dir.path();
    let asked = request(dir, "s1");
    let id = asked["enforcement"].as_str().expect("an id");
    alter(dir, &format!("UPDATE records SET channel = 'lock_account', ready_at = at WHERE id = '{id}'"));
    let output = at(dir, &["run"]).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains(&format!("fault: default/enforcement/{id}")), "{told}");
    assert!(!dir.join("outbox/access").join(format!("{id}.json")).exists());
    let shown = json(&mut at(dir, &["log", "show", id]));
    assert_eq!(shown["enforcement"]["reason"], "awaiting_approval");
}

#[test]
fn an_approval_is_for_what_was_shown_and_nothing_else() {
    let dir = world();
    let dir = dir.path();
    let asked = request(dir, "u-2");
    let [id, request] = ["enforcement", "id"].map(|field| asked[field].as_str().expect("an id"));
    run(&mut at(dir, &["approvals", "approve", request, "--by", "s2"]));
    // Granted, not yet carried out; now it is for somebody else.
    alter(
        dir,
        &format!("UPDATE records SET body = json_set(body, '$.subject.user', 'u-9') WHERE id = '{id}'"),
    );
    let report = json(&mut at(dir, &["run"]));
    assert_eq!((&report["attempts"], &report["failed"]), (&json!(0), &json!(1)));
    let shown = json(&mut at(dir, &["log", "show", id]));
    assert_eq!(
        shown["enforcement"]["history"][0]["report"]["message"],
        "its approval is for other content: the subject changed since it was asked; ask again"
    );
}
