//! Load: it works on a database of its own, and on nobody else's records.

use std::fs;

use crate::support::{all_rows, console, fails, inputs, json, run};
use crate::world;

#[test]
fn load_refuses_a_database_with_records_of_anybody_else() {
    let dir = world();
    let dir = dir.path();
    let before = all_rows(dir, &["log"]);
    for args in [
        &["commits", "--signals", "4", "--batch", "1"][..],
        &["claims", "--open", "10"],
        &["due", "--due", "1"],
    ] {
        let error = fails(console(dir).arg("load").args(args), 1);
        assert!(
            error.contains("has records of tenant `default`; give `load` a database for the purpose"),
            "{error}"
        );
    }
    assert_eq!(all_rows(dir, &["log"]), before);
    // Whoever only takes such a name is somebody else as well.
    let dir = inputs();
    let dir = dir.path();
    run(console(dir).args(["--tenant", "load-balancer", "rules", "add"]).arg(dir.join("rules.json")));
    let error = fails(console(dir).args(["load", "due", "--due", "1"]), 1);
    assert!(error.contains("tenant `load-balancer`"), "{error}");
}

#[test]
fn load_goes_on_in_a_database_that_only_load_has_used() {
    let dir = tempfile::tempdir().expect("a folder");
    let dir = dir.path();
    let load = |args: &[&str]| json(console(dir).arg("load").args(args));
    let commits = load(&["commits", "--signals", "40", "--batch", "1", "--batch", "10"]);
    assert_eq!((&commits[0]["signals"], &commits[1]["signals"]), (&40.into(), &40.into()));
    let claims = load(&["claims", "--open", "1000"]);
    assert!(claims[0]["claim_of_100_ms"].as_f64() > Some(0.0), "{claims}");
    for hosts in ["1", "2"] {
        // What the others left ready is not theirs to carry out: each takes what is due of its own.
        let due = load(&["due", "--due", "20", "--hosts", hosts]);
        assert_eq!(due["delivered"], 20, "{due}");
    }
    fs::write(dir.join("test.db"), "this is no database, only some text".repeat(20)).expect("written");
    assert!(fails(console(dir).args(["load", "due"]), 1).contains("is no SQLite database"));
}
