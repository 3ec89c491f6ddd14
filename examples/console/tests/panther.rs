//! Real rules and real events through the whole path: one rule of each pattern, its severity
//! choosing the action, replayed into SQLite. What comes out must be what others found.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};
use support::{all_rows, console, json, run, shared};

/// The action of a severity: from a note in a chat to a lock that two people must agree to.
fn action(rule: &Value) -> Value {
    let title = rule["rule"].as_str().expect("a rule's name");
    match rule["severity"].as_str().expect("a severity") {
        "Info" => {
            json!({"key": "a", "type": "send_chat_message", "params": {"channel": "soc", "message": title}})
        }
        "Low" => json!({"key": "a", "type": "create_ticket", "params": {"queue": "soc", "title": title}}),
        "Medium" => json!({"key": "a", "type": "require_step_up_mfa"}),
        "High" => json!({"key": "a", "type": "revoke_sessions"}),
        _ => {
            json!({"key": "a", "type": "lock_account", "approval": {"groups": [{"name": "security", "need": 2}]}})
        }
    }
}

/// People's ids where the sources have them; what has none is guessed, and that is marked.
const MAP: &str = r#"{
  "id": ["/id"], "type": ["/source"], "payload": ["/event"],
  "time": {"from": ["/time"], "default": "2026-03-02T09:00:00Z"},
  "subject": {"from": ["/event/userIdentity/arn", "/event/actor/alternateId", "/event/actor/email_address",
                       "/event/userPrincipalName"], "default": "unknown"} }"#;

fn lines(file: &str) -> Option<Vec<Value>> {
    let text = fs::read_to_string(shared(file)?).expect("the data is text");
    Some(text.lines().map(|line| serde_json::from_str(line).expect("the data is JSON")).collect())
}

#[test]
fn real_events_fire_exactly_the_rules_that_others_found() {
    let Some(patterns) = lines("panther_patterns.ndjson") else {
        println!("left out: the reference data does not stand beside this repository");
        return;
    };
    let events = shared("panther_events.ndjson").expect("the data is whole");
    let dir = tempfile::tempdir().expect("a folder");
    let rules: Vec<Value> = patterns
        .iter()
        .map(|rule| {
            json!({"id": rule["rule"], "trigger": {"event": {"sources": [rule["source"]], "pattern": rule["pattern"]}},
                "actions": [action(rule)]})
        })
        .collect();
    let document = json!({"approvers": {"default": "security", "groups": {"security": ["s1", "s2", "s3"]}}, "rules": rules});
    fs::write(dir.path().join("rules.json"), document.to_string()).expect("written");
    fs::write(dir.path().join("map.json"), MAP).expect("written");
    let report = json(
        console(dir.path())
            .args(["replay", "--rules"])
            .arg(dir.path().join("rules.json"))
            .arg("--map")
            .arg(dir.path().join("map.json"))
            .arg("--events")
            .arg(&events),
    );
    assert_eq!(report["signals"], 1_427, "{report}");
    assert_eq!(report["rejected"], 0, "{report}");
    assert_eq!(report["firings"], 481, "{report}");

    let signals = all_rows(dir.path(), &["signals"]);
    let fired: BTreeSet<(String, String)> = signals
        .iter()
        .flat_map(|signal| {
            let id = signal["signal"]["id"].as_str().expect("an id").to_owned();
            let rules = signal["outcomes"].as_array().expect("outcomes").iter();
            rules
                .map(move |o| (o["rule"]["id"].as_str().expect("a rule").to_owned(), id.clone()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(fired.len(), 481);
    nothing_against_the_others(&fired);
    it_adds_up(dir.path(), &signals);
}

fn nothing_against_the_others(fired: &BTreeSet<(String, String)>) {
    let pair = |rule: &Value, event: &Value| {
        (rule.as_str().expect("a rule").to_owned(), event.as_str().expect("an event").to_owned())
    };
    let triples = lines("panther_triples.ndjson").expect("the data is whole");
    for case in &triples {
        let expected = case["should_match"].as_bool().expect("a verdict");
        assert_eq!(fired.contains(&pair(&case["rule"], &case["id"])), expected, "{}", case["id"]);
    }
    let crossed = lines("panther_cross.ndjson").expect("the data is whole");
    for case in &crossed {
        let expected = case["expected"].as_bool().expect("a verdict");
        assert_eq!(fired.contains(&pair(&case["rule"], &case["event_id"])), expected, "{case}");
    }
    assert_eq!((triples.len(), crossed.len()), (660, 2_330));
}

/// Decisions, enforcements, requests and the audit trail tell the same.
fn it_adds_up(dir: &std::path::Path, signals: &[Value]) {
    let outcomes: Vec<&Value> =
        signals.iter().flat_map(|s| s["outcomes"].as_array().expect("outcomes")).collect();
    let suppressed: Vec<_> = outcomes.iter().filter(|o| o["effect"]["suppressed"].is_object()).collect();
    let log = all_rows(dir, &["log"]);
    let holders: usize = log.iter().map(|row| row["holders"].as_array().expect("holders").len()).sum();
    assert_eq!(outcomes.len(), 481);
    assert_eq!(holders + suppressed.len(), 481);
    for held in suppressed {
        assert_eq!(held["effect"]["suppressed"]["reason"], "defaulted_subject");
    }
    let mut by_status: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &log {
        *by_status.entry(row["reason"].as_str().expect("a reason")).or_default() += 1;
        let asks = ["revoke_sessions", "lock_account"].contains(&row["action"].as_str().expect("an action"));
        assert_eq!(row["approval"].is_string(), asks, "{row}");
        assert_eq!(row["reason"], if asks { "awaiting_approval" } else { "done" }, "{row}");
    }
    println!("{by_status:?}");
    let asked = log.iter().filter(|row| row["approval"].is_string()).count();
    let requests = json(console(dir).args(["approvals", "list", "--all"]));
    assert_eq!(requests["rows"].as_array().expect("rows").len(), asked);
    let count = |code: &str| {
        let records = json(console(dir).args(["audit", "list", "--limit", "1", "--code", code]));
        usize::try_from(records["total"].as_u64().expect("a count")).expect("small")
    };
    assert_eq!(count("POLICY_SIGNAL_DECIDED"), signals.len());
    assert_eq!(count("ENFORCEMENT_CREATED"), log.len());
    assert_eq!(count("APPROVAL_REQUESTED"), asked);
    assert_eq!(count("APPROVAL_NOTICE_SENT"), asked * 3);
    assert_eq!(count("ENFORCEMENT_SUCCEEDED"), log.len() - asked);
    assert!(run(console(dir).args(["audit", "verify"])).contains("is whole"));
}
