//! From a signal, the rules and what is known to a decision as data. Pure: the same inputs give
//! the same bytes, always.

mod caps;
mod decide;
mod evidence;
mod explain;
mod fill;
mod heading;
mod make;
mod notice;
mod rest;
mod score;
mod why_not;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::{ActionType, ParamProblem};
use crate::approval::Approval;
use crate::audit::AuditDraft;
use crate::enforcement::Enforcement;
use crate::exemption::Exemptions;
use crate::guard::{Cause, Suppressed};
use crate::hash::Hash;
use crate::id::{ActionKey, ActorId, ApprovalId, EnforcementId, RuleId, ScaleId, TenantId, TriggerId};
use crate::pattern::Payload;
use crate::rule::{RuleSet, UnknownScale};
use crate::score::{BandName, OutOfRange};
use crate::signal::{Signal, SignalInfo};
use crate::state::{
    Administrators, Away, CapCounter, Control, Pause, Roster, RuleStats, SubjectState, Tally, WindowStand,
};
use crate::time::Time;

pub use decide::plan;
pub use evidence::MAX_EVIDENCE_FIELDS;
pub use explain::{Part, PartVerdict, RuleAnswer, Why, explain};
pub use notice::NoticeKind;
pub(crate) use notice::notice;
pub use why_not::{WhyNot, why_not};

/// What was decided on a signal, and why: the record that is kept of it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Decision {
    /// Its id, derived from the signal.
    pub id: TriggerId,
    /// Whose.
    pub tenant: TenantId,
    /// The signal.
    pub signal: SignalInfo,
    /// The digest of the signal's content.
    pub digest: Hash,
    /// When it was decided.
    pub decided_at: Time,
    /// The fields that decided, by path, as the JSON text that was seen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, String>,
    /// The move of the subject, if it was a score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
    /// Where the windows stand of the rules that wait for more than one event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WindowStand>,
    /// The action that caused the signal, as the host names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<EnforcementId>,
    /// How deep in a chain of actions that cause each other what follows is: 0 where no action caused
    /// the signal.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
    /// What follows, action by action, in the order of rules and their actions.
    pub outcomes: Vec<ActionOutcome>,
    /// Whether this is the stored decision of a signal that came again.
    #[serde(skip)]
    pub repeat: bool,
}

/// A subject's move on a scale.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Moved {
    /// The scale.
    pub scale: ScaleId,
    /// The band that was left; none at the first score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<BandName>,
    /// The band that was entered, or kept.
    pub to: BandName,
    /// The band in which the score itself lies, where hysteresis or hold keeps the subject in
    /// another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lies_in: Option<BandName>,
    /// When the band is left for the other if no score comes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves_at: Option<Time>,
    /// Whether the score is older than the last one: then it moved nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

/// What follows for one action of one rule.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ActionOutcome {
    /// The rule; none for a manual start of an action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleRef>,
    /// The action's type.
    pub action: ActionType,
    /// What follows.
    pub effect: Effect,
}

/// An action in a revision of a rule.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct RuleRef {
    /// The rule.
    pub id: RuleId,
    /// Its revision.
    pub revision: u32,
    /// The action's key.
    pub key: ActionKey,
}

/// What follows for an action.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Effect {
    /// An enforcement was made.
    Created {
        /// Its id; rules that ask for the same restriction of the same subject share one.
        enforcement: EnforcementId,
        /// The request for approval, if people must agree first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        approval: Option<ApprovalId>,
        /// Why people must agree although the action's own policy does not say so, or beside what it
        /// says: a cap, a loop.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        because: Vec<Suppressed>,
    },
    /// The rule runs in shadow: this would have been done.
    Shadow {
        /// Whether people would have been asked first.
        approval: bool,
    },
    /// It was held back.
    Suppressed(Suppressed),
}

/// What a plan needs to know beside the signal.
#[derive(Clone, Debug)]
pub struct Facts<'a> {
    /// The rules in force.
    pub rules: &'a RuleSet,
    /// What is known of the subject.
    pub subject: SubjectState,
    /// What the concerned rules remember of the subject beside that.
    pub tallies: BTreeMap<RuleId, Tally>,
    /// What people have stopped.
    pub control: Control,
    /// What this host has counted for the concerned rules so far; no decision depends on it.
    pub stats: BTreeMap<RuleId, RuleStats>,
    /// The people who may be asked.
    pub roster: Roster,
    /// What the subject is exempt from; of a session, the user's as well.
    pub exemptions: Vec<Exemptions>,
    /// What is known of the user beside what the signal tells; none where nothing is.
    pub attributes: Option<Payload>,
    /// The tenant's usable administrators; none where nobody says who they are.
    pub administrators: Option<Administrators>,
    /// The administrators who are being taken away.
    pub away: Away,
    /// What was made under the caps that the decision asks about, by counter; none where nothing was.
    /// What is not here counts as nothing made: [`Plan::counters`] says what was asked about.
    pub caps: BTreeMap<Hash, Option<CapCounter>>,
    /// How many users the tenant has, where the host says so: caps may be a share of it.
    pub population: Option<u64>,
    /// What caused the signal.
    pub cause: Cause,
}

/// A decision with all that is to be written with it, in one commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The decision itself.
    pub decision: Decision,
    /// The enforcements that it makes.
    pub enforcements: Vec<Enforcement>,
    /// The requests for approval.
    pub approvals: Vec<Approval>,
    /// The notices to approvers.
    pub notices: Vec<Enforcement>,
    /// What is known of the subject from now on.
    pub subject: SubjectState,
    /// What rules remember of the subject from now on; those that changed.
    pub tallies: BTreeMap<RuleId, Tally>,
    /// The enforcements on which this signal counts as a repeat.
    pub repeated: BTreeSet<EnforcementId>,
    /// What this host has counted for the rules from now on; those that changed.
    pub stats: BTreeMap<RuleId, RuleStats>,
    /// The administrators who are being taken away from now on.
    pub away: Away,
    /// The counters of caps that it asked about.
    pub counters: BTreeSet<Hash>,
    /// What was made under caps from now on; those counters that changed.
    pub caps: BTreeMap<Hash, CapCounter>,
    /// The rules that rest from now on.
    pub pauses: BTreeMap<RuleId, Pause>,
    /// What the audit log says.
    pub audit: Vec<AuditDraft>,
}

/// A signal that no decision can be made on; nothing is written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The score lies outside its scale.
    #[error(transparent)]
    OutOfRange(#[from] OutOfRange),
    /// No such action type.
    #[error("unknown action type `{0}`; the catalogue lists what is accepted")]
    UnknownAction(ActionType),
    /// The parameters of a manual start do not fit.
    #[error("the parameters of `{action}` do not fit: {}", list(problems))]
    Params {
        /// The action type.
        action: ActionType,
        /// Every fault.
        problems: Vec<ParamProblem>,
    },
    /// No such rule, or it is not started by hand, or it is off.
    #[error("no active rule `{0}` with a manual trigger")]
    UnknownRule(RuleId),
    /// The action needs approval, and nobody is named who could give it.
    #[error(
        "`{0}` needs approval, and the tenant has no default group of approvers; set `approvers.default`"
    )]
    NoApprovers(ActionType),
    /// The tenant has no such scale: nothing would ever follow from its scores, which is a fault of
    /// the host's settings rather than an answer.
    #[error(transparent)]
    UnknownScale(#[from] UnknownScale),
    /// Whoever is in a band does not get themselves out of it.
    #[error("`{0}` is the subject; somebody else must dismiss the level")]
    OwnLevel(ActorId),
    /// An order of a person needs a reason.
    #[error("the reason has {0} bytes; accepted: 1 to 4096")]
    Reason(usize),
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

fn list(problems: &[ParamProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Decision {
    /// The decision on a signal from which nothing follows yet.
    pub(crate) fn new(signal: &Signal, now: Time) -> Self {
        Self {
            id: signal.trigger_id(),
            tenant: signal.tenant().clone(),
            signal: signal.info(),
            digest: signal.digest(),
            decided_at: now,
            evidence: BTreeMap::new(),
            moved: None,
            windows: Vec::new(),
            cause: signal.cause(),
            depth: 0,
            outcomes: Vec::new(),
            repeat: false,
        }
    }

    /// The enforcements that it made, each once.
    pub fn enforcements(&self) -> impl Iterator<Item = EnforcementId> {
        let mut ids: Vec<_> = self
            .outcomes
            .iter()
            .filter_map(|outcome| match outcome.effect {
                Effect::Created { enforcement, .. } => Some(enforcement),
                _ => None,
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter()
    }

    /// Whether any rule had something to say.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.outcomes.is_empty() && self.windows.is_empty()
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signal = &self.signal;
        write!(f, "{} {} of {} for {}", signal.kind, signal.id, signal.at, signal.subject)?;
        if self.repeat {
            write!(f, " (came again; decided at {})", self.decided_at)?;
        }
        if self.is_empty() {
            return f.write_str(": nothing follows");
        }
        for stand in &self.windows {
            write!(f, "\n  rule `{}` revision {}: {stand}", stand.rule, stand.revision)?;
        }
        self.outcomes.iter().try_for_each(|outcome| write!(f, "\n  {outcome}"))
    }
}

impl fmt::Display for ActionOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => write!(f, "rule `{}` revision {}, {}: ", rule.id, rule.revision, self.action)?,
            None => write!(f, "{}: ", self.action)?,
        }
        match &self.effect {
            Effect::Created { enforcement, approval, because } => {
                write!(f, "enforcement {enforcement}")?;
                if let Some(approval) = approval {
                    write!(f, " awaits approval {approval}")?;
                }
                because.iter().try_for_each(|held| write!(f, ", because of {}", held.told()))
            }
            Effect::Shadow { approval: false } => f.write_str("in shadow, would be carried out"),
            Effect::Shadow { approval: true } => f.write_str("in shadow, would ask for approval"),
            Effect::Suppressed(held) => {
                write!(f, "suppressed ({})", held.reason)?;
                if let Some(detail) = &held.detail {
                    write!(f, ", {detail}")?;
                }
                held.until.map_or(Ok(()), |until| write!(f, ", until {until}"))
            }
        }
    }
}
