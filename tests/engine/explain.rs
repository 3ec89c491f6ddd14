//! Why, and why not: what an explanation says is what the engine does.

use crate::support::{World, at, go, id, refused};
use proptest::prelude::*;
use tipstaff::*;

const ACT: &str = r#"{ "key": "tell", "type": "escalate_to_hr" }"#;
const LOCK: &str = r#"{ "key": "lock", "type": "lock_account" }"#;
const MAIL: &str =
    r#"{ "key": "mail", "type": "send_email", "params": { "to": "manager", "template": "{event.b}" } }"#;

fn rule(id: &str, trigger: &str, actions: &str, more: &str) -> String {
    format!(r#"{{ "id": "{id}", "trigger": {trigger}, "actions": [{actions}]{more} }}"#)
}

fn document(rules: &[String]) -> String {
    let rules = rules.join(",");
    format!(
        r#"{{ "approvers": {{ "default": "g", "groups": {{ "g": ["bo", "cy"] }} }}, "rules": [{rules}] }}"#
    )
}

fn why(world: &World, rule: &str, signal: impl Into<Signal>, now: i64) -> Why {
    go(world.engine.explain(&id(rule), signal, at(now)))
}

#[test]
fn each_part_says_no_in_its_turn() {
    let event =
        |sources: &str| format!(r#"{{ "event": {{ {sources} "pattern": {{ "a": [1], "b": ["x"] }} }} }}"#);
    let okta = event(r#""sources": ["okta"],"#);
    let pair = r#"{ "event": { "sources": ["vpn"], "pattern": { "a": [1] },
        "window": { "then": { "sources": ["okta"], "pattern": { "b": ["x"] } }, "in": "1h" } } }"#;
    let score = r#"{ "score": { "enters": ["red"], "min_confidence": 0.5 } }"#;
    let rules = [
        rule("acts", &okta, LOCK, ""),
        rule("off", &okta, ACT, r#", "mode": "off""#),
        rule("shadow", &okta, ACT, r#", "mode": "shadow""#),
        rule("stopped", &okta, ACT, ""),
        rule("source", &event(r#""sources": ["entra", "vpn"],"#), ACT, ""),
        rule("pattern", r#"{ "event": { "pattern": { "a": [2] } } }"#, ACT, ""),
        rule("subject", &okta, ACT, r#", "subject": { "privileged": [true] }"#),
        rule("pair", pair, ACT, ""),
        rule("storm", &okta, ACT, r#", "guards": { "cooldown": { "for": "1h" } }"#),
        rule("score", score, ACT, ""),
        rule("hand", r#"{ "manual": {} }"#, ACT, ""),
    ];
    let world = World::new(&document(&rules));
    go(world.engine.deactivate(&world.tenant, &id("stopped"), &id("bo"), at(0)));
    let event = |n: &str| world.event(n, "ana", at(0), r#"{ "a": 1, "b": "x" }"#);
    for (rule, answer, part) in [
        ("acts", RuleAnswer::Acts, None),
        ("off", RuleAnswer::Unconcerned, Some(Part::Mode)),
        ("shadow", RuleAnswer::Shadow, None),
        ("stopped", RuleAnswer::Unconcerned, Some(Part::Active)),
        ("source", RuleAnswer::Unconcerned, Some(Part::Source)),
        ("pattern", RuleAnswer::Unconcerned, Some(Part::Pattern)),
        ("subject", RuleAnswer::Unconcerned, Some(Part::Subject)),
        ("pair", RuleAnswer::Waits, Some(Part::Window)),
        ("storm", RuleAnswer::Acts, None),
        ("score", RuleAnswer::Unconcerned, Some(Part::Kind)),
        ("hand", RuleAnswer::Unconcerned, Some(Part::Kind)),
    ] {
        let why = why(&world, rule, event("e0"), 0);
        assert_eq!((why.answer, why.decided_by), (answer, part), "{why}");
        assert!(why.to_string().lines().count() >= 4, "{why}");
        // As data it names the same.
        let data = serde_json::to_value(&why).unwrap();
        assert_eq!(data["answer"], answer.as_str());
    }
    let untold = world.trail().len();
    assert!(world.log().is_empty(), "an explanation does nothing");

    let shown = why(&world, "pattern", event("e0"), 0).to_string();
    assert!(shown.contains("- `a` is 1: wanted one of [2]"), "{shown}");
    let shown = why(&world, "source", event("e0"), 0).to_string();
    assert!(shown.contains("source (first): okta; wanted: entra or vpn"), "{shown}");
    let privileged = Payload::new(r#"{ "privileged": false }"#).unwrap();
    let shown = why(&world, "subject", event("e0").attributes(privileged), 0).to_string();
    assert!(shown.contains("`privileged` is false: wanted one of [true]"), "{shown}");
    let shown = why(&world, "pair", event("e0"), 0).to_string();
    assert!(shown.contains("window: 1 of 2 within 1h"), "{shown}");
    assert_eq!(world.trail().len(), untold);

    // A guard says when it lifts.
    world.submit(event("e1"), at(0));
    let held = why(&world, "storm", world.event("e2", "ana", at(5), r#"{ "a": 1, "b": "x" }"#), 5);
    assert_eq!((held.answer, held.decided_by), (RuleAnswer::HeldBack, Some(Part::Guards)));
    let Effect::Suppressed(suppressed) = &held.actions[0].effect else { panic!("{held}") };
    assert_eq!((suppressed.reason, suppressed.until), (Suppression::Cooldown, Some(at(60))));
    assert!(held.to_string().contains("suppressed (cooldown)"), "{held}");
    // And one that came before tells what was decided.
    let again = why(&world, "acts", event("e1"), 9);
    assert_eq!(again.decided.as_ref().unwrap().decided_at, at(0));
    assert!(again.to_string().contains("It came before"), "{again}");

    // Scores: where the subject went, and where the rule waits.
    let score = |n: &str, minute, value: &str| world.score(n, "ana", at(minute), value);
    assert!(why(&world, "score", score("s0", 0, "30"), 0).to_string().contains("the first score, in red"));
    world.submit(score("s0", 0, "90"), at(0));
    let moved = why(&world, "score", score("s1", 1, "30"), 1);
    assert_eq!((moved.answer, moved.decided_by), (RuleAnswer::HeldBack, Some(Part::Guards)), "{moved}");
    assert!(moved.to_string().contains("suppressed (low_confidence)"), "{moved}");
    for (minute, value, told) in [
        (1, "50", "from green to orange; wanted: red entered from a better band"),
        (1, "85", "it stays in green"),
        (-5, "30", "a late score in red"),
    ] {
        let why = why(&world, "score", score("s2", minute, value), 1);
        assert_eq!((why.answer, why.decided_by), (RuleAnswer::Waits, Some(Part::Move)));
        assert!(why.to_string().contains(told), "{why}");
    }
    let beyond = why(&world, "score", score("s3", 1, "200"), 1);
    assert_eq!((beyond.answer, beyond.decided_by), (RuleAnswer::Refused, Some(Part::Signal)));

    let order = world.order("m1", "olga", "ana", ManualOrder::Rule(id("hand")));
    assert_eq!(why(&world, "hand", order.clone(), 1).answer, RuleAnswer::Acts);
    assert_eq!(why(&world, "acts", order, 1).decided_by, Some(Part::Kind));
    let error = refused(world.engine.explain(&id("nobody"), event("e9"), at(1)));
    assert!(matches!(error, EngineError::NotFound { .. }), "{error}");
}

fn pattern() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        r#"{ "a": [1] }"#,
        r#"{ "a": [{ "numeric": [">", 1] }], "b": [{ "exists": true }] }"#,
        r#"{ "b": [{ "exists": false }] }"#,
        r#"{ "$or": [{ "a": [2] }, { "b": ["x"] }] }"#,
        r#"{ "list": { "k": [1], "v": [2] } }"#,
    ])
}

fn trigger() -> impl Strategy<Value = String> {
    let sources = prop::sample::select(vec!["", r#""sources": ["okta"], "#, r#""sources": ["vpn"], "#]);
    let window =
        (prop::option::of(0_usize..4), pattern(), any::<bool>()).prop_map(|(kind, then, every)| match kind {
            None => String::new(),
            Some(0) => {
                format!(r#", "window": {{ "then": {{ "pattern": {then} }}, "in": "20m", "every": {every} }}"#)
            }
            Some(1) => {
                format!(r#", "window": {{ "distinct": "b", "count": 2, "in": "20m", "every": {every} }}"#)
            }
            Some(n) => format!(r#", "window": {{ "count": {n}, "in": "20m", "every": {every} }}"#),
        });
    let event = (sources, pattern(), window).prop_map(|(sources, pattern, window)| {
        format!(r#"{{ "event": {{ {sources}"pattern": {pattern}{window} }} }}"#)
    });
    let ways = prop::sample::select(vec!["worse", "better", "either"]);
    let bands = prop::sample::subsequence(vec![r#""yellow""#, r#""red""#, r#""critical""#], 1..=3);
    let score = (ways, bands, any::<bool>(), any::<bool>()).prop_map(|(way, bands, first, sure)| {
        let sure = if sure { r#", "min_confidence": 0.5"# } else { "" };
        let bands = bands.join(",");
        format!(r#"{{ "score": {{ "enters": [{bands}], "direction": "{way}", "first": {first}, "skipped": "fire", "cooldown": "15m"{sure} }} }}"#)
    });
    let other = prop::sample::select(vec![
        r#"{ "manual": {} }"#.to_owned(),
        r#"{ "schedule": { "cron": "@daily", "audience": "all" } }"#.to_owned(),
    ]);
    prop_oneof![6 => event, 2 => score, 1 => other]
}

fn more() -> impl Strategy<Value = String> {
    let mode = prop::sample::select(vec!["live", "live", "shadow", "off"]);
    let subject = prop::sample::select(vec![
        "",
        "",
        r#", "subject": { "privileged": [true] }"#,
        r#", "subject": { "privileged": [{ "exists": false }] }"#,
    ]);
    let cooldown = prop::sample::select(vec![
        "",
        "",
        r#""cooldown": { "for": "30m" }"#,
        r#""cooldown": { "field": "b", "for": "30m" }"#,
    ]);
    (mode, subject, cooldown).prop_map(|(mode, subject, cooldown)| {
        format!(r#", "mode": "{mode}"{subject}, "guards": {{ {cooldown} }}"#)
    })
}

/// A rule that may be written at all: only an event has fields.
fn rules() -> impl Strategy<Value = Vec<(String, String, String)>> {
    let actions = prop::sample::subsequence(vec![ACT, LOCK, MAIL], 1..=3);
    let one = (trigger(), actions, more()).prop_map(|(trigger, actions, more)| {
        let event = trigger.contains("event");
        let actions: Vec<&str> = actions.into_iter().filter(|action| event || *action != MAIL).collect();
        let actions = if actions.is_empty() { ACT.to_owned() } else { actions.join(",") };
        let more = if event { more } else { more.replace(r#""field": "b", "#, "") };
        (trigger, actions, more)
    });
    prop::collection::vec(one, 1..5)
}

#[derive(Clone, Debug)]
enum Step {
    Event { minute: i64, vpn: bool, text: &'static str, privileged: Option<bool>, guessed: bool },
    Score { minute: i64, value: u32, sure: Option<bool> },
    Order(usize),
    Kill(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let texts = prop::sample::select(vec![
        r#"{ "a": 1 }"#,
        r#"{ "a": 2, "b": "x" }"#,
        r#"{ "a": 1, "b": "y" }"#,
        r#"{ "b": null }"#,
        r#"{ "list": [{ "k": 1 }, { "v": 2 }, { "k": 1, "v": 3 }] }"#,
        r#"{ "list": [{ "k": 1, "v": 2 }] }"#,
    ]);
    let event =
        (-10_i64..60, any::<bool>(), texts, any::<Option<bool>>(), prop::bool::weighted(0.2)).prop_map(
            |(minute, vpn, text, privileged, guessed)| Step::Event { minute, vpn, text, privileged, guessed },
        );
    let score = (-10_i64..60, 0_u32..103, any::<Option<bool>>())
        .prop_map(|(minute, value, sure)| Step::Score { minute, value, sure });
    let kill = any::<bool>().prop_map(Step::Kill);
    prop_oneof![8 => event, 3 => score, 1 => (0_usize..5).prop_map(Step::Order), 1 => kill]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn an_explanation_says_what_the_engine_does(rules in rules(), steps in prop::collection::vec(step(), 1..25)) {
        let texts: Vec<String> =
            rules.iter().enumerate().map(|(n, (trigger, actions, more))| rule(&format!("r{n}"), trigger, actions, more)).collect();
        let world = World::new(&document(&texts));
        let set = go(world.engine.rules(&world.tenant, at(0)));
        let bo: ActorId = id("bo");
        for (n, step) in steps.into_iter().enumerate() {
            let signal: Signal = match step {
                Step::Event { minute, vpn, text, privileged, guessed } => {
                    let source = if vpn { "vpn" } else { "okta" };
                    let user: UserId = id("ana");
                    let mut event = Event::new(crate::support::tenant(), &format!("s{n}"), source, user, at(minute), text).unwrap();
                    if let Some(privileged) = privileged {
                        event = event.attributes(Payload::new(format!(r#"{{ "privileged": {privileged} }}"#)).unwrap());
                    }
                    if guessed { event.defaulted(DefaultedField::Subject).into() } else { event.into() }
                }
                Step::Score { minute, value, sure } => {
                    let mut reading = world.score(&format!("s{n}"), "ana", at(minute), &value.to_string());
                    reading.confidence = sure.map(|sure| id(if sure { "0.9" } else { "0.1" }));
                    reading.into()
                }
                Step::Order(rule) => world.order(&format!("s{n}"), "olga", "ana", ManualOrder::Rule(id(&format!("r{rule}")))).into(),
                Step::Kill(engage) => {
                    let scope = KillScope::Type(id("escalate_to_hr"));
                    if engage {
                        go(world.engine.engage_kill_switch(&world.tenant, &scope, &bo, "drill", at(0)));
                    } else {
                        let _ = ready(world.engine.release_kill_switch(&world.tenant, &scope, &bo, "over", at(0))).unwrap();
                    }
                    continue;
                }
            };
            let now = at(40);
            let whys: Vec<Why> = set.rules().map(|rule| go(world.engine.explain(&rule.rule.id, signal.clone(), now))).collect();
            let concerned: Vec<RuleId> = set.concerned(&signal).iter().map(|rule| rule.rule.id.clone()).collect();
            let decided = ready(world.engine.submit(signal.clone(), now)).unwrap();
            for why in &whys {
                prop_assert_eq!(why.answer != RuleAnswer::Unconcerned, concerned.contains(&why.rule), "{}", why);
                prop_assert_eq!(why.decided_by.is_none(), matches!(why.answer, RuleAnswer::Acts | RuleAnswer::Shadow), "{}", why);
                prop_assert!(why.decided.is_none());
                let Ok(decision) = &decided else {
                    let unconcerned = !concerned.contains(&why.rule);
                    prop_assert!(unconcerned || why.answer == RuleAnswer::Refused, "{}", why);
                    continue;
                };
                let of_rule = |outcome: &&ActionOutcome| outcome.rule.as_ref().is_some_and(|rule| rule.id == why.rule);
                let outcomes: Vec<_> = decision.outcomes.iter().filter(of_rule).cloned().collect();
                prop_assert_eq!(&why.actions, &outcomes, "{}", why);
                let held = outcomes.iter().filter(|o| matches!(o.effect, Effect::Suppressed(_))).count();
                let created = outcomes.iter().any(|o| matches!(o.effect, Effect::Created { .. }));
                let expected = match outcomes.len() {
                    0 if !concerned.contains(&why.rule) => RuleAnswer::Unconcerned,
                    0 => RuleAnswer::Waits,
                    all if held == all => RuleAnswer::HeldBack,
                    _ if created => RuleAnswer::Acts,
                    _ => RuleAnswer::Shadow,
                };
                prop_assert_eq!(why.answer, expected, "{}", why);
                // What the window says is what was written.
                let stand = decision.windows.iter().find(|stand| stand.rule == why.rule);
                let told = why.parts.iter().find(|part| part.part == Part::Window);
                prop_assert_eq!(stand.map(ToString::to_string), told.map(|part| part.seen.clone()));
            }
            if let Ok(decision) = decided && !decision.is_empty() {
                let again = go(world.engine.explain(&id("r0"), signal, now));
                prop_assert_eq!(again.decided.map(|known| known.outcomes), Some(decision.outcomes));
            }
        }
    }
}
