//! What the log says of a signal itself.

use super::Effect;
use super::decide::Planner;
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::signal::{LevelWhy, Signal};
use crate::state::{WindowOutcome, WindowStand};

/// How many windows the log's record of a signal names; the decision has all.
const MAX_TOLD: usize = 8;

impl Planner<'_> {
    /// What the log says of the signal itself.
    pub(super) fn heading(&self) -> Vec<AuditDraft> {
        let decision = &self.plan.decision;
        let (code, actor) = match self.signal {
            Signal::Event(_) | Signal::Schedule(_) => (AuditCode::PolicySignalDecided, Actor::Engine),
            Signal::Score(_) => (AuditCode::PolicyScoreRecorded, Actor::Engine),
            Signal::Level(turn) => match &turn.why {
                LevelWhy::Elapsed { .. } => (AuditCode::PolicyLevelElapsed, Actor::Engine),
                LevelWhy::Reread { .. } => (AuditCode::PolicyLevelReread, Actor::Engine),
                LevelWhy::Dismissed { operator, .. } => {
                    (AuditCode::PolicyLevelDismissed, Actor::Person(operator.clone()))
                }
            },
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
        if !self.plan.repeated.is_empty() {
            draft = draft.detail("repeats", self.plan.repeated.len());
        }
        if !decision.windows.is_empty() {
            let told = |stand: &WindowStand| {
                let acts = if stand.outcome == WindowOutcome::Complete { ": complete" } else { "" };
                format!("{}: {stand}{acts}", stand.rule)
            };
            let windows: Vec<String> = decision.windows.iter().take(MAX_TOLD).map(told).collect();
            draft = draft.detail("windows", windows);
        }
        if let Some((_, reason)) = self.signal.ordered() {
            draft = draft.personal("reason", reason.to_owned());
        }
        let Some(moved) = &decision.moved else { return vec![draft] };
        draft = draft.detail("band", moved.to.as_str()).detail("late", moved.late);
        if let Some(lies_in) = &moved.lies_in {
            draft = draft.detail("lies_in", lies_in.as_str());
        }
        if let Some(at) = moved.leaves_at {
            draft = draft.detail("leaves_at", at);
        }
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
