//! Others answer: reassignment, delegates, and the host's word on both.

use std::collections::BTreeSet;

use tipstaff::*;

use super::{again, ask, told, told_since};
use crate::support::people::Directory;
use crate::support::{World, at, go, id, refused};

const RULES: &str = r#"[{ "id": "lock", "author": "arne", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
  "actions": [{ "key": "a", "type": "lock_account",
    "approval": { "groups": [{ "name": "sec", "need": 2 }], "within": "4h", "rejections": 2 } }] }]"#;

fn lock() -> ActionType {
    BuiltinAction::LockAccount.into()
}

fn world() -> (World, Directory) {
    let people = Directory::default()
        .hire("sec", &["bo", "cy", "di", "ana", "arne"])
        .hire("ops", &["cy", "oz", "pat"])
        .let_do("rob", &Right::Reassign)
        .let_do("ana", &Right::Reassign);
    (World::of_people(RULES, &people), people)
}

fn quorum(name: &str, need: u32) -> Quorum {
    Quorum { name: id(name), need }
}

fn answer(by: &str, person: Option<&str>, asked: &Approval) -> Reply {
    Reply {
        by: id(by),
        on_behalf_of: person.map(id),
        verdict: Verdict::Approve,
        shown: asked.digest,
        comment: None,
    }
}

fn for_whom(world: &World, asked: &Approval, by: &str, person: &str, now: Time) -> Approval {
    go(world.engine.reply(&world.tenant, asked.id, &answer(by, Some(person), asked), now))
}

#[track_caller]
fn not_for(world: &World, asked: &Approval, by: &str, person: &str, now: Time) -> ApprovalError {
    match refused(world.engine.reply(&world.tenant, asked.id, &answer(by, Some(person), asked), now)) {
        EngineError::Approval(error) => error,
        other => panic!("{other}"),
    }
}

fn reassign(
    world: &World,
    asked: &Approval,
    by: &str,
    to: &Reassign,
    now: Time,
) -> Result<Approval, EngineError> {
    ready(world.engine.reassign(&world.tenant, asked.id, &id(by), to, "on leave", now)).unwrap()
}

fn groups(groups: &[Quorum]) -> Reassign {
    Reassign { groups: groups.to_vec(), ..Reassign::default() }
}

fn named(people: &[&str], need: u32) -> Reassign {
    Reassign { people: people.iter().map(|person| id(person)).collect(), need, ..Reassign::default() }
}

#[test]
fn a_standing_delegate_answers_for_somebody_and_each_counts_once() {
    let (world, people) = world();
    people.let_do("sam", &Right::AnswerFor(id("bo")));
    people.let_do("sam", &Right::AnswerFor(id("cy")));
    let asked = ask(&world, "s1", "ana", at(0));
    assert!(matches!(not_for(&world, &asked, "sam", "di", at(1)), ApprovalError::NotDelegate { .. }));
    let one = for_whom(&world, &asked, "sam", "bo", at(1));
    assert_eq!((one.missing(), one.votes[0].voice().as_str()), (1, "bo"));
    // Neither the delegate again, nor whom they answered for.
    assert_eq!(not_for(&world, &asked, "sam", "cy", at(2)), ApprovalError::AnsweredAlready(id("sam")));
    assert_eq!(world.denied(&asked, "bo", at(2)), ApprovalError::AnsweredAlready(id("bo")));
    assert_eq!(world.approve(&asked, "cy", at(3)).state, ApprovalState::Granted);
    let cast = world.trail().into_iter().find(|r| r.code == "APPROVAL_VOTE_CAST").unwrap();
    assert!(format!("{:?}", cast.details).contains("on_behalf_of"), "{cast:?}");
}

#[test]
fn the_host_is_asked_at_the_moment_of_the_answer() {
    let (world, people) = world();
    let asked = ask(&world, "s1", "bea", at(0));
    people.dismiss("sec", "bo");
    assert!(matches!(world.denied(&asked, "bo", at(1)), ApprovalError::NotAuthorised { .. }));
    // A delegate has no more to say than whom they answer for.
    people.let_do("sam", &Right::AnswerFor(id("bo")));
    assert!(matches!(not_for(&world, &asked, "sam", "bo", at(1)), ApprovalError::NotAuthorised { .. }));
    people.hire("sec", &["neo"]);
    assert_eq!(world.approve(&asked, "neo", at(2)).missing(), 1, "who joined since may answer");
}

#[test]
fn an_approver_names_a_delegate_for_one_request() {
    let (world, people) = world();
    people.let_do("sam", &Right::Approve(lock()));
    let asked = ask(&world, "s1", "ana", at(0));
    let other = ask(&world, "s2", "bea", at(0));
    world.run(at(0));
    let known = told(&world);
    go(world.engine.delegate(&world.tenant, asked.id, &id("bo"), &id("sam"), at(1)));
    assert_eq!(told_since(&world, &known, at(1)), ["delegated 1 sam"]);
    assert!(matches!(not_for(&world, &other, "sam", "bo", at(2)), ApprovalError::NotDelegate { .. }));
    assert!(matches!(not_for(&world, &asked, "sam", "cy", at(2)), ApprovalError::NotDelegate { .. }));
    // The reminder goes to the delegate.
    let known = told(&world);
    let half = told_since(&world, &known, at(120));
    assert!(half.contains(&"half 1 sam".to_owned()), "{half:?}");
    // The principal may answer as long as the delegate has not.
    let next = for_whom(&world, &asked, "sam", "bo", at(121));
    assert_eq!(next.missing(), 1);
    assert_eq!(world.denied(&asked, "bo", at(122)), ApprovalError::AnsweredAlready(id("bo")));
    assert_eq!(world.count("APPROVAL_DELEGATED"), 1);
    world.verified();
}

#[test]
fn whom_the_action_concerns_neither_gives_nor_takes_a_delegation() {
    let (world, people) = world();
    for person in ["ana", "arne", "sam", "bo", "di"] {
        people.let_do(person, &Right::Approve(lock()));
        people.let_do(person, &Right::AnswerFor(id("ana")));
        people.let_do(person, &Right::AnswerFor(id("arne")));
        people.let_do(person, &Right::AnswerFor(id("cy")));
    }
    let asked = ask(&world, "s1", "ana", at(0));
    let delegate = |from: &str, to: &str| match refused(world.engine.delegate(
        &world.tenant,
        asked.id,
        &id(from),
        &id(to),
        at(1),
    )) {
        EngineError::Approval(error) => error,
        other => panic!("{other}"),
    };
    // By them, and for them; as standing delegates, too, and in another spelling.
    assert_eq!(delegate("ana", "sam"), ApprovalError::IsSubject(id("ana")));
    assert_eq!(delegate("bo", "ana"), ApprovalError::IsSubject(id("ana")));
    assert_eq!(delegate("bo", "ARNE"), ApprovalError::IsAuthor(id("ARNE")));
    assert_eq!(not_for(&world, &asked, "sam", "ana", at(1)), ApprovalError::IsSubject(id("ana")));
    assert_eq!(not_for(&world, &asked, "ana", "cy", at(1)), ApprovalError::IsSubject(id("ana")));
    assert_eq!(not_for(&world, &asked, "sam", "arne", at(1)), ApprovalError::IsAuthor(id("arne")));
    // A chain is none, and nobody is their own.
    go(world.engine.delegate(&world.tenant, asked.id, &id("cy"), &id("sam"), at(2)));
    assert_eq!(delegate("bo", "cy"), ApprovalError::DelegationChain(id("cy")));
    assert_eq!(delegate("bo", "bo"), ApprovalError::OwnDelegate(id("bo")));
    assert_eq!(world.count("APPROVAL_CHANGE_REFUSED"), 5);
    // Who orders neither.
    let order = world.order("m1", "bo", "bea", ManualOrder::Rule(id("hand")));
    let hand = RULES.replace(r#""event": { "pattern": { "do": ["lock"] } }"#, r#""manual": {}"#);
    let set = RuleSet::from_json(&hand.replace(r#""id": "lock""#, r#""id": "hand""#)).unwrap();
    go(world.engine.add_rules(&world.tenant, &set, &Actor::Host, at(3)));
    world.submit(order, at(3));
    let ordered = world.requests().into_iter().find(|asked| asked.orderer.is_some()).unwrap();
    assert_eq!(not_for(&world, &ordered, "bo", "cy", at(4)), ApprovalError::IsOrderer(id("bo")));
}

#[test]
fn a_reassigned_stage_keeps_its_clock_and_the_answers_of_those_still_asked() {
    let (world, _) = world();
    let asked = ask(&world, "s1", "ana", at(0));
    world.approve(&asked, "bo", at(1));
    world.approve_of_ops(&asked);
}

impl World {
    /// The rest of the story before: cy is of both groups, bo of one.
    fn approve_of_ops(&self, asked: &Approval) {
        self.run(at(2));
        let known = told(self);
        let next = reassign(self, asked, "rob", &groups(&[quorum("ops", 2)]), at(30)).unwrap();
        assert_eq!((next.expires_at, next.opened_at()), (asked.expires_at, at(0)), "the clock runs on");
        assert_eq!(next.missing(), 2, "bo is not asked any more");
        assert_eq!(next.votes.len(), 1, "and stays on record");
        assert_eq!(told_since(self, &known, at(30)), ["reassigned 1 oz", "reassigned 1 pat"], "cy knows");
        assert!(matches!(self.denied(asked, "di", at(31)), ApprovalError::NotAuthorised { .. }));
        self.approve(asked, "cy", at(32));
        // Back again: both count, and two are enough.
        let back = reassign(self, asked, "rob", &groups(&[quorum("sec", 2)]), at(33)).unwrap();
        assert_eq!(back.state, ApprovalState::Granted);
        self.run(at(34));
        assert_eq!(self.reason("lock_account"), "done");
        assert_eq!(self.count("APPROVAL_REASSIGNED"), 2);
    }
}

#[test]
fn people_who_are_named_answer_with_the_hosts_leave() {
    let (world, people) = world();
    people.let_do("sam", &Right::Approve(lock())).let_do("tom", &Right::Approve(lock()));
    let asked = ask(&world, "s1", "ana", at(0));
    // Whom the host does not let answer is not found.
    let error = reassign(&world, &asked, "rob", &named(&["sam", "una"], 2), at(1)).unwrap_err();
    assert_eq!(error, ApprovalError::TooFewPeople { need: 2, have: 1 }.into());
    reassign(&world, &asked, "rob", &named(&["sam", "tom"], 2), at(1)).unwrap();
    assert!(matches!(world.denied(&asked, "bo", at(2)), ApprovalError::NotAuthorised { .. }));
    world.approve(&asked, "sam", at(2));
    assert_eq!(world.approve(&asked, "tom", at(2)).state, ApprovalState::Granted);
    world.run(at(3));
    assert_eq!(world.reason("lock_account"), "done");
}

#[test]
fn a_group_called_like_the_named_people_gives_nobody_a_seat() {
    let (world, people) = world();
    people.let_do("sam", &Right::Approve(lock())).let_do("tom", &Right::Approve(lock()));
    people.hire("(named)", &["eve"]);
    let asked = ask(&world, "s1", "ana", at(0));
    reassign(&world, &asked, "rob", &named(&["sam", "tom"], 2), at(1)).unwrap();
    assert!(matches!(world.denied(&asked, "eve", at(2)), ApprovalError::NotAuthorised { .. }));
}

#[test]
fn what_a_reassignment_may_not_do() {
    let (world, people) = world();
    people.let_do("sam", &Right::Approve(lock())).let_do("ana", &Right::Approve(lock()));
    let asked = ask(&world, "s1", "ana", at(0));
    let refuse = |by: &str, to: Reassign, now| reassign(&world, &asked, by, &to, now).unwrap_err();
    let ops = || groups(&[quorum("ops", 2)]);
    let right = Right::Reassign;
    assert_eq!(refuse("bo", ops(), at(1)), EngineError::NotPermitted { actor: id("bo"), right });
    assert_eq!(
        refuse("ana", ops(), at(1)),
        ApprovalError::IsSubject(id("ana")).into(),
        "with the right to it"
    );
    let fewer = ApprovalError::FewerApprovers { need: 2, given: 1 };
    assert_eq!(refuse("rob", groups(&[quorum("ops", 1)]), at(1)), fewer.into());
    assert_eq!(refuse("rob", groups(&[]), at(1)), ApprovalError::FewerApprovers { need: 2, given: 0 }.into());
    let few = |need, have| EngineError::from(ApprovalError::TooFewPeople { need, have });
    assert_eq!(refuse("rob", groups(&[quorum("ops", 4)]), at(1)), few(4, 3));
    assert_eq!(refuse("rob", groups(&[quorum("nobody", 2)]), at(1)), few(2, 0));
    // The subject is nobody who could answer, whoever names them.
    assert_eq!(refuse("rob", named(&["sam", "ana"], 2), at(1)), few(2, 1));
    let twice = groups(&[quorum("ops", 1), quorum("ops", 1)]);
    assert!(matches!(refuse("rob", twice, at(1)), EngineError::Approval(ApprovalError::TooMany { .. })));
    assert_eq!(refuse("rob", ops(), at(240)), ApprovalError::TooLate(at(240)).into());
    let mute = refused(world.engine.reassign(&world.tenant, asked.id, &id("rob"), &ops(), " ", at(1)));
    assert_eq!(mute, EngineError::Reason(1));
    assert_eq!(again(&world, &asked), asked, "nothing of it changed the request");
    assert_eq!((world.count("APPROVAL_CHANGE_REFUSED"), world.count("POLICY_ORDER_REFUSED")), (8, 1));
}

#[test]
fn who_answered_in_an_earlier_stage_is_nobody_to_be_asked_in_a_later_one() {
    let rules = RULES.replace(
        r#""groups": [{ "name": "sec", "need": 2 }], "within": "4h", "rejections": 2"#,
        r#""stages": [{ "groups": [{ "name": "ops" }] }, { "groups": [{ "name": "sec" }] }]"#,
    );
    let people = Directory::default().hire("ops", &["oz"]).hire("sec", &["bo"]).hire("one", &["oz"]);
    people.let_do("rob", &Right::Reassign);
    let world = World::of_people(&rules, &people);
    let asked = ask(&world, "s1", "ana", at(0));
    world.approve(&asked, "oz", at(1));
    let error = reassign(&world, &asked, "rob", &groups(&[quorum("one", 1)]), at(2)).unwrap_err();
    assert_eq!(error, ApprovalError::TooFewPeople { need: 1, have: 0 }.into());
}

#[test]
fn without_a_directory_the_settings_say_who_may() {
    let rules = format!(
        r#"{{ "approvers": {{ "operators": ["rob"], "groups": {{ "sec": ["bo", "cy"], "ops": ["oz", "pat"] }} }}, "rules": {RULES} }}"#
    );
    let world = World::new(&rules);
    let asked = ask(&world, "s1", "ana", at(0));
    let refuse = |by: &str| reassign(&world, &asked, by, &groups(&[quorum("ops", 2)]), at(1));
    assert!(matches!(refuse("bo"), Err(EngineError::NotPermitted { .. })));
    // Members of declared groups may be named; nobody is a standing delegate.
    go(world.engine.delegate(&world.tenant, asked.id, &id("bo"), &id("oz"), at(1)));
    assert_eq!(for_whom(&world, &asked, "oz", "bo", at(2)).missing(), 1);
    let stranger = refused(world.engine.delegate(&world.tenant, asked.id, &id("cy"), &id("eve"), at(2)));
    assert!(matches!(stranger, EngineError::Approval(ApprovalError::NotDelegate { .. })), "{stranger}");
    assert!(refuse("rob").is_ok());
}

#[test]
fn a_group_of_nobody_but_the_author_is_refused_when_the_rules_load() {
    let rules = |members: &str, approval: &str| {
        format!(
            r#"{{ "approvers": {{ "groups": {{ "sec": [{members}], "ops": ["bo"] }} }},
              "rules": [{{ "id": "lock", "author": "arne", "trigger": {{ "manual": {{}} }},
                "actions": [{{ "key": "a", "type": "lock_account", "approval": {approval} }}] }}] }}"#
        )
    };
    let one = r#"{ "groups": [{ "name": "sec" }] }"#;
    let both = r#"{ "stages": [{ "groups": [{ "name": "ops" }] }, { "groups": [{ "name": "sec" }] }] }"#;
    let back = r#"{ "groups": [{ "name": "ops" }], "fallback": { "groups": [{ "name": "sec" }] } }"#;
    for (members, approval, pointer, told) in [
        (
            r#""arne""#,
            one,
            "",
            "only 0 can be found (`arne` does not count: nobody approves what their own rule asks); 1 more must be added: 1 of `sec`",
        ),
        (r#""ARNE""#, one, "", "`arne` does not count"),
        // bo cannot answer in both stages.
        (
            r#""bo""#,
            both,
            "",
            "2 distinct approver(s) of `ops` and `sec` are needed, but only 1 can be found (`bo`); 1 more must be added: 1 of `",
        ),
        (r#""arne""#, back, "/fallback", "1 more must be added: 1 of `sec`"),
    ] {
        let error = RuleSet::from_json(&rules(members, approval)).unwrap_err();
        let [fault] = error.faults.as_slice() else { panic!("{error}") };
        assert_eq!(fault.pointer, format!("/rules/0/actions/0/approval{pointer}"), "{error}");
        assert!(fault.to_string().contains(told), "{fault}");
    }
    for (members, approval) in [(r#""arne", "cy""#, one), (r#""bo", "cy""#, both), (r#""bo""#, back)] {
        assert!(RuleSet::from_json(&rules(members, approval)).is_ok(), "{members} {approval}");
    }
    let set: BTreeSet<ActorId> = BTreeSet::from([id("rob")]);
    let read = RuleSet::from_json(r#"{ "approvers": { "operators": ["rob"] } }"#).unwrap();
    assert_eq!(read.settings().operators.iter().cloned().collect::<BTreeSet<_>>(), set);
}
