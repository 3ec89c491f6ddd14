//! What a request asks, of whom, and what they answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::machine::ApprovalState;
use super::progress::Progress;
use crate::action::{ActionType, Params};
use crate::hash::{Hash, Hasher};
use crate::id::{ActorId, ApprovalId, EnforcementId, GroupId, RuleId, ScaleId, Subject, TenantId, TriggerId};
use crate::rule::ApprovalPolicy;
use crate::score::{BandName, History, Level};
use crate::signal::{SignalInfo, feed_params};
use crate::time::Time;
use crate::words::words;

/// A request for people's agreement to one enforcement. What was asked, who may answer, how many
/// and until when stay as they were when it was made.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// Its owner.
    pub tenant: TenantId,
    /// What it is about.
    pub enforcement: EnforcementId,
    /// The digest of what an approver is shown: subject, action, parameters, trigger, evidence,
    /// scores.
    pub digest: Hash,
    /// Whom the action is for.
    pub subject: Subject,
    /// The action's type.
    pub action: ActionType,
    /// Its parameters, variables filled in.
    pub params: Params,
    /// The rules that ask for it; none for a manual start.
    pub rules: Vec<RuleId>,
    /// Who must agree, how many, and until when.
    pub policy: ApprovalPolicy,
    /// The people who are asked in the stage that is open, by group, as they were when it opened:
    /// they are told of it.
    pub designated: BTreeMap<GroupId, Vec<ActorId>>,
    /// Who ordered the action, if a person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orderer: Option<ActorId>,
    /// The authors of the rules, where they are named.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub authors: BTreeSet<ActorId>,
    /// What led to it.
    pub context: Context,
    /// When it was made.
    pub requested_at: Time,
    /// When its open stage runs out.
    pub expires_at: Time,
    /// The answers, in the order in which they came.
    pub votes: Vec<Vote>,
    /// Where it stands.
    pub state: ApprovalState,
    /// How far it has come.
    #[serde(default)]
    pub progress: Progress,
    /// Whether the action was started before anybody agreed (break-glass): then people are asked to
    /// ratify it, and it is taken back where they do not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ratifies: bool,
    /// Why people are asked beside what the action's policy says: a cap, a loop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
    /// Since when it stands there, if it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Time>,
}

/// What an approver is shown of the reasons.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Context {
    /// The record of the signal.
    pub trigger: Option<TriggerId>,
    /// The signal.
    pub signal: Option<SignalInfo>,
    /// The fields that decided, by their path, as the JSON text that was seen.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, String>,
    /// The subject's scores at that time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub standing: BTreeMap<ScaleId, Standing>,
    /// How the subject's scores and bands had been before, newest last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub history: BTreeMap<ScaleId, History>,
}

/// A subject's place on a scale.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Standing {
    /// The score.
    pub score: String,
    /// Its band.
    pub band: BandName,
    /// When it held.
    pub at: Time,
}

impl From<&Level> for Standing {
    fn from(level: &Level) -> Self {
        Self { score: level.score.to_string(), band: level.band.clone(), at: level.at }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) at {}", self.band, self.score, self.at)
    }
}

words! {
    /// What somebody answered.
    Verdict, "verdict" {
        Approve: "approve", "it may be carried out";
        Reject: "reject", "it must not be carried out";
    }
}

/// One answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Vote {
    /// Whose.
    pub actor: ActorId,
    /// For whom, where they answered as somebody's delegate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<ActorId>,
    /// In which stage, from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub stage: u32,
    /// The groups of the request that they, or whom they answered for, belonged to when they
    /// answered.
    pub groups: Vec<GroupId>,
    /// What they answered.
    pub verdict: Verdict,
    /// What they said to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// The digest of what they were shown; none on a record from before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Hash>,
    /// When.
    pub at: Time,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_first(stage: &u32) -> bool {
    *stage == 0
}

/// An answer that comes in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ballot {
    /// Whose.
    pub actor: ActorId,
    /// For whom, where they answer as somebody's delegate.
    pub on_behalf_of: Option<ActorId>,
    /// Whether they may: that they are that person's delegate, as the host says.
    pub authorised: bool,
    /// The groups that they, or whom they answer for, belong to now, as the host says.
    pub groups: BTreeSet<GroupId>,
    /// What they answer.
    pub verdict: Verdict,
    /// The digest of what they were shown.
    pub digest: Hash,
    /// What they say to it.
    pub comment: Option<String>,
}

impl Approval {
    /// The id of the request for an enforcement.
    #[must_use]
    pub fn id_for(enforcement: EnforcementId) -> ApprovalId {
        ApprovalId::derive(|h| h.bytes(enforcement.bytes()))
    }

    /// The digest that an approval binds to: everything that an approver is shown of the reasons as
    /// they were when the request was made. What has become of the subject since is shown as well,
    /// and is no part of it: a score that comes in between must not void an answer.
    #[must_use]
    pub fn digest_of(
        tenant: &TenantId,
        subject: &Subject,
        action: &ActionType,
        params: &Params,
        context: &Context,
    ) -> Hash {
        let hasher = Hasher::new("tipstaff/approval/1").text(tenant.as_str());
        let hasher = feed_params(subject.feed(hasher).text(action.as_str()), params);
        let trigger = context.trigger.map(|id| id.to_string()).unwrap_or_default();
        let hasher = hasher.text(&trigger).number(context.evidence.len() as u64);
        let hasher = context.evidence.iter().fold(hasher, |h, (path, seen)| h.text(path).text(seen));
        // Requests made before histories were kept have none, and keep their digest.
        if context.history.is_empty() {
            return hasher.finish();
        }
        let hasher = context.standing.iter().fold(hasher.text("standing"), |h, (scale, then)| {
            let h = h.text(scale.as_str()).text(&then.score).text(then.band.as_str());
            h.number(then.at.micros().cast_unsigned())
        });
        let histories = context.history.iter();
        histories.fold(hasher.text("history"), |h, (scale, past)| past.feed(h.text(scale.as_str()))).finish()
    }

    /// The digest of what the request itself says.
    pub(crate) fn content_digest(&self) -> Hash {
        Self::digest_of(&self.tenant, &self.subject, &self.action, &self.params, &self.context)
    }

    /// How many approvals are still missing in the stage that is open.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing_in(self.progress.stage)
    }
}

impl fmt::Display for Approval {
    /// One line: what is asked for whom, of whom, until when.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: `{}` for {}", self.id, self.state, self.action, self.subject)?;
        if self.ratifies {
            f.write_str(", done already")?;
        }
        if self.stages() > 1 {
            write!(f, ", stage {} of {}", self.progress.stage + 1, self.stages())?;
        }
        for (i, quorum) in self.panel(self.progress.stage).groups.iter().enumerate() {
            let word = if i == 0 { ", needs" } else { " and" };
            write!(f, "{word} {} of `{}`", quorum.need, quorum.name)?;
        }
        write!(f, " until {}", self.expires_at)
    }
}
