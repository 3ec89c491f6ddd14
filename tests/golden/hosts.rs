//! A host of this version and one of a later version work on one store in turn.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tipstaff::*;

use crate::support::{World, at, go, id};

/// What a later host has in each object that it writes and may write to: by the record's key.
#[derive(Clone, Default)]
struct Marks(Arc<Mutex<Vec<(Key, String)>>>);

/// The store as a later host uses it: each body that it writes has members that this version does
/// not know, at its root and in some of its objects.
struct Later {
    store: MemoryStore,
    marks: Marks,
}

/// Which objects a later version has more in; those that a record has.
const PLACES: [&str; 6] = ["", "/subject", "/origin", "/signal", "/context", "/signal/subject"];

impl Later {
    fn written(&self, record: &Record) -> Record {
        let mut body: Value = serde_json::from_str(&record.body).unwrap();
        let mut marks = self.marks.0.lock().unwrap();
        for place in PLACES {
            let Some(Value::Object(members)) = body.pointer_mut(place) else { continue };
            members.entry("later").or_insert_with(|| json!({ "of": record.version, "list": [1, "two"] }));
            let mark = (record.key.clone(), format!("{place}/later"));
            if !marks.contains(&mark) {
                marks.push(mark);
            }
        }
        Record { body: body.to_string(), ..record.clone() }
    }
}

impl Store for Later {
    crate::pass_on! { store: load, claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let put = commit.put.iter().map(|record| self.written(record)).collect();
        self.store.commit(&Commit { put, ..commit.clone() }).await
    }
}

const RULES: &str = r#"{ "approvers": { "default": "sec", "groups": { "sec": ["bo", "cy", "di"] } }, "rules": [
  { "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
    "actions": [{ "key": "lock", "type": "lock_account", "for": "24h", "approval": { "stages": [
      { "groups": [{ "name": "sec", "need": 2 }], "within": "4h" } ] } }] },
  { "id": "count", "trigger": { "event": { "pattern": { "do": ["fail", "lock"] }, "window": { "count": 2, "in": "1h", "every": true } } },
    "actions": [{ "key": "tell", "type": "escalate_to_hr" }] } ] }"#;

/// Everything goes as if one host did it, and nothing of what the later one wrote is lost.
#[test]
fn a_host_of_this_version_and_a_later_one_take_turns() {
    for first in [true, false] {
        let world = World::new(RULES);
        let marks = Marks::default();
        let later = Later { store: world.store.clone(), marks: marks.clone() };
        let later = Engine::new(later, world.target.clone(), RuleSet::from_json(RULES).unwrap());
        let tenant = world.tenant.clone();
        // Each step is the other host's.
        let mut step = first;
        let mut turn = || {
            step = !step;
            step
        };
        let event = |signal: &str, what: &str, user: &str, minute| {
            world.event(signal, user, at(minute), &format!(r#"{{ "do": "{what}" }}"#))
        };
        for (minute, (what, user)) in
            (1..).zip([("lock", "ana"), ("fail", "ana"), ("lock", "ben"), ("fail", "ben"), ("fail", "ana")])
        {
            let event = event(&format!("s{minute}"), what, user, minute);
            match turn() {
                true => drop(go(later.submit(event, at(minute)))),
                false => drop(go(world.engine.submit(event, at(minute)))),
            }
        }
        for (minute, actor) in [(10, "bo"), (11, "cy")] {
            for asked in world.requests() {
                match turn() {
                    true => {
                        drop(go(later.approve(&tenant, asked.id, &id(actor), asked.digest, None, at(minute))))
                    }
                    false => drop(world.approve(&asked, actor, at(minute))),
                }
            }
        }
        for minute in [12, 13, 24 * 60 + 14, 24 * 60 + 15, 24 * 60 + 20] {
            let report = match turn() {
                true => go(later.run_due(at(minute))),
                false => go(world.engine.run_due(at(minute))),
            };
            assert!(report.faults.is_empty(), "{:?}", report.faults);
        }
        let reasons: Vec<_> = world.log().iter().map(|row| (row.action.to_string(), row.reason())).collect();
        assert!(reasons.iter().all(|(_, reason)| *reason == Reason::Done), "{reasons:?}");
        for (action, times) in [("lock_account", 2), ("unlock_account", 2), ("escalate_to_hr", 3)] {
            assert_eq!(world.target.jobs(action).len(), times, "{action}");
        }
        let marks = marks.0.lock().unwrap();
        assert!(marks.len() > 20, "the later host wrote little: {marks:?}");
        assert!(marks.iter().any(|(_, place)| place.len() > "/later".len()), "and nothing nested");
        for (key, place) in marks.iter() {
            let record = go(world.store.load(std::slice::from_ref(key))).remove(0).unwrap();
            let body: Value = serde_json::from_str(&record.body).unwrap();
            assert!(body.pointer(place).is_some(), "{key} lost `{place}` when another host wrote it");
        }
        world.verified();
    }
}
