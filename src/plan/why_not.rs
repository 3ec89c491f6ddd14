//! Why a rule does not act on a subject: what holds it back now, whatever signal might come.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::decide::question;
use super::{ActionOutcome, Decision, Effect, Facts, Part, PartVerdict, RuleRef};
use crate::guard::{Suppressed, Suppression, every_hold, rest_key, resting};
use crate::id::{RuleId, Subject, TenantId};
use crate::rule::{CompiledRule, Mode, Trigger};
use crate::score::ScoreTrigger;
use crate::signal::{Event, LevelTurn, LevelWhy, Signal};
use crate::time::Time;

/// Why a rule does not act on a subject, as far as that can be said without a signal: each part of the
/// rule that asks about the subject, every guard that would hold one of its actions back now, with its
/// values and the time at which it would lift, and what the rule decided about the subject last.
///
/// What a signal must look like is told by [`Engine::explain`](crate::Engine::explain), which has one.
/// A rule that rests for values of a field is not judged by its cooldown here: which value a signal
/// will have is not known.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct WhyNot {
    /// The rule.
    pub rule: RuleId,
    /// Its revision.
    pub revision: u32,
    /// Of whom.
    pub subject: Subject,
    /// For this time.
    pub at: Time,
    /// What it waits for, in words.
    pub waits_for: String,
    /// Activity and mode, the pattern on attributes, the band of a rule on scores.
    pub parts: Vec<PartVerdict>,
    /// Every guard that holds one of its actions back, in their order; an action that nothing holds
    /// is not named.
    pub held: Vec<ActionOutcome>,
    /// What was decided by the rule about the subject, the newest first.
    pub last: Vec<Decision>,
}

impl WhyNot {
    /// Whether nothing known stands in the way: a signal that the rule waits for would be acted on.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.held.is_empty() && self.parts.iter().all(|part| part.holds || part.part == Part::Move)
    }
}

/// Asks a rule and its guards about a subject. Pure.
#[must_use]
pub fn why_not(
    rule: &Arc<CompiledRule>,
    tenant: &TenantId,
    subject: &Subject,
    facts: &Facts<'_>,
    now: Time,
) -> WhyNot {
    let signal = stand_in(rule, tenant, subject, facts, now);
    let mut parts: Vec<PartVerdict> = signal.as_ref().map_or_else(Vec::new, |signal| rule.parts(signal));
    parts.retain(|part| matches!(part.part, Part::Active | Part::Subject));
    let mode = rule.rule.mode;
    parts
        .insert(parts.len().min(1), verdict(Part::Mode, mode == Mode::Live, "live".into(), mode.to_string()));
    if let Trigger::Score(trigger) = &rule.rule.trigger {
        parts.push(band(trigger, facts));
    }
    let mut held = Vec::new();
    if let Some(signal) = &signal {
        let key = rest_key(rule, signal, None).filter(|_| by_subject(rule));
        let tally = facts.tallies.get(&rule.rule.id);
        let rest = resting(rule, signal, now, key, &facts.subject, tally);
        for action in &rule.actions {
            let known = question(rule, action, signal, None, rest, facts, now);
            let mut found = every_hold(&known);
            found.extend(moves(rule, facts, now));
            held.extend(found.into_iter().map(|suppressed| ActionOutcome {
                rule: Some(RuleRef {
                    id: rule.rule.id.clone(),
                    revision: rule.revision,
                    key: action.action.key.clone(),
                }),
                action: action.spec.name.clone(),
                effect: Effect::Suppressed(suppressed),
            }));
        }
    }
    WhyNot {
        rule: rule.rule.id.clone(),
        revision: rule.revision,
        subject: subject.clone(),
        at: now,
        waits_for: rule.rule.conditions(),
        parts,
        held,
        last: Vec::new(),
    }
}

/// A signal that stands in for the one that might come: of a rule on scores, a look at the level that
/// is known; of any other, an event that says nothing.
fn stand_in(
    rule: &CompiledRule,
    tenant: &TenantId,
    subject: &Subject,
    facts: &Facts<'_>,
    now: Time,
) -> Option<Signal> {
    if let Trigger::Score(trigger) = &rule.rule.trigger
        && let Some(level) = facts.subject.scores.get(&trigger.scale)
    {
        let why = LevelWhy::Elapsed { score: level.signal.clone() };
        let turn = LevelTurn::new(tenant, subject, &trigger.scale, level, now, why);
        let attributes = facts.attributes.clone().or_else(|| turn.attributes.clone());
        return Some(Signal::Level(LevelTurn { attributes, ..turn }));
    }
    let event = Event::new(tenant.clone(), "why-not", "why-not", subject.clone(), now, "{}").ok()?;
    Some(Signal::Event(Event { attributes: facts.attributes.clone(), ..event }))
}

fn by_subject(rule: &CompiledRule) -> bool {
    rule.rule.guards.cooldown.as_ref().is_some_and(|cooldown| cooldown.field().is_none())
}

/// The moves between bands on which the rule acted so lately that the same would be held back.
fn moves(rule: &CompiledRule, facts: &Facts<'_>, now: Time) -> Vec<Suppressed> {
    let Trigger::Score(trigger) = &rule.rule.trigger else { return Vec::new() };
    let shadow = rule.rule.mode == Mode::Shadow;
    let own = facts.subject.fired.iter().filter(|fired| fired.rule == rule.rule.id && fired.shadow == shadow);
    let resting = own.filter_map(|fired| {
        let until = fired.at.after(trigger.cooldown);
        let from = fired.from.as_ref().map_or("the first score", |band| band.as_str());
        let held = Suppressed::new(Suppression::Cooldown).detail(format!("from {from} to {}", fired.to));
        (now < until).then_some(Suppressed { until: Some(until), ..held })
    });
    resting.collect()
}

fn band(trigger: &ScoreTrigger, facts: &Facts<'_>) -> PartVerdict {
    let bands: Vec<&str> = trigger.enters.iter().map(|band| band.as_str()).collect();
    let wanted = format!("a move into {}", bands.join(" or "));
    match facts.subject.scores.get(&trigger.scale) {
        None => verdict(Part::Move, false, wanted, "no score is known".to_owned()),
        Some(level) => {
            let seen = format!("in {}, score {} of {}", level.band, level.score, level.at);
            verdict(Part::Move, trigger.enters.contains(&level.band), wanted, seen)
        }
    }
}

const fn verdict(part: Part, holds: bool, wanted: String, seen: String) -> PartVerdict {
    PartVerdict { part, role: None, holds, wanted, seen, fields: None }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule `{}` revision {} and {} at {}", self.rule, self.revision, self.subject, self.at)?;
        write!(f, "\n  waits for {}", self.waits_for)?;
        for part in &self.parts {
            write!(f, "\n  {} {part}", if part.holds { "+" } else { "-" })?;
        }
        for held in &self.held {
            write!(f, "\n  - {held}")?;
        }
        if self.held.is_empty() {
            f.write_str("\n  + no guard holds it back")?;
        }
        for decision in &self.last {
            write!(f, "\nDecided at {}: {decision}", decision.decided_at)?;
        }
        Ok(())
    }
}
