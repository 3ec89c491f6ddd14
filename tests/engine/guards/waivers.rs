//! Exemptions by attribute.

use tipstaff::*;

use super::held;
use crate::support::{World, at, go, id};

const RULES: &str = r#"[{ "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": "none" }] }]"#;

fn world() -> World {
    let world = World::new(RULES);
    for (user, dept) in [("ana", "legal"), ("ben", "sales"), ("cai", "legal")] {
        let told = Payload::new(format!(r#"{{"dept":"{dept}"}}"#)).unwrap();
        go(world.engine.describe(&world.tenant, &id(user), Some(&told), at(0)));
    }
    world
}

fn decide(world: &World, signal: &str, user: &str, minute: i64) -> Decision {
    world.submit(world.event(signal, user, at(minute), r#"{ "do": "it" }"#), at(minute))
}

fn legal() -> Pattern {
    Pattern::parse(r#"{"dept":["legal"]}"#).unwrap()
}

fn exempt(world: &World, until: Option<i64>, minute: i64) -> Waivers {
    let (tenant, olga) = (&world.tenant, id("olga"));
    let until = until.map(at);
    go(world.engine.exempt_where(tenant, &legal(), &ExemptionScope::All, until, &olga, "a trial", at(minute)))
}

#[test]
fn it_covers_everybody_who_matches_while_they_do_and_while_it_lasts() {
    let world = world();
    exempt(&world, Some(60), 0);
    assert_eq!(held(&decide(&world, "s1", "ana", 1)), Some(("exempt", Some(at(60)))));
    assert_eq!(held(&decide(&world, "s2", "ben", 1)), None);
    assert_eq!(held(&decide(&world, "s3", "nobody-knows", 1)), None);
    let mut session = world.event("s4", "ana", at(1), r#"{ "do": "it" }"#);
    session.subject.session = Some(id("s"));
    assert_eq!(held(&world.submit(session, at(1))), Some(("exempt", Some(at(60)))));
    // She moves to another department.
    let told = Payload::new(r#"{"dept":"sales"}"#).unwrap();
    go(world.engine.describe(&world.tenant, &id("ana"), Some(&told), at(2)));
    assert_eq!(held(&decide(&world, "s5", "ana", 3)), None);
    assert_eq!(held(&decide(&world, "s6", "cai", 59)), Some(("exempt", Some(at(60)))));
    assert_eq!(held(&decide(&world, "s7", "cai", 60)), None);
    world.verified();
}

#[test]
fn granting_one_lifts_what_is_in_force_and_calls_off_what_waits() {
    let world = world();
    for (n, user) in ["ana", "ben", "cai"].iter().enumerate() {
        decide(&world, &format!("s{n}"), user, 0);
    }
    // Cai's lock is tried again later.
    world.run(at(0));
    decide(&world, "late", "cai", 1);
    world.target.answers("lock_account", [Delivered::retry("busy")]);
    exempt(&world, None, 1);
    world.run(at(2));
    let unlocked: Vec<_> =
        world.target.jobs("unlock_account").iter().map(|job| job.subject.to_string()).collect();
    assert_eq!(unlocked.len(), 2, "{unlocked:?}");
    assert!(!unlocked.iter().any(|subject| subject.contains("ben")), "{unlocked:?}");
    let late = world.log().into_iter().rfind(|row| row.action == id("lock_account")).unwrap();
    assert_eq!(late.reason(), Reason::Cancelled);
    assert_eq!(late.subject, Subject::user(id("cai")));
    // The trail says by whom and why, of each.
    assert_eq!(world.count("POLICY_EXEMPTION_GRANTED"), 1);
    world.verified();
}

#[test]
fn it_is_replaced_listed_and_revoked() {
    let world = world();
    exempt(&world, Some(60), 0);
    let known = exempt(&world, None, 1);
    assert_eq!(known.granted.len(), 1);
    assert_eq!(go(world.engine.waivers(&world.tenant)), known);
    assert_eq!((&*known.granted[0].attributes, known.granted[0].exempt.until), (legal().text(), None));
    let revoke = |minute| {
        let (tenant, olga) = (&world.tenant, id("olga"));
        go(world.engine.revoke_exemption_where(
            tenant,
            &legal(),
            &ExemptionScope::All,
            &olga,
            "over",
            at(minute),
        ))
    };
    assert_eq!(revoke(2).granted, []);
    let before = world.trail().len();
    assert_eq!(revoke(3).granted, []);
    assert_eq!(world.trail().len(), before, "what is not there is not taken back twice");
    assert_eq!(held(&decide(&world, "s1", "ana", 4)), None);
    let past = ready(world.engine.exempt_where(
        &world.tenant,
        &legal(),
        &ExemptionScope::All,
        Some(at(4)),
        &id("olga"),
        "x",
        at(4),
    ));
    assert_eq!(past.unwrap(), Err(EngineError::ExemptionOver(at(4))));
}

/// What was agreed to before, and is delivered after: the exemption is asked about once more.
#[test]
fn it_counts_before_the_delivery() {
    let world = world();
    decide(&world, "s1", "ana", 0);
    exempt(&world, None, 0);
    let report = go(world.another().engine.run_due(at(0)));
    assert!(report.faults.is_empty());
    assert_eq!(world.target.jobs("lock_account"), []);
}
