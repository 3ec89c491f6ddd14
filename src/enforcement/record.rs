//! The record of an enforcement, and how it changes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Report};
use super::holder::{Holder, Holding, Means};
use super::input::{Input, Outcome};
use super::machine::{MoveError, Terms};
use super::state::{Reason, State, Status};
use crate::action::{ActionType, BuiltinAction, Category, Params, Retry, Success};
use crate::approval::{Judgement, Vote};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::id::{ActorId, ApprovalId, EffectId, EnforcementId, RuleId, Subject, TenantId, TriggerId};
use crate::signal::{TriggerKind, feed_params};
use crate::state::{Reserved, WindowStand};
use crate::time::{Span, Time};

/// How many rules an audit record names: ids of the longest kind fit into one detail.
const TOLD_RULES: usize = 8;

/// How many attempts a record keeps in full, the latest ones; all are counted.
pub const MAX_KEPT_ATTEMPTS: usize = 20;

/// One action on one subject, and all that becomes of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Enforcement {
    /// Its id, and the key under which it is delivered: stable over all attempts.
    pub id: EnforcementId,
    /// Its owner.
    pub tenant: TenantId,
    /// An action, or a notice to an approver.
    pub purpose: Purpose,
    /// What led to it.
    pub origin: Origin,
    /// Whom it is for.
    pub subject: Subject,
    /// What is done.
    pub action: ActionType,
    /// The kind of what is done.
    pub category: Category,
    /// The delivery channel that carries it.
    pub channel: ActionType,
    /// Its parameters, variables filled in.
    pub params: Params,
    /// The rules that ask for it; none for a manual start.
    pub holders: Vec<Holder>,
    /// The request for approval, where people had to agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// What they answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub votes: Vec<Vote>,
    /// When it was decided.
    pub recorded_at: Time,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled_at: Option<Time>,
    /// Where it stands.
    pub state: State,
    /// How many times it was claimed.
    pub attempts: u32,
    /// The latest attempts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Attempt>,
    /// How many further signals of the same storm were counted here, while a rule that asked for it
    /// rested. It counts on when the enforcement is over: a count is no status.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeats: u64,
    /// The signal time of the latest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_repeat: Option<Time>,
    /// Where the windows of its rules stood, with the signals that they had counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowStand>,
    /// How it is tried again.
    pub retry: Retry,
    /// What counts as success.
    pub success: Success,
    /// When it may start at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_at: Option<Time>,
    /// How long after its approval, or the end of a delay that is later, it may start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_within: Option<Span>,
    /// How its effect is taken back, where it leaves one that stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inverse: Option<Means>,
    /// Whether it takes away somebody who was an administrator when it was decided on, or carried out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub administrator: bool,
    /// The places that it takes under caps, until it comes to nothing or is taken back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reserved: Vec<Reserved>,
    /// What people said of it afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judgement>,
    /// The enforcement that came to nothing and that a person tries again with this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<EnforcementId>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
const fn is_shallow(depth: &u32) -> bool {
    *depth == 0
}

/// What an enforcement is there for.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Purpose {
    /// A rule or a person asks for it.
    Action,
    /// It takes an effect back that nobody holds any more, or soon nobody will (behaviour 8.4). No
    /// kill switch stops it, and nobody is asked.
    Undo {
        /// The effect.
        effect: EffectId,
        /// Who held it last.
        holder: Holding,
        /// Which extension of that holder's time it ends.
        generation: u32,
    },
    /// It takes back what an action did that leaves no effect to be held: by hand, or because nobody
    /// ratified it. No kill switch stops it.
    Reversal {
        /// Which enforcement it takes back.
        of: EnforcementId,
    },
    /// It puts an effect back that has holders, after deliveries of both ways may have crossed.
    Restore {
        /// The effect.
        effect: EffectId,
        /// Tells one restoration from the next.
        generation: u32,
    },
    /// It tells an approver of a request (behaviour 7.1.1).
    Notice {
        /// The request.
        approval: ApprovalId,
        /// The approver.
        recipient: ActorId,
    },
    /// It tells the owner of a rule that the rule rests, and why.
    RuleNotice {
        /// The rule.
        rule: RuleId,
        /// Its author, or a member of the tenant's default group.
        recipient: ActorId,
    },
}

impl Purpose {
    /// Whether a kill switch stops it: a notice takes nothing away from anybody, and people must hear of
    /// what waits; an undo gives back.
    #[must_use]
    pub const fn is_stoppable(&self) -> bool {
        matches!(self, Self::Action | Self::Restore { .. })
    }

    /// Whom a notice is for; none of what is no notice.
    #[must_use]
    pub const fn recipient(&self) -> Option<&ActorId> {
        match self {
            Self::Notice { recipient, .. } | Self::RuleNotice { recipient, .. } => Some(recipient),
            Self::Action | Self::Undo { .. } | Self::Reversal { .. } | Self::Restore { .. } => None,
        }
    }
}

/// What led to an enforcement.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Origin {
    /// The record of the signal.
    pub trigger: TriggerId,
    /// How the run was initiated.
    pub kind: TriggerKind,
    /// The signal's source.
    pub source: String,
    /// The signal's id.
    pub signal: String,
    /// The signal's own time.
    pub at: Time,
    /// Who ordered it, if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<ActorId>,
    /// Why they ordered it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The action that caused the signal, if the host named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EnforcementId>,
    /// How deep it is in a chain of actions that cause each other; 0 where none caused the signal.
    #[serde(default, skip_serializing_if = "is_shallow")]
    pub depth: u32,
}

impl Enforcement {
    /// The effect that it brings about, puts back or takes back, where that stands until it is taken
    /// back.
    #[must_use]
    pub fn effect(&self) -> Option<EffectId> {
        match &self.purpose {
            Purpose::Undo { effect, .. } | Purpose::Restore { effect, .. } => Some(*effect),
            Purpose::Action if self.inverse.is_some() => Some(EffectId::derive(|h| {
                let h = self.subject.feed(h.text(self.tenant.as_str())).text(self.action.as_str());
                feed_params(h, &self.params)
            })),
            Purpose::Action
            | Purpose::Reversal { .. }
            | Purpose::Notice { .. }
            | Purpose::RuleNotice { .. } => None,
        }
    }

    /// Whether its effect may be there: it succeeded, or an attempt ended without an answer.
    #[must_use]
    pub fn may_stand(&self) -> bool {
        matches!(self.reason(), Reason::Done | Reason::NoOp | Reason::OutcomeUnknown)
            // An attempt that the worker forwent delivered nothing, and has an outcome of its own.
            || self.status() == Status::Failed && self.history.iter().any(Attempt::is_lost)
    }

    /// Whether the target took it, has yet to report, and leaves what somebody would hold then.
    pub(crate) fn is_awaited(&self) -> bool {
        let awaits = matches!(self.state, State::AwaitingConfirmation { called_off: false, .. });
        awaits && self.purpose == Purpose::Action && self.effect().is_some()
    }

    /// The public status.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.state.status()
    }

    /// Why it stands where it stands.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.state.reason()
    }

    /// Whether the attempt before the one that runs, or waits, ended without an answer: its worker was lost.
    pub(crate) fn is_lost(&self) -> bool {
        let runs = usize::from(self.reason() == Reason::Running);
        self.history.iter().rev().nth(runs).is_some_and(|attempt| attempt.outcome.is_none())
    }

    /// What its moves depend on.
    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            id: self.id,
            attempts: self.attempts,
            lost: self.is_lost(),
            retry: self.retry,
            success: self.success,
            start_at: self.start_at,
            start_within: self.start_within,
        }
    }

    /// The record after an input, and what the audit log says of it.
    ///
    /// # Errors
    /// [`MoveError`] where the state does not allow it; nothing has changed then.
    pub fn step(&self, input: &Input, actor: Actor, now: Time) -> Result<(Self, Vec<AuditDraft>), MoveError> {
        let state = self.state.step(input, &self.terms(), now)?;
        let mut next = self.clone();
        if let Input::Claim { token, worker, at } = input {
            next.attempts = next.attempts.saturating_add(1);
            next.history.push(Attempt {
                number: next.attempts,
                token: *token,
                worker: worker.clone(),
                started_at: *at,
                settled_at: None,
                outcome: None,
                report: Report::default(),
            });
            let excess = next.history.len().saturating_sub(MAX_KEPT_ATTEMPTS);
            next.history.drain(..excess);
        }
        if let Input::Settle { token, outcome } = input
            && let Some(attempt) = next.history.iter_mut().rfind(|attempt| attempt.token == *token)
        {
            attempt.settled_at = Some(now);
            attempt.outcome = Some(*outcome);
        }
        if let Input::Forgo { token } = input
            && let Some(attempt) = next.history.iter_mut().rfind(|attempt| attempt.token == *token)
        {
            // Nothing was delivered.
            (attempt.settled_at, attempt.outcome) = (Some(now), Some(Outcome::Permanent));
        }
        if let Input::HandBack { token } | Input::Postpone { token, .. } | Input::Adjourn { token, .. } =
            input
        {
            // Nothing was tried, so no attempt is used up; the log keeps the claim.
            next.attempts = next.attempts.saturating_sub(1);
            let given_back = next.history.pop_if(|attempt| attempt.token == *token);
            debug_assert!(given_back.is_some() || next.history.is_empty(), "the running attempt is the last");
        }
        if let Input::Confirm { done } = input {
            // What was not known of an attempt is known now.
            let known = if *done { Outcome::Done } else { Outcome::Permanent };
            for attempt in next.history.iter_mut().filter(|attempt| attempt.is_lost()) {
                (attempt.settled_at, attempt.outcome) = (Some(now), Some(known));
            }
        }
        if state.status() != Status::Pending {
            next.settled_at = Some(now);
        }
        next.state = state;
        let held = matches!(input, Input::Postpone { .. } | Input::Adjourn { .. } | Input::Defer { .. });
        let audit = next.audit(self, held, actor, now);
        Ok((next, audit))
    }

    /// The record after an input that makes it ready, held until then all the same: one change, and
    /// one record of the log, which says why. None where the input does not make it ready, or its start
    /// was missed before: whether it was held then as well is asked when that ends it.
    pub(crate) fn step_held(
        &self,
        input: &Input,
        (until, why): (Time, &str),
        actor: Actor,
        now: Time,
    ) -> Result<Option<(Self, Vec<AuditDraft>)>, MoveError> {
        let terms = self.terms();
        let ready = self.state.step(input, &terms, now)?;
        if ready.reason() != Reason::Queued || ready.due_at().is_some_and(|by| by <= now) {
            return Ok(None);
        }
        let state = ready.step(&Input::Defer { until }, &terms, now)?;
        let mut next = self.clone();
        if state.status() != Status::Pending {
            next.settled_at = Some(now);
        }
        next.state = state;
        let audit = next.audit(self, true, actor, now);
        Ok(Some((next, audit.into_iter().map(|draft| draft.detail("why", why)).collect())))
    }

    /// The record with what the target said of that attempt.
    #[must_use]
    pub fn reported(mut self, token: u64, report: Report) -> Self {
        if let Some(attempt) = self.history.iter_mut().rfind(|attempt| attempt.token == token) {
            attempt.report = report.cut();
        }
        self
    }

    /// The record with one signal more of its storm.
    #[must_use]
    pub fn repeated(mut self, at: Time) -> Self {
        self.repeats = self.repeats.saturating_add(1);
        self.last_repeat = self.last_repeat.max(Some(at));
        self
    }

    /// An audit record about this enforcement.
    #[must_use]
    pub fn draft(&self, code: AuditCode, actor: Actor, now: Time) -> AuditDraft {
        let draft = AuditDraft::new(self.tenant.clone(), code, actor, now)
            .subject(self.subject.clone())
            .target(self.action.to_string())
            .trigger(self.origin.trigger)
            .enforcement(self.id);
        match self.approval {
            Some(approval) => draft.approval(approval),
            None => draft,
        }
    }

    /// That it was made, and by which rules: the first ones where they are many.
    pub(crate) fn created(&self, actor: Actor, now: Time) -> AuditDraft {
        let rules = self.holders.iter().take(TOLD_RULES).map(|holder| holder.rule.as_str());
        self.draft(AuditCode::EnforcementCreated, actor, now)
            .detail("rules", rules.collect::<Vec<_>>())
            .detail("reason", self.reason().as_str())
    }

    fn audit(&self, before: &Self, held: bool, actor: Actor, now: Time) -> Vec<AuditDraft> {
        let reason = self.reason();
        let code = self.code(before, held);
        let draft = self
            .draft(code, actor.clone(), now)
            .detail("was", before.reason().as_str())
            .detail("reason", reason.as_str());
        let draft = match &self.state {
            State::Running { token, .. } => {
                draft.detail("attempt", i64::from(self.attempts)).detail("token", token.cast_signed())
            }
            State::RetryWait { until, .. } => draft.detail("until", *until),
            State::Scheduled { at, .. } if held => draft.detail("until", *at),
            State::AwaitingConfirmation { until, .. } => draft.detail("until", *until),
            _ => draft,
        };
        let own_code = BuiltinAction::named(&self.action)
            .filter(|_| matches!(reason, Reason::Done | Reason::NoOp) && self.purpose == Purpose::Action)
            .and_then(|action| action.audit_code(&self.subject));
        let of_catalogue = own_code.map(|code| self.draft(code, actor, now));
        std::iter::once(draft).chain(of_catalogue).collect()
    }

    /// The engine's own code for the change; `held` where a window holds it from now on.
    fn code(&self, before: &Self, held: bool) -> AuditCode {
        let notice = matches!(self.purpose, Purpose::Notice { .. });
        let rule_notice = matches!(self.purpose, Purpose::RuleNotice { .. });
        let undo = matches!(self.purpose, Purpose::Undo { .. });
        match self.reason() {
            Reason::AwaitingApproval => AuditCode::EnforcementCreated,
            Reason::Scheduled | Reason::RetryWait if held => AuditCode::EnforcementPostponed,
            Reason::Queued | Reason::RetryWait if self.attempts < before.attempts => {
                AuditCode::EnforcementHandedBack
            }
            Reason::Scheduled | Reason::Queued => AuditCode::EnforcementQueued,
            Reason::Running if self.attempts == before.attempts => AuditCode::EnforcementCancelAsked,
            Reason::Running if before.reason() == Reason::Running => AuditCode::EnforcementReclaimed,
            Reason::Running => AuditCode::EnforcementClaimed,
            Reason::RetryWait => AuditCode::EnforcementRetryScheduled,
            Reason::AwaitingConfirmation if before.reason() == self.reason() => {
                AuditCode::EnforcementCancelAsked
            }
            Reason::AwaitingConfirmation => AuditCode::EnforcementAccepted,
            Reason::Done | Reason::NoOp if notice => AuditCode::ApprovalNoticeSent,
            Reason::Done | Reason::NoOp if rule_notice => AuditCode::PolicyNoticeSent,
            Reason::Done | Reason::NoOp => AuditCode::EnforcementSucceeded,
            Reason::Cancelled => AuditCode::EnforcementCancelled,
            _ if notice => AuditCode::ApprovalNoticeFailed,
            _ if rule_notice => AuditCode::PolicyNoticeFailed,
            Reason::OutcomeUnknown | Reason::PermanentError | Reason::Exhausted if undo => {
                AuditCode::EnforcementUndoFailed
            }
            Reason::OutcomeUnknown => AuditCode::EnforcementOutcomeUnknown,
            Reason::Rejected
            | Reason::ApprovalExpired
            | Reason::Superseded
            | Reason::PermanentError
            | Reason::Exhausted => AuditCode::EnforcementFailed,
        }
    }
}

impl fmt::Display for Enforcement {
    /// One line: the id, where it stands, what for whom, and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} ({}): `{}` for {}",
            self.id,
            self.status(),
            self.reason(),
            self.action,
            self.subject
        )?;
        for (i, holder) in self.holders.iter().enumerate() {
            write!(f, "{} `{}`", if i == 0 { ", by rule" } else { "," }, holder.rule)?;
        }
        if let Some(operator) = &self.origin.operator {
            write!(f, ", ordered by {operator}")?;
        }
        write!(f, ", on {} {} of {}", self.origin.kind, self.origin.signal, self.origin.at)?;
        for window in &self.windows {
            write!(f, ", {window} ({})", window.signals.join(", "))?;
        }
        match self.last_repeat {
            Some(last) => write!(f, ", repeated {} times, last at {last}", self.repeats),
            None => Ok(()),
        }
    }
}
