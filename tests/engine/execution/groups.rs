//! Many signals at once decide as they would one after the other.

use proptest::prelude::*;
use tipstaff::*;

use super::batches::RULES;
use crate::support::{Frail, World, at, id};

fn signal(n: u8, user: u8, what: &str) -> Signal {
    let payload = format!(r#"{{"do": "{what}"}}"#);
    Event::new(
        id(if n % 5 == 4 { "beta" } else { "acme" }),
        &format!("s{n}"),
        "okta",
        id::<UserId>(&format!("u{user}")),
        at(0),
        payload,
    )
    .unwrap()
    .into()
}

/// What a host is told of a decision, with errors as their text.
fn told(answer: &Result<Decision, EngineError>) -> String {
    match answer {
        Ok(decision) => format!("{} repeat {} {:?}", decision.id, decision.repeat, decision.outcomes),
        Err(error) => error.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn together_is_as_one_by_one(
        picked in prop::collection::vec((0_u8..12, 0_u8..3, prop::sample::select(vec!["tell", "escalate", "nothing"])), 0..30),
    ) {
        let signals: Vec<Signal> = picked.iter().map(|(n, user, what)| signal(*n, *user, what)).collect();
        let (one, all) = (World::new(RULES), World::new(RULES));
        let singly: Vec<_> = signals.iter().map(|signal| ready(one.engine.submit(signal.clone(), at(0))).unwrap()).collect();
        let together = ready(all.engine.submit_all(signals.clone(), at(0))).unwrap();
        prop_assert_eq!(singly.iter().map(told).collect::<Vec<_>>(), together.iter().map(told).collect::<Vec<_>>());
        let made = |world: &World| {
            let mut rows: Vec<_> = world.log().into_iter().map(|row| (row.id, row.reason())).collect();
            rows.sort();
            rows
        };
        prop_assert_eq!(made(&one), made(&all));
        all.verified();
        // Once more: every accepted signal is a repeat, and nothing is written. One that concerned no rule
        // left nothing, and another may have its id by now.
        let concerns = |answer: &Result<Decision, EngineError>| answer.as_ref().map_or(true, |d| !d.outcomes.is_empty());
        let (signals, together): (Vec<_>, Vec<_>) =
            signals.into_iter().zip(together).filter(|(_, answer)| concerns(answer)).unzip();
        let records = all.trail().len();
        let again = ready(all.engine.submit_all(signals, at(1))).unwrap();
        for (first, second) in together.iter().zip(&again) {
            prop_assert_eq!(first.is_ok(), second.is_ok());
            if let (Ok(first), Ok(second)) = (first, second) {
                prop_assert_eq!((first.id, !first.outcomes.is_empty()), (second.id, second.repeat));
            }
        }
        prop_assert_eq!(all.trail().len(), records);
    }
}

#[test]
fn many_signals_are_few_commits_and_a_store_that_falls_loses_none() {
    let rules = || RuleSet::from_json(RULES).unwrap();
    let signals: Vec<Signal> = (0..250_u16)
        .map(|n| {
            let user: UserId = id(&format!("u{n}"));
            Event::new(id("acme"), &format!("s{n}"), "okta", user, at(0), r#"{"do": "tell"}"#).unwrap().into()
        })
        .collect();
    let world = World::new(RULES);
    world.submit(world.event("first", "ana", at(0), r#"{"do": "tell"}"#), at(0));
    // Two commits of a hundred go through; the third finds the store gone.
    let engine = Engine::new(Frail::new(world.store.clone(), 2), world.target.clone(), rules());
    let answers = ready(engine.submit_all(signals.clone(), at(0))).unwrap();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2 * SUBMIT_GROUP);
    for answer in &answers[2 * SUBMIT_GROUP..] {
        assert!(matches!(answer, Err(EngineError::Store(StoreError::Unavailable(_)))), "{answer:?}");
    }
    let again = ready(world.engine.submit_all(signals, at(1))).unwrap();
    let repeats: Vec<bool> = again.iter().map(|answer| answer.as_ref().unwrap().repeat).collect();
    assert_eq!(repeats.iter().filter(|repeat| **repeat).count(), 2 * SUBMIT_GROUP);
    assert_eq!(world.stats("tell", at(1)).created, 251, "each once");
    world.verified();
}
