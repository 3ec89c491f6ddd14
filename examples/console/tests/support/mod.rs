//! What the tests of the console share: the program, its folder, and the reference data.

#![allow(dead_code, reason = "each test uses its part")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

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
