//! Stories of restrictions that stand: they end by themselves, one rule's end is not another's, people
//! let go of them, and what races comes out right.

use crate::support::{World, at, go, id, refused};
use tipstaff::*;

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

/// A rule of that name that locks on an event which names it.
fn lock(name: &str, more: &str) -> String {
    format!(
        r#"{{ "id": "{name}", "trigger": {{ "event": {{ "pattern": {{ "do": ["{name}", "all"] }} }} }},
            "actions": [{{ "key": "lock", "type": "lock_account", "approval": "none" {more} }}] }}"#
    )
}

fn world(rules: &[String]) -> World {
    World::new(&format!("[{}]", rules.join(",")))
}

fn two() -> World {
    world(&[lock("hour", r#", "for": "1h""#), lock("day", r#", "for": "24h""#)])
}

#[track_caller]
fn event(world: &World, signal: &str, what: &str, minute: i64) -> Decision {
    let payload = format!(r#"{{ "do": "{what}" }}"#);
    world.submit(world.event(signal, "ana", at(minute), &payload), at(minute))
}

/// The one effect there is.
#[track_caller]
fn the_effect(world: &World) -> HeldEffect {
    let mut all = go(world.engine.effects(Filter::new(&world.tenant))).rows;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// What the target did, in its order.
fn done(world: &World) -> Vec<String> {
    world.target.all().iter().map(|job| job.action.to_string()).collect()
}

fn held(world: &World) -> Vec<String> {
    the_effect(world).holders().iter().map(|held| held.holder.to_string()).collect()
}

fn rule(name: &str) -> Holding {
    Holding::Rule(id(name))
}

#[test]
fn a_lock_for_a_day_ends_by_itself() {
    let world = two();
    event(&world, "s1", "day", 0);
    world.run(at(5));
    let effect = the_effect(&world);
    assert_eq!(effect.status(), EffectStatus::Standing);
    assert_eq!(effect.holders()[0].until, Some(at(5 + DAY)), "from the moment when it is there");
    // The undo is in the log from then on.
    let undo = world.the("unlock_account");
    assert_eq!((undo.reason(), undo.state.due_at()), (Reason::Scheduled, Some(at(5 + DAY))));
    assert_eq!(undo.category, Category::AccessControl);
    let generation = effect.holders()[0].generation;
    assert_eq!(undo.purpose, Purpose::Undo { effect: effect.id, holder: rule("day"), generation });
    assert_eq!(undo.id, effect.undo_id(&rule("day"), generation));
    world.run(at(5 + DAY - 1));
    assert_eq!(done(&world), ["lock_account"]);
    // Another process, after a restart, is as good as this one.
    world.another().run(at(5 + DAY));
    assert_eq!(done(&world), ["lock_account", "unlock_account"]);
    assert_eq!(the_effect(&world).status(), EffectStatus::Clear);
    assert_eq!(world.the("unlock_account").status(), Status::Succeeded);
    assert_eq!(world.stats("day", at(0)).undone, 1);
    for (code, count) in
        [("ENFORCEMENT_EFFECT_HELD", 1), ("ENFORCEMENT_EFFECT_RELEASED", 1), ("ENFORCEMENT_EFFECT_LIFTED", 1)]
    {
        assert_eq!(world.count(code), count, "{code}");
    }
    assert!(world.run(at(9 * DAY)).is_idle());
    world.verified();
}

#[test]
fn the_end_of_one_rule_is_not_that_of_another() {
    let world = two();
    event(&world, "s1", "hour", 0);
    event(&world, "s2", "day", 0);
    world.run(at(0));
    assert_eq!(done(&world), ["lock_account", "lock_account"], "once more does no harm");
    assert_eq!(held(&world), ["rule `hour`", "rule `day`"]);
    world.run(at(HOUR));
    assert_eq!(held(&world), ["rule `day`"]);
    assert_eq!(done(&world).len(), 2, "nothing is taken back yet");
    world.run(at(DAY));
    assert_eq!(done(&world).last().unwrap(), "unlock_account");
    assert_eq!(the_effect(&world).status(), EffectStatus::Clear);
    world.verified();
}

#[test]
fn rules_that_share_an_enforcement_hold_each_for_its_own_time() {
    let world = two();
    let decision = event(&world, "s1", "all", 0);
    assert_eq!(decision.enforcements().count(), 1, "one lock for both");
    world.run(at(0));
    let untils: Vec<_> = the_effect(&world).holders().iter().map(|held| held.until).collect();
    assert_eq!(untils, [Some(at(DAY)), Some(at(HOUR))]);
    world.run(at(HOUR));
    assert_eq!(held(&world), ["rule `day`"]);
    world.run(at(DAY));
    assert_eq!(done(&world), ["lock_account", "unlock_account"]);
    world.verified();
}

#[test]
fn whoever_qualifies_again_holds_longer_and_never_shorter() {
    let world = two();
    event(&world, "s1", "hour", 0);
    world.run(at(0));
    let first = the_effect(&world).holders()[0].clone();
    event(&world, "s2", "hour", 30);
    world.run(at(30));
    let second = the_effect(&world).holders()[0].clone();
    assert_eq!((second.until, second.since), (Some(at(30 + HOUR)), at(0)));
    assert!(second.generation > first.generation);
    let old = go(world
        .engine
        .enforcement(&world.tenant, the_effect(&world).undo_id(&rule("hour"), first.generation)));
    assert_eq!(old.reason(), Reason::Superseded);
    world.run(at(HOUR));
    assert_eq!(held(&world), ["rule `hour`"], "the first time is over, the second is not");
    world.run(at(30 + HOUR));
    assert_eq!(done(&world), ["lock_account", "lock_account", "unlock_account"]);
    world.verified();
}

#[test]
fn without_a_time_it_stands_until_somebody_lets_go() {
    let world = world(&[lock("open", "")]);
    event(&world, "s1", "open", 0);
    world.run(at(0));
    world.run(at(900 * DAY));
    let effect = the_effect(&world);
    assert_eq!((effect.status(), effect.holders()[0].until), (EffectStatus::Standing, None));
    let lift = |reason: &str| {
        let (holder, olga) = (rule("open"), id("olga"));
        go(world.engine.lift(&world.tenant, effect.id, Some(&holder), &olga, reason, at(901 * DAY)))
    };
    assert_eq!(lift("a mistake").status(), EffectStatus::Lifting);
    let trail = world.trail().len();
    assert_eq!(lift("a mistake").status(), EffectStatus::Lifting, "again changes nothing");
    assert_eq!(world.trail().len(), trail);
    let undo = world.the("unlock_account");
    assert_eq!(undo.origin.operator, Some(id("olga")));
    assert_eq!(undo.origin.reason.as_deref(), Some("a mistake"));
    world.run(at(901 * DAY));
    assert_eq!(done(&world), ["lock_account", "unlock_account"]);
    let reasons = world.trail().into_iter().filter(|record| record.code == "ENFORCEMENT_EFFECT_RELEASED");
    assert!(reasons.into_iter().all(|record| record.personal.contains_key("reason")));
    world.verified();
}

#[test]
fn a_person_lifts_one_holder_or_the_effect() {
    let world = two();
    event(&world, "s1", "all", 0);
    world.run(at(0));
    let effect = the_effect(&world).id;
    let olga: ActorId = id("olga");
    let lift = |holder: Option<&Holding>, minute| {
        go(world.engine.lift(&world.tenant, effect, holder, &olga, "cleared", at(minute)))
    };
    lift(Some(&rule("hour")), 1);
    assert_eq!(held(&world), ["rule `day`"]);
    lift(Some(&rule("nobody")), 1);
    assert_eq!(held(&world), ["rule `day`"]);
    // A kill switch stops locks, and never what gives back.
    go(world.engine.engage_kill_switch(&world.tenant, &KillScope::Tenant, &olga, "stop", at(2)));
    lift(None, 3);
    world.run(at(3));
    assert_eq!(done(&world), ["lock_account", "unlock_account"]);
    world.run(at(2 * DAY));
    assert_eq!(done(&world).len(), 2, "its timers are gone with it");
    let error = refused(world.engine.lift(&world.tenant, effect, None, &olga, " ", at(4)));
    assert_eq!(error, EngineError::Reason(1));
    world.verified();
}

#[test]
fn an_undo_is_not_called_off() {
    let world = two();
    event(&world, "s1", "day", 0);
    world.run(at(0));
    let undo = world.the("unlock_account").id;
    let error = refused(world.engine.cancel(&world.tenant, undo, &id("olga"), "stay", at(1)));
    assert_eq!(error, EngineError::UndoStands(undo));
}

#[test]
fn an_undo_that_fails_is_tried_again_and_then_is_critical() {
    let world = two();
    event(&world, "s1", "hour", 0);
    world.run(at(0));
    world.target.answers("unlock_account", (0..20).map(|_| Delivered::retry("down")));
    for hour in 1..=12 {
        world.run(at(hour * HOUR));
    }
    assert_eq!(world.target.jobs("unlock_account").len(), 10);
    assert_eq!(the_effect(&world).status(), EffectStatus::Stuck);
    let critical: Vec<_> = world.trail().into_iter().filter(|r| r.severity == Severity::Critical).collect();
    assert_eq!(critical.iter().map(|r| r.code.as_str()).collect::<Vec<_>>(), ["ENFORCEMENT_UNDO_FAILED"]);
    // By hand, once more.
    world.target.answers("unlock_account", []);
    let effect = the_effect(&world).id;
    go(world.engine.lift(&world.tenant, effect, None, &id("olga"), "it is up again", at(13 * HOUR)));
    world.run(at(13 * HOUR));
    assert_eq!(the_effect(&world).status(), EffectStatus::Clear);
    world.verified();
}

#[test]
fn what_may_be_there_is_taken_back_as_well() {
    // The answers are lost until no attempt is left: the account may be locked.
    let world = two();
    world.target.answers("lock_account", (0..20).map(|_| Outcome::Unknown.into()));
    event(&world, "s1", "hour", 0);
    for hour in 0..12 {
        world.run(at(hour * HOUR));
    }
    assert_eq!(world.reason("lock_account"), "exhausted");
    world.run(at(DAY));
    assert_eq!(done(&world).last().unwrap(), "unlock_account");
    assert_eq!(the_effect(&world).status(), EffectStatus::Clear);

    // Called off after a lost answer: at once.
    let world = two();
    world.target.answers("lock_account", [Outcome::Unknown.into()]);
    event(&world, "s1", "day", 0);
    world.run(at(0));
    let lock = world.the("lock_account").id;
    go(world.engine.cancel(&world.tenant, lock, &id("olga"), "no", at(0)));
    world.run(at(0));
    assert_eq!(done(&world), ["lock_account", "unlock_account"]);

    // What certainly never was is not taken back.
    let world = two();
    world.target.answers("lock_account", [Delivered::permanent("no such account")]);
    event(&world, "s1", "day", 0);
    world.run(at(2 * DAY));
    assert_eq!(done(&world), ["lock_account"]);
    assert_eq!(the_effect(&world).status(), EffectStatus::Clear);
    world.verified();
}

#[test]
fn a_rule_that_acts_no_more_lets_go() {
    for how in ["inactive", "off", "shadow"] {
        let world = two();
        event(&world, "s1", "all", 0);
        world.run(at(0));
        match how {
            "inactive" => go(world.engine.deactivate(&world.tenant, &id("day"), &id("olga"), at(1))),
            mode => {
                let edited =
                    lock("day", r#", "for": "24h""#).replacen('{', &format!(r#"{{ "mode": "{mode}","#), 1);
                let set = RuleSet::from_json(&edited).unwrap();
                go(world.engine.add_rules(&world.tenant, &set, &Actor::Host, at(1)));
            }
        }
        world.run(at(1));
        assert_eq!(held(&world), ["rule `hour`"], "{how}");
        world.run(at(HOUR));
        assert_eq!(done(&world), ["lock_account", "unlock_account"], "{how}");
        world.verified();
    }
}

#[test]
fn what_settles_after_its_rule_stopped_is_taken_back() {
    // The lock is under way when the rule is deactivated: it says that it is not checked again.
    let world = world(&[lock("day", r#", "for": "24h", "recheck": false"#)]);
    event(&world, "s1", "day", 0);
    world.target.answers("lock_account", [Delivered::retry("busy")]);
    world.run(at(0));
    go(world.engine.deactivate(&world.tenant, &id("day"), &id("olga"), at(1)));
    world.run(at(5));
    assert_eq!(done(&world), ["lock_account", "lock_account", "unlock_account"]);
    assert_eq!(the_effect(&world).status(), EffectStatus::Clear);
    world.verified();
}

#[test]
fn a_second_trigger_joins_and_what_is_not_idempotent_is_not_repeated() {
    let rules = r#"{ "types": [
        { "name": "take_badge", "category": "access_control", "approval": false, "inverse": "give_badge", "retry": "keyed" },
        { "name": "give_badge", "category": "access_control", "approval": false, "restricts": false, "retry": "keyed" } ],
      "rules": [{ "id": "badge", "trigger": { "event": { "pattern": { "do": ["badge"] } } },
        "actions": [{ "key": "take", "type": "take_badge", "for": "1h" }] }] }"#;
    let world = World::new(rules);
    event(&world, "s1", "badge", 0);
    world.run(at(0));
    event(&world, "s2", "badge", 10);
    world.run(at(10));
    assert_eq!(done(&world), ["take_badge"]);
    assert_eq!(world.log().iter().filter(|row| row.reason() == Reason::NoOp).count(), 1);
    assert_eq!(the_effect(&world).holders()[0].until, Some(at(10 + HOUR)));
    world.run(at(10 + HOUR));
    assert_eq!(done(&world), ["take_badge", "give_badge"]);
    world.verified();
}

#[test]
fn what_only_may_be_there_is_no_reason_to_leave_it() {
    let rules = r#"{ "types": [
        { "name": "take_badge", "category": "access_control", "approval": false, "inverse": "give_badge", "retry": "not_idempotent" },
        { "name": "give_badge", "category": "access_control", "approval": false, "restricts": false, "retry": "keyed" } ],
      "rules": [{ "id": "badge", "trigger": { "event": { "pattern": { "do": ["badge"] } } },
        "actions": [{ "key": "take", "type": "take_badge", "for": "24h" }] }] }"#;
    let world = World::new(rules);
    world.target.answers("take_badge", [Outcome::Unknown.into()]);
    event(&world, "s1", "badge", 0);
    world.run(at(0));
    let lost = world.the("take_badge");
    assert_eq!(
        (lost.reason(), the_effect(&world).status()),
        (Reason::OutcomeUnknown, EffectStatus::Standing)
    );
    // Whoever has it tried again accepts that it may come twice, and not that it never comes.
    go(world.engine.retry(&world.tenant, lost.id, &id("olga"), "they still come in", at(1)));
    world.run(at(1));
    assert_eq!(done(&world), ["take_badge", "take_badge"]);
    assert_eq!(world.log().last().map(Enforcement::reason), Some(Reason::Done));
    // Now it is there for certain.
    event(&world, "s2", "badge", 2);
    world.run(at(2));
    assert_eq!(done(&world).len(), 2);
    assert!(world.log().iter().any(|row| row.reason() == Reason::NoOp));
    world.run(at(2 + DAY));
    assert_eq!(done(&world), ["take_badge", "take_badge", "give_badge"]);
    world.verified();
}

#[test]
fn an_order_by_hand_is_held_by_who_gave_it() {
    let rules = r#"{ "approvers": { "default": "sec", "groups": { "sec": ["sam"] } } }"#;
    let world = World::new(rules);
    let order = ManualOrder::Action { action: id("lock_account"), params: Params::new() };
    world.submit(world.order("m1", "olga", "ana", order), at(0));
    world.approve(&world.requests()[0], "sam", at(1));
    world.run(at(1));
    assert_eq!(held(&world), ["olga"]);
    world.run(at(400 * DAY));
    assert!(world.target.jobs("unlock_account").is_empty());
}

#[test]
fn repeat_offenders_are_held_longer_and_time_forgives() {
    let ladder = r#", "for": { "ladder": ["1h", "24h", "7d"], "decay": "30d" }"#;
    let world = world(&[lock("again", ladder)]);
    let mut n = 0;
    let mut offend = |day: i64| {
        n += 1;
        event(&world, &format!("s{n}"), "again", day * DAY);
        world.run(at(day * DAY));
        let until = the_effect(&world).holders()[0].until.unwrap();
        world.run(at((day + 8) * DAY));
        assert_eq!(the_effect(&world).status(), EffectStatus::Clear);
        (until - at(day * DAY)).to_string()
    };
    assert_eq!([offend(0), offend(10), offend(20), offend(30)], ["1h", "1d", "7d", "7d"]);
    // A whole decay takes one rung back, two take two.
    assert_eq!(offend(60), "1d");
    assert_eq!(offend(121), "1h");
    world.verified();
}

#[test]
fn what_did_not_come_about_is_no_offence() {
    let ladder = r#", "for": { "ladder": ["1h", "24h"], "decay": "30d" }"#;
    let world = world(&[lock("again", ladder)]);
    world.target.answers("lock_account", [Delivered::permanent("no")]);
    event(&world, "s1", "again", 0);
    world.run(at(0));
    event(&world, "s2", "again", 1);
    world.run(at(1));
    assert_eq!(the_effect(&world).holders()[0].until, Some(at(1 + HOUR)));
}

#[test]
fn a_delay_is_a_window_for_a_veto() {
    let world = world(&[lock("slow", r#", "for": "1h", "delay": "15m""#)]);
    event(&world, "s1", "slow", 0);
    event(&world, "s2", "slow", 1);
    world.run(at(14));
    assert!(done(&world).is_empty());
    let waiting = world.log();
    assert!(waiting.iter().all(|row| row.reason() == Reason::Scheduled));
    go(world.engine.cancel(&world.tenant, waiting[0].id, &id("olga"), "I know them", at(14)));
    world.run(at(15));
    assert!(done(&world).is_empty(), "vetoed");
    world.run(at(16));
    assert_eq!(done(&world), ["lock_account"]);
    let why: Vec<_> = world.log().iter().map(|row| row.reason().as_str()).collect();
    assert_eq!(&why[..2], ["cancelled", "done"]);
    world.verified();
}

#[test]
fn a_time_sensitive_action_is_not_carried_out_late() {
    let rules = |more: &str| {
        World::new(&format!(
            r#"{{ "id": "end", "trigger": {{ "event": {{ "pattern": {{ "do": ["end"] }} }} }},
                "actions": [{{ "key": "a", "type": "revoke_sessions", "approval": "none" {more} }}] }}"#
        ))
    };
    // By default within the hour, as its type says; or as the rule says.
    for (more, late) in [("", 60), (r#", "not_after": "10m""#, 10)] {
        let world = rules(more);
        event(&world, "s1", "end", 0);
        world.run(at(late));
        assert_eq!(world.reason("revoke_sessions"), "exhausted", "{late}");
        let world = rules(more);
        event(&world, "s1", "end", 0);
        world.run(at(late - 1));
        assert_eq!(world.reason("revoke_sessions"), "done", "{late}");
    }
}
