//! What the suite needs to know of a store or a delivery under test.

use crate::action::{ActionType, Params};
use crate::delivery::Delivery;
use crate::id::{EnforcementId, TenantId};
use crate::store::Store;
use crate::time::Span;
use crate::words::words;

/// A store under test: empty when it is made, with a clock that can be moved.
pub trait Harness: Sync {
    /// The store.
    type Store: Store;

    /// The store.
    fn store(&self) -> &Self::Store;

    /// The same data as another process would open it, or as this one does after a restart: what
    /// is kept only in memory is not there. None where the data cannot be opened twice; the laws
    /// use [`Harness::store`] in its place then.
    fn reopen(&self) -> Option<Self::Store>;

    /// Moves the store's clock on by at least this span, so that leases run out. A store that
    /// takes its time from a server sleeps that long; the laws ask for three seconds at most, and
    /// four times in each variant.
    fn advance(&self, span: Span);

    /// Damages what the store keeps of the end of that tenant's first audit lane, as a disk might or a
    /// careless hand: nothing can be appended to it any more. False where the harness cannot; the law
    /// that asks for it leaves the rest out then.
    fn damage(&self, tenant: &TenantId) -> bool;
}

words! {
    /// What can go wrong between a delivery and its target.
    Trouble, "trouble" {
        AnswerLost: "answer_lost", "the target carries the action out, and its answer does not arrive";
        NotReached: "not_reached", "the target is never reached, and the delivery knows it: a refused connection";
        Refused: "refused", "the target refuses the action, and says so";
    }
}

/// A delivery under test, before a target whose effects can be counted.
pub trait Target {
    /// The delivery.
    type Delivery: Delivery;

    /// The delivery.
    fn delivery(&self) -> &Self::Delivery;

    /// A channel that it carries.
    fn channel(&self) -> ActionType;

    /// The parameters of a job that it can carry out on that channel.
    fn params(&self) -> Params;

    /// Whether the target honours keys: whether a second delivery under one key has no effect.
    fn honours_keys(&self) -> bool;

    /// How often the action of this key has had its effect at the target.
    fn effects(&self, key: EnforcementId) -> usize;

    /// Makes this trouble for the next delivery, and for that one only. False where the target
    /// cannot; the laws leave that trouble out then.
    fn trouble(&self, trouble: Trouble) -> bool;
}
