//! Caps, loops and the kill switch, broken.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

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

/// What others do at some moment.
type Other = Box<dyn Fn() + Send>;

/// Others are at work between this host's calls of the store.
pub(crate) struct Crowded {
    inner: MemoryStore,
    /// Before its next commit.
    before_commit: Mutex<Option<Other>>,
    /// Before it reads a counter of a cap, or who is away, which it has read already.
    before_second_look: Mutex<Option<Other>>,
    looks: AtomicUsize,
}

impl Crowded {
    pub(crate) fn new(world: &World) -> Self {
        let (before_commit, before_second_look) = (Mutex::default(), Mutex::default());
        Self { inner: world.store.clone(), before_commit, before_second_look, looks: AtomicUsize::new(0) }
    }

    fn before_commit(self, other: impl Fn() + Send + 'static) -> Self {
        Self { before_commit: Mutex::new(Some(Box::new(other))), ..self }
    }

    pub(crate) fn before_second_look(self, other: impl Fn() + Send + 'static) -> Self {
        Self { before_second_look: Mutex::new(Some(Box::new(other))), ..self }
    }
}

impl Store for Crowded {
    crate::pass_on! { inner: claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let counter = keys.iter().any(|key| [Kind::Cap, Kind::Away].contains(&key.kind));
        if counter && self.looks.fetch_add(1, SeqCst) > 0 {
            let other = self.before_second_look.lock().unwrap().take();
            other.into_iter().for_each(|other| other());
        }
        self.inner.load(keys).await
    }
    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let other = self.before_commit.lock().unwrap().take();
        other.into_iter().for_each(|other| other());
        self.inner.commit(commit).await
    }
}

fn another(store: MemoryStore) -> Engine {
    Engine::new(store, Target::default(), RuleSet::from_json("[]").unwrap())
}

/// Two rules under one cap of the tenant: nothing but its counter is written by both.
pub(crate) fn two_hosts_take_a_place_each() {
    let rule = |name: &str| {
        format!(
            r#"{{ "id": "{name}", "trigger": {{ "event": {{ "pattern": {{ "do": ["{name}"] }} }} }}, "actions": [{TELL}] }}"#
        )
    };
    let (one, two) = (rule("one"), rule("two"));
    let world = World::new(&format!(
        r#"{{ {SETTINGS}, "caps": [{{ "count": 2, "in": "1h", "on_exceed": "suppress" }}], "rules": [{one}, {two}] }}"#
    ));
    let event = |n: &str, what: &str| world.event(n, n, at(0), &format!(r#"{{ "do": "{what}" }}"#));
    world.submit(event("a", "one"), at(0));
    let (others, second) = (another(world.store.clone()), event("b", "two"));
    let other = move || drop(go(others.submit(second.clone(), at(0))));
    let slow = Engine::new(
        Crowded::new(&world).before_second_look(other),
        Target::default(),
        RuleSet::from_json("[]").unwrap(),
    );
    go(slow.submit(event("c", "one"), at(0)));
    world.submit(event("d", "two"), at(0));
    assert_eq!(world.log().len(), 2);
}

pub(crate) fn a_place_is_given_back_once() {
    let world = world(ASKED, TWO);
    made(&world, &[("a", 0), ("b", 0)]);
    let first = world.log()[0].id;
    go(world.engine.cancel(&world.tenant, first, &id("olga"), "a mistake", at(1)));
    assert_eq!(made(&world, &[("c", 2), ("d", 2)]), 1);
}

pub(crate) fn a_back_dated_event_finds_no_older_window() {
    let world = world(TELL, TWO);
    made(&world, &[("a", 0), ("b", 0)]);
    assert_eq!(world.submit(event("c", at(-600)), at(1)).enforcements().count(), 0);
}

pub(crate) fn beyond_a_cap_that_asks_people_decide() {
    let world = world(LOCK, r#""cap": { "count": 2, "in": "1h" }"#);
    made(&world, &[("a", 0), ("b", 0), ("c", 0)]);
    world.run(at(1));
    assert_eq!(world.target.jobs("lock_account").len(), 2);
}

pub(crate) fn shadow_leaves_room_for_what_is_live() {
    let world = World::new(&document("shadow", TELL, TWO));
    made(&world, &[("a", 0), ("b", 0)]);
    let live = RuleSet::from_json(&document("live", TELL, TWO)).unwrap();
    go(world.engine.add_rules(&world.tenant, &live, &Actor::Host, at(1)));
    assert_eq!(made(&world, &[("c", 2), ("d", 2), ("e", 2)]), 2);
}

pub(crate) fn a_share_of_nobody_knows_how_many_holds() {
    let world = world(TELL, r#""cap": { "percent": 50, "in": "1h" }"#);
    assert_eq!(made(&world, &[("a", 0)]), 0);
}

pub(crate) fn a_cause_that_is_not_known_is_asked_about() {
    let world = world(TELL, "");
    let caused = event("a", at(0)).caused_by(id("enf_000102030405060708090a0b0c0d0e0f"));
    world.submit(caused, at(0));
    assert_eq!(world.requests().len(), 1);
}

pub(crate) fn everywhere_stops_every_tenant() {
    let world = world(TELL, "");
    made(&world, &[("a", 0)]);
    go(world.engine.engage_everywhere([world.tenant.clone()], &id("olga"), "a breach", at(1)));
    assert_eq!(made(&world, &[("b", 2)]), 0);
    world.run(at(3));
    assert_eq!(world.target.all().len(), 0);
}

pub(crate) fn what_is_claimed_until_the_switch_is_engaged_is_listed() {
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
    let store = world.store.clone();
    let other = move || assert_eq!(go(store.claim(&claim)).len(), 1);
    let store = Crowded::new(&world).before_commit(other);
    let slow = Engine::new(store, Target::default(), RuleSet::from_json("[]").unwrap());
    let flying = go(slow.engage_kill_switch(&world.tenant, &KillScope::Tenant, &id("olga"), "stop", at(1)));
    assert_eq!(flying.len(), 1);
}
