//! What has not happened: awaited events of a scheduled rule, and deadlines.

use crate::support::{Frail, World, at, content, go, id, tenant};
use proptest::prelude::*;
use tipstaff::*;

const DAY: i64 = 24 * 60;
const TRAIN: &str = r#""actions": [{ "key": "a", "type": "assign_training", "params": { "course": "since {absent.since}" } }]"#;

/// Mondays at nine, for those of whom no completed course was seen for a fortnight.
fn weekly(more: &str) -> String {
    format!(
        r#"{{ "id": "untrained", {more} "trigger": {{ "schedule": {{ "cron": "0 9 * * MON", "audience": "all",
            "absent": {{ "sources": ["okta"], "pattern": {{ "do": ["done"] }}, "within": "14d" }} }} }}, {TRAIN} }}"#
    )
}

/// A fortnight from a course's assignment to its completion.
fn deadline(more: &str) -> String {
    format!(
        r#"{{ "id": "overdue", "trigger": {{ "deadline": {{ "opens": {{ "pattern": {{ "do": ["assigned", "both"] }} }},
            "closes": {{ "sources": ["okta"], "pattern": {{ "do": ["done", "both"] }} }}, "within": "14d"{more} }} }},
            {TRAIN} }}"#
    )
}

/// A world of people who have been known since noon of Monday, 2 March.
fn world(rules: &str, people: &[&str]) -> World {
    let world = World::new(rules);
    for person in people {
        describe(&world, person, "{}", 0);
    }
    world
}

fn describe(world: &World, user: &str, attributes: &str, minute: i64) {
    let payload = Payload::new(attributes).unwrap();
    go(world.engine.describe(&world.tenant, &id(user), Some(&payload), at(minute)));
}

fn happen(world: &World, signal: &str, what: &str, user: &str, minute: i64, now: i64) -> Decision {
    world.submit(world.event(signal, user, at(minute), &format!(r#"{{ "do": "{what}" }}"#)), at(now))
}

/// Who was acted on, each with the day of it.
fn acted(world: &World) -> Vec<(String, i64)> {
    let day = |row: &Enforcement| (row.origin.at.micros() - at(0).micros()) / (DAY * 60_000_000);
    let mut acted: Vec<_> = world.log().iter().map(|row| (row.subject.to_string(), day(row))).collect();
    acted.sort_by_key(|(person, day)| (*day, person.clone()));
    acted
}

fn each(days: i64, world: &World) {
    for day in 0..=days {
        world.run(at(day * DAY));
    }
}

fn reasons(world: &World, code: &str) -> Vec<String> {
    let records = world.trail().into_iter().filter(|record| record.code == code);
    records.map(|record| record.details["reason"].to_string()).collect()
}

#[test]
fn whoever_has_not_done_it_is_reminded() {
    let world = world(&weekly(""), &["ana", "bea", "cem"]);
    each(5, &world);
    happen(&world, "e1", "done", "bea", 5 * DAY, 5 * DAY);
    happen(&world, "e2", "else", "cem", 5 * DAY, 5 * DAY);
    let other = Event::new(tenant(), "e3", "lms", id::<UserId>("cem"), at(5 * DAY), r#"{ "do": "done" }"#);
    world.submit(other.unwrap(), at(5 * DAY));
    each(36, &world);
    // Bea has done it on day 5: nothing for 14 days from day 20 on (Monday, 23 March).
    let expected: Vec<(String, i64)> = [
        ("ana", 20),
        ("bea", 20),
        ("cem", 20),
        ("ana", 27),
        ("bea", 27),
        ("cem", 27),
        ("ana", 34),
        ("bea", 34),
        ("cem", 34),
    ]
    .map(|(person, day)| (person.to_owned(), day))
    .into();
    let told = &world.target.jobs("assign_training")[0];
    assert_eq!(told.params["course"].to_string(), "since 2026-03-09T09:00:00Z");
    assert_eq!(acted(&world), expected);
    let kinds: Vec<_> = world.log().iter().map(|row| row.origin.kind).collect();
    assert!(kinds.iter().all(|kind| *kind == TriggerKind::Schedule));
    world.verified();
}

#[test]
fn what_was_seen_within_the_span_counts_to_the_instant() {
    // Monday, 23 March, nine o'clock, less fourteen days: Monday, 9 March.
    let begins = 7 * DAY - 3 * 60;
    for (minute, now, reminded) in [
        (begins, begins, true),
        (begins + 1, begins + 1, false),
        // It came late, and is of within the span.
        (begins + 1, 20 * DAY, false),
        (21 * DAY - 3 * 60, 21 * DAY - 3 * 60, false),
        // A clock that is ahead puts nothing off: it counts as of when it came.
        (300 * DAY, begins, true),
    ] {
        let world = world(&weekly(""), &["ana"]);
        happen(&world, "e1", "done", "ana", minute, now);
        world.run(at(21 * DAY - 3 * 60));
        assert_eq!(acted(&world).len(), usize::from(reminded), "done at {minute}, told at {now}");
    }
    // After the occurrence, but before it is made up for: the person has done by now what is asked.
    let world = world(&weekly(""), &["ana"]);
    happen(&world, "e1", "done", "ana", 22 * DAY, 22 * DAY);
    world.run(at(22 * DAY));
    assert_eq!(acted(&world), []);
}

#[test]
fn nobody_is_acted_upon_because_the_rule_is_young() {
    let world = world(&weekly(""), &["ana"]);
    each(19, &world);
    assert_eq!(acted(&world), [], "the rule has listened for less than a fortnight on the 9th and the 16th");
    assert_eq!(reasons(&world, "SCHEDULE_OCCURRENCE_SKIPPED"), ["unheard", "unheard"]);
    each(21, &world);
    assert_eq!(acted(&world), [("ana".to_owned(), 20)]);
    // Another title changes nothing; another pattern, or a pause, begins anew.
    let edit = |text: &str, day: i64| {
        let set = RuleSet::from_json(text).unwrap();
        go(world.engine.add_rules(&world.tenant, &set, &Actor::Host, at(day * DAY)));
    };
    edit(&weekly(r#""title": "Untrained","#), 22);
    each(28, &world);
    assert_eq!(acted(&world).len(), 2);
    edit(&weekly("").replace("\"done\"", "\"completed\""), 29);
    each(40, &world);
    assert_eq!(acted(&world).len(), 2, "of `completed` nothing could have been heard");
    each(49, &world);
    assert_eq!(acted(&world).len(), 3);
    let bo: ActorId = id("bo");
    go(world.engine.deactivate(&world.tenant, &id("untrained"), &bo, at(49 * DAY)));
    go(world.engine.activate(&world.tenant, &id("untrained"), &bo, at(50 * DAY)));
    each(62, &world);
    assert_eq!(acted(&world).len(), 3, "while it was off it heard nothing");
    each(70, &world);
    assert_eq!(acted(&world).len(), 4);
    world.verified();
}

#[test]
fn nobody_is_acted_upon_because_they_are_new() {
    let world = world(&weekly(""), &["ana"]);
    describe(&world, "new", "{}", 10 * DAY);
    each(21, &world);
    assert_eq!(acted(&world), [("ana".to_owned(), 20)]);
    each(28, &world);
    assert_eq!(acted(&world).len(), 3, "on the 30th they have been known for a fortnight");
}

#[test]
fn what_a_session_does_its_user_has_done() {
    let world = world(&weekly(""), &["ana"]);
    let session = Subject::session(id("ana"), id("s1"));
    let done = Event::new(tenant(), "e1", "okta", session, at(15 * DAY), r#"{ "do": "done" }"#).unwrap();
    assert!(world.submit(done, at(15 * DAY)).is_empty(), "a rule that watches does not fire on it");
    each(21, &world);
    assert_eq!(acted(&world), []);
}

#[test]
fn what_is_awaited_is_heard_whoever_the_subject_is_known_to_be() {
    // The event says nothing of the subject; the rule asks for a department at its own time.
    let world = world(&weekly(r#""subject": { "department": ["sales"] },"#), &[]);
    describe(&world, "ana", r#"{ "department": "sales" }"#, 0);
    describe(&world, "bea", r#"{ "department": "sales" }"#, 0);
    describe(&world, "cem", r#"{ "department": "legal" }"#, 0);
    happen(&world, "e1", "done", "ana", 15 * DAY, 15 * DAY);
    each(21, &world);
    assert_eq!(acted(&world), [("bea".to_owned(), 20)]);
}

#[test]
fn a_deadline_passes_or_is_kept() {
    let world = world(&deadline(""), &["ana", "bea", "cem", "dov"]);
    for (n, person) in ["ana", "bea", "cem"].into_iter().enumerate() {
        happen(&world, &format!("o{n}"), "assigned", person, 10, 10);
    }
    happen(&world, "c1", "done", "bea", 5 * DAY, 5 * DAY);
    // At the very end it is in time; a minute later it is not.
    happen(&world, "c2", "done", "cem", 14 * DAY + 10, 14 * DAY + 10);
    world.run(at(14 * DAY + 9));
    assert_eq!(acted(&world), []);
    world.run(at(14 * DAY + 10));
    assert_eq!(acted(&world), [("ana".to_owned(), 14)]);
    let row = world.the("assign_training");
    assert_eq!((row.origin.kind, row.origin.at), (TriggerKind::Schedule, at(14 * DAY + 10)));
    assert_eq!(row.params["course"].to_string(), format!("since {}", at(10)));
    let decision = go(world.engine.signal(&world.tenant, row.origin.trigger));
    assert_eq!(decision.signal.says.unwrap(), format!("nothing since {}", at(10)));
    world.run(at(60 * DAY));
    assert_eq!(acted(&world).len(), 1, "once");
    assert_eq!((world.count("SCHEDULE_DEADLINE_OPENED"), world.count("SCHEDULE_DEADLINE_CLOSED")), (3, 2));
    // What comes after it was acted upon changes nothing; another course is another deadline.
    happen(&world, "c3", "done", "ana", 14 * DAY, 61 * DAY);
    happen(&world, "o9", "assigned", "ana", 62 * DAY, 62 * DAY);
    world.run(at(76 * DAY));
    assert_eq!(acted(&world).last().unwrap(), &("ana".to_owned(), 76));
    assert_eq!(world.stats("overdue", at(76 * DAY)).fired, 2);
    world.verified();
}

#[test]
fn events_may_come_in_any_order() {
    // Day of each event by its own time, in the order in which they come, all on day 13.
    for (events, acted_on) in [
        (&[("assigned", 2), ("done", 5)][..], None),
        (&[("done", 5), ("assigned", 2)], None),
        (&[("done", 1), ("assigned", 2)], Some(16)),
        (&[("assigned", 2), ("done", 1)], Some(16)),
        (&[("assigned", 2), ("assigned", 2)], Some(16)),
        // Kept, a second assignment gives no more time; an older one that comes late gives no less.
        (&[("assigned", 2), ("assigned", 6)], Some(16)),
        (&[("assigned", 6), ("assigned", 2)], Some(20)),
        (&[("assigned", 2), ("done", 5), ("assigned", 3)], None),
        (&[("assigned", 2), ("done", 5), ("assigned", 6)], Some(20)),
        // One that does both: it closes what was open, and opens another.
        (&[("assigned", 2), ("both", 6)], Some(20)),
        (&[("both", 3)], Some(17)),
    ] {
        let world = world(&deadline(""), &["ana"]);
        for (n, (what, day)) in events.iter().enumerate() {
            happen(&world, &format!("e{n}"), what, "ana", day * DAY, 13 * DAY);
        }
        each(40, &world);
        let days: Vec<_> = acted(&world).into_iter().map(|(_, day)| day).collect();
        assert_eq!(days, Vec::from_iter(acted_on), "{events:?}");
    }
}

#[test]
fn a_deadline_may_begin_anew() {
    let world = world(&deadline(r#", "reopened": "restart""#), &["ana"]);
    for (n, day) in [0, 10, 5].into_iter().enumerate() {
        happen(&world, &format!("o{n}"), "assigned", "ana", day * DAY + 5, day * DAY + 5);
    }
    each(40, &world);
    assert_eq!(acted(&world), [("ana".to_owned(), 24)], "from the latest on, not from one that came late");
    world.verified();
}

#[test]
fn an_event_of_before_the_rule_opens_nothing() {
    // An export of last year: what would have closed it was not heard.
    let world = world(&deadline(""), &["ana"]);
    happen(&world, "o1", "assigned", "ana", -100 * DAY, 1);
    each(30, &world);
    assert_eq!(acted(&world), []);
}

#[test]
fn a_rule_that_was_off_meanwhile_acts_on_nobody() {
    let bo: ActorId = id("bo");
    let world = world(&deadline(""), &["ana", "bea"]);
    happen(&world, "o1", "assigned", "ana", 1, 1);
    go(world.engine.deactivate(&world.tenant, &id("overdue"), &bo, at(DAY)));
    go(world.engine.activate(&world.tenant, &id("overdue"), &bo, at(2 * DAY)));
    happen(&world, "o2", "assigned", "bea", 2 * DAY, 2 * DAY);
    each(20, &world);
    assert_eq!(acted(&world), [("bea".to_owned(), 16)], "Ana may have done it while nobody listened");
    assert_eq!(reasons(&world, "SCHEDULE_DEADLINE_DROPPED"), ["unheard"]);
    happen(&world, "o3", "assigned", "ana", 21 * DAY, 21 * DAY);
    go(world.engine.deactivate(&world.tenant, &id("overdue"), &bo, at(22 * DAY)));
    each(40, &world);
    assert_eq!(reasons(&world, "SCHEDULE_DEADLINE_DROPPED"), ["unheard", "stopped"]);
    assert_eq!(acted(&world).len(), 1);
    world.verified();
}

#[test]
fn an_edit_of_the_actions_keeps_what_was_heard() {
    let world = world(&deadline(""), &["ana"]);
    happen(&world, "o1", "assigned", "ana", 1, 1);
    let edited = RuleSet::from_json(&deadline("").replace("since {absent.since}", "again")).unwrap();
    go(world.engine.add_rules(&world.tenant, &edited, &Actor::Host, at(DAY)));
    each(15, &world);
    assert_eq!(world.the("assign_training").params["course"].to_string(), "again");
}

#[test]
fn two_deadlines_that_end_at_one_moment_act_once_and_hold_up_nothing() {
    let world = world(&deadline(""), &["ana"]);
    happen(&world, "o1", "assigned", "ana", 2 * DAY, 2 * DAY);
    each(16, &world);
    assert_eq!(acted(&world), [("ana".to_owned(), 16)]);
    // The author gives ten days from now on, and what opened the second one on day 6 comes late.
    let edited = RuleSet::from_json(&deadline("").replace("14d", "10d")).unwrap();
    go(world.engine.add_rules(&world.tenant, &edited, &Actor::Host, at(17 * DAY)));
    happen(&world, "o2", "assigned", "ana", 6 * DAY, 17 * DAY);
    assert_eq!(world.run(at(17 * DAY)).timers, 1);
    assert_eq!(acted(&world).len(), 1, "what is due at that moment was done");
    assert_eq!(reasons(&world, "SCHEDULE_DEADLINE_DROPPED"), ["acted"]);
    assert!(world.run(at(18 * DAY)).is_idle());
    world.verified();
}

#[test]
fn a_repeated_signal_opens_nothing_again() {
    let world = world(&deadline(""), &["ana"]);
    happen(&world, "o1", "assigned", "ana", 1, 1);
    each(15, &world);
    let before = content(&world.store, &tenant());
    assert!(happen(&world, "o1", "assigned", "ana", 1, 16 * DAY).repeat);
    assert_eq!(content(&world.store, &tenant()), before);
    world.run(at(40 * DAY));
    assert_eq!(acted(&world).len(), 1);
}

#[test]
fn rules_that_wait_are_said_in_words() {
    let set = RuleSet::from_json(&format!("[{}, {}]", weekly(""), deadline(""))).unwrap();
    let said = |rule: &str| set.rule(&id(rule)).unwrap().rule.conditions();
    assert_eq!(
        said("untrained"),
        r#"at 09:00 on Monday, UTC (0 9 * * MON), for every known user, if no event from okta where do is "done" was seen within 14d"#
    );
    assert_eq!(
        said("overdue"),
        r#"14d after an event from any source where do is "assigned" or is "both", unless an event from okta where do is "done" or is "both" comes before"#
    );
}

#[test]
fn faults_of_what_is_awaited_have_their_places() {
    let rules = r#"[{ "id": "a", "trigger": { "schedule": { "cron": "@daily", "audience": "all", "absent": { "pattern": {}, "within": "400d", "for": 1 } } },
          "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
        { "id": "b", "trigger": { "deadline": { "opens": { "sources": ["x", "x"], "pattern": { "a": [] } }, "within": "0s", "reopened": "later" } },
          "actions": [{ "key": "a", "type": "escalate_to_hr" }] },
        { "id": "c", "trigger": { "schedule": { "cron": "@daily", "audience": { "band": ["red"], "attributes": { "a": [1] } }, "catch_up": "some" } },
          "actions": [{ "key": "a", "type": "escalate_to_hr", "params": { "note": "{absent.since}" } }] }]"#;
    let error = RuleSet::from_json(rules).unwrap_err();
    let mut places: Vec<_> = error.faults.iter().map(|fault| fault.pointer.as_str()).collect();
    places.sort_unstable();
    assert_eq!(
        places,
        [
            "/0/trigger/schedule/absent/for",
            "/0/trigger/schedule/absent/pattern",
            "/0/trigger/schedule/absent/within",
            "/1/trigger/deadline",
            "/1/trigger/deadline/opens/pattern/a",
            "/1/trigger/deadline/reopened",
            "/1/trigger/deadline/within",
            "/2/actions/0/params/note",
            "/2/trigger/schedule/audience/band",
            "/2/trigger/schedule/catch_up",
        ],
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A plain reading of the rule's text, when events come in their order: each deadline fires at
    /// its end unless something closes it; whatever process dies, once.
    #[test]
    fn deadlines_agree_with_a_plain_reading(
        gaps in prop::collection::vec((0_i64..8, prop::sample::select(vec!["assigned", "done", "both", "else"])), 0..14),
        restart in any::<bool>(),
        deaths in prop::collection::vec((0_i64..80, 0_usize..3), 0..4),
    ) {
        let more = if restart { r#", "reopened": "restart""# } else { "" };
        let world = world(&deadline(more), &["ana"]);
        let mut day = 0;
        let events: Vec<_> = gaps.iter().map(|(gap, what)| { day += gap; (day, *what) }).collect();
        let last = day + 20;
        let mut expected = Vec::new();
        let (mut open, mut seen, mut next) = (None::<i64>, None::<i64>, 0);
        for today in 0..=last {
            while let Some((day, what)) = events.get(next).filter(|(day, _)| *day == today) {
                happen(&world, &format!("e{next}"), what, "ana", day * DAY, day * DAY);
                next += 1;
                let before = seen;
                if ["done", "both"].contains(what) {
                    open = None;
                    seen = Some(*day);
                }
                // A completion of that very instant counts for the assignment.
                let told = before == Some(*day) || expected.last().is_some_and(|fired| fired - 14 >= *day);
                if ["assigned", "both"].contains(what) && !told && (open.is_none() || restart) {
                    open = Some(*day);
                }
            }
            for (_, commits) in deaths.iter().filter(|(at, _)| *at == today) {
                let frail = Frail::new(world.store.clone(), *commits);
                let engine = Engine::new(frail, world.target.clone(), RuleSet::from_json("[]").unwrap());
                let _ = ready(engine.run_due(at(today * DAY))).unwrap();
            }
            world.run(at(today * DAY));
            if open.is_some_and(|opened| opened + 14 <= today) {
                expected.push(open.take().unwrap() + 14);
            }
        }
        let days: Vec<_> = acted(&world).into_iter().map(|(_, day)| day).collect();
        prop_assert_eq!(days, expected, "{:?}", events);
        world.verified();
    }
}
