//! Golden files: records of every kind and audit records as this version writes them. What is stored
//! outlives the version that wrote it, so a change of the written form must be meant.
//!
//! After a change that is meant, `TIPSTAFF_GOLDEN=write cargo test --test golden what_is_written` writes the files
//! anew; their difference shows what other versions will meet. A new kind of record needs a step of
//! `scenario.rs` that writes one.
#![allow(clippy::disallowed_methods, reason = "a test reads what the caller asks of it")]
#![allow(clippy::unwrap_used, reason = "what a test prepares must be there")]

mod hosts;
mod scenario;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{env, fs};

use serde_json::Value;
use support::{content, go};
use tipstaff::conformance::rewritten;
use tipstaff::*;

const AGAIN: &str = "TIPSTAFF_GOLDEN=write cargo test --test golden what_is_written";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.ndjson"))
}

/// The lines of a golden file; none where there is no such file.
fn lines(name: &str) -> Vec<String> {
    fs::read_to_string(path(name)).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Every record that is kept in a golden file.
pub(crate) fn records() -> Vec<Record> {
    let of = |kind: &Kind| lines(kind.as_str());
    Kind::ALL.iter().flat_map(of).map(|line| serde_json::from_str(&line).unwrap()).collect()
}

/// What the scenario makes the engine write, by file.
fn written() -> BTreeMap<String, Vec<String>> {
    let mut files = BTreeMap::<String, Vec<String>>::new();
    let world = scenario::told(|world| {
        for line in content(&world.store, &world.tenant) {
            let Ok(record) = serde_json::from_str::<Record>(&line) else { continue };
            let lines = files.entry(record.key.kind.to_string()).or_default();
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    });
    let trail = world.trail();
    files.insert("audit".to_owned(), trail.iter().map(|r| serde_json::to_string(r).unwrap()).collect());
    files
}

#[test]
fn what_is_written_is_what_was_written() {
    let written = written();
    if env::var_os("TIPSTAFF_GOLDEN").is_some_and(|told| told == "write") {
        for (name, lines) in &written {
            fs::write(path(name), lines.join("\n") + "\n").unwrap();
        }
    }
    for kind in Kind::ALL {
        assert!(
            written.contains_key(kind.as_str()),
            "the scenario writes no record of kind `{kind}`: give `tests/golden/scenario.rs` a step that does, then {AGAIN}"
        );
    }
    for (name, lines_now) in &written {
        let known = lines(name);
        assert!(!known.is_empty(), "there is no golden file of `{name}`: {AGAIN}");
        for (number, (known, now)) in known.iter().zip(lines_now).enumerate() {
            assert_eq!(now, known, "{name}.ndjson, line {}: if it is meant to change, {AGAIN}", number + 1);
        }
        assert_eq!(lines_now.len(), known.len(), "{name}.ndjson: if it is meant to change, {AGAIN}");
    }
}

#[test]
fn each_record_is_read_and_written_as_it_was() {
    let records = records();
    assert!(records.len() > 2 * Kind::ALL.len(), "only {} records are kept", records.len());
    for record in records {
        assert_eq!(rewritten(&record).as_ref(), Ok(&record));
    }
}

#[test]
fn the_audit_log_is_read_and_written_as_it_was() {
    let lines = lines("audit");
    let records: Vec<AuditRecord> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (line, record) in lines.iter().zip(&records) {
        assert_eq!(&serde_json::to_string(record).unwrap(), line);
        let more = line.replacen('{', r#"{"later":{"n":[1,2.5]},"#, 1);
        let kept: AuditRecord = serde_json::from_str(&more).unwrap();
        let (kept, more): (Value, Value) =
            (serde_json::to_value(&kept).unwrap(), serde_json::from_str(&more).unwrap());
        assert_eq!(kept, more);
    }
    let head = verify(&records, Head::default()).unwrap();
    assert_eq!(head.seq as usize, lines.len());
}

fn with_body(record: &Record, body: &Value) -> Record {
    Record { body: body.to_string(), ..record.clone() }
}

/// The pointers to every object of a body.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(at.to_owned());
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                objects(member, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(elements) => {
            for (place, element) in elements.iter().enumerate() {
                objects(element, &format!("{at}/{place}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn members_of_a_later_version_are_kept_wherever_they_stand() {
    let later = serde_json::json!({ "since": "0.9", "list": [1, { "x": null }] });
    let (mut kept, mut refused) = (BTreeMap::<Kind, usize>::new(), 0);
    for record in records() {
        let body: Value = serde_json::from_str(&record.body).unwrap();
        let mut places = Vec::new();
        objects(&body, "", &mut places);
        for place in places {
            let mut more = body.clone();
            more.pointer_mut(&place)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .insert("later".to_owned(), later.clone());
            match rewritten(&with_body(&record, &more)) {
                Ok(again) => {
                    let again: Value = serde_json::from_str(&again.body).unwrap();
                    assert_eq!(again, more, "{} at `{place}`", record.key);
                    *kept.entry(record.key.kind).or_default() += 1;
                }
                // A table by names that mean something, and the one member of a choice, are no places
                // for it; but nothing is lost.
                Err(StoreError::Corrupt { .. }) if !place.is_empty() => refused += 1,
                Err(error) => panic!("{} at `{place}`: {error}", record.key),
            }
        }
    }
    let all: usize = kept.values().sum();
    assert_eq!(kept.len(), Kind::ALL.len(), "{kept:?}");
    assert!(refused * 3 < all, "{refused} places refuse a later version's member, {all} keep it");
}

#[test]
fn a_newer_format_is_refused_by_name() {
    for record in records() {
        let mut body: Value = serde_json::from_str(&record.body).unwrap();
        for newer in [Value::from(2), Value::from(u32::MAX)] {
            body["v"] = newer;
            // Whatever else a newer format has changed.
            for body in [body.clone(), serde_json::json!({ "v": body["v"], "else": [] })] {
                let error = rewritten(&with_body(&record, &body)).unwrap_err();
                let StoreError::Corrupt { place, fault } = error else { panic!("{error}") };
                assert_eq!(place, record.key.to_string());
                assert!(fault.contains("is newer than 1"), "{fault}");
            }
        }
    }
}

/// An older version did not write what is optional today: such a record is read, and what it has is
/// kept.
#[test]
fn what_an_older_version_left_out_is_read_as_its_default() {
    let mut optional = 0;
    for record in records() {
        let body: Value = serde_json::from_str(&record.body).unwrap();
        for name in body.as_object().unwrap().keys() {
            let mut older = body.clone();
            older.as_object_mut().unwrap().remove(name);
            match rewritten(&with_body(&record, &older)) {
                Ok(again) => {
                    let again: Value = serde_json::from_str(&again.body).unwrap();
                    for (name, member) in older.as_object().unwrap() {
                        assert_eq!(again.get(name), Some(member), "{}: `{name}`", record.key);
                    }
                    optional += 1;
                }
                Err(StoreError::Corrupt { fault, .. }) => assert!(fault.contains(name.as_str()), "{fault}"),
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(optional > 0, "nothing is optional");
}

/// What the engine wrote before goes on under this version: nothing of it is a fault.
#[test]
fn golden_records_are_worked_on() {
    let store = MemoryStore::default();
    let mut latest = BTreeMap::new();
    for record in records() {
        latest.insert(record.key.clone(), Record { version: 0, ..record });
    }
    let keys = latest.len();
    let put = latest.into_values().collect();
    let commit = Commit {
        id: support::commit_id("1"),
        tenant: support::tenant(),
        expect: Vec::new(),
        fence: Vec::new(),
        put,
        audit: Vec::new(),
    };
    assert_eq!(go(store.commit(&commit)), Committed::Applied);
    assert_eq!(content(&store, &support::tenant()).len(), keys);
    let world = support::World::on(store, RuleSet::from_json("[]").unwrap());
    for day in 2..4 {
        world.run(support::at(day * 24 * 60));
    }
    assert!(world.trail().iter().any(|record| record.code == "SCHEDULE_OCCURRENCE_STARTED"), "it goes on");
}
