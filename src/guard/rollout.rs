//! Staged rollout: a rule acts on a share of the users, always the same ones.

use super::{Suppressed, Suppression};
use crate::hash::Hasher;
use crate::id::{RuleId, TenantId, UserId};

/// Why the rule does not act on the user yet. A user's place is a hash of tenant, rule and user, so
/// that whoever is in at one share is in at every larger one, and rules do not all begin with the same
/// people.
pub(super) fn held(share: Option<u8>, tenant: &TenantId, rule: &RuleId, user: &UserId) -> Option<Suppressed> {
    let share = share.filter(|share| *share < 100)?;
    let place = place(tenant, rule, user);
    let detail = format!("place {place} of 0 to 99; in are those below {share}");
    (place >= u64::from(share)).then(|| Suppressed::new(Suppression::Rollout).detail(detail))
}

/// A user's place among a hundred.
fn place(tenant: &TenantId, rule: &RuleId, user: &UserId) -> u64 {
    let hasher = Hasher::new("tipstaff/rollout/1").text(tenant.as_str()).text(rule.as_str());
    let hash = hasher.text(user.as_str()).finish();
    let first = hash.bytes().iter().take(8).fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
    first % 100
}
