//! What may go wrong between people and clocks.

use tipstaff::*;

use super::reason;
use crate::support::people::Directory;
use crate::support::{World, at, go, id, refused};

const RULE: &str = r#"{ "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "for": "1h",
        "approval": { "groups": [{ "name": "sec", "need": 2 }], "within": "2h" } }] }"#;

fn decide(world: &World, signal: &str, user: &str, minute: i64) -> Decision {
    world.submit(world.event(signal, user, at(minute), r#"{ "do": "it" }"#), at(minute))
}

/// Bo is asked, and leaves the company before he answers; Cy has answered, and leaves after that.
#[test]
fn an_approver_leaves_the_company() {
    let people = Directory::default().hire("sec", &["bo", "cy", "di"]);
    let world = World::of_people(&format!("[{RULE}]"), &people);
    decide(&world, "s1", "ana", 0);
    let asked = world.requests().remove(0);
    people.dismiss("sec", "bo");
    let gone = world.denied(&asked, "bo", at(1));
    assert!(matches!(gone, ApprovalError::NotAuthorised { .. }), "{gone}");
    world.approve(&asked, "cy", at(2));
    people.dismiss("sec", "cy");
    // What Cy said while they were there counts; what they say now does not.
    let again = refused(world.engine.reject(&world.tenant, asked.id, &id("cy"), asked.digest, None, at(3)));
    assert!(matches!(again, EngineError::Approval(ApprovalError::NotAuthorised { .. })), "{again}");
    assert_eq!(world.approve(&asked, "di", at(4)).state, ApprovalState::Granted);
    world.run(at(5));
    assert_eq!(world.target.jobs("lock_account").len(), 1);
    world.verified();
}

/// The rule is edited, and protects somebody, while its request waits: the request stays as it was
/// asked, and what may not be done is not done although people agree.
#[test]
fn a_rule_is_edited_while_its_request_waits() {
    let document = |protected: &str, need: u32| {
        let rule = RULE.replace("\"need\": 2", &format!("\"need\": {need}"));
        format!(
            r#"{{ "approvers": {{ "groups": {{ "sec": ["bo", "cy", "di"] }} }}, "protected": [{protected}], "rules": [{rule}] }}"#
        )
    };
    let world = World::new(&document("", 2));
    decide(&world, "s1", "ana", 0);
    decide(&world, "s2", "ben", 0);
    let edited = RuleSet::from_json(&document(r#"{ "users": ["ana"] }"#, 1)).unwrap();
    go(world.engine.add_rules(&world.tenant, &edited, &Actor::Host, at(1)));
    for asked in world.requests() {
        assert_eq!(world.approve(&asked, "bo", at(2)).state, ApprovalState::Open, "two were asked");
        assert_eq!(world.approve(&asked, "cy", at(3)).state, ApprovalState::Granted);
    }
    world.run(at(4));
    let locked: Vec<_> = world.target.jobs("lock_account").iter().map(|job| job.subject.clone()).collect();
    assert_eq!(locked, [Subject::user(id("ben"))]);
    world.verified();
}

/// The clock is put back by an hour and a half: nothing ends early, nothing is done twice, and what
/// was granted for a time is in force until that time comes again.
#[test]
fn the_clock_steps_back() {
    let rules = r#"[{ "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } },
        "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "1h" }] }]"#;
    let world = World::new(rules);
    decide(&world, "s1", "ana", 0);
    world.run(at(0));
    let (ben, all) = (Subject::user(id("ben")), ExemptionScope::All);
    go(world.engine.exempt(&world.tenant, &ben, &all, Some(at(30)), &id("olga"), "leave", at(0)));
    assert!(world.run(at(-90)).is_idle() || world.target.jobs("unlock_account").is_empty());
    assert_eq!(reason(&decide(&world, "s2", "ben", -60)), Some("exempt"));
    assert_eq!(reason(&decide(&world, "s3", "cai", -60)), None);
    world.run(at(-60));
    assert_eq!(world.target.jobs("lock_account").len(), 2, "ana's was not repeated");
    // The same signal again is the same decision, whatever the clock says.
    assert!(world.submit(world.event("s1", "ana", at(0), r#"{ "do": "it" }"#), at(-59)).repeat);
    world.run(at(59));
    let unlocked = || -> Vec<String> {
        world.target.jobs("unlock_account").iter().map(|job| job.subject.user.to_string()).collect()
    };
    assert_eq!(unlocked(), ["cai"]);
    world.run(at(60));
    assert_eq!(unlocked(), ["cai", "ana"]);
    world.verified();
}
