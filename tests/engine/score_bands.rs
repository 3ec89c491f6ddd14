//! A changed band set: counted first, agreed to, then carried through every subject once, whatever
//! happens on the way.

use crate::support::{Frail, World, at, content, go, id, refused, stored, tamper};
use tipstaff::*;

/// The tenant's document, with green beginning there and red there.
fn document(green: &str, red: &str) -> String {
    format!(
        r#"{{
  "approvers": {{ "default": "sec", "groups": {{ "sec": ["bo", "cy"] }} }},
  "scales": [
    {{ "id": "default", "low": 0, "high": 100, "high_is": "safe",
      "bands": [{{ "name": "green", "from": {green} }}, {{ "name": "orange", "from": {red} }},
        {{ "name": "red", "from": 10 }}, {{ "name": "critical", "from": 0 }}] }},
    {{ "id": "other", "low": 0, "high": 9, "high_is": "risky", "bands": [{{ "name": "calm", "from": 0 }}, {{ "name": "wild", "from": 5 }}] }} ],
  "rules": [
    {{ "id": "lock", "trigger": {{ "score": {{ "enters": ["red"] }} }}, "actions": [{{ "key": "a", "type": "lock_account" }}] }},
    {{ "id": "tell", "trigger": {{ "score": {{ "enters": ["orange", "red"] }} }}, "actions": [{{ "key": "a", "type": "escalate_to_hr" }}] }},
    {{ "id": "try", "mode": "shadow", "trigger": {{ "score": {{ "enters": ["green"], "direction": "better" }} }},
      "actions": [{{ "key": "a", "type": "escalate_to_hr" }}] }},
    {{ "id": "else", "trigger": {{ "score": {{ "scale": "other", "enters": ["wild"] }} }}, "actions": [{{ "key": "a", "type": "escalate_to_manager" }}] }} ] }}"#
    )
}

fn set(text: &str) -> RuleSet {
    RuleSet::from_json(text).unwrap_or_else(|error| panic!("{error}"))
}

/// People with these scores on the standard bands of the document, green from 60 and orange from 30.
fn crowd(people: u32) -> World {
    let world = World::new(&document("60", "30"));
    for n in 0..people {
        let score = [90, 65, 50, 35, 20, 5][n as usize % 6];
        world.submit(world.score("s1", &format!("u{n:04}"), at(0), &score.to_string()), at(0));
    }
    world
}

fn preview(world: &World, set: &RuleSet, now: i64) -> BandPreview {
    go(world.engine.preview_bands(&world.tenant, set, at(now)))
}

fn apply(world: &World, set: &RuleSet, preview: &BandPreview, now: i64) -> BandRun {
    let (olga, most) = (id("olga"), preview.moved);
    go(world.engine.apply_bands(&world.tenant, set, preview.digest, most, &olga, "new bands", at(now)))
}

fn band(world: &World, user: &str) -> Option<String> {
    let record = stored(&world.store, Kind::Subject, format!("user:{user}").as_str()).unwrap();
    let state: SubjectState = serde_json::from_str(&record.body).unwrap();
    state.scores.get(&id::<ScaleId>("default")).map(|level| level.band.to_string())
}

/// The moves as `from>to count`.
fn moves(preview: &BandPreview) -> Vec<String> {
    preview.moves.iter().map(|(the, count)| format!("{}>{} {}", the.from, the.to, count.subjects)).collect()
}

#[test]
fn nobody_is_moved_silently() {
    let world = crowd(12);
    let before = content(&world.store, &world.tenant);
    let changed = set(&document("70", "40"));
    let error = refused(world.engine.add_rules(&world.tenant, &changed, &Actor::Host, at(1)));
    assert_eq!(error, EngineError::BandsChanged(ScaleList(vec![id("default")])));
    assert_eq!(content(&world.store, &world.tenant), before);
    // A scale on which nobody is may change, and so may all that is not bands.
    let other =
        document("60", "30").replace(r#""from": 5 }"#, r#""from": 6 }"#).replace(r#""lock""#, r#""lock2""#);
    go(world.engine.add_rules(&world.tenant, &set(&other), &Actor::Host, at(1)));
    // Hysteresis and hold decide on bands as well.
    let held = other.replace(r#""id": "default", "low""#, r#""id": "default", "hold": "7d", "low""#);
    let error = refused(world.engine.add_rules(&world.tenant, &set(&held), &Actor::Host, at(1)));
    assert!(matches!(error, EngineError::BandsChanged(_)), "{error}");
    // Dropping the scale brings the standard one back, which has other bands.
    let none = r#"{ "approvers": { "default": "sec", "groups": { "sec": ["bo", "cy"] } },
      "scales": [{ "id": "other", "low": 0, "high": 9, "high_is": "risky", "bands": [{ "name": "calm", "from": 0 }, { "name": "wild", "from": 6 }] }] }"#;
    let error = refused(world.engine.add_rules(&world.tenant, &set(none), &Actor::Host, at(1)));
    assert!(matches!(error, EngineError::BandsChanged(_)), "{error}");
}

#[test]
fn a_preview_counts_and_writes_nothing() {
    let world = crowd(120);
    let before = content(&world.store, &world.tenant);
    let found = preview(&world, &set(&document("70", "40")), 1);
    assert_eq!(content(&world.store, &world.tenant), before);
    assert_eq!((found.subjects, found.moved, found.unreadable, found.damaged), (120, 40, 0, 0));
    assert_eq!(moves(&found), ["green>orange 20", "orange>red 20"]);
    assert!(found.moves.values().all(|count| count.sample.len() == MAX_MOVE_SAMPLE));
    let count = |rule: &str, action: &str| found.actions[&(id(rule), id(action))];
    assert_eq!(count("lock", "lock_account"), ActionCount { created: 20, ask: 20, shadow: 0, suppressed: 0 });
    assert_eq!(
        count("tell", "escalate_to_hr"),
        ActionCount { created: 40, ask: 0, shadow: 0, suppressed: 0 }
    );
    assert_eq!((found.actions.len(), found.approvals), (2, 20));
    let better = preview(&world, &set(&document("50", "30")), 1);
    assert_eq!(moves(&better), ["orange>green 20"]);
    assert_eq!(better.actions[&(id("try"), id("escalate_to_hr"))].shadow, 20);
    // The same question has the same answer.
    assert_eq!(preview(&world, &set(&document("70", "40")), 1), found);
    assert_ne!(better.digest, found.digest);
    // What guards hold back is counted as that.
    let (olga, all) = (id("olga"), KillScope::Tenant);
    go(world.engine.engage_kill_switch(&world.tenant, &all, &olga, "wait", at(2)));
    let stopped = preview(&world, &set(&document("70", "40")), 2);
    assert_eq!((stopped.moved, stopped.approvals), (40, 0));
    assert_eq!(stopped.actions[&(id("lock"), id("lock_account"))].suppressed, 20);
}

#[test]
fn what_was_previewed_happens() {
    let world = crowd(120);
    let changed = set(&document("70", "40"));
    let found = preview(&world, &changed, 1);
    let run = apply(&world, &changed, &found, 2);
    assert_eq!((run.moved, run.done, run.agreed), (0, false, 40));
    assert_eq!(world.log().len(), 0, "nothing before the run");
    world.run(at(3));
    let run = go(world.engine.band_run(&world.tenant, found.digest));
    assert_eq!((run.moved, run.visited, run.done), (40, 120, true));
    let filter = |action: &str| Filter::new(&world.tenant).action(id::<ActionType>(action)).limit(MAX_PAGE);
    assert_eq!(go(world.engine.enforcements(filter("lock_account"))).rows.len(), 20);
    assert_eq!(go(world.engine.enforcements(filter("escalate_to_hr"))).rows.len(), 40);
    assert_eq!(world.requests().len(), 20);
    for (user, expected) in [("u0000", "green"), ("u0001", "orange"), ("u0003", "red"), ("u0005", "critical")]
    {
        assert_eq!(band(&world, user).unwrap(), expected, "{user}");
    }
    assert_eq!(world.count("POLICY_LEVEL_REREAD"), 40);
    assert_eq!((world.count("POLICY_BANDS_CHANGED"), world.count("POLICY_BANDS_COMPLETED")), (1, 1));
    // Repeats: of the order, of the run; and there is nothing left to preview.
    assert_eq!(apply(&world, &changed, &found, 4), run);
    assert!(world.run(at(5)).is_idle());
    assert!(preview(&world, &changed, 6).scales.is_empty());
    let later = go(world.engine.add_rules(&world.tenant, &changed, &Actor::Host, at(7)));
    assert_eq!(later.added.len(), 0);
    // There and back again: each way is a change of its own.
    let back = set(&document("60", "30"));
    for (to, now) in [(&back, 10), (&changed, 20), (&back, 30)] {
        let found = preview(&world, to, now);
        assert_eq!(found.moved, 40);
        apply(&world, to, &found, now);
        world.run(at(now + 1));
    }
    assert_eq!(world.count("POLICY_LEVEL_REREAD"), 160);
    assert_eq!(band(&world, "u0003").unwrap(), "orange");
    world.verified();
}

#[test]
fn a_world_that_has_changed_is_another_preview() {
    let world = crowd(12);
    let changed = set(&document("70", "40"));
    let found = preview(&world, &changed, 1);
    let call = |digest: Hash, most: u64, reason: &str| {
        let olga = id("olga");
        ready(world.engine.apply_bands(&world.tenant, &changed, digest, most, &olga, reason, at(3))).unwrap()
    };
    assert_eq!(call(found.digest, 4, ""), Err(EngineError::Reason(0)));
    assert_eq!(call(found.digest, 3, "r"), Err(EngineError::TooManyMoves { moves: 4, agreed: 3 }));
    // A score that moves nobody else voids nothing.
    world.submit(world.score("s2", "u0000", at(2), "95"), at(2));
    assert_eq!(preview(&world, &changed, 2).digest, found.digest);
    // One that does is told, and so is a rule.
    world.submit(world.score("s2", "u0001", at(2), "95"), at(2));
    let now = preview(&world, &changed, 2);
    assert_eq!(
        call(found.digest, 9, "r"),
        Err(EngineError::PreviewStale { given: found.digest, found: now.digest })
    );
    let more = set(
        r#"[{ "id": "new", "trigger": { "manual": {} }, "actions": [{ "key": "a", "type": "escalate_to_hr" }] }]"#,
    );
    go(world.engine.add_rules(&world.tenant, &more, &Actor::Host, at(3)));
    assert!(matches!(call(now.digest, 9, "r"), Err(EngineError::PreviewStale { .. })));
    assert_eq!(world.count("POLICY_BANDS_CHANGED"), 0);
    let now = preview(&world, &changed, 3);
    assert!(call(now.digest, 3, "r").is_ok());
    // Another change waits for this one.
    let back = set(&document("60", "30"));
    let next = preview(&world, &back, 4);
    let olga = id("olga");
    let error = refused(world.engine.apply_bands(&world.tenant, &back, next.digest, 9, &olga, "r", at(4)));
    assert_eq!(error, EngineError::BandsMoving);
}

#[test]
fn a_crash_at_any_commit_moves_everybody_once() {
    for commits in 0..9 {
        let world = crowd(120);
        let changed = set(&document("70", "40"));
        let found = preview(&world, &changed, 1);
        let none = || set("[]");
        // Ordering it may crash, and so may the run; each time another process goes on.
        let frail = Engine::new(Frail::new(world.store.clone(), commits), world.target.clone(), none());
        let olga: ActorId = id("olga");
        let call = frail.apply_bands(&world.tenant, &changed, found.digest, 40, &olga, "new", at(2));
        if ready(call).unwrap().is_ok() {
            let _ = ready(frail.run_due(at(3))).unwrap();
        }
        apply(&world, &changed, &found, 2);
        world.run(at(4));
        let run = go(world.engine.band_run(&world.tenant, found.digest));
        assert_eq!((run.moved, run.visited, run.done), (40, 120, true), "after {commits} commits");
        assert_eq!(world.count("POLICY_LEVEL_REREAD"), 40);
        assert_eq!(world.requests().len(), 20);
        assert_eq!(world.count("POLICY_BANDS_CHANGED"), 1);
        world.verified();
    }
}

#[test]
fn a_score_that_comes_before_the_run_is_read_by_the_new_bands_after_the_move() {
    let world = crowd(12);
    let changed = set(&document("70", "40"));
    let found = preview(&world, &changed, 1);
    apply(&world, &changed, &found, 2);
    // u0003 was orange with 35, and is red by the new bands; then they recover.
    world.submit(world.score("s2", "u0003", at(3), "45"), at(3));
    assert_eq!(world.count("POLICY_LEVEL_REREAD"), 1);
    assert_eq!(band(&world, "u0003").unwrap(), "orange");
    assert_eq!(go(world.engine.band_run(&world.tenant, found.digest)).moved, 1);
    world.run(at(4));
    assert_eq!(world.count("POLICY_LEVEL_REREAD"), 4);
    assert_eq!(go(world.engine.band_run(&world.tenant, found.digest)).moved, 4);
    assert_eq!(world.requests().len(), 2);
    world.verified();
}

#[test]
fn beyond_what_was_agreed_to_people_move_and_nothing_follows() {
    let world = crowd(12);
    let changed = set(&document("70", "40"));
    let found = preview(&world, &changed, 1);
    apply(&world, &changed, &found, 2);
    // Somebody else comes to where the new bands would move them, by a score from before the change:
    // it is read by the new bands at once, so it is no move of the change.
    world.submit(world.score("s2", "u0000", at(1), "65"), at(3));
    assert_eq!(band(&world, "u0000").unwrap(), "orange");
    // What was agreed to is fewer than move now.
    let key = stored(&world.store, Kind::Change, found.digest.to_string().as_str()).unwrap();
    tamper(&world.store, key, "1", |body| body["agreed"] = 3.into());
    let before = world.log().len();
    world.run(at(4));
    let run = go(world.engine.band_run(&world.tenant, found.digest));
    assert_eq!((run.moved, run.done), (4, true));
    let over = go(world.engine.signals(Filter::new(&world.tenant).limit(MAX_PAGE))).rows;
    let held_back = over.iter().flat_map(|row| &row.outcomes).filter(|outcome| {
        matches!(&outcome.effect, Effect::Suppressed(held) if held.reason == Suppression::OverAgreed)
    });
    assert_eq!(held_back.count(), 2, "the last one to move is held back: two rules");
    assert_eq!(world.log().len() - before, 4);
    world.verified();
}

#[test]
fn names_that_are_gone_and_scores_that_are_outside() {
    let world = crowd(12);
    // Red is called rot now; nobody can say whether that is worse.
    let renamed = document("60", "30").replace("\"red\"", "\"rot\"");
    let found = preview(&world, &set(&renamed), 1);
    assert_eq!(moves(&found), ["red>rot 2"]);
    assert!(found.actions.is_empty(), "an entry from unknown fires only where a rule says so");
    let first = renamed.replace(
        r#""id": "tell", "trigger": { "score": { "#,
        r#""id": "tell", "trigger": { "score": { "first": true, "#,
    );
    assert_eq!(preview(&world, &set(&first), 1).actions[&(id("tell"), id("escalate_to_hr"))].created, 2);
    // Rules that still name the old band do not fit.
    let half = renamed.replace(r#"["rot"]"#, r#"["red"]"#);
    assert!(RuleSet::from_json(&half).is_err());
    // A range that ends before somebody's score.
    let short = document("60", "30").replace(r#""high": 100"#, r#""high": 80"#);
    let found = preview(&world, &set(&short), 1);
    assert_eq!((found.moved, found.unreadable), (0, 2));
    apply(&world, &set(&short), &found, 2);
    world.run(at(3));
    assert_eq!((world.count("POLICY_BANDS_SKIPPED"), band(&world, "u0000")), (2, None));
    world.submit(world.score("s9", "u0000", at(4), "70"), at(4));
    assert_eq!(band(&world, "u0000").unwrap(), "green");
    world.verified();
}

#[test]
fn a_damaged_record_holds_up_nobody_else() {
    let world = crowd(12);
    let record = stored(&world.store, Kind::Subject, "user:u0002").unwrap();
    tamper(&world.store, record, "1", |body| body["scores"] = 7.into());
    let changed = set(&document("70", "40"));
    let found = preview(&world, &changed, 1);
    assert_eq!((found.moved, found.damaged), (4, 1));
    apply(&world, &changed, &found, 2);
    world.run(at(3));
    assert_eq!((world.count("POLICY_LEVEL_REREAD"), world.count("POLICY_BANDS_SKIPPED")), (4, 1));
}

#[test]
fn scales_alone_change_these_scales_alone() {
    let world = crowd(12);
    let alone = r#"{ "scales": [{ "id": "default", "low": 0, "high": 100, "high_is": "safe", "bands": [
      { "name": "green", "from": 70 }, { "name": "orange", "from": 40 }, { "name": "red", "from": 10 }, { "name": "critical", "from": 0 }] }] }"#;
    let found = preview(&world, &set(alone), 1);
    assert_eq!(moves(&found), ["green>orange 2", "orange>red 2"]);
    apply(&world, &set(alone), &found, 2);
    world.run(at(3));
    let rules = go(world.engine.rules(&world.tenant, at(3)));
    assert_eq!((rules.rules().count(), rules.settings().scales.len()), (4, 2));
    assert!(rules.settings().default_group.is_some());
    assert_eq!(rules.settings().scale(&id("default")).unwrap().revision(), 2);
    assert_eq!(world.requests().len(), 2);
    // The standard scale, too, where the tenant had declared none.
    let plain = World::new(
        r#"[{ "id": "r", "trigger": { "score": { "enters": ["red"] } }, "actions": [{ "key": "a", "type": "escalate_to_hr" }] }]"#,
    );
    plain.submit(plain.score("s1", "ana", at(0), "50"), at(0));
    let own = set(&alone
        .replace("\"from\": 40", "\"from\": 55")
        .replace(r#"{ "name": "green""#, r#"{ "name": "yellow", "from": 80 }, { "name": "green""#));
    assert!(matches!(
        refused(plain.engine.add_rules(&plain.tenant, &own, &Actor::Host, at(1))),
        EngineError::BandsChanged(_)
    ));
    let found = preview(&plain, &own, 1);
    assert_eq!(moves(&found), ["orange>red 1"]);
    apply(&plain, &own, &found, 2);
    plain.run(at(3));
    assert_eq!(plain.log().len(), 1);
}

#[test]
fn a_hold_stays_through_a_change_and_a_dwell_ends() {
    let with = |extra: &str, green: &str| {
        document(green, "30")
            .replace(r#""id": "default", "low""#, &format!(r#""id": "default", {extra}, "low""#))
    };
    let hold = r#""hold": "7d""#;
    let world = World::new(&with(hold, "60"));
    world.submit(world.score("s1", "ana", at(0), "20"), at(0));
    world.submit(world.score("s2", "ana", at(1), "65"), at(1));
    let changed = set(&with(hold, "50"));
    let found = preview(&world, &changed, 2);
    assert_eq!(found.moved, 0, "ana is held in red");
    apply(&world, &changed, &found, 2);
    world.run(at(3));
    assert_eq!(band(&world, "ana").unwrap(), "red");
    world.run(at(7 * 24 * 60));
    assert_eq!(band(&world, "ana").unwrap(), "green", "and is let go when she would have been");
    // A hold that is taken away holds nobody.
    let world = World::new(&with(hold, "60"));
    world.submit(world.score("s1", "ana", at(0), "20"), at(0));
    world.submit(world.score("s2", "ana", at(1), "65"), at(1));
    assert_eq!(moves(&preview(&world, &set(&document("60", "30")), 2)), ["red>green 1"]);
    let dwell = r#""hysteresis": { "dwell": "1d" }"#;
    let world = World::new(&with(dwell, "60"));
    world.submit(world.score("s1", "ana", at(0), "20"), at(0));
    world.submit(world.score("s2", "ana", at(1), "65"), at(1));
    assert_eq!(moves(&preview(&world, &set(&with(dwell, "62")), 2)), ["red>green 1"]);
}

#[test]
fn more_scales_than_the_log_can_name_change_all_the_same() {
    // Their names are more than a target of the log holds.
    let scales = |wild: u32| {
        let scale = |n: usize| {
            format!(
                r#"{{ "id": "s{n:02}-{}", "low": 0, "high": 9, "high_is": "risky",
                    "bands": [{{ "name": "calm", "from": 0 }}, {{ "name": "wild", "from": {wild} }}] }}"#,
                "x".repeat(200)
            )
        };
        format!(r#"{{ "scales": [{}] }}"#, (0..30).map(scale).collect::<Vec<_>>().join(","))
    };
    let world = World::new(&scales(5));
    let changed = set(&scales(6));
    apply(&world, &changed, &preview(&world, &changed, 1), 1);
    world.run(at(2));
    for code in ["POLICY_BANDS_CHANGED", "POLICY_BANDS_COMPLETED"] {
        let record = world.trail().into_iter().find(|record| record.code == code).unwrap();
        let target = record.target.unwrap();
        assert!(target.len() <= MAX_DETAIL_BYTES && target.ends_with('…'), "{target}");
    }
    world.verified();
}
