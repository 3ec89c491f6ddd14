//! Refusals of requests for approval: each error that an answer, a delegation, a reassignment, a
//! batch or a hasty order can meet, and why an approval is void.

use tipstaff::*;

use super::{Row, row};
use crate::support::people::Directory;
use crate::support::{World, at, go, id, refused};

const RULES: &str = r#"[{ "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
  "actions": [{ "key": "a", "type": "lock_account",
    "approval": { "groups": [{ "name": "sec", "need": 2 }], "comment": "on_approve" } }] }]"#;

fn world() -> (World, Approval) {
    let lock = || Right::Approve(BuiltinAction::LockAccount.into());
    let people = Directory::default()
        .hire("sec", &["bo", "cy", "di"])
        .let_do("rob", &Right::Reassign)
        .let_do("sam", &lock())
        .let_do("bo", &lock());
    let world = World::of_people(RULES, &people);
    world.submit(world.event("s1", "ana", at(0), r#"{ "do": "lock" }"#), at(0));
    let asked = world.requests().remove(0);
    (world, asked)
}

fn inner(error: EngineError) -> ApprovalError {
    match error {
        EngineError::Approval(error) => error,
        other => panic!("{other}"),
    }
}

pub(crate) fn rows() -> Vec<Row> {
    [answers(), changes(), orders(), voids()].into_iter().flatten().collect()
}

fn answers() -> Vec<Row> {
    let (world, asked) = world();
    let reply = |by: &str, voice: Option<&str>, comment: Option<&str>| {
        let reply = Reply {
            by: id(by),
            on_behalf_of: voice.map(id),
            verdict: Verdict::Approve,
            shown: asked.digest,
            comment: comment.map(str::to_owned),
        };
        inner(refused(world.engine.reply(&world.tenant, asked.id, &reply, at(1))))
    };
    vec![
        row(&reply("bo", None, Some(" ")), "to approve needs a comment; accepted: 1 to 4096 bytes"),
        row(&reply("bo", Some("bo"), Some("x")), "name somebody else"),
        row(&reply("bo", Some("cy"), Some("x")), "accepted: a delegate whom the host knows"),
    ]
}

fn changes() -> Vec<Row> {
    let (world, asked) = world();
    go(world.engine.delegate(&world.tenant, asked.id, &id("bo"), &id("sam"), at(1)));
    let chain = refused(world.engine.delegate(&world.tenant, asked.id, &id("cy"), &id("bo"), at(1)));
    let reassign = |groups: &[(&str, u32)]| {
        let groups = groups.iter().map(|(name, need)| Quorum { name: id(name), need: *need }).collect();
        let to = Reassign { groups, ..Reassign::default() };
        refused(world.engine.reassign(&world.tenant, asked.id, &id("rob"), &to, "leave", at(1)))
    };
    let many: Vec<String> = (0..=MAX_GROUPS).map(|i| format!("g{i}")).collect();
    let many: Vec<(&str, u32)> = many.iter().map(|name| (name.as_str(), 1)).collect();
    let by_bo = refused(world.engine.reassign(
        &world.tenant,
        asked.id,
        &id("bo"),
        &Reassign::default(),
        "leave",
        at(1),
    ));
    vec![
        row(&inner(chain), "name somebody who has not"),
        row(&inner(reassign(&[("sec", 1)])), "accepted: as many or more"),
        row(&inner(reassign(&[("sec", 4)])), "only 3 of those named may answer; name more"),
        row(&inner(reassign(&many)), "9 groups; accepted: at most 8, each once"),
        row(&by_bo, "`bo` may not name other approvers; the host's directory"),
    ]
}

fn orders() -> Vec<Row> {
    let (world, asked) = world();
    let bo: ActorId = id("bo");
    let reply = |batch: &Batch| {
        refused(world.engine.reply_batch(&world.tenant, batch, &bo, Verdict::Reject, None, at(1)))
    };
    let empty = refused(world.engine.batch(Filter::new(&world.tenant).user(id("nobody"))));
    let mut batch = go(world.engine.batch(Filter::new(&world.tenant)));
    let digest = batch.digest;
    batch.digest = Hash::ZERO;
    let other = reply(&batch);
    batch.digest = digest;
    let elsewhere = refused(world.engine.reply_batch(&id("else"), &batch, &bo, Verdict::Reject, None, at(1)));
    let of = |error: &EngineError| match error {
        EngineError::Batch(error) => error.clone(),
        other => panic!("{other}"),
    };
    vec![
        row(&empty, "accepted: 1 to 200, each once"),
        row(&of(&empty), "accepted: 1 to 200, each once"),
        row(&of(&other), "look again and answer again"),
        row(&of(&elsewhere), &format!("{} of the batch changed", asked.id)),
    ]
}

fn voids() -> Vec<Row> {
    let (world, asked) = world();
    let reply =
        |by: &str| go(world.engine.approve(&world.tenant, asked.id, &id(by), asked.digest, Some("x"), at(1)));
    reply("bo");
    let granted = reply("cy");
    let enforcement = world.the("lock_account");
    let evidence = granted.context.evidence.clone();
    let carried = Carried {
        enforcement: enforcement.id,
        subject: &enforcement.subject,
        action: &enforcement.action,
        params: &enforcement.params,
        trigger: enforcement.origin.trigger,
        evidence: &evidence,
    };
    assert_eq!(granted.covers(&carried), Ok(()));
    let other: EnforcementId = id(&format!("enf_{}", "0".repeat(32)));
    let action: ActionType = BuiltinAction::RevokeSessions.into();
    let alone = Approval { votes: granted.votes[..1].to_vec(), ..granted.clone() };
    vec![
        row(&asked.covers(&carried).unwrap_err(), "its approval is open; only a granted one counts"),
        row(&alone.covers(&carried).unwrap_err(), "1 answer(s) for what was shown are missing"),
        row(&granted.covers(&Carried { enforcement: other, ..carried }).unwrap_err(), "another enforcement"),
        row(&granted.covers(&Carried { action: &action, ..carried }).unwrap_err(), "the action changed"),
        // Told in the record of an enforcement whose request is gone or broken: tests/engine/approvals.
        row(&VoidReason::Missing, "ask again"),
        row(&VoidReason::Damaged("x".to_owned()), "cannot be read (x); ask again"),
    ]
}
