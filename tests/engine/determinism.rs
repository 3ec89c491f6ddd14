//! The same inputs give the same bytes in every process: nothing of a decision depends on what
//! only this process has, such as the order of a hashed map or an address in memory.

use std::process::Command;

use crate::support::{World, at, id};
use tipstaff::*;

/// What every line of the story begins with, so that the harness's own lines are told apart.
const MARK: &str = "told: ";
const CHILD: &str = "TIPSTAFF_TEST_CHILD";

const RULES: &str = r#"{
  "approvers": { "default": "security", "groups": { "security": ["bo", "cy", "dee"], "legal": ["eve", "cy"] } },
  "rules": [
    { "id": "b", "trigger": { "event": { "pattern": { "do": ["go"], "more": { "deep": [{ "exists": true }] } } } },
      "actions": [
        { "key": "lock", "type": "lock_account",
          "approval": { "groups": [{ "name": "security", "need": 2 }, { "name": "legal" }] } },
        { "key": "call", "type": "send_webhook", "params": { "endpoint": "soc", "z": "{user}", "a": "{event.do}" } } ] },
    { "id": "a", "trigger": { "event": { "sources": ["okta"], "pattern": { "do": ["go", "run"] } } },
      "actions": [{ "key": "tell", "type": "send_email", "params": { "to": "manager", "template": "t" } }],
      "guards": { "cooldown": { "for": "10m" } } },
    { "id": "c", "mode": "shadow", "trigger": { "score": { "enters": ["red", "critical"], "skipped": "fire" } },
      "actions": [{ "key": "lock", "type": "lock_account" }] } ] }"#;

/// A story that uses most of the engine: all that was decided, and all that is stored in the end.
fn story() -> Vec<String> {
    let world = World::new(RULES);
    let mut told = Vec::new();
    let mut submit = |signal: Signal, now: Time| {
        let decision = world.submit(signal, now);
        told.push(serde_json::to_string(&decision).unwrap());
        told.push(decision.to_string().replace('\n', "; "));
    };
    for (n, user) in ["ana", "bea", "cleo", "ana", "bea"].iter().enumerate() {
        let payload = r#"{ "do": "go", "more": { "deep": 1 } }"#;
        let minute = n as i64;
        submit(world.event(&format!("e{n}"), user, at(minute), payload).into(), at(minute));
        submit(
            world.score(&format!("s{n}"), user, at(minute), &(90 - 20 * n).to_string()).into(),
            at(minute),
        );
    }
    world.target.answers("send_webhook", [Delivered::retry("503"), Delivered::permanent("no")]);
    world.run(at(6));
    let request = world.requests().remove(0);
    world.approve(&request, "bo", at(7));
    world.approve(&request, "eve", at(8));
    world.approve(&request, "cy", at(9));
    world.run(at(10));
    told.extend(crate::support::content(&world.store, &world.tenant));
    told
}

#[test]
fn a_process_tells_the_story() {
    let told = story();
    assert!(told.len() > 100 && story() == told, "twice in one process");
    #[allow(clippy::disallowed_methods, reason = "the parent tells its child so")]
    let child = std::env::var_os(CHILD).is_some();
    if child {
        // A line of its own: the harness writes the test's name without an end of line.
        println!();
        told.iter().for_each(|line| println!("{MARK}{line}"));
    }
}

#[test]
fn two_processes_tell_the_same_story() {
    let here = std::env::current_exe().unwrap();
    let tell = || {
        let mut child = Command::new(&here);
        child.args([
            "--exact",
            "determinism::a_process_tells_the_story",
            "--nocapture",
            "--test-threads",
            "1",
        ]);
        let output = child.env(CHILD, "1").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|line| line.strip_prefix(MARK)).map(str::to_owned).collect::<Vec<_>>()
    };
    let (one, two) = (tell(), tell());
    assert!(one.len() > 100, "{one:#?}");
    for (n, (first, second)) in one.iter().zip(&two).enumerate() {
        assert_eq!(first, second, "line {n}");
    }
    assert_eq!(one.len(), two.len());
    assert_eq!(one, story(), "and so does this one");
    // A worker's name comes from the store, so even that is the same here.
    let claimed = one.iter().filter(|line| line.contains("ENFORCEMENT_CLAIMED")).count();
    assert!(claimed > 3 && id::<TenantId>("acme") == crate::support::tenant());
}
