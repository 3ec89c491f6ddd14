//! Who must agree to an action, in which order, how many, and until when.
//!
//! The shortest policy names one group; the longest has stages in order, each with its own groups,
//! deadline, number of rejections and fallback:
//!
//! ```json
//! { "stages": [
//!     { "groups": [{ "name": "helpdesk" }], "within": "2h",
//!       "fallback": { "groups": [{ "name": "security" }], "within": "2h" } },
//!     { "groups": [{ "name": "security", "need": 2 }, { "name": "hr" }], "within": "8h", "rejections": 2 } ],
//!   "comment": "on_reject", "start_within": "1h" }
//! ```
//! A policy of one stage is written without `stages`: `{ "groups": [{ "name": "security", "need": 2 }],
//! "within": "4h" }`. The names are those of Microsoft Graph's `approvalStage` (stages, fallback,
//! justification), of which ours differs in that a stage may need several people of several groups.

pub(super) mod check;
pub(super) mod read;
mod seats;
pub(super) mod write;

use serde::{Deserialize, Serialize};

use super::{DEFAULT_APPROVAL_WITHIN, DEFAULT_START_WITHIN};
use crate::id::GroupId;
use crate::time::Span;
use crate::words::words;

pub(crate) use seats::seats_filled;

/// The most stages of one approval. Microsoft Entra has at most three; we leave room for a second
/// line and a board.
pub const MAX_STAGES: usize = 5;

words! {
    /// Whose answers need a comment.
    CommentRule, "rule for comments" {
        Optional: "optional", "nobody's";
        OnReject: "on_reject", "those that refuse";
        OnApprove: "on_approve", "those that agree";
        Required: "required", "everybody's";
    }
}

#[expect(clippy::derivable_impls, reason = "a table of words has no mark for a default")]
impl Default for CommentRule {
    fn default() -> Self {
        Self::Optional
    }
}

/// Who must agree, how many, and until when. The fields `groups`, `rejections`, `within` and
/// `fallback` are those of the first stage, which is the only one for most policies.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ApprovalPolicy {
    /// The groups that must all agree; none means one of the tenant's default group.
    pub groups: Vec<Quorum>,
    /// How many rejections end the request.
    pub rejections: u32,
    /// How long the stage stands.
    pub within: Span,
    /// Who is asked when nobody decided in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// The stages that follow, in order; each opens when the one before is granted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<ApprovalStage>,
    /// Whose answers need a comment.
    #[serde(default, skip_serializing_if = "is_optional")]
    pub comment: CommentRule,
    /// How long after the approval the action may still start; from the end of quiet hours or maintenance
    /// on, where they held it.
    pub start_within: Span,
}

/// One stage of an approval.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ApprovalStage {
    /// The groups that must all agree; none means one of the tenant's default group.
    pub groups: Vec<Quorum>,
    /// How many rejections in this stage end the whole request.
    pub rejections: u32,
    /// How long the stage stands from its opening.
    pub within: Span,
    /// Who is asked when nobody decided in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
}

/// Who is asked in the place of a stage's groups, once, when its time ran out.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Fallback {
    /// The groups that must all agree then; at least one.
    pub groups: Vec<Quorum>,
    /// How long they have.
    pub within: Span,
}

/// How many distinct people of one group must agree.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Quorum {
    /// The group.
    pub name: GroupId,
    /// How many of it, from 1.
    pub need: u32,
}

impl Default for ApprovalStage {
    /// One of the tenant's default group within 24 hours; one rejection ends it.
    fn default() -> Self {
        Self { groups: Vec::new(), rejections: 1, within: DEFAULT_APPROVAL_WITHIN, fallback: None }
    }
}

impl Default for ApprovalPolicy {
    /// One stage: one of the tenant's default group within 24 hours; one rejection ends it.
    fn default() -> Self {
        Self::of(vec![ApprovalStage::default()])
    }
}

impl ApprovalPolicy {
    /// The policy of these stages, with optional comments and the usual window for the start; of
    /// none, that of one usual stage.
    #[must_use]
    pub fn of(stages: Vec<ApprovalStage>) -> Self {
        let mut stages = stages.into_iter();
        let ApprovalStage { groups, rejections, within, fallback } = stages.next().unwrap_or_default();
        Self {
            groups,
            rejections,
            within,
            fallback,
            then: stages.collect(),
            comment: CommentRule::Optional,
            start_within: DEFAULT_START_WITHIN,
        }
    }

    /// Its stages, in order; at least one.
    pub fn stages(&self) -> impl Iterator<Item = ApprovalStage> {
        let first = ApprovalStage {
            groups: self.groups.clone(),
            rejections: self.rejections,
            within: self.within,
            fallback: self.fallback.clone(),
        };
        std::iter::once(first).chain(self.then.iter().cloned())
    }

    /// The stage of that number, from 0.
    #[must_use]
    pub fn stage(&self, number: u32) -> Option<ApprovalStage> {
        self.stages().nth(number as usize)
    }

    /// Every group that the policy may ask, in any stage or fallback.
    pub fn every_quorum(&self) -> impl Iterator<Item = Quorum> {
        self.stages().flat_map(|stage| {
            let fallback = stage.fallback.into_iter().flat_map(|fallback| fallback.groups);
            stage.groups.into_iter().chain(fallback)
        })
    }

    /// The longest that a request may stand: all of its stages with their fallbacks.
    #[must_use]
    pub fn longest(&self) -> Span {
        let longest = |stage: ApprovalStage| {
            let fallback = stage.fallback.map_or(0, |fallback| fallback.within.as_millis());
            stage.within.as_millis().saturating_add(fallback)
        };
        Span::millis(self.stages().map(longest).fold(0, u64::saturating_add))
    }

    /// How many of the first stage's approvals these people fill, each of them one at the most, in
    /// one of their groups: a matching of people to seats that no other can better.
    #[must_use]
    pub fn seats_filled(&self, people: &[Vec<GroupId>]) -> usize {
        seats_filled(&self.groups, people)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_optional(comment: &CommentRule) -> bool {
    *comment == CommentRule::Optional
}
