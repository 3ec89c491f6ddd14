//! Why a rule does not act on somebody, told without a signal.

use tipstaff::*;

use crate::support::{World, at, go, id};

const RULES: &str = r#"{
    "quiet_hours": [{ "from": "10:00", "to": "13:00" }],
    "protected": [{ "users": ["ana"], "why": "she keeps the keys" }],
    "rules": [
      { "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } }, "subject": { "dept": ["sales"] },
        "actions": [{ "key": "a", "type": "lock_account", "approval": "none" }],
        "guards": { "rollout": 0, "cooldown": { "for": "2h" }, "not_before": "2026-03-02T13:30:00Z" } },
      { "id": "s", "trigger": { "score": { "enters": ["red"], "min_confidence": 0.5 } },
        "actions": [{ "key": "a", "type": "escalate_to_hr" }] } ] }"#;

#[test]
fn every_guard_is_told_with_its_values_and_its_end() {
    let world = World::new(RULES);
    let subject = Subject::user(id("ana"));
    go(world.engine.exempt(
        &world.tenant,
        &subject,
        &ExemptionScope::All,
        Some(at(120)),
        &id("olga"),
        "leave",
        at(0),
    ));
    go(world.engine.engage_kill_switch(
        &world.tenant,
        &KillScope::Rule(id("r")),
        &id("olga"),
        "a storm",
        at(0),
    ));
    let why = go(world.engine.why_not(&world.tenant, &id("r"), &subject, at(0)));
    let held: Vec<_> = why
        .held
        .iter()
        .map(|outcome| match &outcome.effect {
            Effect::Suppressed(held) => {
                (held.reason.as_str(), held.detail.clone().unwrap_or_default(), held.until)
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(held[0], ("kill_switch", "a storm".to_owned(), None));
    // Quiet hours end at 13:00, and the rule begins at 13:30.
    assert_eq!(held[1], ("not_before", "not before 2026-03-02T13:30:00Z".to_owned(), Some(at(90))));
    assert_eq!(held[2].0, "rollout");
    assert!(held[2].1.ends_with("of 0 to 99; in are those below 0"), "{}", held[2].1);
    assert_eq!(held[3], ("protected", "she keeps the keys".to_owned(), None));
    assert_eq!(held[4], ("exempt", "leave".to_owned(), Some(at(120))));
    assert_eq!(held.len(), 5);
    assert!(!why.is_free());
    let parts: Vec<_> = why.parts.iter().map(|part| (part.part, part.holds)).collect();
    assert_eq!(parts, [(Part::Active, true), (Part::Mode, true), (Part::Subject, false)]);
    let text = why.to_string();
    assert!(text.contains("suppressed (exempt), leave, until 2026-03-02T14:00:00Z"), "{text}");
    assert!(text.contains("- subject"), "{text}");
}

#[test]
fn a_rule_on_scores_tells_of_the_level_and_of_what_it_did_last() {
    let world = World::new(RULES);
    let now = |minute| at(minute + 60);
    let why =
        |minute| go(world.engine.why_not(&world.tenant, &id("s"), &Subject::user(id("ben")), now(minute)));
    assert!(why(0).to_string().contains("- move: no score is known; wanted: a move into red"), "{}", why(0));
    let score = |name: &str, minute: i64, score: &str, confidence: &str| {
        let mut reading = world.score(name, "ben", now(minute), score);
        reading.confidence = Some(id(confidence));
        world.submit(reading, now(minute));
    };
    score("c1", 0, "90", "0.9");
    score("c2", 1, "30", "0.2");
    let unsure = why(2);
    assert!(unsure.to_string().contains("suppressed (low_confidence)"), "{unsure}");
    assert_eq!(unsure.last.len(), 1);
    score("c3", 3, "90", "0.9");
    score("c4", 4, "30", "0.9");
    let rests = why(5);
    assert!(
        rests.to_string().contains("suppressed (cooldown), from green to red, until 2026-03-03T13:04:00Z"),
        "{rests}"
    );
    assert!(why(5 + 24 * 60).is_free());
}

#[test]
fn a_rule_that_rests_for_its_subject_says_until_when() {
    let world = World::new(
        r#"[{ "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } }, "guards": { "cooldown": { "for": "2h" } },
            "actions": [{ "key": "a", "type": "escalate_to_hr" }] }]"#,
    );
    world.submit(world.event("s1", "ana", at(0), r#"{ "do": "it" }"#), at(0));
    let why = go(world.engine.why_not(&world.tenant, &id("r"), &Subject::user(id("ana")), at(1)));
    assert!(why.to_string().contains("until 2026-03-02T14:00:00Z"), "{why}");
    assert!(!why.is_free());
    let other = go(world.engine.why_not(&world.tenant, &id("r"), &Subject::user(id("ben")), at(1)));
    assert!(other.is_free(), "{other}");
    let unknown = ready(world.engine.why_not(&world.tenant, &id("q"), &Subject::user(id("ben")), at(1)));
    assert!(matches!(unknown.unwrap(), Err(EngineError::NotFound { .. })));
}
