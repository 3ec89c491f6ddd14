//! Stories of signals, rules and people, told through the engine on the reference store.

use crate::support::{World, at, go, id, refused};
use tipstaff::*;

const PEOPLE: &str =
    r#""approvers": { "default": "security", "groups": { "security": ["bo", "cy", "dee"] } }"#;

/// A document of these rules beside the usual people.
fn document(rules: &str) -> String {
    format!(r#"{{ {PEOPLE}, "rules": [{rules}] }}"#)
}

/// A rule on events `{"do": "<word>"}`, its further members as given.
fn on(id: &str, word: &str, actions: &str, more: &str) -> String {
    format!(
        r#"{{ "id": "{id}", "trigger": {{ "event": {{ "pattern": {{ "do": ["{word}"] }} }} }}, "actions": [{actions}] {more} }}"#
    )
}

const LOCK: &str = r#"{ "key": "lock", "type": "lock_account" }"#;
const TELL: &str = r#"{ "key": "tell", "type": "send_email", "params": { "to": "manager", "template": "t", "where": "{event.place}" } }"#;
const GO: &str = r#"{ "do": "go", "place": "Kiel" }"#;

fn suppressed(decision: &Decision) -> Vec<&'static str> {
    let reason = |outcome: &ActionOutcome| match &outcome.effect {
        Effect::Suppressed(held) => Some(held.reason.as_str()),
        _ => None,
    };
    decision.outcomes.iter().filter_map(reason).collect()
}

#[test]
fn a_signal_goes_all_the_way() {
    let world = World::new(&document(&on("mfa-off", "go", &[LOCK, TELL].join(","), "")));
    let decision = world.submit(world.event("s1", "ana", at(0), GO), at(0));
    assert_eq!(decision.outcomes.len(), 2);
    assert_eq!(decision.evidence["do"], r#""go""#);
    let again = world.submit(world.event("s1", "ana", at(0), GO), at(5));
    assert!(again.repeat && again.decided_at == at(0) && again.outcomes == decision.outcomes);

    let report = world.run(at(1));
    assert_eq!(report.succeeded, 4, "a mail and three notices");
    assert_eq!(world.target.jobs("send_email")[0].params["where"], "Kiel".into());
    let request = world.requests().remove(0);
    let view = go(world.engine.approval_view(&world.tenant, request.id, at(1)));
    assert_eq!(view.approval.context.evidence["do"], r#""go""#);
    assert_eq!(view.earlier.len(), 1, "the mail");
    let granted =
        go(world.engine.approve(&world.tenant, request.id, &id("bo"), request.digest, Some("agreed"), at(2)));
    assert_eq!(granted.state, ApprovalState::Granted);
    assert_eq!(world.run(at(3)).succeeded, 1);
    let locked = world.the("lock_account");
    assert_eq!((locked.reason(), locked.votes[0].comment.as_deref()), (Reason::Done, Some("agreed")));
    assert_eq!(
        world.codes_after(0),
        [
            "POLICY_RULE_ADDED",
            "POLICY_RULES_INSTALLED",
            "POLICY_SIGNAL_DECIDED",
            "ENFORCEMENT_CREATED",
            "ENFORCEMENT_CREATED",
            "APPROVAL_REQUESTED",
            "ENFORCEMENT_CLAIMED",
            "ENFORCEMENT_SUCCEEDED",
            "ENFORCEMENT_CLAIMED",
            "APPROVAL_NOTICE_SENT",
            "ENFORCEMENT_CLAIMED",
            "APPROVAL_NOTICE_SENT",
            "ENFORCEMENT_CLAIMED",
            "APPROVAL_NOTICE_SENT",
            "APPROVAL_VOTE_CAST",
            "APPROVAL_GRANTED",
            "ENFORCEMENT_QUEUED",
            "ENFORCEMENT_CLAIMED",
            "ENFORCEMENT_SUCCEEDED",
            "ENFORCEMENT_EFFECT_HELD",
        ]
    );
    world.verified();
}

#[test]
fn a_storm_is_answered_once_and_counted() {
    let world =
        World::new(&document(&on("storm", "go", TELL, r#", "guards": { "cooldown": { "for": "60m" } }"#)));
    let mut created = 0;
    for n in 0..60 {
        let decision = world.submit(world.event(&format!("s{n}"), "ana", at(n), GO), at(n));
        created += decision.enforcements().count();
        assert_eq!(suppressed(&decision), if n == 0 { vec![] } else { vec!["cooldown"] });
    }
    assert_eq!(created, 1);
    let state = crate::support::stored(&world.store, Kind::Subject, "user:ana").unwrap();
    assert!(state.body.contains(r#""repeats":59"#), "{}", state.body);
    // Another person has a storm of their own; and after an hour it is answered again.
    assert_eq!(world.submit(world.event("b1", "bea", at(30), GO), at(30)).enforcements().count(), 1);
    assert_eq!(world.submit(world.event("s60", "ana", at(60), GO), at(60)).enforcements().count(), 1);
    let stats = world.stats("storm", at(61));
    assert_eq!((stats.fired, stats.created, stats.suppressed["cooldown"]), (62, 3, 59));
    // One record a signal; of the repeats the 1st, 2nd, 4th … 32nd are told by themselves.
    assert_eq!((world.count("POLICY_SIGNAL_DECIDED"), world.count("POLICY_ACTION_SUPPRESSED")), (62, 6));
    world.verified();
}

#[test]
fn two_rules_lock_one_person_once() {
    let author = r#", "author": "cy""#;
    let world = World::new(&document(&[on("one", "go", LOCK, ""), on("two", "go", LOCK, author)].join(",")));
    let decision = world.submit(world.event("s1", "ana", at(0), GO), at(0));
    assert_eq!((decision.outcomes.len(), decision.enforcements().count()), (2, 1));
    let locked = world.the("lock_account");
    let holders: Vec<_> = locked.holders.iter().map(|holder| holder.rule.as_str()).collect();
    assert_eq!(holders, ["one", "two"]);
    let request = world.requests().remove(0);
    assert_eq!(request.rules, [id("one"), id("two")]);
    assert_eq!(world.denied(&request, "cy", at(1)), ApprovalError::IsAuthor(id("cy")), "of either rule");
    world.approve(&request, "bo", at(1));
    world.run(at(2));
    assert_eq!(world.target.jobs("lock_account").len(), 1);
    for rule in ["one", "two"] {
        let stats = world.stats(rule, at(3));
        assert_eq!((stats.created, stats.approved, stats.succeeded), (1, 1, 1), "{rule}");
    }
    world.verified();

    // Where the policies differ, each has its own.
    let strict = r#"{ "key": "lock", "type": "lock_account", "approval": { "groups": [{ "name": "security", "need": 2 }] } }"#;
    let world = World::new(&document(&[on("one", "go", LOCK, ""), on("two", "go", strict, "")].join(",")));
    assert_eq!(world.submit(world.event("s1", "ana", at(0), GO), at(0)).enforcements().count(), 2);
    world.verified();
}

#[test]
fn whoever_orders_an_action_does_not_approve_it() {
    let world = World::new(&document(""));
    let order = ManualOrder::Action { action: BuiltinAction::LockAccount.into(), params: Params::new() };
    let decision = world.submit(world.order("call-1", "bo", "ana", order.clone()), at(0));
    assert_eq!(decision.enforcements().count(), 1);
    let request = world.requests().remove(0);
    let told: Vec<_> =
        go(world.engine.notices(Filter::new(&world.tenant))).into_iter().map(|n| n.purpose).collect();
    assert_eq!(told.len(), 2, "the operator is not asked: {told:?}");
    assert_eq!(world.denied(&request, "bo", at(1)), ApprovalError::IsOrderer(id("bo")));
    assert_eq!(world.denied(&request, "bo", at(1)), ApprovalError::IsOrderer(id("bo")));
    assert!(matches!(world.denied(&request, "zoe", at(1)), ApprovalError::NotAuthorised { .. }));
    assert_eq!(world.count("APPROVAL_VOTE_REFUSED"), 2, "each refusal is written down once");
    world.approve(&request, "cy", at(2));
    world.run(at(3));
    let locked = world.the("lock_account");
    assert_eq!((locked.reason(), locked.origin.operator.clone()), (Reason::Done, Some(id("bo"))));
    // The order's id makes it one order; with another content it is none.
    assert!(world.submit(world.order("call-1", "bo", "ana", order), at(4)).repeat);
    let unlock = ManualOrder::Action { action: BuiltinAction::RevokeSessions.into(), params: Params::new() };
    let reused = refused(world.engine.submit(world.order("call-1", "bo", "ana", unlock), at(5)));
    assert!(matches!(reused, EngineError::SignalReused { .. }));
    world.verified();
}

#[test]
fn a_rule_is_started_by_hand() {
    let rules = r#"{ "id": "leaver", "mode": "shadow", "trigger": { "manual": {} },
        "actions": [{ "key": "tell", "type": "escalate_to_hr", "params": { "note": "{operator}: {reason}" } }] }"#;
    let world = World::new(&document(rules));
    let start = |signal: &str| world.order(signal, "bo", "ana", ManualOrder::Rule(id("leaver")));
    world.submit(start("m1"), at(0));
    world.run(at(1));
    assert_eq!(world.target.jobs("escalate_to_hr")[0].params["note"], "bo: a call from the help desk".into());
    go(world.engine.deactivate(&world.tenant, &id("leaver"), &id("bo"), at(2)));
    let off = refused(world.engine.submit(start("m2"), at(3)));
    assert_eq!(off, EngineError::Plan(PlanError::UnknownRule(id("leaver"))));
    world.verified();
}

#[test]
fn the_kill_switch_stops_what_was_decided_before() {
    for scope in [KillScope::Tenant, KillScope::Rule(id("stop")), KillScope::Type(id("lock_account"))] {
        let world = World::new(&document(&on("stop", "go", LOCK, "")));
        world.submit(world.event("s1", "ana", at(0), GO), at(0));
        let request = world.requests().remove(0);
        let bo: ActorId = id("bo");
        go(world.engine.engage_kill_switch(&world.tenant, &scope, &bo, "a bad rule", at(1)));
        assert_eq!(world.run(at(2)).succeeded, 3, "approvers still hear of it");
        world.approve(&request, "cy", at(3));
        assert_eq!(world.run(at(4)).attempts, 0, "{scope:?}");
        assert_eq!(world.reason("lock_account"), "queued");
        // What comes meanwhile is a decision with its reason, and no failed enforcement.
        let meanwhile = world.submit(world.event("s2", "ana", at(5), GO), at(5));
        assert_eq!(suppressed(&meanwhile), ["kill_switch"]);
        assert_eq!(world.log().len(), 1);
        go(world.engine.release_kill_switch(&world.tenant, &scope, &bo, "repaired", at(6)));
        assert_eq!(world.run(at(7)).succeeded, 1);
        assert_eq!(world.reason("lock_account"), "done");
        assert_eq!(
            (world.count("POLICY_KILL_SWITCH_ENGAGED"), world.count("POLICY_KILL_SWITCH_RELEASED")),
            (1, 1)
        );
        assert_eq!(go(world.engine.control(&world.tenant)).epoch, 2);
        world.verified();
    }
}

#[test]
fn nobody_answers() {
    let world = World::new(&document(&on("r", "go", LOCK, "")));
    world.submit(world.event("s1", "ana", at(0), GO), at(0));
    let request = world.requests().remove(0);
    world.run(at(24 * 60 - 1));
    assert_eq!(world.reason("lock_account"), "awaiting_approval");
    assert_eq!(world.denied(&request, "bo", at(24 * 60)), ApprovalError::TooLate(at(24 * 60)));
    assert_eq!(world.run(at(24 * 60)).timers, 1);
    assert_eq!(world.reason("lock_account"), "approval_expired");
    assert_eq!(world.denied(&request, "bo", at(24 * 60)), ApprovalError::Over(ApprovalState::Expired));
    assert_eq!(world.stats("r", at(0)).failed, 1);
    let codes = world.codes_after(0);
    assert_eq!(
        codes[codes.len() - 4..],
        ["APPROVAL_VOTE_REFUSED", "APPROVAL_EXPIRED", "ENFORCEMENT_FAILED", "APPROVAL_VOTE_REFUSED"]
    );
    world.verified();
}

#[test]
fn approved_but_not_started_in_time() {
    let world = World::new(&document(&on("r", "go", LOCK, "")));
    world.submit(world.event("s1", "ana", at(0), GO), at(0));
    world.approve(&world.requests()[0], "bo", at(1));
    world.run(at(61));
    assert_eq!(world.reason("lock_account"), "approval_expired");
    assert!(world.target.jobs("lock_account").is_empty());
    world.verified();
}

#[test]
fn people_refuse() {
    let world = World::new(&document(&on("r", "go", LOCK, "")));
    world.submit(world.event("s1", "ana", at(0), GO), at(0));
    let request = world.requests().remove(0);
    let (bo, why) = (id("bo"), Some("she is on call"));
    let call = world.engine.reject(&world.tenant, request.id, &bo, request.digest, why, at(1));
    assert_eq!(go(call).state, ApprovalState::Rejected);
    let failed = world.the("lock_account");
    assert_eq!((failed.reason(), failed.settled_at), (Reason::Rejected, Some(at(1))));
    let stats = world.stats("r", at(2));
    assert_eq!((stats.rejected, stats.failed, stats.approved), (1, 1, 0));
    let vote = world.trail().into_iter().find(|record| record.code == "APPROVAL_VOTE_CAST").unwrap();
    assert_eq!(vote.personal["comment"].value.as_deref(), Some("she is on call"));
    // What is personal goes, and the chain still holds.
    assert_eq!(go(world.engine.erase(&world.tenant, &id("ana"), &id("dpo"), at(3))), 1);
    assert!(world.trail().iter().all(|record| record.personal.values().all(|field| field.value.is_none())));
    world.verified();
}

#[test]
fn a_shadow_rule_decides_and_does_nothing() {
    let guards = r#", "mode": "shadow", "guards": { "cooldown": { "for": "60m" } }"#;
    let world = World::new(&document(&on("r", "go", &[LOCK, TELL].join(","), guards)));
    let decision = world.submit(world.event("s1", "ana", at(0), GO), at(0));
    let effects: Vec<_> = decision.outcomes.iter().map(|outcome| outcome.effect.clone()).collect();
    assert_eq!(effects, [Effect::Shadow { approval: true }, Effect::Shadow { approval: false }]);
    assert_eq!(
        suppressed(&world.submit(world.event("s2", "ana", at(1), GO), at(1))),
        ["cooldown", "cooldown"]
    );
    assert!(world.log().is_empty() && world.requests().is_empty() && world.run(at(2)).is_idle());
    let stats = world.stats("r", at(2));
    assert_eq!((stats.fired, stats.shadow, stats.created), (2, 2, 0));
    let shadow = go(world.engine.signals(Filter::new(&world.tenant).mode(Mode::Shadow)));
    assert_eq!(shadow.rows.len(), 1);
    world.verified();
}

#[test]
fn a_rule_is_edited_while_its_request_waits() {
    let world = World::new(&document(&on("r", "go", LOCK, "")));
    world.submit(world.event("s1", "ana", at(0), GO), at(0));
    let request = world.requests().remove(0);
    // The new revision asks two people and does something else; the request stays what it was.
    let strict = r#"{ "key": "lock", "type": "revoke_sessions", "approval": { "groups": [{ "name": "security", "need": 2 }] } }"#;
    let edited = RuleSet::from_json(&document(&on("r", "go", strict, ""))).unwrap();
    let change = go(world.engine.add_rules(&world.tenant, &edited, &Actor::Host, at(1)));
    assert_eq!(change.added, [(id("r"), 2)]);
    assert_eq!(world.approve(&request, "bo", at(2)).state, ApprovalState::Granted);
    world.run(at(3));
    let locked = world.the("lock_account");
    assert_eq!((locked.reason(), locked.holders[0].revision), (Reason::Done, 1));
    // The signal that comes again gets the decision that was made, not one by the new rule.
    assert!(world.submit(world.event("s1", "ana", at(0), GO), at(4)).repeat);
    let next = world.submit(world.event("s2", "ana", at(5), GO), at(5));
    assert_eq!(next.outcomes[0].rule.as_ref().unwrap().revision, 2);
    assert_eq!(world.the("revoke_sessions").reason(), Reason::AwaitingApproval);
    world.verified();
}

#[test]
fn an_inactive_rule_leaves_no_trace() {
    let world = World::new(&document(&on("r", "go", TELL, "")));
    let bo: ActorId = id("bo");
    go(world.engine.deactivate(&world.tenant, &id("r"), &bo, at(0)));
    let before = crate::support::content(&world.store, &world.tenant);
    assert!(world.submit(world.event("s1", "ana", at(1), GO), at(1)).is_empty());
    assert_eq!(crate::support::content(&world.store, &world.tenant), before);
    go(world.engine.activate(&world.tenant, &id("r"), &bo, at(2)));
    assert_eq!(world.submit(world.event("s1", "ana", at(3), GO), at(3)).outcomes.len(), 1);
    let nobody = refused(world.engine.activate(&world.tenant, &id("ghost"), &bo, at(4)));
    assert_eq!(nobody, EngineError::NotFound { what: "rule", id: "ghost".into() });
    assert_eq!(world.codes_after(2)[..2], ["POLICY_RULE_DEACTIVATED", "POLICY_RULE_ACTIVATED"]);
    world.verified();
}

#[test]
fn a_signals_id_used_again_is_refused_and_audited_once() {
    let world = World::new(&document(&on("r", "go", TELL, "")));
    world.submit(world.event("s1", "ana", at(0), GO), at(0));
    let other = world.event("s1", "ana", at(0), r#"{ "do": "go", "place": "Graz" }"#);
    for _ in 0..2 {
        let error = refused(world.engine.submit(other.clone(), at(1)));
        let EngineError::SignalReused { id, known, given, .. } = error else { panic!("{error}") };
        assert_eq!((id.as_str(), known == given), ("s1", false));
    }
    assert_eq!(world.count("POLICY_SIGNAL_REFUSED"), 1);
    // Another spelling of the same content is no other content; another person's signal is another.
    let spelled = world.event("s1", "ana", at(0), "{\"place\":\"\\u004biel\",\"do\":\"go\"}");
    assert!(world.submit(spelled, at(2)).repeat);
    assert!(!world.submit(world.event("s1", "bea", at(0), GO), at(2)).repeat);
    assert_eq!(world.log().len(), 2);
    world.verified();
}

#[test]
fn a_guessed_person_is_not_restricted() {
    let world = World::new(&document(&on("r", "go", &[LOCK, TELL].join(","), "")));
    let guessed = world.event("s1", "ana", at(0), GO).defaulted(DefaultedField::Subject);
    let decision = world.submit(guessed, at(0));
    assert_eq!(suppressed(&decision), ["defaulted_subject"]);
    assert_eq!(world.log().len(), 1, "telling somebody is no restriction");
    world.verified();
}

#[test]
fn a_missing_variable_is_never_an_empty_text() {
    let world = World::new(&document(&on("r", "go", &[LOCK, TELL].join(","), "")));
    for (n, payload) in [r#"{ "do": "go" }"#, r#"{ "do": "go", "place": null }"#].iter().enumerate() {
        let decision = world.submit(world.event(&format!("s{n}"), "ana", at(0), payload), at(0));
        assert_eq!(suppressed(&decision), ["missing_variable"]);
        assert!(decision.to_string().contains("suppressed (missing_variable), event.place"), "{decision}");
        assert_eq!(decision.enforcements().count(), 1, "the other action is taken");
    }
    let decision = world.submit(world.event("s9", "ana", at(0), r#"{ "do": "go", "place": "" }"#), at(0));
    assert_eq!(decision.enforcements().count(), 2, "a further parameter may be empty if the event says so");
    world.verified();
}
