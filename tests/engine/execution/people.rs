//! What people order while something runs, and when it came to nothing.

use tipstaff::*;

use super::batches::RULES;
use crate::support::{World, at, commit_id, go, id, refused};

fn asked(what: &str) -> (World, EnforcementId) {
    let world = World::new(RULES);
    world.submit(world.event("s1", "ana", at(0), &format!(r#"{{"do": "{what}"}}"#)), at(0));
    let made = world.log().remove(0).id;
    (world, made)
}

/// A worker that claims it, and dies.
fn dies(world: &World, now: Time) {
    let claim = Claim {
        worker: id("w-dead"),
        nonce: commit_id(&format!("{:x}", now.micros())),
        channels: None,
        max: 1,
        until: now,
        lease: Span::secs(60),
        after: None,
    };
    assert_eq!(go(world.store.claim(&claim)).len(), 1);
}

#[test]
fn what_is_called_off_while_it_runs_is_not_tried_again() {
    // What its attempt comes to, and how it ends then.
    for (answer, reason) in [
        (Delivered::done(), "done"),
        (Delivered::retry("503"), "cancelled"),
        (Outcome::Unknown.into(), "outcome_unknown"),
        (Delivered::permanent("no"), "permanent_error"),
    ] {
        let (world, e) = asked("tell");
        let (store, tenant) = (world.store.clone(), world.tenant.clone());
        let target = move |_: &Job| {
            let desk =
                Engine::new(store.clone(), |_: &Job| Delivered::done(), RuleSet::from_json("[]").unwrap());
            let running = go(desk.cancel(&tenant, e, &id("olga"), "a mistake", at(1)));
            assert_eq!(running.reason(), Reason::Running);
            let twice = refused(desk.cancel(&tenant, e, &id("olga"), "again", at(1)));
            assert!(matches!(twice, EngineError::Move(MoveError::Illegal { state: Reason::Running, .. })));
            answer.clone()
        };
        let engine = Engine::new(world.store.clone(), target, RuleSet::from_json("[]").unwrap());
        go(engine.run_due(at(1)));
        assert_eq!(world.reason("send_chat_message"), reason);
        assert_eq!(world.count("ENFORCEMENT_CANCEL_ASKED"), 1);
        assert!(world.run(at(1_000)).is_idle(), "nothing follows");
        world.verified();
    }
}

#[test]
fn what_died_and_was_called_off_is_asked_about_and_not_delivered() {
    for (known, reason) in
        [(Probe::Done, "done"), (Probe::NotDone, "cancelled"), (Probe::Unknown, "outcome_unknown")]
    {
        let (world, e) = asked("tell");
        dies(&world, at(0));
        go(world.engine.cancel(&world.tenant, e, &id("olga"), "a mistake", at(0)));
        assert_eq!(world.run(at(0)).attempts, 0, "the dead worker's lease runs on");
        world.target.knows("send_chat_message", known);
        world.run(at(2));
        assert_eq!(world.reason("send_chat_message"), reason, "{known:?}");
        assert!(world.target.all().is_empty());
        world.verified();
    }
}

#[test]
fn a_dead_letter_is_tried_again_by_hand() {
    let (world, e) = asked("tell");
    let olga: ActorId = id("olga");
    let pending = refused(world.engine.retry(&world.tenant, e, &olga, "now", at(0)));
    assert_eq!(pending, EngineError::Move(MoveError::Illegal { state: Reason::Queued, input: "retry" }));
    world.target.answers("send_chat_message", [Delivered::permanent("no such channel")]);
    world.run(at(0));
    let dead = go(world.engine.enforcements(Filter::new(&world.tenant).status(Status::Failed))).rows;
    assert_eq!(
        dead.iter().map(|row| row.id).collect::<Vec<_>>(),
        [e],
        "the dead letters are those that failed"
    );
    assert_eq!(refused(world.engine.retry(&world.tenant, e, &olga, " ", at(1))), EngineError::Reason(1));
    let retry = go(world.engine.retry(&world.tenant, e, &olga, "the channel is there now", at(1)));
    assert_eq!((retry.retry_of, retry.reason(), retry.attempts), (Some(e), Reason::Queued, 0));
    assert_eq!(go(world.engine.retry(&world.tenant, e, &olga, "once more", at(2))).id, retry.id, "once");
    assert_eq!(world.count("ENFORCEMENT_RETRIED"), 1);
    assert_eq!(world.run(at(2)).succeeded, 1);
    let rows = world.log();
    assert_eq!(rows.iter().map(|row| row.reason().as_str()).collect::<Vec<_>>(), ["permanent_error", "done"]);
    assert_eq!(rows[0].origin.trigger, rows[1].origin.trigger, "both are of one signal");
    world.verified();
}

#[test]
fn a_dead_letter_that_many_rules_share_is_tried_again() {
    let rule = |n: usize| {
        format!(
            r#"{{ "id": "{}-{n}", "trigger": {{ "event": {{ "pattern": {{ "do": ["lock"] }} }} }},
                "actions": [{{ "key": "a", "type": "lock_account", "approval": "none", "for": "1h" }}] }}"#,
            "r".repeat(240)
        )
    };
    let rules: Vec<String> = (0..20).map(rule).collect();
    let world = World::new(&format!("[{}]", rules.join(",")));
    world.target.answers("lock_account", [Delivered::permanent("no such account")]);
    world.submit(world.event("s1", "ana", at(0), r#"{"do": "lock"}"#), at(0));
    world.run(at(0));
    let dead = world.the("lock_account");
    assert_eq!((dead.holders.len(), dead.reason()), (20, Reason::PermanentError));
    go(world.engine.retry(&world.tenant, dead.id, &id("olga"), "it is there now", at(1)));
    assert_eq!(world.run(at(1)).succeeded, 1);
    world.verified();
}
