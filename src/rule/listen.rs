//! What a rule listens to: event patterns, each with the role that its events play.

use super::{CompiledRule, EventFilter, Trigger, WindowKind};
use crate::id::Source;
use crate::json::Node;
use crate::pattern::Pattern;
use crate::signal::Event;
use crate::words::words;

words! {
    /// What an event is to a rule that listens to it.
    Role, "role of an event" {
        First: "first", "the event that the rule is about; of an ordered pair, the one that begins it";
        Second: "second", "of an ordered pair, the event that completes it";
        Awaited: "awaited", "an event whose absence the rule acts on: it closes a deadline";
        Opens: "opens", "an event that opens a deadline";
    }
}

/// One of the patterns that a rule listens to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Listened<'a> {
    /// What a matching event is to the rule.
    pub role: Role,
    /// The sources whose events count; none means all.
    pub sources: &'a [Source],
    /// What the event must look like.
    pub pattern: &'a Pattern,
}

impl Trigger {
    /// The event patterns that the trigger listens to, the same role perhaps more than once; none
    /// for a trigger that is not about events.
    #[must_use]
    pub fn listens(&self) -> Vec<Listened<'_>> {
        match self {
            Self::Event { sources, pattern, window } => {
                let first = Listened { role: Role::First, sources, pattern };
                let second = window.as_ref().and_then(|window| match &window.kind {
                    WindowKind::TemporalOrdered { sources, pattern } => {
                        Some(Listened { role: Role::Second, sources, pattern })
                    }
                    _ => None,
                });
                std::iter::once(first).chain(second).collect()
            }
            Self::Schedule { absent: Some(absent), .. } => vec![heard(Role::Awaited, &absent.awaited)],
            Self::Deadline(deadline) => {
                vec![heard(Role::Opens, &deadline.opens), heard(Role::Awaited, &deadline.closes)]
            }
            Self::Score(_) | Self::Schedule { .. } | Self::Manual => Vec::new(),
        }
    }
}

const fn heard(role: Role, filter: &EventFilter) -> Listened<'_> {
    Listened { role, sources: filter.sources.as_slice(), pattern: &filter.pattern }
}

impl Listened<'_> {
    /// Whether an event of that source and with that content is meant.
    pub(crate) fn hears(&self, source: &Source, tree: &Node<'_>) -> bool {
        (self.sources.is_empty() || self.sources.contains(source)) && self.pattern.matches_node(tree)
    }
}

impl CompiledRule {
    /// The roles that an event plays for the rule, each once; none where the rule does not
    /// listen to it. The subject's attributes and the rule's mode are not asked.
    #[must_use]
    pub fn roles(&self, event: &Event) -> Vec<Role> {
        self.roles_in(&event.source, &event.payload.tree())
    }

    /// [`roles`](Self::roles) of an event that has been read already.
    pub(crate) fn roles_in(&self, source: &Source, tree: &Node<'_>) -> Vec<Role> {
        let listens = self.rule.trigger.listens();
        let heard = listens.iter().filter(|listened| listened.hears(source, tree));
        let mut roles: Vec<Role> = heard.map(|listened| listened.role).collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }
}
