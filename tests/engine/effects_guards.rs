//! Stories of exemptions, of what is checked again before it is carried out, of open-ended locks, and
//! of locks that race their undo.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use crate::support::{World, at, go, id, refused, tenant};
use tipstaff::*;

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

pub(super) fn lock(name: &str, more: &str) -> String {
    format!(
        r#"{{ "id": "{name}", "trigger": {{ "event": {{ "pattern": {{ "do": ["{name}", "all"] }} }} }},
            "actions": [{{ "key": "lock", "type": "lock_account", "approval": "none" {more} }}] }}"#
    )
}

fn two() -> World {
    World::new(&format!("[{},{}]", lock("hour", r#", "for": "1h""#), lock("day", r#", "for": "24h""#)))
}

pub(super) fn event(world: &World, signal: &str, what: &str, minute: i64) -> Decision {
    let payload = format!(r#"{{ "do": "{what}" }}"#);
    world.submit(world.event(signal, "ana", at(minute), &payload), at(minute))
}

pub(super) fn the_effect(world: &World) -> HeldEffect {
    let mut all = go(world.engine.effects(Filter::new(&world.tenant))).rows;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

pub(super) fn done(world: &World) -> Vec<String> {
    world.target.all().iter().map(|job| job.action.to_string()).collect()
}

fn suppressed(decision: &Decision) -> Vec<(Suppression, Option<Time>)> {
    let held = |outcome: &ActionOutcome| match &outcome.effect {
        Effect::Suppressed(held) => Some((held.reason, held.until)),
        _ => None,
    };
    decision.outcomes.iter().filter_map(held).collect()
}

fn ana() -> Subject {
    Subject::user(id("ana"))
}

pub(super) fn exempt(world: &World, scope: &str, until: Option<i64>, minute: i64) -> Exemptions {
    let (olga, scope) = (id("olga"), id(scope));
    let until = until.map(at);
    go(world.engine.exempt(&world.tenant, &ana(), &scope, until, &olga, "on call", at(minute)))
}

#[test]
fn an_exemption_during_a_lock_lifts_it() {
    let world = two();
    event(&world, "s1", "all", 0);
    world.run(at(0));
    exempt(&world, "all", Some(30), 10);
    world.run(at(10));
    assert_eq!(done(&world), ["lock_account", "unlock_account"]);
    let held_back = event(&world, "s2", "all", 20);
    assert_eq!(suppressed(&held_back), [(Suppression::Exempt, Some(at(30))); 2]);
    // It is over: the signals that came before it, and during it, have been decided on.
    assert!(event(&world, "s1", "all", 0).repeat && event(&world, "s2", "all", 20).repeat);
    world.run(at(31));
    assert_eq!(done(&world).len(), 2);
    // A new one counts again.
    event(&world, "s3", "day", 32);
    world.run(at(32));
    assert_eq!(done(&world).len(), 3);
    assert_eq!(world.count("POLICY_EXEMPTION_GRANTED"), 1);
    world.verified();
}

#[test]
fn an_exemption_from_one_rule_lifts_that_rule_only() {
    let world = two();
    event(&world, "s1", "all", 0);
    world.run(at(0));
    exempt(&world, "rule day", None, 10);
    world.run(at(10));
    let effect = the_effect(&world);
    assert_eq!(effect.holders().len(), 1);
    assert_eq!(effect.holders()[0].holder, Holding::Rule(id("hour")));
    let decision = event(&world, "s2", "all", 11);
    assert_eq!(suppressed(&decision), [(Suppression::Exempt, None)]);
    assert_eq!(decision.enforcements().count(), 1);
    world.run(at(11));
    world.run(at(11 + HOUR));
    assert_eq!(the_effect(&world).status(), EffectStatus::Clear);
    // Another type is another matter.
    exempt(&world, "type revoke_sessions", None, 100);
    assert_eq!(event(&world, "s3", "hour", 101).enforcements().count(), 1);
    world.verified();
}

#[test]
fn what_waits_for_an_exempted_subject_is_called_off() {
    let asked = r#"{ "approvers": { "default": "sec", "groups": { "sec": ["sam", "sue"] } }, "rules": [
        { "id": "asks", "trigger": { "event": { "pattern": { "do": ["asks"] } } },
          "actions": [{ "key": "lock", "type": "lock_account", "for": "1h" },
                      { "key": "slow", "type": "restrict_access", "params": { "scope": "vpn" }, "approval": "none", "delay": "1h" }] }] }"#;
    let world = World::new(asked);
    event(&world, "s1", "asks", 0);
    exempt(&world, "all", Some(30), 10);
    // The host was away until the exemption was over: what it covered is called off all the same.
    world.run(at(45));
    assert_eq!((world.reason("lock_account"), world.reason("restrict_access")), ("cancelled", "cancelled"));
    assert_eq!(world.requests()[0].state, ApprovalState::Withdrawn);
    world.run(at(DAY));
    assert!(world.target.jobs("lock_account").is_empty());
    world.verified();
}

#[test]
fn an_exemption_that_comes_between_claim_and_answer_is_honoured() {
    // It waits for its second attempt when the exemption comes, and for a run that is late.
    let world = two();
    world.target.answers("lock_account", [Outcome::Unknown.into()]);
    event(&world, "s1", "day", 0);
    world.run(at(0));
    exempt(&world, "all", None, 1);
    world.run(at(1));
    assert_eq!(world.reason("lock_account"), "cancelled");
    assert_eq!(done(&world), ["lock_account", "unlock_account"], "it may have been there");

    // It is granted while the delivery is under way.
    let slot: Arc<Mutex<Option<Engine>>> = Arc::default();
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let (inner, log) = (Arc::clone(&slot), Arc::clone(&seen));
    let delivery = move |job: &Job| {
        log.lock().unwrap().push(job.action.to_string());
        if let Some(other) = inner.lock().unwrap().take() {
            let (tenant, olga) = (tenant(), id("olga"));
            go(other.exempt(&tenant, &ana(), &ExemptionScope::All, None, &olga, "on call", at(0)));
        }
        Delivered::done()
    };
    let world = two();
    *slot.lock().unwrap() = Some(world.another().engine);
    event(&world, "s1", "day", 0);
    let engine = Engine::new(world.store.clone(), delivery, RuleSet::from_json("[]").unwrap());
    go(engine.run_due(at(0)));
    go(engine.run_due(at(0)));
    assert_eq!(*seen.lock().unwrap(), ["lock_account", "unlock_account"]);
    assert_eq!(the_effect(&world).status(), EffectStatus::Clear);
    world.verified();
}

#[test]
fn exemptions_are_checked_and_can_be_taken_back() {
    let world = two();
    let olga: ActorId = id("olga");
    let grant = |until: Option<Time>, reason: &'static str| {
        world.engine.exempt(&world.tenant, &SUBJECT, &ExemptionScope::All, until, &OLGA, reason, at(10))
    };
    static SUBJECT: std::sync::LazyLock<Subject> = std::sync::LazyLock::new(ana);
    static OLGA: std::sync::LazyLock<ActorId> = std::sync::LazyLock::new(|| id("olga"));
    assert_eq!(refused(grant(Some(at(10)), "x")), EngineError::ExemptionOver(at(10)));
    assert_eq!(refused(grant(None, "")), EngineError::Reason(0));
    go(grant(None, "x"));
    assert_eq!(suppressed(&event(&world, "s1", "day", 11)).len(), 1);
    let revoke = |minute| {
        go(world.engine.revoke_exemption(
            &world.tenant,
            &SUBJECT,
            &ExemptionScope::All,
            &olga,
            "over",
            at(minute),
        ))
    };
    assert!(revoke(12).granted.is_empty() && revoke(13).granted.is_empty());
    assert_eq!(world.count("POLICY_EXEMPTION_REVOKED"), 1);
    assert_eq!(event(&world, "s2", "day", 14).enforcements().count(), 1);
    // A user's exemption covers their sessions, not the other way round.
    let session = Subject::session(id("ana"), id("tab"));
    go(world.engine.exempt(&world.tenant, &session, &ExemptionScope::All, None, &olga, "x", at(15)));
    let on = |subject: Subject, signal: &str| {
        let payload = r#"{ "do": "day" }"#;
        world.submit(Event::new(tenant(), signal, "okta", subject, at(16), payload).unwrap(), at(16))
    };
    assert_eq!(suppressed(&on(session.clone(), "s3")).len(), 1);
    assert_eq!(on(ana(), "s4").enforcements().count(), 1);
    go(grant(None, "x"));
    assert_eq!(suppressed(&on(Subject::session(id("ana"), id("other")), "s5")).len(), 1);
    assert_eq!(go(world.engine.exemptions(Filter::new(&world.tenant))).rows.len(), 2);
    world.verified();
}

/// A lock on falling into red or worse, that waits for its approval.
fn fall(more: &str, direction: &str) -> World {
    World::new(&format!(
        r#"{{ "approvers": {{ "default": "sec", "groups": {{ "sec": ["sam", "sue"] }} }}, "rules": [
            {{ "id": "fall", "trigger": {{ "score": {{ "enters": ["red"], "direction": "{direction}" }} }},
               "actions": [{{ "key": "lock", "type": "lock_account", "for": "1h" {more} }}] }}] }}"#
    ))
}

#[test]
fn a_subject_who_has_recovered_is_not_enforced_upon() {
    for (more, direction, before, at_approval, reason) in [
        ("", "worse", "50", "30", "done"),
        ("", "worse", "50", "5", "done"),
        ("", "worse", "50", "45", "superseded"),
        ("", "worse", "50", "95", "superseded"),
        (r#", "recheck": false"#, "worse", "50", "95", "done"),
        ("", "better", "5", "30", "done"),
        ("", "better", "5", "95", "done"),
        ("", "better", "5", "3", "superseded"),
        ("", "either", "5", "39", "done"),
        ("", "either", "5", "41", "superseded"),
        ("", "either", "50", "5", "superseded"),
    ] {
        let world = fall(more, direction);
        world.submit(world.score("s1", "ana", at(0), before), at(0));
        world.submit(world.score("s2", "ana", at(1), "25"), at(1));
        world.submit(world.score("s3", "ana", at(2), at_approval), at(2));
        let case = format!("{more} {direction} {before} {at_approval}");
        world.approve(&world.requests()[0], "sam", at(3));
        world.run(at(3));
        let lock = world.log().into_iter().find(|row| row.action.as_str() == "lock_account").unwrap();
        assert_eq!(lock.reason().as_str(), reason, "{case}");
        assert_eq!(world.target.jobs("lock_account").len(), usize::from(reason == "done"), "{case}");
        if reason == "superseded" {
            let told = lock.history[0].report.message.clone().unwrap();
            assert_eq!(told, "the subject's band is none that rule `fall` asks about", "{case}");
            assert_eq!(world.count("ENFORCEMENT_EFFECT_HELD"), 0);
        }
        world.verified();
    }
}

#[test]
fn a_rule_that_acts_no_more_is_not_carried_out() {
    let tell = r#"{ "id": "tell", "trigger": { "event": { "pattern": { "do": ["hour"] } } },
        "actions": [{ "key": "a", "type": "escalate_to_hr" }] }"#;
    let rules = [lock("hour", r#", "for": "1h""#), lock("day", r#", "recheck": false"#), tell.to_owned()];
    let world = World::new(&format!("[{}]", rules.join(",")));
    event(&world, "s1", "hour", 0);
    event(&world, "s2", "day", 0);
    for rule in ["hour", "tell", "day"] {
        go(world.engine.deactivate(&world.tenant, &id(rule), &id("olga"), at(1)));
    }
    world.run(at(1));
    let of = |rule: &str| {
        let rows = go(world.engine.enforcements(Filter::new(&world.tenant).rule(id(rule)))).rows;
        let rows = rows.into_iter().filter(|row| row.purpose == Purpose::Action);
        rows.map(|row| row.reason().as_str()).collect::<Vec<_>>()
    };
    assert_eq!([of("hour"), of("tell"), of("day")], [["superseded"], ["done"], ["done"]]);
    world.verified();
}

#[test]
fn an_open_ended_lock_is_warned_about_and_refused_where_the_policy_is_strict() {
    let document = |policy: &str, action: &str| {
        format!(
            r#"{{ "approvers": {{ "default": "sec", "groups": {{ "sec": ["sam", "sue"], "hr": ["hal"] }} }} {policy},
                "rules": [{{ "id": "r", "trigger": {{ "manual": {{}} }}, "actions": [{action}] }}] }}"#
        )
    };
    let open = r#"{ "key": "a", "type": "lock_account" }"#;
    for (action, approvers) in [
        (open, Some(1)),
        (r#"{ "key": "a", "type": "lock_account", "approval": "none" }"#, Some(0)),
        (r#"{ "key": "a", "type": "lock_account", "for": "1h" }"#, None),
        (
            r#"{ "key": "a", "type": "lock_account", "approval": { "groups": [{ "name": "sec", "need": 2 }] } }"#,
            None,
        ),
        (
            r#"{ "key": "a", "type": "lock_account", "approval": { "groups": [{ "name": "sec" }, { "name": "hr" }] } }"#,
            None,
        ),
        // What cannot be taken back, or takes nothing away, stands for nothing.
        (r#"{ "key": "a", "type": "revoke_sessions" }"#, None),
        (r#"{ "key": "a", "type": "escalate_to_hr" }"#, None),
    ] {
        let lenient = RuleSet::from_json(&document("", action)).unwrap();
        let warned: Vec<_> = lenient
            .warnings()
            .iter()
            .filter_map(|warning| match warning {
                RuleWarning::OpenEnded { approvers, .. } => Some(*approvers),
                _ => None,
            })
            .collect();
        assert_eq!(warned, Vec::from_iter(approvers), "{action}");
        let strict = RuleSet::from_json(&document(r#", "policy": "strict""#, action));
        match (approvers, strict) {
            (None, Ok(set)) => assert_eq!(set.settings().policy, Policy::Strict),
            (Some(approvers), Err(error)) => {
                assert_eq!(error.faults.len(), 1);
                assert_eq!(error.faults[0].pointer, "/rules/0/actions/0");
                assert_eq!(error.faults[0].fault, RuleFault::OpenEnded { approvers });
            }
            (expected, found) => panic!("{action}: {expected:?} {found:?}"),
        }
    }
    // A policy that becomes strict must hold for the rules that stay.
    let world = World::new(&document("", open));
    go(world.engine.rules(&world.tenant, at(0)));
    let strict = RuleSet::from_json(
        &document(r#", "policy": "strict""#, "")
            .replace(r#"[{ "id": "r", "trigger": { "manual": {} }, "actions": [] }]"#, "[]"),
    );
    let error = refused(world.engine.add_rules(&world.tenant, &strict.unwrap(), &Actor::Host, at(1)));
    assert!(matches!(error, EngineError::Rules(_)), "{error}");
}

/// A process on the world's store whose delivery lets others work while it is under way, and whose
/// claims last a minute by a clock that the test holds.
pub(super) struct Slow {
    pub(super) engine: Engine,
}

type Deliver = Box<dyn Fn(&Job) -> Delivered + Send + Sync>;

pub(super) type Meanwhile = Box<dyn FnOnce() + Send>;

pub(super) fn slow(
    world: &World,
    target: &Arc<Mutex<Vec<String>>>,
    meanwhile: Meanwhile,
    lands: Lands,
) -> Slow {
    let (target, once) = (Arc::clone(target), Mutex::new(Some(meanwhile)));
    let delivery: Deliver = Box::new(move |job: &Job| {
        let land = || target.lock().unwrap().push(job.action.to_string());
        if lands == Lands::Before {
            land();
        }
        if let Some(others) = once.lock().unwrap().take() {
            others();
        }
        if lands == Lands::After {
            land();
        }
        Delivered::done()
    });
    Slow { engine: Engine::new(world.store.clone(), delivery, RuleSet::from_json("[]").unwrap()) }
}

/// When the target sees the request of the slow process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Lands {
    Before,
    After,
}

#[test]
fn a_lock_that_races_an_undo_comes_out_right() {
    // The undo of the first lock and the lock of another rule are under way together, each in the
    // place of the slow one; within the lease and after it; with the request landing first or last.
    for slow_one in ["unlock_account", "lock_account"] {
        for lease_ran_out in [false, true] {
            for lands in [Lands::Before, Lands::After] {
                let case = format!("slow {slow_one}, lease ran out: {lease_ran_out}, {lands:?}");
                let clock = Arc::new(Mutex::new(at(0)));
                let reads = Arc::clone(&clock);
                let store = MemoryStore::with_clock(move || *reads.lock().unwrap());
                let rules =
                    format!("[{},{}]", lock("hour", r#", "for": "1h""#), lock("day", r#", "for": "24h""#));
                let world = World::on(store, RuleSet::from_json(&rules).unwrap());
                let landed: Arc<Mutex<Vec<String>>> = Arc::default();
                let plain = |world: &World, log: &Arc<Mutex<Vec<String>>>| {
                    let log = Arc::clone(log);
                    let deliver = move |job: &Job| {
                        log.lock().unwrap().push(job.action.to_string());
                        Delivered::done()
                    };
                    Engine::new(world.store.clone(), deliver, RuleSet::from_json("[]").unwrap())
                };
                let quick = plain(&world, &landed);
                event(&world, "s1", "hour", 0);
                go(quick.run_due(at(0)));
                // The first hour is over: its undo is ready. Whose turn comes first is the case's.
                *clock.lock().unwrap() = at(HOUR);
                if slow_one == "lock_account" {
                    event(&world, "s2", "day", HOUR - 1);
                }
                let other = plain(&world, &landed);
                let submits = world.another();
                let tick = Arc::clone(&clock);
                let meanwhile: Meanwhile = Box::new(move || {
                    let now = if lease_ran_out { HOUR + 2 } else { HOUR };
                    *tick.lock().unwrap() = at(now);
                    if slow_one == "unlock_account" {
                        event(&submits, "s2", "day", HOUR);
                    }
                    go(other.run_due(at(now)));
                });
                let slow = slow(&world, &landed, meanwhile, lands);
                // The lock was decided on a minute before the undo is due, so it is claimed first.
                let begins = if slow_one == "lock_account" { HOUR - 1 } else { HOUR };
                go(slow.engine.run_due(at(begins)));
                for minute in [HOUR + 3, HOUR + 10, HOUR + 60] {
                    *clock.lock().unwrap() = at(minute);
                    go(quick.run_due(at(minute)));
                }
                // One of them holds, so the account is locked, and the target saw that last.
                let effect = the_effect(&world);
                assert_eq!(effect.status(), EffectStatus::Standing, "{case}");
                let holders: Vec<_> = effect.holders().iter().map(|held| held.holder.clone()).collect();
                assert_eq!(holders, [Holding::Rule(id("day"))], "{case}");
                let seen = landed.lock().unwrap().clone();
                assert_eq!(seen.last().unwrap(), "lock_account", "{case}: {seen:?}");
                *clock.lock().unwrap() = at(3 * DAY);
                go(quick.run_due(at(3 * DAY)));
                let seen = landed.lock().unwrap().clone();
                assert_eq!(seen.last().unwrap(), "unlock_account", "{case}: {seen:?}");
                assert_eq!(the_effect(&world).status(), EffectStatus::Clear, "{case}");
                world.verified();
            }
        }
    }
}

/// Takes restrictions back, and brings none about.
struct Unlocks(Arc<Mutex<Vec<String>>>);

impl Delivery for Unlocks {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        Some([id("unlock_account")].into())
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        self.0.lock().unwrap().push(job.action.to_string());
        Box::pin(std::future::ready(Delivered::done()))
    }

    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}

#[test]
fn what_is_put_back_too_late_is_taken_back_once_more() {
    let clock = Arc::new(Mutex::new(at(0)));
    let reads = Arc::clone(&clock);
    let store = MemoryStore::with_clock(move || *reads.lock().unwrap());
    let rules = format!("[{},{}]", lock("hour", r#", "for": "1h""#), lock("day", r#", "for": "24h""#));
    let world = World::on(store, RuleSet::from_json(&rules).unwrap());
    let landed: Arc<Mutex<Vec<String>>> = Arc::default();
    event(&world, "s1", "hour", 0);
    world.run(at(0));
    // The undo of the first lock comes after the lock of the other rule: that one is put back.
    *clock.lock().unwrap() = at(HOUR);
    let (tick, others) = (Arc::clone(&clock), world.another());
    let first: Meanwhile = Box::new(move || {
        *tick.lock().unwrap() = at(HOUR + 2);
        event(&others, "s2", "day", HOUR);
        go(others.engine.run_due(at(HOUR + 2)));
    });
    // While it is put back, for longer than the lease, somebody lets go of it, and it is taken back by a
    // process that does not take over what restricts.
    let (tick, others, effect) = (Arc::clone(&clock), world.another(), the_effect(&world).id);
    let none = || RuleSet::from_json("[]").unwrap();
    let unlocks = Engine::new(world.store.clone(), Unlocks(Arc::clone(&landed)), none());
    let second: Meanwhile = Box::new(move || {
        *tick.lock().unwrap() = at(HOUR + 10);
        go(others.engine.lift(&tenant(), effect, None, &id("olga"), "over", at(HOUR + 10)));
        assert_eq!(go(unlocks.run_due(at(HOUR + 10))).succeeded, 1);
    });
    let (target, meanwhile) = (Arc::clone(&landed), Mutex::new(VecDeque::from([first, second])));
    let slow = move |job: &Job| {
        let others =
            meanwhile.lock().unwrap().pop_front().expect("it delivers two, the undo and what is put back");
        others();
        target.lock().unwrap().push(job.action.to_string());
        Delivered::done()
    };
    go(Engine::new(world.store.clone(), slow, none()).run_due(at(HOUR)));
    assert!(world.log().iter().any(|row| matches!(row.purpose, Purpose::Restore { .. })));
    assert_eq!(landed.lock().unwrap().last().unwrap(), "lock_account", "it landed last");
    world.run(at(HOUR + 11));
    assert_eq!(world.target.all().last().unwrap().action.as_str(), "unlock_account");
    assert_eq!(the_effect(&world).status(), EffectStatus::Clear);
    world.verified();
}
