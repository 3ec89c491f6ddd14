//! What is found out between a claim and its delivery, and what must not be forgotten when nobody waits
//! any longer.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::task::Poll;

use tipstaff::*;

use super::batches::{RULES, event, poll};
use crate::support::people::Directory;
use crate::support::{World, at, go};

/// A store that keeps those waiting who read, or those who write.
pub(crate) struct Gate {
    inner: MemoryStore,
    reading: AtomicBool,
    writing: AtomicBool,
}

impl Gate {
    pub(crate) fn before(store: &MemoryStore, reading: bool, writing: bool) -> Arc<Self> {
        Arc::new(Self { inner: store.clone(), reading: reading.into(), writing: writing.into() })
    }

    async fn pass(shut: &AtomicBool) {
        poll_fn(|_| if shut.load(Ordering::SeqCst) { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    /// Nobody reads any more.
    pub(crate) fn shut(&self) {
        self.reading.store(true, Ordering::SeqCst);
    }

    pub(crate) fn open(&self) {
        self.reading.store(false, Ordering::SeqCst);
        self.writing.store(false, Ordering::SeqCst);
    }
}

impl Store for Gate {
    crate::pass_on! { inner: claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        Self::pass(&self.reading).await;
        self.inner.load(keys).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        Self::pass(&self.writing).await;
        self.inner.commit(commit).await
    }
}

pub(crate) fn nothing_of_its_own() -> RuleSet {
    RuleSet::from_json("[]").unwrap()
}

#[test]
fn a_lease_that_is_lost_before_the_delivery_prevents_it() {
    let clock = Arc::new(AtomicI64::new(0));
    let minutes = Arc::clone(&clock);
    let store = MemoryStore::with_clock(move || at(minutes.load(Ordering::SeqCst)));
    let world = World::on(store, RuleSet::from_json(RULES).unwrap());
    world.submit(event("acme", 1), at(0));
    let gate = Gate::before(&world.store, true, false);
    let engine = Engine::new(Arc::clone(&gate), world.target.clone(), nothing_of_its_own());
    let mut run = pin!(engine.run_due(at(0)));
    assert!(poll(run.as_mut()).is_pending(), "claimed, and the store does not answer any more");
    clock.store(5, Ordering::SeqCst);
    assert_eq!(world.run(at(5)).succeeded, 1, "somebody else took it over");
    assert_eq!(go(engine.renew_held()).lost.len(), 1);
    gate.open();
    let Poll::Ready(Ok(report)) = poll(run.as_mut()) else { panic!("it goes on") };
    assert_eq!((report.attempts, report.stale), (0, 1));
    assert_eq!(world.target.all().len(), 1, "it is not delivered again");
    world.verified();
}

#[test]
fn an_answer_is_written_though_its_run_is_waited_for_no_longer() {
    for most in [1, 3] {
        let world = World::new(RULES);
        (0..3).for_each(|n| drop(world.submit(event("acme", n), at(0))));
        let gate = Gate::before(&world.store, false, true);
        let engine = Engine::new(Arc::clone(&gate), world.target.clone(), nothing_of_its_own());
        let engine = engine.claim_up_to(most);
        {
            let mut run = pin!(engine.run_due(at(0)));
            assert!(poll(run.as_mut()).is_pending(), "delivered, and not written");
        }
        assert_eq!(world.target.all().len(), most);
        gate.open();
        assert_eq!(go(engine.run_due(at(0))).succeeded, 3);
        assert_eq!(world.target.all().len(), 3, "each once, without waiting for a lease");
        world.verified();
    }
}

#[test]
fn what_cannot_be_told_before_a_delivery_uses_up_no_attempt() {
    let people = Directory::default().hire("sec", &["sam"]).administrators(&["ada", "bo", "cy"]);
    let world = World::of_people(
        r#"{ "approvers": { "default": "sec" }, "administrators": { "keep": 1 }, "rules": [
            { "id": "r", "trigger": { "event": { "pattern": { "do": ["it"] } } },
              "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "1h" }] } ] }"#,
        &people,
    );
    world.submit(world.event("s1", "ada", at(0), r#"{ "do": "it" }"#), at(0));
    people.silent(true);
    for minute in 0..30 {
        let report = go(world.engine.run_due(at(minute)));
        let [fault] = report.faults.as_slice() else { panic!("{report:?}") };
        assert!(matches!(fault.error, EngineError::People(_)), "{fault:?}");
        let row = world.the("lock_account");
        assert_eq!((row.attempts, row.status()), (0, Status::Pending), "minute {minute}");
    }
    assert!(go(world.engine.effects(Filter::new(&world.tenant))).rows.is_empty(), "nothing may stand");
    people.silent(false);
    assert_eq!(world.run(at(31)).succeeded, 1);
    assert_eq!(world.the("lock_account").attempts, 1);
    let waited = world.trail().into_iter().find(|row| row.code == "ENFORCEMENT_POSTPONED").unwrap();
    assert!(format!("{waited:?}").contains("directory of people"), "{waited:?}");
    world.verified();
}
