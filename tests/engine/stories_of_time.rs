//! Stories of scores and timetables, and of two processes on one store.

use crate::support::{World, at, go, id, refused};
use tipstaff::*;

const DAY: i64 = 24 * 60;

fn suppressed(decision: &Decision) -> Vec<&'static str> {
    let reason = |outcome: &ActionOutcome| match &outcome.effect {
        Effect::Suppressed(held) => Some(held.reason.as_str()),
        _ => None,
    };
    decision.outcomes.iter().filter_map(reason).collect()
}

fn score_rule(enters: &str, more: &str, guards: &str) -> String {
    format!(
        r#"{{ "id": "fall", "trigger": {{ "score": {{ "enters": [{enters}] {more} }} }},
             "actions": [{{ "key": "tell", "type": "send_chat_message",
                "params": {{ "channel": "soc", "message": "{{band.from}} > {{band}} at {{score}}" }} }}] {guards} }}"#
    )
}

fn messages(world: &World) -> Vec<String> {
    world.log().iter().map(|row| row.params["message"].to_string()).collect()
}

#[test]
fn a_score_jumps_into_the_worst_band() {
    let world = World::new(&score_rule(r#""orange", "red", "critical""#, "", ""));
    let mut n = 0;
    let mut submit = |minute: i64, score: &str| {
        n += 1;
        world.submit(world.score(&format!("s{n}"), "ana", at(minute), score), at(minute))
    };
    let first = submit(0, "70");
    assert!(first.is_empty(), "the first score is no move");
    assert_eq!(first.moved.unwrap().from, None);
    let jump = submit(1, "12.5");
    assert_eq!(jump.enforcements().count(), 1, "the bands between are not entered");
    let moved = jump.moved.unwrap();
    assert_eq!((moved.from, moved.to), (Some(id("yellow")), id("critical")));
    submit(2, "90");
    assert_eq!(submit(3, "8").enforcements().count(), 1, "the worst band always");
    submit(4, "45");
    assert_eq!(submit(5, "39.999999999999999999").enforcements().count(), 1);
    submit(6, "40");
    let again = submit(7, "39");
    assert_eq!(suppressed(&again), ["cooldown"], "orange to red within the day");
    submit(8, "40");
    assert_eq!(submit(5 + DAY, "39").enforcements().count(), 1);
    // Late: recorded, and moves nothing.
    let late = submit(3, "99");
    assert!(late.moved.as_ref().unwrap().late && late.is_empty());
    assert_eq!(messages(&world).len(), 4);
    assert_eq!(world.count("POLICY_SCORE_RECORDED"), 11);
    let out = refused(world.engine.submit(world.score("s99", "ana", at(0), "100.5"), at(0)));
    assert!(matches!(out, EngineError::Plan(PlanError::OutOfRange(_))), "{out}");
    world.verified();
}

#[test]
fn a_first_score_has_no_band_before() {
    let world = World::new(&score_rule(r#""red""#, r#", "first": true"#, ""));
    let decision = world.submit(world.score("s1", "ana", at(0), "25"), at(0));
    assert_eq!(suppressed(&decision), ["missing_variable"], "there is no `band.from`, and no empty text");
    world.verified();
}

#[test]
fn a_jump_may_fire_on_the_way() {
    let world = World::new(&score_rule(r#""orange", "red", "critical""#, r#", "skipped": "fire""#, ""));
    world.submit(world.score("s1", "ana", at(0), "90"), at(0));
    let jump = world.submit(world.score("s2", "ana", at(1), "5"), at(1));
    assert_eq!(jump.enforcements().count(), 3);
    let mut told = messages(&world);
    told.sort();
    assert_eq!(told, ["green > critical at 5", "green > orange at 5", "green > red at 5"]);
    world.verified();
}

#[test]
fn a_rules_rest_does_not_hide_the_worst_band() {
    // Behaviour 2.4: entry into the worst band always fires, regardless of cooldown.
    let rest = r#", "guards": { "cooldown": { "for": "60m" } }"#;
    let world = World::new(&score_rule(r#""red", "critical""#, "", rest));
    let submit =
        |signal: &str, minute, score| world.submit(world.score(signal, "ana", at(minute), score), at(minute));
    submit("s1", 0, "50");
    assert_eq!(submit("s2", 1, "30").enforcements().count(), 1);
    assert_eq!(submit("s3", 2, "10").enforcements().count(), 1, "from red to critical in the hour");
    submit("s4", 3, "50");
    assert_eq!(suppressed(&submit("s5", 4, "30")), ["cooldown"], "red rests");
    world.verified();
}

#[test]
fn the_entries_of_one_jump_do_not_hold_each_other_back() {
    let rest = r#", "guards": { "cooldown": { "for": "60m" } }"#;
    let world = World::new(&score_rule(r#""orange", "red""#, r#", "skipped": "fire""#, rest));
    world.submit(world.score("s1", "ana", at(0), "90"), at(0));
    let jump = world.submit(world.score("s2", "ana", at(1), "25"), at(1));
    assert_eq!(jump.enforcements().count(), 2, "{jump}");
    world.verified();
}

#[test]
fn an_unsure_score_is_recorded_and_not_enforced() {
    let world = World::new(&score_rule(r#""red""#, r#", "min_confidence": 0.8"#, ""));
    world.submit(world.score("s1", "ana", at(0), "50"), at(0));
    let unsure = ScoreReading { confidence: Some(id("0.79")), ..world.score("s2", "ana", at(1), "30") };
    let decision = world.submit(unsure, at(1));
    assert_eq!((suppressed(&decision), decision.moved.unwrap().to), (vec!["low_confidence"], id("red")));
    world.submit(world.score("s3", "ana", at(2), "50"), at(2));
    let sure = ScoreReading { confidence: Some(id("0.8")), ..world.score("s4", "ana", at(3), "30") };
    assert_eq!(world.submit(sure, at(3)).enforcements().count(), 1);
    world.verified();
}

/// Mondays at nine, for everybody who is known.
const WEEKLY: &str = r#"{ "id": "weekly", "trigger": { "schedule": { "cron": "0 9 * * MON", "audience": "all" } },
    "actions": [{ "key": "train", "type": "assign_training", "params": { "course": "phish" } }] }"#;
const WATCH: &str = r#"{ "id": "watch", "trigger": { "score": { "enters": ["critical"] } },
    "actions": [{ "key": "tell", "type": "escalate_to_manager" }] }"#;

/// A world that knows that many people.
fn crowd(rules: &str, people: usize) -> World {
    let world = World::new(rules);
    for n in 0..people {
        world.submit(world.score(&format!("s{n}"), &format!("p{n:03}"), at(0), "50"), at(0));
    }
    world
}

fn trainings(world: &World) -> Vec<(String, Time)> {
    let filter = Filter::new(&world.tenant).rule(id("weekly")).limit(MAX_PAGE).order(Order::Oldest);
    let rows = go(world.engine.enforcements(filter)).rows;
    rows.iter().map(|row| (row.subject.to_string(), row.origin.at)).collect()
}

#[test]
fn a_timetable_over_a_fortnight() {
    // Noon of Monday the 2nd is `at(0)`.
    let world = crowd(&format!("[{WEEKLY}, {WATCH}]"), 120);
    let mut visited = Vec::new();
    for day in 1..=14 {
        world.run(at(day * DAY));
        visited.push(trainings(&world).len());
    }
    assert_eq!(visited[5], 0, "nothing before Monday the 9th");
    assert_eq!((visited[6], visited[12], visited[13]), (120, 120, 200), "a page shows 200 rows at the most");
    let ninth: Time = id("2026-03-09T09:00:00Z");
    assert!(trainings(&world)[..120].iter().all(|(_, occurrence)| *occurrence == ninth));
    let done = |world: &World| {
        world.trail().into_iter().filter(|r| r.code == "SCHEDULE_OCCURRENCE_COMPLETED").collect::<Vec<_>>()
    };
    let runs = done(&world);
    assert_eq!(runs.len(), 2);
    assert!(runs.iter().all(|run| run.details["visited"] == Detail::Number(120)));
    assert_eq!(world.stats("weekly", at(0)).created, 240);

    // Three weeks without any process: the latest occurrence is made up for, the others are told.
    world.run(at(35 * DAY + 1));
    let skipped: Vec<_> =
        world.trail().into_iter().filter(|r| r.code == "SCHEDULE_OCCURRENCE_SKIPPED").collect();
    let when: Vec<_> = skipped.iter().map(|record| record.details["occurrence"].to_string()).collect();
    assert_eq!(when, ["2026-03-23T09:00:00Z", "2026-03-30T09:00:00Z"]);
    assert!(skipped.iter().all(|record| record.details["reason"] == Detail::Text("missed".into())));
    assert_eq!(done(&world).len(), 3);
    world.verified();
}

#[test]
fn a_timetable_for_the_people_of_a_band() {
    let rule = WEEKLY.replace(r#""all""#, r#"{ "band": ["red", "critical"] }"#);
    let world = World::new(&rule);
    for (n, score) in ["10", "30", "50", "70", "39.9"].iter().enumerate() {
        world.submit(world.score(&format!("s{n}"), &format!("p{n}"), at(0), score), at(0));
    }
    world.run(at(7 * DAY));
    let visited: Vec<_> = trainings(&world).into_iter().map(|(person, _)| person).collect();
    let mut sorted = visited.clone();
    sorted.sort();
    assert_eq!(sorted, ["p0", "p1", "p4"]);
    world.verified();
}

#[test]
fn a_process_dies_in_the_middle_of_an_audience() {
    let world = crowd(&format!("[{WEEKLY}, {WATCH}]"), 120);
    // A store that fails after so many commits is a process that dies there.
    for budget in [1, 2, 3] {
        let frail = crate::support::Frail::new(world.store.clone(), budget);
        let none = RuleSet::from_json("[]").unwrap();
        let engine = Engine::new(frail, world.target.clone(), none);
        assert!(ready(engine.run_due(at(7 * DAY))).unwrap().is_err(), "it dies");
    }
    world.run(at(7 * DAY));
    let mut people: Vec<_> = trainings(&world).into_iter().map(|(person, _)| person).collect();
    assert_eq!(people.len(), 120);
    people.dedup();
    assert_eq!(people.len(), 120, "nobody is visited twice");
    world.verified();
}

#[test]
fn an_edit_in_the_middle_of_an_audience_changes_nothing_for_it() {
    let world = crowd(&format!("[{WEEKLY}, {WATCH}]"), 250);
    let frail = crate::support::Frail::new(world.store.clone(), 2);
    let engine = Engine::new(frail, world.target.clone(), RuleSet::from_json("[]").unwrap());
    assert!(ready(engine.run_due(at(7 * DAY))).unwrap().is_err(), "one page is done");
    let edited = RuleSet::from_json(&WEEKLY.replace("phish", "passwords")).unwrap();
    go(world.engine.add_rules(&world.tenant, &edited, &Actor::Host, at(7 * DAY)));
    world.run(at(7 * DAY));
    world.run(at(14 * DAY));
    let courses = |course: &str| {
        world
            .target
            .jobs("assign_training")
            .iter()
            .filter(|job| job.params["course"] == course.into())
            .count()
    };
    assert_eq!((courses("phish"), courses("passwords")), (250, 250));
    world.verified();
}

#[test]
fn a_switched_off_timetable_stops() {
    let world = crowd(&format!("[{WEEKLY}, {WATCH}]"), 3);
    let bo: ActorId = id("bo");
    go(world.engine.deactivate(&world.tenant, &id("weekly"), &bo, at(1)));
    assert!(world.run(at(14 * DAY)).is_idle());
    go(world.engine.activate(&world.tenant, &id("weekly"), &bo, at(14 * DAY)));
    world.run(at(21 * DAY));
    assert_eq!(trainings(&world).len(), 3, "from its activation on");
    assert_eq!(world.count("SCHEDULE_OCCURRENCE_SKIPPED"), 0, "while it was off it had none to miss");
    world.verified();
}

#[test]
fn a_turn_is_only_for_a_rule_with_a_timetable() {
    let world = World::new(&format!("[{WEEKLY}, {WATCH}]"));
    let turn = |rule: &str| {
        let (rule, occurrence) = (id(rule), id("occ_000102030405060708090a0b0c0d0e0f"));
        Signal::Schedule(Turn {
            tenant: crate::support::tenant(),
            rule,
            occurrence,
            subject: Subject::user(id("ana")),
            at: at(0),
            attributes: None,
            absence: None,
        })
    };
    assert!(world.submit(turn("watch"), at(0)).is_empty(), "its trigger is a score");
    assert_eq!(world.submit(turn("weekly"), at(0)).outcomes.len(), 1);
}

const LOCK: &str = r#"{ "approvers": { "default": "security", "groups": { "security": ["bo", "cy"] } },
  "rules": [{ "id": "lock", "trigger": { "event": { "pattern": { "do": ["go"] } } },
    "actions": [{ "key": "lock", "type": "lock_account" }] }] }"#;

#[test]
fn an_approver_who_was_removed_in_another_process_may_not_answer() {
    let here = World::new(LOCK);
    here.submit(here.event("s1", "ana", at(0), r#"{ "do": "go" }"#), at(0));
    let request = here.requests().remove(0);
    let there = here.another();
    let without =
        RuleSet::from_json(r#"{ "approvers": { "default": "security", "groups": { "security": ["cy"] } } }"#)
            .unwrap();
    go(there.engine.add_rules(&there.tenant, &without, &Actor::Host, at(1)));
    assert!(matches!(here.denied(&request, "bo", at(2)), ApprovalError::NotAuthorised { .. }));
    assert_eq!(here.approve(&request, "cy", at(3)).state, ApprovalState::Granted);
    here.verified();
}

#[test]
fn what_another_process_changes_is_seen() {
    let here = World::new(&format!("[{WEEKLY}, {WATCH}]"));
    here.submit(here.score("s1", "ana", at(0), "50"), at(0));
    let there = here.another();
    let daily = RuleSet::from_json(&WEEKLY.replace("0 9 * * MON", "0 9 * * *")).unwrap();
    go(there.engine.add_rules(&there.tenant, &daily, &Actor::Host, at(1)));
    let rows = go(here.engine.rule_rows(&here.tenant, at(2)));
    let seen: Vec<_> = rows.iter().map(|row| row.rule.revision).collect();
    assert_eq!(seen, [1, 2], "watch and weekly");
    // Off and on again, by the process that had compiled the first revision.
    let there = here.another();
    go(there.engine.add_rules(&there.tenant, &RuleSet::from_json(WEEKLY).unwrap(), &Actor::Host, at(3)));
    let bo: ActorId = id("bo");
    go(here.engine.deactivate(&here.tenant, &id("weekly"), &bo, at(4)));
    go(here.engine.activate(&here.tenant, &id("weekly"), &bo, at(5)));
    let timer = crate::support::stored(&here.store, Kind::Timer, "weekly").unwrap();
    assert_eq!(timer.due_at, Some(id("2026-03-09T09:00:00Z")), "by the revision that is in force");
    // A rule that another process switched off does nothing here.
    go(here.another().engine.deactivate(&here.tenant, &id("watch"), &bo, at(6)));
    go(here.another().engine.deactivate(&here.tenant, &id("weekly"), &bo, at(6)));
    assert!(here.submit(here.score("s2", "ana", at(7), "5"), at(7)).is_empty());
    here.verified();
}

#[test]
fn a_missed_occurrence_is_audited_though_the_rule_was_edited_since() {
    let world = crowd(&format!("[{WEEKLY}, {WATCH}]"), 3);
    let edited = RuleSet::from_json(&WEEKLY.replace("phish", "passwords")).unwrap();
    go(world.engine.add_rules(&world.tenant, &edited, &Actor::Host, at(8 * DAY)));
    world.run(at(8 * DAY));
    let told = world.count("SCHEDULE_OCCURRENCE_SKIPPED") + world.count("SCHEDULE_OCCURRENCE_STARTED");
    assert_eq!(told, 1, "Monday the 9th was due before the edit");
    world.verified();
}

#[test]
fn a_jump_restricts_once_whatever_it_enters_on_the_way() {
    let rule = score_rule(r#""orange", "red", "critical""#, r#", "skipped": "fire""#, "");
    let a = rule.find(r#"{ "key""#).unwrap();
    let lock =
        format!(r#"{}{{ "key": "lock", "type": "lock_account", "approval": "none" }}] }}"#, &rule[..a]);
    let world = World::new(&lock);
    world.submit(world.score("s1", "ana", at(0), "90"), at(0));
    let jump = world.submit(world.score("s2", "ana", at(1), "5"), at(1));
    assert_eq!((jump.outcomes.len(), jump.enforcements().count()), (3, 1));
    world.run(at(2));
    assert_eq!(world.the("lock_account").holders.len(), 1, "the rule holds it once");
    let stats = world.stats("fall", at(2));
    assert_eq!((stats.created, stats.succeeded), (1, 1));
    world.verified();
}

#[test]
fn a_score_of_many_digits_is_remembered() {
    // What is stored as text must be read again, however near to the limits of a number it is.
    let world = World::new(&score_rule(r#""critical""#, "", ""));
    world.submit(world.score("s1", "ana", at(0), "50"), at(0));
    let tiny = format!("{}e-1019", "9".repeat(MAX_DECIMAL_DIGITS));
    assert_eq!(world.submit(world.score("s2", "ana", at(1), &tiny), at(1)).enforcements().count(), 1);
    world.submit(world.score("s3", "ana", at(2), "50"), at(2));
    assert_eq!(
        world.submit(world.score("s4", "ana", at(3), "0.1e-999999999999999"), at(3)).enforcements().count(),
        1
    );
    world.submit(world.score("s5", "ana", at(4), "50"), at(4));
    assert!(
        format!("{}e-1114", "9".repeat(1_094)).parse::<Score>().is_err(),
        "it would be longer written out"
    );
    world.verified();
}
