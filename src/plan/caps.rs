//! What holds an action back that all other guards let pass: actions that cause each other, and caps.

use std::collections::BTreeSet;

use super::decide::Planner;
use super::make::Wanted;
use super::notice::rule_notice;
use crate::audit::{Actor, AuditCode};
use crate::guard::{Capped, Suppressed, Suppression, caps_of, counted, strictest};
use crate::hash::Hash;
use crate::id::EnforcementId;
use crate::rule::{ApprovalPolicy, CompiledRule, OnExceed};
use crate::state::{CapCounter, Pause, Reserved};

impl<'a> Planner<'a> {
    /// Asks the loop guard and the caps. Where people must agree because of them, `wanted` says so from
    /// then on, and why.
    pub(super) fn limited<'w>(&mut self, wanted: &mut Wanted<'w>, shadow: bool) -> Result<(), Suppressed>
    where
        'a: 'w,
    {
        let facts = self.facts;
        let settings = facts.rules.settings();
        let rule = wanted.rule.map(|(rule, _)| rule);
        if let Some(pause) = rule.and_then(|rule| self.plan.pauses.get(&rule.rule.id)) {
            return Err(Suppressed::new(Suppression::Paused).detail(pause.reason.clone()));
        }
        if let Some(held) = facts.cause.too_deep(settings) {
            self.ask(wanted, held)?;
        }
        let caps = caps_of(rule, settings, wanted.spec, &self.signal.subject().user, shadow);
        self.plan.counters.extend(caps.iter().map(|capped| capped.counter));
        // What joins an enforcement of this decision takes no place that this one has already.
        let id = self.enforcement_id(wanted);
        let made = self.plan.enforcements.iter().find(|made| made.id == id && !shadow);
        let taken: BTreeSet<Hash> =
            made.into_iter().flat_map(|made| &made.reserved).map(|reserved| reserved.counter).collect();
        let mut exceeded = Vec::new();
        for capped in caps.iter().filter(|capped| !taken.contains(&capped.counter)) {
            let known = counted(&capped.counter, &self.plan.caps, &facts.caps);
            if let Some(held) = capped.exceeded(known, facts.population, self.now) {
                let answer = capped.cap.answer(wanted.spec);
                self.tell_exceeded(capped, rule, answer, &held);
                exceeded.push((answer, held));
            }
        }
        wanted.caps = caps;
        let Some((answer, held)) = strictest(&exceeded) else { return Ok(()) };
        match (answer, rule) {
            (OnExceed::Ask, _) => self.ask(wanted, held.clone()),
            (OnExceed::PauseRule, Some(rule)) if !shadow => {
                self.pause(rule, held);
                Err(held.clone())
            }
            _ => Err(held.clone()),
        }
    }

    /// Lets people decide: those of the action's own policy, or one of the default group.
    fn ask(&self, wanted: &mut Wanted<'_>, held: Suppressed) -> Result<(), Suppressed> {
        if wanted.approval.is_none() {
            wanted.approval = self.facts.rules.settings().resolve(&ApprovalPolicy::default());
        }
        match wanted.approval {
            None => Err(held),
            Some(_) => {
                wanted.because.push(held);
                Ok(())
            }
        }
    }

    /// Takes the places of an enforcement under its caps: of each counter one, whoever asks for it.
    pub(super) fn reserve(&mut self, id: EnforcementId, caps: &[Capped<'_>]) {
        let known = self.plan.enforcements.iter().find(|made| made.id == id);
        let mut reserved = known.map(|made| made.reserved.clone()).unwrap_or_default();
        let now = self.now;
        for capped in caps {
            if reserved.iter().all(|place| place.counter != capped.counter) {
                let window = self.counter(capped).take(now);
                reserved.push(Reserved { counter: capped.counter, window });
            }
        }
        if let Some(made) = self.plan.enforcements.iter_mut().find(|made| made.id == id) {
            made.reserved = reserved;
        }
    }

    /// Counts what shadow mode keeps from being carried out.
    pub(super) fn count_shadow(&mut self, caps: &[Capped<'_>]) {
        let (now, mut taken) = (self.now, BTreeSet::new());
        for capped in caps {
            if taken.insert(capped.counter) {
                self.counter(capped).take(now);
            }
        }
    }

    fn counter(&mut self, capped: &Capped<'_>) -> &mut CapCounter {
        let known = self.facts.caps.get(&capped.counter).and_then(Option::as_ref);
        let fresh = || CapCounter::new(capped.of.clone(), capped.cap.span);
        self.plan.caps.entry(capped.counter).or_insert_with(|| known.cloned().unwrap_or_else(fresh))
    }

    /// Tells the log of the first action beyond a cap in each window; each decision tells its own.
    fn tell_exceeded(
        &mut self,
        capped: &Capped<'_>,
        rule: Option<&CompiledRule>,
        answer: OnExceed,
        held: &Suppressed,
    ) {
        let now = self.now;
        if !self.counter(capped).tell(now) {
            return;
        }
        let draft = self
            .draft(AuditCode::PolicyCapExceeded, Actor::Engine)
            .target(rule.map_or("tenant", |rule| rule.rule.id.as_str()))
            .detail("answer", answer.as_str())
            .detail("cap", held.detail.clone().unwrap_or_default());
        let draft = match held.until {
            Some(until) => draft.detail("until", until),
            None => draft,
        };
        self.plan.audit.push(draft);
    }

    /// A rule that went beyond its cap rests until somebody resumes it, and its owner is told.
    fn pause(&mut self, rule: &CompiledRule, held: &Suppressed) {
        let reason = held.detail.clone().unwrap_or_default();
        let draft = self
            .draft(AuditCode::PolicyRulePaused, Actor::Engine)
            .target(rule.rule.id.as_str())
            .detail("cap", reason.clone());
        self.plan.audit.push(draft);
        let group = self.facts.rules.settings().default_group.as_ref();
        let members = || group.and_then(|group| self.facts.roster.groups.get(group)).cloned();
        let owners = match &rule.rule.author {
            Some(author) => vec![author.clone()],
            None => members().unwrap_or_default(),
        };
        for owner in owners {
            let notice = rule_notice(&self.plan.decision, &rule.rule, &owner, &reason, self.now);
            self.plan.notices.push(notice);
        }
        let pause = Pause { by: Actor::Engine, at: self.now, reason };
        self.plan.pauses.insert(rule.rule.id.clone(), pause);
    }
}
