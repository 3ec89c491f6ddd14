//! The fields that decided, small enough to keep with the decision.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rule::CompiledRule;
use crate::signal::Signal;

/// The most fields that a decision keeps.
pub const MAX_EVIDENCE_FIELDS: usize = 64;

/// The fields that the rules' patterns name, as the event has them.
pub(super) fn of(signal: &Signal, rules: &[Arc<CompiledRule>]) -> BTreeMap<String, String> {
    let Signal::Event(event) = signal else { return BTreeMap::new() };
    let tree = event.payload.tree();
    let listens = rules.iter().flat_map(|rule| rule.rule.trigger.listens());
    let heard = listens.filter(|listened| listened.hears(&event.source, &tree));
    let seen = heard.flat_map(|listened| listened.pattern.evidence_node(&tree));
    let fields: BTreeMap<_, _> =
        seen.filter(|seen| !seen.values.is_empty()).map(|seen| (seen.path, seen.values.join(", "))).collect();
    fields.into_iter().take(MAX_EVIDENCE_FIELDS).collect()
}
