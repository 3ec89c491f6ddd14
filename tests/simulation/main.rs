//! Deterministic simulation of the real engine: two to eight hosts on one store, in virtual time, with
//! everything that goes wrong drawn from a seed. A seed that fails prints its trace, and the command
//! that plays it again.
//!
//! ```text
//! TIPSTAFF_SIM_RUNS=1000000 cargo test --release --test simulation seeds -- --nocapture
//! TIPSTAFF_SIM_SEED=heavy:17 cargo test --test simulation again -- --nocapture
//! RUSTFLAGS="--cfg tipstaff_broken" cargo test --test simulation broken --target-dir target/broken -- --nocapture
//! ```
#![allow(clippy::disallowed_methods, reason = "a test reads what the caller asks of it")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(tipstaff_broken)]
mod broken;
mod drain;
mod faults;
mod finish;
mod hosts;
mod net;
mod random;
mod rows;
mod rules;
#[path = "../support/mod.rs"]
mod support;
mod target;
mod witness;
mod work;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use witness::Violation;
use world::{Tally, Weight, run};

/// How many seeds of each weight a test plays, where nothing is said: both together take less than two
/// minutes on two cores.
const RUNS: u64 = 20_000;
/// How many lines of a trace a failure shows.
const SHOWN: usize = 400;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.replace('_', "").parse().ok()).unwrap_or(usual)
}

/// Plays one seed; a panic in it is a violation as well.
fn play(weight: Weight, seed: u64, traced: bool) -> (Result<Tally, Violation>, Vec<String>) {
    catch_unwind(AssertUnwindSafe(|| run(weight, seed, traced))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        let seen = text.unwrap_or_else(|| "a panic".to_owned());
        (Err(Violation { invariant: "nothing panics", seen }), Vec::new())
    })
}

/// The violation of a seed with what led to it.
fn report(weight: Weight, seed: u64) -> String {
    let (outcome, trace) = play(weight, seed, true);
    let from = trace.len().saturating_sub(SHOWN);
    let name = weight.name();
    format!(
        "{}\n{name} seed {seed}: {}\nagain: TIPSTAFF_SIM_SEED={name}:{seed} cargo test --test simulation again -- --nocapture",
        trace[from..].join("\n"),
        outcome.map_or_else(|violation| violation.to_string(), |_| "it does not fail again".to_owned()),
    )
}

/// Plays that many seeds from the first on over all cores; gives the lowest that fails, and the sums.
fn seeds(weight: Weight, first: u64, count: u64) -> (Option<u64>, Tally) {
    let (next, worst, sums) = (AtomicU64::new(first), AtomicU64::new(u64::MAX), Mutex::new(Tally::default()));
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                let mut own = Tally::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || worst.load(Ordering::Relaxed) < seed {
                        break;
                    }
                    match play(weight, seed, false).0 {
                        Ok(tally) => own = own.plus(tally),
                        Err(_) => drop(worst.fetch_min(seed, Ordering::Relaxed)),
                    }
                }
                let mut sums = sums.lock().unwrap_or_else(PoisonError::into_inner);
                *sums = sums.plus(own);
            });
        }
    });
    let worst = worst.into_inner();
    ((worst != u64::MAX).then_some(worst), sums.into_inner().unwrap_or_default())
}

fn hold(weight: Weight) {
    let (runs, first) = (number("TIPSTAFF_SIM_RUNS", RUNS), number("TIPSTAFF_SIM_FIRST", 0));
    let (failed, sums) = seeds(weight, first, runs);
    if let Some(seed) = failed {
        panic!("{}", report(weight, seed));
    }
    println!("{} seeds {first} to {}: no violation; {sums:?}", weight.name(), first + runs - 1);
    // What was to go wrong went wrong.
    let all = [sums.falls, sums.pauses, sums.ends, sums.shared, sums.idle];
    assert!(runs < 100 || all.iter().all(|count| *count > 0), "{sums:?}");
    assert!(runs < 10_000 || sums.late > 0, "{sums:?}");
}

#[test]
fn light_seeds_hold() {
    hold(Weight::Light);
}

#[test]
fn heavy_seeds_hold() {
    hold(Weight::Heavy);
}

#[test]
fn a_seed_is_the_same_run_again() {
    for seed in 0..20 {
        for weight in [Weight::Light, Weight::Heavy] {
            let (first, again) = (play(weight, seed, true).1, play(weight, seed, true).1);
            assert!(!first.is_empty(), "{} {seed}", weight.name());
            assert_eq!(first, again, "{} {seed}", weight.name());
        }
    }
}

/// Plays the seed that `TIPSTAFF_SIM_SEED` names (`light:17`, `heavy:17`), or the first light one.
#[test]
fn again() {
    let wanted = std::env::var("TIPSTAFF_SIM_SEED").unwrap_or_else(|_| "light:0".to_owned());
    let (weight, seed) = wanted.split_once(':').expect("a weight and a number, such as heavy:17");
    let weight = if weight == "heavy" { Weight::Heavy } else { Weight::Light };
    let seed = seed.parse().expect("a seed is a number");
    let (outcome, trace) = play(weight, seed, true);
    println!("{}", trace.join("\n"));
    assert!(outcome.is_ok(), "{}", report(weight, seed));
}

impl Tally {
    const fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            commits: self.commits + other.commits,
            falls: self.falls + other.falls,
            pauses: self.pauses + other.pauses,
            ends: self.ends + other.ends,
            shared: self.shared + other.shared,
            late: self.late + other.late,
            idle: self.idle + other.idle,
            untold: self.untold + other.untold,
        }
    }
}
