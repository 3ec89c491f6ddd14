//! Stories of what happens between an enforcement and its target.

use crate::support::{World, at, commit_id, go, id, refused, stored, tamper};
use tipstaff::*;

/// An event `{"do": "<action>"}` asks for that action; `lock` asks people first.
const RULES: &str = r#"{
  "approvers": { "default": "security", "groups": { "security": ["bo", "cy"] } },
  "rules": [
    { "id": "tell", "trigger": { "event": { "pattern": { "do": ["tell"] } } },
      "actions": [{ "key": "a", "type": "send_chat_message", "params": { "channel": "soc", "message": "{user}" } }] },
    { "id": "escalate", "trigger": { "event": { "pattern": { "do": ["escalate"] } } },
      "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
    { "id": "train", "trigger": { "event": { "pattern": { "do": ["train"] } } },
      "actions": [{ "key": "a", "type": "assign_training", "params": { "course": "phish" }, "confirm_within": "2d" }] },
    { "id": "revoke", "trigger": { "event": { "pattern": { "do": ["revoke"] } } },
      "actions": [{ "key": "a", "type": "revoke_sessions", "approval": "none" }] },
    { "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
      "actions": [{ "key": "a", "type": "lock_account" }] } ] }"#;

/// A world in which one signal has asked for that action.
fn asked(what: &str) -> World {
    let world = World::new(RULES);
    let decision = world.submit(world.event("s1", "ana", at(0), &format!(r#"{{"do": "{what}"}}"#)), at(0));
    assert_eq!(decision.outcomes.len(), 1);
    world
}

/// A worker that claims what is ready, and dies.
fn dies(world: &World, name: &str, now: Time) -> Vec<Record> {
    let claim = Claim {
        worker: id(name),
        nonce: commit_id(&format!("{:x}", now.micros())),
        channels: None,
        max: 10,
        until: now,
        lease: Span::secs(60),
        after: None,
    };
    go(world.store.claim(&claim))
}

fn outcomes(e: &Enforcement) -> Vec<Option<Outcome>> {
    e.history.iter().map(|attempt| attempt.outcome).collect()
}

#[test]
fn a_target_that_is_down_is_tried_again() {
    let world = asked("tell");
    world.target.answers("send_chat_message", [Delivered::retry("503"), Delivered::done().reference("m-1")]);
    let report = world.run(at(0));
    assert_eq!((report.attempts, report.waiting, report.succeeded), (1, 1, 0));
    let waiting = world.the("send_chat_message");
    let State::RetryWait { until, .. } = waiting.state else { panic!("{waiting}") };
    assert_eq!(world.run(Time::from_micros(until.micros() - 1)).attempts, 0, "not before its time");
    assert_eq!(world.run(until).succeeded, 1);
    let done = world.the("send_chat_message");
    assert_eq!((done.reason(), done.attempts, done.settled_at), (Reason::Done, 2, Some(until)));
    assert_eq!(done.history[0].report.message.as_deref(), Some("503"));
    assert_eq!(done.history[1].report.reference.as_deref(), Some("m-1"));
    let keys: Vec<_> =
        world.target.jobs("send_chat_message").iter().map(|job| (job.key, job.attempt)).collect();
    assert_eq!(keys, [(done.id, 1), (done.id, 2)], "one key over all attempts");
    assert_eq!(
        world.codes_after(world.trail().len() - 6),
        [
            "POLICY_SIGNAL_DECIDED",
            "ENFORCEMENT_CREATED",
            "ENFORCEMENT_CLAIMED",
            "ENFORCEMENT_RETRY_SCHEDULED",
            "ENFORCEMENT_CLAIMED",
            "ENFORCEMENT_SUCCEEDED",
        ]
    );
    assert_eq!(world.stats("tell", at(5)).succeeded, 1);
    world.verified();
}

#[test]
fn what_the_target_asks_for_is_waited() {
    let world = asked("tell");
    let later = Outcome::Retry { after: Some(Span::hours(5)) };
    world.target.answers("send_chat_message", [later.into()]);
    world.run(at(0));
    assert_eq!(world.run(at(299)).attempts, 0);
    assert_eq!(world.run(at(300)).succeeded, 1);
    world.verified();
}

#[test]
fn a_refusal_for_good_is_final() {
    let world = asked("tell");
    world.target.answers("send_chat_message", [Delivered::permanent("no such channel")]);
    assert_eq!(world.run(at(0)).failed, 1);
    assert_eq!(world.reason("send_chat_message"), "permanent_error");
    assert!(world.run(at(10_000)).is_idle(), "nothing leaves it");
    assert_eq!(world.stats("tell", at(0)).failed, 1);
    assert_eq!(world.count("ENFORCEMENT_FAILED"), 1);
    world.verified();
}

#[test]
fn attempts_run_out() {
    let world = asked("tell");
    world.target.answers("send_chat_message", std::iter::repeat_n(Delivered::retry("503"), 50));
    let attempts: usize = (0..30).map(|hour| world.run(at(hour * 60)).attempts).sum();
    assert_eq!(attempts, 10);
    assert_eq!(world.reason("send_chat_message"), "exhausted");
    world.verified();
}

#[test]
fn a_late_revocation_is_not_carried_out() {
    // Newer, legitimate sessions would be ended: it must have started within the hour.
    let world = asked("revoke");
    let report = world.run(at(60));
    assert_eq!((report.timers, report.attempts), (1, 0));
    assert_eq!(world.reason("revoke_sessions"), "exhausted");
    world.verified();

    let world = asked("revoke");
    assert_eq!(world.run(at(59)).succeeded, 1);
    assert_eq!(world.count("ACCOUNT_SESSIONS_REVOKED_ALL"), 1, "the catalogue's own code");
    world.verified();
}

#[test]
fn a_lost_answer_of_what_must_not_be_repeated() {
    for (known, reason, asked_target) in
        [(Probe::Unknown, "outcome_unknown", 1), (Probe::Done, "done", 1), (Probe::NotDone, "retry_wait", 1)]
    {
        let world = asked("escalate");
        world.target.answers("escalate_to_hr", [Outcome::Unknown.into()]);
        world.target.knows("escalate_to_hr", known);
        world.run(at(0));
        assert_eq!(world.reason("escalate_to_hr"), reason);
        assert_eq!(world.target.asked(), asked_target);
        let critical = world.trail().iter().filter(|record| record.severity == Severity::Critical).count();
        assert_eq!(critical, usize::from(known == Probe::Unknown), "somebody should look now");
        world.verified();
    }
    // Where a repeat does no harm, it is repeated and nobody is asked.
    let world = asked("tell");
    world.target.answers("send_chat_message", [Outcome::Unknown.into()]);
    world.run(at(0));
    assert_eq!((world.reason("send_chat_message"), world.target.asked()), ("retry_wait", 0));
    assert_eq!(world.run(at(60)).succeeded, 1);
    world.verified();
}

#[test]
fn a_target_confirms_later() {
    let world = asked("train");
    world.target.answers("assign_training", [Delivered::done().reference("course-7")]);
    world.run(at(0));
    let waiting = world.the("assign_training");
    assert_eq!(waiting.state, State::AwaitingConfirmation { until: at(2 * 24 * 60), called_off: false });
    let done = go(world.engine.confirm(&world.tenant, waiting.id, true, at(100)));
    assert_eq!((done.reason(), done.settled_at), (Reason::Done, Some(at(100))));
    assert!(world.run(at(10_000)).is_idle());
    let twice = refused(world.engine.confirm(&world.tenant, waiting.id, false, at(101)));
    assert_eq!(twice, EngineError::Move(MoveError::Illegal { state: Reason::Done, input: "confirm" }));
    assert_eq!(world.stats("train", at(0)).succeeded, 1);
    world.verified();

    // No report in time: nobody knows.
    let world = asked("train");
    world.run(at(0));
    world.run(at(2 * 24 * 60));
    assert_eq!(world.reason("assign_training"), "outcome_unknown");
    assert_eq!(world.stats("train", at(0)).failed, 1);
    world.verified();
}

#[test]
fn what_is_over_cannot_be_called_off() {
    let world = asked("tell");
    let e = world.the("send_chat_message").id;
    let olga: ActorId = id("olga");
    world.run(at(2));
    let over = refused(world.engine.cancel(&world.tenant, e, &olga, "no", at(3)));
    assert_eq!(over, EngineError::Move(MoveError::Illegal { state: Reason::Done, input: "cancel" }));
    world.verified();

    let world = asked("tell");
    let e = world.the("send_chat_message").id;
    go(world.engine.cancel(&world.tenant, e, &olga, "a drill", at(1)));
    assert_eq!(world.reason("send_chat_message"), "cancelled");
    assert!(world.run(at(2)).is_idle() && world.target.jobs("send_chat_message").is_empty());
    let record = world.trail().pop().unwrap();
    assert_eq!((record.code.as_str(), &record.actor), ("ENFORCEMENT_CANCELLED", &Actor::Person(olga)));
    assert_eq!(record.personal["reason"].value.as_deref(), Some("a drill"));
    world.verified();
}

#[test]
fn calling_off_what_waits_for_people_withdraws_the_request() {
    let world = asked("lock");
    let e = world.the("lock_account");
    go(world.engine.cancel(&world.tenant, e.id, &id("olga"), "a drill", at(1)));
    assert_eq!(world.reason("lock_account"), "cancelled");
    assert_eq!(world.requests()[0].state, ApprovalState::Withdrawn);
    assert_eq!(
        world.denied(&world.requests()[0], "bo", at(2)),
        ApprovalError::Over(ApprovalState::Withdrawn)
    );
    let why = |record: &AuditRecord| record.personal.get("reason").and_then(|reason| reason.value.clone());
    let trail = world.trail();
    let cancelled = trail.iter().find(|record| record.code == "ENFORCEMENT_CANCELLED").unwrap();
    assert_eq!(why(cancelled).as_deref(), Some("a drill"), "why is kept here as well");
    assert_eq!(world.stats("lock", at(2)).failed, 1);
    world.verified();
}

#[test]
fn a_worker_dies_and_another_takes_over() {
    let world = asked("tell");
    let claimed = dies(&world, "w-dead", at(0));
    assert_eq!(claimed.len(), 1);
    assert_eq!(world.run(at(0)).attempts, 0, "its lease runs");
    assert_eq!(world.run(at(1)).succeeded, 1);
    let done = world.the("send_chat_message");
    assert_eq!(done.attempts, 2);
    assert_eq!(outcomes(&done), [None, Some(Outcome::Done)]);
    assert_eq!(done.history[0].worker, id("w-dead"));
    assert_eq!((world.count("ENFORCEMENT_CLAIMED"), world.count("ENFORCEMENT_RECLAIMED")), (1, 1));
    world.verified();
}

#[test]
fn a_worker_dies_with_what_must_not_be_repeated() {
    for (known, reason, delivered) in
        [(Probe::Unknown, "outcome_unknown", 0), (Probe::Done, "done", 0), (Probe::NotDone, "done", 1)]
    {
        let world = asked("escalate");
        dies(&world, "w-dead", at(0));
        world.target.knows("escalate_to_hr", known);
        world.run(at(1));
        assert_eq!(world.reason("escalate_to_hr"), reason);
        assert_eq!(world.target.jobs("escalate_to_hr").len(), delivered, "{known:?}");
        world.verified();
    }
}

#[test]
fn the_last_attempt_of_what_must_not_be_repeated_dies_too() {
    // Ten attempts are allowed; the tenth is lost with its worker. It may have been carried out,
    // so that calling it exhausted would be a guess.
    for (known, reason) in
        [(Probe::Unknown, "outcome_unknown"), (Probe::Done, "done"), (Probe::NotDone, "exhausted")]
    {
        let world = asked("escalate");
        world.target.answers("escalate_to_hr", std::array::from_fn::<_, 9, _>(|_| Delivered::retry("503")));
        world.target.knows("escalate_to_hr", known);
        for attempt in 0..9 {
            world.run(at(attempt * 61));
        }
        assert_eq!(dies(&world, "w-dead", at(600)).len(), 1);
        world.run(at(602));
        assert_eq!(world.reason("escalate_to_hr"), reason, "{known:?}");
        assert_eq!(world.target.jobs("escalate_to_hr").len(), 9);
        world.verified();
    }
}

#[test]
fn an_answer_that_comes_too_late_changes_nothing_and_is_audited() {
    // The target of the slow worker answers only after another worker has taken the job over.
    let world = asked("tell");
    let (store, tenant) = (world.store.clone(), world.tenant.clone());
    let slow = move |job: &Job| {
        let quick =
            Engine::new(store.clone(), |_: &Job| Delivered::done(), RuleSet::from_json("[]").unwrap());
        assert_eq!(go(quick.run_due(at(10))).succeeded, 1, "{job}");
        Delivered::permanent("too slow")
    };
    let engine = Engine::new(world.store.clone(), slow, RuleSet::from_json("[]").unwrap());
    let report = go(engine.run_due(at(0)));
    assert_eq!((report.attempts, report.stale, report.succeeded + report.failed), (1, 1, 0));
    let done = go(engine.enforcements(Filter::new(&tenant))).rows.remove(0);
    assert_eq!((done.reason(), done.attempts), (Reason::Done, 2));
    let refused = world.trail().pop().unwrap();
    assert_eq!(refused.code, "ENFORCEMENT_SETTLE_REFUSED");
    assert_eq!(refused.enforcement, Some(done.id));
    world.verified();
}

#[test]
fn a_missed_start_is_missed_even_where_its_counters_are_damaged() {
    // Counters hold up nothing: the timer ends what the claim must not carry out late.
    let world = asked("revoke");
    let stats = crate::support::counts(&world.store, "revoke").unwrap();
    tamper(&world.store, stats, "1", |body| body["fired"] = "many".into());
    let report = world.run(at(61));
    assert_eq!((report.attempts, world.target.jobs("revoke_sessions").len()), (0, 0));
    assert_eq!(world.reason("revoke_sessions"), "exhausted");
}

#[test]
fn what_was_approved_is_what_is_carried_out() {
    // Somebody edits the stored enforcement after people agreed to something else.
    let world = asked("lock");
    let request = world.requests().remove(0);
    world.approve(&request, "bo", at(1));
    let record = stored(&world.store, Kind::Enforcement, request.enforcement).unwrap();
    tamper(&world.store, record, "2", |body| body["subject"]["user"] = "zoe".into());
    world.run(at(2));
    let failed = world.the("lock_account");
    assert_eq!(failed.reason(), Reason::PermanentError);
    let why = failed.history[0].report.message.as_deref();
    assert_eq!(
        why,
        Some("its approval is for other content: the subject changed since it was asked; ask again")
    );
    assert!(world.target.jobs("lock_account").is_empty());
    world.verified();
}

#[test]
fn long_reports_are_cut_and_long_histories_too() {
    let world = asked("tell");
    let long = "ä".repeat(MAX_REPORT_BYTES);
    world
        .target
        .answers("send_chat_message", [Delivered::done().message(&long).recipient(&long).reference(&long)]);
    world.run(at(0));
    let report = world.the("send_chat_message").history.remove(0).report;
    for text in [report.message, report.recipient, report.reference] {
        assert_eq!(text.unwrap(), "ä".repeat(MAX_REPORT_BYTES / 2));
    }
    world.verified();

    // Workers that die are counted all, and the latest are kept in full.
    let world = asked("train");
    for n in 0..MAX_KEPT_ATTEMPTS as i64 + 3 {
        assert_eq!(dies(&world, &format!("w{n}"), at(2 * n)).len(), 1);
    }
    let e = world.the("assign_training");
    assert_eq!((e.attempts as usize, e.history.len()), (MAX_KEPT_ATTEMPTS + 3, MAX_KEPT_ATTEMPTS));
    assert_eq!(e.history[0].number, 4);
    world.verified();
}
