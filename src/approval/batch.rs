//! Many requests answered at once: a frozen plan.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::BatchError;
use super::record::Approval;
use crate::hash::{Hash, Hasher};
use crate::id::ApprovalId;

/// The most requests of one batch: one commit decides them all.
pub const MAX_BATCH: usize = 200;

/// Requests that are shown together and answered together, with one digest over all of them. A
/// batch is a value: whoever was shown it hands it back with the answer, and a member that is not
/// what it was then voids it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Batch {
    /// The requests, each with the digest of what it asks.
    pub members: Vec<BatchMember>,
    /// The digest over all of them.
    pub digest: Hash,
}

/// A request in a batch.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct BatchMember {
    /// The request.
    pub approval: ApprovalId,
    /// The digest of what it asks.
    pub digest: Hash,
}

impl Batch {
    /// The batch of these requests, in whatever order.
    ///
    /// # Errors
    /// [`BatchError::Size`].
    pub fn of<'a>(requests: impl IntoIterator<Item = &'a Approval>) -> Result<Self, BatchError> {
        let members: Vec<BatchMember> = requests
            .into_iter()
            .map(|asked| BatchMember { approval: asked.id, digest: asked.digest })
            .collect();
        let digest = Self::check(&members)?;
        Ok(Self { members, digest })
    }

    /// The digest of these members, if they are a batch.
    fn check(members: &[BatchMember]) -> Result<Hash, BatchError> {
        let sorted: BTreeSet<&BatchMember> = members.iter().collect();
        let distinct: BTreeSet<ApprovalId> = members.iter().map(|member| member.approval).collect();
        if !(1..=MAX_BATCH).contains(&members.len()) || distinct.len() < members.len() {
            return Err(BatchError::Size { found: members.len(), most: MAX_BATCH });
        }
        let hasher = Hasher::new("tipstaff/batch/1").number(sorted.len() as u64);
        let feed = |h: Hasher, member: &BatchMember| h.bytes(member.approval.bytes()).hash(&member.digest);
        Ok(sorted.into_iter().fold(hasher, feed).finish())
    }

    /// Whether its digest is that of its members.
    pub(crate) fn verify(&self) -> Result<(), BatchError> {
        let asked = Self::check(&self.members)?;
        if asked == self.digest {
            return Ok(());
        }
        Err(BatchError::OtherContent { shown: self.digest, asked })
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests, digest {}", self.members.len(), self.digest)
    }
}
