//! What becomes of occurrences that nobody began in time: after a downtime, while another one is
//! under way, when the clock or the zone's data moves.

use crate::support::{Frail, World, at, go, id, stored};
use proptest::prelude::*;
use tipstaff::*;

/// A rule every hour, with a way to catch up and an action.
fn hourly(catch_up: &str, action: &str) -> String {
    timed("0 * * * *", catch_up, action)
}

fn timed(line: &str, catch_up: &str, action: &str) -> String {
    let catch_up = if catch_up.is_empty() { String::new() } else { format!(r#", "catch_up": "{catch_up}""#) };
    format!(
        r#"{{ "approvers": {{ "default": "security", "groups": {{ "security": ["bo", "cy"] }} }}, "rules": [{{
            "id": "timed", "trigger": {{ "schedule": {{ "cron": "{line}", "audience": "all"{catch_up} }} }},
            "actions": [{{ "key": "a", {action} }}] }}] }}"#
    )
}

const TRAIN: &str = r#""type": "assign_training", "params": { "course": "phish" }"#;
const MFA: &str = r#""type": "require_step_up_mfa""#;

/// A world at noon that knows Ana.
fn world(rules: &str) -> World {
    let world = World::new(rules);
    go(world.engine.describe(&world.tenant, &id("ana"), Some(&payload("{}")), at(0)));
    world
}

fn payload(text: &str) -> Payload {
    Payload::new(text).unwrap()
}

/// The occurrences that were begun, in their order.
fn begun(world: &World) -> Vec<String> {
    told(world, "SCHEDULE_OCCURRENCE_STARTED").into_iter().map(|(at, _)| at).collect()
}

/// Those that were left out one by one, with the reason.
fn left_out(world: &World) -> Vec<(String, String)> {
    told(world, "SCHEDULE_OCCURRENCE_SKIPPED")
}

fn told(world: &World, code: &str) -> Vec<(String, String)> {
    let records = world.trail().into_iter().filter(|record| record.code == code);
    let hour = |record: &AuditRecord| {
        record.details["occurrence"].to_string()[5..].replace(":00Z", "").replace("03-02T", "")
    };
    let why =
        |record: &AuditRecord| record.details.get("reason").map(ToString::to_string).unwrap_or_default();
    records.map(|record| (hour(&record), why(&record))).collect()
}

/// Every occurrence that came due is accounted for: begun, or left out with a record.
fn accounted(world: &World) -> u64 {
    (begun(world).len() + left_out(world).len()) as u64
}

#[test]
fn each_policy_after_a_downtime_of_five_hours() {
    let missed =
        |hours: &[&str], why: &str| hours.iter().map(|hour| ((*hour).to_owned(), why.to_owned())).collect();
    let none: Vec<(String, String)> = Vec::new();
    for (catch_up, action, expected, skipped) in [
        ("", TRAIN, vec!["17:00"], missed(&["13:00", "14:00", "15:00", "16:00"], "missed")),
        ("latest", MFA, vec!["17:00"], missed(&["13:00", "14:00", "15:00", "16:00"], "missed")),
        ("skip", TRAIN, vec![], missed(&["13:00", "14:00", "15:00", "16:00", "17:00"], "missed")),
        ("", MFA, vec![], missed(&["13:00", "14:00", "15:00", "16:00", "17:00"], "missed")),
        ("all", MFA, vec!["13:00", "14:00", "15:00", "16:00", "17:00"], none),
    ] {
        let world = world(&hourly(catch_up, action));
        world.run(at(5 * 60 + 30));
        assert_eq!(begun(&world), expected, "{catch_up} {action}");
        assert_eq!(left_out(&world), skipped, "{catch_up} {action}");
        assert_eq!(world.log().len(), expected.len(), "one for each that was begun");
        world.run(at(6 * 60));
        assert_eq!(begun(&world).last().unwrap(), "18:00", "and it goes on");
        world.verified();
    }
}

#[test]
fn the_default_is_what_the_gravest_action_asks_for() {
    let own = r#"{ "types": [{ "name": "badge_off", "category": "integration", "restricts": true },
        { "name": "ping", "category": "integration", "restricts": false }], "approvers": { "default": "g", "groups": { "g": ["bo"] } },"#;
    for (actions, expected) in [
        (&["assign_training"][..], CatchUp::Latest),
        (&["send_chat_message"], CatchUp::Latest),
        (&["escalate_to_hr", "self_policing", "send_webhook", "ping"], CatchUp::Latest),
        (&["require_step_up_mfa"], CatchUp::Skip),
        (&["send_chat_message", "lock_account"], CatchUp::Skip),
        (&["badge_off"], CatchUp::Skip),
    ] {
        let params = |action: &str| match action {
            "assign_training" => r#"{ "course": "c" }"#,
            "send_chat_message" => r#"{ "channel": "c", "message": "m" }"#,
            "self_policing" => r#"{ "template": "t" }"#,
            "send_webhook" => r#"{ "endpoint": "siem" }"#,
            _ => "{}",
        };
        let actions: Vec<_> = actions
            .iter()
            .map(|name| format!(r#"{{ "key": "{name}", "type": "{name}", "params": {} }}"#, params(name)))
            .collect();
        let rules = format!(
            r#"{own} "rules": [{{ "id": "r", "trigger": {{ "schedule": {{ "cron": "@daily", "audience": "all" }} }},
                "actions": [{}] }}] }}"#,
            actions.join(",")
        );
        let set = RuleSet::from_json(&rules).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(set.rule(&id("r")).unwrap().catch_up(), expected, "{actions:?}");
    }
}

#[test]
fn what_is_merely_late_is_not_missed() {
    let grace = CATCH_UP_GRACE.as_millis() as i64 * 1_000;
    let late = |micros: i64| Time::from_micros(at(60).micros() + grace + micros);
    for (now, expected) in [(late(0), vec!["13:00"]), (late(1), vec![])] {
        let world = world(&hourly("skip", MFA));
        world.run(now);
        assert_eq!(begun(&world), expected, "{now}");
        assert_eq!(accounted(&world), 1);
    }
    // A later one that is due makes the earlier one missed, however short the time.
    let world = world(&timed("* * * * *", "skip", MFA));
    world.run(at(2));
    assert_eq!(
        (begun(&world), left_out(&world)),
        (vec!["12:02".into()], vec![("12:01".into(), "missed".into())])
    );
}

#[test]
fn all_makes_up_for_a_hundred_and_tells_the_rest() {
    let world = world(&timed("*/10 * * * *", "all", TRAIN));
    // 20 hours are 120 occurrences.
    world.run(at(20 * 60));
    let begun = begun(&world);
    assert_eq!((begun.len(), left_out(&world).len()), (MAX_CATCH_UP, 20));
    assert!(left_out(&world).iter().all(|(_, why)| why == "beyond_limit"));
    assert_eq!(begun.last().unwrap(), "03-03T08:00");
    assert_eq!(accounted(&world), 120);
    world.verified();
}

#[test]
fn a_process_that_dies_while_it_catches_up_goes_on() {
    let world = world(&hourly("all", TRAIN));
    for commits in [1, 2, 3, 4] {
        let engine = Engine::new(
            Frail::new(world.store.clone(), commits),
            world.target.clone(),
            RuleSet::from_json("[]").unwrap(),
        );
        assert!(ready(engine.run_due(at(6 * 60))).unwrap().is_err(), "it dies");
    }
    // And two more hours are missed meanwhile.
    world.run(at(8 * 60));
    assert_eq!(begun(&world), ["13:00", "14:00", "15:00", "16:00", "17:00", "18:00", "19:00", "20:00"]);
    assert_eq!((world.log().len(), left_out(&world).len()), (8, 0));
    world.verified();
}

/// 3 days of a line that runs every minute: nine commits.
const ABSURD: i64 = 3 * 24 * 60;

/// Each occurrence of that downtime has one record of its own, whether it began or was left out.
fn each_told_once(world: &World) {
    let records = world.trail().into_iter().filter(|record| {
        ["SCHEDULE_OCCURRENCE_STARTED", "SCHEDULE_OCCURRENCE_SKIPPED"].contains(&record.code.as_str())
    });
    let mut told: Vec<String> = records.map(|record| record.details["occurrence"].to_string()).collect();
    told.sort_unstable();
    let all: Vec<String> = (1..=ABSURD).map(|minute| Detail::At(at(minute)).to_string()).collect();
    assert_eq!(told.len(), all.len());
    assert!(told == all, "an occurrence is told twice, and another is not");
    world.verified();
}

#[test]
fn an_absurd_downtime_is_told_occurrence_by_occurrence() {
    for (catch_up, began) in [("skip", 1), ("latest", 1), ("all", 100)] {
        let world = world(&timed("* * * * *", catch_up, TRAIN));
        world.run(at(ABSURD));
        assert_eq!(begun(&world).len(), began, "{catch_up}");
        each_told_once(&world);
    }
}

#[test]
fn a_crash_in_the_middle_of_an_absurd_downtime_tells_nothing_twice() {
    for calls in [1, 2, 5, 9] {
        let world = world(&timed("* * * * *", "latest", TRAIN));
        let rules = RuleSet::from_json("[]").unwrap();
        let ended = Engine::new(Frail::new(world.store.clone(), calls), world.target.clone(), rules);
        assert!(ready(ended.run_due(at(ABSURD))).unwrap().is_err(), "{calls}");
        world.run(at(ABSURD));
        each_told_once(&world);
    }
}

#[test]
fn a_rule_that_changes_after_an_absurd_downtime_answers_for_all_of_it() {
    let edited = |world: &World| {
        let rules = RuleSet::from_json(&timed("0 3 * * *", "latest", TRAIN)).unwrap();
        go(world.engine.add_rules(&world.tenant, &rules, &Actor::Engine, at(ABSURD)));
    };
    let stopped = |world: &World| {
        go(world.engine.deactivate(&world.tenant, &id("timed"), &id("olga"), at(ABSURD)));
    };
    for (change, began) in [(&edited as &dyn Fn(&World), 1), (&stopped, 0)] {
        let world = world(&timed("* * * * *", "latest", TRAIN));
        change(&world);
        world.run(at(ABSURD));
        assert_eq!(begun(&world).len(), began);
        each_told_once(&world);
    }
}

#[test]
fn while_one_works_through_its_audience_the_next_are_left_out() {
    for catch_up in ["skip", "latest", "all"] {
        let world = world(&hourly(catch_up, TRAIN));
        let people = (0..300).map(|n| (id(&format!("p{n:03}")), payload("{}")));
        go(world.engine.describe_all(&world.tenant, people, at(1)));
        // It begins, and visits one page; then its process hangs.
        let hung = Frail::new(world.store.clone(), 2);
        let engine = Engine::new(hung, world.target.clone(), RuleSet::from_json("[]").unwrap());
        assert!(ready(engine.run_due(at(60))).unwrap().is_err());
        let timer = Key::new(&world.tenant, Kind::Timer, "timed");
        let running: Timer = body(&world, &timer);
        assert!(running.running.is_some());
        // Another process looks at the timer alone: what it would do if the page took an hour.
        tamper_run(&world, |run| run["done"] = true.into());
        world.run(at(120));
        assert_eq!(left_out(&world), [("14:00".to_owned(), "overlap".to_owned())], "{catch_up}");
        tamper_run(&world, |run| run["done"] = false.into());
        world.run(at(121));
        assert_eq!(world.count("SCHEDULE_OCCURRENCE_COMPLETED"), 1);
        world.run(at(180));
        assert_eq!(begun(&world), ["13:00", "15:00"], "{catch_up}");
        world.verified();
    }
}

fn body<T: serde::de::DeserializeOwned>(world: &World, key: &Key) -> T {
    let record = go(world.store.load(std::slice::from_ref(key))).remove(0).unwrap();
    serde_json::from_str(&record.body).unwrap()
}

/// Changes the one run of the store past the engine, its timer with it.
fn tamper_run(world: &World, edit: impl FnOnce(&mut serde_json::Value)) {
    let query = Query {
        tenant: world.tenant.clone(),
        kind: Kind::Run,
        from: None,
        until: None,
        facets: Vec::new(),
        order: Order::Oldest,
        after: None,
        limit: 1,
    };
    let mut record = go(world.store.query(&query)).rows.remove(0);
    record.due_at = match record.due_at {
        Some(_) => None,
        None => Some(record.at),
    };
    crate::support::tamper(&world.store, record.clone(), &format!("{:x}", record.version), edit);
}

#[test]
fn switched_off_in_the_middle_it_visits_nobody_else() {
    let world = world(&hourly("all", TRAIN));
    let people = (0..600).map(|n| (id(&format!("p{n:03}")), payload("{}")));
    go(world.engine.describe_all(&world.tenant, people, at(1)));
    let engine = Engine::new(
        Frail::new(world.store.clone(), 2),
        world.target.clone(),
        RuleSet::from_json("[]").unwrap(),
    );
    assert!(ready(engine.run_due(at(190))).unwrap().is_err());
    go(world.engine.deactivate(&world.tenant, &id("timed"), &id("bo"), at(191)));
    let before = world.stats("timed", at(191)).created;
    world.run(at(192));
    assert_eq!(world.stats("timed", at(192)).created, before, "nobody else");
    let stopped: Vec<_> =
        world.trail().into_iter().filter(|record| record.code == "SCHEDULE_OCCURRENCE_STOPPED").collect();
    assert_eq!(stopped.len(), 1);
    assert_eq!(stopped[0].details["visited"], Detail::Number(before as i64));
    assert_eq!(left_out(&world).len(), 2, "those that waited: {:?}", left_out(&world));
    // On again, it begins anew, and takes nothing up.
    go(world.engine.activate(&world.tenant, &id("timed"), &id("bo"), at(193)));
    world.run(at(240));
    assert_eq!(begun(&world), ["13:00", "16:00"]);
    assert_eq!(accounted(&world), 4);
    world.verified();
}

#[test]
fn an_edit_after_a_downtime_tells_what_the_old_timetable_missed() {
    // Down from noon to 17:30; before anything runs, the rule is edited to a line every minute.
    let world = world(&hourly("latest", TRAIN));
    let edited = RuleSet::from_json(&timed("* * * * *", "latest", TRAIN)).unwrap();
    go(world.engine.add_rules(&world.tenant, &edited, &Actor::Host, at(330)));
    world.run(at(330));
    assert_eq!(begun(&world), ["17:00"], "the latest of the old line is made up for");
    let hours: Vec<_> = left_out(&world).into_iter().map(|(hour, _)| hour).collect();
    assert_eq!(hours, ["13:00", "14:00", "15:00", "16:00"], "and none of the new one's was ever due");
    world.run(at(331));
    assert_eq!(begun(&world), ["17:00", "17:31"]);
    world.verified();
}

#[test]
fn a_clock_that_goes_back_runs_nothing_twice() {
    let world = world(&hourly("latest", TRAIN));
    world.run(at(60));
    world.run(at(30));
    world.run(at(60));
    assert_eq!(begun(&world), ["13:00"]);
    // A clock that was far ahead: a person winds the timer anew.
    world.run(at(300));
    assert_eq!(begun(&world), ["13:00", "17:00"]);
    let bo: ActorId = id("bo");
    go(world.engine.deactivate(&world.tenant, &id("timed"), &bo, at(90)));
    go(world.engine.activate(&world.tenant, &id("timed"), &bo, at(90)));
    world.run(at(120));
    assert_eq!(begun(&world), ["13:00", "17:00", "14:00"]);
    for hour in [180, 240, 300, 360] {
        world.run(at(hour));
    }
    assert_eq!(begun(&world), ["13:00", "17:00", "14:00", "15:00", "16:00", "18:00"], "17:00 has been");
    assert_eq!(left_out(&world).last().unwrap(), &("17:00".to_owned(), "done".to_owned()));
    let mut occurrences: Vec<_> = world.log().iter().map(|row| row.origin.at).collect();
    occurrences.sort();
    assert!(occurrences.windows(2).all(|two| two[0] < two[1]), "one of each");
    world.verified();
}

#[test]
fn when_the_zones_data_changes_an_occurrence_is_moved() {
    // The timer was wound by data that had the next occurrence elsewhere.
    for (stored_next, expected) in [(30, vec!["13:00"]), (90, vec!["13:00"])] {
        let world = world(&hourly("latest", TRAIN));
        let record = stored(&world.store, Kind::Timer, "timed").unwrap();
        let wrong = Record { due_at: Some(at(stored_next)), ..record };
        crate::support::tamper(&world.store, wrong, "1", |timer| {
            timer["next"] = serde_json::to_value(at(stored_next)).unwrap();
        });
        for minute in 0..=100 {
            world.run(at(minute));
        }
        assert_eq!(begun(&world), expected, "stored as {stored_next} minutes after noon");
        assert_eq!(left_out(&world), []);
        world.run(at(120));
        assert_eq!(begun(&world).last().unwrap(), "14:00");
    }
}

#[test]
fn a_timer_of_an_older_version_is_read() {
    let world = world(&hourly("latest", TRAIN));
    let record = stored(&world.store, Kind::Timer, "timed").unwrap();
    crate::support::tamper(&world.store, record, "1", |timer| {
        timer.as_object_mut().unwrap().remove("since");
    });
    world.run(at(125));
    assert_eq!((begun(&world), left_out(&world).len()), (vec!["14:00".to_owned()], 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whenever the process runs or dies, each occurrence is accounted for once, what runs is in
    /// order, and the policy's bounds hold.
    #[test]
    fn every_occurrence_is_accounted_for_once(
        catch_up in prop::sample::select(CatchUp::ALL),
        line in prop::sample::select(vec!["0 * * * *", "*/7 * * * *", "30 1,13 * * *"]),
        looks in prop::collection::vec((1_i64..400, 0_usize..6), 1..12),
    ) {
        let world = world(&timed(line, catch_up.as_str(), TRAIN));
        let mut minute = 0;
        for (gap, commits) in looks {
            minute += gap;
            let frail = Frail::new(world.store.clone(), commits);
            let engine = Engine::new(frail, world.target.clone(), RuleSet::from_json("[]").unwrap());
            let _ = ready(engine.run_due(at(minute))).unwrap();
        }
        world.run(at(minute));
        let table = Timetable::new(line, Zone::UTC).unwrap();
        let due: Vec<Time> = table.occurrences(at(0)).map(|run| run.at).take_while(|due| *due <= at(minute)).collect();
        prop_assert_eq!(accounted(&world), due.len() as u64);
        let told = |code: &str| -> Vec<Time> {
            let records = world.trail().into_iter().filter(|record| record.code == code);
            records.filter_map(|record| match record.details.get("occurrence") {
                Some(Detail::At(at)) => Some(*at),
                _ => None,
            }).collect()
        };
        let started = told("SCHEDULE_OCCURRENCE_STARTED");
        prop_assert!(started.windows(2).all(|two| two[0] < two[1]));
        let mut all = [started.clone(), told("SCHEDULE_OCCURRENCE_SKIPPED")].concat();
        all.sort();
        prop_assert!(all.windows(2).all(|two| two[0] < two[1]), "each once");
        prop_assert!(all.iter().all(|at| due.contains(at)), "none that was not due");
        prop_assert_eq!(world.log().len(), started.len(), "one enforcement for each that was begun");
        match catch_up {
            CatchUp::All => prop_assert!(started.len() >= due.len().min(MAX_CATCH_UP)),
            CatchUp::Latest => prop_assert_eq!(started.last(), due.last()),
            _ => {}
        }
        world.verified();
    }
}
