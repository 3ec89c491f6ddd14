//! What came to nothing is tried again because a person says so.

use std::collections::BTreeMap;

use super::approvals::approval_key;
use super::effects::create;
use super::intake::{enforcement_key, subject_key, trigger_key};
use super::tx::Tx;
use super::{Engine, EngineError, not_found, until_settled};
use crate::approval::{Approval, ApprovalState, Context, Progress, Standing};
use crate::audit::{Actor, AuditCode};
use crate::enforcement::{Enforcement, MoveError, Purpose, State, Status};
use crate::id::{ActorId, CommitId, EnforcementId, TenantId};
use crate::plan::{Decision, NoticeKind};
use crate::ready::Answer;
use crate::rule::ApprovalPolicy;
use crate::signal::MAX_REASON_BYTES;
use crate::state::SubjectState;
use crate::store::StoreError;
use crate::time::Time;

impl Engine {
    /// Has an action that failed tried again: as a new enforcement, linked to it
    /// ([`Enforcement::retry_of`]), because what is over stays as it is. Failed ones are found by
    /// [`Filter::status`](crate::Filter::status). What people had to agree to, or to ratify, they are asked
    /// about again, whoever orders this left out, and it waits for them; so it does where it is beyond a
    /// cap that asks. Access control is checked again before it is delivered.
    ///
    /// The new one is delivered under a key of its own: whoever retries an `outcome_unknown` accepts that
    /// it may come twice. The same order again gives the enforcement back that it made; that one in turn
    /// may be retried if it fails.
    ///
    /// # Errors
    /// [`EngineError::Move`] for what has not failed, and for notices, undos and restorations, which are
    /// not actions; [`EngineError::CapExceeded`] where a cap has no room for it, and asks
    /// nobody;
    /// [`EngineError::NotFound`]; [`EngineError::Reason`].
    pub fn retry<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: EnforcementId,
        actor: &'a ActorId,
        reason: &'a str,
        now: Time,
    ) -> Answer<'a, Result<Enforcement, EngineError>> {
        Box::pin(async move {
            if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
                return Err(EngineError::Reason(reason.len()));
            }
            until_settled!({
                let mut tx = self.tx(tenant);
                let key = enforcement_key(tenant, id);
                let again = EnforcementId::derive(|h| h.text("retry").bytes(id.bytes()).number(0));
                let made = enforcement_key(tenant, again);
                let request = approval_key(tenant, Approval::id_for(id));
                tx.load([key.clone(), made.clone(), request.clone()]).await?;
                let failed = tx.get::<Enforcement>(&key)?.ok_or_else(|| not_found("enforcement", &id))?.body;
                if let Some(known) = tx.get::<Enforcement>(&made)? {
                    return Ok(known.body);
                }
                if failed.status() != Status::Failed
                    || !matches!(failed.purpose, Purpose::Action | Purpose::Reversal { .. })
                {
                    return Err(MoveError::Illegal { state: failed.reason(), input: "retry" }.into());
                }
                let asked = tx.get::<Approval>(&request)?.map(|stored| stored.body);
                if failed.approval.is_some() && asked.is_none() {
                    let fault = "the approval of an enforcement is missing".to_owned();
                    return Err(StoreError::Corrupt { place: request.to_string(), fault }.into());
                }
                let person = Actor::Person(actor.clone());
                let mut next = anew(&failed, again, actor, reason, now);
                let because = match next.purpose {
                    Purpose::Action => self.reserve_again(&mut tx, &mut next, now).await?,
                    _ => Vec::new(),
                };
                let asked = match (asked, because.is_empty()) {
                    (Some(asked), true) => Some(asked),
                    (Some(asked), false) => Some(Approval { because, ..asked }),
                    (None, true) => None,
                    (None, false) => Some(self.first_request(&mut tx, &failed, &next, because, now).await?),
                };
                // Where people are asked about it, it waits for them, also where it was begun before they agreed.
                next.approval = asked.as_ref().map(|_| Approval::id_for(again));
                next.start_within = asked.as_ref().map(|asked| asked.policy.start_within);
                next.state = State::begin(next.approval, &next.terms(), now);
                create(&mut tx, next.clone(), &person, now);
                if let Some(before) = asked {
                    self.ask_again(&mut tx, before, &next, actor, now).await?;
                }
                tx.log([next
                    .draft(AuditCode::EnforcementRetried, person, now)
                    .detail("retries", id.to_string())
                    .detail("was", failed.reason().as_str())
                    .personal("reason", reason)]);
                tx.commit(CommitId::derive(|h| h.text("retry").bytes(again.bytes()))).await?;
                Ok(next)
            })
        })
    }

    /// The request for what nobody was asked about before: of the tenant's default group, about what
    /// led to it then, and the subject's scores of now.
    async fn first_request(
        &self,
        tx: &mut Tx<'_>,
        failed: &Enforcement,
        next: &Enforcement,
        because: Vec<String>,
        now: Time,
    ) -> Result<Approval, EngineError> {
        let tenant = &next.tenant;
        let installed = self.rules_in(tx, tenant, now).await?;
        let Some(policy) = installed.rules.settings().resolve(&ApprovalPolicy::default()) else {
            return Err(EngineError::CapExceeded(because.concat()));
        };
        let (trigger, subject) =
            (trigger_key(tenant, next.origin.trigger), subject_key(tenant, &next.subject));
        tx.load([trigger.clone(), subject.clone()]).await?;
        let decision =
            tx.get::<Decision>(&trigger)?.ok_or_else(|| not_found("trigger", &next.origin.trigger))?;
        let scores = tx.get::<SubjectState>(&subject)?.map(|known| known.body.scores).unwrap_or_default();
        let standing = scores.iter().map(|(scale, level)| (scale.clone(), Standing::from(level)));
        let history = scores.iter().map(|(scale, level)| (scale.clone(), level.history.clone()));
        let context = Context {
            trigger: Some(next.origin.trigger),
            signal: Some(decision.body.signal.clone()),
            evidence: decision.body.evidence.clone(),
            standing: standing.collect(),
            history: history.collect(),
        };
        let rules: Vec<_> = next.holders.iter().map(|holder| holder.rule.clone()).collect();
        let authors = rules.iter().filter_map(|rule| installed.rules.rule(rule)?.rule.author.clone());
        Ok(Approval {
            id: Approval::id_for(next.id),
            tenant: tenant.clone(),
            enforcement: next.id,
            digest: Approval::digest_of(tenant, &next.subject, &next.action, &next.params, &context),
            subject: next.subject.clone(),
            action: next.action.clone(),
            params: next.params.clone(),
            authors: authors.collect(),
            rules,
            designated: BTreeMap::new(),
            // Who ordered it first, where a person did: they are kept from answering with whoever has it
            // tried again.
            orderer: failed.origin.operator.clone(),
            context,
            requested_at: now,
            expires_at: now.after(policy.within),
            policy,
            votes: Vec::new(),
            state: ApprovalState::Open,
            progress: Progress::default(),
            ratifies: false,
            because,
            decided_at: None,
        })
    }

    /// The request of the failed one, open again for the new one.
    async fn ask_again(
        &self,
        tx: &mut Tx<'_>,
        before: Approval,
        next: &Enforcement,
        actor: &ActorId,
        now: Time,
    ) -> Result<(), EngineError> {
        let tenant = &next.tenant;
        tx.load([approval_key(tenant, Approval::id_for(next.id))]).await?;
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

/// The same action from the beginning; its state is still to be told.
fn anew(failed: &Enforcement, id: EnforcementId, actor: &ActorId, reason: &str, now: Time) -> Enforcement {
    let mut next = failed.clone();
    next.id = id;
    next.retry_of = Some(failed.id);
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
    // The places that it took were given back when it failed, and it takes its own: under caps at once,
    // among the administrators when it is carried out.
    next.administrator = false;
    next.reserved = Vec::new();
    // Whoever has it tried again wants it now.
    next.start_at = None;
    next
}
