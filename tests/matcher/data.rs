//! Every pattern of a reference file compiled together, and every event of the file: the matcher
//! finds what the interpreter finds. The data lies beside the repository; what is missing is left
//! out and named, and our own samples are always there.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tipstaff::{Matcher, Pattern, Payload, RuleIx, Scratch};

#[allow(clippy::disallowed_methods, reason = "a test may be told where the data lies")]
fn data(name: &str) -> Option<String> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("TIPSTAFF_SHARED").map_or_else(beside, PathBuf::from);
    let text = fs::read_to_string(shared.join("data/open").join(name)).ok();
    if text.is_none() {
        println!("left out, since it is not there: {name}");
    }
    text
}

/// The JSON texts at a key: some files hold text, some the value itself.
fn texts(lines: &[Value], key: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let all: BTreeSet<String> = lines.iter().filter_map(|line| line.get(key)).map(text).collect();
    all.into_iter().collect()
}

/// Compares on every event of some files with every pattern of some; how many pairs match.
fn compare(name: &str, patterns: &[String], events: &[String]) -> usize {
    let patterns: Vec<Pattern> = patterns.iter().filter_map(|text| text.parse().ok()).collect();
    let matcher = Matcher::new(patterns.iter().map(|pattern| ([""; 0], pattern.clone())));
    let (mut scratch, mut matches, mut read) = (Scratch::default(), 0, 0);
    for event in events {
        let mut found = Vec::new();
        let answer = matcher.matches(None, event.as_bytes(), &mut scratch, &mut found);
        let Ok(payload) = Payload::new(event.as_str()) else {
            assert!(answer.is_err() || found.is_empty(), "{name}: {event}");
            continue;
        };
        assert_eq!(answer, Ok(()), "{name}: {event}");
        let found: Vec<usize> = found.into_iter().map(RuleIx::index).collect();
        assert_eq!(found, Pattern::matching(&patterns, &payload), "{name}: {event}");
        matches += found.len();
        read += 1;
    }
    println!("{name}: {} patterns, {read} events, {matches} matches", patterns.len());
    matches
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn our_own_samples_are_found() {
    let lines = lines(include_str!("../data/pattern_samples.ndjson"));
    assert!(compare("samples", &texts(&lines, "pattern"), &texts(&lines, "event")) > 10);
}

#[test]
fn reference_files_come_out_as_the_interpreter_has_them() {
    for name in ["pattern_triples", "pattern_cross", "panther_triples", "pattern_peer_matrix"] {
        if let Some(text) = data(&format!("{name}.ndjson")) {
            let lines = lines(&text);
            assert!(compare(name, &texts(&lines, "pattern"), &texts(&lines, "event")) > 100);
        }
    }
    for (patterns, events) in [
        ("panther_patterns", "panther_events"),
        ("pattern_valid", "pattern_triples"),
        ("pattern_or_expansion", "pattern_triples"),
        ("pattern_triples", "pattern_bad_events"),
    ] {
        let files = [patterns, events].map(|name| data(&format!("{name}.ndjson")).map(|text| lines(&text)));
        if let [Some(of_patterns), Some(of_events)] = files {
            compare(events, &texts(&of_patterns, "pattern"), &texts(&of_events, "event"));
        }
    }
}
