//! The life of an enforcement.
//!
//! ```text
//!                        Approve (start lies ahead)
//!  awaiting_approval ───────────────────────────────▶ scheduled
//!   │  │  │  │  └ Approve ─▶ queued ◀──── Elapsed ───────┤ └ Cancel, Supersede ─▶ cancelled, superseded
//!   │  │  │  └ Cancel, Supersede ─▶ cancelled, superseded │
//!   │  │  └ ExpireApproval ─▶ approval_expired            │
//!   │  └ Reject ─▶ rejected                               │
//!   │                                                     ▼
//!  queued ── Claim ─▶ running ◀── Claim ── retry_wait ── Elapsed (too late) ─▶ exhausted
//!   │  │ └ Defer ─▶ scheduled, or exhausted where it would come too late then
//!   │  └ Elapsed (start missed) ─▶ approval_expired, exhausted
//!   └ Cancel, Supersede ─▶ cancelled, superseded (from retry_wait as well)
//!
//!  running ── Claim (a higher token: the lease ran out) ─▶ running
//!     │ Settle, with the token of the running attempt only:
//!     ├ done ─▶ done, or awaiting_confirmation where the target confirms later
//!     ├ no_op ─▶ no_op
//!     ├ retry, or unknown where a repeat does no harm ─▶ retry_wait, exhausted
//!     ├ permanent ─▶ permanent_error
//!     └ unknown otherwise ─▶ outcome_unknown
//!  running ── Forgo, with the token of the running attempt only ─▶ superseded
//!     │ HandBack, with that token as well: nothing was delivered
//!     └▶ queued, or retry_wait after an earlier attempt
//!  running ── Postpone, with that token: nothing was delivered, and nothing may be until then
//!     └▶ scheduled, or retry_wait after an earlier attempt, or exhausted as with Defer
//!
//!  running ── Cancel ─▶ running, and called off: no attempt follows
//!     ├ Settle retry, HandBack, Postpone ─▶ cancelled
//!     └ Settle unknown ─▶ outcome_unknown
//!
//!  running, retry_wait, awaiting_confirmation ── Confirm ─▶ done, permanent_error
//!  awaiting_confirmation ── Elapsed ─▶ outcome_unknown
//! ```
//! done and no_op are *succeeded*; rejected, approval_expired, cancelled, superseded,
//! permanent_error, exhausted and outcome_unknown are *failed*; nothing leaves either. Every other
//! pair of state and input is a [`MoveError`] and changes nothing.

use serde::{Deserialize, Serialize};

use crate::action::{Retry, RetrySafety, Success};
use crate::broken::{self, Defect};
use crate::hash::Hasher;
use crate::id::{ApprovalId, EnforcementId, WorkerId};
use crate::time::{Span, Time};
use crate::words::words;

/// The longest wait that a target's Retry-After is given (RFC 9110, section 10.2.3, sets none).
pub const MAX_RETRY_AFTER: Span = Span::hours(24);

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
    /// The worker of that claim gives it back without having delivered anything, because nothing may
    /// be until then.
    Postpone {
        /// The token of the claim.
        token: u64,
        /// Until when.
        until: Time,
    },
    /// Nobody has claimed it, and nothing may be delivered until then.
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

/// What an enforcement's moves depend on beside its state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Whose they are; the jitter of retries is derived from it.
    pub id: EnforcementId,
    /// How many times it was claimed.
    pub attempts: u32,
    /// How it is tried again.
    pub retry: Retry,
    /// What counts as success.
    pub success: Success,
    /// When it may start at the earliest.
    pub start_at: Option<Time>,
    /// How long after an approval it may start; none where nobody was asked.
    pub start_within: Option<Span>,
}

/// A move that the state does not allow.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// The state has no such move.
    #[error("an enforcement that is `{state}` cannot take `{input}`")]
    Illegal {
        /// The state.
        state: Reason,
        /// The input's name.
        input: &'static str,
    },
    /// The token is not that of the running attempt.
    #[error("token {given} is stale; the running attempt has token {current}")]
    StaleToken {
        /// What was given.
        given: u64,
        /// What runs.
        current: u64,
    },
    /// The timer has not run out.
    #[error("it is not due before {0}")]
    NotDue(Time),
}

impl State {
    /// The state that a new enforcement begins in: awaiting approval where people must agree.
    #[must_use]
    pub fn begin(approval: Option<ApprovalId>, terms: &Terms, now: Time) -> Self {
        match approval {
            Some(approval) => Self::AwaitingApproval { approval },
            None => Self::ready(terms, now),
        }
    }

    /// Ready now, or when its time comes.
    fn ready(terms: &Terms, now: Time) -> Self {
        match terms.start_at {
            Some(at) if at > now => Self::Scheduled { at, start_by: None },
            _ => {
                let windows = terms.start_within.into_iter().chain(terms.retry.not_after);
                Self::Queued { since: now, start_by: windows.min().map(|window| now.after(window)) }
            }
        }
    }

    /// Held until then. Its window to start in begins anew when it may start, from that instant and
    /// not from when somebody comes to look; but what does harm when it comes late has no more time
    /// than it had.
    fn held(terms: &Terms, until: Time, latest: Option<Time>) -> Self {
        match latest {
            Some(by) if until >= by => Self::Exhausted,
            latest => {
                let window = terms.start_within.map(|window| until.after(window));
                Self::Scheduled { at: until, start_by: latest.or(window) }
            }
        }
    }

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

    /// When its timer runs out, if it has one: the engine then steps it with [`Input::Elapsed`].
    #[must_use]
    pub const fn due_at(&self) -> Option<Time> {
        match self {
            Self::Scheduled { at, .. } => Some(*at),
            Self::Queued { start_by, .. } => *start_by,
            Self::RetryWait { retry_by, .. } => *retry_by,
            Self::AwaitingConfirmation { until } => Some(*until),
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

    /// The next state, or why there is none. Consult the drawing of this module: each arm is one
    /// of its arrows, and the refusals come last.
    ///
    /// # Errors
    /// [`MoveError`]; the state is then what it was.
    pub fn step(&self, input: &Input, terms: &Terms, now: Time) -> Result<Self, MoveError> {
        Ok(match (self, input) {
            (Self::AwaitingApproval { .. }, Input::Approve) => Self::ready(terms, now),
            (Self::AwaitingApproval { .. }, Input::Reject) => Self::Rejected,
            (Self::AwaitingApproval { .. }, Input::ExpireApproval) => Self::ApprovalExpired,

            (Self::Scheduled { at, start_by }, Input::Elapsed) if now >= *at => match start_by {
                Some(by) => Self::Queued { since: now, start_by: Some(*by) },
                None => Self::ready(terms, now),
            },
            (Self::Queued { start_by, .. }, Input::Defer { until }) => {
                Self::held(terms, *until, terms.retry.not_after.and(*start_by))
            }

            (Self::Queued { start_by, .. }, Input::Claim { token, worker, at }) => Self::Running {
                token: *token,
                worker: worker.clone(),
                since: *at,
                retry_by: terms.retry.not_after.and(*start_by),
                start_by: *start_by,
                called_off: false,
            },
            (Self::Queued { start_by: Some(by), .. }, Input::Elapsed) if now >= *by => {
                match terms.start_within {
                    Some(_) => Self::ApprovalExpired,
                    None => Self::Exhausted,
                }
            }

            (Self::RetryWait { retry_by, .. }, Input::Claim { token, worker, at }) => Self::Running {
                token: *token,
                worker: worker.clone(),
                since: *at,
                retry_by: *retry_by,
                start_by: None,
                called_off: false,
            },
            (Self::RetryWait { retry_by: Some(by), .. }, Input::Elapsed) if now >= *by => Self::Exhausted,

            (Self::Running { token: held, retry_by, called_off, .. }, Input::Claim { token, worker, at })
                if token > held =>
            {
                Self::Running {
                    token: *token,
                    worker: worker.clone(),
                    since: *at,
                    retry_by: *retry_by,
                    // Whoever held it before may have started.
                    start_by: None,
                    called_off: *called_off,
                }
            }
            (Self::Running { token: held, retry_by, called_off, .. }, Input::Settle { token, outcome })
                if token == held =>
            {
                match (settled(*outcome, terms, *retry_by, now), outcome) {
                    (Self::RetryWait { .. } | Self::Exhausted, Outcome::Unknown) if *called_off => {
                        Self::OutcomeUnknown
                    }
                    (Self::RetryWait { .. } | Self::Exhausted, _) if *called_off => Self::Cancelled,
                    (next, _) => next,
                }
            }
            (
                Self::Running { token: held, retry_by, start_by, called_off, .. },
                Input::HandBack { token },
            ) if token == held => match terms.attempts {
                _ if *called_off => Self::Cancelled,
                0 | 1 => Self::Queued { since: now, start_by: *start_by },
                _ => Self::RetryWait { until: now, retry_by: *retry_by },
            },
            (Self::Running { token: held, retry_by, called_off, .. }, Input::Postpone { token, until })
                if token == held =>
            {
                match terms.attempts {
                    _ if *called_off => Self::Cancelled,
                    0 | 1 => Self::held(terms, *until, *retry_by),
                    _ if retry_by.is_some_and(|by| *until >= by) => Self::Exhausted,
                    _ => Self::RetryWait { until: *until, retry_by: *retry_by },
                }
            }
            (
                Self::Running { token, worker, since, retry_by, start_by, called_off: false },
                Input::Cancel,
            ) => Self::Running {
                token: *token,
                worker: worker.clone(),
                since: *since,
                retry_by: *retry_by,
                start_by: *start_by,
                called_off: true,
            },
            (Self::Running { token: held, .. }, Input::Forgo { token }) if token == held => Self::Superseded,

            (
                Self::Running { .. } | Self::RetryWait { .. } | Self::AwaitingConfirmation { .. },
                Input::Confirm { done },
            ) => {
                if *done {
                    Self::Done
                } else {
                    Self::PermanentError
                }
            }
            (Self::AwaitingConfirmation { until }, Input::Elapsed) if now >= *until => Self::OutcomeUnknown,

            (
                Self::AwaitingApproval { .. }
                | Self::Scheduled { .. }
                | Self::Queued { .. }
                | Self::RetryWait { .. },
                Input::Cancel,
            ) => Self::Cancelled,
            (
                Self::AwaitingApproval { .. }
                | Self::Scheduled { .. }
                | Self::Queued { .. }
                | Self::RetryWait { .. },
                Input::Supersede,
            ) => Self::Superseded,

            (
                Self::Running { token: current, .. },
                Input::Claim { token, .. }
                | Input::Settle { token, .. }
                | Input::Forgo { token }
                | Input::HandBack { token }
                | Input::Postpone { token, .. },
            ) => {
                return Err(MoveError::StaleToken { given: *token, current: *current });
            }
            (state, Input::Cancel)
                if broken::is(Defect::TerminalReopened) && state.status() != Status::Pending =>
            {
                Self::Cancelled
            }
            (state, Input::Elapsed) if state.due_at().is_some_and(|at| now < at) => {
                return Err(MoveError::NotDue(state.due_at().unwrap_or(now)));
            }
            (state, input) => return Err(MoveError::Illegal { state: state.reason(), input: input.name() }),
        })
    }
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
            Self::Defer { .. } => "defer",
            Self::Confirm { .. } => "confirm",
            Self::Cancel => "cancel",
            Self::Supersede => "supersede",
            Self::Elapsed => "elapsed",
        }
    }
}

fn settled(outcome: Outcome, terms: &Terms, retry_by: Option<Time>, now: Time) -> State {
    let after = match outcome {
        Outcome::Done => {
            return match terms.success {
                Success::Accepted => State::Done,
                Success::Confirmed(within) => State::AwaitingConfirmation { until: now.after(within) },
            };
        }
        Outcome::NoOp => return State::NoOp,
        Outcome::Permanent => return State::PermanentError,
        Outcome::Unknown if terms.retry.safety == RetrySafety::NotIdempotent => return State::OutcomeUnknown,
        Outcome::Unknown => None,
        Outcome::Retry { .. } if broken::is(Defect::ErrorAsFinal) => return State::PermanentError,
        Outcome::Retry { after } => after,
    };
    let until = now.after(wait(terms, after));
    let capped = terms.attempts >= terms.retry.attempts && !broken::is(Defect::NoAttemptCap);
    if capped || retry_by.is_some_and(|by| until >= by) {
        State::Exhausted
    } else {
        State::RetryWait { until, retry_by }
    }
}

/// The wait before the next attempt: doubling from the first, capped, then a jitter of up to a
/// half taken off, derived from the id and the attempt, so that a crowd of failures spreads and a
/// replay gives the same. What the target asked for is honoured on top.
fn wait(terms: &Terms, after: Option<Span>) -> Span {
    let doublings: u32 = terms.attempts.saturating_sub(1).min(30);
    let full = terms.retry.first.as_millis().saturating_mul(1 << doublings).min(terms.retry.cap.as_millis());
    let hash = Hasher::new("tipstaff/jitter").bytes(terms.id.bytes()).number(terms.attempts.into()).finish();
    let share = u64::from(hash.bytes()[0]);
    let jittered = Span::millis(full - full / 2 * share / 255);
    jittered.max(after.unwrap_or(Span::ZERO).min(MAX_RETRY_AFTER))
}
