//! A replay that is killed again and again ends as one that nobody disturbed: the same decisions,
//! requests and final statuses, a whole audit trail, and each key once in the outbox.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use support::{all_rows, console, json, run};

const RULES: &str = r#"{
  "approvers": { "default": "security", "groups": { "security": ["s1", "s2"] } },
  "rules": [
    { "id": "note", "trigger": { "event": { "pattern": { "kind": ["login"] } } },
      "actions": [{ "key": "a", "type": "send_chat_message", "params": { "channel": "soc", "message": "login {event.n}" } }] },
    { "id": "ticket", "trigger": { "event": { "sources": ["vpn"], "pattern": { "kind": ["login"], "risk": [{ "numeric": [">=", 50] }] } } },
      "actions": [{ "key": "a", "type": "create_ticket", "params": { "queue": "soc", "title": "vpn {event.n}" } },
                  { "key": "b", "type": "escalate_to_manager" }],
      "guards": { "cooldown": { "for": "10m" } } },
    { "id": "lock", "trigger": { "event": { "pattern": { "kind": ["breach"] } } }, "actions": [{ "key": "a", "type": "lock_account" }] },
    { "id": "lock-too", "trigger": { "event": { "pattern": { "kind": ["breach"], "risk": [{ "numeric": [">", 20] }] } } },
      "actions": [{ "key": "a", "type": "lock_account" }] },
    { "id": "often", "trigger": { "event": { "pattern": { "kind": ["login"] }, "window": { "distinct": "risk", "count": 3, "in": "45m" } } },
      "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
    { "id": "then", "trigger": { "event": { "pattern": { "kind": ["login"] },
        "window": { "then": { "pattern": { "kind": ["breach"] } }, "in": "30m", "every": true } } },
      "actions": [{ "key": "a", "type": "escalate_to_manager" }], "guards": { "cooldown": { "field": "risk", "for": "2h" } } },
    { "id": "red", "trigger": { "score": { "enters": ["red", "critical"] } }, "actions": [{ "key": "a", "type": "require_step_up_mfa" }] },
    { "id": "hourly", "trigger": { "schedule": { "cron": "0 * * * *", "audience": { "band": ["red", "critical"] } } },
      "actions": [{ "key": "a", "type": "assign_training", "params": { "course": "basics" } }] } ] }"#;

/// Kills that are asked for, and how many of them inside a commit or a delivery.
const KILLS: usize = 60;
const INSIDE: usize = 30;

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn write_inputs(dir: &Path) {
    let mut numbers = Numbers(7);
    let mut lines = String::new();
    for n in 0..240 {
        let time = format!("2026-03-02T{:02}:{:02}:00Z", 8 + n / 60, n % 60);
        let subject = format!("u-{}", numbers.below(12));
        let line = match numbers.below(10) {
            0 => {
                json!({"id": format!("s{n}"), "time": time, "subject": subject, "score": numbers.below(100)})
            }
            1 => json!({"id": format!("e{n}"), "time": time, "type": "edr", "subject": subject,
                "payload": {"kind": "breach", "risk": numbers.below(100), "n": n}}),
            2..=4 => {
                json!({"id": format!("e{n}"), "time": time, "type": (if n % 2 == 0 { "vpn" } else { "web" }), "subject": subject,
                "payload": {"kind": "login", "risk": numbers.below(100), "n": n}})
            }
            _ => {
                json!({"id": format!("e{n}"), "time": time, "type": "web", "subject": subject, "payload": {"kind": "page"}})
            }
        };
        writeln!(lines, "{line}").expect("a string takes all");
    }
    fs::write(dir.join("events.ndjson"), lines).expect("written");
    fs::write(dir.join("rules.json"), RULES).expect("written");
}

fn replay(dir: &Path) -> Command {
    let mut command = console(dir);
    command.args(["replay", "--lease", "1s", "--rules"]).arg(dir.join("rules.json"));
    command.arg("--events").arg(dir.join("events.ndjson"));
    command
}

/// Where a kill met the process.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Met {
    Commit,
    Delivery,
    Anywhere,
    Nothing,
}

/// Lets the process go past some announcements, then kills it: where it announced itself and waits,
/// or a moment later.
fn kill(dir: &Path, numbers: &mut Numbers) -> Met {
    let mut child = replay(dir)
        .arg("--drill")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    let mut input = child.stdin.take().expect("piped");
    let mut places = BufReader::new(child.stdout.take().expect("piped")).lines();
    let wanted = 3 + numbers.below(26);
    let aimed = numbers.below(3) > 0;
    let mut passed = 0;
    let met = loop {
        let Some(Ok(place)) = places.next() else { break Met::Nothing };
        let met = match place.split(' ').next() {
            Some("commit") => Met::Commit,
            Some("delivery") => Met::Delivery,
            _ => break Met::Nothing,
        };
        passed += 1;
        if passed >= wanted {
            if aimed {
                break met;
            }
            let _ = input.write_all(b"\n");
            sleep(Duration::from_micros(numbers.below(1_500)));
            break Met::Anywhere;
        }
        // The process may be gone; the next read says so.
        let _ = input.write_all(b"\n");
    };
    end(&mut child, met)
}

fn end(child: &mut Child, met: Met) -> Met {
    let alive = child.try_wait().expect("it is our child").is_none();
    let _ = child.kill();
    child.wait().expect("it is our child");
    if alive { met } else { Met::Nothing }
}

/// What must be the same, whatever happened on the way.
fn outcome(dir: &Path) -> [Vec<Value>; 3] {
    let mut log = all_rows(dir, &["log"]);
    for row in &mut log {
        // Attempts, leases and the time at which they came to an end may differ.
        for differs in ["attempts", "history", "settled_at", "state"] {
            row.as_object_mut().expect("a row").remove(differs);
        }
    }
    let requests = json(console(dir).args(["approvals", "list", "--all"]));
    let requests =
        requests["rows"].as_array().expect("rows").iter().map(|row| row["approval"].clone()).collect();
    [all_rows(dir, &["signals"]), requests, log]
}

/// The keys in the outbox, each with the folders that have it.
fn keys(dir: &Path) -> Vec<String> {
    let mut keys = Vec::new();
    for folder in fs::read_dir(dir.join("outbox")).expect("an outbox") {
        let folder = folder.expect("a folder").path();
        if folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        for file in fs::read_dir(folder).expect("a folder") {
            keys.push(file.expect("a file").file_name().to_string_lossy().into_owned());
        }
    }
    keys.sort();
    keys
}

#[test]
fn kills_change_nothing_in_the_end() {
    let (calm, stormy) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    write_inputs(calm.path());
    write_inputs(stormy.path());
    run(&mut replay(calm.path()));

    let mut numbers = Numbers(11);
    let mut met = Vec::new();
    let killed = |met: &[Met]| met.iter().filter(|met| **met != Met::Nothing).count();
    while killed(&met) < KILLS {
        met.push(kill(stormy.path(), &mut numbers));
        assert!(met.len() < KILLS * 2, "the replay ended before {KILLS} kills: {met:?}");
    }
    let inside = met.iter().filter(|met| [Met::Commit, Met::Delivery].contains(met)).count();
    let deliveries = met.iter().filter(|met| **met == Met::Delivery).count();
    println!("{} kills, {inside} inside a commit or a delivery ({deliveries} in deliveries)", killed(&met));
    assert!(inside >= INSIDE && deliveries > 0, "{met:?}");

    // The last process took rows with it; they are free when its lease has run out.
    run(&mut replay(stormy.path()));
    let (expected, found) = (outcome(calm.path()), outcome(stormy.path()));
    for (expected, found) in expected.iter().zip(&found) {
        assert!(!expected.is_empty());
        assert_eq!(expected.len(), found.len());
        for (expected, found) in expected.iter().zip(found) {
            assert_eq!(expected, found);
        }
    }
    assert!(run(console(stormy.path()).args(["audit", "verify"])).contains("is whole"));
    let (expected, found) = (keys(calm.path()), keys(stormy.path()));
    assert_eq!(expected, found);
    assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len(), "each key once");
}
