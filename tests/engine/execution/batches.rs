//! Claims of several, what may come between a claim and its delivery, and whose turn it is.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tipstaff::*;

use crate::support::{Frail, World, at, go, id, refused, tenant};

pub(crate) const RULES: &str = r#"[
    { "id": "tell", "trigger": { "event": { "pattern": { "do": ["tell"] } } },
      "actions": [{ "key": "a", "type": "send_chat_message", "params": { "channel": "soc", "message": "{user}" } }] },
    { "id": "escalate", "trigger": { "event": { "pattern": { "do": ["escalate"] } } },
      "actions": [{ "key": "a", "type": "escalate_to_hr" }] } ]"#;

fn rules() -> RuleSet {
    RuleSet::from_json(RULES).unwrap()
}

pub(crate) fn event(of: &str, n: usize) -> Event {
    let payload = r#"{"do": "tell"}"#;
    Event::new(id(of), &format!("s{n}"), "okta", id::<UserId>(&format!("u{n}")), at(0), payload).unwrap()
}

/// A world with so many messages to send, and another engine that claims that many at once.
fn crowd(messages: usize) -> World {
    let world = World::new(RULES);
    (0..messages).for_each(|n| drop(world.submit(event("acme", n), at(0))));
    world
}

fn batch(world: &World, delivery: impl Delivery + 'static, most: usize) -> Engine {
    Engine::new(world.store.clone(), delivery, rules()).claim_up_to(most)
}

pub(crate) fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_batch_is_delivered_and_settled_as_one_by_one() {
    for most in [1, 3, 100] {
        let world = crowd(7);
        let engine = batch(&world, world.target.clone(), most);
        let report = go(engine.run_due(at(1)));
        assert_eq!((report.attempts, report.succeeded, report.handed_back), (7, 7, 0), "batches of {most}");
        let mut users: Vec<String> = world.target.all().iter().map(|job| job.subject.to_string()).collect();
        users.sort();
        users.dedup();
        assert_eq!(users.len(), 7, "each once");
        assert_eq!(world.stats("tell", at(1)).succeeded, 7);
        assert_eq!(world.count("ENFORCEMENT_SUCCEEDED"), 7);
        world.verified();
    }
}

#[test]
fn a_kill_switch_in_the_middle_of_a_batch_holds_back_the_rest() {
    let world = crowd(5);
    let (store, delivered) = (world.store.clone(), AtomicUsize::new(0));
    let target = move |_: &Job| {
        if delivered.fetch_add(1, Ordering::SeqCst) == 1 {
            let other = Engine::new(store.clone(), |_: &Job| Delivered::done(), rules());
            go(other.engage_kill_switch(&tenant(), &KillScope::Tenant, &id("olga"), "stop", at(1)));
        }
        Delivered::done()
    };
    let report = go(batch(&world, target, 5).run_due(at(1)));
    assert_eq!((report.attempts, report.succeeded, report.handed_back), (2, 2, 3));
    let waiting: Vec<_> = world.log().into_iter().filter(|row| row.reason() == Reason::Queued).collect();
    assert_eq!(waiting.len(), 3);
    assert!(waiting.iter().all(|row| row.attempts == 0 && row.history.is_empty()), "no attempt is used up");
    assert_eq!(world.count("ENFORCEMENT_HANDED_BACK"), 3);
    assert!(world.run(at(2)).is_idle(), "and nothing is claimed while it is engaged");
    go(world.engine.release_kill_switch(&tenant(), &KillScope::Tenant, &id("olga"), "go on", at(3)));
    assert_eq!(world.run(at(3)).succeeded, 3);
    world.verified();
}

#[test]
fn a_stopped_engine_gives_back_what_it_has_not_begun() {
    let world = crowd(4);
    let engine = Arc::new(std::sync::OnceLock::<Engine>::new());
    let held = Arc::downgrade(&engine);
    let target: Box<dyn Fn(&Job) -> Delivered + Send + Sync> = Box::new(move |_| {
        held.upgrade().unwrap().get().unwrap().stop();
        Delivered::done()
    });
    let engine = engine.get_or_init(|| batch(&world, target, 4));
    let report = go(engine.run_due(at(1)));
    assert_eq!((report.attempts, report.succeeded, report.handed_back), (1, 1, 3));
    assert!(go(engine.run_due(at(2))).is_idle(), "it claims no more");
    assert_eq!(world.run(at(2)).succeeded, 3, "another one goes on at once");
    world.verified();
}

#[test]
fn what_was_delivered_is_written_when_the_store_is_back() {
    let world = crowd(3);
    // The claim is no commit; the first commit of the run is that of its answers.
    let store = Arc::new(Frail::new(world.store.clone(), 0));
    let engine = Engine::new(Arc::clone(&store), world.target.clone(), rules()).claim_up_to(3);
    let down = refused(engine.run_due(at(1)));
    assert!(matches!(down, EngineError::Store(StoreError::Unavailable(_))), "{down}");
    assert_eq!(world.target.all().len(), 3);
    assert!(world.log().iter().all(|row| row.reason() == Reason::Running));
    store.mend(100);
    let report = go(engine.run_due(at(2)));
    assert_eq!((report.attempts, report.succeeded, report.stale), (0, 3, 0), "nothing is delivered again");
    assert_eq!(world.target.all().len(), 3);
    world.verified();
}

#[test]
fn a_tenant_with_much_to_do_does_not_hold_up_another() {
    let world = World::new(RULES);
    for n in 0..50 {
        world.submit(event("busy", n), at(0));
    }
    for n in 0..2 {
        world.submit(event("quiet", n), at(1));
    }
    assert_eq!(world.run(at(2)).succeeded, 52);
    let order: Vec<String> = world.target.all().iter().map(|job| job.tenant.to_string()).collect();
    assert_eq!(order[..5], ["busy", "quiet", "busy", "quiet", "busy"]);
}

/// A delivery that waits until it is told to answer.
#[derive(Clone, Default)]
pub(crate) struct Slow(pub(crate) std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Delivery for Slow {
    fn channels(&self) -> Option<std::collections::BTreeSet<ActionType>> {
        None
    }
    fn deliver<'a>(&'a self, _: &'a Job) -> Answer<'a, Delivered> {
        Box::pin(std::future::poll_fn(|_| match self.0.load(Ordering::SeqCst) {
            true => Poll::Ready(Delivered::done()),
            false => Poll::Pending,
        }))
    }
    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(std::future::ready(Probe::Unknown))
    }
}

/// A world whose store has a clock of its own, in minutes.
fn timed() -> (World, std::sync::Arc<std::sync::atomic::AtomicI64>) {
    let clock = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let minutes = clock.clone();
    let world = World::on(MemoryStore::with_clock(move || at(minutes.load(Ordering::SeqCst))), rules());
    world.submit(event("acme", 1), at(0));
    (world, clock)
}

#[test]
fn a_long_delivery_keeps_its_lease_while_it_is_renewed() {
    let (world, clock) = timed();
    let slow = Slow::default();
    let engine = Engine::new(world.store.clone(), slow.clone(), rules()).lease(Span::mins(3));
    let mut run = pin!(engine.run_due(at(0)));
    assert!(poll(run.as_mut()).is_pending());
    for minute in 1..10 {
        clock.store(minute, Ordering::SeqCst);
        assert_eq!(go(engine.renew_held()).renewed, 1);
        assert_eq!(world.run(at(minute)).attempts, 0, "nobody takes it over in minute {minute}");
    }
    slow.0.store(true, Ordering::SeqCst);
    let Poll::Ready(Ok(report)) = poll(run.as_mut()) else { panic!("it has its answer") };
    assert_eq!((report.attempts, report.succeeded, report.stale), (1, 1, 0));
    assert_eq!(go(engine.renew_held()), Renewals::default(), "nothing is held any more");
    world.verified();
}

#[test]
fn a_lost_lease_ends_the_delivery_and_its_answer_is_stale() {
    let (world, clock) = timed();
    let engine = Engine::new(world.store.clone(), Slow::default(), rules()).lease(Span::mins(3));
    let mut run = pin!(engine.run_due(at(0)));
    assert!(poll(run.as_mut()).is_pending());
    clock.store(5, Ordering::SeqCst);
    assert_eq!(world.run(at(5)).succeeded, 1, "another worker took it over");
    assert_eq!(go(engine.renew_held()).lost.len(), 1);
    let Poll::Ready(Ok(report)) = poll(run.as_mut()) else { panic!("it is given up") };
    assert_eq!((report.stale, report.succeeded), (1, 0));
    assert_eq!(world.count("ENFORCEMENT_SETTLE_REFUSED"), 1);
    world.verified();
}

#[test]
fn a_delivery_that_takes_too_long_is_given_up() {
    let (world, clock) = timed();
    let engine = Engine::new(world.store.clone(), Slow::default(), rules())
        .lease(Span::mins(3))
        .deliver_within(Span::mins(4));
    let mut run = pin!(engine.run_due(at(0)));
    assert!(poll(run.as_mut()).is_pending());
    let late: Vec<usize> = (1..=5)
        .map(|minute| {
            clock.store(minute, Ordering::SeqCst);
            go(engine.renew_held()).late.len()
        })
        .collect();
    assert_eq!(late, [0, 0, 0, 0, 1], "four minutes after the first renewal of the call");
    let Poll::Ready(Ok(report)) = poll(run.as_mut()) else { panic!("it is given up") };
    assert_eq!((report.attempts, report.waiting), (1, 1), "its answer counts as lost; a repeat does no harm");
    let row = world.the("send_chat_message");
    assert_eq!(row.history[0].outcome, Some(Outcome::Unknown));
    world.verified();
}

#[test]
fn the_next_wakeup_is_the_earliest_that_the_store_knows_or_the_poll() {
    let world = World::new(RULES);
    let worker = |name: &str| {
        Engine::new(world.store.clone(), world.target.clone(), rules()).worker(id(name)).poll(Span::hours(8))
    };
    let (one, two) = (worker("w1"), worker("w2"));
    let idle = go(one.next_wakeup(at(0)));
    assert!(
        at(6 * 60) <= idle && idle <= at(10 * 60),
        "three quarters to five quarters of the interval: {idle}"
    );
    assert_ne!(idle, go(two.next_wakeup(at(0))), "no two workers look at the same time");
    world.target.answers("send_chat_message", [Outcome::Retry { after: Some(Span::hours(3)) }.into()]);
    world.submit(event("acme", 1), at(0));
    world.run(at(0));
    let State::RetryWait { until, .. } = world.the("send_chat_message").state else { panic!() };
    let wake = go(one.next_wakeup(at(0)));
    assert!(until <= wake && wake <= until.after(Span::millis(500)), "the retry, spread a little: {wake}");
    assert_eq!(world.run(wake).succeeded, 1);
}

#[test]
fn the_futures_of_a_run_may_move_between_threads() {
    fn moves<T: Send>(_: T) {}
    let world = crowd(1);
    moves(world.engine.run_due(at(0)));
    moves(world.engine.submit_all([], at(0)));
    moves(world.engine.renew_held());
    moves(world.engine.next_wakeup(at(0)));
}
