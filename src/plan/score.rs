//! A subject's level moves: by a score, by time, by an operator's word, by changed bands.

use std::sync::Arc;

use super::decide::{Moment, Planner};
use super::{Moved, PlanError};
use crate::rule::{CompiledRule, Mode, Trigger};
use crate::score::{BandName, LevelStep, Observation, Scale, ScoreTrigger, Transition};
use crate::signal::{LevelTurn, LevelWhy, MAX_REASON_BYTES, ScoreReading};

impl Planner<'_> {
    pub(super) fn score(
        &mut self,
        reading: &ScoreReading,
        rules: &[Arc<CompiledRule>],
    ) -> Result<(), PlanError> {
        let scale = self.facts.rules.settings().known_scale(&reading.scale)?;
        let seen = Observation {
            score: reading.score.clone(),
            at: reading.at,
            signal: reading.id.clone(),
            confidence: reading.confidence.clone(),
            attributes: reading.attributes.as_ref().map(|known| known.text().to_owned()),
        };
        let step = scale.observe(self.plan.subject.scores.get(&reading.scale), seen)?;
        self.step(&scale, step, rules);
        Ok(())
    }

    /// A look at a level without a new score. Where there is nothing to look at, nothing follows.
    pub(super) fn level(&mut self, turn: &LevelTurn, rules: &[Arc<CompiledRule>]) -> Result<(), PlanError> {
        let scale = self.facts.rules.settings().known_scale(&turn.scale)?;
        if let LevelWhy::Dismissed { operator, reason, .. } = &turn.why {
            if reason.trim().is_empty() || reason.len() > MAX_REASON_BYTES {
                return Err(PlanError::Reason(reason.len()));
            }
            if operator.as_str() == turn.subject.user.as_str() {
                return Err(PlanError::OwnLevel(operator.clone()));
            }
        }
        let Some(level) = self.plan.subject.scores.get(&turn.scale) else { return Ok(()) };
        let step = match &turn.why {
            LevelWhy::Elapsed { .. } => scale.elapse(level, turn.at),
            LevelWhy::Dismissed { .. } => Some(scale.dismiss(level, turn.at)?),
            LevelWhy::Reread { .. } => Some(scale.reread(level, turn.at)?),
        };
        if let Some(step) = step {
            self.step(&scale, step, rules);
        }
        Ok(())
    }

    /// Writes the level down, and asks the rules what follows from its move.
    fn step(&mut self, scale: &Scale, step: LevelStep, rules: &[Arc<CompiledRule>]) {
        let LevelStep { level, transition } = step;
        let from = match &transition {
            Transition::Moved { from, .. } => Some(from.clone()),
            Transition::Stayed { band } => Some(band.clone()),
            Transition::First { .. } | Transition::Late => None,
        };
        let late = transition == Transition::Late;
        // A late score is told with the band in which it lies, as it moves nobody.
        let lies_in = match self.signal {
            crate::signal::Signal::Score(reading) => scale.band(&reading.score),
            _ => scale.band(&level.score),
        };
        let lies_in = lies_in.map_or_else(|_| level.band.clone(), |band| band.name.clone());
        let to = if late { lies_in.clone() } else { level.band.clone() };
        self.plan.decision.moved = Some(Moved {
            scale: scale.id().clone(),
            from,
            lies_in: (lies_in != to).then_some(lies_in),
            leaves_at: level.due().filter(|_| !late),
            to,
            late,
        });
        self.plan.subject.scores.insert(scale.id().clone(), level);
        for rule in rules {
            if let Trigger::Score(trigger) = &rule.rule.trigger {
                self.score_rule(rule, trigger, scale, &transition);
            }
        }
    }

    fn score_rule(
        &mut self,
        rule: &CompiledRule,
        trigger: &ScoreTrigger,
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
}
