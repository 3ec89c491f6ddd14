//! Whom an occurrence visits: everybody, the people of a band, those of whom something is known;
//! each once, whatever happens on the way.

use std::sync::{Arc, Mutex, OnceLock};

use crate::support::{Frail, World, at, content, go, id, refused, stored, tenant};
use proptest::prelude::*;
use tipstaff::*;

const DAY: i64 = 24 * 60;

fn rule(audience: &str, subject: &str) -> String {
    let subject = if subject.is_empty() { String::new() } else { format!(r#""subject": {subject},"#) };
    format!(
        r#"{{ "id": "weekly", "trigger": {{ "schedule": {{ "cron": "0 9 * * MON", "audience": {audience} }} }}, {subject}
            "actions": [{{ "key": "train", "type": "assign_training", "params": {{ "course": "phish" }} }}] }}"#
    )
}

const LOGIN: &str = r#"{ "id": "login", "trigger": { "event": { "pattern": { "do": ["login"] } } },
    "actions": [{ "key": "tell", "type": "escalate_to_manager" }] }"#;

fn both(audience: &str, subject: &str) -> String {
    format!("[{}, {LOGIN}]", rule(audience, subject))
}

fn payload(text: &str) -> Payload {
    Payload::new(text).unwrap()
}

fn describe(world: &World, user: &str, attributes: &str, minute: i64) -> bool {
    go(world.engine.describe(&world.tenant, &id(user), Some(&payload(attributes)), at(minute)))
}

/// Who was visited by the weekly rule, sorted.
fn visited(world: &World) -> Vec<String> {
    let filter = Filter::new(&world.tenant).rule(id("weekly")).limit(MAX_PAGE);
    let mut people: Vec<_> =
        go(world.engine.enforcements(filter)).rows.iter().map(|row| row.subject.to_string()).collect();
    people.sort();
    people
}

fn login(world: &World, signal: &str, subject: Subject, minute: i64, attributes: Option<&str>) -> Event {
    let event = Event::new(world.tenant.clone(), signal, "okta", subject, at(minute), r#"{"do":"login"}"#);
    let event = event.unwrap();
    match attributes {
        Some(text) => event.attributes(payload(text)),
        None => event,
    }
}

fn session(user: &str, session: &str) -> Subject {
    Subject::session(id(user), id(session))
}

#[test]
fn an_audience_of_what_is_known_of_people() {
    for (audience, subject) in [
        (r#"{ "attributes": { "department": ["sales"], "left": [{ "exists": false }] } }"#, ""),
        (r#""all""#, r#"{ "department": ["sales"], "left": [{ "exists": false }] }"#),
    ] {
        let world = World::new(&both(audience, subject));
        describe(&world, "ana", r#"{ "department": "sales" }"#, 0);
        describe(&world, "bea", r#"{ "department": "legal" }"#, 0);
        describe(&world, "cem", r#"{ "department": "sales", "left": true }"#, 0);
        describe(&world, "dov", r#"{ "department": ["legal", "sales"] }"#, 0);
        // Of Eve nothing is known but that she logged in.
        world.submit(login(&world, "e1", Subject::user(id("eve")), 1, None), at(1));
        world.run(at(7 * DAY));
        assert_eq!(visited(&world), ["ana", "dov"], "{audience} {subject}");
        let trigger = go(world.engine.signals(Filter::new(&world.tenant).rule(id("weekly")))).rows;
        assert_eq!(trigger.len(), 2, "whoever is not concerned leaves no record");
        // What is known is what holds at the visit.
        describe(&world, "ana", r#"{ "department": "legal" }"#, 8 * DAY);
        describe(&world, "bea", r#"{ "department": "sales" }"#, 8 * DAY);
        go(world.engine.describe(&world.tenant, &id("dov"), None, at(8 * DAY)));
        world.run(at(14 * DAY));
        assert_eq!(visited(&world), ["ana", "bea", "dov"]);
        world.verified();
    }
    let world = World::new(&both(r#"{ "attributes": { "department": [{ "exists": false }] } }"#, ""));
    describe(&world, "ana", r#"{ "department": "sales" }"#, 0);
    world.submit(login(&world, "e1", Subject::user(id("eve")), 1, None), at(1));
    world.run(at(7 * DAY));
    assert_eq!(visited(&world), ["eve"], "only what is absent is true of whom nothing is known");
}

#[test]
fn signals_tell_attributes_the_newest_by_their_own_time() {
    let world = World::new(&both(r#"{ "attributes": { "team": ["red"] } }"#, ""));
    let user = |user: &str| Subject::user(id(user));
    let mut n = 0;
    let mut tell = |subject: Subject, minute, attributes: Option<&str>| {
        n += 1;
        world.submit(login(&world, &format!("e{n}"), subject, minute, attributes), at(100 + n))
    };
    tell(user("ana"), 5, Some(r#"{ "team": "red" }"#));
    tell(user("ana"), 4, Some(r#"{ "team": "blue" }"#));
    tell(user("bea"), 5, Some(r#"{ "team": "blue" }"#));
    tell(user("bea"), 6, None);
    tell(user("bea"), 7, Some(r#"{ "team": "red" }"#));
    // Of a session, they are its user's.
    tell(session("cem", "s1"), 5, Some(r#"{ "team": "red" }"#));
    tell(session("cem", "s2"), 4, Some(r#"{ "team": "blue" }"#));
    // Longer than what is kept: what was known is no longer true, and this is not known.
    tell(user("dov"), 5, Some(r#"{ "team": "red" }"#));
    let long = format!(r#"{{ "team": "red", "x": "{}" }}"#, "x".repeat(MAX_ATTRIBUTE_BYTES));
    tell(user("dov"), 6, Some(&long));
    world.run(at(7 * DAY));
    assert_eq!(visited(&world), ["ana", "bea", "cem"]);
    let changes =
        world.trail().into_iter().filter(|record| record.details.contains_key("attributes_changed"));
    assert_eq!(changes.count(), 6, "each change is told with its decision");
    world.verified();
}

#[test]
fn an_audience_is_of_people_and_each_is_visited_once() {
    for (audience, expected) in [
        (r#""all""#, vec!["ana", "bea"]),
        (r#"{ "attributes": { "team": [{ "exists": false }] } }"#, vec!["ana", "bea"]),
        // A session with a score of its own is in its band itself.
        (r#"{ "band": ["red"] }"#, vec!["ana (session s1)", "bea"]),
    ] {
        let world = World::new(&both(audience, ""));
        for n in 1..4 {
            let session = session("ana", &format!("s{n}"));
            world.submit(login(&world, &format!("e{n}"), session, n, None), at(n));
        }
        world.submit(login(&world, "e9", Subject::user(id("bea")), 4, None), at(4));
        world.submit(world.score("x1", "bea", at(5), "30"), at(5));
        let of_session =
            ScoreReading { subject: session("ana", "s1"), ..world.score("x2", "ana", at(5), "30") };
        world.submit(of_session, at(5));
        world.run(at(7 * DAY));
        assert_eq!(visited(&world), expected, "{audience}");
        world.verified();
    }
}

#[test]
fn the_session_of_a_band_has_its_users_attributes() {
    let world = World::new(&both(r#"{ "band": ["red"] }"#, r#"{ "team": ["red"] }"#));
    for (n, (user, team)) in [("ana", "red"), ("bea", "blue")].into_iter().enumerate() {
        describe(&world, user, &format!(r#"{{ "team": "{team}" }}"#), 0);
        let reading = world.score(&format!("x{n}"), user, at(5), "30");
        world.submit(ScoreReading { subject: session(user, "s"), ..reading }, at(5));
    }
    world.run(at(7 * DAY));
    assert_eq!(visited(&world), ["ana (session s)"]);
}

#[test]
fn who_comes_in_meanwhile_is_not_visited() {
    let world = World::new(&both(r#""all""#, ""));
    let people = (0..450).map(|n| (id(&format!("p{n:03}")), payload("{}")));
    assert_eq!(go(world.engine.describe_all(&world.tenant, people, at(0))), 450);
    let engine = Engine::new(
        Frail::new(world.store.clone(), 2),
        world.target.clone(),
        RuleSet::from_json("[]").unwrap(),
    );
    assert!(ready(engine.run_due(at(7 * DAY))).unwrap().is_err(), "one page is done");
    // One before the place that it has come to, one behind.
    describe(&world, "a-new", "{}", 7 * DAY + 1);
    describe(&world, "z-new", "{}", 7 * DAY + 1);
    world.run(at(7 * DAY + 2));
    let done: Vec<_> =
        world.trail().into_iter().filter(|record| record.code == "SCHEDULE_OCCURRENCE_COMPLETED").collect();
    assert_eq!(done[0].details["visited"], Detail::Number(450));
    assert_eq!(world.stats("weekly", at(7 * DAY + 2)).created, 450);
    world.run(at(14 * DAY));
    assert_eq!(world.stats("weekly", at(14 * DAY)).created, 450 + 452, "from the next occurrence on");
    world.verified();
}

#[test]
fn a_page_that_others_interfere_with_gets_smaller() {
    // Every commit of more than a few records meets somebody who has just settled something.
    let world = World::new(&both(r#""all""#, ""));
    let people = (0..60).map(|n| (id(&format!("p{n:03}")), payload("{}")));
    go(world.engine.describe_all(&world.tenant, people, at(0)));
    let engine =
        Engine::new(Crowded(world.store.clone()), world.target.clone(), RuleSet::from_json("[]").unwrap());
    go(engine.run_due(at(7 * DAY)));
    assert_eq!(world.stats("weekly", at(7 * DAY)).created, 60);
    world.verified();
}

/// A store on which large commits conflict.
struct Crowded(MemoryStore);

impl Store for Crowded {
    crate::pass_on! { 0: load, claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        match commit.put.iter().filter(|record| record.key.kind == Kind::Trigger).count() {
            0..=10 => self.0.commit(commit).await,
            _ => Err(StoreError::Conflict(commit.put[0].key.clone())),
        }
    }
}

#[test]
fn what_is_described_is_audited_without_saying_it_and_can_be_taken_back() {
    let world = World::new(&both(r#""all""#, ""));
    assert!(describe(&world, "ana", r#"{ "secret": "s3cr3t" }"#, 0));
    assert!(!describe(&world, "ana", r#"{ "secret": "s3cr3t" }"#, 1), "nothing new");
    assert_eq!(world.count("POLICY_SUBJECT_DESCRIBED"), 1);
    let trail = serde_json::to_string(&world.trail()).unwrap();
    assert!(trail.contains("ana") && !trail.contains("s3cr3t"));
    assert!(go(world.engine.describe(&world.tenant, &id("ana"), None, at(2))));
    assert!(!content(&world.store, &tenant()).join("\n").contains("s3cr3t"), "nothing is left of it");
    assert_eq!(world.count("POLICY_SUBJECT_DESCRIBED"), 2);
    assert!(!describe(&world, "ana", r#"{ "secret": "old" }"#, 1), "what is older says nothing new");
    let before = content(&world.store, &tenant());
    let long = payload(&format!(r#"{{ "x": "{}" }}"#, "x".repeat(MAX_ATTRIBUTE_BYTES)));
    let error = refused(world.engine.describe(&world.tenant, &id("ana"), Some(&long), at(3)));
    assert!(matches!(error, EngineError::Attributes(bytes) if bytes > MAX_ATTRIBUTE_BYTES), "{error}");
    assert_eq!(content(&world.store, &tenant()), before);
    world.verified();
}

#[test]
fn a_person_of_an_older_version_is_visited() {
    let world = World::new(&both(r#""all""#, ""));
    describe(&world, "ana", "{}", 0);
    let record = stored(&world.store, Kind::Subject, "user:ana").unwrap();
    crate::support::tamper(&world.store, record, "1", |state| {
        let state = state.as_object_mut().unwrap();
        state.remove("known_since");
        state.remove("attributes");
    });
    world.run(at(7 * DAY));
    assert_eq!(visited(&world), ["ana"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Whatever dies where: everybody of the audience once, and nobody else.
    #[test]
    fn each_of_the_audience_once_whatever_dies(
        teams in prop::collection::vec(prop::sample::select(vec!["red", "blue"]), 1..500),
        deaths in prop::collection::vec(0_usize..5, 0..8),
    ) {
        let world = World::new(&both(r#"{ "attributes": { "team": ["red"] } }"#, ""));
        let people = teams.iter().enumerate().map(|(n, team)| (id(&format!("p{n:03}")), payload(&format!(r#"{{"team":"{team}"}}"#))));
        go(world.engine.describe_all(&world.tenant, people, at(0)));
        for commits in deaths {
            let engine = Engine::new(Frail::new(world.store.clone(), commits), world.target.clone(), RuleSet::from_json("[]").unwrap());
            let _ = ready(engine.run_due(at(7 * DAY))).unwrap();
        }
        world.run(at(7 * DAY));
        let red = teams.iter().filter(|team| **team == "red").count();
        let mut jobs: Vec<_> = world.target.jobs("assign_training").iter().map(|job| job.subject.to_string()).collect();
        jobs.sort();
        jobs.dedup();
        prop_assert_eq!(jobs.len(), red);
        prop_assert_eq!(world.stats("weekly", at(7 * DAY)).created, red as u64);
        world.verified();
    }
}

#[test]
fn a_large_audience_holds_up_neither_deliveries_nor_the_end() {
    const PEOPLE: usize = 2_500;
    let world = World::new(&both(r#""all""#, ""));
    for n in 0..PEOPLE {
        describe(&world, &format!("u{n}"), r#"{ "team": "red" }"#, 0);
    }
    // Whoever delivers first looks how far the occurrence has come, and ends the host's work.
    let (store, first) = (world.store.clone(), Arc::new(Mutex::new(None)));
    let engine = Arc::new(OnceLock::<Engine>::new());
    let (held, seen) = (Arc::downgrade(&engine), Arc::clone(&first));
    let deliver = move |_: &Job| {
        let visited =
            || content(&store, &tenant()).iter().filter(|text| text.contains(r#""kind":"trigger""#)).count();
        seen.lock().unwrap().get_or_insert_with(visited);
        held.upgrade().unwrap().get().unwrap().stop();
        Delivered::done()
    };
    let rules = RuleSet::from_json("[]").unwrap();
    let engine = engine.get_or_init(|| Engine::new(world.store.clone(), deliver, rules));
    assert_eq!(go(engine.run_due(at(7 * DAY))).succeeded, 1);
    let visited = first.lock().unwrap().unwrap();
    assert!((1..PEOPLE).contains(&visited), "{visited}");
    // Another host goes on, and reaches everybody once.
    assert_eq!(world.run(at(7 * DAY)).succeeded, PEOPLE - 1);
    world.verified();
}

#[test]
fn an_occurrence_whose_revision_is_no_rule_any_more_stops_and_the_next_begins() {
    let of_group = |group: &str| {
        format!(
            r#"{{ "approvers": {{ "default": "{group}", "groups": {{ "{group}": ["sam", "sue"] }} }},
                "rules": [{{ "id": "weekly", "trigger": {{ "schedule": {{ "cron": "0 9 * * MON", "audience": "all" }} }},
                  "actions": [{{ "key": "tell", "type": "escalate_to_manager",
                    "approval": {{ "groups": [{{ "name": "{group}" }}] }} }}] }}] }}"#
        )
    };
    for gone in [false, true] {
        let world = World::new(&of_group("sec"));
        let people = (0..450).map(|n| (id(&format!("p{n:03}")), payload("{}")));
        go(world.engine.describe_all(&world.tenant, people, at(0)));
        let none = || RuleSet::from_json("[]").unwrap();
        let dies = Engine::new(Frail::new(world.store.clone(), 2), world.target.clone(), none());
        assert!(ready(dies.run_due(at(7 * DAY))).unwrap().is_err(), "one page is done");
        match gone {
            // The new revision names another group, and the settings have that one alone.
            false => {
                let renamed = RuleSet::from_json(&of_group("ops")).unwrap();
                go(world.engine.add_rules(&world.tenant, &renamed, &Actor::Host, at(7 * DAY + 1)));
            }
            true => {
                let run = the_run(&world);
                crate::support::tamper(&world.store, run, "1", |run| run["revision"] = 7.into());
            }
        }
        world.run(at(7 * DAY + 2));
        let codes = ["SCHEDULE_OCCURRENCE_STOPPED", "SCHEDULE_OCCURRENCE_COMPLETED"];
        assert_eq!(codes.map(|code| world.count(code)), [1, 0]);
        let stopped =
            world.trail().into_iter().find(|record| record.code == "SCHEDULE_OCCURRENCE_STOPPED").unwrap();
        assert_eq!(stopped.details["reason"].to_string(), "outdated");
        assert_eq!(stopped.details["visited"], Detail::Number(200));
        world.run(at(14 * DAY));
        assert_eq!(codes.map(|code| world.count(code)), [1, 1], "the next one is the new revision's");
        assert_eq!(world.count("SCHEDULE_OCCURRENCE_SKIPPED"), 0);
        world.verified();
    }
}

/// The one run there is.
fn the_run(world: &World) -> Record {
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
    go(world.store.query(&query)).rows.remove(0)
}
