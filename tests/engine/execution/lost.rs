//! A lost answer of what must not be repeated: the target is asked, and where nobody can tell, the end
//! says so, whatever else happens to the action.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tipstaff::*;

use super::ends::Mute;
use crate::support::{World, at, commit_id, go, id, refused};

/// Tells HR, within half an hour or not at all.
const RULES: &str = r#"[{ "id": "hr", "trigger": { "event": { "pattern": { "do": ["it"] } } },
    "actions": [{ "key": "a", "type": "escalate_to_hr", "not_after": "30m" }] }]"#;

/// Bars somebody from the building, which must not be repeated either, and can be taken back.
const BAR: &str = r#"{ "types": [
      { "name": "open_door", "category": "access_control", "restricts": false, "approval": false },
      { "name": "bar_door", "category": "access_control", "restricts": true, "approval": false, "inverse": "open_door" } ],
    "rules": [{ "id": "bar", "trigger": { "event": { "pattern": { "do": ["it"] } } },
      "actions": [{ "key": "a", "type": "bar_door", "for": "24h" }] }] }"#;

/// A world in which the first attempt was lost with its worker.
fn lost(rules: &str) -> World {
    let world = World::new(rules);
    world.submit(world.event("s1", "ana", at(0), r#"{ "do": "it" }"#), at(0));
    let claim = Claim {
        worker: id("w-dead"),
        nonce: commit_id("1"),
        channels: None,
        max: 1,
        until: at(0),
        lease: Span::secs(60),
        after: None,
    };
    assert_eq!(go(world.store.claim(&claim)).len(), 1);
    world
}

/// A worker that takes it over, and ends in good order before it has asked or delivered anything.
fn handed_back(world: &World, now: Time) {
    let store = Mute::new(world.store.clone(), false);
    let engine = Engine::new(Arc::clone(&store), world.target.clone(), RuleSet::from_json("[]").unwrap())
        .worker(id("w-ends"));
    refused(engine.run_due(now));
    engine.stop();
    store.mute.store(false, Ordering::SeqCst);
    assert_eq!(go(engine.run_due(now)).attempts, 0);
}

fn only(world: &World) -> Enforcement {
    world.log().remove(0)
}

fn alarms(world: &World) -> usize {
    world.trail().iter().filter(|record| record.severity == Severity::Critical).count()
}

fn cancel(world: &World, now: Time) {
    go(world.engine.cancel(&world.tenant, only(world).id, &id("olga"), "a mistake", now));
}

#[test]
fn the_target_is_asked_also_when_it_is_too_late_to_try_again() {
    for (known, reason) in
        [(Probe::Unknown, "outcome_unknown"), (Probe::Done, "done"), (Probe::NotDone, "exhausted")]
    {
        let world = lost(RULES);
        world.target.knows("escalate_to_hr", known);
        world.run(at(60));
        assert_eq!((only(&world).reason().as_str(), world.target.asked()), (reason, 1), "{known:?}");
        assert_eq!(alarms(&world), usize::from(known == Probe::Unknown));
        assert!(world.target.all().is_empty(), "and it is not delivered late");
        world.verified();
    }
}

#[test]
fn what_nobody_could_ask_about_is_unknown_when_it_is_called_off() {
    // While the one runs who died, and when another one has given it back.
    for running in [true, false] {
        let world = lost(RULES);
        if running {
            cancel(&world, at(0));
        }
        handed_back(&world, at(2));
        if !running {
            assert_eq!(only(&world).reason(), Reason::RetryWait);
            cancel(&world, at(2));
        }
        assert_eq!(only(&world).reason(), Reason::OutcomeUnknown, "called off while it ran: {running}");
        assert_eq!(alarms(&world), 1, "somebody should look now");
        assert!(world.run(at(100)).is_idle());
        world.verified();
    }
}

#[test]
fn what_nobody_could_ask_about_is_unknown_when_its_time_is_over() {
    let world = lost(RULES);
    handed_back(&world, at(2));
    // Nobody looks in time.
    assert_eq!(world.run(at(31)).timers, 1);
    assert_eq!((only(&world).reason(), alarms(&world)), (Reason::OutcomeUnknown, 1));
    world.verified();
}

#[test]
fn what_a_target_has_answered_for_is_no_lost_answer_any_more() {
    // The target knows that nothing came of the first attempt; the second one fails, and it is called off.
    let world = lost(RULES);
    world.target.knows("escalate_to_hr", Probe::NotDone);
    world.target.answers("escalate_to_hr", [Delivered::retry("503")]);
    world.run(at(2));
    assert_eq!((only(&world).reason(), world.target.all().len()), (Reason::RetryWait, 1));
    cancel(&world, at(2));
    assert_eq!((only(&world).reason(), alarms(&world)), (Reason::Cancelled, 0));
    world.verified();
}

#[test]
fn what_may_stand_all_the_same_is_taken_back_when_it_is_called_off() {
    for running in [true, false] {
        let world = lost(BAR);
        if running {
            cancel(&world, at(0));
        }
        handed_back(&world, at(2));
        if !running {
            cancel(&world, at(2));
        }
        assert_eq!(only(&world).reason(), Reason::OutcomeUnknown, "called off while it ran: {running}");
        world.run(at(3));
        let jobs: Vec<_> = world.target.all().iter().map(|job| job.action.to_string()).collect();
        assert_eq!(jobs, ["open_door"], "called off while it ran: {running}");
        let effect = go(world.engine.effects(Filter::new(&world.tenant))).rows.remove(0);
        assert_eq!(effect.status(), EffectStatus::Clear);
        world.verified();
    }
}

#[test]
fn what_may_stand_is_held_for_its_time_where_it_was_not_called_off() {
    let world = lost(&BAR.replace(r#""for": "24h""#, r#""for": "24h", "not_after": "30m""#));
    handed_back(&world, at(2));
    world.run(at(31));
    assert_eq!((only(&world).reason(), alarms(&world)), (Reason::OutcomeUnknown, 1));
    let effect = go(world.engine.effects(Filter::new(&world.tenant))).rows.remove(0);
    assert_eq!(effect.status(), EffectStatus::Standing);
    world.run(at(31 + 24 * 60));
    assert_eq!(world.target.jobs("open_door").len(), 1);
    world.verified();
}
