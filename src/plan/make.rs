//! What a decision makes: enforcements, requests for approval, notices to approvers.

use super::Effect;
use super::decide::{Planner, keeping};
use super::notice::{NoticeKind, notice};
use crate::action::{ActionSpec, Params, Retry, Success};
use crate::approval::{Approval, ApprovalState, Context, Progress, Standing};
use crate::enforcement::{Enforcement, Holder, Means, Origin, Purpose, Rung, State, Terms};
use crate::guard::{Capped, Suppressed};
use crate::hash::Hasher;
use crate::id::{ActorId, EnforcementId};
use crate::rule::{
    ApprovalPolicy, CommentRule, CompiledAction, CompiledRule, Fallback, Hold, Quorum, Timing,
};
use crate::score::BandName;
use crate::signal::{Signal, feed_params};
use crate::state::{TakenBy, WindowStand};
use crate::time::Span;

/// One action that passed the guards.
pub(super) struct Wanted<'a> {
    pub(super) rule: Option<(&'a CompiledRule, &'a CompiledAction)>,
    pub(super) spec: &'a ActionSpec,
    pub(super) params: Params,
    pub(super) approval: Option<ApprovalPolicy>,
    pub(super) success: Success,
    /// Sets apart what one rule does for several bands of one jump.
    pub(super) entry: Option<BandName>,
    /// What takes its effect back, where it leaves one.
    pub(super) inverse: Option<ActionSpec>,
    /// The caps that it is under.
    pub(super) caps: Vec<Capped<'a>>,
    /// Why people are asked beside what its policy says.
    pub(super) because: Vec<Suppressed>,
}

impl Wanted<'_> {
    fn timing(&self) -> Option<&Timing> {
        self.rule.map(|(_, action)| &action.action.timing)
    }

    fn delay(&self) -> Option<Span> {
        self.timing().and_then(|timing| timing.delay)
    }

    fn not_after(&self) -> Option<Span> {
        self.timing().and_then(|timing| timing.not_after)
    }

    fn retry(&self) -> Retry {
        let of_type = self.spec.retry.retry();
        Retry { not_after: self.not_after().or(of_type.not_after), ..of_type }
    }
}

impl Planner<'_> {
    /// Makes the enforcement, or joins the one that another rule of this decision made: a person
    /// is restricted once, whatever the number of rules that ask for it (behaviour 5.4).
    ///
    /// Gives its id, and says whether it is new for that rule: the entries of one jump may ask for
    /// the same.
    pub(super) fn create(&mut self, wanted: &Wanted<'_>) -> (EnforcementId, bool) {
        let id = self.enforcement_id(wanted);
        let holder = wanted.rule.map(|(rule, action)| self.holder(rule, action));
        let window = self.windows_of(wanted);
        let author = wanted.rule.and_then(|(rule, _)| rule.rule.author.clone());
        let waits = wanted.approval.as_ref().filter(|_| !self.breaks_glass());
        let approval = waits.map(|_| Approval::id_for(id));
        let made = self.plan.enforcements.iter_mut().find(|made| made.id == id);
        let known = match (&made, &holder) {
            (Some(shared), Some(holder)) => shared.holders.contains(holder),
            _ => false,
        };
        match made {
            Some(_) if known => {}
            Some(shared) => {
                shared.holders.extend(holder.clone());
                shared.windows.extend(window);
                if let Some(asked) = self.plan.approvals.iter_mut().find(|asked| asked.enforcement == id) {
                    asked.rules.extend(holder.map(|holder| holder.rule));
                    asked.authors.extend(author);
                }
            }
            None => {
                let mut enforcement = self.enforcement(id, wanted, holder.clone());
                enforcement.administrator = self.takes_administrator(wanted.spec);
                if let (true, Some(known)) = (enforcement.administrator, &self.facts.administrators) {
                    let (user, by) = (&enforcement.subject.user, TakenBy::Enforcement(id));
                    self.plan.away.reserve(user, by, known.version);
                }
                self.plan.enforcements.push(enforcement);
                if let Some(policy) = wanted.approval.clone() {
                    let asked = self.request(id, wanted, policy, holder, author);
                    self.plan.approvals.push(asked);
                }
            }
        }
        self.reserve(id, &wanted.caps);
        let because = wanted.because.clone();
        self.outcome(wanted.rule, &wanted.spec.name, Effect::Created { enforcement: id, approval, because });
        (id, !known)
    }

    fn takes_administrator(&self, spec: &ActionSpec) -> bool {
        keeping(self.facts).takes(spec, &self.signal.subject().user)
    }

    /// Where the window stood that made the rule ask for it.
    fn windows_of(&self, wanted: &Wanted<'_>) -> Option<WindowStand> {
        let (rule, _) = wanted.rule?;
        self.plan.decision.windows.iter().find(|stand| stand.rule == rule.rule.id).cloned()
    }

    /// The rule as one that asks for it, and for how long: the span of its rung, where it has a ladder.
    fn holder(&self, rule: &CompiledRule, action: &CompiledAction) -> Holder {
        let (hold, rung) = match &action.action.timing.hold {
            None => (None, None),
            Some(Hold::For(span)) => (Some(*span), None),
            Some(Hold::Ladder(ladder)) => {
                let known = self.facts.subject.offences.get(&rule.rule.id);
                let at = self.signal.at();
                let of = u32::try_from(ladder.rungs.len()).unwrap_or(u32::MAX);
                let rung = known.map_or(0, |known| known.rung(at, ladder.decay)).min(of.saturating_sub(1));
                (ladder.rungs.get(rung as usize).copied(), Some(Rung { rung, of }))
            }
        };
        Holder {
            rule: rule.rule.id.clone(),
            revision: rule.revision,
            key: action.action.key.clone(),
            hold,
            rung,
            recheck: action.action.timing.rechecks(&action.spec),
        }
    }

    /// Whether what is started does not wait for approval, and people ratify it afterwards.
    fn breaks_glass(&self) -> bool {
        matches!(self.signal, Signal::Manual(start) if start.break_glass)
    }

    pub(super) fn enforcement_id(&self, wanted: &Wanted<'_>) -> EnforcementId {
        let trigger = self.plan.decision.id;
        EnforcementId::derive(|h| {
            let h = h.bytes(trigger.bytes());
            match wanted.rule {
                Some((rule, action)) if !wanted.spec.restricts => {
                    let entry = wanted.entry.as_ref().map_or("", BandName::as_str);
                    h.text("action").text(rule.rule.id.as_str()).text(action.action.key.as_str()).text(entry)
                }
                _ => {
                    let h = feed_params(h.text("shared").text(wanted.spec.name.as_str()), &wanted.params);
                    let h = match wanted.success {
                        Success::Accepted => h.number(0),
                        Success::Confirmed(within) => h.number(1).number(within.as_millis()),
                    };
                    // Who wants it at another time wants something else.
                    let h = wanted.delay().map_or(h.clone(), |span| h.text("delay").number(span.as_millis()));
                    let h = wanted
                        .not_after()
                        .map_or(h.clone(), |span| h.text("not_after").number(span.as_millis()));
                    feed_policy(h, wanted.approval.as_ref())
                }
            }
        })
    }

    fn enforcement(&self, id: EnforcementId, wanted: &Wanted<'_>, holder: Option<Holder>) -> Enforcement {
        let ordered = self.signal.ordered();
        let (operator, reason) = ordered.map(|(who, why)| (who.clone(), why.to_owned())).unzip();
        let glass = self.breaks_glass();
        let terms = Terms {
            id,
            attempts: 0,
            lost: false,
            retry: wanted.retry(),
            success: wanted.success,
            start_at: wanted.delay().map(|delay| self.now.after(delay)),
            start_within: wanted.approval.as_ref().filter(|_| !glass).map(|policy| policy.start_within),
        };
        let approval = wanted.approval.as_ref().filter(|_| !glass).map(|_| Approval::id_for(id));
        let decision = &self.plan.decision;
        Enforcement {
            id,
            tenant: decision.tenant.clone(),
            purpose: Purpose::Action,
            origin: Origin {
                trigger: decision.id,
                kind: decision.signal.kind,
                source: decision.signal.source.clone(),
                signal: decision.signal.id.clone(),
                at: decision.signal.at,
                operator,
                reason,
                cause: decision.cause,
                depth: decision.depth,
            },
            repeats: 0,
            last_repeat: None,
            windows: self.windows_of(wanted).into_iter().collect(),
            subject: self.signal.subject().clone(),
            action: wanted.spec.name.clone(),
            category: wanted.spec.category,
            channel: wanted.spec.channel.clone(),
            params: wanted.params.clone(),
            holders: holder.into_iter().collect(),
            approval,
            votes: Vec::new(),
            recorded_at: self.now,
            settled_at: None,
            state: State::begin(approval, &terms, self.now),
            attempts: 0,
            history: Vec::new(),
            retry: terms.retry,
            success: terms.success,
            start_at: terms.start_at,
            start_within: terms.start_within,
            inverse: wanted.inverse.as_ref().map(Means::from),
            administrator: false,
            reserved: Vec::new(),
            judged: None,
            retry_of: None,
        }
    }

    fn request(
        &self,
        enforcement: EnforcementId,
        wanted: &Wanted<'_>,
        policy: ApprovalPolicy,
        holder: Option<Holder>,
        author: Option<ActorId>,
    ) -> Approval {
        let decision = &self.plan.decision;
        let scores = &self.plan.subject.scores;
        let standing = scores.iter().map(|(scale, level)| (scale.clone(), Standing::from(level)));
        let history = scores.iter().map(|(scale, level)| (scale.clone(), level.history.clone()));
        let context = Context {
            trigger: Some(decision.id),
            signal: Some(decision.signal.clone()),
            evidence: decision.evidence.clone(),
            standing: standing.collect(),
            history: history.collect(),
        };
        let subject = self.signal.subject().clone();
        let action = wanted.spec.name.clone();
        let members = |name| self.facts.roster.groups.get(name).cloned().unwrap_or_default();
        Approval {
            id: Approval::id_for(enforcement),
            tenant: decision.tenant.clone(),
            enforcement,
            digest: Approval::digest_of(&decision.tenant, &subject, &action, &wanted.params, &context),
            subject,
            action,
            params: wanted.params.clone(),
            rules: holder.into_iter().map(|holder| holder.rule).collect(),
            designated: policy.groups.iter().map(|q| (q.name.clone(), members(&q.name))).collect(),
            orderer: self.signal.ordered().map(|(who, _)| who.clone()),
            authors: author.into_iter().collect(),
            context,
            requested_at: self.now,
            expires_at: self.now.after(policy.within),
            policy,
            votes: Vec::new(),
            state: ApprovalState::Open,
            progress: Progress::default(),
            ratifies: self.breaks_glass(),
            because: wanted.because.iter().map(Suppressed::told).collect(),
            decided_at: None,
        }
    }

    /// Everybody who may answer is told, once.
    pub(super) fn notices(&self, asked: &Approval) -> Vec<Enforcement> {
        let made = self.plan.enforcements.iter().find(|made| made.id == asked.enforcement);
        made.map_or_else(Vec::new, |made| {
            let kind = NoticeKind::Opened;
            asked.awaited().iter().map(|person| notice(asked, &made.origin, person, kind, self.now)).collect()
        })
    }
}

fn feed_policy(hasher: Hasher, policy: Option<&ApprovalPolicy>) -> Hasher {
    let Some(policy) = policy else { return hasher.number(0) };
    let span = |h: Hasher, span: Span| h.number(span.as_millis());
    let hasher = hasher.number(1).number(policy.rejections.into());
    let hasher = span(span(hasher, policy.within), policy.start_within).number(policy.groups.len() as u64);
    let quorums = |h: Hasher, groups: &[Quorum]| {
        groups.iter().fold(h, |h, q| h.text(q.name.as_str()).number(q.need.into()))
    };
    let fallback = |h: Hasher, fallback: Option<&Fallback>| match fallback {
        None => h.number(0),
        Some(f) => quorums(span(h, f.within).number(f.groups.len() as u64), &f.groups),
    };
    let hasher = quorums(hasher, &policy.groups);
    // What a policy of one plain stage does not have is fed only where it is there, so that ids
    // stay what they were before there were stages.
    if policy.then.is_empty() && policy.fallback.is_none() && policy.comment == CommentRule::Optional {
        return hasher;
    }
    let hasher = fallback(hasher.text(policy.comment.as_str()), policy.fallback.as_ref());
    policy.then.iter().fold(hasher, |h, stage| {
        let h = span(h.number(stage.rejections.into()), stage.within).number(stage.groups.len() as u64);
        fallback(quorums(h, &stage.groups), stage.fallback.as_ref())
    })
}
