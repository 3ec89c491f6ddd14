//! What lies between hosts and the world: every call of a store or a delivery waits here once for its
//! turn, and may fail, be applied without an answer, or be the last thing that its host did.

use std::collections::{BTreeMap, BTreeSet};
use std::future::{Future, pending, poll_fn};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use tipstaff::*;

use crate::random::Random;
use crate::support::go;
use crate::target::Targets;
use crate::witness::{Checked, Violation, Witness, facet};
use crate::work::body;

/// What becomes of one call.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
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
    /// Which of them were hit, and how.
    pub(crate) struck: BTreeSet<(&'static str, Hit)>,
    /// The host whose turn it is fell.
    pub(crate) fell: bool,
    /// The worker whose turn it is, if it runs what is due.
    pub(crate) worker: Option<String>,
    /// Who has the turn, for the trace.
    pub(crate) who: String,
    pub(crate) violation: Option<Violation>,
    /// Whether people use kill switches in this run.
    pub(crate) switches: bool,
    /// What those who asked must not sleep through, by name, each by its own clock.
    ahead: BTreeMap<String, Time>,
    trace: Option<Vec<String>>,
}

impl State {
    /// What whoever has their turn, and asked, must not sleep through.
    pub(crate) fn take_ahead(&mut self) -> Option<Time> {
        self.ahead.remove(&self.who)
    }
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
            struck: BTreeSet::new(),
            fell: false,
            worker: None,
            who: String::new(),
            violation: None,
            switches: false,
            ahead: BTreeMap::new(),
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
    pub(crate) async fn turn(&self, name: &'static str) -> Hit {
        let mut polled = false;
        poll_fn(|_| if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }).await;
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        let State { faults, random, .. } = &mut *state;
        let hit = match faults {
            Faults::Peace => Hit::None,
            Faults::Chance { before, lost } => match random.next() % 1_000 {
                n if n < *before => Hit::Before,
                n if n < *before + *lost => Hit::Lost,
                _ => Hit::None,
            },
            Faults::Script(script) => script.get(&call).copied().unwrap_or(Hit::None),
        };
        if hit != Hit::None {
            state.struck.insert((name, hit));
        }
        hit
    }

    /// The host of the call that was hit so ends here.
    pub(crate) async fn fall<T>(&self) -> T {
        self.state().fell = true;
        pending().await
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
pub(crate) struct Wire(Watched);

impl Wire {
    pub(crate) fn to(net: &Arc<Net>) -> Self {
        Self(Watched { net: Arc::clone(net), store: net.store.clone() })
    }

    async fn pass<T: Send>(
        &self,
        name: &'static str,
        apply: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let net = &self.0.net;
        let hit = net.turn(name).await;
        if hit != Hit::None {
            net.trace(|| format!("{name}: {hit:?}"));
        }
        if hit == Hit::Before {
            return Err(StoreError::Unavailable("the line is down".to_owned()));
        }
        let answer = apply.await;
        net.state().witness.heard(hit == Hit::None);
        match hit {
            Hit::Crash => net.fall().await,
            Hit::Lost => Err(StoreError::Unknown("the line went dead".to_owned())),
            _ => answer,
        }
    }
}

/// Declares the calls of a store, each of which waits for its turn. One that is added to [`Store`] does not
/// compile before it stands here.
macro_rules! calls {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)+) => {
        /// The calls of a store, by name.
        pub(crate) const CALLS: &[&str] = &[$(stringify!($name)),+];

        impl Store for Wire {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, StoreError> {
                self.pass(stringify!($name), self.0.$name($($arg),*)).await
            })+
        }
    };
}

calls! {
    load(keys: &[Key]) -> Vec<Option<Record>>;
    commit(commit: &Commit) -> Committed;
    claim(claim: &Claim) -> Vec<Record>;
    renew(renewal: &Renewal) -> Time;
    due(page: &DuePage) -> Vec<Record>;
    upcoming(ask: &Ahead) -> Upcoming;
    query(query: &Query) -> Page<Record>;
    trail(trail: &Trail) -> Vec<AuditRecord>;
    head(tenant: &TenantId, lane: u16) -> Head;
    erase(tenant: &TenantId, user: &UserId) -> u64;
    now() -> Time;
    unique() -> Salt;
}

fn short(key: &Key) -> String {
    format!("{}/{}", key.kind, key.id.chars().take(20).collect::<String>())
}

fn told(record: &Record) -> String {
    let action = facet(record, Facet::Action).unwrap_or_default();
    let reason = facet(record, Facet::Reason).or(facet(record, Facet::Status)).unwrap_or_default();
    format!("{} v{} {action} {reason}", short(&record.key), record.version)
}

/// What ended with nothing to do.
fn idle(put: &[Record]) -> impl Iterator<Item = Enforcement> {
    put.iter().filter(|record| facet(record, Facet::Reason) == Some("no_op")).map(body)
}

/// The store itself, with a witness beside it.
struct Watched {
    net: Arc<Net>,
    store: MemoryStore,
}

impl Store for Watched {
    crate::pass_on! { store: load, due, query, trail, head, erase, now, unique }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let net = &self.net;
        let before = net.rows(&commit.tenant);
        let answer = self.store.commit(commit).await;
        let grown = net.rows(&commit.tenant) - before;
        let mut state = net.state();
        let worker = state.worker.clone();
        let checked = state.witness.committed(commit, &answer, grown, worker.as_deref());
        let checked = checked.and_then(|()| match answer {
            Ok(Committed::Applied) => {
                idle(&commit.put).try_for_each(|made| state.targets.nothing_to_do(&made))
            }
            _ => Ok(()),
        });
        drop(state);
        net.check(checked);
        net.trace(|| {
            let puts: Vec<_> = commit.put.iter().map(told).collect();
            let rows: Vec<_> = commit.audit.iter().map(|draft| draft.code.as_str()).collect();
            format!("commit [{}] {} -> {answer:?}", puts.join(", "), rows.join(" "))
        });
        answer
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let net = &self.net;
        let before: Vec<u64> = net.tenants.iter().map(|tenant| net.rows(tenant)).collect();
        let answer = self.store.claim(claim).await;
        let now = net.now();
        if let Ok(taken) = &answer {
            let grown = net.tenants.iter().zip(before);
            let grown: Vec<_> = grown.map(|(tenant, before)| (tenant, net.rows(tenant) - before)).collect();
            let controls = if taken.is_empty() { BTreeMap::new() } else { net.controls() };
            let mut state = net.state();
            let checked = state.witness.claimed(claim, taken, &grown, now, &controls);
            taken.iter().for_each(|record| state.targets.claimed(&record.key));
            drop(state);
            net.check(checked);
            if !taken.is_empty() {
                net.trace(|| format!("claim [{}]", taken.iter().map(told).collect::<Vec<_>>().join(", ")));
            }
        }
        answer
    }

    async fn renew(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        let until = self.store.renew(renewal).await?;
        self.net.state().witness.renewed(&renewal.key, until);
        Ok(until)
    }

    async fn upcoming(&self, ask: &Ahead) -> Result<Upcoming, StoreError> {
        let net = &self.net;
        let answer = self.store.upcoming(ask).await;
        let now = net.now();
        let mut state = net.state();
        let who = state.who.clone();
        match state.witness.ahead(ask, now) {
            Some(ahead) => state.ahead.insert(who, ahead),
            None => state.ahead.remove(&who),
        };
        answer
    }
}
