//! A warm scratch is enough: matching an event allocates nothing, unless its arrays tie fields
//! together.

use std::alloc::System;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tipstaff::{Matcher, Pattern, Scratch};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Every operator, on a few hundred rules that share their keys.
fn rules() -> Vec<Pattern> {
    let tests = [
        "\"x\"".to_owned(),
        "7".to_owned(),
        "true".to_owned(),
        "null".to_owned(),
        "{\"prefix\":\"ab\"}".to_owned(),
        "{\"prefix\":{\"equals-ignore-case\":\"AB\"}}".to_owned(),
        "{\"suffix\":\"yz\"}".to_owned(),
        "{\"suffix\":{\"equals-ignore-case\":\"YZ\"}}".to_owned(),
        "{\"equals-ignore-case\":\"STRASSE\"}".to_owned(),
        "{\"wildcard\":\"a*b*c\"}".to_owned(),
        "{\"anything-but\":[\"x\",\"y\"]}".to_owned(),
        "{\"anything-but\":[7,8.50]}".to_owned(),
        "{\"anything-but\":{\"wildcard\":\"*z*\"}}".to_owned(),
        "{\"anything-but\":{\"prefix\":[\"ab\",\"x\"]}}".to_owned(),
        "{\"anything-but\":{\"suffix\":\"yz\"}}".to_owned(),
        "{\"anything-but\":{\"equals-ignore-case\":[\"Straße\"]}}".to_owned(),
        "{\"numeric\":[\"=\",1e400]}".to_owned(),
        "{\"numeric\":[\">\",0.5,\"<=\",12345678901234567890123]}".to_owned(),
        "{\"cidr\":\"10.0.0.0/9\"}".to_owned(),
        "{\"cidr\":\"2001:db8::/32\"}".to_owned(),
        "{\"exists\":true}".to_owned(),
        "{\"exists\":false}".to_owned(),
    ];
    let mut rules = Vec::new();
    for (i, one) in tests.iter().enumerate() {
        for (j, other) in tests.iter().enumerate() {
            let kind = ["login", "logout", "change"][(i + j) % 3];
            rules.push(format!("{{\"type\":[\"{kind}\"],\"a\":{{\"b\":[{one}]}},\"c\":[{other},{one}]}}"));
        }
        rules.push(format!("{{\"$or\":[{{\"a.b\":[{one}]}},{{\"d.{i}\":[{one}]}}]}}"));
    }
    rules.iter().map(|text| text.parse().expect("built from valid parts")).collect()
}

fn events() -> Vec<String> {
    let values = [
        "\"x\"",
        "\"abXbXc\"",
        "\"\\u0061b\\n\"",
        "\"Straße\"",
        "7.0",
        "1e400",
        "12345678901234567890123.4",
        "-0.25",
        "\"10.3.4.5\"",
        "\"2001:db8::1\"",
        "null",
        "true",
        "[1,\"x\",\"yz\"]",
        "[]",
        "{}",
        "{\"other\":[{\"x\":[[]]}]}",
    ];
    let mut events = Vec::new();
    for (i, one) in values.iter().enumerate() {
        for other in values {
            let kind = ["login", "logout", "change"][i % 3];
            events.push(format!(
                "{{\"type\":\"{kind}\",\"a\":{{\"b\":{one},\"b2\":[[{{}}]]}},\"skipped\":{{\"x\":[{other}]}},\"c\":{other},\"d.{i}\":{one}}}"
            ));
        }
    }
    events
}

#[test]
fn a_warm_scratch_is_enough() {
    let (rules, events) = (rules(), events());
    let matcher = Matcher::new(rules.iter().map(|pattern| ([""; 0], pattern.clone())));
    let (mut scratch, mut found) = (Scratch::default(), Vec::new());
    let mut all = |found: &mut Vec<_>| {
        for event in &events {
            matcher.matches(Some("source"), event.as_bytes(), &mut scratch, found).expect("valid JSON");
            matcher.matches_early(Some("source"), event.as_bytes(), &mut scratch, found).expect("valid JSON");
        }
        let count = found.len();
        found.clear();
        count
    };
    let count = all(&mut found);
    let region = Region::new(ALLOCATOR);
    assert_eq!(all(&mut found), count);
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0));
    assert!(count > 10 * events.len());
}
