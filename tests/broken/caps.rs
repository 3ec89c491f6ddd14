//! Caps, loops and the kill switch, broken.

use std::sync::Mutex;

use tipstaff::broken::Defect;
use tipstaff::*;

use super::support::{Target, World, at, go, id, tenant};

const SETTINGS: &str =
    r#""approvers": { "default": "security", "groups": { "security": ["bo"] }, "operators": ["olga"] }"#;

fn world(action: &str, guards: &str) -> World {
    World::new(&document("live", action, guards))
}

fn document(mode: &str, action: &str, guards: &str) -> String {
    format!(
        r#"{{ {SETTINGS}, "rules": [{{ "id": "r", "mode": "{mode}", "trigger": {{ "event": {{ "pattern": {{ "do": ["go"] }} }} }},
          "actions": [{action}], "guards": {{ {guards} }} }}] }}"#
    )
}

const TELL: &str = r#"{ "key": "tell", "type": "escalate_to_hr" }"#;
const LOCK: &str = r#"{ "key": "lock", "type": "lock_account", "for": "1h", "approval": "none" }"#;
const ASKED: &str = r#"{ "key": "lock", "type": "lock_account", "for": "1h" }"#;
const TWO: &str = r#""cap": { "count": 2, "in": "1h", "on_exceed": "suppress" }"#;

fn event(n: &str, when: Time) -> Event {
    Event::new(tenant(), n, "okta", id::<UserId>(n), when, r#"{ "do": "go" }"#).unwrap()
}

/// How many enforcements such events make, each decided at its minute.
fn made(world: &World, events: &[(&str, i64)]) -> usize {
    let decide = |(n, minute): &(&str, i64)| world.submit(event(n, at(*minute)), at(*minute));
    events.iter().map(|told| decide(told).enforcements().count()).sum()
}

/// Another host decides, or claims, before each commit of this one.
struct Crowded<'a> {
    inner: MemoryStore,
    before: Mutex<Vec<Box<dyn Fn() + Send + 'a>>>,
}

impl Store for Crowded<'_> {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.inner.load(keys).await
    }
    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let next = self.before.lock().unwrap().pop();
        if let Some(other) = next {
            other();
        }
        self.inner.commit(commit).await
    }
    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        self.inner.claim(claim).await
    }
    async fn renew(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        self.inner.renew(renewal).await
    }
    async fn due(&self, page: &DuePage) -> Result<Vec<Record>, StoreError> {
        self.inner.due(page).await
    }
    async fn query(&self, query: &Query) -> Result<Page<Record>, StoreError> {
        self.inner.query(query).await
    }
    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        self.inner.trail(trail).await
    }
    async fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, StoreError> {
        self.inner.head(tenant, lane).await
    }
    async fn erase(&self, tenant: &TenantId, user: &UserId) -> Result<u64, StoreError> {
        self.inner.erase(tenant, user).await
    }
    async fn now(&self) -> Result<Time, StoreError> {
        self.inner.now().await
    }
    async fn unique(&self) -> Result<Salt, StoreError> {
        self.inner.unique().await
    }
}

fn another(store: MemoryStore) -> Engine<MemoryStore, Target> {
    Engine::new(store, Target::default(), RuleSet::from_json("[]").unwrap())
}

fn two_hosts_take_a_place_each() {
    let world = world(TELL, TWO);
    made(&world, &[("a", 0)]);
    let other = || drop(go(another(world.store.clone()).submit(event("b", at(0)), at(0))));
    let before: Vec<Box<dyn Fn() + Send>> = vec![Box::new(other)];
    let store = Crowded { inner: world.store.clone(), before: Mutex::new(before) };
    let slow = Engine::new(store, Target::default(), RuleSet::from_json("[]").unwrap());
    go(slow.submit(event("c", at(0)), at(0)));
    assert_eq!(world.log().len(), 2);
    assert_eq!(made(&world, &[("d", 0)]), 0);
}

fn a_place_is_given_back_once() {
    let world = world(ASKED, TWO);
    made(&world, &[("a", 0), ("b", 0)]);
    let first = world.log()[0].id;
    go(world.engine.cancel(&world.tenant, first, &id("olga"), "a mistake", at(1)));
    assert_eq!(made(&world, &[("c", 2), ("d", 2)]), 1);
}

fn a_back_dated_event_finds_no_older_window() {
    let world = world(TELL, TWO);
    made(&world, &[("a", 0), ("b", 0)]);
    assert_eq!(world.submit(event("c", at(-600)), at(1)).enforcements().count(), 0);
}

fn beyond_a_cap_that_asks_people_decide() {
    let world = world(LOCK, r#""cap": { "count": 2, "in": "1h" }"#);
    made(&world, &[("a", 0), ("b", 0), ("c", 0)]);
    world.run(at(1));
    assert_eq!(world.target.jobs("lock_account").len(), 2);
}

fn shadow_leaves_room_for_what_is_live() {
    let world = World::new(&document("shadow", TELL, TWO));
    made(&world, &[("a", 0), ("b", 0)]);
    let live = RuleSet::from_json(&document("live", TELL, TWO)).unwrap();
    go(world.engine.add_rules(&world.tenant, &live, &Actor::Host, at(1)));
    assert_eq!(made(&world, &[("c", 2), ("d", 2), ("e", 2)]), 2);
}

fn a_share_of_nobody_knows_how_many_holds() {
    let world = world(TELL, r#""cap": { "percent": 50, "in": "1h" }"#);
    assert_eq!(made(&world, &[("a", 0)]), 0);
}

fn a_cause_that_is_not_known_is_asked_about() {
    let world = world(TELL, "");
    let caused = event("a", at(0)).caused_by(id("enf_000102030405060708090a0b0c0d0e0f"));
    world.submit(caused, at(0));
    assert_eq!(world.requests().len(), 1);
}

fn everywhere_stops_every_tenant() {
    let world = world(TELL, "");
    made(&world, &[("a", 0)]);
    go(world.engine.engage_everywhere([world.tenant.clone()], &id("olga"), "a breach", at(1)));
    assert_eq!(made(&world, &[("b", 2)]), 0);
    world.run(at(3));
    assert_eq!(world.target.all().len(), 0);
}

fn what_is_claimed_until_the_switch_is_engaged_is_listed() {
    let world = world(TELL, "");
    made(&world, &[("a", 0)]);
    let claim = Claim {
        worker: id("w-fast"),
        nonce: super::support::commit_id("c1"),
        channels: None,
        max: 1,
        until: at(1),
        lease: Span::mins(1),
        after: None,
    };
    let other = || assert_eq!(go(world.store.claim(&claim)).len(), 1);
    let before: Vec<Box<dyn Fn() + Send>> = vec![Box::new(other)];
    let store = Crowded { inner: world.store.clone(), before: Mutex::new(before) };
    let slow = Engine::new(store, Target::default(), RuleSet::from_json("[]").unwrap());
    let flying = go(slow.engage_kill_switch(&world.tenant, &KillScope::Tenant, &id("olga"), "stop", at(1)));
    assert_eq!(flying.len(), 1);
}

#[test]
fn every_defect_of_what_counts_is_caught() {
    super::caught(&[
        (Defect::CapWithoutCas, "two hosts take a place each", two_hosts_take_a_place_each),
        (Defect::CapFreedTwice, "a place is given back once", a_place_is_given_back_once),
        (
            Defect::CapOnSignalTime,
            "a back-dated event finds no older window",
            a_back_dated_event_finds_no_older_window,
        ),
        (
            Defect::CapThatAsksPasses,
            "beyond a cap that asks, people decide",
            beyond_a_cap_that_asks_people_decide,
        ),
        (
            Defect::ShadowTakesPlaces,
            "shadow leaves room for what is live",
            shadow_leaves_room_for_what_is_live,
        ),
        (
            Defect::UnknownPopulationPasses,
            "a share of nobody knows how many holds",
            a_share_of_nobody_knows_how_many_holds,
        ),
        (
            Defect::UnknownCausePasses,
            "a cause that is not known is asked about",
            a_cause_that_is_not_known_is_asked_about,
        ),
        (Defect::GlobalStopForgotten, "everywhere stops every tenant", everywhere_stops_every_tenant),
        (
            Defect::FlightListedBefore,
            "what is claimed until the switch is engaged is listed",
            what_is_claimed_until_the_switch_is_engaged_is_listed,
        ),
    ]);
}
