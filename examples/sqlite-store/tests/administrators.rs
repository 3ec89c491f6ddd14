//! Several hosts on one file at once: the last administrators remain, whoever locks whom.
#![allow(clippy::unwrap_used, reason = "a test stops at its first surprise")]
#![allow(unreachable_pub, reason = "the library's tests share these with this one")]

#[path = "../../../tests/support/last_ones.rs"]
mod last_ones;
#[path = "../../../tests/support/people.rs"]
#[allow(dead_code, reason = "this test needs a part of it")]
mod people;

use std::fmt::Debug;
use std::str::FromStr;

use tipstaff_sqlite::SqliteStore;

/// A value from its text.
fn id<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|fault| panic!("`{text}`: {fault:?}"))
}

#[test]
fn some_administrators_remain_over_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    last_ones::some_remain(|| SqliteStore::open(&path).unwrap(), 3, 24, id("2026-03-02T12:00:00Z"));
}
