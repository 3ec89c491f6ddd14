//! Who may answer for what: the host's directory of people.

use std::collections::BTreeSet;
use std::fmt;
use std::future::ready;

use crate::action::ActionType;
use crate::id::{ActorId, GroupId, TenantId};
use crate::ready::Answer;
use crate::state::Administrators;

/// The directory cannot answer now. Nothing is approved then, and nothing is lost.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the directory of people does not answer: {0}")]
pub struct PeopleError(pub String);

/// What somebody needs the host's word for, beside belonging to a group.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Right {
    /// To answer requests for actions of this type without belonging to a group that is asked: as
    /// one whom an operator named, or whom an approver named for themselves.
    Approve(ActionType),
    /// To answer for this person, as their standing delegate: while they are on leave, say.
    AnswerFor(ActorId),
    /// To have others asked in the place of those whom a request asks.
    Reassign,
    /// To start actions of this type at once, and have them ratified afterwards.
    BreakGlass(ActionType),
    /// To say afterwards whether an enforcement was right.
    Judge,
}

impl fmt::Display for Right {
    /// What they may do, as the end of "`bo` may not …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approve(action) => write!(f, "answer requests for `{action}`"),
            Self::AnswerFor(person) => write!(f, "answer for `{person}`"),
            Self::Reassign => f.write_str("name other approvers"),
            Self::BreakGlass(action) => write!(f, "start `{action}` before it is approved"),
            Self::Judge => f.write_str("judge what was done"),
        }
    }
}

/// The host's directory. It is asked when it matters: who is told of a request when it opens, and
/// who may answer it at the moment of the answer.
///
/// Without one, the groups that the tenant's settings declare are the directory; where they
/// declare none, nobody may approve, and what needs approval is held. The settings' `operators` have
/// then the rights to reassign, to break glass and to judge, the members of declared groups that to
/// approve, and nobody that to answer for another:
///
/// ```json
/// { "approvers": { "default": "security", "operators": ["olga"],
///     "groups": { "security": ["bo", "cy"], "hr": ["di"] } } }
/// ```
pub trait People: Send + Sync {
    /// The usable members of a group; none for a group that is not known.
    fn members<'a>(
        &'a self,
        tenant: &'a TenantId,
        group: &'a GroupId,
    ) -> Answer<'a, Result<Vec<ActorId>, PeopleError>>;

    /// The groups that somebody belongs to now.
    fn groups<'a>(
        &'a self,
        tenant: &'a TenantId,
        actor: &'a ActorId,
    ) -> Answer<'a, Result<BTreeSet<GroupId>, PeopleError>>;

    /// The administrators who can use their accounts now, so that rules and orders leave some of them;
    /// none where the host does not say. Settings may name a group in its place
    /// ([`KeepAdministrators`](crate::KeepAdministrators)); where nobody says who they are although the
    /// settings ask, nothing is done that could take one away.
    fn administrators<'a>(
        &'a self,
        _tenant: &'a TenantId,
    ) -> Answer<'a, Result<Option<Administrators>, PeopleError>> {
        Box::pin(ready(Ok(None)))
    }

    /// How many users the tenant has now; none where the host does not say. Caps may be a share of it,
    /// and where nobody says, nothing passes such a cap.
    fn population<'a>(&'a self, _tenant: &'a TenantId) -> Answer<'a, Result<Option<u64>, PeopleError>> {
        Box::pin(ready(Ok(None)))
    }

    /// Whether somebody has a right now. A directory that does not say so gives nobody any.
    fn allows<'a>(
        &'a self,
        _tenant: &'a TenantId,
        _actor: &'a ActorId,
        _right: &'a Right,
    ) -> Answer<'a, Result<bool, PeopleError>> {
        Box::pin(ready(Ok(false)))
    }
}
