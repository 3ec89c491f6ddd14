//! Scores in the engine: levels that move by time, by an operator's word, on several scales; what an
//! approver is shown of them.

use std::collections::BTreeMap;

use crate::support::{Frail, World, at, content, go, id, refused, stored, tamper};
use tipstaff::*;

const DAY: i64 = 24 * 60;

/// A scale of scores where red is held back by a dwell of an hour, and a rule for each way.
const DWELL: &str = r#"{
  "scales": [{ "id": "default", "low": 0, "high": 100, "high_is": "safe",
    "bands": [{ "name": "green", "from": 60 }, { "name": "red", "from": 20 }, { "name": "critical", "from": 0 }],
    "hysteresis": { "margin": 5, "dwell": "1h" } }],
  "rules": [
    { "id": "down", "trigger": { "score": { "enters": ["red", "critical"] } },
      "actions": [{ "key": "a", "type": "escalate_to_hr", "params": { "note": "{band.from} to {band}: {score}" } }] },
    { "id": "up", "trigger": { "score": { "enters": ["green"], "direction": "better", "cooldown": "0s" } },
      "actions": [{ "key": "a", "type": "escalate_to_manager", "params": { "note": "{band.from} to {band}: {score}" } }] } ] }"#;

fn held() -> String {
    DWELL.replace(r#""hysteresis": { "margin": 5, "dwell": "1h" }"#, r#""hold": true"#)
}

fn level(world: &World, user: &str, scale: &str) -> Level {
    let record = stored(&world.store, Kind::Subject, format!("user:{user}").as_str()).unwrap();
    let state: SubjectState = serde_json::from_str(&record.body).unwrap();
    state.scores[&id::<ScaleId>(scale)].clone()
}

fn notes(world: &World) -> Vec<String> {
    let note = |row: &Enforcement| format!("{}: {}", row.action, row.params["note"]);
    world.log().iter().map(note).collect()
}

fn dismissal(world: &World, name: &str, user: &str, minutes: i64) -> Dismissal {
    Dismissal {
        tenant: world.tenant.clone(),
        id: id(name),
        operator: id("olga"),
        subject: Subject::user(id(user)),
        scale: id("default"),
        at: at(minutes),
        reason: "a false alarm".to_owned(),
    }
}

#[test]
fn a_dwell_that_ends_while_no_score_comes_is_a_decision_of_its_own() {
    let world = World::new(DWELL);
    world.submit(world.score("s1", "ana", at(0), "90"), at(0));
    world.submit(world.score("s2", "ana", at(1), "30"), at(1));
    let waits = world.submit(world.score("s3", "ana", at(10), "80"), at(10));
    let moved = waits.moved.as_ref().unwrap();
    assert_eq!((moved.to.as_str(), moved.lies_in.as_ref().unwrap().as_str()), ("red", "green"));
    assert_eq!(moved.leaves_at, Some(at(70)));
    assert!(waits.is_empty());
    assert_eq!(world.run(at(69)).timers, 0);
    let before = world.trail().len();
    assert_eq!(world.run(at(75)).timers, 1);
    assert_eq!(world.codes_after(before)[..2], ["POLICY_LEVEL_ELAPSED", "POLICY_BAND_ENTERED"]);
    assert_eq!(notes(&world), ["escalate_to_hr: green to red: 30", "escalate_to_manager: red to green: 80"]);
    let row = world.the("escalate_to_manager");
    assert_eq!((row.origin.kind, row.origin.at, row.recorded_at), (TriggerKind::Score, at(70), at(75)));
    let decided = go(world.engine.signal(&world.tenant, row.origin.trigger));
    assert_eq!(decided.signal.says.as_deref(), Some("score 80, as time passed"));
    // It happens once, whoever looks again.
    let all = content(&world.store, &world.tenant);
    assert!(world.run(at(80)).is_idle() && world.another().run(at(900)).is_idle());
    assert_eq!(content(&world.store, &world.tenant), all);
    world.verified();
}

#[test]
fn what_is_overdue_is_made_up_for_before_the_next_score() {
    let (lazy, eager) = (World::new(DWELL), World::new(DWELL));
    let series = [(0, "90"), (1, "30"), (10, "80"), (100, "30"), (110, "64"), (120, "66"), (400, "10")];
    for (n, (minute, score)) in series.iter().enumerate() {
        for (world, runs) in [(&lazy, false), (&eager, true)] {
            if runs {
                (1..=*minute).for_each(|now| drop(world.run(at(now))));
            }
            world.submit(world.score(&format!("s{n}"), "ana", at(*minute), score), at(*minute));
        }
    }
    let told = [
        "escalate_to_hr: green to red: 30",
        "escalate_to_manager: red to green: 80",
        "escalate_to_manager: red to green: 66",
        "escalate_to_hr: green to critical: 10",
    ];
    let sorted = |world: &World| {
        let mut notes = notes(world);
        notes.sort();
        notes
    };
    // The second fall into red is the same move as the first, and cools down.
    let mut expected: Vec<String> = told.iter().map(|text| (*text).to_owned()).collect();
    expected.sort();
    assert_eq!(sorted(&lazy), expected);
    assert_eq!(sorted(&eager), expected);
    assert_eq!(level(&lazy, "ana", "default"), level(&eager, "ana", "default"));
    let ids = |world: &World| world.log().iter().map(|row| row.id).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(ids(&lazy), ids(&eager), "the same decisions, whenever timers were looked at");
    lazy.verified();
}

#[test]
fn a_crash_at_any_commit_leaves_one_move() {
    for commits in 0..12 {
        let world = World::new(DWELL);
        world.submit(world.score("s1", "ana", at(0), "90"), at(0));
        world.submit(world.score("s2", "ana", at(1), "30"), at(1));
        world.run(at(1));
        world.submit(world.score("s3", "ana", at(10), "80"), at(10));
        let none = RuleSet::from_json("[]").unwrap();
        let frail = Engine::new(Frail::new(world.store.clone(), commits), world.target.clone(), none);
        // The process ends at that commit, wherever it stands; another one goes on.
        let _ = ready(frail.run_due(at(75))).unwrap();
        world.submit(world.score("s4", "ana", at(90), "81"), at(90));
        world.run(at(95));
        world.run(at(300));
        assert_eq!(notes(&world).len(), 2, "after {commits} commits");
        assert_eq!(
            world
                .target
                .jobs("escalate_to_manager")
                .iter()
                .map(|job| job.key)
                .collect::<std::collections::BTreeSet<_>>()
                .len(),
            1
        );
        assert_eq!(world.count("POLICY_LEVEL_ELAPSED"), 1, "after {commits} commits");
        world.verified();
    }
}

#[test]
fn a_hold_ends_by_time_and_by_an_operators_word() {
    let world = World::new(&held());
    for user in ["ana", "bea"] {
        world.submit(world.score(&format!("{user}1"), user, at(0), "90"), at(0));
        world.submit(world.score(&format!("{user}2"), user, at(1), "30"), at(1));
        world.submit(world.score(&format!("{user}3"), user, at(DAY), "80"), at(DAY));
    }
    assert_eq!(level(&world, "ana", "default").due(), Some(at(1 + 7 * DAY)));
    let order = dismissal(&world, "d1", "bea", 2 * DAY);
    let decided = go(world.engine.dismiss_level(&order, at(2 * DAY)));
    assert_eq!(decided.signal.kind, TriggerKind::Manual);
    assert_eq!(level(&world, "bea", "default").band.as_str(), "green");
    assert_eq!(notes(&world)[2..], ["escalate_to_manager: red to green: 80"]);
    let audited = world.trail().into_iter().find(|record| record.code == "POLICY_LEVEL_DISMISSED").unwrap();
    assert_eq!(audited.actor.to_string(), "person:olga");
    assert!(audited.personal.contains_key("reason"), "{audited:?}");
    // The same order again changes nothing; another under its id is refused.
    let before = content(&world.store, &world.tenant);
    assert!(go(world.engine.dismiss_level(&order, at(2 * DAY + 1))).repeat);
    assert_eq!(content(&world.store, &world.tenant), before);
    let other = Dismissal { reason: "because".to_owned(), ..order.clone() };
    let error = refused(world.engine.dismiss_level(&other, at(2 * DAY)));
    assert!(matches!(error, EngineError::SignalReused { .. }), "{error}");
    assert_eq!(world.count("POLICY_SIGNAL_REFUSED"), 1);
    // Ana's runs out.
    assert_eq!(world.run(at(7 * DAY)).timers, 0);
    world.run(at(8 * DAY));
    assert_eq!(level(&world, "ana", "default").band.as_str(), "green");
    assert_eq!(world.log().len(), 4);
    world.verified();
}

#[test]
fn who_may_not_dismiss_and_what_cannot_be() {
    let world = World::new(&held());
    world.submit(world.score("s1", "ana", at(0), "30"), at(0));
    let order = dismissal(&world, "d1", "ana", 5);
    let refuse = |order: &Dismissal| {
        let before = content(&world.store, &world.tenant);
        let error = refused(world.engine.dismiss_level(order, at(5)));
        assert_eq!(content(&world.store, &world.tenant), before);
        error
    };
    let own = Dismissal { operator: id("ana"), ..order.clone() };
    assert_eq!(refuse(&own), EngineError::Plan(PlanError::OwnLevel(id("ana"))));
    let mute = Dismissal { reason: " ".to_owned(), ..order.clone() };
    assert_eq!(refuse(&mute), EngineError::Plan(PlanError::Reason(1)));
    let nobody = Dismissal { subject: Subject::user(id("zoe")), ..order.clone() };
    assert!(refuse(&nobody).to_string().contains("no score of the subject on scale `default`"));
    let nowhere = Dismissal { scale: id("elsewhere"), ..order };
    assert!(matches!(refuse(&nowhere), EngineError::NotFound { .. }));
}

#[test]
fn who_dismisses_cannot_approve_what_follows() {
    let rules = held()
        .replace(
            r#""type": "escalate_to_manager", "params": { "note": "{band.from} to {band}: {score}" }"#,
            r#""type": "escalate_to_manager", "approval": { "groups": [{ "name": "sec" }] }"#,
        )
        .replace(
            r#"{
  "scales""#,
            r#"{ "approvers": { "groups": { "sec": ["olga", "bo"] } },
  "scales""#,
        );
    let world = World::new(&rules);
    world.submit(world.score("s1", "ana", at(0), "30"), at(0));
    world.submit(world.score("s2", "ana", at(1), "80"), at(1));
    go(world.engine.dismiss_level(&dismissal(&world, "d1", "ana", 2), at(2)));
    let request = world.requests().remove(0);
    assert!(world.denied(&request, "olga", at(3)).to_string().contains("ordered the action"));
    world.approve(&request, "bo", at(3));
}

/// One scale for everybody, high is safe; one for a department, high is risky; each with a way of its
/// own to keep a subject in a band.
const SCALES: &str = r#"{
  "scales": [
    { "id": "sales", "low": -7.6, "high": 5.5, "high_is": "risky",
      "bands": [{ "name": "calm", "from": -7.6 }, { "name": "red", "from": 0.5 }, { "name": "alarm", "from": 3 }],
      "hysteresis": { "margin": 0.25, "dwell": "30m", "toward": "either" } },
    { "id": "lab", "low": 0, "high": 1, "high_is": "risky",
      "bands": [{ "name": "calm", "from": 0 }, { "name": "red", "from": 0.5 }], "hold": "5d" } ],
  "rules": [
    { "id": "org", "trigger": { "score": { "enters": ["orange", "red", "critical"], "first": true } },
      "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
    { "id": "sales", "trigger": { "score": { "scale": "sales", "enters": ["red", "alarm"], "first": true } },
      "actions": [{ "key": "a", "type": "escalate_to_manager" }] },
    { "id": "lab", "trigger": { "score": { "scale": "lab", "enters": ["red", "calm"], "direction": "either" } },
      "actions": [{ "key": "a", "type": "create_ticket", "params": { "queue": "lab", "title": "{band}" } }] } ] }"#;

#[test]
fn scales_do_not_disturb_each_other() {
    let scales = ["default", "sales", "lab"];
    let scores = [
        ["90", "50", "45", "75", "30", "10", "61", "59"],
        ["-7.6", "0.6", "0.74", "5.5", "0.3", "0.1", "-1", "3.2"],
        ["0", "1", "0.2", "0.49", "0.5", "0.1", "0.1", "0.7"],
    ];
    let story = |which: &[usize]| {
        let world = World::new(SCALES);
        for step in 0..8 {
            for scale in which {
                // Each scale has times of its own, some of them late.
                let minute = [0, 20, 70, 65, 130, 9_000, 9_031, 9_100][step] + *scale as i64;
                let mut reading = world.score(&format!("s{step}"), "ana", at(minute), scores[*scale][step]);
                reading.scale = id(scales[*scale]);
                world.submit(reading, at(minute));
            }
        }
        world.run(at(30_000));
        world.verified();
        world
    };
    let together = story(&[0, 1, 2]);
    let mut ids: Vec<EnforcementId> = Vec::new();
    for (scale, name) in scales.iter().enumerate() {
        let alone = story(&[scale]);
        assert_eq!(level(&alone, "ana", name), level(&together, "ana", name));
        ids.extend(alone.log().iter().map(|row| row.id));
    }
    let mut all: Vec<EnforcementId> = together.log().iter().map(|row| row.id).collect();
    all.sort();
    ids.sort();
    assert_eq!(all, ids);
    assert!(all.len() > 6, "{}", all.len());
}

#[test]
fn a_score_on_a_scale_that_is_not_there_is_refused_and_one_that_no_rule_reads_is_nothing() {
    let world = World::new(DWELL);
    go(world.engine.rules(&world.tenant, at(0)));
    let before = content(&world.store, &world.tenant);
    let mut reading = world.score("s1", "ana", at(0), "10");
    reading.scale = id("defualt");
    let error = refused(world.engine.submit(reading, at(0)));
    assert_eq!(error.to_string(), "unknown scale `defualt`; accepted: `default`");
    assert_eq!(content(&world.store, &world.tenant), before);
    let quiet = World::new(
        r#"[{ "id": "r", "trigger": { "manual": {} }, "actions": [{ "key": "a", "type": "escalate_to_hr" }] }]"#,
    );
    go(quiet.engine.rules(&quiet.tenant, at(0)));
    let before = content(&quiet.store, &quiet.tenant);
    assert!(quiet.submit(quiet.score("s1", "ana", at(0), "10"), at(0)).is_empty());
    assert_eq!(content(&quiet.store, &quiet.tenant), before);
}

#[test]
fn what_time_brings_is_judged_by_what_came_with_the_last_score() {
    let rules = DWELL
        .replace(r#""enters": ["green"], "#, r#""enters": ["green"], "min_confidence": 0.5, "#)
        .replace(r#"{ "id": "up", "#, r#"{ "id": "up", "subject": { "department": ["sales"] }, "#);
    let attributes = |text: &str| Some(Payload::new(text).unwrap());
    for (confidence, department, created, held_back) in [
        ("0.9", r#"{"department":"sales"}"#, 1, 0),
        ("0.1", r#"{"department":"sales"}"#, 0, 1),
        ("0.9", r#"{"department":"lab"}"#, 0, 0),
    ] {
        let world = World::new(&rules);
        world.submit(world.score("s1", "ana", at(0), "30"), at(0));
        let mut reading = world.score("s2", "ana", at(1), "90");
        reading.confidence = Some(id(confidence));
        reading.attributes = attributes(department);
        world.submit(reading, at(1));
        world.run(at(61));
        assert_eq!(level(&world, "ana", "default").band.as_str(), "green");
        assert_eq!((world.log().len(), world.count("POLICY_ACTION_SUPPRESSED")), (created, held_back));
    }
}

#[test]
fn a_level_that_an_earlier_version_wrote_is_read() {
    let world = World::new(DWELL);
    world.submit(world.score("s1", "ana", at(0), "30"), at(0));
    let record = stored(&world.store, Kind::Subject, "user:ana").unwrap();
    tamper(&world.store, record, "1", |body| {
        body["scores"]["default"] =
            serde_json::json!({ "score": "30", "at": at(0), "band": "red", "signal": "s1" });
    });
    world.submit(world.score("s2", "ana", at(10), "80"), at(10));
    let known = level(&world, "ana", "default");
    assert_eq!((known.band.as_str(), known.due(), known.revision), ("red", Some(at(70)), 1));
}

const LOCK: &str = r#"{
  "approvers": { "default": "sec", "groups": { "sec": ["bo", "cy"] } },
  "rules": [{ "id": "lock", "trigger": { "score": { "enters": ["critical"] } },
    "actions": [{ "key": "a", "type": "lock_account" }] }] }"#;

#[test]
fn an_approver_sees_how_it_came_to_this_and_is_bound_to_it() {
    let world = World::new(LOCK);
    for n in 0..40_i64 {
        let score = if n % 4 == 3 { "70".to_owned() } else { format!("{}", 95 - n % 3) };
        world.submit(world.score(&format!("s{n}"), "ana", at(n), &score), at(n));
    }
    world.submit(world.score("s40", "ana", at(60), "5"), at(60));
    let request = world.requests().remove(0);
    let history = &request.context.history[&id::<ScaleId>("default")];
    assert_eq!((history.readings.len(), history.entries.len()), (MAX_KEPT_READINGS, MAX_KEPT_ENTRIES));
    assert_eq!(history.readings.last().unwrap().score.to_string(), "5");
    let newest = history.entries.last().unwrap();
    assert_eq!((newest.band.as_str(), newest.from.as_ref().unwrap().as_str()), ("critical", "yellow"));
    let reaches = |at: Time| (at, history.entries[0].at, history.readings[0].at);
    assert!(
        history.entries[0].at < history.readings[0].at,
        "entries reach further back: {:?}",
        reaches(at(0))
    );
    // A score that comes in between is shown, and voids nothing.
    world.submit(world.score("s41", "ana", at(61), "50"), at(61));
    let view = go(world.engine.approval_view(&world.tenant, request.id, request.requested_at)).to_string();
    for line in [
        "on scale default then: critical (5) at 2026-03-02T13:00:00Z",
        "critical entered from yellow at 2026-03-02T13:00:00Z with 5",
        "scores: 5 (critical) at 2026-03-02T13:00:00Z, 70 (yellow) at",
        "on scale default now: orange (50) at",
    ] {
        assert!(view.contains(line), "{line}\n{view}");
    }
    world.approve(&request, "bo", at(62));
    // What was shown is bound: a request whose history was changed is for something else.
    let record = stored(&world.store, Kind::Approval, request.id.to_string().as_str()).unwrap();
    tamper(&world.store, record, "1", |body| {
        body["context"]["history"]["default"]["readings"][0]["score"] = "1".into();
    });
    world.run(at(62));
    assert_eq!(world.reason("lock_account"), "permanent_error");
    assert!(world.target.jobs("lock_account").is_empty());
}

#[test]
fn what_is_kept_of_a_subject_does_not_grow() {
    let world = World::new(SCALES);
    let mut sizes = BTreeMap::new();
    for n in 0..400_i64 {
        let score = if n % 2 == 0 { "90" } else { "10" };
        world.submit(world.score(&format!("s{n:05}"), "ana", at(1_000 + n), score), at(1_000 + n));
        sizes.insert(n, stored(&world.store, Kind::Subject, "user:ana").unwrap().body.len());
    }
    assert_eq!(sizes[&101], sizes[&399]);
}
