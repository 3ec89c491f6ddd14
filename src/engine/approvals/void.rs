//! The last look before a delivery: does the approval cover what is about to be done?

use super::approval_key;
use crate::approval::{Approval, ApprovedPart, Carried, VoidReason};
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::broken::{self, Defect};
use crate::enforcement::{Enforcement, Purpose};
use crate::engine::intake::trigger_key;
use crate::engine::looks::{Look, Looks};
use crate::engine::{Engine, EngineError};
use crate::plan::Decision;
use crate::store::{Key, decode};
use crate::time::Time;

impl Engine {
    /// Why nothing may be delivered: the approval that was asked for is not there, was not granted
    /// by enough people, or is for something else. The states allow no such thing; this stands
    /// between them and a stored record that was changed by hand. A record that cannot be read is
    /// no approval: the enforcement ends, and is not claimed for ever.
    pub(in crate::engine) async fn approval_fault(
        &self,
        enforcement: &Enforcement,
        looks: &Looks<'_>,
        look: &Look,
    ) -> Result<Option<VoidReason>, EngineError> {
        let Some(keys) = approval_keys(enforcement) else { return Ok(None) };
        let again;
        let look = match look.has(&keys) {
            true => look,
            false => {
                again = looks.look(keys.to_vec(), false).await?;
                &again
            }
        };
        let (asked, decided) = (look.record(&keys[0]), look.record(&keys[1]));
        let trigger = enforcement.origin.trigger;
        let Some(asked) = asked else { return Ok(Some(VoidReason::Missing)) };
        let approval = match decode::<Approval>(asked) {
            Ok(stored) => stored.body,
            Err(error) => return Ok(Some(VoidReason::Damaged(error.to_string()))),
        };
        let decision = decided.map(decode::<Decision>).transpose().ok().flatten();
        let Some(decision) = decision.filter(|decision| decision.body.id == trigger) else {
            return Ok(Some(VoidReason::Changed(ApprovedPart::Trigger)));
        };
        let carried = Carried {
            enforcement: enforcement.id,
            subject: &enforcement.subject,
            action: &enforcement.action,
            params: &enforcement.params,
            trigger,
            evidence: &decision.body.evidence,
        };
        Ok(approval.covers(&carried).err())
    }
}

/// Where the approval of an action stands, and the decision that it was asked for; none where nobody was
/// asked.
pub(in crate::engine) fn approval_keys(enforcement: &Enforcement) -> Option<[Key; 2]> {
    let asked = enforcement.approval.filter(|_| enforcement.purpose == Purpose::Action);
    let id = asked.filter(|_| !broken::is(Defect::ApprovalNotCarried))?;
    let tenant = &enforcement.tenant;
    Some([approval_key(tenant, id), trigger_key(tenant, enforcement.origin.trigger)])
}

/// What the log says of an approval that did not cover its enforcement.
pub(in crate::engine) fn voided(enforcement: &Enforcement, void: &VoidReason, now: Time) -> AuditDraft {
    let reason: String = void.to_string().chars().take(500).collect();
    let draft = enforcement.draft(AuditCode::ApprovalVoided, Actor::Engine, now).detail("reason", reason);
    match void {
        VoidReason::Changed(part) => draft.detail("part", part.as_str()),
        _ => draft,
    }
}
