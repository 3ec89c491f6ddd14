//! People's answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::intake::{replace, subject_key};
use super::tx::Tx;
use super::{Engine, EngineError, not_found, until_settled};
use crate::approval::{Approval, ApprovalError, ApprovalInput, Ballot, Standing, Verdict};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::delivery::Delivery;
use crate::enforcement::Enforcement;
use crate::hash::Hash;
use crate::id::{ActorId, ApprovalId, CommitId, GroupId, ScaleId, TenantId};
use crate::state::SubjectState;
use crate::store::{Filter, Key, Kind, Store, decode};
use crate::time::Time;

/// How many earlier enforcements an approver is shown.
const EARLIER: usize = 5;

/// What an approver is shown: the request, and what has become of the subject since.
#[derive(Clone, Debug, PartialEq)]
pub struct ApprovalView {
    /// The request, with the reasons as they were.
    pub approval: Approval,
    /// The subject's scores now.
    pub now: BTreeMap<ScaleId, Standing>,
    /// The latest other enforcements on the subject.
    pub earlier: Vec<Enforcement>,
}

impl<S: Store, D: Delivery> Engine<S, D> {
    /// Agrees to what a request asks. `shown` is the digest of what the approver was shown
    /// ([`Approval::digest`]).
    ///
    /// # Errors
    /// [`EngineError::Approval`] where the answer is refused, which is audited.
    pub async fn approve(
        &self,
        tenant: &TenantId,
        id: ApprovalId,
        actor: &ActorId,
        shown: Hash,
        comment: Option<&str>,
        now: Time,
    ) -> Result<Approval, EngineError> {
        self.vote(tenant, id, actor, Verdict::Approve, shown, comment, now).await
    }

    /// Refuses what a request asks.
    ///
    /// # Errors
    /// As [`Engine::approve`].
    pub async fn reject(
        &self,
        tenant: &TenantId,
        id: ApprovalId,
        actor: &ActorId,
        shown: Hash,
        comment: Option<&str>,
        now: Time,
    ) -> Result<Approval, EngineError> {
        self.vote(tenant, id, actor, Verdict::Reject, shown, comment, now).await
    }

    /// A request as an approver is shown it.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub async fn approval_view(
        &self,
        tenant: &TenantId,
        id: ApprovalId,
    ) -> Result<ApprovalView, EngineError> {
        let mut tx = self.tx(tenant);
        tx.load([approval_key(tenant, id)]).await?;
        let stored = tx.get::<Approval>(&approval_key(tenant, id))?;
        let approval = stored.ok_or_else(|| not_found("approval", &id))?.body;
        let key = subject_key(tenant, &approval.subject);
        let record = self.store.load(std::slice::from_ref(&key)).await?.pop().flatten();
        let state = record.as_ref().map(decode::<SubjectState>).transpose()?;
        let scores = state.map(|stored| stored.body.scores).unwrap_or_default();
        let standing = scores.into_iter().map(|(scale, level)| (scale, Standing::from(&level)));
        let filter = Filter::new(tenant).user(approval.subject.user.clone()).limit(EARLIER + 1);
        let mut earlier = self.enforcements(filter).await?.rows;
        earlier.retain(|other| other.id != approval.enforcement);
        earlier.truncate(EARLIER);
        Ok(ApprovalView { approval, now: standing.collect(), earlier })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "an answer has that many parts; the public calls name them"
    )]
    async fn vote(
        &self,
        tenant: &TenantId,
        id: ApprovalId,
        actor: &ActorId,
        verdict: Verdict,
        shown: Hash,
        comment: Option<&str>,
        now: Time,
    ) -> Result<Approval, EngineError> {
        let comment = comment.filter(|text| !text.trim().is_empty()).map(str::to_owned);
        let outcome = until_settled!({
            let mut tx = self.tx(tenant);
            let key = approval_key(tenant, id);
            tx.load([key.clone()]).await?;
            let stored = tx.get::<Approval>(&key)?.ok_or_else(|| not_found("approval", &id))?;
            let groups = self.groups_of(&mut tx, &stored.body, actor, now).await?;
            let ballot =
                Ballot { actor: actor.clone(), groups, verdict, digest: shown, comment: comment.clone() };
            let next = match stored.body.step(&ApprovalInput::Vote(ballot), now) {
                Ok(next) => next,
                Err(error) => return Ok(Err((stored.body, error))),
            };
            let draft =
                draft(&next, AuditCode::ApprovalVoteCast, actor, now).detail("verdict", verdict.as_str());
            tx.log([match &comment {
                Some(text) => draft.personal("comment", text.as_str()),
                None => draft,
            }]);
            let commit = CommitId::derive(|h| {
                let h = h.text("vote").bytes(id.bytes()).text(actor.as_str()).number(tx.version(&key));
                h.text(verdict.as_str()).text(comment.as_deref().unwrap_or_default())
            });
            self.decided(&mut tx, &next, Actor::Person(actor.clone()), now).await?;
            replace(&mut tx, key, next.clone())?;
            tx.commit(commit).await?;
            Ok(Ok(next))
        })?;
        match outcome {
            Ok(next) => Ok(next),
            Err((asked, error)) => {
                self.refuse_vote(&asked, actor, &error, now).await?;
                Err(error.into())
            }
        }
    }

    /// Whose word it is, asked at the moment of the answer.
    async fn groups_of(
        &self,
        tx: &mut Tx<'_, S>,
        approval: &Approval,
        actor: &ActorId,
        now: Time,
    ) -> Result<BTreeSet<GroupId>, EngineError> {
        if let Some(people) = &self.people {
            return Ok(people.groups(&approval.tenant, actor).await?);
        }
        let installed = self.rules_in(tx, &approval.tenant, now).await?;
        let groups = installed.rules.settings().groups.iter();
        Ok(groups.filter(|(_, members)| members.contains(actor)).map(|(name, _)| name.clone()).collect())
    }

    async fn refuse_vote(
        &self,
        asked: &Approval,
        actor: &ActorId,
        error: &ApprovalError,
        now: Time,
    ) -> Result<(), EngineError> {
        let reason: String = error.to_string().chars().take(500).collect();
        let mut tx = self.tx(&asked.tenant);
        tx.log([draft(asked, AuditCode::ApprovalVoteRefused, actor, now).detail("reason", reason.as_str())]);
        let commit = CommitId::derive(|h| {
            h.text("refused").bytes(asked.id.bytes()).text(actor.as_str()).text(&reason)
        });
        tx.commit(commit).await?;
        Ok(())
    }
}

/// A text from outside with its control characters escaped, so that it cannot pass for a line of the
/// view or for an order to a terminal.
fn one_line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = |c: char| match c.is_control() || turns(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(shown).collect()
}

fn draft(approval: &Approval, code: AuditCode, actor: &ActorId, now: Time) -> AuditDraft {
    AuditDraft::new(approval.tenant.clone(), code, Actor::Person(actor.clone()), now)
        .subject(approval.subject.clone())
        .target(approval.action.as_str())
        .approval(approval.id)
        .enforcement(approval.enforcement)
        .trigger(approval.context.trigger)
}

pub(super) fn approval_key(tenant: &TenantId, id: ApprovalId) -> Key {
    Key::new(tenant, Kind::Approval, id.to_string())
}

impl fmt::Display for ApprovalView {
    /// The request, who must answer until when, and why it is asked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = &self.approval;
        writeln!(f, "{asked}")?;
        for (name, value) in &asked.params {
            writeln!(f, "  {name}: {}", one_line(&value.to_string()))?;
        }
        for rule in &asked.rules {
            writeln!(f, "  asked for by rule `{rule}`")?;
        }
        if let Some(orderer) = &asked.orderer {
            writeln!(f, "  ordered by {orderer}")?;
        }
        if let Some(signal) = &asked.context.signal {
            writeln!(
                f,
                "  because of {} {} from {} at {}",
                signal.kind, signal.id, signal.source, signal.at
            )?;
            if let Some(says) = &signal.says {
                writeln!(f, "    {}", one_line(says))?;
            }
        }
        for (path, seen) in &asked.context.evidence {
            writeln!(f, "    {} = {}", one_line(path), one_line(seen))?;
        }
        for (scale, then) in &asked.context.standing {
            writeln!(f, "  on scale {scale} then: {then}")?;
            let Some(history) = asked.context.history.get(scale) else { continue };
            for entry in history.entries.iter().rev() {
                writeln!(f, "    {entry}")?;
            }
            let scores: Vec<_> = history.readings.iter().rev().map(ToString::to_string).collect();
            writeln!(f, "    scores: {}", scores.join(", "))?;
        }
        for (scale, now) in &self.now {
            writeln!(f, "  on scale {scale} now: {now}")?;
        }
        for earlier in &self.earlier {
            writeln!(f, "  earlier: {earlier}")?;
        }
        for (group, people) in &asked.designated {
            let told = people.iter().filter(|person| !asked.bars(person));
            let names: Vec<&str> = told.map(ActorId::as_str).collect();
            writeln!(
                f,
                "  told of it in {group}: {}",
                if names.is_empty() { "nobody".into() } else { names.join(", ") }
            )?;
        }
        for vote in &asked.votes {
            let comment = one_line(vote.comment.as_deref().unwrap_or("no comment"));
            writeln!(f, "  {} by {} at {}: {comment}", vote.verdict, vote.actor, vote.at)?;
        }
        write!(f, "  answer for digest {}", asked.digest)
    }
}
