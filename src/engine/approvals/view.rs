//! What an approver is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::approval_key;
use crate::approval::{Approval, ApprovalState, Standing};
use crate::enforcement::Enforcement;
use crate::engine::intake::subject_key;
use crate::engine::{Engine, EngineError, not_found};
use crate::id::{ActorId, ApprovalId, ScaleId, TenantId};
use crate::ready::Answer;
use crate::rule::Quorum;
use crate::state::SubjectState;
use crate::store::{Filter, Store, decode};
use crate::time::{Span, Time};

/// How many earlier enforcements an approver is shown.
const EARLIER: usize = 5;

/// What an approver is shown, as data; its text is [`Display`](fmt::Display). It holds what the
/// decision rests on (the request with signal, evidence and the scores as they were), what has become
/// of the subject since, who has answered, and what happens if nobody does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApprovalView {
    /// The request, with the reasons as they were.
    pub approval: Approval,
    /// The subject's scores now.
    pub now: BTreeMap<ScaleId, Standing>,
    /// The latest other enforcements on the subject.
    pub earlier: Vec<Enforcement>,
    /// The time of this view.
    pub at: Time,
    /// The stage that is open, or was the last to be.
    pub stage: StageView,
    /// What happens if nobody answers.
    pub if_unanswered: IfUnanswered,
}

/// The stage of a request.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct StageView {
    /// Its number, from 1.
    pub number: u32,
    /// How many stages there are.
    pub of: usize,
    /// Since when it is open.
    pub opened_at: Time,
    /// When it runs out.
    pub expires_at: Time,
    /// How long that is from now; nothing once it has run out, or the request is over.
    pub left: Span,
    /// The groups that must all agree, and how many of each.
    pub asked: Vec<Quorum>,
    /// How many approvals are missing.
    pub missing: usize,
    /// How many more rejections end the request.
    pub rejections_left: usize,
    /// Who may answer and has not: the members as they were when the stage opened, or their
    /// delegates.
    pub awaited: BTreeSet<ActorId>,
}

/// What happens to a request that nobody answers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IfUnanswered {
    /// Others are asked.
    Fallback {
        /// Whom.
        groups: Vec<Quorum>,
        /// How long they have.
        within: Span,
    },
    /// It expires, and nothing is done.
    Expires,
    /// It expires, and what was done already is taken back, where its type has an inverse.
    TakenBack,
    /// Nothing: it is over.
    Over,
}

impl Engine {
    /// A request as an approver is shown it at `now`.
    ///
    /// # Errors
    /// [`EngineError::NotFound`].
    pub fn approval_view<'a>(
        &'a self,
        tenant: &'a TenantId,
        id: ApprovalId,
        now: Time,
    ) -> Answer<'a, Result<ApprovalView, EngineError>> {
        Box::pin(async move {
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
            Ok(ApprovalView {
                now: standing.collect(),
                earlier,
                at: now,
                stage: StageView::of(&approval, now),
                if_unanswered: IfUnanswered::of(&approval),
                approval,
            })
        })
    }
}

impl StageView {
    fn of(asked: &Approval, now: Time) -> Self {
        let open = asked.state == ApprovalState::Open;
        let left = asked.expires_at.micros().saturating_sub(now.micros()).max(0) / 1_000;
        Self {
            number: asked.progress.stage + 1,
            of: asked.stages(),
            opened_at: asked.opened_at(),
            expires_at: asked.expires_at,
            left: if open { Span::millis(left.unsigned_abs()) } else { Span::ZERO },
            asked: asked.panel(asked.progress.stage).groups,
            missing: asked.missing(),
            rejections_left: (asked.stage().rejections as usize).saturating_sub(asked.rejections()),
            awaited: if open { asked.awaited() } else { BTreeSet::new() },
        }
    }
}

impl IfUnanswered {
    fn of(asked: &Approval) -> Self {
        match asked.next_fallback() {
            _ if asked.state != ApprovalState::Open => Self::Over,
            Some(fallback) => Self::Fallback { groups: fallback.groups, within: fallback.within },
            None if asked.ratifies => Self::TakenBack,
            None => Self::Expires,
        }
    }
}

impl fmt::Display for IfUnanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fallback { groups, within } => {
                f.write_str("if nobody answers: ")?;
                quorums(f, groups)?;
                write!(f, " are asked instead, for {within}")
            }
            Self::Expires => f.write_str("if nobody answers: it expires, and nothing is done"),
            Self::TakenBack => {
                f.write_str("if nobody answers: what was done is taken back, where that can be")
            }
            Self::Over => f.write_str("it is over; nothing more is accepted"),
        }
    }
}

fn quorums(f: &mut fmt::Formatter<'_>, groups: &[Quorum]) -> fmt::Result {
    groups.iter().enumerate().try_for_each(|(i, quorum)| {
        write!(f, "{}{} of `{}`", if i == 0 { "" } else { " and " }, quorum.need, quorum.name)
    })
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
        for because in &asked.because {
            writeln!(f, "  people are asked because of {}", one_line(because))?;
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
        for (from, to) in &asked.progress.delegates {
            writeln!(f, "  {to} may answer for {from}")?;
        }
        for vote in &asked.votes {
            let comment = one_line(vote.comment.as_deref().unwrap_or("no comment"));
            write!(f, "  {} by {}", vote.verdict, vote.actor)?;
            if let Some(person) = &vote.on_behalf_of {
                write!(f, " for {person}")?;
            }
            if asked.stages() > 1 {
                write!(f, " in stage {}", vote.stage + 1)?;
            }
            writeln!(f, " at {}: {comment}", vote.at)?;
        }
        if asked.state == ApprovalState::Open {
            let stage = &self.stage;
            match stage.left {
                Span::ZERO => writeln!(f, "  its time ran out at {}; no answer is taken", asked.expires_at)?,
                left => writeln!(
                    f,
                    "  {} more must agree within {left}; {} more refusal(s) end it",
                    stage.missing, stage.rejections_left
                )?,
            }
        }
        writeln!(f, "  {}", self.if_unanswered)?;
        write!(f, "  answer for digest {}", asked.digest)
    }
}
