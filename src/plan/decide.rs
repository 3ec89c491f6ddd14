//! The plan of one signal.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::evidence;
use super::fill::{Source, fill};
use super::make::Wanted;
use super::{ActionOutcome, Decision, Effect, Facts, Moved, Plan, PlanError, RuleRef};
use crate::action::{ActionType, Stage, Success, check_params};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::guard::{Question, Suppressed, Suppression, exempted, held_back};
use crate::id::RuleId;
use crate::json::Node;
use crate::rule::{ApprovalPolicy, CompiledAction, CompiledRule, Mode, Trigger};
use crate::score::{BandName, Fire, Scale, Transition, TransitionError};
use crate::signal::{MAX_REASON_BYTES, ManualOrder, ManualStart, ScoreReading, Signal};
use crate::state::Cooling;
use crate::time::Time;

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

pub(super) struct Planner<'a> {
    pub(super) signal: &'a Signal,
    pub(super) facts: &'a Facts<'a>,
    pub(super) now: Time,
    pub(super) plan: Plan,
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

impl<'a> Planner<'a> {
    fn new(signal: &'a Signal, facts: &'a Facts<'a>, now: Time) -> Self {
        let decision = Decision::new(signal, now);
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
        if let Some(held) = exempted(&self.facts.exemptions, None, action, self.now) {
            self.suppress(None, action, held);
            return Ok(());
        }
        let wanted = Wanted {
            rule: None,
            spec,
            params: params.clone(),
            approval,
            success: spec.success,
            entry: None,
            inverse: catalog.inverse(spec).filter(|_| spec.restricts),
        };
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
                exemptions: &self.facts.exemptions,
                now: self.now,
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
                        inverse: action.inverse.clone(),
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

    pub(super) fn outcome(
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
