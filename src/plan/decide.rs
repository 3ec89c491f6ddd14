//! The plan of one signal.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::evidence;
use super::fill::{Source, fill};
use super::make::Wanted;
use super::window::{count, tally};
use super::{ActionOutcome, Decision, Effect, Facts, Plan, PlanError, RuleRef};
use crate::action::{ActionType, Stage, Success, check_params};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::guard::{
    Keeping, Question, Suppressed, Suppression, held_back, order_held_back, rest_key, resting,
};
use crate::id::RuleId;
use crate::json::Node;
use crate::rule::{ApprovalPolicy, CompiledAction, CompiledRule, Mode};
use crate::score::Fire;
use crate::signal::{Event, MAX_REASON_BYTES, ManualOrder, ManualStart, Signal};
use crate::state::{Cooling, Tally, WindowOutcome};
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
        Signal::Level(turn) => planner.level(turn, concerned)?,
        Signal::Manual(start) => planner.manual(start, concerned)?,
        Signal::Event(event) => {
            let tree = event.payload.tree();
            planner.count(event, concerned, &tree);
            for rule in concerned {
                let moment = Moment { tree: Some(&tree), ..Moment::default() };
                let acted = planner.completes(rule) && planner.rule(rule, moment);
                if acted && rule.window().is_some_and(|window| !window.every) {
                    let at = planner.at();
                    planner.tally(rule).fire(at);
                }
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
pub(super) struct Moment<'a> {
    /// The entry of a band.
    pub(super) fire: Option<&'a Fire>,
    /// Whether a jump enters further bands after that one.
    pub(super) on_the_way: bool,
    /// The event's payload.
    pub(super) tree: Option<&'a Node<'a>>,
}

/// What the guards are asked about an action.
pub(super) fn question<'a>(
    rule: &'a CompiledRule,
    action: &'a CompiledAction,
    signal: &'a Signal,
    fire: Option<&'a Fire>,
    rest: Option<&'a Cooling>,
    facts: &'a Facts<'_>,
    now: Time,
) -> Question<'a> {
    Question {
        rule,
        action,
        signal,
        fire,
        control: &facts.control,
        exemptions: &facts.exemptions,
        settings: facts.rules.settings(),
        known: signal.attributes().or(facts.attributes.as_ref()),
        keeping: keeping(facts),
        now,
        rest,
    }
}

pub(super) fn keeping<'a>(facts: &'a Facts<'_>) -> Keeping<'a> {
    let (known, away) = (facts.administrators.as_ref(), &facts.away);
    Keeping { settings: facts.rules.settings(), known, away }
}

impl<'a> Planner<'a> {
    fn new(signal: &'a Signal, facts: &'a Facts<'a>, now: Time) -> Self {
        let depth = facts.cause.depth(facts.rules.settings());
        let decision = Decision { depth, ..Decision::new(signal, now) };
        let plan = Plan {
            decision,
            enforcements: Vec::new(),
            approvals: Vec::new(),
            notices: Vec::new(),
            subject: facts.subject.clone(),
            tallies: BTreeMap::new(),
            repeated: BTreeSet::new(),
            stats: BTreeMap::new(),
            away: facts.away.clone(),
            counters: BTreeSet::new(),
            caps: BTreeMap::new(),
            pauses: BTreeMap::new(),
            audit: Vec::new(),
        };
        Self { signal, facts, now, plan }
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
        let facts = self.facts;
        let (control, exemptions) = (&facts.control, &facts.exemptions[..]);
        let (keeping, known) = (keeping(facts), facts.attributes.as_ref());
        let held = order_held_back(spec, self.signal, control, exemptions, &keeping, known, self.now);
        if let Some(held) = held {
            self.suppress(None, action, held, None);
            return Ok(());
        }
        let mut wanted = Wanted {
            rule: None,
            spec,
            params: params.clone(),
            approval,
            success: spec.success,
            entry: None,
            inverse: catalog.inverse(spec).filter(|_| spec.restricts),
            caps: Vec::new(),
            because: Vec::new(),
        };
        match self.limited(&mut wanted, false) {
            Err(held) => self.suppress(None, action, held, None),
            Ok(()) => drop(self.create(&wanted)),
        }
        Ok(())
    }

    /// Counts an event for the rules that wait for more than one, before any of them acts: what
    /// their windows hold is evidence for all.
    fn count(&mut self, event: &Event, rules: &[Arc<CompiledRule>], tree: &Node<'_>) {
        for rule in rules {
            let Some(window) = rule.window() else { continue };
            let (at, now) = (self.at(), self.now);
            let stand = count(rule, window, event, tree, self.tally(rule), at);
            if stand.outcome.is_counted() {
                self.tally(rule).keep(window.span, at, now);
            }
            let told = format!("{stand}: {}", stand.signals.join(", "));
            self.plan.decision.evidence.insert(format!("window of rule {}", rule.rule.id), told);
            self.plan.decision.windows.push(stand);
        }
    }

    /// Whether a rule that an event concerns is to be decided on: always, but where it has a window
    /// that the event does not complete.
    fn completes(&self, rule: &CompiledRule) -> bool {
        let mut stands = self.plan.decision.windows.iter().filter(|stand| stand.rule == rule.rule.id);
        stands.next().is_none_or(|stand| stand.outcome == WindowOutcome::Complete)
    }

    /// When the signal counts: at its own time, but never later than the decision. A wrong clock must
    /// not make all that comes before that time too late.
    pub(super) fn at(&self) -> Time {
        self.signal.at().min(self.now)
    }

    /// What the rule remembers of the subject, to be changed.
    pub(super) fn tally(&mut self, rule: &CompiledRule) -> &mut Tally {
        let facts = self.facts;
        let subject = self.signal.subject();
        self.plan.tallies.entry(rule.rule.id.clone()).or_insert_with(|| tally(rule, subject, facts))
    }

    /// Decides on each action of a rule. Says whether any was taken: that starts its cooldowns.
    pub(super) fn rule(&mut self, rule: &CompiledRule, moment: Moment<'_>) -> bool {
        let Moment { fire, on_the_way, tree } = moment;
        // A rule that only watches fires at its own time.
        if matches!(self.signal, Signal::Event(_)) && rule.rule.trigger.watches() {
            return false;
        }
        let shadow = rule.rule.mode == Mode::Shadow && !matches!(self.signal, Signal::Manual(_));
        let (mut made, mut acted, mut rested) = (BTreeMap::new(), false, false);
        // Guards see what was known before: the actions of one rule do not hold each other back,
        // nor do the entries of one jump.
        let facts = self.facts;
        let key = rest_key(rule, self.signal, tree);
        let tally = facts.tallies.get(&rule.rule.id);
        let rest = resting(rule, self.signal, self.at(), key, &facts.subject, tally);
        for action in &rule.actions {
            let question = question(rule, action, self.signal, fire, rest, facts, self.now);
            let source = Source { signal: self.signal, rule, fire, tree };
            let judged = match held_back(&question) {
                Some(held) => Err(held),
                None => fill(&action.action.params, &action.spec, &source).and_then(|params| {
                    let confirm = action.action.confirm_within.map(Success::Confirmed);
                    let mut wanted = Wanted {
                        rule: Some((rule, action)),
                        spec: &action.spec,
                        params,
                        approval: action.approval.clone(),
                        success: confirm.unwrap_or(action.spec.success),
                        entry: fire.filter(|_| on_the_way).map(|fire| fire.to.clone()),
                        inverse: action.inverse.clone(),
                        caps: Vec::new(),
                        because: Vec::new(),
                    };
                    self.limited(&mut wanted, shadow).map(|()| wanted)
                }),
            };
            match judged {
                Err(held) => {
                    let rest = rest.filter(|_| held.reason == Suppression::Cooldown);
                    rested |= rest.is_some();
                    self.suppress(Some((rule, action)), &action.spec.name, held, rest);
                }
                Ok(wanted) if shadow => {
                    acted = true;
                    self.count_shadow(&wanted.caps);
                    let effect = Effect::Shadow { approval: wanted.approval.is_some() };
                    self.outcome(Some((rule, action)), &action.spec.name, effect);
                    self.stats(&rule.rule.id).shadow += 1;
                }
                Ok(wanted) => {
                    acted = true;
                    let (enforcement, new) = self.create(&wanted);
                    made.insert(action.action.key.clone(), enforcement);
                    self.stats(&rule.rule.id).created += u64::from(new);
                }
            }
        }
        match (acted, key, rest.filter(|_| rested)) {
            (true, Some(key), _) => self.cool(rule, shadow, key, made),
            (false, Some(key), Some(rest)) => self.repeat(rule, shadow, key, rest),
            _ => {}
        }
        let now = self.now;
        let stats = self.stats(&rule.rule.id);
        stats.fired += 1;
        stats.last_fired = stats.last_fired.max(Some(now));
        acted
    }

    fn suppress(
        &mut self,
        from: Option<(&CompiledRule, &CompiledAction)>,
        action: &ActionType,
        held: Suppressed,
        rest: Option<&Cooling>,
    ) {
        if let Some((rule, _)) = from {
            *self.stats(&rule.rule.id).suppressed.entry(held.reason.to_string()).or_default() += 1;
        }
        // A storm does not flood the log: of its repeats, only the 1st, 2nd, 4th, 8th … are told one
        // by one. The record of the signal itself says of each that it was held back.
        let repeats = rest.map(|rest| rest.repeats.saturating_add(1));
        if repeats.is_some_and(|repeats| !repeats.is_power_of_two()) {
            self.outcome(from, action, Effect::Suppressed(held));
            return;
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
        if let (Some(rest), Some(repeats), Some((_, action))) = (rest, repeats, from) {
            let repeats = i64::try_from(repeats).unwrap_or(i64::MAX);
            draft = draft.detail("repeats", repeats).enforcement(rest.made.get(&action.action.key).copied());
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

    pub(super) fn draft(&self, code: AuditCode, actor: Actor) -> AuditDraft {
        AuditDraft::new(self.plan.decision.tenant.clone(), code, actor, self.now)
            .subject(self.signal.subject().clone())
            .trigger(self.plan.decision.id)
    }

    fn finish(mut self) -> Plan {
        let approvals = std::mem::take(&mut self.plan.approvals);
        let told: Vec<_> = approvals.iter().flat_map(|asked| self.notices(asked)).collect();
        self.plan.notices.extend(told);
        self.plan.approvals = approvals;
        let mut audit = self.heading();
        audit.append(&mut self.plan.audit);
        for made in &self.plan.enforcements {
            audit.push(made.created(Actor::Engine, self.now));
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
            if let (true, Signal::Manual(start)) = (asked.ratifies, self.signal) {
                let draft = self
                    .draft(AuditCode::EnforcementBrokeGlass, Actor::Person(start.operator.clone()))
                    .target(asked.action.to_string())
                    .enforcement(asked.enforcement)
                    .approval(asked.id)
                    .personal("reason", start.reason.clone());
                audit.push(draft);
            }
        }
        self.plan.audit = audit;
        self.plan
    }
}
