//! A process that falls at any commit, and answers that are lost: the next one goes on, and nothing
//! happens twice.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tipstaff::*;

use crate::support::people::Directory;
use crate::support::{Between, Frail, Target, World, at, content, go, id, refused};

const RULES: &str = r#"{ "approvers": { "default": "sec" }, "rules": [
  { "id": "lock", "author": "arne", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": { "stages": [
      { "groups": [{ "name": "help" }], "within": "2h",
        "fallback": { "groups": [{ "name": "board" }], "within": "1h" } },
      { "groups": [{ "name": "sec", "need": 2 }], "within": "4h" } ] } }] }] }"#;

fn people() -> Directory {
    let lock = BuiltinAction::LockAccount;
    Directory::default()
        .hire("help", &["hal"])
        .hire("board", &["max"])
        .hire("sec", &["bo", "cy"])
        .hire("ops", &["oz", "pat"])
        .let_do("rob", &Right::Reassign)
        .let_do("rob", &Right::Judge)
        .let_do("olga", &Right::BreakGlass(lock.into()))
        .let_do("sam", &Right::Approve(lock.into()))
}

/// One story with every new commit in it; a step that was done already may say so.
fn story(world: &World, engine: &Engine) -> Result<(), EngineError> {
    let tenant = &world.tenant;
    let call = |answer: Result<Approval, EngineError>| match answer {
        Err(EngineError::Approval(ApprovalError::AnsweredAlready(_) | ApprovalError::Over(_))) | Ok(_) => {
            Ok(())
        }
        // What was done before the fall is done.
        Err(EngineError::Approval(ApprovalError::NotAuthorised { .. })) => Ok(()),
        Err(error) => Err(error),
    };
    let due = |now| ready(engine.run_due(now)).unwrap().map(drop);
    ready(engine.submit(world.event("s1", "ana", at(0), r#"{ "do": "lock" }"#), at(0))).unwrap()?;
    for minute in [0, 60, 108, 120, 150] {
        due(at(minute))?;
    }
    let asked = world.requests().into_iter().find(|asked| !asked.ratifies).unwrap();
    let reply = |by: &str| Reply {
        by: id(by),
        on_behalf_of: None,
        verdict: Verdict::Approve,
        shown: asked.digest,
        comment: None,
    };
    call(ready(engine.reply(tenant, asked.id, &reply("max"), at(151))).unwrap())?;
    call(ready(engine.delegate(tenant, asked.id, &id("bo"), &id("sam"), at(152))).unwrap())?;
    let ops = Reassign { groups: vec![Quorum { name: id("ops"), need: 2 }], ..Reassign::default() };
    if super::again(world, &asked).progress.panels.len() < 2 {
        call(ready(engine.reassign(tenant, asked.id, &id("rob"), &ops, "leave", at(153))).unwrap())?;
    }
    call(ready(engine.reply(tenant, asked.id, &reply("oz"), at(154))).unwrap())?;
    call(ready(engine.reply(tenant, asked.id, &reply("pat"), at(155))).unwrap())?;
    due(at(156))?;
    let order = ManualOrder::Action { action: BuiltinAction::LockAccount.into(), params: Params::new() };
    ready(engine.break_glass(world.order("m1", "olga", "bea", order), at(157))).unwrap()?;
    due(at(158))?;
    due(at(158 + 24 * 60))?;
    let lock = asked.enforcement;
    ready(engine.judge(tenant, lock, Finding::FalsePositive, &id("rob"), None, at(2_000))).unwrap()?;
    due(at(2_001))
}

/// What is left of a story: states and codes, without what a fall may add (claims, attempts).
fn outcome(world: &World) -> (Vec<String>, Vec<String>, Vec<String>) {
    let mut rows: Vec<_> =
        world.log().iter().map(|row| format!("{} {} {}", row.id, row.action, row.reason())).collect();
    rows.sort();
    let mut asked: Vec<_> = world
        .requests()
        .iter()
        .map(|asked| format!("{} {} {} {}", asked.id, asked.state, asked.votes.len(), asked.progress.stage))
        .collect();
    asked.sort();
    let mut codes: Vec<_> = world
        .trail()
        .into_iter()
        .map(|record| record.code)
        .filter(|code| code.starts_with("APPROVAL_") && !code.contains("NOTICE"))
        .filter(|code| code != "APPROVAL_VOTE_REFUSED" && code != "APPROVAL_CHANGE_REFUSED")
        .collect();
    codes.sort();
    (rows, asked, codes)
}

#[test]
fn a_fall_at_any_commit_changes_nothing_of_the_outcome() {
    let whole = World::of_people(RULES, &people());
    story(&whole, &whole.engine).unwrap();
    let expected = outcome(&whole);
    assert_eq!(expected.0.len(), 4, "two locks and two undos: {:#?}", expected.0);
    let mut falls = 0;
    for commits in 0..400 {
        let world = World::of_people(RULES, &people());
        let frail = Frail::new(world.store.clone(), commits);
        let set = RuleSet::from_json(RULES).unwrap();
        let engine = Engine::new(frail, world.target.clone(), set).people(people());
        if story(&world, &engine).is_ok() {
            break;
        }
        falls += 1;
        story(&world, &world.engine).unwrap();
        // What it had claimed is free again when its lease has run out.
        world.run(at(2_100));
        assert_eq!(outcome(&world), expected, "after {commits} commits");
        // At least once, under the same key.
        let keys: BTreeSet<_> = world.target.jobs("unlock_account").iter().map(|job| job.key).collect();
        assert_eq!(keys.len(), 2, "after {commits} commits");
        world.verified();
    }
    assert!(falls > 20, "{falls}");
}

/// A store whose every commit is applied, and whose answer to it is lost the first time.
struct Deaf {
    inner: MemoryStore,
    heard: Mutex<BTreeSet<CommitId>>,
}

impl Store for Deaf {
    crate::pass_on! { inner: load, claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let first = self.heard.lock().unwrap().insert(commit.id);
        let answer = self.inner.commit(commit).await;
        if first && answer.is_ok() { Err(StoreError::Unknown("cut".to_owned())) } else { answer }
    }
}

#[test]
fn answers_that_are_lost_change_nothing() {
    let whole = World::of_people(RULES, &people());
    story(&whole, &whole.engine).unwrap();
    let world = World::of_people(RULES, &people());
    let deaf = Arc::new(Deaf { inner: world.store.clone(), heard: Mutex::default() });
    let engine = Engine::new(Arc::clone(&deaf), world.target.clone(), RuleSet::from_json(RULES).unwrap())
        .people(people());
    story(&world, &engine).unwrap();
    assert!(deaf.heard.lock().unwrap().len() > 20);
    assert_eq!(outcome(&world), outcome(&whole));
    let codes = |world: &World| world.trail().into_iter().map(|record| record.code).collect::<Vec<_>>();
    assert_eq!(codes(&world), codes(&whole), "and nothing is logged twice");
}

#[test]
fn the_same_call_again_is_the_same_commit() {
    let world = World::of_people(RULES, &people());
    story(&world, &world.engine).unwrap();
    let before = content(&world.store, &world.tenant);
    let lock = world.log().into_iter().find(|row| row.judged.is_some()).unwrap();
    go(world.engine.judge(&world.tenant, lock.id, Finding::FalsePositive, &id("rob"), None, at(3_000)));
    assert_eq!(content(&world.store, &world.tenant), before);
}

/// Somebody else agrees, and it is carried out, between the two records that an answer reads: the answer
/// comes too late, and says so as any that does.
#[test]
fn who_is_slower_than_another_approver_is_told_so() {
    let people = Directory::default().hire("sec", &["bo", "cy"]);
    let rules = RULES.replace(
        r#"{ "stages": [
      { "groups": [{ "name": "help" }], "within": "2h",
        "fallback": { "groups": [{ "name": "board" }], "within": "1h" } },
      { "groups": [{ "name": "sec", "need": 2 }], "within": "4h" } ] }"#,
        "{}",
    );
    let world = Arc::new(World::of_people(&rules, &people));
    let asked = super::ask(&world, "s1", "ana", at(0));
    let (others, same) = (Arc::clone(&world), asked.clone());
    let faster = move || {
        others.approve(&same, "cy", at(1));
        others.run(at(1));
    };
    let store = Between::new(world.store.clone(), faster).before(Kind::Enforcement);
    let none = RuleSet::from_json("[]").unwrap();
    let engine = Engine::new(store, Target::default(), none).people(people.clone());
    let error = refused(engine.approve(&world.tenant, asked.id, &id("bo"), asked.digest, None, at(1)));
    assert_eq!(error, EngineError::Approval(ApprovalError::Over(ApprovalState::Granted)));
    assert_eq!(world.reason("lock_account"), "done");
    world.verified();
}
