//! The fields that decided, small enough to keep with the decision.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::rule::{CompiledRule, Trigger};
use crate::signal::Signal;

/// The most fields that a decision keeps.
pub const MAX_EVIDENCE_FIELDS: usize = 64;
/// The longest value that a decision keeps, in bytes of JSON text; a longer one is cut.
pub const MAX_EVIDENCE_BYTES: usize = 256;

/// The fields that the rules' patterns name, as the event has them.
pub(super) fn of(signal: &Signal, rules: &[Arc<CompiledRule>]) -> BTreeMap<String, String> {
    let mut evidence = BTreeMap::new();
    if let Signal::Event(event) = signal {
        for rule in rules {
            if let Trigger::Event { pattern, .. } = &rule.rule.trigger {
                for field in pattern.explain(&event.payload).fields {
                    if !field.seen.is_empty() && evidence.len() < MAX_EVIDENCE_FIELDS {
                        let mut seen = field.seen.join(", ");
                        if seen.len() > MAX_EVIDENCE_BYTES {
                            let cut = (0..=MAX_EVIDENCE_BYTES).rev().find(|i| seen.is_char_boundary(*i));
                            seen.truncate(cut.unwrap_or(0));
                            seen.push('…');
                        }
                        evidence.insert(field.path, seen);
                    }
                }
            }
        }
    }
    evidence
}
