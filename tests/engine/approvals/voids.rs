//! An approval that does not cover what is about to be done is void, and says which part differs.

use serde_json::Value;
use tipstaff::*;

use super::ask;
use crate::support::{World, at, go, id, stored, tamper};

const RULES: &str = r#"{
  "approvers": { "groups": { "sec": ["bo", "cy"] } },
  "rules": [{ "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
    "actions": [{ "key": "a", "type": "restrict_access", "params": { "scope": "mail" },
      "approval": { "groups": [{ "name": "sec", "need": 2 }], "within": "4h" } }] }] }"#;

fn granted() -> (World, Approval) {
    let world = World::new(RULES);
    let asked = ask(&world, "s1", "ana", at(0));
    world.approve(&asked, "bo", at(1));
    (world.another(), { world.approve(&asked, "cy", at(2)) })
}

/// Which record is changed, how, and what the log then says.
type Case = (Kind, fn(&mut Value), &'static str);

#[test]
fn each_part_that_changed_after_the_approval_voids_it() {
    let cases: [Case; 12] = [
        (Kind::Enforcement, |body| body["subject"]["user"] = "bea".into(), "the subject changed"),
        (Kind::Enforcement, |body| body["action"] = "lock_account".into(), "the action changed"),
        (Kind::Enforcement, |body| body["params"]["scope"]["text"] = "all".into(), "the parameters changed"),
        (Kind::Trigger, |body| body["evidence"]["do"] = "[\"x\"]".into(), "the evidence changed"),
        (Kind::Trigger, |body| body["id"] = format!("trg_{}", "0".repeat(32)).into(), "the trigger changed"),
        (
            Kind::Approval,
            |body| body["context"]["trigger"] = format!("trg_{}", "0".repeat(32)).into(),
            "the trigger changed",
        ),
        (Kind::Approval, |body| body["digest"] = "0".repeat(64).into(), "the record changed"),
        (
            Kind::Approval,
            |body| body["enforcement"] = format!("enf_{}", "0".repeat(32)).into(),
            "for another enforcement",
        ),
        (Kind::Approval, |body| body["votes"] = Value::Array(Vec::new()), "2 answer(s) for what was shown"),
        // An answer that was given for something else does not count for this.
        (Kind::Approval, |body| body["votes"][0]["digest"] = "0".repeat(64).into(), "1 answer(s)"),
        (Kind::Approval, |body| body["state"] = "open".into(), "its approval is open"),
        (Kind::Approval, |body| body["policy"]["groups"] = Value::Array(Vec::new()), "1 answer(s)"),
    ];
    for (i, (kind, edit, expected)) in cases.into_iter().enumerate() {
        let (world, asked) = granted();
        let id = match kind {
            Kind::Enforcement => asked.enforcement.to_string(),
            Kind::Approval => asked.id.to_string(),
            _ => asked.context.trigger.unwrap().to_string(),
        };
        let record = go(world.store.load(&[Key::new(&world.tenant, kind, id)])).remove(0).unwrap();
        tamper(&world.store, record, "1", edit);
        world.run(at(3));
        let [row] = world.log().try_into().unwrap();
        assert_eq!(row.reason(), Reason::PermanentError, "{i}: {expected}");
        let message = row.history[0].report.message.clone().unwrap();
        assert!(message.contains(expected), "{i}: {message}");
        assert!(
            world.target.jobs("restrict_access").is_empty() && world.target.jobs("lock_account").is_empty()
        );
        let voided: Vec<_> = world.trail().into_iter().filter(|r| r.code == "APPROVAL_VOIDED").collect();
        assert_eq!(voided.len(), 1, "{i}");
        assert_eq!(voided[0].severity, Severity::Critical);
        // Once and for all: the next run finds nothing to do.
        assert!(world.run(at(4)).is_idle(), "{i}");
        world.verified();
    }
}

#[test]
fn what_was_granted_by_hand_without_answers_does_not_pass() {
    let world = World::new(RULES);
    let asked = ask(&world, "s1", "ana", at(0));
    world.approve(&asked, "bo", at(1));
    let approval = stored(&world.store, Kind::Approval, asked.id).unwrap();
    tamper(&world.store, approval, "1", |body| body["state"] = "granted".into());
    let enforcement = stored(&world.store, Kind::Enforcement, asked.enforcement).unwrap();
    let record =
        Record { queue: Some(Queue { channel: id("restrict_access"), ready_at: at(1) }), ..enforcement };
    let queued = serde_json::json!({ "reason": "queued", "since": at(1) });
    tamper(&world.store, record, "2", |body| body["state"] = queued);
    world.run(at(3));
    let [row] = world.log().try_into().unwrap();
    assert_eq!(row.reason(), Reason::PermanentError);
    let message = row.history[0].report.message.clone().unwrap();
    assert!(message.contains("called granted, but 1 answer(s) for what was shown are missing"), "{message}");
    assert!(world.target.jobs("restrict_access").is_empty());
}

#[test]
fn an_earlier_stage_without_its_answers_voids_as_well() {
    let rules = RULES.replace(
        r#""groups": [{ "name": "sec", "need": 2 }], "within": "4h""#,
        r#""stages": [{ "groups": [{ "name": "sec" }] }, { "groups": [{ "name": "sec" }] }]"#,
    );
    let world = World::new(&rules);
    let asked = ask(&world, "s1", "ana", at(0));
    world.approve(&asked, "bo", at(1));
    world.approve(&asked, "cy", at(2));
    let approval = stored(&world.store, Kind::Approval, asked.id).unwrap();
    tamper(&world.store, approval, "1", |body| drop(body["votes"].as_array_mut().unwrap().remove(0)));
    world.run(at(3));
    assert_eq!(world.log()[0].reason(), Reason::PermanentError);
}

#[test]
fn a_damaged_request_ends_its_enforcement_and_is_not_claimed_for_ever() {
    let (world, asked) = granted();
    let record = stored(&world.store, Kind::Approval, asked.id).unwrap();
    tamper(&world.store, record, "1", |body| body["policy"] = 7.into());
    let report = world.run(at(3));
    assert_eq!(report.failed, 1);
    assert!(world.target.jobs("restrict_access").is_empty());
    let [row] = world.log().try_into().unwrap();
    assert_eq!((row.reason(), row.attempts), (Reason::PermanentError, 1));
    assert!(row.history[0].report.message.as_ref().unwrap().contains("cannot be read"));
    assert!(world.run(at(600)).is_idle());
    // Neither is one that is gone.
    let (world, asked) = granted();
    let record = stored(&world.store, Kind::Enforcement, asked.enforcement).unwrap();
    tamper(&world.store, record, "1", |body| body["approval"] = format!("apr_{}", "0".repeat(32)).into());
    world.run(at(3));
    assert!(world.log()[0].history[0].report.message.as_ref().unwrap().contains("does not exist"));
}

#[test]
fn what_does_not_bind_voids_nothing() {
    let (world, asked) = granted();
    // A rule's title, its revision, and who may approve: none of it is content.
    let changed = RULES.replace(r#""id": "lock""#, r#""id": "lock", "title": "Another name""#);
    let set = RuleSet::from_json(&changed.replace(r#"["bo", "cy"]"#, r#"["di", "ed"]"#)).unwrap();
    go(world.engine.add_rules(&world.tenant, &set, &Actor::Host, at(2)));
    let record = stored(&world.store, Kind::Approval, asked.id).unwrap();
    tamper(&world.store, record, "1", |body| body["designated"] = serde_json::json!({}));
    world.run(at(3));
    assert_eq!(world.log()[0].reason(), Reason::Done);
}
