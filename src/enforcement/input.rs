//! What happens to an enforcement.

use serde::{Deserialize, Serialize};

use crate::id::WorkerId;
use crate::time::{Span, Time};

/// What happens to an enforcement.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Input {
    /// People agreed.
    Approve,
    /// People did not.
    Reject,
    /// The request for approval ran out.
    ExpireApproval,
    /// A worker takes it; only a store's claim says so.
    Claim {
        /// The token of the claim.
        token: u64,
        /// Who.
        worker: WorkerId,
        /// The store's time.
        at: Time,
    },
    /// The delivery of that claim came back.
    Settle {
        /// The token of the claim.
        token: u64,
        /// With what.
        outcome: Outcome,
    },
    /// The worker of that claim finds, before it delivers, that what led to it no longer holds.
    Forgo {
        /// The token of the claim.
        token: u64,
    },
    /// The worker of that claim gives it back without having delivered anything.
    HandBack {
        /// The token of the claim.
        token: u64,
    },
    /// The worker of that claim gives it back without having delivered anything, because it cannot be
    /// told yet whether it may, or something else is under way: it has no more time than it had.
    Postpone {
        /// The token of the claim.
        token: u64,
        /// Until when.
        until: Time,
    },
    /// The worker of that claim gives it back without having delivered anything, because nothing may be
    /// until then, by the times of its rules or of its tenant: its window to start in begins anew.
    Adjourn {
        /// The token of the claim.
        token: u64,
        /// Until when.
        until: Time,
    },
    /// Nobody has claimed it, and nothing may be delivered until then, by those times.
    Defer {
        /// Until when.
        until: Time,
    },
    /// The target reported: whether it is done.
    Confirm {
        /// Whether it is done.
        done: bool,
    },
    /// A person calls it off.
    Cancel,
    /// What led to it no longer holds.
    Supersede,
    /// Its timer ran out.
    Elapsed,
}

/// How a delivery came back.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The target took it.
    Done,
    /// The target was in that state already.
    NoOp,
    /// It did not happen, and may be tried again.
    Retry {
        /// Not sooner than after this span, if the target said so (Retry-After).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Span>,
    },
    /// It did not happen, and never will.
    Permanent,
    /// The answer was lost.
    Unknown,
}

impl Input {
    /// The input's name, as errors show it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::ExpireApproval => "expire_approval",
            Self::Claim { .. } => "claim",
            Self::Settle { .. } => "settle",
            Self::Forgo { .. } => "forgo",
            Self::HandBack { .. } => "hand_back",
            Self::Postpone { .. } => "postpone",
            Self::Adjourn { .. } => "adjourn",
            Self::Defer { .. } => "defer",
            Self::Confirm { .. } => "confirm",
            Self::Cancel => "cancel",
            Self::Supersede => "supersede",
            Self::Elapsed => "elapsed",
        }
    }
}
