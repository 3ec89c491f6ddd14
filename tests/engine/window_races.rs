//! Counts under trouble: other processes between a read and its commit, answers that are lost, a
//! process that ends at any commit. Nothing is counted twice, and nothing is lost.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Mutex;

use crate::support::{Frail, Target, World, at, go, id, tenant};
use proptest::prelude::*;
use tipstaff::*;

const RULES: &str = r#"[
  { "id": "five", "trigger": { "event": { "pattern": { "kind": ["a"] }, "window": { "count": 5, "in": "1h" } } },
    "actions": [{ "key": "tell", "type": "escalate_to_hr" }] },
  { "id": "each", "trigger": { "event": { "pattern": { "kind": ["a"] }, "window": { "count": 3, "in": "1h", "every": true } } },
    "actions": [{ "key": "tell", "type": "escalate_to_manager" }],
    "guards": { "cooldown": { "field": "kind", "for": "1h" } } } ]"#;

fn event(n: usize) -> Event {
    Event::new(tenant(), &format!("s{n}"), "okta", id::<UserId>("ana"), at(n as i64), r#"{ "kind": "a" }"#)
        .unwrap()
}

/// What happens between a process's reads and its commit.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Nothing.
    None,
    /// Another process decides on the next event first.
    Other,
    /// Another process decides on the same event first.
    Same,
    /// The commit is applied, and its answer lost.
    Lost,
}

/// A store in front of which there is trouble.
struct Troubled {
    inner: MemoryStore,
    script: Mutex<VecDeque<(Trouble, usize)>>,
}

impl Troubled {
    fn other(&self, n: usize) {
        let none = RuleSet::from_json("[]").unwrap();
        let other = Engine::new(self.inner.clone(), Target::default(), none);
        go(other.submit(event(n), at(100)));
    }
}

impl Store for Troubled {
    crate::pass_on! { inner: load, claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let trouble = self.script.lock().unwrap().pop_front();
        match trouble {
            Some((Trouble::Other, n)) => self.other(n + 1),
            Some((Trouble::Same, n)) => self.other(n),
            Some((Trouble::Lost, _)) => {
                self.inner.commit(commit).await?;
                return Err(StoreError::Unknown("the line went dead".to_owned()));
            }
            _ => {}
        }
        self.inner.commit(commit).await
    }
}

/// What a story comes to: the counts of each rule by the order of decisions, and what was made.
fn outcome(world: &World) -> (Vec<BTreeSet<u32>>, Vec<(String, u64)>, usize) {
    let filter = Filter::new(&world.tenant).order(Order::Oldest).limit(MAX_PAGE);
    let decisions = go(world.engine.signals(filter)).rows;
    let counts = |rule: &str| {
        let of_rule = decisions.iter().flat_map(|d| &d.windows).filter(|stand| stand.rule == id(rule));
        of_rule.map(|stand| stand.count).collect()
    };
    let made = world.log().iter().map(|row| (row.action.to_string(), row.repeats)).collect();
    (vec![counts("five"), counts("each")], made, decisions.len())
}

fn check(world: &World, events: usize) {
    let (counts, made, decisions) = outcome(world);
    assert_eq!(decisions, events);
    // Whoever counted: one after the other, up to what is needed.
    let up_to = |most: usize| (1..=events.min(most) as u32).collect::<BTreeSet<_>>();
    assert_eq!(counts, [up_to(5), up_to(3)]);
    let made_of = |action: &str| made.iter().filter(|(of, _)| of == action).collect::<Vec<_>>();
    assert_eq!(made_of("escalate_to_hr").len(), usize::from(events >= 5));
    assert_eq!(made_of("escalate_to_manager").len(), usize::from(events >= 3));
    let repeats: u64 = made_of("escalate_to_manager").iter().map(|(_, repeats)| repeats).sum();
    assert_eq!(repeats as usize, events.saturating_sub(3));
    assert_eq!(world.count("POLICY_SIGNAL_DECIDED"), events);
    world.verified();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn nothing_is_lost_or_counted_twice(
        troubles in prop::collection::vec(prop::sample::select(&[Trouble::None, Trouble::Other, Trouble::Same, Trouble::Lost][..]), 1..12),
    ) {
        let world = World::new(RULES);
        go(world.engine.rules(&world.tenant, at(0)));
        let mut n = 0;
        for trouble in troubles {
            let script = Mutex::new(VecDeque::from([(trouble, n)]));
            let store = Troubled { inner: world.store.clone(), script };
            let engine = Engine::new(store, Target::default(), RuleSet::from_json("[]").unwrap());
            go(engine.submit(event(n), at(100)));
            n += if matches!(trouble, Trouble::Other) { 2 } else { 1 };
            check(&world, n);
        }
    }

    /// A process that falls at some commit is followed by another, which begins from the start.
    #[test]
    fn a_process_that_falls_leaves_counts_whole(falls in prop::collection::vec(0_usize..9, 1..6)) {
        let calm = World::new(RULES);
        (0..12).for_each(|n| drop(calm.submit(event(n), at(100))));
        let stormy = World::new(RULES);
        go(stormy.engine.rules(&stormy.tenant, at(0)));
        for commits in falls {
            let store = Frail::new(stormy.store.clone(), commits);
            let engine = Engine::new(store, Target::default(), RuleSet::from_json("[]").unwrap());
            for n in 0..12 {
                if ready(engine.submit(event(n), at(100))).unwrap().is_err() {
                    break;
                }
            }
        }
        (0..12).for_each(|n| drop(stormy.submit(event(n), at(100))));
        prop_assert_eq!(outcome(&calm), outcome(&stormy));
        check(&stormy, 12);
    }
}
