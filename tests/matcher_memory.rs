//! What a matcher takes where it is hardest to keep small: 100,000 rules of one type, so that no
//! equality tells them apart.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tipstaff::{Matcher, Pattern, Scratch};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const RULES: usize = 100_000;

/// A type, a range, a network, and a list of what is not wanted.
fn rule(i: usize) -> Pattern {
    let low = i * 37 % 9_973;
    let text = format!(
        r#"{{"type":["login"],"risk":[{{"numeric":[">=",{low},"<",{}]}}],"ip":[{{"cidr":"10.{}.{}.0/24"}}],"country":[{{"anything-but":["C{}","C{}"]}}]}}"#,
        low + 1 + i % 50,
        i % 251,
        i / 251 % 256,
        i % 60,
        (i + 7) % 60
    );
    text.parse().expect("built from valid parts")
}

#[test]
fn a_hundred_thousand_rules_of_one_type_take_less_than_a_kilobyte_each() {
    let held = |region: &Region<'_, System>| {
        let change = region.change();
        change.bytes_allocated - change.bytes_deallocated
    };
    let region = Region::new(ALLOCATOR);
    let patterns: Vec<Pattern> = (0..RULES).map(rule).collect();
    let of_patterns = held(&region);
    let matcher = Matcher::new(patterns.iter().map(|pattern| ([""; 0], pattern.clone())));
    let all = held(&region);
    println!("{of_patterns} bytes of patterns, {} of the matcher", all - of_patterns);
    assert!(all - of_patterns < RULES * 1_024, "beside the patterns themselves");
    assert!(all < RULES * 2_000, "with them");
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    // Rule 5: risk from 185 up to 190, the network 10.5.0.0/24.
    let event = br#"{"type":"login","risk":186.5,"ip":"10.5.0.9","country":"C1"}"#;
    matcher.matches(None, event, &mut scratch, &mut found).expect("valid JSON");
    assert!(found.iter().any(|rule| rule.index() == 5));
}
