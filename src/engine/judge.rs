//! What people say of an enforcement afterwards.

use super::counts::{Part, rules_of};
use super::intake::{enforcement_key, replace};
use super::undo::{TakenBack, action_only};
use super::{Engine, EngineError, not_found, until_settled};
use crate::approval::{ApprovalError, Finding, Judgement, MAX_COMMENT_BYTES, is_one};
use crate::audit::{Actor, AuditCode};
use crate::enforcement::{Enforcement, MoveError, Reason};
use crate::id::{ActorId, CommitId, EnforcementId, TenantId};
use crate::people::Right;
use crate::ready::Answer;
use crate::time::Time;

impl Engine {
    /// Says afterwards whether an action was right. A `false_positive` takes it back: what
    /// waits is called off, what was done is undone by its inverse, and where its type has none that
    /// is logged as Critical. Each finding counts in the precision of the rules that asked for it.
    ///
    /// The same finding again changes nothing. Another finding takes the place of the first, in the
    /// counts as well; what a `false_positive` has taken back stays so.
    ///
    /// # Errors
    /// [`EngineError::NotPermitted`] without [`Right::Judge`], and always for the subject;
    /// [`EngineError::NotFound`]; [`EngineError::Move`] while it runs, and for restorations and reversals,
    /// which no rule asked for; [`EngineError::UndoStands`] for an undo.
    pub fn judge<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: EnforcementId,
        finding: Finding,
        by: &'a ActorId,
        comment: Option<&'a str>,
        now: Time,
    ) -> Answer<'a, Result<Enforcement, EngineError>> {
        Box::pin(async move {
            let comment = comment.filter(|text| !text.trim().is_empty());
            if let Some(length) = comment.map(str::len).filter(|length| *length > MAX_COMMENT_BYTES) {
                return Err(ApprovalError::CommentTooLong(length).into());
            }
            until_settled!({
                let mut tx = self.tx(tenant);
                let key = enforcement_key(tenant, id);
                tx.load([key.clone()]).await?;
                let before = tx.get::<Enforcement>(&key)?.ok_or_else(|| not_found("enforcement", &id))?.body;
                let is_subject = is_one(by.as_str(), before.subject.user.as_str());
                if is_subject || !self.allows(&mut tx, tenant, by, &Right::Judge, now).await? {
                    let code = AuditCode::PolicyOrderRefused;
                    let refused = before.draft(code, Actor::Person(by.clone()), now);
                    let commit =
                        CommitId::derive(|h| h.text("no right to judge").bytes(id.bytes()).text(by.as_str()));
                    return Err(self.not_permitted(refused, by, Right::Judge, commit).await?);
                }
                action_only(&before, "judge")?;
                // A record that is rewritten while it runs would lose its lease.
                if before.reason() == Reason::Running {
                    return Err(MoveError::Illegal { state: Reason::Running, input: "judge" }.into());
                }
                let was = before.judged.as_ref().map(|judged| judged.finding);
                if was == Some(finding) {
                    return Ok(before);
                }
                let version = tx.version(&key);
                let person = Actor::Person(by.clone());
                let taken = match finding {
                    Finding::TruePositive => TakenBack::Nothing,
                    // What people were still asked about is withdrawn with its request.
                    Finding::FalsePositive
                        if self.withdraw(&mut tx, &before, person.clone(), now).await? =>
                    {
                        TakenBack::CalledOff
                    }
                    Finding::FalsePositive => {
                        let why = "it was judged a false positive";
                        self.take_back(&mut tx, &before, why, person.clone(), now).await?
                    }
                };
                let rules = rules_of(&before.holders);
                self.count(&mut tx, tenant, Part::FIRST, rules, |stats| stats.judged(was, finding)).await?;
                let stands = tx.get::<Enforcement>(&key)?.ok_or_else(|| not_found("enforcement", &id))?.body;
                let judged =
                    Judgement { finding, by: by.clone(), at: now, comment: comment.map(str::to_owned) };
                let next = Enforcement { judged: Some(judged), ..stands };
                let draft = before
                    .draft(AuditCode::EnforcementJudged, person, now)
                    .detail("finding", finding.as_str())
                    .detail("taken_back", matches!(taken, TakenBack::CalledOff | TakenBack::Undone(_)));
                let draft = match was {
                    Some(was) => draft.detail("was", was.as_str()),
                    None => draft,
                };
                tx.log([match comment {
                    Some(text) => draft.personal("comment", text),
                    None => draft,
                }]);
                replace(&mut tx, key, next.clone())?;
                let commit = CommitId::derive(|h| {
                    let h = h.text("judge").bytes(id.bytes()).number(version);
                    h.text(finding.as_str()).text(by.as_str()).text(comment.unwrap_or_default())
                });
                tx.commit(commit).await?;
                Ok(next)
            })
        })
    }
}
