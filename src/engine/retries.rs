//! What came to nothing is tried again because a person says so.

use super::approvals::approval_key;
use super::effects::create;
use super::intake::enforcement_key;
use super::tx::Tx;
use super::{Engine, EngineError, not_found, until_settled};
use crate::approval::{Approval, ApprovalState, Progress};
use crate::audit::{Actor, AuditCode};
use crate::delivery::Delivery;
use crate::enforcement::{Enforcement, MoveError, Purpose, State, Status};
use crate::id::{ActorId, CommitId, EnforcementId, TenantId};
use crate::plan::NoticeKind;
use crate::signal::MAX_REASON_BYTES;
use crate::store::{Store, StoreError};
use crate::time::Time;

impl<S: Store, D: Delivery> Engine<S, D> {
    /// Has an action that failed tried again: as a new enforcement, linked to it
    /// ([`Enforcement::retry_of`]), because what is over stays as it is. Failed ones are found by
    /// [`Filter::status`](crate::Filter::status). What people had to agree to, they are asked again,
    /// whoever orders this left out; access control is checked again before it is delivered.
    ///
    /// The new one is delivered under a key of its own: whoever retries an `outcome_unknown` accepts that
    /// it may come twice. The same order again gives the enforcement back that it made; that one in turn
    /// may be retried if it fails.
    ///
    /// # Errors
    /// [`EngineError::Move`] for what has not failed, and for notices, undos and restorations, which are
    /// not actions; [`EngineError::NotFound`]; [`EngineError::Reason`].
    pub async fn retry(
        &self,
        tenant: &TenantId,
        id: EnforcementId,
        actor: &ActorId,
        reason: &str,
        now: Time,
    ) -> Result<Enforcement, EngineError> {
        if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
            return Err(EngineError::Reason(reason.len()));
        }
        until_settled!({
            let mut tx = self.tx(tenant);
            let key = enforcement_key(tenant, id);
            let again = EnforcementId::derive(|h| h.text("retry").bytes(id.bytes()).number(0));
            let made = enforcement_key(tenant, again);
            tx.load([key.clone(), made.clone()]).await?;
            let failed = tx.get::<Enforcement>(&key)?.ok_or_else(|| not_found("enforcement", &id))?.body;
            if let Some(known) = tx.get::<Enforcement>(&made)? {
                return Ok(known.body);
            }
            if failed.status() != Status::Failed || failed.purpose != Purpose::Action {
                return Err(MoveError::Illegal { state: failed.reason(), input: "retry" }.into());
            }
            let person = Actor::Person(actor.clone());
            let next = anew(&failed, again, actor, reason, now);
            create(&mut tx, next.clone(), &person, now);
            if failed.approval.is_some() {
                self.ask_again(&mut tx, &failed, &next, actor, now).await?;
            }
            tx.log([next
                .draft(AuditCode::EnforcementRetried, person, now)
                .detail("retries", id.to_string())
                .detail("was", failed.reason().as_str())
                .personal("reason", reason)]);
            tx.commit(CommitId::derive(|h| h.text("retry").bytes(again.bytes()))).await?;
            Ok(next)
        })
    }

    /// The request of the failed one, open again for the new one.
    async fn ask_again(
        &self,
        tx: &mut Tx<'_, S>,
        failed: &Enforcement,
        next: &Enforcement,
        actor: &ActorId,
        now: Time,
    ) -> Result<(), EngineError> {
        let tenant = &failed.tenant;
        let Some(id) = failed.approval else { return Ok(()) };
        let known = approval_key(tenant, id);
        tx.load([known.clone(), approval_key(tenant, Approval::id_for(next.id))]).await?;
        let Some(before) = tx.get::<Approval>(&known)?.map(|stored| stored.body) else {
            let fault = "the approval of an enforcement is missing".to_owned();
            return Err(StoreError::Corrupt { place: known.to_string(), fault }.into());
        };
        // Neither who ordered it first nor who orders it now may agree to it.
        let mut authors = before.authors.clone();
        authors.extend(before.orderer.clone());
        let mut asked = Approval {
            id: Approval::id_for(next.id),
            enforcement: next.id,
            orderer: Some(actor.clone()),
            authors,
            requested_at: now,
            expires_at: now.after(before.policy.within),
            votes: Vec::new(),
            state: ApprovalState::Open,
            progress: Progress::default(),
            ratifies: false,
            decided_at: None,
            ..before
        };
        asked.digest = asked.content_digest();
        asked.designated.clear();
        for quorum in asked.policy.groups.clone() {
            let members = self.members_of(tx, tenant, &quorum.name, now).await?;
            asked.designated.insert(quorum.name, members);
        }
        tx.put_new(approval_key(tenant, asked.id), asked.clone());
        let told = self.tell(tx, &asked, &asked.awaited(), NoticeKind::Opened, now).await?;
        tx.log([next
            .draft(AuditCode::ApprovalRequested, Actor::Person(actor.clone()), now)
            .detail("digest", asked.digest.to_string())
            .detail("expires_at", asked.expires_at)
            .detail("notified", told)]);
        Ok(())
    }
}

/// The same action from the beginning.
fn anew(failed: &Enforcement, id: EnforcementId, actor: &ActorId, reason: &str, now: Time) -> Enforcement {
    let mut next = failed.clone();
    next.id = id;
    next.retry_of = Some(failed.id);
    next.approval = failed.approval.map(|_| Approval::id_for(id));
    next.origin.operator = Some(actor.clone());
    next.origin.reason = Some(reason.to_owned());
    next.votes = Vec::new();
    next.recorded_at = now;
    next.settled_at = None;
    next.attempts = 0;
    next.history = Vec::new();
    next.repeats = 0;
    next.last_repeat = None;
    next.judged = None;
    // The places that it took were given back when it failed; it takes its own when it is carried out.
    next.administrator = false;
    next.reserved = Vec::new();
    // Whoever has it tried again wants it now.
    next.start_at = None;
    next.state = State::begin(next.approval, &next.terms(), now);
    next
}
