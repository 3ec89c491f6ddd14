//! Where an enforcement may stand, and what that says of it.

use serde::{Deserialize, Serialize};

use crate::id::{ApprovalId, WorkerId};
use crate::time::Time;
use crate::words::words;

words! {
    /// Where an enforcement stands.
    Status, "status" {
        Pending: "pending", "it is not over";
        Succeeded: "succeeded", "its effect is there; final";
        Failed: "failed", "it came to nothing, or nobody knows; final";
    }

    /// Why it stands there.
    Reason, "reason" {
        AwaitingApproval: "awaiting_approval", "people must agree first";
        Scheduled: "scheduled", "its time has not come";
        Queued: "queued", "ready to be carried out";
        Running: "running", "a worker carries it out";
        RetryWait: "retry_wait", "an attempt failed, the next one waits";
        AwaitingConfirmation: "awaiting_confirmation", "the target took it and will report";
        Done: "done", "carried out";
        NoOp: "no_op", "the target was in that state already";
        Rejected: "rejected", "people did not agree";
        ApprovalExpired: "approval_expired", "nobody agreed in time, or the start was missed";
        Cancelled: "cancelled", "a person called it off";
        Superseded: "superseded", "what led to it no longer holds";
        PermanentError: "permanent_error", "the target refused it for good";
        Exhausted: "exhausted", "no attempt succeeded in number or in time";
        OutcomeUnknown: "outcome_unknown", "it may have been carried out or not";
    }
}

impl Reason {
    /// The public status that the reason belongs to.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::AwaitingApproval
            | Self::Scheduled
            | Self::Queued
            | Self::Running
            | Self::RetryWait
            | Self::AwaitingConfirmation => Status::Pending,
            Self::Done | Self::NoOp => Status::Succeeded,
            Self::Rejected
            | Self::ApprovalExpired
            | Self::Cancelled
            | Self::Superseded
            | Self::PermanentError
            | Self::Exhausted
            | Self::OutcomeUnknown => Status::Failed,
        }
    }
}

/// The state of an enforcement, with what belongs to that state only.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// People must agree first.
    AwaitingApproval {
        /// The request.
        approval: ApprovalId,
    },
    /// Its time has not come.
    Scheduled {
        /// When it becomes ready.
        at: Time,
        /// Until when it must have started, where that is known before: it was held back already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start_by: Option<Time>,
    },
    /// Ready to be carried out.
    Queued {
        /// Since when.
        since: Time,
        /// Until when it must have started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start_by: Option<Time>,
    },
    /// A worker carries it out.
    Running {
        /// The fencing token of the claim.
        token: u64,
        /// Who.
        worker: WorkerId,
        /// Since when, by the store's clock.
        since: Time,
        /// Until when another attempt may start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_by: Option<Time>,
        /// Until when it must have started: it waits for that again where it is handed back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        start_by: Option<Time>,
        /// Whether a person called it off while it ran: it is not tried again.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        called_off: bool,
    },
    /// An attempt failed.
    RetryWait {
        /// When the next one may start.
        until: Time,
        /// Until when another attempt may start.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_by: Option<Time>,
    },
    /// The target took it and will report.
    AwaitingConfirmation {
        /// Until when.
        until: Time,
        /// Whether it was called off: nobody holds what it brings about.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        called_off: bool,
    },
    /// Carried out.
    Done,
    /// The target was in that state already.
    NoOp,
    /// People did not agree.
    Rejected,
    /// Nobody agreed in time, or the start was missed.
    ApprovalExpired,
    /// A person called it off.
    Cancelled,
    /// What led to it no longer holds.
    Superseded,
    /// The target refused it for good.
    PermanentError,
    /// No attempt succeeded in number or in time.
    Exhausted,
    /// It may have been carried out or not.
    OutcomeUnknown,
}

impl State {
    /// Why it stands where it stands.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::AwaitingApproval { .. } => Reason::AwaitingApproval,
            Self::Scheduled { .. } => Reason::Scheduled,
            Self::Queued { .. } => Reason::Queued,
            Self::Running { .. } => Reason::Running,
            Self::RetryWait { .. } => Reason::RetryWait,
            Self::AwaitingConfirmation { .. } => Reason::AwaitingConfirmation,
            Self::Done => Reason::Done,
            Self::NoOp => Reason::NoOp,
            Self::Rejected => Reason::Rejected,
            Self::ApprovalExpired => Reason::ApprovalExpired,
            Self::Cancelled => Reason::Cancelled,
            Self::Superseded => Reason::Superseded,
            Self::PermanentError => Reason::PermanentError,
            Self::Exhausted => Reason::Exhausted,
            Self::OutcomeUnknown => Reason::OutcomeUnknown,
        }
    }

    /// The public status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.reason().status()
    }

    /// When its timer runs out, if it has one: the engine then steps it with [`Input::Elapsed`](super::Input::Elapsed).
    #[must_use]
    pub const fn due_at(&self) -> Option<Time> {
        match self {
            Self::Scheduled { at, .. } => Some(*at),
            Self::Queued { start_by, .. } => *start_by,
            Self::RetryWait { retry_by, .. } => *retry_by,
            Self::AwaitingConfirmation { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// From when a worker may claim it, in decision time, if one may at all. A running one is
    /// ready at any time: whether its lease has run out is for the store's clock alone to tell.
    #[must_use]
    pub const fn ready_at(&self) -> Option<Time> {
        match self {
            Self::Queued { since, .. } => Some(*since),
            Self::Running { .. } => Some(Time::MIN),
            Self::RetryWait { until, .. } => Some(*until),
            _ => None,
        }
    }
}
