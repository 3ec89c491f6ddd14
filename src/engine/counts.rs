//! What rules have done. Each host counts in a record of its own, as far as the number of records allows,
//! so that hosts that work for one rule at the same time are not in each other's way.

use super::intake::replace;
use super::tx::Tx;
use super::{Engine, EngineError};
use crate::enforcement::Holder;
use crate::hash::Hasher;
use crate::id::{RuleId, TenantId, WorkerId};
use crate::state::RuleStats;
use crate::store::{Key, Kind, Record, StoreError, decode};

/// In how many records the counts of a rule stand at most, beside the first. Hosts that share one wait
/// for each other now and then; whoever asks for the counts reads all of them.
const PARTS: u64 = 32;

/// Which of the records of each rule a host counts in; the first before it has a name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Part(u64);

impl Part {
    /// That of what any host may count down again: it stands in one place.
    pub(super) const FIRST: Self = Self(0);

    pub(super) fn of(worker: &WorkerId) -> Self {
        let hash = Hasher::new("tipstaff/part/1").text(worker.as_str()).finish();
        Self(1 + u64::from(hash.bytes()[0]) % PARTS)
    }
}

/// Where a part of a rule's counts stands. The first is the rule's own id; no id ends with a space.
pub(super) fn stats_key(tenant: &TenantId, rule: &RuleId, part: Part) -> Key {
    let id = match part {
        Part(0) => rule.as_str().to_owned(),
        Part(n) => format!("{rule} {n} "),
    };
    Key::new(tenant, Kind::Stats, id)
}

/// Every place where a rule is counted.
pub(super) fn stats_keys<'a>(tenant: &'a TenantId, rule: &'a RuleId) -> impl Iterator<Item = Key> + 'a {
    (0..=PARTS).map(move |n| stats_key(tenant, rule, Part(n)))
}

/// The counts of a rule, of the records that stand at [`stats_keys`].
pub(super) fn sum<'r>(records: impl IntoIterator<Item = &'r Record>) -> Result<RuleStats, StoreError> {
    let mut sum = RuleStats::default();
    for record in records {
        sum.add(&decode::<RuleStats>(record)?.body);
    }
    Ok(sum)
}

impl Engine {
    /// Counts something for each of the rules. Counters that are damaged stay so: what was carried out
    /// must be settled, or it is carried out again.
    pub(super) async fn count<'r>(
        &self,
        tx: &mut Tx<'_>,
        tenant: &TenantId,
        part: Part,
        rules: impl IntoIterator<Item = &'r RuleId>,
        count: impl Fn(&mut RuleStats),
    ) -> Result<(), EngineError> {
        for rule in rules {
            let key = stats_key(tenant, rule, part);
            tx.load([key.clone()]).await?;
            let Ok(known) = tx.get::<RuleStats>(&key) else { continue };
            let mut stats = known.map(|stored| stored.body).unwrap_or_default();
            count(&mut stats);
            replace(tx, key, stats)?;
        }
        Ok(())
    }
}

/// The rules that asked for an action.
pub(super) fn rules_of(holders: &[Holder]) -> impl Iterator<Item = &RuleId> {
    holders.iter().map(|holder| &holder.rule)
}
