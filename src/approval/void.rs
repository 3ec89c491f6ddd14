//! Whether an approval covers what is about to be carried out (behaviour 7.1).

use std::collections::BTreeMap;

use super::machine::ApprovalState;
use super::record::Approval;
use crate::action::{ActionType, Params};
use crate::id::{EnforcementId, Subject, TriggerId};
use crate::words::words;

words! {
    /// What an approval binds to.
    ApprovedPart, "part of what was approved" {
        Subject: "subject", "whom the action is for";
        Action: "action", "what is done";
        Parameters: "parameters", "with what";
        Trigger: "trigger", "the signal that led to it";
        Evidence: "evidence", "the fields of the signal that decided";
        Record: "record", "the request's own digest no longer fits its content";
    }
}

/// Why an approval does not cover what is about to be carried out: nothing is delivered then.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum VoidReason {
    /// There is no such request.
    #[error("the approval that it waits for does not exist; ask again")]
    Missing,
    /// The request cannot be read.
    #[error("the approval that it waits for cannot be read ({0}); ask again")]
    Damaged(String),
    /// Nobody granted it.
    #[error("its approval is {0}; only a granted one counts")]
    NotGranted(ApprovalState),
    /// It says that it was granted, but the answers are not there.
    #[error("its approval is called granted, but {0} answer(s) for what was shown are missing; ask again")]
    Unanswered(usize),
    /// It is somebody else's.
    #[error("its approval is for another enforcement, {0}; ask again")]
    OtherEnforcement(EnforcementId),
    /// What was approved is not what would be done.
    #[error("its approval is for other content: the {0} changed since it was asked; ask again")]
    Changed(ApprovedPart),
}

/// What is about to be carried out.
#[derive(Clone, Copy, Debug)]
pub struct Carried<'a> {
    /// The enforcement.
    pub enforcement: EnforcementId,
    /// Whom it is for.
    pub subject: &'a Subject,
    /// What is done.
    pub action: &'a ActionType,
    /// With what.
    pub params: &'a Params,
    /// The signal that led to it.
    pub trigger: TriggerId,
    /// The fields of the signal that decided, as they are recorded now.
    pub evidence: &'a BTreeMap<String, String>,
}

impl Approval {
    /// Whether this approval covers what is about to be carried out: granted by enough people, in
    /// every stage, for exactly that content.
    ///
    /// # Errors
    /// [`VoidReason`], which says what differs.
    pub fn covers(&self, carried: &Carried<'_>) -> Result<(), VoidReason> {
        if self.state != ApprovalState::Granted {
            return Err(VoidReason::NotGranted(self.state));
        }
        if self.enforcement != carried.enforcement {
            return Err(VoidReason::OtherEnforcement(self.enforcement));
        }
        let changed = [
            (ApprovedPart::Subject, self.subject != *carried.subject),
            (ApprovedPart::Action, self.action != *carried.action),
            (ApprovedPart::Parameters, self.params != *carried.params),
            (ApprovedPart::Trigger, self.context.trigger != Some(carried.trigger)),
            (ApprovedPart::Evidence, self.context.evidence != *carried.evidence),
            (ApprovedPart::Record, self.content_digest() != self.digest),
        ];
        if let Some((part, _)) = changed.into_iter().find(|(_, changed)| *changed) {
            return Err(VoidReason::Changed(part));
        }
        let stages = u32::try_from(self.stages()).unwrap_or(u32::MAX);
        match (0..stages).map(|stage| self.missing_in(stage)).sum() {
            0 => Ok(()),
            missing => Err(VoidReason::Unanswered(missing)),
        }
    }
}
