//! What an attacker, an unlucky moment or a damaged record must not bring about.
#![allow(clippy::disallowed_methods, reason = "what must be quick is timed")]

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::{World, at, go, id, refused, stored, tamper, tenant};
use tipstaff::*;

type Hook = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A store in which something else happens just before a commit.
#[derive(Clone)]
struct Raced {
    inner: MemoryStore,
    hook: Hook,
}

impl Raced {
    fn before_commit(&self, what: impl FnOnce() + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(what));
    }
}

impl Store for Raced {
    crate::pass_on! { inner: load, claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let hook = self.hook.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        self.inner.commit(commit).await
    }
}

const LOCK: &str = r#"{ "approvers": { "default": "sec", "groups": { "sec": ["bo", "cy", "di"] } },
    "rules": [ { "id": "r", "trigger": { "event": { "pattern": { "a": [1] } } },
                 "actions": [ { "key": "k", "type": "lock_account" } ] } ] }"#;

fn raced(rules: &str) -> (Raced, Engine, World) {
    let world = World::new(rules);
    let store = Raced { inner: world.store.clone(), hook: Hook::default() };
    let none = RuleSet::from_json("[]").unwrap();
    let engine = Engine::new(store.clone(), world.target.clone(), none);
    (store, engine, world)
}

#[test]
fn two_kill_switches_at_once_are_both_engaged() {
    let (store, engine, world) = raced(LOCK);
    let other = world.another().engine;
    store.before_commit(move || {
        let scope = KillScope::Rule(id("other"));
        go(other.engage_kill_switch(&tenant(), &scope, &id("cy"), "noise", at(0)));
    });
    go(engine.engage_kill_switch(&tenant(), &KillScope::Tenant, &id("bo"), "stop it all", at(0)));
    let control = go(world.engine.control(&tenant()));
    assert!(control.tenant.is_some(), "it said that it stopped everything: {control:?}");
    assert!(control.rules.contains_key(&id("other")));
}

#[test]
fn a_rejection_that_lost_the_race_is_not_told_as_recorded() {
    let (store, engine, world) = raced(LOCK);
    world.submit(world.event("s", "ana", at(0), r#"{"a":1}"#), at(0));
    let request = world.requests().remove(0);
    let other = world.another().engine;
    let (asked, digest) = (request.id, request.digest);
    store.before_commit(move || {
        go(other.approve(&tenant(), asked, &id("bo"), digest, None, at(1)));
    });
    let answer = ready(engine.reject(&tenant(), asked, &id("bo"), digest, None, at(1))).unwrap();
    assert!(answer.is_err(), "the store has an approval: {answer:?}");
}

#[test]
fn a_report_that_lost_the_race_is_not_told_as_recorded() {
    let rules = r#"[ { "id": "r", "trigger": { "event": { "pattern": { "a": [1] } } },
        "actions": [ { "key": "k", "type": "send_webhook", "params": { "endpoint": "e" }, "confirm_within": "1h" } ] } ]"#;
    let (store, engine, world) = raced(rules);
    world.submit(world.event("s", "ana", at(0), r#"{"a":1}"#), at(0));
    world.run(at(0));
    let key = world.the("send_webhook").id;
    let other = world.another().engine;
    store.before_commit(move || {
        go(other.confirm(&tenant(), key, true, at(1)));
    });
    let answer = ready(engine.confirm(&tenant(), key, false, at(1))).unwrap();
    assert!(answer.is_err(), "the store has it as done: {answer:?}");
}

#[test]
fn two_revisions_at_once_are_not_taken_for_one() {
    let (store, engine, world) = raced(LOCK);
    go(world.engine.rules(&tenant(), at(0)));
    let set = |title: &str| {
        RuleSet::from_json(&format!(
            r#"[ {{ "id": "n", "title": "{title}", "trigger": {{ "manual": {{}} }},
                 "actions": [ {{ "key": "k", "type": "self_policing", "params": {{ "template": "t" }} }} ] }} ]"#
        ))
        .unwrap()
    };
    let (one, two) = (set("one"), set("two"));
    let other = world.another().engine;
    store.before_commit(move || {
        go(other.add_rules(&tenant(), &one, &Actor::Host, at(1)));
    });
    go(engine.add_rules(&tenant(), &two, &Actor::Host, at(1)));
    let rules = go(world.engine.rules(&tenant(), at(2)));
    assert_eq!(rules.rule(&id("n")).unwrap().rule.title, "two");
    assert_eq!(rules.rule(&id("n")).unwrap().revision, 2);
}

#[test]
fn a_damaged_record_holds_up_no_other() {
    let rules = r#"[ { "id": "r", "trigger": { "event": { "pattern": { "a": [1] } } },
        "actions": [ { "key": "k", "type": "send_email", "params": { "to": "x", "template": "t" } } ] } ]"#;
    let world = World::new(rules);
    for signal in ["s1", "s2", "s3"] {
        world.submit(world.event(signal, "ana", at(0), r#"{"a":1}"#), at(0));
    }
    let mut all = world.log();
    all.sort_by_key(|row| row.id.to_string());
    let first = stored(&world.store, Kind::Enforcement, all[0].id).unwrap();
    tamper(&world.store, first, "1", |body| body["state"] = "nonsense".into());
    // Another tenant waits as well.
    let far = Event::new(id("zoo"), "s", "okta", id::<UserId>("zed"), at(0), r#"{"a":1}"#).unwrap();
    go(world.engine.submit(far, at(0)));
    let run = ready(world.engine.run_due(at(1))).unwrap();
    assert_eq!(world.target.jobs("send_email").len(), 3, "{run:?}");
}

#[test]
fn what_must_not_come_late_does_not_after_a_rescue() {
    let rules = r#"{ "approvers": { "default": "sec", "groups": { "sec": ["bo"] } },
        "rules": [ { "id": "r", "trigger": { "event": { "pattern": { "a": [1] } } },
          "actions": [ { "key": "k", "type": "revoke_sessions", "approval": "none" } ] } ] }"#;
    let world = World::new(rules);
    world.submit(world.event("s", "ana", at(0), r#"{"a":1}"#), at(0));
    // A process claims it and dies.
    let claim = Claim {
        worker: id("dead"),
        nonce: crate::support::commit_id("7"),
        channels: None,
        max: 1,
        until: at(1),
        lease: Span::secs(60),
        after: None,
    };
    assert_eq!(go(world.store.claim(&claim)).len(), 1);
    // Its rescue comes a month later.
    world.run(at(43_200));
    assert_eq!(world.target.jobs("revoke_sessions").len(), 0, "{}", world.reason("revoke_sessions"));
    assert_eq!(world.reason("revoke_sessions"), "exhausted");
}

#[test]
fn a_slow_batch_is_not_delivered_twice() {
    let rules = r#"[ { "id": "r", "trigger": { "event": { "pattern": { "a": [1] } } },
        "actions": [ { "key": "k", "type": "send_email", "params": { "to": "x", "template": "t" } } ] } ]"#;
    let clock = Arc::new(AtomicI64::new(at(0).micros()));
    let told = Arc::clone(&clock);
    let store = MemoryStore::with_clock(move || Time::from_micros(told.load(Ordering::SeqCst)));
    let counts: Arc<Mutex<std::collections::BTreeMap<EnforcementId, usize>>> = Arc::default();
    let count = {
        let counts = Arc::clone(&counts);
        move |job: &Job| *counts.lock().unwrap().entry(job.key).or_default() += 1
    };
    let second = {
        let count = count.clone();
        let fast = move |job: &Job| {
            count(job);
            Delivered::done()
        };
        Engine::new(store.clone(), fast, RuleSet::from_json(rules).unwrap())
    };
    let made = AtomicUsize::new(0);
    let inner = store.clone();
    let slow = move |job: &Job| {
        count(job);
        // Each delivery takes 25 seconds, which is well within the lease of 60.
        clock.fetch_add(25_000_000, Ordering::SeqCst);
        if made.fetch_add(1, Ordering::SeqCst) == 2 {
            let _ = &inner;
            go(second.run_due(at(1)));
        }
        Delivered::done()
    };
    let engine = Engine::new(store, slow, RuleSet::from_json(rules).unwrap());
    for n in 0..6 {
        let event = Event::new(tenant(), &format!("s{n}"), "okta", id::<UserId>("ana"), at(0), r#"{"a":1}"#);
        go(engine.submit(event.unwrap(), at(0)));
    }
    while go(engine.run_due(at(1))).more {}
    let counts = counts.lock().unwrap();
    assert_eq!(counts.len(), 6);
    assert!(counts.values().all(|n| *n == 1), "{counts:?}");
}

#[test]
fn a_store_that_fails_for_a_moment_loses_nothing_that_was_not_tried() {
    let rules = r#"[ { "id": "r", "trigger": { "event": { "pattern": { "a": [1] } } },
        "actions": [ { "key": "k", "type": "escalate_to_hr" } ] } ]"#;
    let world = World::new(rules);
    for n in 0..4 {
        world.submit(world.event(&format!("s{n}"), "ana", at(0), r#"{"a":1}"#), at(0));
    }
    let frail = Engine::new(
        crate::support::Frail::new(world.store.clone(), 0),
        world.target.clone(),
        RuleSet::from_json("[]").unwrap(),
    );
    refused(frail.run_due(at(1)));
    let tried = world.target.jobs("escalate_to_hr").len();
    assert_eq!(tried, 1);
    world.run(at(60));
    assert_eq!(world.target.jobs("escalate_to_hr").len(), 4, "the others were never tried");
}

#[test]
fn a_long_title_of_a_type_stops_nobody() {
    let title = "t".repeat(5_000);
    let rules = format!(
        r#"{{ "types": [ {{ "name": "ban", "title": "{title}", "category": "access_control" }} ],
        "rules": [ {{ "id": "r", "trigger": {{ "event": {{ "pattern": {{ "a": [1] }} }} }},
          "actions": [ {{ "key": "k", "type": "ban", "approval": "none" }} ] }} ] }}"#
    );
    let Ok(rules) = RuleSet::from_json(&rules) else { return };
    let world = World::on(MemoryStore::default(), rules);
    world.submit(world.event("s", "ana", at(0), r#"{"a":1}"#), at(0));
}

#[test]
fn a_pattern_too_deep_for_a_rule_is_refused_without_a_panic() {
    for depth in [505, 508, 509, 510, 511, 512] {
        let text = format!("{}{{\"a\":[1]}}{}", "{\"a\":".repeat(depth - 2), "}".repeat(depth - 2));
        let Ok(pattern) = text.parse::<Pattern>() else { continue };
        let trigger = Trigger::Event { sources: Vec::new(), pattern, window: None };
        let rule = Rule::new(id("r"), trigger)
            .action(RuleAction::new(id("k"), BuiltinAction::SelfPolicing).param("template", "t"));
        let set = RuleSet::new(Settings::default(), vec![rule.clone()], &ActionCatalog::default());
        assert!(set.is_ok() || depth > 500);
        let _ = rule.digest();
    }
}

#[test]
fn an_absurd_quorum_is_refused_at_once() {
    let mut settings = Settings { default_group: Some(id("sec")), ..Settings::default() };
    settings.groups.insert(id("sec"), vec![id("bo")]);
    let policy = ApprovalPolicy {
        groups: vec![Quorum { name: id("sec"), need: 50_000_000 }],
        ..ApprovalPolicy::default()
    };
    let begun = std::time::Instant::now();
    let rule = Rule::new(id("r"), Trigger::Manual).action(
        RuleAction::new(id("k"), BuiltinAction::LockAccount).approval(ApprovalSetting::Required(policy)),
    );
    assert!(RuleSet::new(settings, vec![rule], &ActionCatalog::default()).is_err());
    assert!(begun.elapsed().as_millis() < 500, "{:?}", begun.elapsed());
}

#[test]
fn no_type_of_a_tenant_forges_notices() {
    let rules = r#"{ "types": [ { "name": "hello", "category": "notification", "approval": false, "restricts": false,
                        "channel": "approval_notice", "open": true } ], "rules": [] }"#;
    assert!(RuleSet::from_json(rules).is_err());
}

#[test]
fn a_change_of_approvers_shows_in_the_trail() {
    let world = World::new(LOCK);
    go(world.engine.rules(&tenant(), at(0)));
    let before = world.trail().len();
    let set = RuleSet::from_json(
        r#"{ "approvers": { "default": "sec", "groups": { "sec": ["mallory"] } }, "rules": [] }"#,
    )
    .unwrap();
    go(world.engine.add_rules(&tenant(), &set, &Actor::Person(id("mallory")), at(1)));
    let trail = world.trail();
    let row = &trail[before..];
    assert!(row[0].details.contains_key("settings"));
}

#[test]
fn a_type_that_asks_no_more_shows_in_the_trail() {
    let set = |approval: bool, rules: &str| {
        RuleSet::from_json(&format!(
            r#"{{ "approvers": {{ "default": "sec", "groups": {{ "sec": ["bo"] }} }},
                 "types": [ {{ "name": "ban", "category": "access_control", "approval": {approval} }} ],
                 "rules": {rules} }}"#
        ))
        .unwrap()
    };
    let rule =
        r#"[ { "id": "r", "trigger": { "manual": {} }, "actions": [ { "key": "k", "type": "ban" } ] } ]"#;
    let world = World::on(MemoryStore::default(), set(true, rule));
    go(world.engine.rules(&tenant(), at(0)));
    go(world.engine.add_rules(&tenant(), &set(false, "[]"), &Actor::Host, at(1)));
    assert_eq!(world.count("POLICY_APPROVAL_LOOSENED"), 1);
}

#[test]
fn a_damaged_subject_does_not_stop_a_timetable() {
    let rules = r#"[
        { "id": "e", "trigger": { "event": { "pattern": { "a": [1] } } },
          "actions": [ { "key": "k", "type": "self_policing", "params": { "template": "t" } } ] },
        { "id": "s", "trigger": { "schedule": { "cron": "0 * * * *", "audience": "all" } },
          "actions": [ { "key": "k", "type": "send_email", "params": { "to": "x", "template": "t" } } ] } ]"#;
    let world = World::new(rules);
    for user in ["ana", "bea", "cleo"] {
        world.submit(world.event("s", user, at(0), r#"{"a":1}"#), at(0));
    }
    let damaged = stored(&world.store, Kind::Subject, "user:bea").unwrap();
    tamper(&world.store, damaged, "1", |body| body["scores"] = 7.into());
    world.run(at(60));
    world.run(at(120));
    assert_eq!(world.target.jobs("send_email").len(), 4);
    assert_eq!(world.count("SCHEDULE_OCCURRENCE_SKIPPED"), 2);
}

#[test]
fn a_damaged_exemption_stops_neither_a_timetable_nor_a_sweep() {
    let rules = r#"{ "id": "s", "trigger": { "schedule": { "cron": "0 * * * *", "audience": "all" } },
        "actions": [ { "key": "k", "type": "send_email", "params": { "to": "x", "template": "t" } } ] }"#;
    let world = World::new(rules);
    let olga: ActorId = id("olga");
    for user in ["ana", "bea", "cleo"] {
        let known = Payload::new(r#"{ "team": "red" }"#).unwrap();
        go(world.engine.describe(&world.tenant, &id(user), Some(&known), at(0)));
    }
    let bea = Subject::user(id("bea"));
    let scope = ExemptionScope::Rule(id("other"));
    go(world.engine.exempt(&world.tenant, &bea, &scope, None, &olga, "on leave", at(0)));
    let damaged = crate::support::content(&world.store, &tenant())
        .iter()
        .filter_map(|text| serde_json::from_str::<Record>(text).ok())
        .find(|record| record.key.kind == Kind::Exemption)
        .unwrap();
    tamper(&world.store, damaged, "1", |body| body["granted"] = 7.into());
    world.run(at(60));
    world.run(at(120));
    let told = world.target.jobs("send_email");
    assert!(told.iter().all(|job| job.subject != bea), "of whom it cannot be told whether they are exempt");
    assert_eq!((told.len(), world.count("SCHEDULE_OCCURRENCE_SKIPPED")), (4, 2));
    assert_eq!(world.count("SCHEDULE_OCCURRENCE_COMPLETED"), 2);
}

/// A store that is away whenever something is to be erased.
struct Keeps(MemoryStore);

impl Store for Keeps {
    crate::pass_on! { 0: load, commit, claim, renew, due, upcoming, query, trail, head, now, unique }

    async fn erase(&self, _: &TenantId, _: &UserId) -> Result<u64, StoreError> {
        Err(StoreError::Unavailable("away".to_owned()))
    }
}

#[test]
fn an_erasure_is_in_the_trail_before_anything_is_gone() {
    let world = World::new("[]");
    let engine =
        Engine::new(Keeps(world.store.clone()), world.target.clone(), RuleSet::from_json("[]").unwrap());
    refused(engine.erase(&tenant(), &id("ana"), &id("olga"), at(0)));
    assert_eq!(world.codes_after(0), ["POLICY_ERASURE_ORDERED"]);
    assert_eq!(go(world.engine.erase(&tenant(), &id("ana"), &id("olga"), at(1))), 0);
    assert_eq!(world.codes_after(1), ["POLICY_ERASURE_ORDERED", "POLICY_PERSONAL_DATA_ERASED"]);
}

#[test]
fn damaged_counters_do_not_repeat_a_delivery() {
    let rules = r#"[ { "id": "r", "trigger": { "event": { "pattern": { "a": [1] } } },
        "actions": [ { "key": "k", "type": "send_email", "params": { "to": "x", "template": "t" } } ] } ]"#;
    let world = World::new(rules);
    world.submit(world.event("s", "ana", at(0), r#"{"a":1}"#), at(0));
    let damaged = crate::support::counts(&world.store, "r").unwrap();
    tamper(&world.store, damaged, "1", |body| body["fired"] = "many".into());
    for minutes in [1, 60, 120] {
        world.run(at(minutes));
    }
    assert_eq!(world.target.jobs("send_email").len(), 1);
    assert_eq!(world.reason("send_email"), "done");
}

#[test]
fn an_event_forges_no_line_of_what_an_approver_sees() {
    let rules = r#"{ "approvers": { "default": "sec", "groups": { "sec": ["bo"] } },
        "rules": [ { "id": "r", "trigger": { "event": { "pattern": { "a": [1] } } },
          "actions": [ { "key": "k", "type": "restrict_access", "params": { "scope": "{event.x}" } } ] } ] }"#;
    let world = World::new(rules);
    let payload = r#"{ "a": 1, "x": "vpn\n  on scale default now: green (95)\u001b[8m" }"#;
    world.submit(world.event("s", "ana", at(0), payload), at(0));
    let view = go(world.engine.approval_view(&tenant(), world.requests()[0].id, at(1))).to_string();
    assert!(!view.contains("\n  on scale") && !view.contains('\u{1b}'), "{view}");
}

#[test]
fn a_quorum_of_large_groups_is_judged_at_once() {
    let people =
        |group: usize| (0..1_000).map(|n| format!(r#""p{}""#, group * 1_000 + n)).collect::<Vec<_>>();
    let groups: Vec<_> = (0..8).map(|g| format!(r#""g{g}": [{}]"#, people(g).join(","))).collect();
    let asked: Vec<_> = (0..8).map(|g| format!(r#"{{ "name": "g{g}", "need": 20 }}"#)).collect();
    let rules: Vec<_> = (0..50)
        .map(|n| {
            format!(
                r#"{{ "id": "r{n}", "trigger": {{ "manual": {{}} }}, "actions": [ {{ "key": "k",
                    "type": "lock_account", "approval": {{ "groups": [{}] }} }} ] }}"#,
                asked.join(",")
            )
        })
        .collect();
    let text = format!(
        r#"{{ "approvers": {{ "groups": {{ {} }} }}, "rules": [{}] }}"#,
        groups.join(","),
        rules.join(",")
    );
    let begun = std::time::Instant::now();
    RuleSet::from_json(&text).unwrap();
    // It took a second for each action.
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}
