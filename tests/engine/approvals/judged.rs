//! A finding after the fact: it takes back what was wrong, and counts for the rule.

use tipstaff::*;

use crate::support::{World, at, content, go, id, refused, stored};

const RULES: &str = r#"{ "approvers": { "operators": ["rob", "ana"] }, "rules": [
  { "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": "none" }] },
  { "id": "tell", "trigger": { "event": { "pattern": { "do": ["tell"] } } },
    "actions": [{ "key": "a", "type": "escalate_to_hr" }] } ] }"#;

fn done(event: &str, users: &[&str]) -> World {
    let world = World::new(RULES);
    for user in users {
        world.submit(world.event(user, user, at(0), &format!(r#"{{ "do": "{event}" }}"#)), at(0));
    }
    world.run(at(0));
    world
}

fn judge(world: &World, of: EnforcementId, finding: Finding, now: Time) -> Enforcement {
    go(world.engine.judge(&world.tenant, of, finding, &id("rob"), Some("checked"), now))
}

#[test]
fn a_false_positive_is_taken_back_and_counted_once() {
    let world = done("lock", &["bea"]);
    let lock = world.the("lock_account");
    let judged = judge(&world, lock.id, Finding::FalsePositive, at(1));
    assert_eq!(judged.judged.as_ref().unwrap().by, id("rob"));
    world.run(at(1));
    assert_eq!(world.reason("unlock_account"), "done");
    // Again, also by another process: nothing more.
    let seen = world.trail().len();
    assert_eq!(judge(&world.another(), lock.id, Finding::FalsePositive, at(2)).judged, judged.judged);
    assert_eq!(world.trail().len(), seen);
    let stats = world.stats("lock", at(2));
    assert_eq!((stats.true_positives, stats.false_positives), (0, 1));
    assert_eq!(stats.precision().unwrap().to_string(), "right in 0 of 1 judged (0 %)");
    assert_eq!(stats.succeeded, 1, "the undo is no success of the rule");
    assert_eq!(world.count("ENFORCEMENT_JUDGED"), 1);
    world.verified();
}

#[test]
fn a_share_is_shown_with_its_number_and_a_change_of_mind_counts_once() {
    let world = done("lock", &["u1", "u2", "u3"]);
    assert_eq!(world.stats("lock", at(1)).precision(), None, "before anything was judged");
    let ids: Vec<_> = world.log().iter().map(|row| row.id).collect();
    judge(&world, ids[0], Finding::TruePositive, at(1));
    assert_eq!(world.stats("lock", at(1)).precision().unwrap().to_string(), "right in 1 of 1 judged (100 %)");
    judge(&world, ids[1], Finding::TruePositive, at(1));
    judge(&world, ids[2], Finding::FalsePositive, at(1));
    assert_eq!(world.stats("lock", at(1)).precision().unwrap().to_string(), "right in 2 of 3 judged (67 %)");
    let now = judge(&world, ids[1], Finding::FalsePositive, at(2));
    assert_eq!(now.judged.unwrap().finding, Finding::FalsePositive);
    assert_eq!(world.stats("lock", at(2)).precision(), Some(Precision { right: 1, judged: 3 }));
    // The other way round locks nobody again.
    judge(&world, ids[1], Finding::TruePositive, at(3));
    world.run(at(4));
    assert_eq!((world.target.jobs("lock_account").len(), world.target.jobs("unlock_account").len()), (3, 2));
}

#[test]
fn what_waits_is_called_off_and_what_cannot_be_undone_is_critical() {
    let world = World::new(RULES);
    world.submit(world.event("s1", "bea", at(0), r#"{ "do": "tell" }"#), at(0));
    let waiting = world.the("escalate_to_hr");
    judge(&world, waiting.id, Finding::FalsePositive, at(1));
    assert_eq!(world.reason("escalate_to_hr"), "cancelled");
    assert!(world.target.jobs("escalate_to_hr").is_empty());
    let world = done("tell", &["bea"]);
    judge(&world, world.the("escalate_to_hr").id, Finding::FalsePositive, at(1));
    assert_eq!(world.count("ENFORCEMENT_NOT_REVERSED"), 1);
    assert_eq!(world.log().len(), 1);
}

#[test]
fn what_found_its_effect_there_lets_go_of_it() {
    let world = World::new(
        r#"{ "approvers": { "operators": ["rob"] }, "types": [
            { "name": "take_badge", "category": "access_control", "approval": false, "inverse": "give_badge", "retry": "keyed" },
            { "name": "give_badge", "category": "access_control", "approval": false, "restricts": false, "retry": "keyed" } ],
          "rules": [
            { "id": "hour", "trigger": { "event": { "pattern": { "do": ["hour"] } } },
              "actions": [{ "key": "a", "type": "take_badge", "for": "1h" }] },
            { "id": "day", "trigger": { "event": { "pattern": { "do": ["day"] } } },
              "actions": [{ "key": "a", "type": "take_badge", "for": "24h" }] } ] }"#,
    );
    for (minute, rule) in [(0, "hour"), (1, "day")] {
        world.submit(world.event(rule, "bea", at(minute), &format!(r#"{{ "do": "{rule}" }}"#)), at(minute));
        world.run(at(minute));
    }
    let found = world.log().into_iter().find(|row| row.reason() == Reason::NoOp).unwrap();
    judge(&world, found.id, Finding::FalsePositive, at(2));
    // The other rule holds it for its hour, and not for a day.
    world.run(at(2));
    assert!(world.target.jobs("give_badge").is_empty());
    world.run(at(60));
    assert_eq!(world.target.jobs("give_badge").len(), 1);
    world.verified();
}

#[test]
fn a_request_is_withdrawn_with_what_it_was_for() {
    let rules = RULES.replace(r#""approval": "none""#, r#""approval": { "groups": [{ "name": "sec" }] }"#);
    let rules = rules
        .replace(r#""operators": ["rob", "ana"]"#, r#""operators": ["rob"], "groups": { "sec": ["bo"] }"#);
    let world = World::new(&rules);
    let asked = super::ask(&world, "s1", "bea", at(0));
    judge(&world, asked.enforcement, Finding::FalsePositive, at(1));
    assert_eq!(world.reason("lock_account"), "cancelled");
    assert_eq!(super::again(&world, &asked).state, ApprovalState::Withdrawn);
    world.run(at(24 * 60));
    world.verified();
}

#[test]
fn what_runs_is_not_judged_and_keeps_its_lease() {
    let world = World::new(RULES);
    world.submit(world.event("s1", "bea", at(0), r#"{ "do": "lock" }"#), at(0));
    let claim = Claim {
        worker: id("w"),
        nonce: crate::support::commit_id("1"),
        channels: None,
        max: 1,
        until: at(0),
        lease: Span::hours(1),
        after: None,
    };
    let claimed = go(world.store.claim(&claim)).remove(0);
    let (lock, rob) = (world.the("lock_account"), id("rob"));
    for finding in Finding::ALL {
        let call = world.engine.judge(&world.tenant, lock.id, *finding, &rob, None, at(1));
        let running = MoveError::Illegal { state: Reason::Running, input: "judge" };
        assert_eq!(refused(call), EngineError::Move(running));
    }
    assert_eq!(stored(&world.store, Kind::Enforcement, lock.id), Some(claimed));
}

#[test]
fn who_may_not_judge() {
    let world = done("lock", &["ana"]);
    let lock = world.the("lock_account");
    for by in ["bo", "ana", "ANA"] {
        let by: ActorId = id(by);
        let call = world.engine.judge(&world.tenant, lock.id, Finding::FalsePositive, &by, None, at(1));
        let error = refused(call);
        assert_eq!(error, EngineError::NotPermitted { actor: by.clone(), right: Right::Judge });
    }
    assert_eq!(world.count("POLICY_ORDER_REFUSED"), 3);
    assert_eq!(world.the("lock_account"), lock);
    let rob = id("rob");
    let long = "x".repeat(MAX_COMMENT_BYTES + 1);
    let call = world.engine.judge(&world.tenant, lock.id, Finding::TruePositive, &rob, Some(&long), at(1));
    assert!(matches!(refused(call), EngineError::Approval(ApprovalError::CommentTooLong(_))));
    let none: EnforcementId = id(&format!("enf_{}", "0".repeat(32)));
    let call = world.engine.judge(&world.tenant, none, Finding::TruePositive, &rob, None, at(1));
    assert!(matches!(refused(call), EngineError::NotFound { .. }));
}

#[test]
fn what_takes_a_restriction_back_is_not_judged() {
    let world = World::new(&RULES.replace(r#""approval": "none""#, r#""approval": "none", "for": "1h""#));
    world.submit(world.event("s1", "bea", at(0), r#"{ "do": "lock" }"#), at(0));
    world.run(at(0));
    let stands = |undo: EnforcementId| {
        let before = content(&world.store, &world.tenant);
        for finding in Finding::ALL {
            let rob = id("rob");
            let call = world.engine.judge(&world.tenant, undo, *finding, &rob, None, at(1));
            assert_eq!(refused(call), EngineError::UndoStands(undo), "{finding}");
        }
        assert_eq!(content(&world.store, &world.tenant), before);
    };
    // One that waits for the end of the time, and one that is to begin at once.
    stands(world.the("unlock_account").id);
    judge(&world, world.the("lock_account").id, Finding::FalsePositive, at(1));
    let undo = world.log().into_iter().find(|row| row.reason() == Reason::Queued).unwrap();
    stands(undo.id);
    world.run(at(1));
    let effect = go(world.engine.effects(Filter::new(&world.tenant))).rows.remove(0);
    assert_eq!(effect.status(), EffectStatus::Clear);
    let stats = world.stats("lock", at(2));
    assert_eq!((stats.true_positives, stats.false_positives), (0, 1), "only the lock was right or wrong");
    world.verified();
}

#[test]
fn what_nobody_asked_for_is_not_judged() {
    let rules = r#"{ "approvers": { "operators": ["rob"] }, "types": [
        { "name": "flag", "category": "integration", "approval": false, "restricts": false, "inverse": "unflag" },
        { "name": "unflag", "category": "integration", "approval": false, "restricts": false } ], "rules": [
        { "id": "mark", "trigger": { "event": { "pattern": { "do": ["mark"] } } },
          "actions": [{ "key": "a", "type": "flag" }] } ] }"#;
    let world = World::new(rules);
    world.submit(world.event("s1", "bea", at(0), r#"{ "do": "mark" }"#), at(0));
    world.run(at(0));
    judge(&world, world.the("flag").id, Finding::FalsePositive, at(1));
    let reversal = world.the("unflag");
    assert!(matches!(reversal.purpose, Purpose::Reversal { .. }));
    for finding in Finding::ALL {
        let rob = id("rob");
        let call = world.engine.judge(&world.tenant, reversal.id, *finding, &rob, None, at(2));
        let waits = MoveError::Illegal { state: Reason::Queued, input: "judge" };
        assert_eq!(refused(call), EngineError::Move(waits));
    }
    world.run(at(2));
    assert_eq!(world.reason("unflag"), "done");
    world.verified();
}
