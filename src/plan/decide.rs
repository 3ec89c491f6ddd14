//! The plan of one signal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::evidence;
use super::fill::{Source, fill};
use super::{ActionOutcome, Decision, Effect, Facts, Moved, Plan, PlanError, RuleRef};
use crate::action::{ActionSpec, ActionType, Category, Params, RetrySafety, Stage, Success, check_params};
use crate::approval::{Approval, ApprovalState, Context, Standing};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::enforcement::{Enforcement, Holder, Origin, Purpose, State, Terms};
use crate::guard::{Question, Suppressed, Suppression, held_back};
use crate::hash::Hasher;
use crate::id::{ActorId, EnforcementId, RuleId};
use crate::json::Node;
use crate::rule::{ApprovalPolicy, CompiledAction, CompiledRule, Mode, Trigger};
use crate::score::{BandName, Fire, Scale, Transition, TransitionError};
use crate::signal::{MAX_REASON_BYTES, ManualOrder, ManualStart, ScoreReading, Signal, feed_params};
use crate::state::Cooling;
use crate::time::{Span, Time};

/// Decides on a signal: what follows by which rule, what is held back and why, and all that is to
/// be written with it.
///
/// `concerned` are the rules that [`RuleSet::concerned`](crate::RuleSet::concerned) names for the
/// signal. The signal is taken as new; whether it came before is the store's knowledge.
///
/// # Errors
/// [`PlanError`] when no decision can be made on the signal; nothing follows from it then.
pub fn plan(
    signal: &Signal,
    concerned: &[Arc<CompiledRule>],
    facts: &Facts<'_>,
    now: Time,
) -> Result<Plan, PlanError> {
    let mut planner = Planner::new(signal, facts, now);
    planner.plan.decision.evidence = evidence::of(signal, concerned);
    match signal {
        Signal::Score(reading) => planner.score(reading, concerned)?,
        Signal::Manual(start) => planner.manual(start, concerned)?,
        Signal::Event(event) => {
            let tree = event.payload.tree();
            for rule in concerned {
                planner.rule(rule, Moment { tree: Some(&tree), ..Moment::default() });
            }
        }
        Signal::Schedule(_) => {
            for rule in concerned {
                planner.rule(rule, Moment::default());
            }
        }
    }
    Ok(planner.finish())
}

struct Planner<'a> {
    signal: &'a Signal,
    facts: &'a Facts<'a>,
    now: Time,
    plan: Plan,
}

/// What a rule decides on, beside the signal.
#[derive(Clone, Copy, Default)]
struct Moment<'a> {
    /// The entry of a band.
    fire: Option<&'a Fire>,
    /// Whether a jump enters further bands after that one.
    on_the_way: bool,
    /// The event's payload.
    tree: Option<&'a Node<'a>>,
}

/// One action that passed the guards.
struct Wanted<'a> {
    rule: Option<(&'a CompiledRule, &'a CompiledAction)>,
    spec: &'a ActionSpec,
    params: Params,
    approval: Option<ApprovalPolicy>,
    success: Success,
    /// Sets apart what one rule does for several bands of one jump.
    entry: Option<BandName>,
}

impl<'a> Planner<'a> {
    fn new(signal: &'a Signal, facts: &'a Facts<'a>, now: Time) -> Self {
        let decision = Decision {
            id: signal.trigger_id(),
            tenant: signal.tenant().clone(),
            signal: signal.info(),
            digest: signal.digest(),
            decided_at: now,
            evidence: BTreeMap::new(),
            moved: None,
            outcomes: Vec::new(),
            repeat: false,
        };
        let plan = Plan {
            decision,
            enforcements: Vec::new(),
            approvals: Vec::new(),
            notices: Vec::new(),
            subject: facts.subject.clone(),
            stats: BTreeMap::new(),
            audit: Vec::new(),
        };
        Self { signal, facts, now, plan }
    }

    fn score(&mut self, reading: &ScoreReading, rules: &[Arc<CompiledRule>]) -> Result<(), PlanError> {
        let Some(scale) = self.facts.rules.settings().scale(&reading.scale) else { return Ok(()) };
        let now_in = scale.reading(reading.score.clone(), reading.at, reading.id.clone())?;
        let last = self.plan.subject.scores.get(&reading.scale).cloned();
        let transition = match scale.transition(last.as_ref(), &reading.score, reading.at) {
            Ok(transition) => transition,
            Err(TransitionError::OutOfRange(error)) => return Err(error.into()),
            // The scale was edited since: the last score is read again as its bands are now.
            Err(_) => {
                let again = last.and_then(|l| scale.reading(l.score, l.at, l.signal).ok());
                let again = scale.transition(again.as_ref(), &reading.score, reading.at);
                again.unwrap_or(Transition::First { to: now_in.band.clone() })
            }
        };
        let late = transition == Transition::Late;
        let from = match &transition {
            Transition::Moved { from, .. } => Some(from.clone()),
            Transition::Stayed { band } => Some(band.clone()),
            _ => None,
        };
        self.plan.decision.moved =
            Some(Moved { scale: reading.scale.clone(), from, to: now_in.band.clone(), late });
        if !late {
            self.plan.subject.scores.insert(reading.scale.clone(), now_in);
        }
        for rule in rules {
            if let Trigger::Score(trigger) = &rule.rule.trigger {
                self.score_rule(rule, trigger, &scale, &transition);
            }
        }
        Ok(())
    }

    fn score_rule(
        &mut self,
        rule: &CompiledRule,
        trigger: &crate::score::ScoreTrigger,
        scale: &Scale,
        transition: &Transition,
    ) {
        let shadow = rule.rule.mode == Mode::Shadow;
        // What other rules of this decision add is not about this one.
        let facts = self.facts;
        let known = &facts.subject;
        let last = |from: Option<&BandName>, to: &BandName| known.last_fired(&rule.rule.id, shadow, from, to);
        let fires = trigger.fires(transition, scale, last, self.signal.at());
        for (i, fire) in fires.iter().enumerate() {
            let on_the_way = i + 1 < fires.len();
            if self.rule(rule, Moment { fire: Some(fire), on_the_way, tree: None }) {
                let at = self.signal.at();
                self.plan.subject.fire(&rule.rule.id, shadow, fire.from.as_ref(), &fire.to, at);
            }
        }
    }

    fn manual(&mut self, start: &ManualStart, rules: &[Arc<CompiledRule>]) -> Result<(), PlanError> {
        let length = start.reason.len();
        if start.reason.trim().is_empty() || length > MAX_REASON_BYTES {
            return Err(PlanError::Reason(length));
        }
        let (action, params) = match &start.order {
            ManualOrder::Rule(id) if rules.is_empty() => return Err(PlanError::UnknownRule(id.clone())),
            ManualOrder::Rule(_) => {
                for rule in rules {
                    self.rule(rule, Moment::default());
                }
                return Ok(());
            }
            ManualOrder::Action { action, params } => (action, params),
        };
        let catalog = self.facts.rules.catalog();
        let spec = catalog.get(action).ok_or_else(|| PlanError::UnknownAction(action.clone()))?;
        check_params(spec, params, Stage::Filled)
            .map_err(|problems| PlanError::Params { action: action.clone(), problems })?;
        let settings = self.facts.rules.settings();
        let approval = match spec.approval.then(|| settings.resolve(&ApprovalPolicy::default())) {
            None => None,
            Some(Some(policy)) => Some(policy),
            Some(None) => return Err(PlanError::NoApprovers(action.clone())),
        };
        if let Some(stop) = self.facts.control.stops(std::iter::empty(), action) {
            let held = Suppressed::new(Suppression::KillSwitch).detail(stop.reason.clone());
            self.suppress(None, action, held);
            return Ok(());
        }
        let wanted =
            Wanted { rule: None, spec, params: params.clone(), approval, success: spec.success, entry: None };
        self.create(&wanted);
        Ok(())
    }

    /// Decides on each action of a rule. Says whether any was taken: that starts its cooldowns.
    fn rule(&mut self, rule: &CompiledRule, moment: Moment<'_>) -> bool {
        let Moment { fire, on_the_way, tree } = moment;
        let shadow = rule.rule.mode == Mode::Shadow && !matches!(self.signal, Signal::Manual(_));
        let (mut acted, mut rested) = (false, false);
        // Guards see what was known before: the actions of one rule do not hold each other back,
        // nor do the entries of one jump.
        let facts = self.facts;
        for action in &rule.actions {
            let question = Question {
                rule,
                action,
                signal: self.signal,
                fire,
                subject: &facts.subject,
                control: &self.facts.control,
            };
            let source = Source { signal: self.signal, rule, fire, tree };
            let judged = match held_back(&question) {
                Some(held) => Err(held),
                None => fill(&action.action.params, &action.spec, &source),
            };
            match judged {
                Err(held) => {
                    rested |= held.reason == Suppression::Cooldown;
                    self.suppress(Some((rule, action)), &action.spec.name, held);
                }
                Ok(_) if shadow => {
                    acted = true;
                    let effect = Effect::Shadow { approval: action.approval.is_some() };
                    self.outcome(Some((rule, action)), &action.spec.name, effect);
                    self.stats(&rule.rule.id).shadow += 1;
                }
                Ok(params) => {
                    acted = true;
                    let confirm = action.action.confirm_within.map(Success::Confirmed);
                    let wanted = Wanted {
                        rule: Some((rule, action)),
                        spec: &action.spec,
                        params,
                        approval: action.approval.clone(),
                        success: confirm.unwrap_or(action.spec.success),
                        entry: fire.filter(|_| on_the_way).map(|fire| fire.to.clone()),
                    };
                    let asked = u64::from(self.create(&wanted));
                    self.stats(&rule.rule.id).created += asked;
                }
            }
        }
        self.cool(rule, shadow, acted, rested);
        let now = self.now;
        let stats = self.stats(&rule.rule.id);
        stats.fired += 1;
        stats.last_fired = stats.last_fired.max(Some(now));
        acted
    }

    fn cool(&mut self, rule: &CompiledRule, shadow: bool, acted: bool, rested: bool) {
        let Some(cooldown) = rule.rule.guards.cooldown else { return };
        let since = self.signal.at();
        let fresh = Cooling { since, until: since.after(cooldown.span), repeats: 0 };
        let cooldowns = self.plan.subject.resting_mut(shadow);
        match cooldowns.get_mut(&rule.rule.id) {
            Some(cooling) if rested && !acted => cooling.repeats += 1,
            // A late signal that acted does not pull a newer rest back.
            Some(cooling) if acted && cooling.since < since => *cooling = fresh,
            Some(_) => {}
            None if acted => drop(cooldowns.insert(rule.rule.id.clone(), fresh)),
            None => {}
        }
    }

    fn suppress(
        &mut self,
        from: Option<(&CompiledRule, &CompiledAction)>,
        action: &ActionType,
        held: Suppressed,
    ) {
        if let Some((rule, _)) = from {
            *self.stats(&rule.rule.id).suppressed.entry(held.reason.to_string()).or_default() += 1;
        }
        let mut draft = self
            .draft(AuditCode::PolicyActionSuppressed, Actor::Engine)
            .target(action.to_string())
            .detail("reason", held.reason.as_str());
        if let Some((rule, _)) = from {
            draft = draft.detail("rule", rule.rule.id.as_str());
        }
        if let Some(until) = held.until {
            draft = draft.detail("until", until);
        }
        self.plan.audit.push(draft);
        self.outcome(from, action, Effect::Suppressed(held));
    }

    fn outcome(
        &mut self,
        from: Option<(&CompiledRule, &CompiledAction)>,
        action: &ActionType,
        effect: Effect,
    ) {
        let rule = from.map(|(rule, action)| RuleRef {
            id: rule.rule.id.clone(),
            revision: rule.revision,
            key: action.action.key.clone(),
        });
        self.plan.decision.outcomes.push(ActionOutcome { rule, action: action.clone(), effect });
    }

    fn stats(&mut self, rule: &RuleId) -> &mut crate::state::RuleStats {
        let known = self.facts.stats.get(rule);
        self.plan.stats.entry(rule.clone()).or_insert_with(|| known.cloned().unwrap_or_default())
    }

    fn draft(&self, code: AuditCode, actor: Actor) -> AuditDraft {
        AuditDraft::new(self.plan.decision.tenant.clone(), code, actor, self.now)
            .subject(self.signal.subject().clone())
            .trigger(self.plan.decision.id)
    }

    /// Makes the enforcement, or joins the one that another rule of this decision made: a person
    /// is restricted once, whatever the number of rules that ask for it (behaviour 5.4).
    ///
    /// Says whether it is new for that rule: the entries of one jump may ask for the same.
    fn create(&mut self, wanted: &Wanted<'_>) -> bool {
        let id = self.enforcement_id(wanted);
        let holder = wanted.rule.map(|(rule, action)| Holder {
            rule: rule.rule.id.clone(),
            revision: rule.revision,
            key: action.action.key.clone(),
        });
        let author = wanted.rule.and_then(|(rule, _)| rule.rule.author.clone());
        let made = self.plan.enforcements.iter_mut().find(|made| made.id == id);
        let approval = wanted.approval.as_ref().map(|_| Approval::id_for(id));
        let known = match (&made, &holder) {
            (Some(shared), Some(holder)) => shared.holders.contains(holder),
            _ => false,
        };
        match made {
            Some(_) if known => {}
            Some(shared) => {
                shared.holders.extend(holder.clone());
                if let Some(asked) = self.plan.approvals.iter_mut().find(|asked| asked.enforcement == id) {
                    asked.rules.extend(holder.map(|holder| holder.rule));
                    asked.authors.extend(author);
                }
            }
            None => {
                let enforcement = self.enforcement(id, wanted, holder.clone());
                self.plan.enforcements.push(enforcement);
                if let Some(policy) = wanted.approval.clone() {
                    let asked = self.request(id, wanted, policy, holder, author);
                    self.plan.approvals.push(asked);
                }
            }
        }
        self.outcome(wanted.rule, &wanted.spec.name, Effect::Created { enforcement: id, approval });
        !known
    }

    fn enforcement_id(&self, wanted: &Wanted<'_>) -> EnforcementId {
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
                    feed_policy(h, wanted.approval.as_ref())
                }
            }
        })
    }

    fn enforcement(&self, id: EnforcementId, wanted: &Wanted<'_>, holder: Option<Holder>) -> Enforcement {
        let (operator, reason) = match self.signal {
            Signal::Manual(start) => (Some(start.operator.clone()), Some(start.reason.clone())),
            _ => (None, None),
        };
        let terms = Terms {
            id,
            attempts: 0,
            retry: wanted.spec.retry.retry(),
            success: wanted.success,
            start_at: None,
            start_within: wanted.approval.as_ref().map(|policy| policy.start_within),
        };
        let approval = wanted.approval.as_ref().map(|_| Approval::id_for(id));
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
            },
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
        let standing = self.plan.subject.scores.iter().map(|(scale, reading)| {
            let standing =
                Standing { score: reading.score.to_string(), band: reading.band.clone(), at: reading.at };
            (scale.clone(), standing)
        });
        let context = Context {
            trigger: Some(decision.id),
            signal: Some(decision.signal.clone()),
            evidence: decision.evidence.clone(),
            standing: standing.collect(),
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
            orderer: match self.signal {
                Signal::Manual(start) => Some(start.operator.clone()),
                _ => None,
            },
            authors: author.into_iter().collect(),
            context,
            requested_at: self.now,
            expires_at: self.now.after(policy.within),
            policy,
            votes: Vec::new(),
            state: ApprovalState::Open,
            decided_at: None,
        }
    }

    /// Everybody who may answer is told, once.
    fn notices(&self, asked: &Approval) -> Vec<Enforcement> {
        let people: BTreeSet<&ActorId> =
            asked.designated.values().flatten().filter(|p| !asked.bars(p)).collect();
        people.into_iter().map(|person| self.notice(asked, person)).collect()
    }

    fn notice(&self, asked: &Approval, recipient: &ActorId) -> Enforcement {
        // A request is announced in stage 0 by notice 0; reminders count on.
        let id = EnforcementId::derive(|h| {
            h.text("notice").bytes(asked.id.bytes()).number(0).number(0).text(recipient.as_str())
        });
        let params = [
            ("approval", asked.id.to_string()),
            ("recipient", recipient.to_string()),
            ("action", asked.action.to_string()),
            ("subject", asked.subject.to_string()),
            ("expires_at", asked.expires_at.to_string()),
            ("digest", asked.digest.to_string()),
        ];
        let mut spec =
            ActionSpec::new(ActionType::approval_notice(), "Approval notice", Category::Notification);
        spec.retry = RetrySafety::Keyed;
        let wanted = Wanted {
            rule: None,
            spec: &spec,
            params: params
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.as_str().into()))
                .collect(),
            approval: None,
            success: Success::Accepted,
            entry: None,
        };
        let purpose = Purpose::Notice { approval: asked.id, recipient: recipient.clone() };
        Enforcement { purpose, approval: Some(asked.id), ..self.enforcement(id, &wanted, None) }
    }

    fn finish(mut self) -> Plan {
        let approvals = std::mem::take(&mut self.plan.approvals);
        self.plan.notices = approvals.iter().flat_map(|asked| self.notices(asked)).collect();
        self.plan.approvals = approvals;
        let mut audit = self.heading();
        audit.append(&mut self.plan.audit);
        for made in &self.plan.enforcements {
            let rules: Vec<&str> = made.holders.iter().take(8).map(|holder| holder.rule.as_str()).collect();
            let draft = made
                .draft(AuditCode::EnforcementCreated, Actor::Engine, self.now)
                .detail("rules", rules)
                .detail("reason", made.reason().as_str());
            audit.push(draft);
        }
        for asked in &self.plan.approvals {
            let told = self.plan.notices.iter().filter(|n| n.approval == Some(asked.id)).count();
            let draft = self
                .draft(AuditCode::ApprovalRequested, Actor::Engine)
                .target(asked.action.to_string())
                .enforcement(asked.enforcement)
                .approval(asked.id)
                .detail("digest", asked.digest.to_string())
                .detail("expires_at", asked.expires_at)
                .detail("notified", told);
            audit.push(draft);
        }
        self.plan.audit = audit;
        self.plan
    }

    /// What the log says of the signal itself.
    fn heading(&self) -> Vec<AuditDraft> {
        let decision = &self.plan.decision;
        let (code, actor) = match self.signal {
            Signal::Event(_) | Signal::Schedule(_) => (AuditCode::PolicySignalDecided, Actor::Engine),
            Signal::Score(_) => (AuditCode::PolicyScoreRecorded, Actor::Engine),
            Signal::Manual(start) => (AuditCode::PolicyManualStart, Actor::Person(start.operator.clone())),
        };
        let mut draft = self
            .draft(code, actor)
            .detail("kind", decision.signal.kind.as_str())
            .detail("source", decision.signal.source.as_str())
            .detail("signal", decision.signal.id.as_str())
            .detail("created", self.plan.enforcements.len());
        let count = |of: fn(&Effect) -> bool| decision.outcomes.iter().filter(|o| of(&o.effect)).count();
        draft = draft
            .detail("suppressed", count(|effect| matches!(effect, Effect::Suppressed(_))))
            .detail("shadow", count(|effect| matches!(effect, Effect::Shadow { .. })));
        if let Signal::Manual(start) = self.signal {
            draft = draft.personal("reason", start.reason.clone());
        }
        let Some(moved) = &decision.moved else { return vec![draft] };
        draft = draft.detail("band", moved.to.as_str()).detail("late", moved.late);
        let entered = !moved.late && moved.from.as_ref() != Some(&moved.to);
        let entry = entered.then(|| {
            let entry = self
                .draft(AuditCode::PolicyBandEntered, Actor::Engine)
                .target(moved.to.as_str())
                .detail("scale", moved.scale.as_str());
            match &moved.from {
                Some(from) => entry.detail("from", from.as_str()),
                None => entry,
            }
        });
        std::iter::once(draft).chain(entry).collect()
    }
}

fn feed_policy(hasher: Hasher, policy: Option<&ApprovalPolicy>) -> Hasher {
    let Some(policy) = policy else { return hasher.number(0) };
    let span = |h: Hasher, span: Span| h.number(span.as_millis());
    let hasher = hasher.number(1).number(policy.rejections.into());
    let hasher = span(span(hasher, policy.within), policy.start_within).number(policy.groups.len() as u64);
    policy.groups.iter().fold(hasher, |h, q| h.text(q.name.as_str()).number(q.need.into()))
}
