//! Stages in order, their fallbacks and reminders, and who hears of the end.

use tipstaff::*;

use super::{again, ask, told, told_since};
use crate::support::{World, at, go, id, refused, stored, tamper};

const RULES: &str = r#"{
  "approvers": { "groups": { "help": ["hal", "han"], "board": ["max"], "sec": ["bo", "cy", "di"] } },
  "rules": [{ "id": "lock", "author": "arne", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": { "stages": [
      { "groups": [{ "name": "help" }], "within": "2h",
        "fallback": { "groups": [{ "name": "board" }], "within": "1h" } },
      { "groups": [{ "name": "sec", "need": 2 }], "within": "4h", "rejections": 2 } ] } }] }] }"#;

#[test]
fn the_next_stage_opens_and_is_told_when_the_one_before_is_granted() {
    let world = World::new(RULES);
    let asked = ask(&world, "s1", "ana", at(0));
    assert_eq!(told_since(&world, &[], at(0)), ["opened 1 hal", "opened 1 han"]);
    // Those of the second stage are not asked yet.
    assert!(matches!(world.denied(&asked, "bo", at(1)), ApprovalError::NotAuthorised { .. }));
    let next = world.approve(&asked, "han", at(30));
    assert_eq!((next.state, next.progress.stage, next.missing()), (ApprovalState::Open, 1, 2));
    assert_eq!((next.opened_at(), next.expires_at), (at(30), at(270)), "its own clock");
    let first = told(&world);
    assert_eq!(told_since(&world, &first, at(30)), ["opened 2 bo", "opened 2 cy", "opened 2 di"]);
    assert_eq!(world.reason("lock_account"), "awaiting_approval");
    // And those of the first not any more.
    assert!(matches!(world.denied(&asked, "hal", at(31)), ApprovalError::NotAuthorised { .. }));
    world.approve(&asked, "bo", at(40));
    assert_eq!(world.approve(&asked, "di", at(41)).state, ApprovalState::Granted);
    world.run(at(42));
    assert_eq!(world.reason("lock_account"), "done");
    assert_eq!(world.count("APPROVAL_STAGE_OPENED"), 1);
    assert!(told(&world).contains(&"result 2 arne".to_owned()), "{:?}", told(&world));
    world.verified();
}

#[test]
fn a_stage_has_its_own_number_of_rejections_and_one_stage_ends_all() {
    let world = World::new(RULES);
    let asked = ask(&world, "s1", "ana", at(0));
    let other = ask(&world, "s2", "bea", at(0));
    world.approve(&asked, "hal", at(1));
    let reject = |asked: &Approval, by: &str, now| {
        go(world.engine.reject(&world.tenant, asked.id, &id(by), asked.digest, None, now))
    };
    assert_eq!(reject(&asked, "bo", at(2)).state, ApprovalState::Open, "two of this stage end it");
    assert_eq!(reject(&asked, "cy", at(3)).state, ApprovalState::Rejected);
    assert_eq!(reject(&other, "hal", at(3)).state, ApprovalState::Rejected, "one of that stage does");
    world.run(at(4));
    assert!(world.log().iter().all(|row| row.reason() == Reason::Rejected));
    assert!(world.target.jobs("lock_account").is_empty());
}

#[test]
fn a_person_counts_once_over_all_stages() {
    let rules = RULES.replace(r#""sec": ["bo", "cy", "di"]"#, r#""sec": ["hal", "bo", "cy"]"#);
    let world = World::new(&rules);
    let asked = ask(&world, "s1", "ana", at(0));
    world.approve(&asked, "hal", at(1));
    assert_eq!(world.denied(&asked, "hal", at(2)), ApprovalError::AnsweredAlready(id("hal")));
    world.run(at(3));
    assert!(!told(&world).contains(&"opened 2 hal".to_owned()), "who cannot answer is not asked");
}

#[test]
fn reminders_go_at_half_and_at_nine_tenths_to_those_who_have_not_answered() {
    let world = World::new(RULES);
    let asked = ask(&world, "s1", "ana", at(0));
    world.approve(&asked, "han", at(0));
    world.run(at(0));
    world.approve(&asked, "cy", at(1));
    let mut known = told(&world);
    for (now, expected) in [
        (119, vec![]),
        (120, vec!["half 2 bo", "half 2 di"]),
        (121, vec![]),
        (215, vec![]),
        (216, vec!["last 2 bo", "last 2 di"]),
        (239, vec![]),
    ] {
        assert_eq!(told_since(&world, &known, at(now)), expected, "{now}");
        known = told(&world);
    }
    // Another process that comes late makes up for nothing, and says nothing twice.
    assert!(told_since(&world.another(), &known, at(239)).is_empty());
    assert_eq!(told_since(&world, &known, at(240)), ["result 2 arne"]);
    assert_eq!(world.reason("lock_account"), "approval_expired");
    assert_eq!(world.count("APPROVAL_REMINDED"), 2);
    world.verified();
}

#[test]
fn a_reminder_that_was_missed_is_left_out() {
    let world = World::new(RULES);
    ask(&world, "s1", "ana", at(0));
    world.run(at(0));
    let known = told(&world);
    assert_eq!(told_since(&world, &known, at(119)), ["last 1 hal", "last 1 han"]);
}

#[test]
fn a_stage_that_runs_out_opens_once_more_to_its_fallback() {
    let world = World::new(RULES);
    let asked = ask(&world, "s1", "ana", at(0));
    world.run(at(0));
    let known = told(&world);
    // Nobody looked for ten minutes after it ran out: the fallback has its whole hour all the same.
    assert_eq!(told_since(&world, &known, at(130)), ["fallback 1 max"]);
    let open = again(&world, &asked);
    assert_eq!((open.state, open.expires_at, open.progress.stage), (ApprovalState::Open, at(190), 0));
    assert!(matches!(world.denied(&asked, "hal", at(131)), ApprovalError::NotAuthorised { .. }));
    let known = told(&world);
    assert_eq!(told_since(&world, &known, at(160)), ["fallback_half 1 max"]);
    assert_eq!(world.approve(&asked, "max", at(161)).progress.stage, 1);
    // The second stage has none: it expires.
    world.run(at(161 + 240));
    assert_eq!(again(&world, &asked).state, ApprovalState::Expired);
}

#[test]
fn a_fallback_runs_out_for_good() {
    let world = World::new(RULES);
    let asked = ask(&world, "s1", "ana", at(0));
    world.run(at(120));
    world.run(at(180));
    assert_eq!(again(&world, &asked).state, ApprovalState::Expired);
    assert_eq!(world.reason("lock_account"), "approval_expired");
    assert_eq!(world.count("APPROVAL_STAGE_OPENED"), 1);
}

#[test]
fn no_request_stands_longer_than_thirty_days_however_late_its_timers_are_stepped() {
    let world = World::new(RULES);
    let asked = ask(&world, "s1", "ana", at(0));
    let day = 24 * 60;
    world.run(at(30 * day - 30));
    assert_eq!(again(&world, &asked).expires_at, at(30 * day), "half an hour is left of the thirty days");
    let late = ask(&world, "s2", "bea", at(30 * day));
    world.run(at(61 * day));
    assert_eq!(again(&world, &late).state, ApprovalState::Expired, "no fallback is asked then");
}

#[test]
fn the_policy_stays_as_it_was_when_the_request_was_made() {
    let world = World::new(RULES);
    let asked = ask(&world, "s1", "ana", at(0));
    let changed = RULES.replace(r#""name": "sec", "need": 2"#, r#""name": "sec", "need": 1"#);
    let set = RuleSet::from_json(&changed).unwrap();
    go(world.engine.add_rules(&world.tenant, &set, &Actor::Host, at(1)));
    let next = world.approve(&asked, "hal", at(2));
    assert_eq!(next.panel(1).groups, asked.policy.then[0].groups);
    assert_eq!(next.missing(), 2);
    assert_eq!(ask(&world, "s2", "bea", at(3)).policy.then[0].groups[0].need, 1);
}

#[test]
fn a_comment_is_asked_for_where_the_policy_says_so() {
    // Of the answer: agree without, agree with, refuse without, refuse with.
    for (rule, taken) in [
        ("optional", [true, true, true, true]),
        ("on_reject", [true, true, false, true]),
        ("on_approve", [false, true, true, true]),
        ("required", [false, true, false, true]),
    ] {
        let policy = format!(r#""approval": {{ "comment": "{rule}", "stages": ["#);
        let world = World::new(&RULES.replace(r#""approval": { "stages": ["#, &policy));
        for (i, taken) in taken.into_iter().enumerate() {
            let asked = ask(&world, &format!("s{i}"), &format!("u{i}"), at(0));
            let (tenant, hal) = (&world.tenant, id("hal"));
            // Blanks say nothing.
            let comment = if i % 2 == 0 { Some(" \n") } else { Some("seen") };
            let answer = match i < 2 {
                true => ready(world.engine.approve(tenant, asked.id, &hal, asked.digest, comment, at(1))),
                false => ready(world.engine.reject(tenant, asked.id, &hal, asked.digest, comment, at(1))),
            };
            match answer.unwrap() {
                Ok(_) => assert!(taken, "{rule} {i}"),
                Err(error) => {
                    assert!(!taken, "{rule} {i}: {error}");
                    assert!(error.to_string().contains("needs a comment; accepted: 1 to 4096"), "{error}");
                }
            }
        }
    }
}

#[test]
fn a_notice_that_fails_blocks_nothing() {
    let world = World::new(RULES);
    world.target.answers("approval_notice", vec![Delivered::permanent("no such address"); 40]);
    let asked = ask(&world, "s1", "ana", at(0));
    world.run(at(60));
    world.approve(&asked, "hal", at(61));
    world.run(at(62));
    world.approve(&asked, "bo", at(63));
    world.approve(&asked, "cy", at(64));
    world.run(at(65));
    assert_eq!(world.reason("lock_account"), "done");
    assert!(world.count("APPROVAL_NOTICE_FAILED") > 5);
}

#[test]
fn the_subject_hears_nothing_even_as_author_or_orderer() {
    let world = World::new(&RULES.replace(r#""author": "arne""#, r#""author": "ana""#));
    let asked = ask(&world, "s1", "ana", at(0));
    go(world.engine.reject(&world.tenant, asked.id, &id("hal"), asked.digest, None, at(1)));
    world.run(at(2));
    assert_eq!(told(&world), ["opened 1 hal", "opened 1 han"]);
}

#[test]
fn a_request_from_before_there_were_stages_still_reads() {
    let rules = r#"{ "approvers": { "groups": { "sec": ["bo", "cy"] } },
      "rules": [{ "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
        "actions": [{ "key": "a", "type": "lock_account",
          "approval": { "groups": [{ "name": "sec", "need": 2 }], "within": "4h" } }] }] }"#;
    let world = World::new(rules);
    let asked = ask(&world, "s1", "ana", at(0));
    world.approve(&asked, "bo", at(1));
    let record = stored(&world.store, Kind::Approval, asked.id).unwrap();
    tamper(&world.store, record, "1", |body| {
        let body = body.as_object_mut().unwrap();
        body.remove("progress").unwrap();
        assert!(body["policy"].get("then").is_none(), "one plain stage is stored as it always was");
        let vote = body["votes"][0].as_object_mut().unwrap();
        vote.remove("digest").unwrap();
        assert!(vote.get("stage").is_none());
    });
    assert_eq!(world.approve(&asked, "cy", at(2)).state, ApprovalState::Granted);
    world.run(at(3));
    assert_eq!(world.reason("lock_account"), "done");
}

#[test]
fn a_directory_that_is_silent_opens_no_stage_and_loses_nothing() {
    let world = World::new(RULES);
    let asked = ask(&world, "s1", "ana", at(0));
    let bad = Bad;
    let silent =
        Engine::new(world.store.clone(), world.target.clone(), RuleSet::from_json("[]").unwrap()).people(bad);
    let error = refused(silent.approve(&world.tenant, asked.id, &id("hal"), asked.digest, None, at(1)));
    assert!(matches!(error, EngineError::People(_)), "{error}");
    let report = go(silent.run_due(at(120)));
    assert!(matches!(report.faults.as_slice(), [Fault { error: EngineError::People(_), .. }]), "{report:?}");
    assert_eq!(again(&world, &asked), asked, "it is tried again");
    world.run(at(121));
    assert_eq!(again(&world, &asked).panel(0).groups[0].name, id("board"));
}

/// A directory that does not answer.
struct Bad;

impl People for Bad {
    fn members<'a>(
        &'a self,
        _: &'a TenantId,
        _: &'a GroupId,
    ) -> Answer<'a, Result<Vec<ActorId>, PeopleError>> {
        Box::pin(std::future::ready(Err(PeopleError("down".to_owned()))))
    }

    fn groups<'a>(
        &'a self,
        _: &'a TenantId,
        _: &'a ActorId,
    ) -> Answer<'a, Result<std::collections::BTreeSet<GroupId>, PeopleError>> {
        Box::pin(std::future::ready(Err(PeopleError("down".to_owned()))))
    }
}
