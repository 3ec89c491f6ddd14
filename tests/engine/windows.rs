//! Windowed counts: what they mean, said again plainly, and held against the engine.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{World, at, go, id};
use proptest::prelude::*;
use tipstaff::*;

fn rule(window: &str, more: &str) -> String {
    format!(
        r#"{{ "id": "r", "trigger": {{ "event": {{ "pattern": {{ "kind": ["a"] }}, "window": {window} }} }},
            "actions": [{{ "key": "tell", "type": "escalate_to_hr" }}] {more} }}"#
    )
}

fn payload(kind: &str, value: u8) -> String {
    format!(r#"{{ "kind": "{kind}", "value": {value} }}"#)
}

fn submit(world: &World, signal: &str, user: &str, minute: i64, now: i64, text: &str) -> Decision {
    world.submit(world.event(signal, user, at(minute), text), at(now))
}

/// How an event was counted: how much there is, and what that means.
fn stand(decision: &Decision) -> (u32, WindowOutcome) {
    (decision.windows[0].count, decision.windows[0].outcome)
}

#[test]
fn five_failures_within_ten_minutes() {
    let world = World::new(&rule(r#"{ "count": 5, "in": "10m" }"#, ""));
    for n in 0..4 {
        let decision = submit(&world, &format!("s{n}"), "ana", n, n, &payload("a", 0));
        assert_eq!(stand(&decision), (n as u32 + 1, WindowOutcome::Counting));
        assert!(decision.outcomes.is_empty() && !decision.is_empty());
        assert!(decision.to_string().contains(&format!("{} of 5 within 10m", n + 1)), "{decision}");
    }
    // Another person's do not count for her, nor does what does not match.
    submit(&world, "b0", "bea", 4, 4, &payload("a", 0));
    assert!(submit(&world, "x0", "ana", 4, 4, &payload("z", 0)).is_empty());
    let decision = submit(&world, "s4", "ana", 9, 9, &payload("a", 0));
    assert_eq!(stand(&decision), (5, WindowOutcome::Complete));
    let made = world.the("escalate_to_hr");
    assert_eq!(made.windows, decision.windows);
    assert_eq!(made.windows[0].signals, ["s0", "s1", "s2", "s3", "s4"]);
    assert!(made.to_string().contains("5 of 5 within 10m (s0, s1, s2, s3, s4)"), "{made}");
    assert_eq!(decision.evidence["window of rule r"], "5 of 5 within 10m: s0, s1, s2, s3, s4");
    let told: Vec<_> = world.trail().into_iter().filter_map(|r| r.details.get("windows").cloned()).collect();
    assert_eq!(told.len(), 6);
    assert_eq!(told[5], Detail::from(vec!["r: 5 of 5 within 10m: complete"]));
    world.verified();
}

#[test]
fn once_a_window_is_no_two_firings_within_its_span() {
    for (every, expected) in [("false", vec![4, 14, 24]), ("true", (4..30).collect())] {
        let world = World::new(&rule(&format!(r#"{{ "count": 5, "in": "10m", "every": {every} }}"#), ""));
        let fired = |n: &i64| {
            let decision = submit(&world, &format!("s{n}"), "ana", *n, *n, &payload("a", 0));
            decision.enforcements().count() == 1
        };
        assert_eq!((0..30).filter(fired).collect::<Vec<_>>(), expected, "every: {every}");
    }
}

#[test]
fn three_addresses_within_an_hour() {
    let world = World::new(&rule(r#"{ "distinct": "value", "count": 3, "in": "1h" }"#, ""));
    let go = |n: i64, minute, value| {
        stand(&submit(&world, &format!("s{n}"), "ana", minute, minute, &payload("a", value)))
    };
    assert_eq!(go(0, 0, 1), (1, WindowOutcome::Counting));
    assert_eq!(go(1, 5, 1), (1, WindowOutcome::Counting), "the same value is one");
    assert_eq!(go(2, 30, 2), (2, WindowOutcome::Counting));
    assert_eq!(go(3, 64, 3), (3, WindowOutcome::Complete), "the first value was seen again at 5");
    assert_eq!(go(4, 65, 4), (3, WindowOutcome::Fired));
    assert_eq!(go(5, 130, 5), (1, WindowOutcome::Counting));
    let without = submit(&world, "s6", "ana", 131, 131, r#"{ "kind": "a", "value": null }"#);
    assert_eq!(stand(&without), (0, WindowOutcome::NoValue));
    // The values themselves are not kept, and 1 is 1.0.
    assert_eq!(stand(&submit(&world, "s7", "ana", 131, 131, r#"{"kind":"a","value":[5.0,"x","y"]}"#)).0, 3);
    let kept = crate::support::content(&world.store, &world.tenant);
    assert!(kept.iter().all(|text| !text.contains(r#"\"what\":\"x"#)));
}

#[test]
fn one_thing_then_another() {
    let window = r#"{ "then": { "sources": ["okta"], "pattern": { "kind": ["b"] } }, "in": "30m" }"#;
    let world = World::new(&rule(window, ""));
    let rules = go(world.engine.rules(&world.tenant, at(0)));
    let roles = |kind: &str| {
        let event = world.event("s", "ana", at(0), &payload(kind, 0));
        rules.rule(&id("r")).unwrap().roles(&event)
    };
    assert_eq!((roles("a"), roles("b"), roles("c")), (vec![Role::First], vec![Role::Second], vec![]));
    let go = |signal: &str, user: &str, minute, kind: &str| {
        stand(&submit(&world, signal, user, minute, 500, &payload(kind, 0))).1
    };
    assert_eq!(go("b0", "ana", 0, "b"), WindowOutcome::Counting, "nothing came before");
    assert_eq!(go("a1", "ana", 10, "a"), WindowOutcome::Counting);
    assert_eq!(go("b1", "ana", 10, "b"), WindowOutcome::Counting, "at the same instant is not after");
    assert_eq!(go("b2", "bea", 11, "b"), WindowOutcome::Counting, "somebody else's");
    assert_eq!(go("b3", "ana", 39, "b"), WindowOutcome::Complete);
    assert_eq!(world.the("escalate_to_hr").windows[0].signals, ["a1", "b3"]);
    assert_eq!(go("b4", "ana", 40, "b"), WindowOutcome::Counting, "thirty minutes is not within thirty");
    // The first comes in last: the pair is a pair all the same.
    assert_eq!(go("b5", "cy", 50, "b"), WindowOutcome::Counting);
    assert_eq!(go("a5", "cy", 45, "a"), WindowOutcome::Complete);
    assert_eq!(go("a6", "cy", 20, "a"), WindowOutcome::Late);
}

#[test]
fn a_wrong_clock_does_not_hide_what_comes_next() {
    let world = World::new(&rule(r#"{ "count": 2, "in": "10m" }"#, ""));
    assert_eq!(stand(&submit(&world, "s0", "ana", 9_999_999, 0, &payload("a", 0))).0, 1);
    assert_eq!(stand(&submit(&world, "s1", "ana", 1, 1, &payload("a", 0))), (2, WindowOutcome::Complete));
}

#[test]
fn what_is_counted_is_forgotten() {
    let world = World::new(&rule(r#"{ "count": 3, "in": "10m" }"#, ""));
    // From a source that is a week behind: it counts from when it came in.
    submit(&world, "s0", "ana", 0, 10_080, &payload("a", 0));
    world.run(at(10_099));
    assert_eq!(stand(&submit(&world, "s1", "ana", 1, 10_099, &payload("a", 0))).0, 2);
    world.run(at(10_118));
    assert_eq!(
        crate::support::content(&world.store, &world.tenant).iter().filter(|r| r.contains("counted")).count(),
        1
    );
    assert_eq!(world.run(at(10_119)).timers, 1);
    assert!(crate::support::content(&world.store, &world.tenant).iter().all(|r| !r.contains("counted")));
    assert_eq!(stand(&submit(&world, "s2", "ana", 2, 10_119, &payload("a", 0))).0, 1);
    world.verified();
}

#[test]
fn an_edit_keeps_the_window_unless_it_changes_it() {
    let world = World::new(&rule(r#"{ "count": 3, "in": "10m" }"#, ""));
    let edit = |text: &str| {
        let rules = RuleSet::from_json(text).unwrap();
        go(world.engine.add_rules(&world.tenant, &rules, &Actor::Host, at(0)));
    };
    let mut n = 0;
    let mut count = || {
        n += 1;
        stand(&submit(&world, &format!("s{n}"), "ana", 1, 9, &payload("a", 0))).0
    };
    assert_eq!((count(), count()), (1, 2));
    edit(&rule(r#"{ "count": 3, "in": "10m", "every": true }"#, r#", "title": "Another""#));
    assert_eq!(count(), 3, "another title, and every time: it goes on");
    edit(&rule(r#"{ "count": 4, "in": "10m" }"#, ""));
    assert_eq!(count(), 1, "another count: it begins anew");
    edit(&rule(r#"{ "count": 4, "in": "10m" }"#, r#", "mode": "shadow""#));
    assert_eq!(count(), 1, "shadow counts for itself");
    edit(&rule(r#"{ "count": 4, "in": "10m" }"#, ""));
    assert_eq!(count(), 2, "and live goes on where it was");
}

#[test]
fn a_firing_that_was_held_back_is_none() {
    let world = World::new(&rule(r#"{ "count": 2, "in": "10m" }"#, ""));
    let bo: ActorId = id("bo");
    submit(&world, "s0", "ana", 0, 0, &payload("a", 0));
    go(world.engine.engage_kill_switch(&world.tenant, &KillScope::Tenant, &bo, "drill", at(0)));
    let held = submit(&world, "s1", "ana", 1, 1, &payload("a", 0));
    assert_eq!((stand(&held).1, held.outcomes.len()), (WindowOutcome::Complete, 1));
    assert!(world.log().is_empty());
    go(world.engine.release_kill_switch(&world.tenant, &KillScope::Tenant, &bo, "over", at(1)));
    assert_eq!(submit(&world, "s2", "ana", 2, 2, &payload("a", 0)).enforcements().count(), 1);
    assert_eq!(stand(&submit(&world, "s3", "ana", 3, 3, &payload("a", 0))).1, WindowOutcome::Fired);
}

/// The three kinds, as the model knows them.
#[derive(Clone, Copy, Debug)]
enum Model {
    Events(usize),
    Values(usize),
    Pair,
}

/// One event of a sequence, all that the model keeps of it.
#[derive(Clone, Copy, Debug)]
struct Past {
    minute: i64,
    value: u8,
    first: bool,
    second: bool,
}

/// Behaviour 3.5 over all that ever came, without any bound: whether the last event completes a
/// window of that many minutes, and with how much.
fn completes(model: Model, all: &[Past], span: i64) -> (usize, bool) {
    let last = *all.last().unwrap();
    match model {
        Model::Pair => {
            let pair = all.iter().any(|other| {
                let before = other.first && last.second && (1..span).contains(&(last.minute - other.minute));
                let after = other.second && last.first && (1..span).contains(&(other.minute - last.minute));
                before || after
            });
            (1 + usize::from(pair), pair)
        }
        Model::Events(need) | Model::Values(need) => {
            // Every stretch that has the event in it, by its first minute.
            let stretch = |from: i64| {
                let within = all.iter().filter(move |past| (from..from + span).contains(&past.minute));
                match model {
                    Model::Values(_) => within.map(|past| past.value).collect::<BTreeSet<_>>().len(),
                    _ => within.count(),
                }
            };
            let best = (last.minute - span + 1..=last.minute).map(stretch).max().unwrap();
            (best.min(need), best >= need)
        }
    }
}

fn model() -> impl Strategy<Value = Model> {
    prop_oneof![(1_usize..6).prop_map(Model::Events), (1_usize..5).prop_map(Model::Values), Just(Model::Pair)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn windows_do_as_a_plain_model_does(
        model in model(),
        span in 2_i64..20,
        every in any::<bool>(),
        steps in prop::collection::vec((-25_i64..15, 0_u8..6, 0_u8..8, any::<bool>()), 1..60),
    ) {
        let window = match model {
            Model::Events(n) => format!(r#"{{ "count": {n}, "in": "{span}m", "every": {every} }}"#),
            Model::Values(n) => format!(r#"{{ "distinct": "value", "count": {n}, "in": "{span}m", "every": {every} }}"#),
            Model::Pair => format!(r#"{{ "then": {{ "pattern": {{ "kind": ["b"] }} }}, "in": "{span}m", "every": {every} }}"#),
        };
        let world = World::new(&rule(&window, ""));
        let (mut all, mut fired, mut newest): (Vec<Past>, Vec<i64>, _) = (Vec::new(), Vec::new(), 0);
        let mut counted = 0;
        for (n, (delta, value, kind, again)) in steps.into_iter().enumerate() {
            let minute = newest + delta;
            let (first, second) = (kind != 0, matches!(model, Model::Pair) && kind < 4);
            let kinds = match (first, second) { (true, true) => r#"["a", "b"]"#, (true, false) => r#""a""#, _ => r#""b""# };
            let text = format!(r#"{{ "kind": {kinds}, "value": {value} }}"#);
            let signal = format!("s{n}");
            let decision = submit(&world, &signal, "ana", minute, 100_000, &text);
            if !first && !second {
                prop_assert!(decision.is_empty());
                continue;
            }
            let late = all.iter().map(|past| past.minute).max().is_some_and(|newest| newest - minute >= span);
            let expected = if late {
                (0, WindowOutcome::Late)
            } else {
                all.push(Past { minute, value, first, second });
                newest = newest.max(minute);
                let (count, enough) = completes(model, &all, span);
                let rested = !every && fired.iter().any(|at| (at - minute).abs() < span);
                let outcome = match (enough, rested) {
                    (false, _) => WindowOutcome::Counting,
                    (true, true) => WindowOutcome::Fired,
                    (true, false) => WindowOutcome::Complete,
                };
                if outcome == WindowOutcome::Complete {
                    fired.push(minute);
                }
                (count as u32, outcome)
            };
            prop_assert_eq!(stand(&decision), expected, "event {} at {} of {:?}", n, minute, all);
            prop_assert_eq!(decision.enforcements().count(), usize::from(expected.1 == WindowOutcome::Complete));
            counted += 1;
            if again {
                let repeat = submit(&world, &signal, "ana", minute, 100_001, &text);
                prop_assert!(repeat.repeat && repeat.windows == decision.windows);
            }
        }
        prop_assert_eq!(world.count("POLICY_SIGNAL_DECIDED"), counted);
        if !every {
            fired.sort_unstable();
            prop_assert!(fired.windows(2).all(|two| two[1] - two[0] >= span));
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// However long a storm is, what is kept of it is bounded.
    #[test]
    fn a_window_is_bounded(distinct in any::<bool>(), values in prop::collection::vec(any::<u8>(), 200..400)) {
        let window = if distinct { r#"{ "distinct": "value", "count": 5, "in": "1d" }"# } else { r#"{ "count": 5, "in": "1d" }"# };
        let world = World::new(&rule(window, ""));
        for (n, value) in values.into_iter().enumerate() {
            submit(&world, &format!("s{n}"), "ana", n as i64, n as i64, &payload("a", value));
        }
        let tallies: Vec<Tally> = crate::support::content(&world.store, &world.tenant)
            .iter()
            .filter_map(|text| serde_json::from_str::<Record>(text).ok())
            .filter(|record| record.key.kind == Kind::Tally)
            .map(|record| serde_json::from_str(&record.body).unwrap())
            .collect();
        let [tally] = tallies.as_slice() else { panic!("{tallies:?}") };
        let most = if distinct { 10 * 4 } else { 10 };
        prop_assert!(tally.counted.len() <= most);
        prop_assert_eq!(tally.counted.iter().filter(|known| known.signal.is_some()).count(), tally.counted.len().min(MAX_WINDOW_SIGNALS));
    }
}

/// The thresholds of published detections, on published events that are played again and again.
#[test]
fn the_thresholds_of_published_detections() {
    let data = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/open");
    let lines = |name: &str| -> Option<Vec<serde_json::Value>> {
        let text = std::fs::read_to_string(data.join(name)).ok()?;
        Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    };
    let (Some(rules), Some(patterns), Some(triples)) =
        (lines("panther_rules.ndjson"), lines("panther_patterns.ndjson"), lines("panther_events.ndjson"))
    else {
        println!("left out: no reference data beside the repository");
        return;
    };
    let mut seen = BTreeMap::new();
    for pattern in &patterns {
        let about = rules.iter().find(|rule| rule["rule"] == pattern["rule"]).unwrap();
        let Some(threshold) = about["threshold"].as_u64().filter(|n| *n > 1) else { continue };
        let minutes = about["dedup_minutes"].as_i64().unwrap_or(60);
        let text = format!(
            r#"{{ "id": "r", "trigger": {{ "event": {{ "pattern": {},
                "window": {{ "count": {threshold}, "in": "{minutes}m" }} }} }},
                "actions": [{{ "key": "tell", "type": "escalate_to_hr" }}] }}"#,
            pattern["pattern"]
        );
        if threshold > u64::from(MAX_WINDOW_COUNT) {
            let error = RuleSet::from_json(&text).unwrap_err();
            assert!(error.to_string().contains("/trigger/event/window/count"), "{error}");
            continue;
        }
        let world = World::new(&text);
        let of_rule = triples.iter().filter(|event| event["rule"] == pattern["rule"]);
        let events: Vec<(String, bool)> =
            of_rule.map(|e| (e["event"].to_string(), e["expected"] == true)).collect();
        // Every 1/7 of the window's share an event, so that windows slide, fill and lapse.
        let step = (minutes * 60 / threshold as i64 * 6 / 7).max(1);
        let (mut matches, mut fired): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
        for n in 0..(3 * threshold as usize * events.len()).min(900) {
            let (payload, matching) = &events[n % events.len()];
            let second = n as i64 * step;
            let when = Time::from_micros(at(0).micros() + second * 1_000_000);
            let decision = world.submit(world.event(&format!("s{n}"), "ana", when, payload), when);
            if *matching {
                matches.push(second);
            }
            let within = matches.iter().filter(|past| second - **past < minutes * 60).count();
            let rested = fired.last().is_some_and(|last| second - last < minutes * 60);
            let expected = *matching && within as u64 >= threshold && !rested;
            if expected {
                fired.push(second);
            }
            assert_eq!(
                decision.enforcements().count(),
                usize::from(expected),
                "{}: event {n}",
                about["rule"]
            );
        }
        seen.insert(about["rule"].to_string(), fired.len());
    }
    println!("{} rules with thresholds: {seen:?}", seen.len());
    assert!(seen.len() > 5 && seen.values().any(|fired| *fired > 1), "{seen:?}");
}
