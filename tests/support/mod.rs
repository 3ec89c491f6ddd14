//! What the tests of the engine share: short names, a delivery with a script, and a world to tell
//! stories in.
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]

pub mod last_ones;
mod pass_on;
pub mod people;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Debug;
use std::future::{Future, ready as at_once};
use std::str::FromStr;
use std::sync::{Arc, Mutex};

use tipstaff::*;

/// A value from its text.
pub fn id<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().unwrap_or_else(|fault| panic!("`{text}`: {fault:?}"))
}

/// Noon of 2 March 2026, a Monday, plus that many minutes.
pub fn at(minutes: i64) -> Time {
    let noon: Time = id("2026-03-02T12:00:00Z");
    Time::from_micros(noon.micros() + minutes * 60_000_000)
}

/// The answer of a call that must succeed.
#[track_caller]
pub fn go<T, E: Debug>(call: impl Future<Output = Result<T, E>>) -> T {
    ready(call).expect("the memory store never waits").expect("the call succeeds")
}

/// The answer of a call that may fail.
pub fn ready_or_refused<T, E: Debug>(call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    ready(call).expect("the memory store never waits")
}

/// The error of a call that must fail.
#[track_caller]
pub fn refused<T: Debug, E>(call: impl Future<Output = Result<T, E>>) -> E {
    ready(call).expect("the memory store never waits").expect_err("the call is refused")
}

pub fn tenant() -> TenantId {
    id("acme")
}

/// What a target answers to one attempt.
#[derive(Default)]
pub struct Script {
    /// The answers by action type; the last one is repeated, none means done.
    answers: BTreeMap<String, VecDeque<Delivered>>,
    /// What the target knows when it is asked.
    probes: BTreeMap<String, Probe>,
    /// Every job that it was given.
    pub jobs: Vec<Job>,
    /// Every key that it was asked about.
    pub asked: Vec<EnforcementId>,
}

/// A delivery that answers as it is told, and remembers what it was given.
#[derive(Clone, Default)]
pub struct Target {
    script: Arc<Mutex<Script>>,
}

impl Target {
    /// What it answers to attempts of this type, one after the other; then it is done.
    pub fn answers(&self, action: &str, answers: impl IntoIterator<Item = Delivered>) {
        self.script.lock().unwrap().answers.insert(action.to_owned(), answers.into_iter().collect());
    }

    /// What it knows of jobs of this type.
    pub fn knows(&self, action: &str, probe: Probe) {
        self.script.lock().unwrap().probes.insert(action.to_owned(), probe);
    }

    /// The jobs of a type that it was given.
    pub fn jobs(&self, action: &str) -> Vec<Job> {
        let script = self.script.lock().unwrap();
        script.jobs.iter().filter(|job| job.action.as_str() == action).cloned().collect()
    }

    /// Every job that it was given, in their order.
    pub fn all(&self) -> Vec<Job> {
        self.script.lock().unwrap().jobs.clone()
    }

    /// How often it was asked about a key.
    pub fn asked(&self) -> usize {
        self.script.lock().unwrap().asked.len()
    }
}

impl Delivery for Target {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        None
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        let mut script = self.script.lock().unwrap();
        script.jobs.push(job.clone());
        let told = script.answers.get_mut(job.action.as_str()).and_then(VecDeque::pop_front);
        Box::pin(at_once(told.unwrap_or_else(Delivered::done)))
    }

    fn probe<'a>(&'a self, job: &'a Job) -> Answer<'a, Probe> {
        let mut script = self.script.lock().unwrap();
        script.asked.push(job.key);
        Box::pin(at_once(script.probes.get(job.action.as_str()).copied().unwrap_or(Probe::Unknown)))
    }
}

/// An engine with its store, its target and one tenant.
pub struct World {
    pub engine: Engine,
    pub store: MemoryStore,
    pub target: Target,
    pub tenant: TenantId,
}

impl World {
    pub fn new(rules: &str) -> Self {
        let rules = RuleSet::from_json(rules).unwrap_or_else(|error| panic!("{error}"));
        Self::on(MemoryStore::default(), rules)
    }

    pub fn on(store: MemoryStore, rules: RuleSet) -> Self {
        let target = Target::default();
        let engine = Engine::new(store.clone(), target.clone(), rules);
        Self { engine, store, target, tenant: tenant() }
    }

    /// The world of this directory of people.
    pub fn of_people(rules: &str, people: &people::Directory) -> Self {
        let world = Self::new(rules);
        Self { engine: world.engine.people(people.clone()), ..world }
    }

    /// Another process on the same store, which reaches the same target.
    pub fn another(&self) -> Self {
        let none = RuleSet::from_json("[]").unwrap();
        let engine = Engine::new(self.store.clone(), self.target.clone(), none);
        Self { engine, store: self.store.clone(), target: self.target.clone(), tenant: self.tenant.clone() }
    }

    /// An event of the source `okta`.
    pub fn event(&self, signal: &str, user: &str, when: Time, payload: &str) -> Event {
        Event::new(self.tenant.clone(), signal, "okta", id::<UserId>(user), when, payload).unwrap()
    }

    #[track_caller]
    pub fn submit(&self, signal: impl Into<Signal>, now: Time) -> Decision {
        go(self.engine.submit(signal, now))
    }

    pub fn score(&self, signal: &str, user: &str, when: Time, score: &str) -> ScoreReading {
        let user: UserId = id(user);
        ScoreReading::new(self.tenant.clone(), id(signal), id("default"), user, when, id(score))
    }

    pub fn order(&self, signal: &str, operator: &str, user: &str, order: ManualOrder) -> ManualStart {
        ManualStart {
            tenant: self.tenant.clone(),
            id: id(signal),
            operator: id(operator),
            subject: Subject::user(id(user)),
            at: at(0),
            reason: "a call from the help desk".to_owned(),
            order,
            break_glass: false,
        }
    }

    /// Runs what is due; nothing may go wrong.
    #[track_caller]
    pub fn run(&self, now: Time) -> RunReport {
        let report = go(self.engine.run_due(now));
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        report
    }

    /// Every enforcement, the oldest first.
    pub fn log(&self) -> Vec<Enforcement> {
        go(self.engine.enforcements(Filter::new(&self.tenant).order(Order::Oldest).limit(MAX_PAGE))).rows
    }

    /// The one enforcement of a type.
    #[track_caller]
    pub fn the(&self, action: &str) -> Enforcement {
        let mut found = self.log();
        found.retain(|row| row.action.as_str() == action);
        assert_eq!(found.len(), 1, "one {action}: {found:#?}");
        found.remove(0)
    }

    pub fn reason(&self, action: &str) -> &'static str {
        self.the(action).reason().as_str()
    }

    /// Every request, the oldest first.
    pub fn requests(&self) -> Vec<Approval> {
        go(self.engine.approvals(Filter::new(&self.tenant).order(Order::Oldest).limit(MAX_PAGE))).rows
    }

    #[track_caller]
    pub fn approve(&self, request: &Approval, actor: &str, now: Time) -> Approval {
        go(self.engine.approve(&self.tenant, request.id, &id(actor), request.digest, None, now))
    }

    #[track_caller]
    pub fn denied(&self, request: &Approval, actor: &str, now: Time) -> ApprovalError {
        let actor = id(actor);
        match refused(self.engine.approve(&self.tenant, request.id, &actor, request.digest, None, now)) {
            EngineError::Approval(error) => error,
            other => panic!("{other}"),
        }
    }

    pub fn stats(&self, rule: &str, now: Time) -> RuleStats {
        let rows = go(self.engine.rule_rows(&self.tenant, now));
        rows.into_iter().find(|row| row.rule.rule.id == id(rule)).unwrap().stats
    }

    pub fn trail(&self) -> Vec<AuditRecord> {
        let mut records: Vec<AuditRecord> = Vec::new();
        loop {
            let after = records.last().map_or(0, |record| record.seq);
            let page = go(self.engine.audit(&self.tenant, after, MAX_PAGE));
            if page.is_empty() {
                return records;
            }
            records.extend(page);
        }
    }

    /// The codes of the trail after a place, in their order.
    pub fn codes_after(&self, seq: usize) -> Vec<String> {
        self.trail().into_iter().skip(seq).map(|record| record.code).collect()
    }

    /// How many records of a code the trail has.
    pub fn count(&self, code: &str) -> usize {
        self.trail().iter().filter(|record| record.code == code).count()
    }

    /// The end of every story: the chain is whole, and the trail says how it went.
    #[track_caller]
    pub fn verified(&self) {
        let head = go(self.engine.verify_audit(&self.tenant, None)).expect("the chain is whole");
        assert_eq!(head.seq as usize, self.trail().len());
    }
}

/// Everything that a store holds of a tenant, as text: records of all kinds, and the trail.
pub fn content(store: &MemoryStore, tenant: &TenantId) -> Vec<String> {
    let mut all = Vec::new();
    for kind in Kind::ALL {
        let mut after = None;
        loop {
            let query = Query {
                tenant: tenant.clone(),
                kind: *kind,
                from: None,
                until: None,
                facets: Vec::new(),
                order: Order::Oldest,
                after,
                limit: MAX_PAGE,
            };
            let page = go(store.query(&query));
            all.extend(page.rows.iter().map(|record| serde_json::to_string(record).unwrap()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    let trail = Trail { tenant: tenant.clone(), lane: 0, after: 0, limit: usize::MAX };
    all.extend(go(store.trail(&trail)).iter().map(|record| serde_json::to_string(record).unwrap()));
    all
}

/// One record as it is stored.
pub fn stored(store: &MemoryStore, kind: Kind, key: impl ToString + Copy) -> Option<Record> {
    let key = Key::new(&tenant(), kind, key.to_string());
    go(store.load(&[key])).remove(0)
}

/// The counts of a rule, as the one host of a test keeps them.
pub fn counts(store: &MemoryStore, rule: &str) -> Option<Record> {
    let texts = content(store, &tenant());
    let mut records = texts.iter().filter_map(|text| serde_json::from_str::<Record>(text).ok());
    let own = format!("{rule} ");
    records.find(|record| record.key.kind == Kind::Stats && record.key.id.starts_with(&own))
}

/// Puts a record back with another body, past the engine.
pub fn tamper(
    store: &MemoryStore,
    mut record: Record,
    name: &str,
    edit: impl FnOnce(&mut serde_json::Value),
) {
    let mut body: serde_json::Value = serde_json::from_str(&record.body).unwrap();
    edit(&mut body);
    record.body = body.to_string();
    let commit = Commit {
        id: commit_id(name),
        tenant: record.key.tenant.clone(),
        expect: Vec::new(),
        fence: Vec::new(),
        put: vec![record],
        audit: Vec::new(),
    };
    assert_eq!(go(store.commit(&commit)), Committed::Applied);
}

/// A commit's id of the test's own: a name of at most 32 hexadecimal digits, filled up.
pub fn commit_id(name: &str) -> CommitId {
    id(&format!("cmt_{name:0>32}"))
}

/// A store that is not available any more after so many commits.
pub struct Frail {
    inner: MemoryStore,
    left: std::sync::atomic::AtomicUsize,
}

impl Frail {
    pub fn new(inner: MemoryStore, commits: usize) -> Self {
        Self { inner, left: commits.into() }
    }

    /// From here on it takes so many commits again.
    pub fn mend(&self, commits: usize) {
        self.left.store(commits, std::sync::atomic::Ordering::SeqCst);
    }
}

impl Store for Frail {
    crate::pass_on! { inner: load, claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        use std::sync::atomic::Ordering::SeqCst;
        let left = self.left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        left.map_err(|_| StoreError::Unavailable("it fell".to_owned()))?;
        self.inner.commit(commit).await
    }
}

/// A store that lets something happen between what a decision reads and what it writes.
pub struct Between<F> {
    inner: MemoryStore,
    done: std::sync::atomic::AtomicBool,
    /// Before which kind of record is read; before the decision is written, where none is named.
    before: Option<Kind>,
    happens: F,
}

impl<F> Between<F> {
    pub fn new(inner: MemoryStore, happens: F) -> Self {
        Self { inner, done: false.into(), before: None, happens }
    }

    /// It happens before a record of that kind is read for the first time.
    pub fn before(self, kind: Kind) -> Self {
        Self { before: Some(kind), ..self }
    }

    fn once(&self, now: bool) -> bool {
        now && !self.done.swap(true, std::sync::atomic::Ordering::SeqCst)
    }
}

impl<F: Fn() + Send + Sync> Store for Between<F> {
    crate::pass_on! { inner: claim, renew, due, upcoming, query, trail, head, erase, now, unique }

    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        if self.once(keys.iter().any(|key| Some(key.kind) == self.before)) {
            (self.happens)();
        }
        self.inner.load(keys).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let decides = commit.put.iter().any(|record| record.key.kind == Kind::Trigger);
        if self.once(decides && self.before.is_none()) {
            (self.happens)();
        }
        self.inner.commit(commit).await
    }
}
