//! Laws of ids, plans, records and cooldowns.

use std::collections::BTreeMap;

use crate::support::{World, at, commit_id, go, id, stored, tamper};
use proptest::prelude::*;
use tipstaff::*;

const LOCK: &str = r#"{ "key": "lock", "type": "lock_account" }"#;
const TELL: &str =
    r#"{ "key": "tell", "type": "send_email", "params": { "to": "subject", "template": "t" } }"#;
const CALL: &str =
    r#"{ "key": "call", "type": "send_webhook", "params": { "endpoint": "soc", "who": "{user}" } }"#;
const GO: &str = r#"{ "do": "go" }"#;

fn rule(id: &str, actions: &[&str], more: &str) -> String {
    let actions = actions.join(",");
    format!(
        r#"{{ "id": "{id}", "trigger": {{ "event": {{ "pattern": {{ "do": ["go"] }} }} }}, "actions": [{actions}] {more} }}"#
    )
}

fn document(rules: &[String]) -> String {
    let rules = rules.join(",");
    format!(
        r#"{{ "approvers": {{ "default": "security", "groups": {{ "security": ["bo", "cy"] }} }}, "rules": [{rules}] }}"#
    )
}

fn event(signal: &str, user: &str, minute: i64) -> Signal {
    Event::new(crate::support::tenant(), signal, "okta", id::<UserId>(user), at(minute), GO).unwrap().into()
}

/// What follows from a signal, without any store.
fn planned(rules: &RuleSet, signal: &Signal) -> Plan {
    let settings = rules.settings();
    let facts = Facts {
        rules,
        subject: SubjectState::new(signal.subject().clone()),
        tallies: BTreeMap::new(),
        control: Control::default(),
        stats: BTreeMap::new(),
        roster: Roster { groups: settings.groups.clone() },
        exemptions: Vec::new(),
        attributes: None,
        administrators: None,
        away: Away::default(),
        caps: BTreeMap::new(),
        population: None,
        cause: Cause::None,
    };
    plan(signal, &rules.concerned(signal), &facts, at(1)).unwrap()
}

/// All that a plan writes, as bytes.
fn bytes(plan: &Plan) -> String {
    let part = |value: Result<String, serde_json::Error>| value.unwrap();
    [
        part(serde_json::to_string(&plan.decision)),
        part(serde_json::to_string(&plan.enforcements)),
        part(serde_json::to_string(&plan.approvals)),
        part(serde_json::to_string(&plan.notices)),
        part(serde_json::to_string(&plan.subject)),
        part(serde_json::to_string(&plan.stats)),
        format!("{:?}", plan.audit),
    ]
    .join("\n")
}

/// Lock, mail, two notices, trigger, approval; digests of what is asked, of the signal, of the
/// rule; the hash of the first audit record.
const GOLDEN: [&str; 10] = [
    "enf_f756832411e795f6adf3418c519ec21c",
    "enf_9ef31c13466f4cb7389a14b32a93cc18",
    "enf_51bba6f9282f9afdf48e8bb9fdbb8eb3",
    "enf_7c757b0304f9aa47f9d657efc3225d74",
    "trg_a4a34d9238db8e26f742fc2588b479fd",
    "apr_a548bd05d074cad947e972e14fb10541",
    "a7f7dfcc4fdeb0ba75016f46ada9273f7ea02fef03452987336586c527c9bf8c",
    "4664b209b42ec023dee8131860727bfdfa06af0ff90a9385cadcc615c32e0bd2",
    "a176ab6c578cee54f73fdd2d7f5c5db3f7c5dde87cd17e82c7363c4587c099a5",
    "e482e76b0ee088cc789a9e294ed8d802324a10110e894ec8b3e650d850fe0cc7",
];

#[test]
fn ids_are_those_that_they_always_were() {
    // Logs and targets hold these texts; a change of any is a change of format.
    let rules = RuleSet::from_json(&document(&[rule("r", &[LOCK, TELL], "")])).unwrap();
    let plan = planned(&rules, &event("s1", "ana", 0));
    let made = plan.enforcements.iter().chain(&plan.notices).map(|e| e.id.to_string());
    let mut ids: Vec<String> = made.collect();
    let mut salt = || Salt::from([7; 16]);
    let (record, _) = Head::default().seal(plan.audit[0].clone(), &mut salt);
    ids.extend([
        plan.decision.id.to_string(),
        plan.approvals[0].id.to_string(),
        plan.approvals[0].digest.to_string(),
        plan.decision.digest.to_string(),
        rules.rule(&id("r")).unwrap().rule.digest().to_string(),
        record.hash.to_string(),
    ]);
    assert_eq!(ids, GOLDEN, "{ids:#?}");
}

#[test]
fn what_differs_has_another_id() {
    let session =
        Event::new(crate::support::tenant(), "s1", "okta", Subject::session(id("ana"), id("x")), at(0), GO)
            .unwrap();
    let elsewhere = Event::new(id("other"), "s1", "okta", id::<UserId>("ana"), at(0), GO).unwrap();
    let source = Event::new(crate::support::tenant(), "s1", "entra", id::<UserId>("ana"), at(0), GO).unwrap();
    let signals = [
        event("s1", "ana", 0),
        event("s2", "ana", 0),
        event("s1", "bea", 0),
        session.into(),
        elsewhere.into(),
        source.into(),
    ];
    let rules =
        RuleSet::from_json(&document(&[rule("r", &[LOCK, TELL, CALL], ""), rule("q", &[TELL], "")])).unwrap();
    let mut ids = Vec::new();
    for signal in &signals {
        let plan = planned(&rules, signal);
        assert_eq!(plan.enforcements.len(), 4);
        ids.extend(plan.enforcements.iter().chain(&plan.notices).map(|e| e.id));
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
    // The time of a signal is content, not identity.
    assert_eq!(event("s1", "ana", 0).trigger_id(), event("s1", "ana", 9).trigger_id());
    assert_ne!(event("s1", "ana", 0).digest(), event("s1", "ana", 9).digest());
}

proptest! {
    #[test]
    fn the_order_of_a_document_decides_nothing(
        order in Just(vec!["a", "b", "c", "d", "e"]).prop_shuffle(),
        actions in Just(vec![LOCK, TELL, CALL]).prop_shuffle(),
    ) {
        let sorted: Vec<String> = ["a", "b", "c", "d", "e"].iter().map(|r| rule(r, &[LOCK, TELL, CALL], "")).collect();
        let shuffled: Vec<String> = order.iter().map(|r| rule(r, &[LOCK, TELL, CALL], "")).collect();
        let plain = RuleSet::from_json(&document(&sorted)).unwrap();
        let signal = event("s1", "ana", 0);
        let first = bytes(&planned(&plain, &signal));
        prop_assert_eq!(&first, &bytes(&planned(&plain, &signal)), "twice by one set");
        let again = RuleSet::from_json(&document(&shuffled)).unwrap();
        prop_assert_eq!(&first, &bytes(&planned(&again, &signal)), "and by another one");
        // Actions may be reordered: their order in the answer follows, their ids stay.
        let turned: Vec<String> = order.iter().map(|r| rule(r, &actions, "")).collect();
        let turned = planned(&RuleSet::from_json(&document(&turned)).unwrap(), &signal);
        let ids = |plan: &Plan| {
            let mut ids: Vec<_> = plan.enforcements.iter().map(|e| (e.id, e.action.to_string(), e.holders.len())).collect();
            ids.sort();
            ids
        };
        prop_assert_eq!(ids(&turned), ids(&planned(&plain, &signal)));
    }
}

/// A world in which nearly everything has happened once.
fn lived() -> World {
    let weekly = r#"{ "id": "weekly", "trigger": { "schedule": { "cron": "0 9 * * *", "audience": "all" } },
        "actions": [{ "key": "train", "type": "assign_training", "params": { "course": "c" }, "confirm_within": "1d" }] }"#;
    let fall = r#"{ "id": "fall", "trigger": { "score": { "enters": ["red"], "first": true } },
        "actions": [{ "key": "tell", "type": "escalate_to_hr" }] }"#;
    let storm = rule("storm", &[LOCK, TELL], r#", "guards": { "cooldown": { "for": "1h" } }"#);
    let shade =
        rule("shade", &[LOCK, TELL], r#", "mode": "shadow", "guards": { "cooldown": { "for": "1h" } }"#);
    let values = rule("values", &[TELL], r#", "guards": { "cooldown": { "field": "do", "for": "1h" } }"#)
        .replace(r#""pattern""#, r#""window": { "count": 1, "in": "1h", "every": true }, "pattern""#);
    let wait = r#"{ "id": "wait", "trigger": { "deadline": { "opens": { "pattern": { "do": ["go"] } },
        "closes": { "pattern": { "do": ["done"] } }, "within": "90d" } },
        "actions": [{ "key": "remind", "type": "send_email", "params": { "to": "subject", "template": "t" } }] }"#;
    let world = World::new(&document(&[weekly.into(), fall.into(), storm, shade, values, wait.into()]));
    let bo: ActorId = id("bo");
    world.submit(event("s1", "ana", 0), at(0));
    world.submit(event("s2", "ana", 1), at(1));
    world.submit(world.score("s3", "ana", at(2), "25.50"), at(2));
    world.target.answers("escalate_to_hr", [Delivered::retry("503").recipient("hr")]);
    world.run(at(3));
    let request = world.requests().remove(0);
    go(world.engine.approve(&world.tenant, request.id, &bo, request.digest, Some("fine"), at(4)));
    go(world.engine.engage_kill_switch(&world.tenant, &KillScope::Tenant, &bo, "drill", at(5)));
    go(world.engine.engage_kill_switch(&world.tenant, &KillScope::Rule(id("r")), &bo, "drill", at(5)));
    go(world.engine.engage_kill_switch(
        &world.tenant,
        &KillScope::Type(id("lock_account")),
        &bo,
        "drill",
        at(5),
    ));
    world.submit(event("s4", "bea", 6), at(6));
    go(world.engine.release_kill_switch(&world.tenant, &KillScope::Tenant, &bo, "over", at(7)));
    world.run(at(24 * 60));
    world
}

#[test]
fn what_a_later_version_added_is_kept() {
    let world = lived();
    let bo: ActorId = id("bo");
    let locks = KillScope::Type(id("lock_account"));
    go(world.engine.release_kill_switch(&world.tenant, &locks, &bo, "over", at(1_999)));
    world.submit(event("s5", "cleo", 2_000), at(2_000));
    let records = crate::support::content(&world.store, &world.tenant);
    let records = records.iter().filter_map(|text| serde_json::from_str::<Record>(text).ok());
    for (n, record) in records.filter(|record| record.key.kind != Kind::Rule).enumerate() {
        tamper(&world.store, record, &format!("{n:x}"), |body| {
            body["later"] = serde_json::json!({ "n": [n] })
        });
    }
    // Everything is stepped once more.
    let marked = |kind, key: &str| stored(&world.store, kind, key).unwrap();
    let request =
        world.requests().into_iter().find(|asked| asked.subject == Subject::user(id("cleo"))).unwrap();
    let e = request.enforcement.to_string();
    let before: Vec<(Kind, String)> = vec![
        (Kind::Book, "book".into()),
        (Kind::Entry, "storm".into()),
        (Kind::Control, "control".into()),
        (Kind::Stats, crate::support::counts(&world.store, "storm").unwrap().key.id),
        (Kind::Subject, "user:cleo".into()),
        (Kind::Approval, request.id.to_string()),
        (Kind::Enforcement, e),
        (Kind::Timer, "weekly".into()),
    ];
    let versions: Vec<u64> = before.iter().map(|(kind, key)| marked(*kind, key).version).collect();
    world.approve(&request, "bo", at(2_001));
    let scope = KillScope::Rule(id("r"));
    go(world.engine.release_kill_switch(&world.tenant, &scope, &bo, "over", at(2_001)));
    world.submit(world.score("s6", "cleo", at(2_002), "70"), at(2_002));
    world.run(at(3_000));
    go(world.engine.deactivate(&world.tenant, &id("storm"), &bo, at(3_001)));
    for ((kind, key), version) in before.iter().zip(versions) {
        let record = marked(*kind, key);
        assert!(record.version > version, "{kind} was written");
        assert!(record.body.contains(r#""later":{"n":["#), "{kind}: {}", record.body);
    }
    world.verified();

    // A format that is newer altogether is not guessed at.
    let control = marked(Kind::Control, "control");
    tamper(&world.store, control, "ffff", |body| body["v"] = 2.into());
    let error = crate::support::refused(world.engine.control(&world.tenant));
    assert!(error.to_string().contains("format 2 is newer than 1"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(80))]

    #[test]
    fn a_cooldown_lets_one_through_a_window(
        signals in prop::collection::vec((0_i64..400, prop::sample::select(&["ana", "bea"][..]), 0_u8..12), 1..40),
        in_order in any::<bool>(),
    ) {
        let guards = |mode: &str| format!(r#", "mode": "{mode}", "guards": {{ "cooldown": {{ "for": "60m" }} }}"#);
        let edit = |mode: &str| RuleSet::from_json(&document(&[rule("r", &[TELL], &guards(mode))])).unwrap();
        let world = World::on(MemoryStore::default(), edit("live"));
        let mut signals = signals;
        if in_order {
            signals.sort_by_key(|(minute, ..)| *minute);
        }
        // By person and mode: when the rule acted, as many as are remembered, the newest first.
        let mut since: BTreeMap<(&str, bool), Vec<i64>> = BTreeMap::new();
        let mut created: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        let mut shadow = false;
        for (n, (minute, user, turn)) in signals.into_iter().enumerate() {
            // Now and then somebody turns the rule into a shadow, or back.
            if turn == 0 {
                shadow = !shadow;
                go(world.engine.add_rules(&world.tenant, &edit(if shadow { "shadow" } else { "live" }), &Actor::Host, at(0)));
            }
            let known = since.entry((user, shadow)).or_default();
            let near = known.iter().copied().find(|since| (minute - since).abs() < 60);
            // What is older than all that is remembered rests with the oldest.
            let rest = near.or_else(|| known.last().copied().filter(|last| known.len() >= MAX_RESTS && minute < *last));
            let rests = rest.is_some();
            let decision = world.submit(event(&format!("s{n}"), user, minute), at(500));
            match &decision.outcomes[0].effect {
                Effect::Suppressed(held) => {
                    prop_assert!(rests && held.reason == Suppression::Cooldown);
                    prop_assert_eq!(held.until, rest.map(|since| at(since + 60)));
                }
                effect => {
                    prop_assert!(!rests, "{effect:?}");
                    prop_assert_eq!(matches!(effect, Effect::Shadow { .. }), shadow);
                    known.push(minute);
                    known.sort_unstable_by_key(|since| -since);
                    known.truncate(MAX_RESTS);
                    if !shadow {
                        created.entry(user).or_default().push(minute);
                    }
                }
            }
        }
        // In whatever order they come, a storm of late signals too.
        for minutes in created.values_mut() {
            minutes.sort_unstable();
            prop_assert!(minutes.windows(2).all(|two| two[1] - two[0] >= 60), "{minutes:?}");
        }
    }

    #[test]
    fn score_rules_do_as_a_plain_model_does(
        steps in prop::collection::vec((-120_i64..900, 0_u32..=100, any::<bool>()), 1..40),
        first in any::<bool>(),
    ) {
        let text = format!(r#"{{ "id": "fall", "trigger": {{ "score": {{ "enters": ["orange", "red", "critical"], "first": {first}, "cooldown": "6h" }} }},
            "actions": [{{ "key": "tell", "type": "escalate_to_hr" }}] }}"#);
        let world = World::new(&text);
        let band = |score: u32| match score { 80.. => 0, 60.. => 1, 40.. => 2, 20.. => 3, _ => 4 };
        let mut last: Option<(i64, usize)> = None;
        let mut acted: BTreeMap<(Option<usize>, usize), i64> = BTreeMap::new();
        let mut minute = 0;
        for (n, (delta, score, twice)) in steps.into_iter().enumerate() {
            minute += delta;
            let reading = world.score(&format!("s{n}"), "ana", at(minute), &score.to_string());
            let decision = world.submit(reading.clone(), at(100_000));
            let to = band(score);
            let late = last.is_some_and(|(when, _)| minute < when);
            let from = last.map(|(_, band)| band);
            let fires = !late && to >= 2 && match from { None => first, Some(from) => to > from };
            let moved = decision.moved.clone().unwrap();
            prop_assert_eq!(moved.late, late);
            let resting = acted.get(&(from, to)).is_some_and(|when| minute - when < 360) && to != 4;
            match decision.outcomes.as_slice() {
                [] => prop_assert!(!fires),
                [one] => {
                    prop_assert!(fires);
                    prop_assert_eq!(matches!(one.effect, Effect::Suppressed(_)), resting, "{}", decision);
                }
                more => prop_assert!(false, "{more:?}"),
            }
            if fires && !resting {
                acted.insert((from, to), minute);
            }
            if !late {
                last = Some((minute, to));
            }
            if twice {
                let again = world.submit(reading, at(100_001));
                prop_assert!(again.repeat && again.outcomes == decision.outcomes);
            }
        }
        let acts = world.log().len();
        prop_assert_eq!(world.stats("fall", at(0)).created as usize, acts);
        let head = go(world.engine.verify_audit(&world.tenant, None)).is_ok();
        prop_assert!(head);
    }
}

#[test]
fn commit_ids_of_tests_are_ids() {
    assert_eq!(commit_id("1").to_string(), "cmt_00000000000000000000000000000001");
}

#[test]
fn what_several_hosts_counted_is_one_sum() {
    let rules = document(&[rule("r", &[TELL], "")]);
    let world = World::new(&rules);
    let host = |name: &str| {
        Engine::new(world.store.clone(), world.target.clone(), RuleSet::from_json(&rules).unwrap())
            .worker(id(name))
    };
    for (n, name) in ["w1", "w2", "w3", "w4"].into_iter().enumerate() {
        let host = host(name);
        go(host.submit(event(&format!("s{n}"), "ana", 1), at(1)));
        go(host.run_due(at(2)));
    }
    let records = crate::support::content(&world.store, &world.tenant);
    let records = records.iter().filter_map(|text| serde_json::from_str::<Record>(text).ok());
    let parts: Vec<Record> = records.filter(|record| record.key.kind == Kind::Stats).collect();
    assert!(parts.len() > 1, "they are not in each other's way: {parts:?}");
    // A host of an earlier version counted in one record.
    let part = parts[0].clone();
    let first = Record { key: Key { id: "r".into(), ..part.key.clone() }, version: 0, ..part };
    let before = RuleStats { fired: 10, created: 10, succeeded: 9, failed: 1, ..RuleStats::default() };
    let mut body = serde_json::to_value(&before).unwrap();
    body["v"] = 1.into();
    let first = Record { body: body.to_string(), ..first };
    let commit = Commit {
        id: commit_id("bef0"),
        tenant: world.tenant.clone(),
        expect: Vec::new(),
        fence: Vec::new(),
        put: vec![first],
        audit: Vec::new(),
    };
    go(world.store.commit(&commit));
    let sum = world.stats("r", at(3));
    assert_eq!((sum.fired, sum.created, sum.succeeded, sum.failed), (14, 14, 13, 1));
    assert_eq!(sum.last_fired, Some(at(1)));
}
