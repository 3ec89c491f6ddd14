//! What people are told of a request for approval (behaviour 7.1.1, 7.4).

use std::collections::BTreeMap;

use super::Decision;
use crate::action::{ActionSpec, ActionType, Category, Params, RetrySafety, Success};
use crate::approval::Approval;
use crate::enforcement::{Enforcement, Origin, Purpose, State, Terms};
use crate::id::{ActorId, ApprovalId, EnforcementId, Subject, TenantId};
use crate::rule::Rule;
use crate::time::Time;
use crate::words::words;

words! {
    /// Why somebody is told of a request. The parameter `kind` of the notice's job.
    NoticeKind, "kind of notice" {
        Opened: "opened", "a stage opened, and they may answer";
        Half: "half", "half of the stage's time is past, and they have not answered";
        Last: "last", "nine tenths of the stage's time are past, and they have not answered";
        Fallback: "fallback", "the stage ran out, and they are asked in the place of others";
        FallbackHalf: "fallback_half", "half of the fallback's time is past, and they have not answered";
        FallbackLast: "fallback_last", "nine tenths of the fallback's time are past, and they have not answered";
        Reassigned: "reassigned", "an operator asks them in the place of others";
        Delegated: "delegated", "somebody who is asked named them to answer instead";
        Result: "result", "the request that they caused is over";
        NotReversed: "not_reversed", "what they caused was not agreed to and cannot be taken back";
    }
}

impl NoticeKind {
    /// Its place among the notices of one stage: the id of a notice is over (approval, stage,
    /// ordinal, recipient), so nobody is told the same thing twice.
    const fn ordinal(self) -> u64 {
        self as u64
    }
}

/// What one person is told of a request. It is delivered like an action, and blocks nothing.
pub(crate) fn notice(
    asked: &Approval,
    origin: &Origin,
    recipient: &ActorId,
    kind: NoticeKind,
    now: Time,
) -> Enforcement {
    let id = EnforcementId::derive(|h| {
        let h = h.text("notice").bytes(asked.id.bytes()).number(asked.progress.stage.into());
        h.number(kind.ordinal()).text(recipient.as_str())
    });
    let params: BTreeMap<&str, String> = BTreeMap::from([
        ("kind", kind.to_string()),
        ("approval", asked.id.to_string()),
        ("recipient", recipient.to_string()),
        ("action", asked.action.to_string()),
        ("subject", asked.subject.to_string()),
        ("stage", format!("{} of {}", asked.progress.stage + 1, asked.stages())),
        ("state", asked.state.to_string()),
        ("expires_at", asked.expires_at.to_string()),
        ("digest", asked.digest.to_string()),
    ]);
    let purpose = Purpose::Notice { approval: asked.id, recipient: recipient.clone() };
    let told = Told { id, tenant: &asked.tenant, subject: &asked.subject, purpose, approval: Some(asked.id) };
    told.enforcement(origin.clone(), &params, now)
}

/// What the owner of a rule is told when a cap pauses it.
pub(super) fn rule_notice(
    decision: &Decision,
    rule: &Rule,
    recipient: &ActorId,
    why: &str,
    now: Time,
) -> Enforcement {
    let id = EnforcementId::derive(|h| {
        let h = h.text("rule notice").bytes(decision.id.bytes()).text(rule.id.as_str());
        h.text(recipient.as_str())
    });
    let params: BTreeMap<&str, String> = BTreeMap::from([
        ("kind", "rule_paused".to_owned()),
        ("rule", rule.id.to_string()),
        ("title", rule.title.clone()),
        ("recipient", recipient.to_string()),
        ("reason", why.to_owned()),
    ]);
    let signal = &decision.signal;
    let origin = Origin {
        trigger: decision.id,
        kind: signal.kind,
        source: signal.source.clone(),
        signal: signal.id.clone(),
        at: signal.at,
        operator: None,
        reason: None,
        cause: decision.cause,
        depth: decision.depth,
    };
    let purpose = Purpose::RuleNotice { rule: rule.id.clone(), recipient: recipient.clone() };
    let told = Told { id, tenant: &decision.tenant, subject: &signal.subject, purpose, approval: None };
    told.enforcement(origin, &params, now)
}

/// A notice, whatever it says.
struct Told<'a> {
    id: EnforcementId,
    tenant: &'a TenantId,
    subject: &'a Subject,
    purpose: Purpose,
    approval: Option<ApprovalId>,
}

impl Told<'_> {
    /// It is carried by the channel of the notices to approvers: a host that tells people of requests
    /// reaches them already.
    fn enforcement(self, origin: Origin, params: &BTreeMap<&str, String>, now: Time) -> Enforcement {
        let params: Params =
            params.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        let spec = ActionSpec::new(ActionType::approval_notice(), "Approval notice", Category::Notification);
        let id = self.id;
        let retry = RetrySafety::Keyed.retry();
        let success = Success::Accepted;
        let terms =
            Terms { id, attempts: 0, lost: false, retry, success, start_at: None, start_within: None };
        Enforcement {
            id,
            tenant: self.tenant.clone(),
            purpose: self.purpose,
            origin,
            subject: self.subject.clone(),
            action: spec.name.clone(),
            category: spec.category,
            channel: spec.channel,
            params,
            holders: Vec::new(),
            approval: self.approval,
            votes: Vec::new(),
            recorded_at: now,
            settled_at: None,
            state: State::begin(None, &terms, now),
            attempts: 0,
            history: Vec::new(),
            retry,
            success,
            start_at: None,
            start_within: None,
            inverse: None,
            administrator: false,
            reserved: Vec::new(),
            judged: None,
            retry_of: None,
            repeats: 0,
            last_repeat: None,
            windows: Vec::new(),
        }
    }
}
