//! Others answer: an approver hands a request on, or an operator has others asked.

use std::collections::{BTreeMap, BTreeSet};

use super::{approval_key, draft};
use crate::approval::{Approval, ApprovalError, ApprovalInput, Delegation, Reassignment};
use crate::audit::{Actor, AuditCode};
use crate::engine::{Engine, EngineError, not_found, until_settled};
use crate::id::{ActorId, ApprovalId, CommitId, TenantId};
use crate::people::Right;
use crate::plan::NoticeKind;
use crate::ready::Answer;
use crate::rule::Quorum;
use crate::signal::MAX_REASON_BYTES;
use crate::time::Time;

/// Who is to be asked in the place of a stage's approvers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reassign {
    /// The groups that must all agree.
    pub groups: Vec<Quorum>,
    /// People who are asked beside them, by name. The host must let each answer such requests
    /// ([`Right::Approve`]) when they do.
    pub people: BTreeSet<ActorId>,
    /// How many of these people must agree; at least one where any is named.
    pub need: u32,
}

impl Engine {
    /// Lets another answer a request in the place of `from`, who is asked. `to` must be allowed to
    /// answer such requests ([`Right::Approve`]), now and when they do, and is told. A delegation
    /// goes one step, and whom the action concerns neither gives nor takes one. `from` may still
    /// answer, as long as `to` has not; a second delegation replaces the first.
    ///
    /// # Errors
    /// [`EngineError::Approval`] where it is refused, which is audited.
    pub fn delegate<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: ApprovalId,
        from: &'a ActorId,
        to: &'a ActorId,
        now: Time,
    ) -> Answer<'a, Result<Approval, EngineError>> {
        Box::pin(async move {
            let outcome = until_settled!({
                let mut tx = self.tx(tenant);
                let key = approval_key(tenant, id);
                tx.load([key.clone()]).await?;
                let asked = tx.get::<Approval>(&key)?.ok_or_else(|| not_found("approval", &id))?.body;
                let right = Right::Approve(asked.action.clone());
                let delegation = Delegation {
                    from: from.clone(),
                    to: to.clone(),
                    groups: self.groups_of(&mut tx, &asked, from, now).await?,
                    authorised: self.allows(&mut tx, tenant, to, &right, now).await?,
                };
                let next = match asked.step(&ApprovalInput::Delegate(delegation), now) {
                    // What was ordered before is done.
                    Ok(next) if next == asked => return Ok(Ok(asked)),
                    Ok(next) => next,
                    Err(error) => return Ok(Err((asked, error))),
                };
                tx.log([draft(&asked, AuditCode::ApprovalDelegated, from, now).detail("to", to.as_str())]);
                self.tell(&mut tx, &next, &BTreeSet::from([to.clone()]), NoticeKind::Delegated, now).await?;
                let version = tx.version(&key);
                let commit = CommitId::derive(|h| {
                    let h = h.text("delegate").bytes(id.bytes()).number(version);
                    h.text(from.as_str()).text(to.as_str())
                });
                let next = self.follow(&mut tx, &asked, next, Actor::Person(from.clone()), now).await?;
                tx.commit(commit).await?;
                Ok(Ok(next))
            })?;
            self.changed(outcome, from, now).await
        })
    }

    /// Has others asked in the stage that is open, in the place of whoever is asked there. Its
    /// clock, and its reminders, run on. They must be as many as the policy asked for, and be found.
    /// Answers that were given in this stage count on where their voices are still among those
    /// asked; others do not count any more, and stay on record.
    ///
    /// # Errors
    /// [`EngineError::NotPermitted`] without [`Right::Reassign`]; [`EngineError::Reason`];
    /// [`EngineError::Approval`] where it is refused, which is audited.
    pub fn reassign<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: ApprovalId,
        by: &'a ActorId,
        to: &'a Reassign,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<Approval, EngineError>> {
        Box::pin(async move {
            if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
                return Err(EngineError::Reason(reason.len()));
            }
            let outcome = until_settled!({
                let mut tx = self.tx(tenant);
                let key = approval_key(tenant, id);
                tx.load([key.clone()]).await?;
                let asked = tx.get::<Approval>(&key)?.ok_or_else(|| not_found("approval", &id))?.body;
                if !self.allows(&mut tx, tenant, by, &Right::Reassign, now).await? {
                    let refused = draft(&asked, AuditCode::PolicyOrderRefused, by, now);
                    let commit = CommitId::derive(|h| {
                        h.text("no right to reassign").bytes(id.bytes()).text(by.as_str())
                    });
                    return Err(self.not_permitted(refused, by, Right::Reassign, commit).await?);
                }
                let mut members = BTreeMap::new();
                for quorum in &to.groups {
                    members.insert(
                        quorum.name.clone(),
                        self.members_of(&mut tx, tenant, &quorum.name, now).await?,
                    );
                }
                let mut people = BTreeSet::new();
                for person in &to.people {
                    // Whom the host does not let answer is as good as not named.
                    if self
                        .allows(&mut tx, tenant, person, &Right::Approve(asked.action.clone()), now)
                        .await?
                    {
                        people.insert(person.clone());
                    }
                }
                let need = if to.people.is_empty() { 0 } else { to.need.max(1) };
                let named: Vec<String> = people.iter().take(8).map(ToString::to_string).collect();
                let order = Reassignment { by: by.clone(), groups: to.groups.clone(), people, need, members };
                let next = match asked.step(&ApprovalInput::Reassign(order), now) {
                    // What was ordered before is done.
                    Ok(next) if next == asked => return Ok(Ok(asked)),
                    Ok(next) => next,
                    Err(error) => return Ok(Err((asked, error))),
                };
                let groups: Vec<&str> = to.groups.iter().map(|quorum| quorum.name.as_str()).collect();
                tx.log([draft(&asked, AuditCode::ApprovalReassigned, by, now)
                    .detail("stage", i64::from(asked.progress.stage) + 1)
                    .detail("groups", groups)
                    .detail("people", named.iter().map(String::as_str).collect::<Vec<_>>())
                    .personal("reason", reason)]);
                let before: BTreeSet<ActorId> = asked.awaited();
                let fresh = next.awaited().difference(&before).cloned().collect();
                self.tell(&mut tx, &next, &fresh, NoticeKind::Reassigned, now).await?;
                let version = tx.version(&key);
                let commit = CommitId::derive(|h| {
                    let h =
                        h.text("reassign").bytes(id.bytes()).number(version).text(by.as_str()).text(reason);
                    let h = to.groups.iter().fold(h.number(to.groups.len() as u64), |h, quorum| {
                        h.text(quorum.name.as_str()).number(quorum.need.into())
                    });
                    to.people.iter().fold(h.number(to.need.into()), |h, person| h.text(person.as_str()))
                });
                let next = self.follow(&mut tx, &asked, next, Actor::Person(by.clone()), now).await?;
                tx.commit(commit).await?;
                Ok(Ok(next))
            })?;
            self.changed(outcome, by, now).await
        })
    }

    async fn changed(
        &self,
        outcome: Result<Approval, (Approval, ApprovalError)>,
        by: &ActorId,
        now: Time,
    ) -> Result<Approval, EngineError> {
        match outcome {
            Ok(next) => Ok(next),
            Err((asked, error)) => {
                self.refuse(&asked, AuditCode::ApprovalChangeRefused, by, &error, now).await?;
                Err(error.into())
            }
        }
    }
}
