//! Guards that are broken on purpose, one at a time: each is caught by a named check that holds
//! without the defect.
//!
//! ```text
//! RUSTFLAGS="--cfg tipstaff_broken" cargo test --test broken --target-dir target/broken
//! ```
//!
//! In an ordinary build there is nothing here to run.
#![cfg(tipstaff_broken)]
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

#[path = "../support/mod.rs"]
mod support;

mod caps;

use tipstaff::broken::{Defect, with};

/// What must hold; it panics where it does not.
type Check = fn();

/// Each check holds as long as nothing is broken, and does not with its defect.
fn caught(checks: &[(Defect, &str, Check)]) {
    std::panic::set_hook(Box::new(|_| {}));
    let holds = |check: Check, defect| std::panic::catch_unwind(|| with(defect, check)).is_ok();
    let told: Vec<_> = checks
        .iter()
        .map(|(defect, name, check)| {
            (defect.name(), *name, holds(*check, None), holds(*check, Some(*defect)))
        })
        .collect();
    drop(std::panic::take_hook());
    for (defect, name, whole, broken) in told {
        println!("{defect:<28} {name}");
        assert!(whole, "`{name}` holds while nothing is broken");
        assert!(!broken, "`{name}` does not see {defect}");
    }
}
