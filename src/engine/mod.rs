//! The shell around the core: the only place that awaits. It loads, plans, commits, claims,
//! delivers and settles; every decision is made by pure functions on lower floors.

mod absence;
mod approvals;
mod audience;
mod away;
mod bands;
mod caps;
mod control;
mod counts;
mod crowd;
mod defects;
mod describe;
mod effects;
mod enforcements;
mod exemptions;
mod explain;
mod group;
mod held;
mod hours;
mod installed;
mod intake;
mod judge;
mod levels;
mod lifts;
mod looks;
mod pauses;
mod preview;
mod queries;
mod retries;
mod rules;
mod run;
mod schedules;
mod settle;
mod steps;
mod sweeps;
mod tallies;
mod timetable;
mod turns;
mod tx;
mod undo;
mod waivers;
mod wake;
mod winding;
mod work;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::approval::{ApprovalError, BatchError};
use crate::audit::AuditError;
use crate::delivery::Delivery;
use crate::effect::EffectError;
use crate::enforcement::MoveError;
use crate::hash::Hash;
use crate::id::{ActorId, CommitId, EnforcementId, IdError, RuleId, TenantId, TriggerId, WorkerId};
use crate::people::{People, PeopleError, Right};
use crate::plan::PlanError;
use crate::rule::{DocumentError, RuleSet};
use crate::store::{Claim, MAX_CLAIM, SharedStore, Store, StoreError};
use crate::time::{Span, Time};

pub use approvals::{ApprovalView, BatchOutcome, IfUnanswered, Reassign, Reply, StageView};
pub use bands::ScaleList;
pub use control::InFlight;
pub use group::SUBMIT_GROUP;
pub use held::Renewals;
pub use preview::{ActionCount, BandMove, BandPreview, MAX_MOVE_SAMPLE, MoveCount};
pub use rules::{RuleChange, RuleRow};
pub use run::{Fault, RunReport};
pub use schedules::TimetableRow;

use counts::Part;
use held::Holdings;
use installed::Kept;
use tx::Tx;

/// How often a decision is made anew because what it was made on had changed.
const CONFLICTS: usize = 64;
/// How many records one claim takes, unless the host says otherwise. One: a process that is ended
/// takes an attempt of whatever is claimed and not yet tried with it, and where deliveries block,
/// the last of a batch waits for all before it.
const BATCH: usize = 1;
/// How long a worker holds what it claimed, unless the host says otherwise.
const LEASE: Span = Span::secs(60);
/// How long a delivery may take while its lease is renewed, unless the host says otherwise.
const PATIENCE: Span = Span::mins(15);
/// Of how many tenants the compiled rules are kept, unless the host says otherwise.
const KEPT: usize = 10_000;
/// How often a host looks for what others left, unless it says otherwise.
const POLL: Span = Span::secs(5);

/// The engine: give it signals, and run what is due.
///
/// It is safe as it stands: without a directory of people nobody may approve, and what needs
/// approval is held. All of its state is in the store, so any number of engines may work on one
/// store; each needs a worker id of its own, which it takes from the store unless
/// [`Engine::worker`] names one.
///
/// Every call may be repeated; see [`EngineError`] for what an error asks of the caller.
pub struct Engine {
    store: SharedStore,
    delivery: Arc<dyn Delivery>,
    seed: RuleSet,
    people: Option<Arc<dyn People>>,
    lease: Span,
    batch: usize,
    patience: Span,
    poll: Span,
    stopped: AtomicBool,
    /// Whether the last run ended before all was done.
    left_off: AtomicBool,
    worker: Mutex<Option<(WorkerId, Part)>>,
    claims: AtomicU64,
    /// Claims that may have been made, but whose answers were lost.
    unanswered: Mutex<Vec<Claim>>,
    /// The tenant from which a claim took last.
    served: Mutex<Option<TenantId>>,
    holdings: Holdings,
    installed: Mutex<Kept>,
}

/// Why the engine did not do what was asked, and what to do about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The store failed; its error says whether to repeat, to wait or to raise an alarm.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No decision can be made on the signal: correct it.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The signal's id was used before with other content: it is refused, and that is audited.
    #[error(
        "signal `{id}` came before with other content (digest {known}, now {given}); a new signal needs a new id"
    )]
    SignalReused {
        /// The signal's id.
        id: String,
        /// The record of the first.
        trigger: TriggerId,
        /// The digest of the first content.
        known: Hash,
        /// The digest of what was given.
        given: Hash,
    },
    /// The rules do not fit together: correct them.
    #[error(transparent)]
    Rules(#[from] DocumentError),
    /// That revision of the rule exists already, with another content.
    #[error(
        "rule `{rule}` has a revision {revision} that says something else; give the new one a higher number, or none"
    )]
    RevisionTaken {
        /// The rule.
        rule: RuleId,
        /// The revision.
        revision: u32,
    },
    /// The settings change the bands of scales on which people have scores: they would move without
    /// anything having happened. Preview the change, and apply it.
    #[error("the bands of {0} change, and people have scores there; preview the change and apply it")]
    BandsChanged(ScaleList),
    /// What was previewed is not what would happen now.
    #[error("the preview `{given}` does not hold any more; look at the preview `{found}` and apply that")]
    PreviewStale {
        /// The digest of the preview that was given.
        given: Hash,
        /// The digest of what would happen now.
        found: Hash,
    },
    /// More subjects would move than was agreed to.
    #[error("{moves} move(s), but {agreed} were agreed to; accepted: at most as many as were agreed to")]
    TooManyMoves {
        /// How many there would be.
        moves: u64,
        /// How many were agreed to.
        agreed: u64,
    },
    /// An earlier change of bands is still on its way through the subjects.
    #[error("an earlier change of bands is still on its way; run what is due first")]
    BandsMoving,
    /// There is no such thing.
    #[error("no {what} `{id}`")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Under which id.
        id: String,
    },
    /// The request does not take the answer.
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    /// The batch of requests is not answered: look again.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Somebody ordered what they have no right to, by the host's word at this moment. It is audited.
    #[error("`{actor}` may not {right}; the host's directory, or `approvers.operators`, says who may")]
    NotPermitted {
        /// Who.
        actor: ActorId,
        /// What they would have needed.
        right: Right,
    },
    /// The enforcement does not take the order.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// The directory of people does not answer: try again later.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// An audit record is refused: correct it.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// An id is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The reason of an order has a length that is not accepted.
    #[error("the reason has {0} bytes; accepted: 1 to 4096")]
    Reason(usize),
    /// The effect does not take the order.
    #[error(transparent)]
    Effect(#[from] EffectError),
    /// An undo is neither called off nor judged: a person would stay restricted with nobody to hold them so.
    #[error(
        "`{0}` takes a restriction back and is neither called off nor judged; order the restriction again instead"
    )]
    UndoStands(EnforcementId),
    /// A cap has no room for what a person has tried again: wait for the next window, or raise the cap.
    #[error("held by {0}; accepted: in the next window, or when the cap is raised")]
    CapExceeded(String),
    /// An exemption that is over before it begins.
    #[error("the exemption ends at {0}, which is past; accepted: a time to come, or none")]
    ExemptionOver(Time),
    /// The subject has, or there are by attribute, more exemptions than
    /// [`MAX_EXEMPTIONS`](crate::MAX_EXEMPTIONS).
    #[error("{0} exemptions of one subject, or by attribute; accepted: at most 100")]
    TooManyExemptions(usize),
    /// The attributes of a user are longer than [`MAX_ATTRIBUTE_BYTES`](crate::MAX_ATTRIBUTE_BYTES).
    #[error("the attributes have {0} bytes; accepted: at most 16384")]
    Attributes(usize),
    /// What the decision was made on kept changing: try again.
    #[error("the records concerned keep changing; try again")]
    Busy,
}

impl Engine {
    /// An engine on this store and delivery. The rules are those of every tenant that has none in
    /// the store yet; from then on the store's rules are in force, and
    /// [`Engine::add_rules`] changes them.
    #[must_use]
    pub fn new(store: impl Store + 'static, delivery: impl Delivery + 'static, rules: RuleSet) -> Self {
        Self {
            store: SharedStore::new(store),
            delivery: Arc::new(delivery),
            seed: rules,
            people: None,
            lease: LEASE,
            batch: BATCH,
            patience: PATIENCE,
            poll: POLL,
            stopped: AtomicBool::new(false),
            left_off: AtomicBool::new(false),
            worker: Mutex::new(None),
            claims: AtomicU64::new(0),
            unanswered: Mutex::new(Vec::new()),
            served: Mutex::new(None),
            holdings: Holdings::default(),
            installed: Mutex::new(Kept::of(KEPT)),
        }
    }

    /// The engine with the host's directory of people.
    #[must_use]
    pub fn people(self, people: impl People + 'static) -> Self {
        Self { people: Some(Arc::new(people)), ..self }
    }

    /// The engine under this worker id, which no other process may have.
    #[must_use]
    pub fn worker(self, worker: WorkerId) -> Self {
        let part = Part::of(&worker);
        Self { worker: Mutex::new(Some((worker, part))), ..self }
    }

    /// The engine with leases of that length, at least a second; a minute where nothing is said.
    /// Longer than any delivery takes, or renewed meanwhile ([`Engine::renew_held`]).
    #[must_use]
    pub fn lease(self, lease: Span) -> Self {
        Self { lease: lease.max(Span::secs(1)), ..self }
    }

    /// The engine that claims up to so many at once, 1 to [`MAX_CLAIM`](crate::MAX_CLAIM), delivers
    /// them and settles them in one commit a tenant; one where nothing is said.
    ///
    /// A batch costs fewer transactions. Deliveries that wait are under way at the same time; those
    /// that block come one after the other, so that a lease must outlast all of them, or be renewed
    /// ([`Engine::renew_held`]). While one blocks, a call of the store that waits for its server is not
    /// gone on with: its transaction stays open that long.
    ///
    /// Nothing is given up for a batch: before each of its deliveries it is asked again whether the claim is
    /// held, whether a kill switch was engaged since (what waits then goes back into the queue, and no
    /// attempt is counted), whether the approval covers it and whose turn the effect is. What a process
    /// that is killed had claimed is one attempt the poorer.
    #[must_use]
    pub fn claim_up_to(self, most: usize) -> Self {
        Self { batch: most.clamp(1, MAX_CLAIM), ..self }
    }

    /// The engine that gives a delivery up after that long while [`Engine::renew_held`] renews its
    /// lease, at least a second; a quarter of an hour where nothing is said. Its answer counts as lost:
    /// it is tried again where that does no harm, and is `outcome_unknown` where it would and the
    /// target cannot tell.
    #[must_use]
    pub fn deliver_within(self, most: Span) -> Self {
        Self { patience: most.max(Span::secs(1)), ..self }
    }

    /// The engine that looks that often for what other processes left, at least every 10 milliseconds;
    /// every 5 seconds where nothing is said. See [`Engine::next_wakeup`].
    #[must_use]
    pub fn poll(self, every: Span) -> Self {
        Self { poll: every.max(Span::millis(10)), ..self }
    }

    /// The engine that keeps the compiled rules of so many tenants in memory, of those that it served last;
    /// at least one, and ten thousand where nothing is said. The rules of any other are read and compiled
    /// when they are asked for.
    #[must_use]
    pub fn keep_tenants(self, most: usize) -> Self {
        Self { installed: Mutex::new(Kept::of(most.max(1))), ..self }
    }

    /// Ends the work of this engine in good order; a run that is under way finishes the deliveries that
    /// have begun, writes them down, gives back what it has claimed and not begun, and returns. From then
    /// on [`Engine::run_due`] only writes down what an earlier call could not, and hands back what a claim
    /// whose answer was lost may have taken: a host calls it until it succeeds, and holds nothing then.
    /// Signals and orders are taken as before.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Whether the engine was [stopped](Engine::stop).
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// The store.
    #[must_use]
    pub const fn store(&self) -> &SharedStore {
        &self.store
    }

    /// The delivery.
    #[must_use]
    pub fn delivery(&self) -> &dyn Delivery {
        &*self.delivery
    }

    /// A poisoned lock is taken all the same: what is behind it is replaced as a whole.
    #[expect(clippy::unused_self, reason = "it reads as the engine's own")]
    fn lock<'l, T>(&self, mutex: &'l Mutex<T>) -> MutexGuard<'l, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tx(&self, tenant: &TenantId) -> Tx<'_> {
        let part = self.lock(&self.worker).as_ref().map_or(Part::FIRST, |(_, part)| *part);
        Tx::new(&self.store, tenant, part)
    }

    /// The worker id: the host's, or one that nobody else has.
    async fn worker_id(&self) -> Result<WorkerId, EngineError> {
        let known = self.lock(&self.worker).clone();
        if let Some((worker, _)) = known {
            return Ok(worker);
        }
        let fresh: WorkerId = format!("w-{}", self.store.unique().await?).parse()?;
        let part = Part::of(&fresh);
        Ok(self.lock(&self.worker).get_or_insert((fresh, part)).0.clone())
    }

    /// A nonce that no other claim has.
    async fn nonce(&self) -> Result<CommitId, EngineError> {
        let salt = self.store.unique().await?;
        let count = self.claims.fetch_add(1, Ordering::Relaxed);
        Ok(CommitId::derive(|h| h.text("claim").bytes(salt.bytes()).number(count)))
    }
}

/// Runs a block until it does not conflict with somebody else's change.
macro_rules! until_settled {
    ($attempt:block) => {{
        let mut settled = Err($crate::engine::EngineError::Busy);
        for _ in 0..$crate::engine::CONFLICTS {
            let outcome: Result<_, $crate::engine::EngineError> = async { $attempt }.await;
            match outcome {
                Err($crate::engine::EngineError::Store($crate::store::StoreError::Conflict(_))) => {}
                other => {
                    settled = other;
                    break;
                }
            }
        }
        settled
    }};
}
use until_settled;

fn not_found(what: &'static str, id: &dyn std::fmt::Display) -> EngineError {
    EngineError::NotFound { what, id: id.to_string().chars().take(300).collect() }
}
