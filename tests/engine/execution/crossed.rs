//! Hosts that are at the same timers.

use std::sync::atomic::{AtomicBool, Ordering};

use tipstaff::*;

use crate::support::{Frail, Target, World, at, go, id};

/// As many timers of one tenant as one look gives.
const PAGE: usize = 100;
const RULES: &str = r#"[{ "id": "later", "trigger": { "event": { "pattern": { "do": ["later"] } } },
    "actions": [{ "key": "a", "type": "create_ticket", "delay": "5m", "params": { "queue": "soc", "title": "{user}" } }] }]"#;

/// A store in which somebody whose clock is a minute behind is faster at the first commit, and ends with it.
struct Beaten {
    inner: MemoryStore,
    target: Target,
    done: AtomicBool,
}

impl Store for Beaten {
    crate::pass_on! { inner: load, claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        if !self.done.swap(true, Ordering::SeqCst) {
            let rules = RuleSet::from_json("[]").unwrap();
            let other = Engine::new(Frail::new(self.inner.clone(), 1), self.target.clone(), rules);
            assert!(other.run_due(at(5)).await.is_err(), "it has stepped what was due by its clock");
        }
        self.inner.commit(commit).await
    }
}

#[test]
fn whoever_leaves_a_page_to_another_host_looks_at_the_rest_of_it_and_at_all_other_tenants() {
    for timers in [PAGE, PAGE + 1, 3 * PAGE] {
        let world = World::new(RULES);
        let later = |tenant: &str, n: usize, minute: i64| {
            let user: UserId = id(&format!("u{n}"));
            let payload = r#"{ "do": "later" }"#;
            let event = Event::new(id(tenant), &format!("s{n}"), "okta", user, at(minute), payload).unwrap();
            world.submit(event, at(minute));
        };
        // Half of the first page is due a minute before the others.
        (0..timers).for_each(|n| later("acme", n, i64::from(n >= PAGE / 2)));
        later("zeta", 0, 1);
        let store =
            Beaten { inner: world.store.clone(), target: world.target.clone(), done: AtomicBool::new(false) };
        let engine = Engine::new(store, world.target.clone(), RuleSet::from_json("[]").unwrap());
        assert_eq!(go(engine.run_due(at(6))).succeeded, timers + 1, "{timers} timers of the first tenant");
        assert!(world.run(at(6)).is_idle());
    }
}
