//! Who may answer for what: the host's directory of people.

use std::collections::BTreeSet;

use crate::delivery::Answer;
use crate::id::{ActorId, GroupId, TenantId};

/// The directory cannot answer now. Nothing is approved then, and nothing is lost.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the directory of people does not answer: {0}")]
pub struct PeopleError(pub String);

/// The host's directory. It is asked when it matters: who is told of a request when it opens, and
/// who may answer it at the moment of the answer.
///
/// Without one, the groups that the tenant's settings declare are the directory; where they
/// declare none, nobody may approve, and what needs approval is held.
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
}
