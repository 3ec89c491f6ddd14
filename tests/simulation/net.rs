//! What lies between hosts and the world: every call of a store or a delivery waits here once for its
//! turn, and may fail, be applied without an answer, or be the last thing that its host did.

use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use tipstaff::*;

use crate::random::Random;
use crate::support::go;
use crate::target::Targets;
use crate::witness::{Checked, Violation, Witness};

/// What becomes of one call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Hit {
    /// It is applied and answered.
    None,
    /// It fails before anything is applied.
    Before,
    /// It is applied, and its answer lost.
    Lost,
    /// It is applied, and its host ends there.
    Crash,
}

/// Which calls are hit.
#[derive(Clone, Debug)]
pub(crate) enum Faults {
    /// None: the world is at peace.
    Peace,
    /// So many of a thousand, before and after they are applied.
    Chance { before: u64, lost: u64 },
    /// Those of these numbers, counted from 0.
    Script(BTreeMap<u64, Hit>),
}

/// Everything that hosts share, and that outlives them.
pub(crate) struct State {
    pub(crate) random: Random,
    pub(crate) faults: Faults,
    pub(crate) witness: Witness,
    pub(crate) targets: Targets,
    pub(crate) calls: u64,
    /// The host whose turn it is fell.
    pub(crate) fell: bool,
    /// The worker whose turn it is, if it runs what is due.
    pub(crate) worker: Option<String>,
    /// Who has the turn, for the trace.
    pub(crate) who: String,
    pub(crate) violation: Option<Violation>,
    /// Whether people use kill switches in this run.
    pub(crate) switches: bool,
    /// What the host that asked last must not sleep through, by its own clock.
    pub(crate) ahead: Option<Time>,
    trace: Option<Vec<String>>,
}

/// The net.
pub(crate) struct Net {
    pub(crate) store: MemoryStore,
    /// Whose records there are.
    pub(crate) tenants: Vec<TenantId>,
    clock: Arc<AtomicI64>,
    state: Mutex<State>,
}

impl Net {
    /// A net around an empty store whose clock begins at `now`.
    pub(crate) fn new(seed: u64, now: Time, tenants: Vec<TenantId>, traced: bool) -> Self {
        let clock = Arc::new(AtomicI64::new(now.micros()));
        let read = Arc::clone(&clock);
        let state = State {
            random: Random::new(seed),
            faults: Faults::Peace,
            witness: Witness::default(),
            targets: Targets::default(),
            calls: 0,
            fell: false,
            worker: None,
            who: String::new(),
            violation: None,
            switches: false,
            ahead: None,
            trace: traced.then(Vec::new),
        };
        let store = MemoryStore::with_clock(move || Time::from_micros(read.load(Ordering::Relaxed)));
        Self { store, tenants, clock, state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("one thread")
    }

    /// The store's time.
    pub(crate) fn now(&self) -> Time {
        Time::from_micros(self.clock.load(Ordering::Relaxed))
    }

    /// Lets time pass, up to a moment that is not past.
    pub(crate) fn advance_to(&self, moment: Time) {
        self.clock.fetch_max(moment.micros(), Ordering::Relaxed);
    }

    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        let now = self.now();
        let mut state = self.state();
        let State { trace, who, .. } = &mut *state;
        if let Some(trace) = trace {
            let seconds = (now.micros() - crate::rules::start().micros()) as f64 / 1e6;
            trace.push(format!("{seconds:>9.1}s {who:<14} {}", line()));
        }
    }

    pub(crate) fn take_trace(&self) -> Vec<String> {
        self.state().trace.take().unwrap_or_default()
    }

    pub(crate) fn check(&self, checked: Checked) {
        if let Err(violation) = checked {
            let mut state = self.state();
            let _ = state.violation.get_or_insert(violation);
        }
    }

    /// Waits for its turn, and learns what becomes of the call.
    pub(crate) async fn turn(&self) -> Hit {
        let mut polled = false;
        poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        let State { faults, random, .. } = &mut *state;
        match faults {
            Faults::Peace => Hit::None,
            Faults::Chance { before, lost } => match random.next() % 1_000 {
                n if n < *before => Hit::Before,
                n if n < *before + *lost => Hit::Lost,
                _ => Hit::None,
            },
            Faults::Script(script) => script.get(&call).copied().unwrap_or(Hit::None),
        }
    }

    /// The host of the call that was hit so ends here.
    pub(crate) async fn fall<T>(&self) -> T {
        self.state().fell = true;
        pending().await
    }

    /// Whether the effect of a key is there.
    pub(crate) fn is_there(&self, key: EnforcementId) -> bool {
        self.state().targets.keys.get(&key).is_some_and(|seen| seen.effects > 0)
    }

    fn rows(&self, tenant: &TenantId) -> u64 {
        go(self.store.head(tenant, 0)).seq
    }

    /// What people have stopped, where they use kill switches at all.
    fn controls(&self) -> BTreeMap<TenantId, Control> {
        if !self.state().switches {
            return BTreeMap::new();
        }
        let keys: Vec<Key> = self.tenants.iter().map(Claim::control_key).collect();
        let found = self.tenants.iter().cloned().zip(go(self.store.load(&keys)));
        let control =
            |record: Option<Record>| serde_json::from_str(&record?.body).map(Some).expect("it is sound");
        found.filter_map(|(tenant, record)| Some((tenant, control(record)?))).collect()
    }
}

/// The store, as a host sees it.
#[derive(Clone)]
pub(crate) struct Wire(pub(crate) Arc<Net>);

impl Wire {
    async fn pass<T: Send>(
        &self,
        name: &str,
        apply: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let hit = self.0.turn().await;
        if hit != Hit::None {
            self.0.trace(|| format!("{name}: {hit:?}"));
        }
        if hit == Hit::Before {
            return Err(StoreError::Unavailable("the line is down".to_owned()));
        }
        let answer = apply.await;
        match hit {
            Hit::Crash => self.0.fall().await,
            Hit::Lost => Err(StoreError::Unknown("the line went dead".to_owned())),
            _ => answer,
        }
    }
}

fn short(key: &Key) -> String {
    format!("{}/{}", key.kind, key.id.chars().take(20).collect::<String>())
}

fn told(record: &Record) -> String {
    let facet =
        |wanted| record.facets.iter().find(|(facet, _)| *facet == wanted).map(|(_, value)| value.as_str());
    let action = facet(Facet::Action).unwrap_or_default();
    let reason = facet(Facet::Reason).or(facet(Facet::Status)).unwrap_or_default();
    format!("{} v{} {action} {reason}", short(&record.key), record.version)
}

impl Store for Wire {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        self.pass("load", self.0.store.load(keys)).await
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let apply = async {
            let net = &self.0;
            let before = net.rows(&commit.tenant);
            let answer = net.store.commit(commit).await;
            let grown = net.rows(&commit.tenant) - before;
            let mut state = net.state();
            let worker = state.worker.clone();
            let checked = state.witness.committed(commit, &answer, grown, worker.as_deref());
            drop(state);
            net.check(checked);
            net.trace(|| {
                let puts: Vec<_> = commit.put.iter().map(told).collect();
                let rows: Vec<_> = commit.audit.iter().map(|draft| draft.code.as_str()).collect();
                format!("commit [{}] {} -> {answer:?}", puts.join(", "), rows.join(" "))
            });
            answer
        };
        self.pass("commit", apply).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let apply = async {
            let net = &self.0;
            let before: Vec<u64> = net.tenants.iter().map(|tenant| net.rows(tenant)).collect();
            let answer = net.store.claim(claim).await;
            let now = net.now();
            if let Ok(taken) = &answer {
                let grown = net
                    .tenants
                    .iter()
                    .zip(before)
                    .map(|(tenant, before)| (tenant, net.rows(tenant) - before));
                let grown: Vec<_> = grown.collect();
                let controls = if taken.is_empty() { BTreeMap::new() } else { net.controls() };
                let mut state = net.state();
                let checked = state.witness.claimed(claim, taken, &grown, now, &controls);
                drop(state);
                net.check(checked);
                if !taken.is_empty() {
                    net.trace(|| {
                        format!("claim [{}]", taken.iter().map(told).collect::<Vec<_>>().join(", "))
                    });
                }
            }
            answer
        };
        let answer = self.pass("claim", apply).await;
        if let Ok(taken) = &answer {
            self.0.state().witness.told(claim, taken);
        }
        answer
    }

    async fn renew(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        let apply = async {
            let until = self.0.store.renew(renewal).await?;
            self.0.state().witness.renewed(&renewal.key, until);
            Ok(until)
        };
        self.pass("renew", apply).await
    }

    async fn due(&self, page: &DuePage) -> Result<Vec<Record>, StoreError> {
        self.pass("due", self.0.store.due(page)).await
    }

    async fn upcoming(&self, ask: &Ahead) -> Result<Upcoming, StoreError> {
        let apply = async {
            let net = &self.0;
            let answer = net.store.upcoming(ask).await;
            let now = net.now();
            let mut state = net.state();
            state.ahead = state.witness.ahead(ask, now);
            answer
        };
        self.pass("upcoming", apply).await
    }

    async fn query(&self, query: &Query) -> Result<Page<Record>, StoreError> {
        self.pass("query", self.0.store.query(query)).await
    }

    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        self.pass("trail", self.0.store.trail(trail)).await
    }

    async fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, StoreError> {
        self.pass("head", self.0.store.head(tenant, lane)).await
    }

    async fn erase(&self, tenant: &TenantId, user: &UserId) -> Result<u64, StoreError> {
        self.pass("erase", self.0.store.erase(tenant, user)).await
    }

    async fn now(&self) -> Result<Time, StoreError> {
        self.pass("now", self.0.store.now()).await
    }

    async fn unique(&self) -> Result<Salt, StoreError> {
        self.pass("unique", self.0.store.unique()).await
    }
}
