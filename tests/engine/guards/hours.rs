//! Quiet hours and maintenance at the delivery: what was approved, delayed or tried again meanwhile
//! waits for their end, with its whole time to start in.

use tipstaff::*;

use super::reason;
use crate::support::{Frail, World, at, go, id};

const EVENING: i64 = 8 * 60;
const NIGHT: i64 = 10 * 60;
const MORNING: i64 = 18 * 60;

/// Quiet from 22:00 to 06:00; one rule that asks before it locks, and acts under these guards.
fn document(action: &str, guards: &str) -> String {
    format!(
        r#"{{ "approvers": {{ "default": "sec", "groups": {{ "sec": ["sam", "sue"] }} }},
            "rules": [{{ "id": "r", "trigger": {{ "event": {{ "pattern": {{ "do": ["it"] }} }} }},
              "actions": [{{ "key": "a", "type": "lock_account", "for": "2h" {action} }}],
              "guards": {{ {guards} }} }}] }}"#
    )
}

const QUIET: &str = r#""quiet_hours": [{ "from": "22:00", "to": "06:00" }]"#;
const NOW: &str = r#", "approval": "none""#;

fn world(action: &str) -> World {
    World::new(&document(action, QUIET))
}

fn decide(world: &World, minute: i64) {
    let event = world.event(&format!("s{minute}"), "ana", at(minute), r#"{ "do": "it" }"#);
    assert_eq!(reason(&world.submit(event, at(minute))), None);
}

fn locks(world: &World) -> usize {
    world.target.jobs("lock_account").len()
}

/// Why something was put off, as the trail tells it, and what it was before.
fn told(world: &World) -> Vec<(String, String)> {
    let rows = world.trail().into_iter().filter(|row| row.code == "ENFORCEMENT_POSTPONED");
    rows.map(|row| (row.details["why"].to_string(), row.details["was"].to_string())).collect()
}

#[test]
fn what_is_approved_at_night_is_carried_out_in_the_morning() {
    let world = world("");
    decide(&world, EVENING);
    world.approve(&world.requests()[0], "sam", at(NIGHT + 60));
    // The approver and the log see at once when it will be.
    let lock = world.the("lock_account");
    assert_eq!((lock.reason(), lock.state.due_at()), (Reason::Scheduled, Some(at(MORNING))));
    let why = "quiet_hours: every day 22:00-06:00 UTC, until 2026-03-03T06:00:00Z".to_owned();
    assert_eq!(told(&world), [(why, "awaiting_approval".to_owned())]);
    for minute in [NIGHT + 61, NIGHT + 180, MORNING - 1] {
        world.run(at(minute));
        assert_eq!(locks(&world), 0, "minute {minute}");
    }
    world.run(at(MORNING + 59));
    assert_eq!((locks(&world), world.reason("lock_account")), (1, "done"));
    assert_eq!(world.the("lock_account").attempts, 1);
    world.verified();
}

#[test]
fn its_time_to_start_in_begins_in_the_morning_and_ends() {
    let world = world("");
    decide(&world, EVENING);
    world.approve(&world.requests()[0], "sam", at(NIGHT + 60));
    // Nobody looks before that hour is over.
    world.run(at(MORNING + 60));
    assert_eq!((locks(&world), world.reason("lock_account")), (0, "approval_expired"));
    world.verified();
}

#[test]
fn what_is_claimed_when_the_night_has_come_is_given_back_until_the_morning() {
    let world = world("");
    decide(&world, EVENING);
    world.approve(&world.requests()[0], "sam", at(NIGHT - 1));
    assert_eq!(world.reason("lock_account"), "queued");
    world.run(at(NIGHT));
    let lock = world.the("lock_account");
    assert_eq!((lock.reason(), lock.attempts, lock.history.len()), (Reason::Scheduled, 0, 0));
    assert_eq!(told(&world)[0].1, "running");
    world.run(at(MORNING));
    assert_eq!((locks(&world), world.reason("lock_account")), (1, "done"));
    world.verified();
}

/// The time to start in runs out in the night, and no worker has looked: that is nobody's neglect.
#[test]
fn a_start_that_the_night_prevented_is_not_missed() {
    for looks in [NIGHT + 59, NIGHT + 400, MORNING + 58] {
        let world = world("");
        decide(&world, EVENING);
        world.approve(&world.requests()[0], "sam", at(NIGHT - 1));
        world.run(at(looks));
        world.run(at(MORNING + 59));
        assert_eq!((locks(&world), world.reason("lock_account")), (1, "done"), "{looks}");
    }
    // But with nobody there for a day, it is.
    let world = world("");
    decide(&world, EVENING);
    world.approve(&world.requests()[0], "sam", at(NIGHT - 1));
    world.run(at(MORNING + 24 * 60));
    assert_eq!((locks(&world), world.reason("lock_account")), (0, "approval_expired"));
}

#[test]
fn a_delay_that_ends_in_maintenance_waits_for_its_end() {
    let window = format!(r#""maintenance": [{{ "from": "{}", "to": "{}" }}]"#, at(20), at(90));
    let world = World::new(&document(&format!(r#", "delay": "30m" {NOW}"#), &window));
    decide(&world, 0);
    world.run(at(30));
    assert_eq!((locks(&world), world.reason("lock_account")), (0, "scheduled"));
    assert_eq!(told(&world)[0].1, "scheduled");
    // Until then it can be called off like anything that waits.
    let other = World::new(&document(&format!(r#", "delay": "30m" {NOW}"#), &window));
    decide(&other, 0);
    other.run(at(30));
    go(other.engine.cancel(&other.tenant, other.the("lock_account").id, &id("sam"), "no", at(40)));
    for world in [&world, &other] {
        world.run(at(89));
        assert_eq!(locks(world), 0);
        world.run(at(90));
    }
    assert_eq!((locks(&world), locks(&other)), (1, 0));
    world.verified();
}

#[test]
fn another_attempt_waits_too_and_counts_as_one() {
    let world = world(NOW);
    decide(&world, NIGHT - 1);
    world.target.answers("lock_account", [Delivered::retry("busy")]);
    world.run(at(NIGHT - 1));
    assert_eq!(locks(&world), 1);
    world.run(at(NIGHT + 30));
    let lock = world.the("lock_account");
    assert_eq!((locks(&world), lock.reason(), lock.attempts), (1, Reason::RetryWait, 1));
    assert_eq!(told(&world)[0].1, "running");
    world.run(at(MORNING - 1));
    assert_eq!(locks(&world), 1);
    world.run(at(MORNING));
    assert_eq!((locks(&world), world.the("lock_account").attempts), (2, 2));
    world.verified();
}

/// What does harm when it comes late has no more time than it had.
#[test]
fn what_must_not_come_late_does_not_wait_beyond_its_time() {
    for (minutes, ends, done) in [(30, "exhausted", 0), (9 * 60, "done", 1)] {
        let world = world(&format!(r#", "not_after": "{minutes}m", "approval": {{ "start_within": "9h" }}"#));
        decide(&world, EVENING);
        world.approve(&world.requests()[0], "sam", at(NIGHT - 1));
        world.run(at(NIGHT));
        world.run(at(MORNING));
        assert_eq!((locks(&world), world.reason("lock_account")), (done, ends), "{minutes}");
        world.verified();
    }
}

#[test]
fn what_would_come_after_the_end_of_its_rule_does_not_come() {
    let world = World::new(&document("", &format!(r#""not_after": "{}""#, at(60))));
    decide(&world, 0);
    world.approve(&world.requests()[0], "sam", at(59));
    world.run(at(60));
    let lock = world.the("lock_account");
    assert_eq!((locks(&world), lock.reason()), (0, Reason::Superseded));
    let why = lock.history[0].report.message.clone().unwrap();
    assert_eq!(why, format!("not_after: not from {} on", at(60)));
    world.verified();
}

/// Somebody else asks for the same lock, and has no quiet hours.
#[test]
fn a_lock_is_not_held_while_one_of_its_rules_may_act() {
    let rule = |id: &str, guards: &str| {
        format!(
            r#"{{ "id": "{id}", "trigger": {{ "event": {{ "pattern": {{ "do": ["it"] }} }} }},
                "actions": [{{ "key": "a", "type": "lock_account", "for": "2h", "delay": "30m", "approval": "none" }}],
                "guards": {{ {guards} }} }}"#
        )
    };
    for (other, done) in [("", 1), (QUIET, 0)] {
        let world = World::new(&format!("[{}, {}]", rule("q", QUIET), rule("r", other)));
        let event = world.event("s", "ana", at(NIGHT - 10), r#"{ "do": "it" }"#);
        world.submit(event, at(NIGHT - 10));
        world.run(at(NIGHT + 20));
        assert_eq!(locks(&world), done);
    }
}

/// A window that is announced after the approval, by another process than the one that delivers.
#[test]
fn maintenance_that_was_announced_meanwhile_holds_what_was_approved_before() {
    let world = World::new(&document("", ""));
    decide(&world, 0);
    world.approve(&world.requests()[0], "sam", at(10));
    let window = format!(
        r#""maintenance": [{{ "from": "{}", "to": "{}", "why": "the directory moves" }}]"#,
        at(5),
        at(70)
    );
    let edited = RuleSet::from_json(&document("", &window)).unwrap();
    go(world.another().engine.add_rules(&world.tenant, &edited, &Actor::Host, at(11)));
    world.run(at(12));
    assert_eq!((locks(&world), world.reason("lock_account")), (0, "scheduled"));
    assert!(told(&world)[0].0.starts_with("maintenance: the directory moves"), "{:?}", told(&world));
    world.run(at(129));
    assert_eq!(locks(&world), 1);
    // What takes it back waits for nothing.
    let edited =
        RuleSet::from_json(&document("", r#""quiet_hours": [{ "from": "14:00", "to": "23:00" }]"#)).unwrap();
    go(world.engine.add_rules(&world.tenant, &edited, &Actor::Host, at(130)));
    world.run(at(129 + 120));
    assert_eq!(world.target.jobs("unlock_account").len(), 1);
}

#[test]
fn an_order_waits_for_the_tenants_windows() {
    let world = World::new(
        r#"{ "approvers": { "default": "sec", "groups": { "sec": ["sam", "sue"] } },
            "quiet_hours": [{ "from": "22:00", "to": "06:00", "categories": ["access_control"] }], "rules": [] }"#,
    );
    let lock = ManualOrder::Action { action: id("lock_account"), params: Params::new() };
    world.submit(world.order("o", "olga", "ana", lock), at(EVENING));
    world.approve(&world.requests()[0], "sam", at(NIGHT));
    world.run(at(MORNING - 1));
    assert_eq!(locks(&world), 0);
    world.run(at(MORNING));
    assert_eq!(locks(&world), 1);
}

/// Wherever the process ends, it is carried out once, and in the morning.
#[test]
fn it_waits_wherever_the_process_ends() {
    for commits in 0..12 {
        let world = world("");
        decide(&world, EVENING);
        world.approve(&world.requests()[0], "sam", at(NIGHT - 1));
        let none = RuleSet::from_json("[]").unwrap();
        let frail = Engine::new(Frail::new(world.store.clone(), commits), world.target.clone(), none);
        for minute in [NIGHT, NIGHT + 30, NIGHT + 300] {
            let _ = ready(frail.run_due(at(minute))).unwrap();
        }
        assert_eq!(locks(&world), 0, "{commits} commits");
        // The lease of what it had claimed has run out.
        world.run(at(MORNING));
        world.run(at(MORNING + 30));
        assert_eq!((locks(&world), world.reason("lock_account")), (1, "done"), "{commits} commits");
        world.verified();
    }
}
