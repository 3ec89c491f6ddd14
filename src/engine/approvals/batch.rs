//! One answer to many requests.

use super::{Reply, approval_key};
use crate::approval::{Approval, ApprovalError, ApprovalState, Batch, BatchError, Verdict};
use crate::audit::AuditCode;
use crate::enforcement::Enforcement;
use crate::engine::intake::enforcement_key;
use crate::engine::{Engine, EngineError, until_settled};
use crate::id::{ActorId, ApprovalId, CommitId, TenantId};
use crate::ready::Answer;
use crate::store::{Filter, MAX_PAGE, Order};
use crate::time::Time;

/// What became of an answer to a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchOutcome {
    /// The requests that took it, as they are now.
    pub answered: Vec<Approval>,
    /// Those that did not, each with the reason.
    pub refused: Vec<(ApprovalId, ApprovalError)>,
}

impl Engine {
    /// The open requests that a filter names, frozen as one batch; a filter for the signal of an
    /// occurrence names all requests of that occurrence. Of more than a batch holds, the oldest.
    ///
    /// # Errors
    /// [`EngineError::Batch`] where there is none.
    pub fn batch(&self, filter: Filter) -> Answer<'_, Result<Batch, EngineError>> {
        Box::pin(async move {
            let filter = filter.approval(ApprovalState::Open).order(Order::Oldest).limit(MAX_PAGE);
            Ok(Batch::of(&self.approvals(filter).await?.rows)?)
        })
    }

    /// Answers every request of a batch that the voter may answer, in one commit; those that they
    /// may not are named with the reason, and the others go on without them. A batch with a member
    /// that changed since it was shown is answered not at all.
    ///
    /// # Errors
    /// [`EngineError::Batch`].
    pub fn reply_batch<'a>(
        &'a self,
        tenant: &'a TenantId,
        batch: &'a Batch,
        by: &'a ActorId,
        verdict: Verdict,
        said: Option<&'a str>,
        now: Time,
    ) -> Answer<'a, Result<BatchOutcome, EngineError>> {
        Box::pin(async move {
            batch.verify()?;
            let mut members = batch.members.clone();
            members.sort_unstable();
            let said = said.map(str::to_owned);
            let (outcome, before) = until_settled!({
                let mut tx = self.tx(tenant);
                tx.load(members.iter().map(|member| approval_key(tenant, member.approval))).await?;
                let mut asked = Vec::new();
                for member in &members {
                    asked.push(tx.get::<Approval>(&approval_key(tenant, member.approval))?);
                }
                let enforcements =
                    asked.iter().flatten().map(|a| enforcement_key(tenant, a.body.enforcement));
                tx.load(enforcements.collect::<Vec<_>>()).await?;
                let mut changed = Vec::new();
                for (member, asked) in members.iter().zip(&asked) {
                    let same = match asked {
                        None => false,
                        Some(asked) => {
                            let asked = &asked.body;
                            let made = tx.get::<Enforcement>(&enforcement_key(tenant, asked.enforcement))?;
                            asked.digest == member.digest
                                && asked.content_digest() == member.digest
                                && made.is_some_and(|made| is_for(asked, &made.body))
                        }
                    };
                    if !same {
                        changed.push(member.approval);
                    }
                }
                if !changed.is_empty() {
                    return Err(BatchError::Changed(changed).into());
                }
                let (mut outcome, mut before) = (BatchOutcome::default(), Vec::new());
                for member in &members {
                    let reply = Reply {
                        by: by.clone(),
                        on_behalf_of: None,
                        verdict,
                        shown: member.digest,
                        comment: said.clone(),
                    };
                    let cast = self.cast(&mut tx, tenant, member.approval, &reply, Some(batch.digest), now);
                    match cast.await? {
                        Ok(next) => outcome.answered.push(next),
                        Err((asked, error)) => {
                            outcome.refused.push((asked.id, error));
                            before.push(asked);
                        }
                    }
                }
                if !outcome.answered.is_empty() {
                    // Over the versions of all members: after another change it is another answer.
                    let commit = CommitId::derive(|h| {
                        let h = h.text("batch").hash(&batch.digest).text(by.as_str()).text(verdict.as_str());
                        let h = h.text(said.as_deref().unwrap_or_default());
                        members
                            .iter()
                            .fold(h, |h, member| h.number(tx.version(&approval_key(tenant, member.approval))))
                    });
                    tx.commit(commit).await?;
                }
                Ok((outcome, before))
            })?;
            for (asked, (_, error)) in before.iter().zip(&outcome.refused) {
                self.refuse(asked, AuditCode::ApprovalVoteRefused, by, error, now).await?;
            }
            Ok(outcome)
        })
    }
}

/// Whether a request still asks for what its enforcement would do.
fn is_for(asked: &Approval, made: &Enforcement) -> bool {
    asked.subject == made.subject
        && asked.action == made.action
        && asked.params == made.params
        && asked.context.trigger == Some(made.origin.trigger)
}
