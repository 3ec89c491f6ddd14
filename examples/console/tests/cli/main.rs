//! Every command as people and scripts call it: what it prints, what it refuses, how it ends.

mod bands;
mod calls;
mod demo;
mod explain;
mod guards;
mod load;
mod people;
mod replays;
mod rules;
mod schedule;
mod stops;
#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use support::{inputs, replay, run};
use tempfile::TempDir;

fn world() -> TempDir {
    let dir = inputs();
    run(&mut replay(dir.path()));
    dir
}

/// The rows of a page.
fn rows(value: &Value) -> &[Value] {
    value["rows"].as_array().expect("rows")
}

fn ids(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["id"].as_str().expect("an id")).collect()
}
