//! What rules remember of a subject, and the records on which storms are counted.

use std::collections::BTreeMap;

use super::intake::{enforcement_key, replace};
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::enforcement::Enforcement;
use crate::hash::Hasher;
use crate::id::{RuleId, Subject, TenantId};
use crate::plan::Plan;
use crate::rule::CompiledRule;
use crate::signal::Signal;
use crate::state::Tally;
use crate::store::{Key, Kind};

impl Engine {
    /// Loads what the concerned rules remember of the subject: only those that remember anything.
    pub(super) async fn tallies(
        &self,
        tx: &mut Tx<'_>,
        concerned: &[std::sync::Arc<CompiledRule>],
        signal: &Signal,
    ) -> Result<BTreeMap<RuleId, Tally>, EngineError> {
        let mut known = BTreeMap::new();
        let keys: Vec<(RuleId, Key)> = concerned
            .iter()
            .filter_map(|rule| Some((rule.rule.id.clone(), tally_of(rule, signal)?)))
            .collect();
        tx.load(keys.iter().map(|(_, key)| key.clone())).await?;
        for (rule, key) in keys {
            if let Some(tally) = tx.get::<Tally>(&key)? {
                known.insert(rule, tally.body);
            }
        }
        Ok(known)
    }

    /// Puts what rules remember from now on, and raises the counts of the storms' records.
    pub(super) async fn put_counts(&self, tx: &mut Tx<'_>, planned: &Plan) -> Result<(), EngineError> {
        let tenant = &planned.decision.tenant;
        for tally in planned.tallies.values() {
            let key = tally_key(tenant, &tally.rule, &tally.subject, tally.shadow);
            // What is not counted leaves no record.
            let nothing = tally.emptied();
            let known = tx.get::<Tally>(&key)?.map_or(nothing, |known| known.body);
            if *tally != known {
                replace(tx, key, tally.clone())?;
            }
        }
        let keys: Vec<Key> = planned.repeated.iter().map(|made| enforcement_key(tenant, *made)).collect();
        tx.load(keys.clone()).await?;
        for key in keys {
            // One that somebody removed counts no more; the rest that it began knows the number.
            if let Some(known) = tx.get::<Enforcement>(&key)? {
                let next = known.body.clone().repeated(planned.decision.signal.at);
                tx.put_held(&key, &known.with(next));
            }
        }
        Ok(())
    }

    /// Forgets a tally when nothing in it can count any more. The record stays, empty, because a
    /// store keeps what it has; nothing is audited, as nothing that was decided changes.
    pub(super) fn forget_tally(&self, tx: &mut Tx<'_>, key: &Key) -> Result<bool, EngineError> {
        let Some(stored) = tx.get::<Tally>(key)? else { return Ok(false) };
        let emptied = stored.body.emptied();
        tx.put(key.clone(), &stored.with(emptied));
        Ok(true)
    }
}

/// Where a rule keeps what it remembers of the subject of a signal, if it remembers anything.
pub(super) fn tally_of(rule: &CompiledRule, signal: &Signal) -> Option<Key> {
    let counts = matches!(signal, Signal::Event(_)) && rule.tallies();
    counts.then(|| tally_key(signal.tenant(), &rule.rule.id, signal.subject(), rule.is_shadow()))
}

/// One tally a rule, subject and mode; a hash, as the three together are longer than keys may be.
fn tally_key(tenant: &TenantId, rule: &RuleId, subject: &Subject, shadow: bool) -> Key {
    let hasher = Hasher::new("tipstaff/tally/1").text(rule.as_str()).number(shadow.into());
    Key::new(tenant, Kind::Tally, subject.feed(hasher).finish().to_string())
}
