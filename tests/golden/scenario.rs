//! One story in which the engine writes records of every kind. It is the same to the byte in each
//! run: ids are derived, the store counts its salts, and time is an argument.

use tipstaff::*;

use crate::support::people::Directory;
use crate::support::{World, at, go, id};

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

/// A rule of each way of a trigger. `{low}` is where the band "red" ends.
const RULES: &str = r#"{
  "types": [{ "name": "badge_off", "category": "integration", "restricts": true }],
  "approvers": { "default": "sec" }, "administrators": { "keep": 1 },
  "scales": [{ "id": "default", "low": 0, "high": 100, "high_is": "safe",
    "bands": [{ "name": "green", "from": 60 }, { "name": "red", "from": {low} }, { "name": "critical", "from": 0 }],
    "hysteresis": { "margin": 5, "dwell": "1h" } }],
  "rules": [
    { "id": "lock", "title": "Locks", "author": "arne", "trigger": { "event": { "sources": ["okta"], "pattern": { "do": ["lock"] } } },
      "actions": [{ "key": "lock", "type": "lock_account", "for": "24h", "approval": { "stages": [
        { "groups": [{ "name": "sec", "need": 2 }], "within": "4h",
          "fallback": { "groups": [{ "name": "board" }], "within": "1h" } } ] } }] },
    { "id": "watchful", "trigger": { "event": { "pattern": { "do": ["fail"] }, "window": { "count": 3, "in": "10m" } } },
      "actions": [{ "key": "tell", "type": "escalate_to_hr", "params": { "note": "of {user}" } },
                  { "key": "out", "type": "revoke_sessions", "approval": "none" }],
      "guards": { "cap": { "count": 20, "in": "1h" } } },
    { "id": "shadow", "mode": "shadow", "trigger": { "event": { "pattern": { "do": ["lock", "fail"] } } },
      "actions": [{ "key": "hook", "type": "send_webhook", "params": { "endpoint": "siem" } }] },
    { "id": "down", "trigger": { "score": { "enters": ["red", "critical"] } },
      "actions": [{ "key": "a", "type": "assign_training", "params": { "course": "{band.from} to {band}" } },
                  { "key": "hold", "type": "restrict_access", "for": "7d", "params": { "scope": "admin" }, "approval": "none" }] },
    { "id": "timed", "trigger": { "schedule": { "cron": "0 */8 * * *", "audience": "all", "catch_up": "all" } },
      "actions": [{ "key": "a", "type": "require_step_up_mfa" }] },
    { "id": "overdue", "trigger": { "deadline": { "opens": { "pattern": { "do": ["assigned"] } },
        "closes": { "pattern": { "do": ["done"] } }, "within": "20h" } },
      "actions": [{ "key": "a", "type": "escalate_to_manager" }] } ] }"#;

fn rules(low: &str) -> RuleSet {
    RuleSet::from_json(&RULES.replace("{low}", low)).unwrap_or_else(|error| panic!("{error}"))
}

/// Tells the story; `look` sees the world at three moments of it.
pub(crate) fn told(mut look: impl FnMut(&World)) -> World {
    let world = World::on(MemoryStore::default(), rules("20"));
    let people = Directory::default().hire("sec", &["bo", "cy", "di"]).hire("board", &["max"]);
    let people = people.administrators(&["ana", "ben", "eva"]);
    let world = World { engine: world.engine.worker(id("worker-1")).people(people), ..world };
    let (tenant, olga) = (world.tenant.clone(), id("olga"));
    let happens = |signal: &str, what: &str, user: &str, minute| {
        let payload = format!(r#"{{ "do": "{what}", "from": "Zürich" }}"#);
        world.submit(world.event(signal, user, at(minute), &payload), at(minute))
    };
    for user in ["ana", "ben", "eva"] {
        let attributes = Payload::new(r#"{ "team": "ops", "level": 3 }"#).unwrap();
        go(world.engine.describe(&tenant, &id(user), Some(&attributes), at(0)));
    }
    world.target.answers("escalate_to_hr", [Delivered::retry("busy"), Delivered::done()]);
    world.target.answers("revoke_sessions", [Delivered::permanent("no such session")]);

    happens("s1", "lock", "ana", 1);
    for minute in 2..=4 {
        happens(&format!("f{minute}"), "fail", "ben", minute);
    }
    happens("a1", "assigned", "eva", 5);
    world.submit(world.score("c1", "ana", at(6), "80"), at(6));
    world.submit(world.score("c2", "ben", at(6), "10"), at(6));
    let asked = world.requests().remove(0);
    world.approve(&asked, "bo", at(7));
    go(world.engine.run_due(at(8)));
    look(&world);

    world.approve(&asked, "cy", at(9));
    go(world.engine.run_due(at(10)));
    go(world.engine.engage_kill_switch(
        &tenant,
        &KillScope::Type(id("send_webhook")),
        &olga,
        "a drill",
        at(11),
    ));
    let eva = Subject::user(id("eva"));
    let all: ExemptionScope = id("all");
    go(world.engine.exempt(&tenant, &eva, &all, Some(at(3 * DAY)), &olga, "on call", at(12)));
    let trainees = Pattern::parse(r#"{ "team": ["trainees"] }"#).unwrap();
    let lock = ExemptionScope::Type(id("lock_account"));
    go(world.engine.exempt_where(&tenant, &trainees, &lock, None, &olga, "a trial", at(12)));
    world.submit(world.score("c3", "eva", at(13), "15"), at(13));
    world.submit(world.score("c4", "ana", at(14), "25"), at(14));
    let set = rules("30");
    let preview = go(world.engine.preview_bands(&tenant, &set, at(15)));
    go(world.engine.apply_bands(&tenant, &set, preview.digest, preview.moved, &olga, "new bands", at(15)));
    look(&world);

    go(world.engine.run_due(at(2 * HOUR)));
    go(world.engine.deactivate(&tenant, &id("lock"), &olga, at(2 * HOUR + 1)));
    go(world.engine.run_due(at(2 * HOUR + 2)));
    go(world.engine.run_due(at(26 * HOUR)));
    look(&world);
    world.verified();
    world
}
