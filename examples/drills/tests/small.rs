//! The drills themselves, with a handful of faults each.

use std::process::Command;

#[test]
fn a_handful_of_faults_of_each_kind_changes_nothing_in_the_end() {
    let output = Command::new(env!("CARGO_BIN_EXE_tipstaff-drills"))
        .args(["small", "--must-run", "sqlite", "--only", "postgres"])
        .output()
        .expect("the program runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("sqlite: 4 kills"), "{said}");
    // It cannot run where no server is installed, and says so.
    assert!(said.contains("postgres: 4 kills") || said.contains("postgres: skipped, "), "{said}");
    println!("{said}");
}
