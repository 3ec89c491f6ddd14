//! The event-pattern language held against recorded answers of its peers (event-ruler, quamina)
//! and of a detection product's own tests. The data lies beside the repository; where it is
//! missing, small samples of our own stand in and what was left out is printed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tipstaff::{MAX_JSON_DEPTH, Pattern, Payload};

#[path = "../../examples/support/pattern_cases.rs"]
mod cases;

use cases::{Case, Outcome, Question, Tally, members};

/// The text of a file of the reference data's open half.
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

/// Runs every line and returns the sums; what failed is printed.
fn run(name: &str, text: &str) -> Tally {
    let mut tally = Tally::default();
    for line in text.lines() {
        let case = Case::read(line).unwrap_or_else(|e| panic!("{name}: {e}: {line}"));
        let outcome = case.outcome();
        if let Outcome::Failed(reason) = &outcome {
            // How deep JSON is read at all is a limit of the reader, not of the language.
            if MAX_JSON_DEPTH < depth(&case) {
                println!("left out, nested deeper than {MAX_JSON_DEPTH}: {name} {}", case.id);
                continue;
            }
            println!("{name} {}: {reason}\n{line}", case.id);
        }
        tally.add(&outcome);
    }
    println!("{name}: {tally}");
    tally
}

fn depth(case: &Case) -> usize {
    let (Question::Matches { pattern: text, .. }
    | Question::Valid { pattern: text, .. }
    | Question::BadEvent { event: text }) = &case.question;
    let open = |depth: &mut usize, c: char| {
        *depth = match c {
            '{' | '[' => *depth + 1,
            '}' | ']' => depth.saturating_sub(1),
            _ => *depth,
        };
        Some(*depth)
    };
    text.chars().scan(0, open).max().unwrap_or(0)
}

#[test]
fn our_own_samples_come_out_as_recorded() {
    let tally = run("samples", include_str!("../data/pattern_samples.ndjson"));
    assert_eq!((tally.passed, tally.failed), (24, 0));
    let by_design: Vec<_> = tally.by_design.into_iter().collect();
    let expected = [
        ("/32, /128 and ranges of one number", 2),
        ("a field inside and outside `$or`", 1),
        ("a repeated key in a pattern", 1),
        ("addresses as text", 1),
        ("an empty list", 1),
        ("exact numbers", 2),
        ("shellstyle", 1),
        ("text after the closing brace", 1),
        ("unescaped control characters", 1),
    ];
    assert_eq!(by_design, expected);
}

#[test]
fn a_case_that_no_choice_explains_fails() {
    for line in [
        r#"{"pattern": {"a": [1]}, "event": {"a": 2}, "should_match": true}"#,
        r#"{"pattern": {"a": [1]}, "valid": false}"#,
        r#"{"pattern": {"a": [{"near": 1}]}, "valid": true}"#,
        r#"{"event": {"a": 2}}"#,
    ] {
        assert!(matches!(Case::read(line).unwrap().outcome(), Outcome::Failed(_)), "{line}");
    }
    for line in ["{", r#"{"pattern": {"a": [1]}}"#, r#"{"valid": true}"#, "[]"] {
        assert!(Case::read(line).is_err(), "{line}");
    }
}

/// All that differs is a choice of ours or an operator that the language has not.
#[test]
fn the_peers_agree_but_where_we_differ_on_purpose() {
    let mut sum = Tally::default();
    for name in [
        "pattern_triples.ndjson",
        "pattern_cross.ndjson",
        "pattern_invalid.ndjson",
        "pattern_valid.ndjson",
        "pattern_bad_events.ndjson",
        "panther_triples.ndjson",
    ] {
        let Some(text) = data(name) else { return };
        let tally = run(name, &text);
        assert_eq!(tally.failed, 0, "{name}");
        assert!(tally.passed > 0, "{name}");
        for (choice, count) in tally.by_design {
            *sum.by_design.entry(choice).or_default() += count;
        }
    }
    let expected = [
        ("/32, /128 and ranges of one number", 4),
        ("a field inside and outside `$or`", 9),
        ("a repeated key in a pattern", 5),
        ("exact numbers", 2),
        ("shellstyle", 250),
        ("text after the closing brace", 62),
        ("unescaped control characters", 2),
    ];
    assert_eq!(sum.by_design.into_iter().collect::<Vec<_>>(), expected);
}

/// Answers of the peers to a grid of small patterns and events; we follow event-ruler.
#[test]
fn the_grid_of_small_cases_follows_event_ruler() {
    let Some(text) = data("pattern_peer_matrix.ndjson") else { return };
    let mut tally = Tally::default();
    for line in text.lines() {
        let member = |name: &str| {
            let value = members(line).into_iter().find(|(member, _)| member == name).unwrap().1;
            value.to_owned()
        };
        let text = |name: &str| serde_json::from_str::<String>(&member(name)).unwrap();
        let peers: BTreeMap<String, serde_json::Value> = serde_json::from_str(&member("peers")).unwrap();
        let (pattern, event) = (text("pattern"), text("event"));
        let question = match peers["event_ruler"].as_bool() {
            Some(expected) => Question::Matches { pattern, event, expected },
            None => Question::Valid { pattern, expected: false },
        };
        let outcome = Case { id: String::new(), question }.outcome();
        if let Outcome::Failed(reason) = &outcome {
            println!("{reason}\n{line}");
        }
        tally.add(&outcome);
    }
    println!("{tally}");
    assert_eq!(tally.failed, 0);
    assert!(tally.passed > 1_000);
}

/// Patterns translated from a product's detections, on other detections' events.
#[test]
fn translated_detections_agree_with_the_product() {
    let files = ["panther_patterns.ndjson", "panther_events.ndjson", "panther_cross.ndjson"].map(data);
    let [Some(patterns), Some(events), Some(cross)] = files else { return };
    let text = |line: &str, name: &str| {
        let value = members(line).into_iter().find(|(member, _)| member == name).unwrap().1.to_owned();
        serde_json::from_str::<String>(&value).unwrap_or(value)
    };
    let patterns: BTreeMap<String, Pattern> = patterns
        .lines()
        .map(|line| (text(line, "rule"), Pattern::parse(&text(line, "pattern")).unwrap()))
        .collect();
    let events: BTreeMap<String, Payload> =
        events.lines().map(|line| (text(line, "id"), Payload::new(text(line, "event")).unwrap())).collect();
    let mut matched = 0;
    for line in cross.lines() {
        let expected = text(line, "expected") == "true";
        let pattern = &patterns[&text(line, "rule")];
        let event = &events[&text(line, "event_id")];
        assert_eq!(pattern.matches(event), expected, "{line}\n{}", pattern.explain(event));
        matched += usize::from(expected);
    }
    println!("{} pairs, {matched} matches", cross.lines().count());
    assert!(matched > 0);
}
