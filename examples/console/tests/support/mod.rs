//! What the tests of the console share: the program, its folder, and the reference data.

#![allow(dead_code, reason = "each test uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The reference data, where it stands beside the repository; `TIPSTAFF_SHARED` names another
/// place.
pub(crate) fn shared(file: &str) -> Option<PathBuf> {
    let root = match std::env::var_os("TIPSTAFF_SHARED") {
        Some(root) => PathBuf::from(root),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
    };
    let path = root.join("data/open").join(file);
    path.exists().then_some(path)
}

/// A call of the program on a database of its own.
pub(crate) fn console(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tipstaff-console"));
    command.arg("--db").arg(dir.join("test.db"));
    command
}

/// Runs a call that must succeed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program runs");
    assert!(output.status.success(), "{command:?}\n{}", told(&output));
    String::from_utf8(output.stdout).expect("it prints text")
}

/// Runs a call with `--json` that must succeed.
pub(crate) fn json(command: &mut Command) -> Value {
    serde_json::from_str(&run(command.arg("--json"))).expect("it prints JSON")
}

/// All that a call printed.
pub(crate) fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Every row of a listing, page by page.
pub(crate) fn all_rows(dir: &Path, args: &[&str]) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut command = console(dir);
        command.args(args).args(["--limit", "200"]);
        if let Some(cursor) = &after {
            command.args(["--after", cursor]);
        }
        let mut page = json(&mut command);
        rows.append(page["rows"].as_array_mut().expect("rows"));
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            return rows;
        }
    }
}

/// Some rules: one without approval, one that two of three must agree to, one on a score, one that
/// only people start.
pub(crate) const RULES: &str = r#"{
  "approvers": { "default": "security", "operators": ["op"], "groups": { "security": ["s1", "s2", "s3"] } },
  "rules": [
    { "id": "note", "trigger": { "event": { "pattern": { "kind": ["login"] } } },
      "actions": [{ "key": "a", "type": "send_chat_message", "params": { "channel": "soc", "message": "login" } }] },
    { "id": "lock", "trigger": { "event": { "pattern": { "kind": ["breach"] } } },
      "actions": [{ "key": "a", "type": "lock_account", "approval": { "groups": [{ "name": "security", "need": 2 }] } }] },
    { "id": "red", "trigger": { "score": { "enters": ["red"] } }, "actions": [{ "key": "a", "type": "require_step_up_mfa" }] },
    { "id": "leave", "trigger": { "manual": {} }, "actions": [{ "key": "a", "type": "escalate_to_hr" }] } ] }"#;

/// Some lines for them. The third is no JSON, the fourth has no time, the fifth is the first again,
/// and the sixth says other things under its id.
pub(crate) const EVENTS: &str = r#"{"id":"e1","time":"2026-03-02T09:00:00Z","type":"vpn","subject":"u-1","payload":{"kind":"login"}}
{"id":"e2","time":"2026-03-02T09:01:00Z","type":"vpn","subject":{"user":"u-2","session":"s-9"},"payload":{"kind":"breach"}}
not json
{"id":"e3","time":"yesterday","type":"vpn","subject":"u-1","payload":{}}
{"id":"e1","time":"2026-03-02T09:00:00Z","type":"vpn","subject":"u-1","payload":{"kind":"login"}}
{"id":"e1","time":"2026-03-02T09:00:00Z","type":"vpn","subject":"u-1","payload":{"kind":"login","n":1}}
{"id":"e4","time":"2026-03-02T09:02:00Z","type":"web","subject":"s1","payload":{"kind":"breach"}}
{"id":"p1","time":"2026-03-02T09:03:00Z","subject":"u-3","score":90}
{"id":"p2","time":"2026-03-02T09:04:00Z","subject":"u-3","score":30.5}
{"id":"e5","time":"2026-03-02T09:05:00Z","type":"web","subject":"u-1","payload":{"kind":"page"}}
"#;

/// The call that replays them.
pub(crate) fn replay(dir: &Path) -> Command {
    let mut command = console(dir);
    command.args(["replay", "--rules"]).arg(dir.join("rules.json"));
    command.arg("--events").arg(dir.join("events.ndjson"));
    command
}

/// A folder with the two files, not replayed yet.
pub(crate) fn inputs() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::write(dir.path().join("rules.json"), RULES).expect("written");
    fs::write(dir.path().join("events.ndjson"), EVENTS).expect("written");
    dir
}

/// The time at which people act on what was replayed.
pub(crate) const NOW: &str = "2026-03-02T10:00:00Z";

/// A call at [`NOW`].
pub(crate) fn at(dir: &Path, args: &[&str]) -> Command {
    let mut command = console(dir);
    command.args(["--now", NOW]).args(args);
    command
}

/// Runs a call that must fail with this status, printing nothing but its error.
pub(crate) fn fails(command: &mut Command, status: i32) -> String {
    let output = command.output().expect("the program runs");
    assert_eq!(output.status.code(), Some(status), "{command:?}\n{}", told(&output));
    assert!(output.stdout.is_empty(), "{command:?}\n{}", told(&output));
    String::from_utf8(output.stderr).expect("it prints text")
}
