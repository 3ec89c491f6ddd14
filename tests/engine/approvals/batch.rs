//! Many requests, one digest, one answer.

use tipstaff::*;

use super::{again, ask};
use crate::support::{World, at, go, id, refused, stored, tamper};

const RULES: &str = r#"{
  "approvers": { "groups": { "sec": ["bo", "cy", "u3"] } },
  "rules": [{ "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": { "groups": [{ "name": "sec" }] } }] }] }"#;

/// Five requests, and the batch of them.
fn five() -> (World, Vec<Approval>, Batch) {
    let world = World::new(RULES);
    let asked: Vec<_> = (0..5).map(|i| ask(&world, &format!("s{i}"), &format!("u{i}"), at(0))).collect();
    let batch = go(world.engine.batch(Filter::new(&world.tenant)));
    (world, asked, batch)
}

fn reply(world: &World, batch: &Batch, by: &str, verdict: Verdict, now: Time) -> BatchOutcome {
    go(world.engine.reply_batch(&world.tenant, batch, &id(by), verdict, Some("all of them"), now))
}

#[track_caller]
fn refuse(world: &World, batch: &Batch, now: Time) -> BatchError {
    let bo = id("bo");
    match refused(world.engine.reply_batch(&world.tenant, batch, &bo, Verdict::Approve, None, now)) {
        EngineError::Batch(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn one_answer_decides_all_that_the_voter_may_answer_and_names_the_others() {
    let (world, asked, batch) = five();
    // u3 is of the group, and the subject of one of them.
    let outcome = reply(&world, &batch, "u3", Verdict::Approve, at(1));
    assert_eq!(outcome.answered.len(), 4);
    assert!(outcome.answered.iter().all(|asked| asked.state == ApprovalState::Granted));
    assert_eq!(outcome.refused, [(asked[3].id, ApprovalError::IsSubject(id("u3")))]);
    world.run(at(2));
    assert_eq!(world.target.jobs("lock_account").len(), 4);
    let votes: Vec<_> = world.trail().into_iter().filter(|r| r.code == "APPROVAL_VOTE_CAST").collect();
    assert!(votes.iter().all(|r| format!("{r:?}").contains(&batch.digest.to_string())), "audited as one");
    assert_eq!((votes.len(), world.count("APPROVAL_VOTE_REFUSED")), (4, 1));
    // The rest of the batch is answered by somebody else; what is over is named.
    let rest = reply(&world, &batch, "bo", Verdict::Reject, at(3));
    assert_eq!((rest.answered.len(), rest.refused.len()), (1, 4));
    world.verified();
}

#[test]
fn a_batch_is_one_commit() {
    let (world, _, batch) = five();
    let before = world.trail().len();
    let outcome = reply(&world, &batch, "bo", Verdict::Reject, at(1));
    assert_eq!(outcome.answered.len(), 5);
    // A store that falls within it has nothing of it.
    let (world, asked, batch) = five();
    let frail = crate::support::Frail::new(world.store.clone(), 0);
    let engine = Engine::new(frail, world.target.clone(), RuleSet::from_json("[]").unwrap());
    let bo = id("bo");
    let error = refused(engine.reply_batch(&world.tenant, &batch, &bo, Verdict::Approve, None, at(1)));
    assert!(matches!(error, EngineError::Store(StoreError::Unavailable(_))), "{error}");
    assert_eq!(world.trail().len(), before);
    assert!(asked.iter().all(|asked| again(&world, asked) == *asked));
}

#[test]
fn a_member_that_changed_voids_the_batch() {
    let (world, asked, batch) = five();
    for (n, kind, edit) in [
        (
            1,
            Kind::Enforcement,
            (|body| body["params"]["x"] = serde_json::json!({ "text": "y" })) as fn(&mut serde_json::Value),
        ),
        (2, Kind::Approval, |body| body["context"]["evidence"]["do"] = "2".into()),
        (4, Kind::Approval, |body| body["digest"] = "0".repeat(64).into()),
    ] {
        let key = match kind {
            Kind::Enforcement => asked[n].enforcement.to_string(),
            _ => asked[n].id.to_string(),
        };
        let record = stored(&world.store, kind, key.as_str()).unwrap();
        tamper(&world.store, record, &n.to_string(), edit);
    }
    let before = crate::support::content(&world.store, &world.tenant);
    let BatchError::Changed(changed) = refuse(&world, &batch, at(1)) else { panic!() };
    let mut expected = [asked[1].id, asked[2].id, asked[4].id];
    expected.sort_unstable();
    assert_eq!(changed, expected);
    assert_eq!(crate::support::content(&world.store, &world.tenant), before, "nothing of it is answered");
}

#[test]
fn a_batch_is_what_its_digest_says() {
    let (world, asked, batch) = five();
    let same = Batch::of(asked.iter().rev()).unwrap();
    assert_eq!(same.digest, batch.digest, "whatever the order");
    let read: Batch = serde_json::from_str(&serde_json::to_string(&batch).unwrap()).unwrap();
    assert_eq!(read, batch);
    let without = Batch { members: batch.members[1..].to_vec(), digest: batch.digest };
    assert!(matches!(refuse(&world, &without, at(1)), BatchError::OtherContent { .. }));
    let twice = Batch { members: [&batch.members[..], &batch.members[..1]].concat(), digest: batch.digest };
    assert!(matches!(refuse(&world, &twice, at(1)), BatchError::Size { found: 6, .. }));
    let none = Batch { members: Vec::new(), digest: batch.digest };
    assert!(matches!(refuse(&world, &none, at(1)), BatchError::Size { found: 0, .. }));
    // Of another tenant, or none at all.
    let other: TenantId = id("other");
    let bo = id("bo");
    let error = refused(world.engine.reply_batch(&other, &batch, &bo, Verdict::Approve, None, at(1)));
    assert!(matches!(error, EngineError::Batch(BatchError::Changed(all)) if all.len() == 5));
    let empty = refused(world.engine.batch(Filter::new(&world.tenant).user(id("nobody"))));
    assert!(matches!(empty, EngineError::Batch(BatchError::Size { found: 0, .. })), "{empty}");
}

#[test]
fn the_requests_of_one_occurrence_are_a_batch() {
    let rules = r#"{ "approvers": { "groups": { "sec": ["bo"] } }, "rules": [
      { "id": "known", "trigger": { "score": { "enters": ["red"], "first": true } }, "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
      { "id": "weekly", "trigger": { "schedule": { "cron": "0 13 * * *", "audience": "all" } },
        "actions": [{ "key": "a", "type": "lock_account", "approval": { "groups": [{ "name": "sec" }] } }] }] }"#;
    let world = World::new(rules);
    for user in ["ana", "bea", "cleo"] {
        world.submit(world.score(user, user, at(0), "30"), at(0));
    }
    world.run(at(60));
    let asked = world.requests();
    assert_eq!(asked.len(), 3);
    let occurrence = asked[0].context.signal.as_ref().unwrap().id.clone();
    let batch = go(world.engine.batch(Filter::new(&world.tenant).signal(occurrence)));
    assert_eq!(batch.members.len(), 3);
    assert_eq!(reply(&world, &batch, "bo", Verdict::Approve, at(61)).answered.len(), 3);
    world.run(at(62));
    assert_eq!(world.target.jobs("lock_account").len(), 3);
}
