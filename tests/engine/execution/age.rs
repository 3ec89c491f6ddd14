//! The time that a run is given grows old while it works: it ends, or counts what has gone by.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Poll;

use tipstaff::*;

use super::batches::{RULES, Slow, event, poll};
use crate::support::{World, at, go, id};

/// Noon and so many seconds.
fn sec(n: i64) -> Time {
    Time::from_micros(at(0).micros() + n * 1_000_000)
}

/// A world whose store has a clock of its own, in seconds.
fn timed(rules: &str) -> (World, Arc<AtomicI64>) {
    let clock = Arc::new(AtomicI64::new(0));
    let seconds = Arc::clone(&clock);
    let store = MemoryStore::with_clock(move || sec(seconds.load(Ordering::SeqCst)));
    (World::on(store, RuleSet::from_json(rules).unwrap()), clock)
}

/// An engine whose target takes so many seconds for each delivery, and answers that.
fn sluggish(world: &World, clock: &Arc<AtomicI64>, seconds: i64, answer: Delivered) -> Engine {
    let (clock, target) = (Arc::clone(clock), world.target.clone());
    let deliver = move |job: &Job| {
        clock.fetch_add(seconds, Ordering::SeqCst);
        let _ = ready(target.deliver(job));
        answer.clone()
    };
    Engine::new(world.store.clone(), deliver, RuleSet::from_json("[]").unwrap())
}

#[test]
fn a_backlog_does_not_keep_what_came_later_waiting() {
    let (world, clock) = timed(RULES);
    for n in 0..60 {
        world.submit(event("busy", n), at(0));
    }
    let engine = sluggish(&world, &clock, 1, Delivered::done());
    let first = go(engine.run_due(at(0)));
    assert!(first.more && (5..10).contains(&first.attempts), "{first:?}");
    assert_eq!(go(engine.next_wakeup(at(0))), at(0), "the rest is a reason to wake at once");
    // Somebody else comes meanwhile, whom that run could not have seen.
    let now = sec(clock.load(Ordering::SeqCst));
    world.submit(event("quiet", 1), now);
    let second = go(engine.run_due(now));
    assert!(second.more);
    let tenants: Vec<String> = world.target.all().iter().map(|job| job.tenant.to_string()).collect();
    assert!(tenants.contains(&"quiet".to_owned()), "{tenants:?}");
    let mut all = first;
    all += second;
    while all.more {
        all += go(engine.run_due(sec(clock.load(Ordering::SeqCst))));
    }
    assert_eq!((all.succeeded, world.target.all().len()), (61, 61));
    assert!(go(engine.next_wakeup(sec(100))) > sec(100));
}

#[test]
fn whoever_asks_for_a_minute_is_given_it_from_their_answer_on() {
    let (world, clock) = timed(RULES);
    world.submit(event("acme", 1), at(0));
    let busy = Delivered::from(Outcome::Retry { after: Some(Span::mins(1)) });
    go(sluggish(&world, &clock, 600, busy).lease(Span::mins(30)).run_due(at(0)));
    let State::RetryWait { until, .. } = world.the("send_chat_message").state else { panic!() };
    assert!(until >= at(11), "{until}");
}

#[test]
fn what_does_harm_when_it_is_late_is_not_begun_late_in_a_batch() {
    let rule = r#"{ "id": "end", "trigger": { "event": { "pattern": { "do": ["tell"] } } },
        "actions": [{ "key": "a", "type": "revoke_sessions", "approval": "none", "not_after": "10m" }] }"#;
    let (world, clock) = timed(rule);
    for n in 0..3 {
        world.submit(event("acme", n), at(0));
    }
    let engine = sluggish(&world, &clock, 360, Delivered::done()).claim_up_to(3).lease(Span::hours(1));
    go(engine.run_due(at(0)));
    let reasons: Vec<&str> = world.log().iter().map(|row| row.reason().as_str()).collect();
    assert_eq!(reasons.iter().filter(|reason| **reason == "done").count(), 2, "{reasons:?}");
    assert_eq!(reasons.iter().filter(|reason| **reason == "exhausted").count(), 1, "{reasons:?}");
    assert_eq!(world.target.all().len(), 2);
}

#[test]
fn the_turn_of_an_effect_lasts_as_long_as_the_lease_is_renewed() {
    let lock = |name: &str, span: &str| {
        format!(
            r#"{{ "id": "{name}", "trigger": {{ "event": {{ "pattern": {{ "do": ["{name}"] }} }} }}, "actions":
                [{{ "key": "lock", "type": "lock_account", "approval": "none", "for": "{span}" }}] }}"#
        )
    };
    let (world, clock) = timed(&format!("[{}, {}]", lock("hour", "1h"), lock("day", "24h")));
    let asks = |signal: &str, what: &str, minute: i64| {
        let event = world.event(signal, "ana", at(minute), &format!(r#"{{ "do": "{what}" }}"#));
        world.submit(event, at(minute));
    };
    asks("s1", "hour", 0);
    let slow = Slow::default();
    let engine = Engine::new(world.store.clone(), slow.clone(), RuleSet::from_json("[]").unwrap());
    let engine = engine.lease(Span::mins(3));
    let mut run = pin!(engine.run_due(at(0)));
    assert!(poll(run.as_mut()).is_pending());
    for minute in 1..10 {
        clock.store(60 * minute, Ordering::SeqCst);
        assert_eq!(go(engine.renew_held()).renewed, 1);
        if minute == 2 {
            asks("s2", "day", minute);
        }
        world.run(at(minute));
    }
    assert!(world.target.all().is_empty(), "two deliveries for one effect never run at the same time");
    slow.0.store(true, Ordering::SeqCst);
    assert!(matches!(poll(run.as_mut()), Poll::Ready(Ok(_))));
    world.run(at(11));
    assert_eq!(world.target.jobs("lock_account").len(), 1, "and waiting cost it no attempt");
    let other = world.log().into_iter().find(|row| row.holders.iter().any(|held| held.rule == id("day")));
    assert_eq!(other.map(|row| (row.attempts, row.reason())), Some((1, Reason::Done)));
    world.verified();
}
