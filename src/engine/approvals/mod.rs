//! People's answers, and what follows from them: the host's word is asked for each, the machine of
//! the request decides, and one commit writes the request, its enforcement, its notices and the log.

mod batch;
mod change;
mod follow;
mod glass;
mod view;
mod void;

use std::collections::BTreeSet;

use super::tx::Tx;
use super::{Engine, EngineError, not_found, until_settled};
use crate::approval::{Approval, ApprovalError, ApprovalInput, Ballot, Verdict, is_one, named_group};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::hash::Hash;
use crate::id::{ActorId, ApprovalId, CommitId, GroupId, TenantId};
use crate::people::Right;
use crate::ready::Answer;
use crate::store::{Key, Kind};
use crate::time::Time;

pub use batch::BatchOutcome;
pub use change::Reassign;
pub use view::{ApprovalView, IfUnanswered, StageView};
pub(super) use void::{approval_keys, voided};

/// Somebody's answer to a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reply {
    /// Who answers.
    pub by: ActorId,
    /// For whom, where they answer as somebody's delegate: a standing one whom the host knows
    /// ([`Right::AnswerFor`]), or one whom that person named for this request
    /// ([`Engine::delegate`]).
    pub on_behalf_of: Option<ActorId>,
    /// What they answer.
    pub verdict: Verdict,
    /// The digest of what they were shown ([`Approval::digest`]).
    pub shown: Hash,
    /// What they say to it. A blank comment is none.
    pub comment: Option<String>,
}

/// A request after an answer; or as it was, with the reason why it does not take the answer.
type Cast = Result<Approval, (Box<Approval>, ApprovalError)>;

impl Engine {
    /// Agrees to what a request asks. `shown` is the digest of what the approver was shown
    /// ([`Approval::digest`]).
    ///
    /// # Errors
    /// [`EngineError::Approval`] where the answer is refused, which is audited.
    /// [`EngineError::Move`] where it would take back what runs at this moment (break-glass): answer
    /// again when that is over.
    pub fn approve<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: ApprovalId,
        actor: &'a ActorId,
        shown: Hash,
        comment: Option<&'a str>,
        now: Time,
    ) -> Answer<'a, Result<Approval, EngineError>> {
        Box::pin(
            async move { self.reply(tenant, id, &reply(actor, Verdict::Approve, shown, comment), now).await },
        )
    }

    /// Refuses what a request asks.
    ///
    /// # Errors
    /// As [`Engine::approve`].
    pub fn reject<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: ApprovalId,
        actor: &'a ActorId,
        shown: Hash,
        comment: Option<&'a str>,
        now: Time,
    ) -> Answer<'a, Result<Approval, EngineError>> {
        Box::pin(
            async move { self.reply(tenant, id, &reply(actor, Verdict::Reject, shown, comment), now).await },
        )
    }

    /// Answers a request, in person or for somebody else.
    ///
    /// # Errors
    /// As [`Engine::approve`].
    pub fn reply<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: ApprovalId,
        reply: &'a Reply,
        now: Time,
    ) -> Answer<'a, Result<Approval, EngineError>> {
        Box::pin(async move {
            let outcome = until_settled!({
                let mut tx = self.tx(tenant);
                let cast = self.cast(&mut tx, tenant, id, reply, None, now).await?;
                if cast.is_ok() {
                    let version = tx.version(&approval_key(tenant, id));
                    let commit = CommitId::derive(|h| {
                        let h = h.text("vote").bytes(id.bytes()).text(reply.by.as_str()).number(version);
                        let h = h.text(reply.verdict.as_str()).text(comment(reply).unwrap_or_default());
                        match &reply.on_behalf_of {
                            Some(person) => h.text(person.as_str()),
                            None => h,
                        }
                    });
                    tx.commit(commit).await?;
                }
                Ok(cast)
            })?;
            match outcome {
                Ok(next) => Ok(next),
                Err((asked, error)) => {
                    self.refuse(&asked, AuditCode::ApprovalVoteRefused, &reply.by, &error, now).await?;
                    Err(error.into())
                }
            }
        })
    }

    /// Puts an answer, and all that follows from it, into a transaction.
    async fn cast(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        id: ApprovalId,
        reply: &Reply,
        batch: Option<Hash>,
        now: Time,
    ) -> Result<Cast, EngineError> {
        let key = approval_key(tenant, id);
        tx.load([key.clone()]).await?;
        let asked = tx.get::<Approval>(&key)?.ok_or_else(|| not_found("approval", &id))?.body;
        let voice = reply.on_behalf_of.as_ref().unwrap_or(&reply.by);
        let ballot = Ballot {
            actor: reply.by.clone(),
            on_behalf_of: reply.on_behalf_of.clone(),
            authorised: match &reply.on_behalf_of {
                Some(person) => self.answers_for(tx, &asked, &reply.by, person, now).await?,
                None => true,
            },
            groups: self.groups_of(tx, &asked, voice, now).await?,
            verdict: reply.verdict,
            digest: reply.shown,
            comment: comment(reply).map(str::to_owned),
        };
        let next = match asked.step(&ApprovalInput::Vote(ballot), now) {
            Ok(next) => next,
            Err(error) => return Ok(Err((Box::new(asked), error))),
        };
        let mut cast = draft(&asked, AuditCode::ApprovalVoteCast, &reply.by, now)
            .detail("verdict", reply.verdict.as_str())
            .detail("stage", i64::from(asked.progress.stage) + 1);
        if let Some(person) = &reply.on_behalf_of {
            cast = cast.detail("on_behalf_of", person.as_str());
        }
        if let Some(batch) = batch {
            cast = cast.detail("batch", batch.to_string());
        }
        tx.log([match comment(reply) {
            Some(text) => cast.personal("comment", text),
            None => cast,
        }]);
        Ok(Ok(self.follow(tx, &asked, next, Actor::Person(reply.by.clone()), now).await?))
    }

    /// Whose word it is, asked at the moment of the answer: the groups that somebody belongs to,
    /// and whether they may answer as one whom an operator named.
    async fn groups_of(
        &self,
        tx: &mut Tx<'_>,
        asked: &Approval,
        person: &ActorId,
        now: Time,
    ) -> Result<BTreeSet<GroupId>, EngineError> {
        let mut groups = match &self.people {
            Some(people) => people.groups(&asked.tenant, person).await?,
            None => {
                let installed = self.rules_in(tx, &asked.tenant, now).await?;
                let groups = installed.rules.settings().groups.iter();
                groups.filter(|(_, members)| members.contains(person)).map(|(name, _)| name.clone()).collect()
            }
        };
        groups.remove(&named_group());
        let panel = asked.panel(asked.progress.stage);
        if panel.people.iter().any(|named| is_one(named.as_str(), person.as_str()))
            && self.allows(tx, &asked.tenant, person, &Right::Approve(asked.action.clone()), now).await?
        {
            groups.insert(named_group());
        }
        Ok(groups)
    }

    /// Whether somebody may answer for another: as a standing delegate, or as one whom the other
    /// named for this request and who may answer such requests.
    async fn answers_for(
        &self,
        tx: &mut Tx<'_>,
        asked: &Approval,
        actor: &ActorId,
        principal: &ActorId,
        now: Time,
    ) -> Result<bool, EngineError> {
        let named = asked.progress.delegates.iter().any(|(from, to)| {
            is_one(from.as_str(), principal.as_str()) && is_one(to.as_str(), actor.as_str())
        });
        let right = Right::Approve(asked.action.clone());
        if named && self.allows(tx, &asked.tenant, actor, &right, now).await? {
            return Ok(true);
        }
        self.allows(tx, &asked.tenant, actor, &Right::AnswerFor(principal.clone()), now).await
    }

    /// Whether somebody has a right now: by the host's word, or by the settings where the host has
    /// no directory.
    pub(super) async fn allows(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        actor: &ActorId,
        right: &Right,
        now: Time,
    ) -> Result<bool, EngineError> {
        if let Some(people) = &self.people {
            return Ok(people.allows(tenant, actor, right).await?);
        }
        let installed = self.rules_in(tx, tenant, now).await?;
        let settings = installed.rules.settings();
        Ok(match right {
            Right::Approve(_) => settings.groups.values().any(|members| members.contains(actor)),
            Right::AnswerFor(_) => false,
            Right::Reassign | Right::BreakGlass(_) | Right::Judge => settings.operators.contains(actor),
        })
    }

    /// Writes down that somebody ordered what they have no right to, once for each order.
    pub(super) async fn not_permitted(
        &self,
        draft: AuditDraft,
        actor: &ActorId,
        right: Right,
        commit: CommitId,
    ) -> Result<EngineError, EngineError> {
        let mut tx = self.tx(&draft.tenant);
        tx.log([draft.detail("right", right.to_string())]);
        tx.commit(commit).await?;
        Ok(EngineError::NotPermitted { actor: actor.clone(), right })
    }

    /// Writes down that a request did not take what somebody wanted of it, once for each reason.
    async fn refuse(
        &self,
        asked: &Approval,
        code: AuditCode,
        actor: &ActorId,
        error: &ApprovalError,
        now: Time,
    ) -> Result<(), EngineError> {
        let reason: String = error.to_string().chars().take(500).collect();
        let mut tx = self.tx(&asked.tenant);
        tx.log([draft(asked, code, actor, now).detail("reason", reason.as_str())]);
        let commit = CommitId::derive(|h| {
            h.text("refused").bytes(asked.id.bytes()).text(actor.as_str()).text(&reason)
        });
        tx.commit(commit).await?;
        Ok(())
    }
}

fn reply(actor: &ActorId, verdict: Verdict, shown: Hash, comment: Option<&str>) -> Reply {
    let comment = comment.map(str::to_owned);
    Reply { by: actor.clone(), on_behalf_of: None, verdict, shown, comment }
}

fn comment(reply: &Reply) -> Option<&str> {
    reply.comment.as_deref().filter(|text| !text.trim().is_empty())
}

/// An audit record about a request.
fn draft(asked: &Approval, code: AuditCode, actor: &ActorId, now: Time) -> AuditDraft {
    drafted(asked, code, Actor::Person(actor.clone()), now)
}

fn drafted(asked: &Approval, code: AuditCode, actor: Actor, now: Time) -> AuditDraft {
    AuditDraft::new(asked.tenant.clone(), code, actor, now)
        .subject(asked.subject.clone())
        .target(asked.action.as_str())
        .approval(asked.id)
        .enforcement(asked.enforcement)
        .trigger(asked.context.trigger)
}

pub(super) fn approval_key(tenant: &TenantId, id: ApprovalId) -> Key {
    Key::new(tenant, Kind::Approval, id.to_string())
}
