//! What the tests of the three loops share: rules, signals, stores that fail, and what is left in the end.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses a part of it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tipstaff::{
    ActionType, Answer, Commit, Committed, Delivered, Delivery, Enforcement, Engine, Event, Filter, Job,
    MAX_PAGE, Probe, RuleSet, Signal, Status, Store, StoreError, TenantId, Time, UserId, ready,
};
use tipstaff_sqlite::SqliteStore;

#[path = "../../../../tests/support/pass_on.rs"]
mod pass_on;

pub const RULES: &str = r#"{ "rules": [
  { "id": "lock", "trigger": { "event": { "pattern": { "do": ["lock"] } } },
    "actions": [{ "key": "a", "type": "lock_account", "approval": "none", "for": "24h" }] },
  { "id": "tell", "trigger": { "event": { "pattern": { "do": ["tell"] } } },
    "actions": [{ "key": "a", "type": "escalate_to_hr" }] } ] }"#;

pub fn rules() -> RuleSet {
    RuleSet::from_json(RULES).unwrap()
}

pub fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

pub fn event(id: &str, user: &str, what: &str, at: Time) -> Signal {
    let user: UserId = user.parse().unwrap();
    let payload = format!(r#"{{ "do": "{what}" }}"#);
    Event::new(tenant(), id, "hr", user, at, payload).unwrap().into()
}

/// How many calls a store refuses from now on.
pub type Down = Arc<AtomicUsize>;

/// A store that does not answer so many of its next commits and claims.
pub struct Shaky<S> {
    pub inner: S,
    pub down: Down,
}

impl<S: Store> Shaky<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, down: Arc::default() }
    }

    fn answers(&self) -> Result<(), StoreError> {
        let down = self.down.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |down| down.checked_sub(1));
        down.map_or(Ok(()), |_| Err(StoreError::Unavailable("it is away".to_owned())))
    }
}

impl<S: Store> Store for Shaky<S> {
    crate::pass_on! { inner: load, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        self.answers()?;
        self.inner.commit(commit).await
    }

    async fn claim(&self, claim: &tipstaff::Claim) -> Result<Vec<tipstaff::Record>, StoreError> {
        self.answers()?;
        self.inner.claim(claim).await
    }
}

/// What a delivery waits for.
type Waits = dyn Fn(&Job) -> Answer<'static, ()> + Send + Sync;

/// A target that remembers how often each key came, and takes as long as it is told.
#[derive(Clone)]
pub struct Target {
    seen: Arc<Mutex<BTreeMap<String, usize>>>,
    waits: Arc<Waits>,
}

impl Target {
    pub fn new(waits: impl Fn(&Job) -> Answer<'static, ()> + Send + Sync + 'static) -> Self {
        Self { seen: Arc::default(), waits: Arc::new(waits) }
    }

    /// One that does something, and answers at once then.
    pub fn blocking(does: impl Fn(&Job) + Send + Sync + 'static) -> Self {
        Self::new(move |job| {
            does(job);
            Box::pin(async {})
        })
    }

    pub fn keys(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// That many keys, each of which came once.
    #[track_caller]
    pub fn each_once(&self, keys: usize) {
        let seen = self.seen.lock().unwrap();
        assert!(seen.len() == keys && seen.values().all(|count| *count == 1), "{seen:?}");
    }
}

impl Delivery for Target {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        None
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        Box::pin(async move {
            *self.seen.lock().unwrap().entry(job.key.to_string()).or_default() += 1;
            (self.waits)(job).await;
            Delivered::done()
        })
    }

    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(async { Probe::Unknown })
    }
}

/// The one kind of engine of these tests, on a file.
pub type Host = Engine;

pub fn host(file: &Path, target: &Target) -> Host {
    shaky_host(file, target).0
}

/// With what takes its store away.
pub fn shaky_host(file: &Path, target: &Target) -> (Host, Down) {
    let store = Shaky::new(SqliteStore::open(file).unwrap());
    let down = Arc::clone(&store.down);
    (Engine::new(store, target.clone(), rules()), down)
}

/// Everything in the log.
pub fn log(engine: &Engine) -> Vec<Enforcement> {
    ready(engine.enforcements(Filter::new(&tenant()).limit(MAX_PAGE))).unwrap().unwrap().rows
}

pub fn succeeded(engine: &Engine) -> usize {
    log(engine).iter().filter(|row| row.status() == Status::Succeeded).count()
}

/// How often the trail says so.
pub fn told(engine: &Engine, code: &str) -> usize {
    let trail = ready(engine.audit(&tenant(), 0, MAX_PAGE)).unwrap().unwrap();
    trail.iter().filter(|row| row.code == code).count()
}

/// Nothing is held by anybody any more, and what was begun is over.
#[track_caller]
pub fn nothing_is_held(engine: &Engine) {
    for row in log(engine) {
        let running = matches!(row.state, tipstaff::State::Running { .. });
        assert!(!running, "{row}");
    }
}
