//! Storms: the first signal is answered, the others are counted on that answer.

use std::collections::BTreeMap;

use crate::support::{World, at, go, id};
use proptest::prelude::*;
use tipstaff::*;

const TELL: &str = r#"{ "key": "tell", "type": "escalate_to_hr" }"#;
const LOCK: &str = r#"{ "key": "lock", "type": "lock_account" }"#;

fn rule(id: &str, actions: &str, cooldown: &str, more: &str) -> String {
    format!(
        r#"{{ "id": "{id}", "trigger": {{ "event": {{ "pattern": {{ "kind": ["a"] }} }} }}, "actions": [{actions}],
            "guards": {{ "cooldown": {cooldown} }} {more} }}"#
    )
}

fn document(rules: &[String]) -> String {
    let rules = rules.join(",");
    format!(
        r#"{{ "approvers": {{ "default": "g", "groups": {{ "g": ["bo", "cy"] }} }}, "rules": [{rules}] }}"#
    )
}

fn submit(world: &World, signal: &str, minute: i64, ip: u8) -> Decision {
    let text = format!(r#"{{ "kind": "a", "client": {{ "ip": "10.0.0.{ip}" }} }}"#);
    world.submit(world.event(signal, "ana", at(minute), &text), at(minute))
}

#[test]
fn repeats_are_counted_on_the_record_that_the_storm_made() {
    let both = format!("{LOCK},{TELL}");
    let world = World::new(&document(&[rule("r", &both, r#"{ "for": "60m" }"#, "")]));
    submit(&world, "s0", 0, 1);
    let again = submit(&world, "s1", 5, 1);
    let lock = world.the("lock_account");
    assert_eq!((lock.repeats, lock.last_repeat), (1, Some(at(5))));
    let Effect::Suppressed(held) = &again.outcomes[0].effect else { panic!("{again}") };
    assert_eq!(held.detail, Some(format!("repeat 1 of {}", lock.id)));
    assert_eq!(held.until, Some(at(60)));
    // A late one of the storm counts too, and does not pull the last repeat back.
    submit(&world, "s2", 2, 1);
    let tell = world.the("escalate_to_hr");
    assert_eq!((tell.repeats, tell.last_repeat), (2, Some(at(5))));
    assert!(tell.to_string().ends_with(", repeated 2 times, last at 2026-03-02T12:05:00Z"), "{tell}");

    // A count is no status: what is over is counted on, and stays over.
    world.run(at(6));
    assert_eq!(world.the("escalate_to_hr").status(), Status::Succeeded);
    let settled = world.the("escalate_to_hr");
    submit(&world, "s3", 10, 1);
    let counted = world.the("escalate_to_hr");
    assert_eq!(counted, Enforcement { repeats: 3, last_repeat: Some(at(10)), ..settled });
    // And the request for the other still stands, and can be granted.
    let request = world.requests().remove(0);
    world.approve(&request, "bo", at(11));
    world.run(at(12));
    assert_eq!((world.reason("lock_account"), world.the("lock_account").repeats), ("done", 3));

    // The next storm has a record of its own.
    submit(&world, "s4", 60, 1);
    assert_eq!(world.log().iter().map(|row| row.repeats).sum::<u64>(), 6);
    assert_eq!(world.log().len(), 4);
    // The trail: each signal once; the repeats 1 and 2, by action, and no other.
    assert_eq!((world.count("POLICY_SIGNAL_DECIDED"), world.count("POLICY_ACTION_SUPPRESSED")), (5, 4));
    let told = world.trail().into_iter().filter(|record| record.code == "POLICY_ACTION_SUPPRESSED");
    assert_eq!(told.last().unwrap().enforcement, Some(counted.id));
    world.verified();
}

#[test]
fn a_repeat_leaves_the_claim_of_a_record_alone() {
    let world = World::new(&document(&[rule("r", TELL, r#"{ "for": "60m" }"#, "")]));
    submit(&world, "s0", 0, 1);
    let claim = Claim {
        worker: id("w"),
        nonce: crate::support::commit_id("1"),
        channels: None,
        max: 1,
        until: at(0),
        lease: Span::hours(1),
        after: None,
    };
    let held = go(world.store.claim(&claim)).remove(0);
    submit(&world, "s1", 1, 1);
    let after = crate::support::stored(&world.store, Kind::Enforcement, &*held.key.id.clone()).unwrap();
    assert_eq!((after.lease, after.token), (held.lease, held.token));
    // So nobody else takes it, and it is delivered once.
    assert_eq!(world.run(at(2)).attempts, 0);
    assert_eq!(world.the("escalate_to_hr").repeats, 1);
}

#[test]
fn a_rule_may_rest_for_a_value() {
    let world = World::new(&document(&[rule(
        "r",
        TELL,
        r#"{ "per": "field", "field": "client.ip", "for": "60m" }"#,
        "",
    )]));
    let acts = |signal: &str, minute, ip| submit(&world, signal, minute, ip).enforcements().count() == 1;
    assert!(acts("s0", 0, 1));
    assert!(!acts("s1", 1, 1));
    assert!(acts("s2", 2, 2), "another address is another storm");
    assert!(!acts("s3", 61, 2) && acts("s4", 61, 1));
    let repeats: Vec<u64> = world.log().iter().map(|row| row.repeats).collect();
    assert_eq!(repeats, [1, 1, 0]);
    // Events without the field share a rest.
    let bare = |signal: &str| world.submit(world.event(signal, "ana", at(70), r#"{ "kind": "a" }"#), at(70));
    assert_eq!(bare("n0").enforcements().count(), 1);
    assert_eq!(bare("n1").enforcements().count(), 0);
    // The value itself is not kept with the rest, and the rests are forgotten in the end.
    let tallies = || -> Vec<Tally> {
        let all = crate::support::content(&world.store, &world.tenant);
        let records = all.iter().filter_map(|text| serde_json::from_str::<Record>(text).ok());
        let kept = records.filter(|record| record.key.kind == Kind::Tally);
        kept.map(|record| {
            assert!(!record.body.contains("10.0.0"));
            serde_json::from_str(&record.body).unwrap()
        })
        .collect()
    };
    assert_eq!(tallies()[0].resting.len(), 3);
    world.run(at(190));
    assert!(tallies()[0].resting.is_empty());
}

#[test]
fn a_wrong_clock_silences_nothing() {
    let world = World::new(&document(&[rule("r", TELL, r#"{ "for": "60m" }"#, "")]));
    for n in 0..MAX_RESTS as i64 {
        let event = world.event(&format!("f{n}"), "ana", at(1_000_000 + 100 * n), r#"{ "kind": "a" }"#);
        assert_eq!(world.submit(event, at(60 * n)).enforcements().count(), 1);
    }
    let now = 60 * MAX_RESTS as i64;
    assert_eq!(submit(&world, "s0", now, 1).enforcements().count(), 1);
    assert_eq!(submit(&world, "s1", now + 1, 1).enforcements().count(), 0);
}

#[test]
fn a_storm_that_changes_its_value_is_bounded() {
    let world = World::new(&document(&[rule("r", TELL, r#"{ "field": "n", "for": "60m" }"#, "")]));
    let mut held = 0;
    for n in 0..MAX_RESTING_VALUES + 20 {
        let event = world.event(&format!("s{n}"), "ana", at(0), &format!(r#"{{ "kind": "a", "n": {n} }}"#));
        held += usize::from(world.submit(event, at(0)).enforcements().count() == 0);
    }
    assert_eq!(held, 20);
    assert_eq!(world.stats("r", at(0)).created as usize, MAX_RESTING_VALUES);
    assert_eq!(world.log().iter().map(|row| row.repeats).sum::<u64>(), 20);
    // As soon as one of them is over there is room again.
    let event = world.event("later", "ana", at(60), r#"{ "kind": "a", "n": -1 }"#);
    assert_eq!(world.submit(event, at(60)).enforcements().count(), 1);
}

#[test]
fn rules_that_share_a_restriction_count_a_signal_once() {
    let cooldown = r#"{ "for": "60m" }"#;
    let world = World::new(&document(&[rule("one", LOCK, cooldown, ""), rule("two", LOCK, cooldown, "")]));
    submit(&world, "s0", 0, 1);
    let again = submit(&world, "s1", 1, 1);
    assert_eq!(again.outcomes.len(), 2);
    assert_eq!(world.the("lock_account").repeats, 1);
}

#[test]
fn records_of_before_read_as_they_were() {
    let old = r#"{"since":"2026-03-02T12:00:00Z","until":"2026-03-02T13:00:00Z","repeats":7}"#;
    let rests: Rests = serde_json::from_str(old).unwrap();
    assert_eq!((rests.newest.repeats, rests.earlier.len(), rests.newest.made.len()), (7, 0, 0));
    assert_eq!(serde_json::to_string(&rests).unwrap(), old);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// In whatever order signals come, what was made and what was counted is what came; in order,
    /// the counts are those of the storms.
    #[test]
    fn no_signal_is_lost_in_a_storm(
        signals in prop::collection::vec((0_i64..300, 0_u8..3), 1..60),
        per_field in any::<bool>(),
        in_order in any::<bool>(),
    ) {
        let cooldown = if per_field { r#"{ "field": "client.ip", "for": "60m" }"# } else { r#"{ "for": "60m" }"# };
        let world = World::new(&document(&[rule("r", TELL, cooldown, "")]));
        let mut signals = signals;
        if in_order {
            signals.sort_unstable();
        }
        let mut storms: BTreeMap<u8, Vec<(i64, u64)>> = BTreeMap::new();
        for (n, (minute, ip)) in signals.iter().enumerate() {
            submit(&world, &format!("s{n}"), *minute, *ip);
            let of_value = storms.entry(if per_field { *ip } else { 0 }).or_default();
            match of_value.last_mut() {
                Some((since, repeats)) if minute - *since < 60 => *repeats += 1,
                _ => of_value.push((*minute, 0)),
            }
        }
        let log = world.log();
        prop_assert_eq!(log.len() as u64 + log.iter().map(|row| row.repeats).sum::<u64>(), signals.len() as u64);
        if in_order {
            let mut expected: Vec<u64> = storms.values().flatten().map(|(_, repeats)| *repeats).collect();
            let mut found: Vec<u64> = log.iter().map(|row| row.repeats).collect();
            expected.sort_unstable();
            found.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
