//! Windows: what an event is to those rules that wait for more than one.

use super::Facts;
use crate::guard::digest_at;
use crate::id::Subject;
use crate::json::Node;
use crate::pattern::values_at;
use crate::rule::{CompiledRule, Mode, Role, Trigger, Window, WindowKind};
use crate::signal::Event;
use crate::state::{Tally, WindowStand};
use crate::time::Time;

impl CompiledRule {
    /// The window that the rule's trigger counts in, if it has one.
    #[must_use]
    pub const fn window(&self) -> Option<&Window> {
        match &self.rule.trigger {
            Trigger::Event { window, .. } => window.as_ref(),
            _ => None,
        }
    }

    /// Whether the rule remembers something of a subject beside the subject's own state.
    #[must_use]
    pub fn tallies(&self) -> bool {
        let per_field = |cooldown: &crate::rule::Cooldown| cooldown.field().is_some();
        self.window().is_some() || self.rule.guards.cooldown.as_ref().is_some_and(per_field)
    }

    pub(crate) fn is_shadow(&self) -> bool {
        self.rule.mode == Mode::Shadow
    }
}

/// The rule's tally of the subject: the known one, or an empty one.
pub(super) fn tally(rule: &CompiledRule, subject: &Subject, facts: &Facts<'_>) -> Tally {
    let known = facts.tallies.get(&rule.rule.id).cloned();
    known.unwrap_or_else(|| Tally::new(rule.rule.id.clone(), subject.clone(), rule.is_shadow()))
}

/// Counts an event for a rule, and says where its window stands.
pub(super) fn count(
    rule: &CompiledRule,
    window: &Window,
    event: &Event,
    tree: &Node<'_>,
    tally: &mut Tally,
    at: Time,
) -> WindowStand {
    let mut whats: Vec<String> = match &window.kind {
        WindowKind::EventCount { .. } => vec![String::new()],
        WindowKind::ValueCount { field, .. } => {
            values_at(tree, field).into_iter().map(|node| digest_at(node).to_string()).collect()
        }
        WindowKind::TemporalOrdered { .. } => {
            rule.roles_in(&event.source, tree).into_iter().map(|role: Role| role.to_string()).collect()
        }
    };
    whats.sort_unstable();
    whats.dedup();
    let (count, outcome, signals) = tally.count(window, &whats, event.id.as_str(), at);
    WindowStand {
        rule: rule.rule.id.clone(),
        revision: rule.revision,
        count,
        of: window.needed(),
        within: window.span,
        outcome,
        signals,
    }
}
