//! How actions reach the world: the trait that a host implements.

use std::collections::BTreeSet;
use std::fmt;
use std::future::ready;

use crate::action::{ActionType, Params};
use crate::broken::{self, Defect};
use crate::enforcement::{Enforcement, Holder, Origin, Outcome, Purpose, Report};
use crate::id::{EnforcementId, Subject, TenantId};
use crate::ready::Answer;

/// One action to carry out.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The key: the same for every attempt. A target that honours it carries the action out once.
    pub key: EnforcementId,
    /// Whose.
    pub tenant: TenantId,
    /// An action, or a notice to an approver.
    pub purpose: Purpose,
    /// What to do.
    pub action: ActionType,
    /// The channel that carries it.
    pub channel: ActionType,
    /// For whom.
    pub subject: Subject,
    /// With what.
    pub params: Params,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// What led to it.
    pub origin: Origin,
    /// The rules that ask for it.
    pub holders: Vec<Holder>,
}

impl From<&Enforcement> for Job {
    fn from(enforcement: &Enforcement) -> Self {
        Self {
            key: match broken::is(Defect::KeyPerAttempt) {
                true => EnforcementId::derive(|h| {
                    h.bytes(enforcement.id.bytes()).number(enforcement.attempts.into())
                }),
                false => enforcement.id,
            },
            tenant: enforcement.tenant.clone(),
            purpose: enforcement.purpose.clone(),
            action: enforcement.action.clone(),
            channel: enforcement.channel.clone(),
            subject: enforcement.subject.clone(),
            params: enforcement.params.clone(),
            attempt: enforcement.attempts,
            origin: enforcement.origin.clone(),
            holders: enforcement.holders.clone(),
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} for {} (key {}, attempt {})", self.action, self.subject, self.key, self.attempt)
    }
}

/// How a delivery came back, with what the target said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delivered {
    /// How it came back.
    pub outcome: Outcome,
    /// What the target said.
    pub report: Report,
}

impl From<Outcome> for Delivered {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, report: Report::default() }
    }
}

impl Delivered {
    /// The target took it.
    #[must_use]
    pub fn done() -> Self {
        Outcome::Done.into()
    }

    /// The target refused it for good, and says why.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::from(Outcome::Permanent).message(message)
    }

    /// It did not happen and may be tried again; the target says why.
    #[must_use]
    pub fn retry(message: impl Into<String>) -> Self {
        Self::from(Outcome::Retry { after: None }).message(message)
    }

    /// The answer with the target's message.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.report.message = Some(message.into());
        self
    }

    /// The answer with whom or what it reached.
    #[must_use]
    pub fn recipient(mut self, recipient: impl Into<String>) -> Self {
        self.report.recipient = Some(recipient.into());
        self
    }

    /// The answer with the target's own reference, such as a ticket's number.
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.report.reference = Some(reference.into());
        self
    }
}

/// What a target knows of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Probe {
    /// The action of that key was carried out.
    Done,
    /// It was not, and is not under way.
    NotDone,
    /// The target cannot tell.
    Unknown,
}

/// What carries actions out.
///
/// # Contract
/// Each sentence is proved by laws of the conformance suite (feature `conformance`), under the same
/// number.
///
/// 1. *Keyed*: where the target honours keys, delivering a job twice has its effect once.
/// 2. *Honest*: [`Outcome::Done`] and [`Outcome::NoOp`] are answered only when the effect is
///    there; an answer that was lost is [`Outcome::Unknown`], never a guess.
/// 3. *Own channels*: a job of another channel than [`Delivery::channels`] names has no effect
///    and is answered with [`Outcome::Permanent`].
/// 4. *Truthful probe*: [`Delivery::probe`] answers [`Probe::Done`] only for a key whose effect is
///    there, and [`Probe::NotDone`] only for one whose effect is not.
/// 5. *Any content*: parameters and ids of any text are delivered or refused, and none makes it
///    panic or reach another key's effect.
///
/// A delivery starts at its claim; the engine may drop its future when the lease runs out, which
/// counts as an answer that was lost.
pub trait Delivery: Send + Sync {
    /// The channels that it carries; `None` for all. The engine claims nothing else: whoever carries
    /// `lock_account` and `restrict_access` must carry `unlock_account` and `lift_restriction` as well,
    /// or nobody takes back what was done.
    fn channels(&self) -> Option<BTreeSet<ActionType>>;

    /// Carries a job out.
    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered>;

    /// Asks the target whether a job was carried out, after an answer was lost. A delivery that
    /// cannot ask answers [`Probe::Unknown`].
    fn probe<'a>(&'a self, job: &'a Job) -> Answer<'a, Probe>;
}

/// A function is a delivery of all channels that cannot be asked afterwards.
impl<F: Fn(&Job) -> Delivered + Send + Sync> Delivery for F {
    fn channels(&self) -> Option<BTreeSet<ActionType>> {
        None
    }

    fn deliver<'a>(&'a self, job: &'a Job) -> Answer<'a, Delivered> {
        Box::pin(ready(self(job)))
    }

    fn probe<'a>(&'a self, _: &'a Job) -> Answer<'a, Probe> {
        Box::pin(ready(Probe::Unknown))
    }
}
