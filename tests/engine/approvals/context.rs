//! What an approver is shown, as data and as text.

use serde_json::Value;
use tipstaff::*;

use crate::support::{World, at, go, id};

const RULES: &str = r#"{
  "approvers": { "groups": { "help": ["hal", "han"], "board": ["max"], "sec": ["bo", "cy", "di"] } },
  "rules": [
    { "id": "fall", "trigger": { "score": { "enters": ["red"] } }, "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
    { "id": "lock", "author": "arne", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": { "stages": [
      { "groups": [{ "name": "help" }], "within": "2h",
        "fallback": { "groups": [{ "name": "board" }], "within": "1h" } },
      { "groups": [{ "name": "sec", "need": 2 }], "within": "4h", "rejections": 2 } ] } }] }] }"#;

fn view(world: &World, asked: &Approval, now: Time) -> ApprovalView {
    go(world.engine.approval_view(&world.tenant, asked.id, now))
}

#[test]
fn an_approver_sees_what_it_rests_on_and_what_happens_next() {
    let world = World::new(RULES);
    world.submit(world.score("x1", "ana", at(0), "70"), at(0));
    let asked = super::ask(&world, "s1", "ana", at(1));
    world.submit(world.score("x2", "ana", at(2), "30"), at(2));
    let seen = view(&world, &asked, at(31));
    assert_eq!(
        seen.if_unanswered,
        IfUnanswered::Fallback {
            groups: vec![Quorum { name: id("board"), need: 1 }],
            within: Span::hours(1),
        }
    );
    assert_eq!((seen.stage.number, seen.stage.of, seen.stage.missing), (1, 2, 1));
    assert_eq!((seen.stage.left, seen.stage.rejections_left), (Span::mins(90), 1));
    let text = seen.to_string();
    for line in [
        "`lock_account` for ana, stage 1 of 2, needs 1 of `help`",
        "because of event s1 from okta",
        "do = ",
        "on scale default then: yellow (70)",
        "on scale default now: red (30)",
        "earlier: enf_",
        "told of it in help: hal, han",
        "1 more must agree within 1h30m; 1 more refusal(s) end it",
        "if nobody answers: 1 of `board` are asked instead, for 1h",
        "answer for digest ",
    ] {
        assert!(text.contains(line), "`{line}` is not in\n{text}");
    }
    // Nobody is told to hurry when it is too late.
    let late = view(&world, &asked, at(121)).to_string();
    assert!(late.contains("its time ran out at 2026-03-02T14:01:00Z; no answer is taken"), "{late}");
    // The same as data.
    let data: Value = serde_json::to_value(&seen).unwrap();
    for pointer in [
        "/approval/context/evidence/do",
        "/approval/context/standing/default/band",
        "/now/default/band",
        "/earlier/0/action",
        "/stage/awaited/1",
        "/if_unanswered/fallback/groups/0/name",
    ] {
        assert!(data.pointer(pointer).is_some(), "{pointer} is not in\n{data:#}");
    }
    world.approve(&asked, "hal", at(40));
    let later = view(&world, &asked, at(41));
    assert_eq!(later.if_unanswered, IfUnanswered::Expires);
    let text = later.to_string();
    assert!(text.contains("approve by hal in stage 1 at"), "{text}");
    assert!(text.contains("if nobody answers: it expires, and nothing is done"), "{text}");
    let over = view(&world, &asked, at(40 + 240));
    assert_eq!(over.stage.left, Span::ZERO);
    world.run(at(40 + 240));
    assert_eq!(view(&world, &asked, at(300)).if_unanswered, IfUnanswered::Over);
}
