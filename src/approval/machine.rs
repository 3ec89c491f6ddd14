//! The life of a request.
//!
//! ```text
//!  open ── Vote (approve, the last one needed) ─▶ granted
//!   │  ├── Vote (approve or reject, more needed) ─▶ open
//!   │  ├── Vote (reject, the last one allowed) ─▶ rejected
//!   │  └── Elapsed ─▶ expired
//!   └───── Withdraw ─▶ withdrawn
//! ```
//! Nothing leaves granted, rejected, expired and withdrawn; every refusal is an
//! [`ApprovalError`] and changes nothing.

use super::record::{Approval, Ballot, Verdict, Vote};
use crate::hash::Hash;
use crate::id::ActorId;
use crate::time::Time;
use crate::words::words;

/// The longest comment, in bytes.
pub const MAX_COMMENT_BYTES: usize = 4_096;

words! {
    /// Where a request stands.
    ApprovalState, "state of an approval" {
        Open: "open", "people may answer";
        Granted: "granted", "enough people agreed";
        Rejected: "rejected", "enough people refused";
        Expired: "expired", "nobody decided in time";
        Withdrawn: "withdrawn", "what was asked for was called off";
    }
}

/// What happens to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ApprovalInput {
    /// Somebody answers.
    Vote(Ballot),
    /// What was asked for was called off.
    Withdraw,
    /// Its time ran out.
    Elapsed,
}

/// Why a request does not take an input.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ApprovalError {
    /// It is over.
    #[error("the request is {0}; nothing more is accepted")]
    Over(ApprovalState),
    /// Its time has run out, though nobody has written that down yet.
    #[error("the request ran out at {0}")]
    TooLate(Time),
    /// It is not due.
    #[error("the request stands until {0}")]
    NotDue(Time),
    /// Nobody approves what is done to themselves.
    #[error("`{0}` is the subject of the action; somebody else must answer")]
    IsSubject(ActorId),
    /// Nobody approves what they ordered.
    #[error("`{0}` ordered the action; somebody else must answer")]
    IsOrderer(ActorId),
    /// Nobody approves what their own rule asks for.
    #[error("`{0}` is the author of the rule; somebody else must answer")]
    IsAuthor(ActorId),
    /// They belong to none of the groups that are asked.
    #[error("`{actor}` belongs to none of the groups that are asked; accepted: members of {groups}")]
    NotAuthorised {
        /// Who.
        actor: ActorId,
        /// The groups, by name.
        groups: String,
    },
    /// One answer from one person.
    #[error("`{0}` has answered already")]
    AnsweredAlready(ActorId),
    /// They were shown something else.
    #[error("the answer is for other content: shown {shown}, asked {asked}; look again and answer again")]
    OtherContent {
        /// The digest of what they were shown.
        shown: Hash,
        /// The digest of what is asked.
        asked: Hash,
    },
    /// The comment is longer than [`MAX_COMMENT_BYTES`].
    #[error("the comment has {0} bytes; accepted: at most 4096")]
    CommentTooLong(usize),
}

impl Approval {
    /// The request after an input, or why it takes none. One arm is one arrow of the drawing in
    /// this module.
    ///
    /// # Errors
    /// [`ApprovalError`]; the request is then what it was.
    pub fn step(&self, input: &ApprovalInput, now: Time) -> Result<Self, ApprovalError> {
        let mut next = self.clone();
        match (self.state, input) {
            (ApprovalState::Open, ApprovalInput::Elapsed) if now >= self.expires_at => {
                next.state = ApprovalState::Expired;
            }
            (ApprovalState::Open, ApprovalInput::Elapsed) => {
                return Err(ApprovalError::NotDue(self.expires_at));
            }
            (ApprovalState::Open, ApprovalInput::Withdraw) => next.state = ApprovalState::Withdrawn,
            (ApprovalState::Open, ApprovalInput::Vote(ballot)) => {
                next.votes.push(self.accept(ballot, now)?);
                next.state = next.counted();
            }
            (over, _) => return Err(ApprovalError::Over(over)),
        }
        next.decided_at = (next.state != ApprovalState::Open).then_some(now);
        Ok(next)
    }

    /// The vote that a ballot becomes.
    fn accept(&self, ballot: &Ballot, now: Time) -> Result<Vote, ApprovalError> {
        let actor = ballot.actor.clone();
        let asked = |group: &&crate::id::GroupId| ballot.groups.contains(*group);
        let groups: Vec<_> = self.policy.groups.iter().map(|q| &q.name).filter(asked).cloned().collect();
        let length = ballot.comment.as_ref().map_or(0, String::len);
        if now >= self.expires_at {
            Err(ApprovalError::TooLate(self.expires_at))
        } else if is_one(actor.as_str(), self.subject.user.as_str()) {
            // Hosts name a person the same as a subject and as an approver.
            Err(ApprovalError::IsSubject(actor))
        } else if self.orderer.as_ref().is_some_and(|orderer| is_one(orderer.as_str(), actor.as_str())) {
            Err(ApprovalError::IsOrderer(actor))
        } else if self.authors.iter().any(|author| is_one(author.as_str(), actor.as_str())) {
            Err(ApprovalError::IsAuthor(actor))
        } else if groups.is_empty() {
            let names: Vec<_> = self.policy.groups.iter().map(|q| format!("`{}`", q.name)).collect();
            Err(ApprovalError::NotAuthorised { actor, groups: names.join(", ") })
        } else if self.votes.iter().any(|vote| is_one(vote.actor.as_str(), actor.as_str())) {
            Err(ApprovalError::AnsweredAlready(actor))
        } else if ballot.digest != self.digest {
            Err(ApprovalError::OtherContent { shown: ballot.digest, asked: self.digest })
        } else if length > MAX_COMMENT_BYTES {
            Err(ApprovalError::CommentTooLong(length))
        } else {
            Ok(Vote { actor, groups, verdict: ballot.verdict, comment: ballot.comment.clone(), at: now })
        }
    }

    fn counted(&self) -> ApprovalState {
        let rejections = self.votes.iter().filter(|vote| vote.verdict == Verdict::Reject).count();
        if rejections >= self.policy.rejections as usize {
            ApprovalState::Rejected
        } else if self.missing() == 0 {
            ApprovalState::Granted
        } else {
            ApprovalState::Open
        }
    }
}

/// Whether two ids name one person: directories differ in case, and nobody shall count twice, or
/// approve what is done to themselves, by another spelling.
fn is_one(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}
