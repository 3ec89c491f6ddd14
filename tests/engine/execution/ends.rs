//! The end of an engine in good order, also where the store's answers are lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tipstaff::*;

use super::batches::RULES;
use crate::support::{World, at, go, id, refused};

/// A store that takes claims and answers none of them, until it is mended.
pub(super) struct Mute {
    inner: MemoryStore,
    pub(super) mute: AtomicBool,
    /// Whether it cannot be reached any more once an answer was lost.
    away: bool,
    lost: AtomicBool,
}

impl Mute {
    pub(super) fn new(inner: MemoryStore, away: bool) -> Arc<Self> {
        Arc::new(Self { inner, mute: true.into(), away, lost: false.into() })
    }
}

impl Store for Mute {
    crate::pass_on! { inner: load, commit, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let mute = self.mute.load(Ordering::SeqCst);
        if mute && self.away && self.lost.swap(true, Ordering::SeqCst) {
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        let taken = self.inner.claim(claim).await;
        if mute { Err(StoreError::Unknown("cut".to_owned())) } else { taken }
    }
}

#[test]
fn a_claim_whose_answer_was_lost_is_handed_back_at_the_end() {
    [false, true].into_iter().for_each(handed_back);
}

fn handed_back(away: bool) {
    let world = World::new(RULES);
    for n in ["s1", "s2", "s3"] {
        world.submit(world.event(n, "ana", at(0), r#"{"do": "tell"}"#), at(0));
    }
    let store = Mute::new(world.store.clone(), away);
    let rules = RuleSet::from_json(RULES).unwrap();
    let engine = Engine::new(Arc::clone(&store), world.target.clone(), rules).worker(id("w1")).claim_up_to(2);
    let lost = refused(engine.run_due(at(1)));
    let unknown = matches!(lost, EngineError::Store(StoreError::Unknown(_)));
    assert_eq!(unknown, !away, "{lost}");
    engine.stop();
    // It does not know yet what it holds, and says that it could not find out.
    refused(engine.run_due(at(1)));
    store.mute.store(false, Ordering::SeqCst);
    let report = go(engine.run_due(at(1)));
    assert_eq!((report.handed_back, report.attempts), (2, 0));
    assert!(go(engine.run_due(at(1))).is_idle());
    for row in world.log() {
        assert_eq!((row.reason(), row.attempts), (Reason::Queued, 0), "{row}");
    }
    assert!(world.target.all().is_empty());
    // Nothing waits for a lease to run out.
    assert_eq!(world.run(at(1)).succeeded, 3);
    world.verified();
}

/// A store whose first claim is made, and whose answer does not come.
struct Silent {
    inner: MemoryStore,
    asked: AtomicBool,
}

impl Store for Silent {
    crate::pass_on! { inner: load, commit, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let taken = self.inner.claim(claim).await;
        match self.asked.swap(true, Ordering::SeqCst) {
            true => taken,
            false => std::future::pending().await,
        }
    }
}

#[test]
fn a_claim_whose_answer_nobody_waited_for_is_carried_out_by_the_next_run() {
    let world = World::new(RULES);
    world.submit(world.event("s1", "ana", at(0), r#"{"do": "tell"}"#), at(0));
    let store = Silent { inner: world.store.clone(), asked: false.into() };
    let engine = Engine::new(store, world.target.clone(), RuleSet::from_json(RULES).unwrap());
    assert_eq!(ready(engine.run_due(at(1))), Err(WouldBlock), "the run is dropped where it waits");
    assert_eq!(world.log()[0].reason(), Reason::Running);
    let report = go(engine.run_due(at(1)));
    assert_eq!((report.attempts, report.succeeded), (1, 1), "no lease had to run out");
    assert_eq!(world.target.all().len(), 1);
    world.verified();
}
