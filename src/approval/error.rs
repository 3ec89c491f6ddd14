//! Why a request does not take what somebody wants of it.

use super::machine::{ApprovalState, MAX_COMMENT_BYTES};
use super::record::Verdict;
use crate::hash::Hash;
use crate::id::{ActorId, ApprovalId};
use crate::time::Time;

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
    #[error("the comment has {0} bytes; accepted: at most {MAX_COMMENT_BYTES}")]
    CommentTooLong(usize),
    /// The policy asks for a comment with such an answer.
    #[error("to {0} needs a comment; accepted: 1 to {MAX_COMMENT_BYTES} bytes")]
    CommentMissing(Verdict),
    /// Neither does the host know them as the other's delegate, nor did the other name them, or the
    /// host does not let them answer such requests.
    #[error("`{actor}` may not answer for `{principal}`; accepted: a delegate whom the host knows")]
    NotDelegate {
        /// Who answers.
        actor: ActorId,
        /// For whom.
        principal: ActorId,
    },
    /// Nobody is their own delegate.
    #[error("`{0}` needs no delegation to answer in person; name somebody else")]
    OwnDelegate(ActorId),
    /// A delegation goes one step: who handed their own answer on takes no other's.
    #[error("`{0}` has handed their own answer on; name somebody who has not")]
    DelegationChain(ActorId),
    /// The new approvers are fewer than those who were needed.
    #[error("{given} approver(s) would be needed in the place of {need}; accepted: as many or more")]
    FewerApprovers {
        /// How many the stage needed when the request was made.
        need: usize,
        /// How many it would need.
        given: usize,
    },
    /// The new approvers cannot be found among the people who are named.
    #[error("{need} distinct approver(s) are needed, but only {have} of those named may answer; name more")]
    TooFewPeople {
        /// How many are needed.
        need: usize,
        /// How many distinct people could answer.
        have: usize,
    },
    /// More is named than is accepted, or a thing twice.
    #[error("{found} {what}; accepted: at most {most}, each once")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// The most.
        most: usize,
    },
}

/// Why a batch of requests is not answered as a whole.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// It is empty, too long, or names a request twice.
    #[error("a batch of {found} request(s); accepted: 1 to {most}, each once")]
    Size {
        /// How many requests.
        found: usize,
        /// The most.
        most: usize,
    },
    /// Its digest is not that of its members.
    #[error("the batch has the digest {asked}, not {shown}; look again and answer again")]
    OtherContent {
        /// The digest that was shown.
        shown: Hash,
        /// The digest of the members as they are named.
        asked: Hash,
    },
    /// Members are not what they were when the batch was shown; nothing of it is answered.
    #[error("{} of the batch changed since it was shown; look again and answer again", list(.0))]
    Changed(Vec<ApprovalId>),
}

fn list(ids: &[ApprovalId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
