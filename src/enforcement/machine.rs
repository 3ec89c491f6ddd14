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
//!  running ── Postpone, Adjourn, with that token: nothing was delivered, and nothing may be until then
//!     └▶ scheduled, or retry_wait after an earlier attempt, or exhausted as with Defer
//!
//!  running ── Cancel ─▶ running, and called off: no attempt follows
//!     ├ Settle retry, HandBack, Postpone, Adjourn ─▶ cancelled
//!     ├ Settle unknown ─▶ outcome_unknown
//!     └ Settle done ─▶ done, or awaiting_confirmation and called off
//!
//!  running, retry_wait, awaiting_confirmation ── Confirm ─▶ done, permanent_error
//!  awaiting_confirmation ── Elapsed ─▶ outcome_unknown
//!     └ Cancel ─▶ awaiting_confirmation, and called off: it ends as the target reports
//! ```
//! Where the attempt before was lost, and nobody has asked the target since, what would be cancelled or
//! exhausted is outcome_unknown: of what ran and was called off, and of what must not be repeated. A
//! Settle comes of a worker that has asked, or had no need to. (What waits is superseded only by those
//! who hold an effect again, and have put it right.)
//!
//! done and no_op are *succeeded*; rejected, approval_expired, cancelled, superseded,
//! permanent_error, exhausted and outcome_unknown are *failed*; nothing leaves either. Every other
//! pair of state and input is a [`MoveError`] and changes nothing.

use super::input::{Input, Outcome};
use super::state::{Reason, State, Status};
use crate::action::{Retry, RetrySafety, Success};
use crate::broken::{self, Defect};
use crate::hash::Hasher;
use crate::id::{ApprovalId, EnforcementId};
use crate::time::{Span, Time};

/// The longest wait that a target's Retry-After is given (RFC 9110, section 10.2.3, sets none).
pub const MAX_RETRY_AFTER: Span = Span::hours(24);

/// What an enforcement's moves depend on beside its state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Whose they are; the jitter of retries is derived from it.
    pub id: EnforcementId,
    /// How many times it was claimed.
    pub attempts: u32,
    /// Whether the attempt before ended without an answer.
    pub lost: bool,
    /// How it is tried again.
    pub retry: Retry,
    /// What counts as success.
    pub success: Success,
    /// When it may start at the earliest.
    pub start_at: Option<Time>,
    /// How long after an approval, or the end of a delay that is later, it may start; none where nobody was
    /// asked.
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
            _ => Self::Queued { since: now, start_by: Self::start_by(terms, now) },
        }
    }

    /// Until when what is ready from then on must have started.
    fn start_by(terms: &Terms, ready: Time) -> Option<Time> {
        let windows = terms.start_within.into_iter().chain(terms.retry.not_after);
        windows.min().map(|window| ready.after(window))
    }

    /// Held until then by guards of time. Its window to start in begins anew when it may start, from that
    /// instant and not from when somebody comes to look; but what does harm when it comes late has no
    /// more time than it had.
    fn held(terms: &Terms, until: Time, latest: Option<Time>) -> Self {
        match latest {
            Some(by) if until >= by => Self::Exhausted,
            latest => {
                let window = terms.start_within.map(|window| until.after(window));
                Self::Scheduled { at: until, start_by: latest.or(window) }
            }
        }
    }

    /// The end of what waits, unless a repeat would do harm and nobody knows what the last attempt did.
    fn unless_lost(self, terms: &Terms) -> Self {
        match terms.lost && terms.retry.safety == RetrySafety::NotIdempotent {
            true => Self::OutcomeUnknown,
            false => self,
        }
    }

    /// The end of what ran and was called off, without a delivery: of another attempt than the last, if
    /// that was lost.
    fn called_off(terms: &Terms) -> Self {
        if terms.lost { Self::OutcomeUnknown } else { Self::Cancelled }
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

            // It was ready then, whenever somebody comes to look.
            (Self::Scheduled { at, start_by }, Input::Elapsed) if now >= *at => {
                Self::Queued { since: now, start_by: start_by.or_else(|| Self::start_by(terms, *at)) }
            }
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
            (Self::RetryWait { retry_by: Some(by), .. }, Input::Elapsed) if now >= *by => {
                Self::Exhausted.unless_lost(terms)
            }

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
                    (Self::AwaitingConfirmation { until, .. }, _) => {
                        Self::AwaitingConfirmation { until, called_off: *called_off }
                    }
                    (next, _) => next,
                }
            }
            (
                Self::Running { token: held, retry_by, start_by, called_off, .. },
                Input::HandBack { token },
            ) if token == held => match terms.attempts {
                _ if *called_off => Self::called_off(terms),
                0 | 1 => Self::Queued { since: now, start_by: *start_by },
                _ => Self::RetryWait { until: now, retry_by: *retry_by },
            },
            (
                Self::Running { token: held, retry_by, start_by, called_off, .. },
                Input::Postpone { token, until } | Input::Adjourn { token, until },
            ) if token == held => match terms.attempts {
                _ if *called_off => Self::called_off(terms),
                _ if retry_by.is_some_and(|by| *until >= by) => Self::Exhausted.unless_lost(terms),
                0 | 1 if matches!(input, Input::Adjourn { .. }) => Self::held(terms, *until, *retry_by),
                // A doubt lets nobody start later than people agreed to.
                0 | 1 => Self::Scheduled { at: *until, start_by: *start_by },
                _ => Self::RetryWait { until: *until, retry_by: *retry_by },
            },
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
            (Self::AwaitingConfirmation { until, .. }, Input::Elapsed) if now >= *until => {
                Self::OutcomeUnknown
            }
            (Self::AwaitingConfirmation { until, called_off: false }, Input::Cancel) => {
                Self::AwaitingConfirmation { until: *until, called_off: true }
            }

            (
                Self::AwaitingApproval { .. }
                | Self::Scheduled { .. }
                | Self::Queued { .. }
                | Self::RetryWait { .. },
                Input::Cancel,
            ) => Self::Cancelled.unless_lost(terms),
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
                | Input::Postpone { token, .. }
                | Input::Adjourn { token, .. },
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

fn settled(outcome: Outcome, terms: &Terms, retry_by: Option<Time>, now: Time) -> State {
    let after = match outcome {
        Outcome::Done => {
            return match terms.success {
                Success::Accepted => State::Done,
                Success::Confirmed(within) => {
                    State::AwaitingConfirmation { until: now.after(within), called_off: false }
                }
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
