//! Stories of restrictions that the target took and has yet to report: whoever does not want them any
//! more is not told that there is nothing, and then left with them.

use crate::support::{World, at, go, id, refused};
use tipstaff::*;

const DAY: i64 = 24 * 60;

/// A lock that the target confirms within the hour: by hand, and by an event; and one by another rule
/// that is done when the target says so.
const RULES: &str = r#"{ "approvers": { "default": "sec", "operators": ["olga"], "groups": { "sec": ["bo"] } },
  "caps": [{ "count": 1, "in": "30d", "per": "type", "on_exceed": "suppress" }],
  "rules": [
  { "id": "hand", "trigger": { "manual": {} }, "actions": [{ "key": "a", "type": "lock_account",
      "confirm_within": "1h", "approval": { "groups": [{ "name": "sec" }], "within": "30m" } }] },
  { "id": "slow", "trigger": { "event": { "pattern": { "do": ["slow"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "confirm_within": "1h" }] },
  { "id": "sure", "trigger": { "event": { "pattern": { "do": ["sure"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": "none" }] } ] }"#;

fn world() -> World {
    World::new(
        &RULES
            .replace(r#""caps": [{ "count": 1, "in": "30d", "per": "type", "on_exceed": "suppress" }],"#, ""),
    )
}

fn event(world: &World, signal: &str, what: &str, minute: i64) -> Decision {
    let payload = format!(r#"{{ "do": "{what}" }}"#);
    world.submit(world.event(signal, "ana", at(minute), &payload), at(minute))
}

/// The lock that the target took.
fn awaited(world: &World) -> Enforcement {
    let mut found = world.log();
    found.retain(|row| row.reason() == Reason::AwaitingConfirmation);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

fn the_effect(world: &World) -> HeldEffect {
    let mut all = go(world.engine.effects(Filter::new(&world.tenant))).rows;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// What the target did, in its order; notices aside.
fn done(world: &World) -> Vec<String> {
    let all = world.target.all().into_iter().map(|job| job.action.to_string());
    all.filter(|action| action.ends_with("_account")).collect()
}

/// What somebody does who does not want it any more, at minute 10.
type NoMore = fn(&World, &Enforcement);

const NO_MORE: [(&str, NoMore); 4] = [
    ("judged", |world, lock| {
        let judge = world.engine.judge(
            &world.tenant,
            lock.id,
            Finding::FalsePositive,
            &OLGA,
            Some("it was not her"),
            at(10),
        );
        go(judge);
        let record = world.trail().into_iter().find(|record| record.code == "ENFORCEMENT_JUDGED").unwrap();
        assert_eq!(record.details["taken_back"].to_string(), "true");
    }),
    ("lifted", |world, _| {
        let effect = the_effect(world).id;
        let lifted = go(world.engine.lift(&world.tenant, effect, None, &OLGA, "it was not her", at(10)));
        assert_eq!(lifted.status(), EffectStatus::Lifting, "it may be there");
        // Again changes nothing.
        let trail = world.trail().len();
        go(world.engine.lift(&world.tenant, effect, None, &OLGA, "it was not her", at(10)));
        assert_eq!(world.trail().len(), trail);
    }),
    ("called off", |world, lock| {
        let cancel = || world.engine.cancel(&world.tenant, lock.id, &OLGA, "it was not her", at(10));
        assert_eq!(go(cancel()).reason(), Reason::AwaitingConfirmation, "until the target reports");
        let twice = MoveError::Illegal { state: Reason::AwaitingConfirmation, input: "cancel" };
        assert_eq!(refused(cancel()), EngineError::Move(twice));
    }),
    // The exemption is over when the target reports.
    ("exempt", |world, _| {
        let (scope, until) = (ExemptionScope::All, Some(at(20)));
        go(world.engine.exempt(
            &world.tenant,
            &Subject::user(id("ana")),
            &scope,
            until,
            &OLGA,
            "on call",
            at(10),
        ));
    }),
];

static OLGA: std::sync::LazyLock<ActorId> = std::sync::LazyLock::new(|| id("olga"));

/// How the target reports at minute 50, if it does at all, and what the lock ends as.
const REPORTS: [(Option<bool>, &str); 3] =
    [(Some(true), "done"), (Some(false), "permanent_error"), (None, "outcome_unknown")];

/// The report comes, or its time is over: nobody is restricted then.
#[track_caller]
fn nobody_is_restricted(world: &World, lock: &Enforcement, (report, reason): (Option<bool>, &str)) {
    if let Some(report) = report {
        go(world.engine.confirm(&world.tenant, lock.id, report, at(50)));
    }
    world.run(at(60));
    world.run(at(400 * DAY));
    let ended = go(world.engine.enforcement(&world.tenant, lock.id));
    assert_eq!(ended.reason().as_str(), reason);
    assert_eq!(the_effect(world).status(), EffectStatus::Clear, "{reason}");
    // The target may have carried it out after the first undo, and before it reported.
    let again: &[&str] = if report == Some(false) { &[] } else { &["unlock_account"] };
    assert_eq!(done(world), [&["lock_account", "unlock_account"], again].concat(), "{reason}");
    world.verified();
}

#[test]
fn what_is_not_wanted_any_more_is_taken_back_at_once_and_when_the_target_reports() {
    for (how, no_more) in NO_MORE {
        for report in REPORTS {
            let world = world();
            event(&world, "s1", "slow", 0);
            world.run(at(0));
            let lock = awaited(&world);
            no_more(&world, &lock);
            world.run(at(10));
            assert_eq!(done(&world), ["lock_account", "unlock_account"], "{how}: it may be there already");
            assert_eq!(world.count("ENFORCEMENT_CANCEL_ASKED"), 1, "{how}");
            nobody_is_restricted(&world, &lock, report);
        }
    }
}

#[test]
fn what_nobody_ratifies_is_taken_back_also_where_the_target_has_yet_to_report() {
    for refused in [true, false] {
        for report in REPORTS {
            let world = world();
            let order = world.order("m1", "olga", "ana", ManualOrder::Rule(id("hand")));
            go(world.engine.break_glass(order, at(0)));
            world.run(at(0));
            let (lock, asked) = (awaited(&world), world.requests().remove(0));
            if refused {
                go(world.engine.reject(&world.tenant, asked.id, &id("bo"), asked.digest, None, at(10)));
            }
            world.run(at(30));
            assert_eq!(done(&world), ["lock_account", "unlock_account"]);
            assert_eq!(world.count("ENFORCEMENT_UNDONE"), 1);
            let undo = world.the("unlock_account");
            let why = if refused { "its ratification was refused" } else { "nobody ratified it in time" };
            assert_eq!(undo.origin.reason.as_deref(), Some(why));
            nobody_is_restricted(&world, &lock, report);
        }
    }
}

#[test]
fn what_was_called_off_while_it_was_delivered_is_not_held_when_the_target_reports() {
    for report in REPORTS {
        let world = world();
        event(&world, "s1", "slow", 0);
        let lock = world.log().remove(0).id;
        let (desk, told) = (world.another().engine, world.target.clone());
        let delivery = move |job: &Job| {
            if job.action.as_str() == "lock_account" {
                let running = go(desk.cancel(&job.tenant, lock, &OLGA, "a mistake", at(0)));
                assert_eq!(running.reason(), Reason::Running);
            }
            ready(told.deliver(job)).unwrap()
        };
        go(Engine::new(world.store.clone(), delivery, RuleSet::from_json("[]").unwrap()).run_due(at(0)));
        nobody_is_restricted(&world, &awaited(&world), report);
    }
}

#[test]
fn what_others_hold_stands() {
    for (how, no_more) in NO_MORE {
        // Whoever lets go of the effect, or is exempt, has that of the other rule lifted as well.
        if ["lifted", "exempt"].contains(&how) {
            continue;
        }
        for (report, _) in REPORTS {
            let world = world();
            event(&world, "s1", "slow", 0);
            world.run(at(0));
            event(&world, "s2", "sure", 5);
            world.run(at(5));
            let lock = awaited(&world);
            no_more(&world, &lock);
            world.run(at(10));
            if let Some(report) = report {
                go(world.engine.confirm(&world.tenant, lock.id, report, at(50)));
            }
            world.run(at(60));
            let holders: Vec<_> =
                the_effect(&world).holders().iter().map(|held| held.holder.to_string()).collect();
            assert_eq!(holders, ["rule `sure`"], "{how} {report:?}");
            assert_eq!(done(&world), ["lock_account", "lock_account"], "{how} {report:?}");
            world.verified();
        }
    }
}

#[test]
fn one_holder_lets_go_of_what_only_they_ask_for() {
    let world = world();
    event(&world, "s1", "slow", 0);
    world.run(at(0));
    let effect = the_effect(&world).id;
    let lift = |rule: &str, minute| {
        let holder = Holding::Rule(id(rule));
        go(world.engine.lift(&world.tenant, effect, Some(&holder), &OLGA, "over", at(minute)))
    };
    assert_eq!(lift("sure", 1).status(), EffectStatus::Clear, "that is somebody else's");
    event(&world, "s2", "sure", 2);
    world.run(at(2));
    // The same words again, of another time: it is another order.
    for signal in ["s3", "s4"] {
        assert_eq!(lift("slow", 3).status(), EffectStatus::Standing);
        let lock = world.log().into_iter().rfind(|row| row.reason() == Reason::AwaitingConfirmation).unwrap();
        go(world.engine.confirm(&world.tenant, lock.id, true, at(3)));
        assert_eq!(the_effect(&world).holders().len(), 1, "held by the other one alone");
        event(&world, signal, "slow", 3);
        world.run(at(3));
    }
    world.verified();
}

#[test]
fn what_leaves_nothing_to_take_back_is_not_called_off() {
    let world = World::new(
        r#"{ "id": "train", "trigger": { "event": { "pattern": { "do": ["train"] } } }, "actions": [
            { "key": "a", "type": "assign_training", "params": { "course": "c" }, "confirm_within": "1h" }] }"#,
    );
    event(&world, "s1", "train", 0);
    world.run(at(0));
    let awaits = MoveError::Illegal { state: Reason::AwaitingConfirmation, input: "cancel" };
    let call = world.engine.cancel(&world.tenant, awaited(&world).id, &OLGA, "a mistake", at(1));
    assert_eq!(refused(call), EngineError::Move(awaits));
}

#[test]
fn what_is_called_off_gives_its_place_back() {
    let world = World::new(RULES);
    event(&world, "s1", "slow", 0);
    world.run(at(0));
    assert_eq!(event(&world, "s2", "slow", 1).enforcements().count(), 0, "one in thirty days");
    let lock = awaited(&world);
    go(world.engine.cancel(&world.tenant, lock.id, &OLGA, "a mistake", at(2)));
    assert_eq!(event(&world, "s3", "slow", 3).enforcements().count(), 1);
    // It comes once, also when the target reports.
    go(world.engine.confirm(&world.tenant, lock.id, false, at(4)));
    assert_eq!(event(&world, "s4", "slow", 5).enforcements().count(), 0);
    world.verified();
}
