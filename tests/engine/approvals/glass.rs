//! Break-glass: act now, ratify afterwards.

use tipstaff::*;

use super::{again, told};
use crate::support::people::Directory;
use crate::support::{World, at, content, go, id, refused};

const RULES: &str = r#"{ "approvers": { "default": "sec" }, "rules": [
  { "id": "hand", "author": "arne", "trigger": { "manual": {} }, "actions": [
    { "key": "a", "type": "lock_account" }, { "key": "b", "type": "escalate_to_hr" } ] }] }"#;

fn world() -> (World, Directory) {
    let people = Directory::default().hire("sec", &["bo", "cy", "olga"]);
    for action in [BuiltinAction::LockAccount, BuiltinAction::RevokeSessions, BuiltinAction::EscalateToHr] {
        people.let_do("olga", &Right::BreakGlass(action.into()));
    }
    (World::of_people(RULES, &people), people)
}

fn order(world: &World, action: BuiltinAction) -> ManualStart {
    let order = ManualOrder::Action { action: action.into(), params: Params::new() };
    world.order("m1", "olga", "ana", order)
}

/// Locked at once, and asked for ratification.
fn locked() -> (World, Approval) {
    let (world, _) = world();
    go(world.engine.break_glass(order(&world, BuiltinAction::LockAccount), at(0)));
    world.run(at(0));
    let asked = world.requests().remove(0);
    (world, asked)
}

#[test]
fn what_is_started_runs_at_once_and_people_are_asked_afterwards() {
    let (world, asked) = locked();
    assert_eq!(world.reason("lock_account"), "done");
    assert!(asked.ratifies && asked.state == ApprovalState::Open);
    assert_eq!(told(&world), ["opened 1 bo", "opened 1 cy"], "not the one who ordered it");
    let broke = world.trail().into_iter().find(|r| r.code == "ENFORCEMENT_BROKE_GLASS").unwrap();
    assert_eq!((broke.severity, broke.approval), (Severity::Critical, Some(asked.id)));
    assert_eq!(world.denied(&asked, "olga", at(1)), ApprovalError::IsOrderer(id("olga")));
    let view = go(world.engine.approval_view(&world.tenant, asked.id, at(1)));
    assert_eq!(view.if_unanswered, IfUnanswered::TakenBack);
    // Ratified: it stays.
    assert_eq!(world.approve(&asked, "bo", at(1)).state, ApprovalState::Granted);
    world.run(at(10_000));
    assert_eq!(world.log().len(), 1);
    assert!(told(&world).contains(&"result 1 olga".to_owned()));
    world.verified();
}

#[test]
fn what_broke_glass_and_failed_is_not_tried_again_before_people_agree() {
    let (world, _) = world();
    world.target.answers("lock_account", [Delivered::permanent("no such account")]);
    go(world.engine.break_glass(order(&world, BuiltinAction::LockAccount), at(0)));
    world.run(at(0));
    let failed = world.the("lock_account").id;
    let again = go(world.engine.retry(&world.tenant, failed, &id("mia"), "it exists now", at(1)));
    assert_eq!(again.reason(), Reason::AwaitingApproval);
    world.run(at(2));
    assert_eq!(world.target.jobs("lock_account").len(), 1, "only the first, which broke glass");
    let asked = world.requests().into_iter().find(|asked| asked.enforcement == again.id).unwrap();
    assert!(!asked.ratifies);
    for orderer in ["olga", "mia"] {
        world.denied(&asked, orderer, at(2));
    }
    world.approve(&asked, "bo", at(3));
    world.run(at(3));
    assert_eq!(world.target.jobs("lock_account").len(), 2);
    world.verified();
}

#[test]
fn what_nobody_ratifies_in_time_is_taken_back() {
    let (world, asked) = locked();
    world.run(at(24 * 60 - 1));
    assert_eq!(world.log().len(), 1);
    world.run(at(24 * 60));
    assert_eq!(again(&world, &asked).state, ApprovalState::Expired);
    let undo = world.the("unlock_account");
    assert_eq!((undo.subject.user.as_str(), undo.reason()), ("ana", Reason::Done));
    assert_eq!(undo.channel, "unlock_account".parse().unwrap(), "its own way");
    assert!(undo.origin.reason.unwrap().contains("nobody ratified it in time"));
    assert_eq!(world.count("ENFORCEMENT_UNDONE"), 1);
    world.another().run(at(24 * 60 + 1));
    assert_eq!(world.target.jobs("unlock_account").len(), 1, "once");
    world.verified();
}

#[test]
fn what_is_refused_is_taken_back_at_once() {
    let (world, asked) = locked();
    go(world.engine.reject(&world.tenant, asked.id, &id("cy"), asked.digest, Some("no"), at(5)));
    world.run(at(5));
    assert_eq!(world.reason("unlock_account"), "done");
}

#[test]
fn what_has_no_inverse_stays_and_that_is_critical() {
    let (world, _) = world();
    go(world.engine.break_glass(order(&world, BuiltinAction::RevokeSessions), at(0)));
    world.run(at(0));
    world.run(at(24 * 60));
    assert_eq!(world.log().len(), 1);
    let stays: Vec<_> = world.trail().into_iter().filter(|r| r.code == "ENFORCEMENT_NOT_REVERSED").collect();
    assert_eq!((stays.len(), stays[0].severity), (1, Severity::Critical));
    assert!(told(&world).contains(&"not_reversed 1 olga".to_owned()), "{:?}", told(&world));
}

#[test]
fn what_was_not_carried_out_yet_is_called_off() {
    let (world, _) = world();
    world.target.answers("lock_account", vec![Delivered::retry("later"); 3]);
    go(world.engine.break_glass(order(&world, BuiltinAction::LockAccount), at(0)));
    world.run(at(0));
    let asked = world.requests().remove(0);
    assert_eq!(world.reason("lock_account"), "retry_wait");
    go(world.engine.reject(&world.tenant, asked.id, &id("cy"), asked.digest, None, at(0)));
    world.run(at(60));
    assert_eq!(world.reason("lock_account"), "cancelled");
    assert_eq!(world.log().len(), 1, "the target said that nothing happened: there is nothing to undo");
}

#[test]
fn an_answer_that_was_lost_may_have_arrived_and_is_undone() {
    let (world, _) = world();
    world.target.answers("lock_account", vec![Outcome::Unknown.into()]);
    go(world.engine.break_glass(order(&world, BuiltinAction::LockAccount), at(0)));
    world.run(at(0));
    let asked = world.requests().remove(0);
    assert_eq!(world.reason("lock_account"), "retry_wait");
    go(world.engine.reject(&world.tenant, asked.id, &id("cy"), asked.digest, None, at(0)));
    world.run(at(1));
    assert_eq!((world.reason("lock_account"), world.reason("unlock_account")), ("cancelled", "done"));
}

#[test]
fn without_the_right_nothing_is_started() {
    let (world, people) = world();
    // The right is one for a type; a rule that starts two needs both.
    let rule = ManualOrder::Rule(id("hand"));
    let bo = world.order("m2", "bo", "ana", rule.clone());
    go(world.engine.rules(&world.tenant, at(0)));
    let before = content(&world.store, &world.tenant).len();
    let error = refused(world.engine.break_glass(bo.clone(), at(0)));
    let right = Right::BreakGlass(BuiltinAction::LockAccount.into());
    assert_eq!(error, EngineError::NotPermitted { actor: id("bo"), right: right.clone() });
    assert_eq!(content(&world.store, &world.tenant).len(), before + 1, "nothing but the audit record");
    assert_eq!(world.count("POLICY_ORDER_REFUSED"), 1);
    people.let_do("bo", &right);
    let error = refused(world.engine.break_glass(bo, at(0)));
    assert!(matches!(error, EngineError::NotPermitted { right: Right::BreakGlass(action), .. }
        if action == BuiltinAction::EscalateToHr.into()));
    assert!(world.log().is_empty());
    go(world.engine.break_glass(world.order("m3", "olga", "ana", rule), at(0)));
    world.run(at(0));
    assert_eq!(world.log().len(), 2);
    assert_eq!(world.requests().len(), 1, "what needs no approval is an ordinary start");
    // By any door.
    let flagged =
        ManualStart { break_glass: true, ..world.order("m4", "cy", "ana", ManualOrder::Rule(id("hand"))) };
    assert!(matches!(refused(world.engine.submit(flagged, at(1))), EngineError::NotPermitted { .. }));
}

#[test]
fn an_order_is_the_same_order_only_with_the_same_haste() {
    let (world, _) = world();
    let order = order(&world, BuiltinAction::LockAccount);
    go(world.engine.start(order.clone(), at(0)));
    let error = refused(world.engine.break_glass(order.clone(), at(1)));
    assert!(matches!(error, EngineError::SignalReused { .. }), "who thinks that it acted must not: {error}");
    assert_eq!(world.reason("lock_account"), "awaiting_approval");
    let (world, _) = self::world();
    go(world.engine.break_glass(order.clone(), at(0)));
    assert!(go(world.engine.break_glass(order, at(1))).repeat);
    assert_eq!(world.log().len(), 1);
}

#[test]
fn without_a_directory_only_named_operators_break_glass() {
    let rules = RULES.replace(
        r#""default": "sec""#,
        r#""default": "sec", "operators": ["olga"], "groups": { "sec": ["bo"] }"#,
    );
    let world = World::new(&rules);
    go(world.engine.break_glass(order(&world, BuiltinAction::LockAccount), at(0)));
    world.run(at(0));
    assert_eq!(world.reason("lock_account"), "done");
    let cy = ManualStart { operator: id("cy"), id: id("m9"), ..order(&world, BuiltinAction::LockAccount) };
    assert!(matches!(refused(world.engine.break_glass(cy, at(0))), EngineError::NotPermitted { .. }));
}
