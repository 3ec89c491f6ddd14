//! What must hold of people's answers.

use std::collections::BTreeMap;

use tipstaff::*;

use crate::support::people::Directory;
use crate::support::{World, at, go, id, ready_or_refused, stored, tamper};

const RULES: &str = r#"{ "approvers": { "default": "sec" }, "rules": [
    { "id": "r", "trigger": { "event": { "pattern": { "do": ["it"], "risk": [{ "exists": true }] } } },
      "actions": [{ "key": "a", "type": "lock_account",
        "approval": { "groups": [{ "name": "sec", "need": 2 }], "within": "4h" } }] }] }"#;

/// A request for ana's lock, of whom two of four must agree; ana is one of them.
fn asked() -> (World, Approval) {
    let people = Directory::default().hire("sec", &["ana", "bo", "cy", "di"]);
    let people = people.let_do("gus", &Right::AnswerFor(id("ana")));
    let world = World::of_people(RULES, &people);
    world.submit(world.event("s1", "ana", at(0), r#"{ "do": "it", "risk": 7 }"#), at(0));
    let asked = world.requests().remove(0);
    (world, asked)
}

fn answer(world: &World, asked: &Approval, reply: &Reply, minute: i64) -> Result<Approval, EngineError> {
    ready_or_refused(world.engine.reply(&world.tenant, asked.id, reply, at(minute)))
}

fn reply(by: &str, asked: &Approval) -> Reply {
    let verdict = Verdict::Approve;
    Reply { by: id(by), on_behalf_of: None, verdict, shown: asked.digest, comment: None }
}

/// The subject has a standing delegate, who approves in their name.
pub(crate) fn nobody_answers_for_the_subject() {
    let (world, asked) = asked();
    let delegate = Reply { on_behalf_of: Some(id("ana")), ..reply("gus", &asked) };
    let refused = answer(&world, &asked, &delegate, 1);
    assert!(matches!(refused, Err(EngineError::Approval(ApprovalError::IsSubject(_)))), "{refused:?}");
}

pub(crate) fn a_person_counts_once() {
    let (world, asked) = asked();
    answer(&world, &asked, &reply("bo", &asked), 1).unwrap();
    let again = answer(&world, &asked, &reply("bo", &asked), 2);
    assert!(matches!(again, Err(EngineError::Approval(ApprovalError::AnsweredAlready(_)))), "{again:?}");
    world.run(at(3));
    assert_eq!(world.target.jobs("lock_account"), []);
}

pub(crate) fn a_rejection_ends_a_request() {
    let (world, asked) = asked();
    let no = Reply { verdict: Verdict::Reject, ..reply("bo", &asked) };
    assert_eq!(answer(&world, &asked, &no, 1).unwrap().state, ApprovalState::Rejected);
    let _ = answer(&world, &asked, &reply("cy", &asked), 2);
    let _ = answer(&world, &asked, &reply("di", &asked), 3);
    world.run(at(4));
    assert_eq!(world.target.jobs("lock_account"), []);
}

pub(crate) fn nobody_answers_too_late() {
    let (world, asked) = asked();
    answer(&world, &asked, &reply("bo", &asked), 239).unwrap();
    // The timer was not stepped yet.
    let late = answer(&world, &asked, &reply("cy", &asked), 240);
    assert!(matches!(late, Err(EngineError::Approval(ApprovalError::TooLate(_)))), "{late:?}");
}

pub(crate) fn an_answer_is_for_what_was_shown() {
    let (world, asked) = asked();
    world.submit(world.event("s2", "eve", at(0), r#"{ "do": "it", "risk": 9 }"#), at(0));
    let other = world.requests().into_iter().find(|other| other.id != asked.id).unwrap();
    let wrong = Reply { shown: other.digest, ..reply("bo", &asked) };
    let refused = answer(&world, &asked, &wrong, 1);
    assert!(matches!(refused, Err(EngineError::Approval(ApprovalError::OtherContent { .. }))), "{refused:?}");
}

pub(crate) fn a_digest_says_what_evidence_was_shown() {
    let (_, asked) = asked();
    let of = |risk: &str| {
        let evidence = BTreeMap::from([("risk".to_owned(), risk.to_owned())]);
        let context = Context { evidence, ..asked.context.clone() };
        Approval::digest_of(&asked.tenant, &asked.subject, &asked.action, &asked.params, &context)
    };
    assert_ne!(of("7"), of("70"));
}

/// Whoever can write to the store changes what is locked after it was approved.
pub(crate) fn what_is_delivered_is_what_was_approved() {
    let (world, asked) = asked();
    for by in ["bo", "cy"] {
        answer(&world, &asked, &reply(by, &asked), 1).unwrap();
    }
    let record = stored(&world.store, Kind::Enforcement, asked.enforcement).unwrap();
    tamper(&world.store, record, "1", |body| body["subject"]["user"] = "bo".into());
    let _ = go(world.engine.run_due(at(2)));
    assert_eq!(world.target.jobs("lock_account"), []);
    assert_eq!(world.count("APPROVAL_VOIDED"), 1);
}

/// The rule is edited while its request waits: what was shown is what is done.
pub(crate) fn an_edit_changes_nothing_that_was_approved() {
    let rules = |scope: &str| {
        let rules = RULES
            .replace("lock_account\"", &format!(r#"restrict_access", "params": {{ "scope": "{scope}" }}"#));
        RuleSet::from_json(&rules).unwrap()
    };
    let people = Directory::default().hire("sec", &["bo", "cy"]);
    let world = World::of_people(RULES, &people);
    go(world.engine.add_rules(&world.tenant, &rules("vpn"), &Actor::Host, at(0)));
    world.submit(world.event("s1", "ana", at(0), r#"{ "do": "it", "risk": 7 }"#), at(0));
    let asked = world.requests().remove(0);
    go(world.engine.add_rules(&world.tenant, &rules("everything"), &Actor::Host, at(1)));
    for by in ["bo", "cy"] {
        answer(&world, &asked, &reply(by, &asked), 2).unwrap();
    }
    world.run(at(3));
    let given: Vec<_> = world.target.jobs("restrict_access").into_iter().map(|job| job.params).collect();
    assert_eq!(given, [asked.params]);
}
