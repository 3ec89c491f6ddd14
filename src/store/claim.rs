//! Taking records to be carried out.

use std::collections::BTreeSet;

use super::codec::{Stored, decode, enforcement_record};
use super::record::{Key, Kind, Lease, Record};
use crate::action::ActionType;
use crate::audit::{Actor, AuditCode, AuditDraft};
use crate::broken::{self, Defect};
use crate::enforcement::{Enforcement, Input};
use crate::id::{CommitId, TenantId, WorkerId};
use crate::state::Control;
use crate::time::{Span, Time};

/// The most records of one claim.
pub const MAX_CLAIM: usize = 1_000;

/// A worker asks for records to carry out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// Who.
    pub worker: WorkerId,
    /// Recognises a repeat: new for each claim.
    pub nonce: CommitId,
    /// The channels that the worker carries; none means all.
    pub channels: Option<BTreeSet<ActionType>>,
    /// At most that many, 1 to [`MAX_CLAIM`].
    pub max: usize,
    /// The decision time: what is ready then may be taken.
    pub until: Time,
    /// How long the worker may hold them, by the store's clock.
    pub lease: Span,
    /// The tenant that was served last: the turn is the next one's, by name, and after the last
    /// name the first one's. None begins with the first.
    pub after: Option<TenantId>,
}

/// What a claim made of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// The record to store: the version is still that which it replaces.
    pub record: Record,
    /// What to append to the audit log with it.
    pub audit: Vec<AuditDraft>,
}

impl Claim {
    /// The key of the record that says what people have stopped; a store loads it with a record
    /// that it means to take.
    #[must_use]
    pub fn control_key(tenant: &TenantId) -> Key {
        Key::new(tenant, Kind::Control, "control")
    }

    /// Whether people have stopped it. A notice takes nothing away from anybody, and approvers must
    /// hear of what waits; an undo gives back.
    pub(crate) fn is_stopped(enforcement: &Enforcement, control: &Control) -> bool {
        let rules = enforcement.holders.iter().map(|holder| &holder.rule);
        enforcement.purpose.is_stoppable()
            && control.stops(rules, &enforcement.action).is_some()
            && !broken::is(Defect::StoppedIsClaimed)
    }

    /// Whether a record may be taken at all: it waits on one of the channels, is ready, and
    /// nobody holds it. A store that selects in its own language is compared to this.
    #[must_use]
    pub fn may_take(&self, record: &Record, store_now: Time) -> bool {
        let carried =
            |channel: &ActionType| self.channels.as_ref().is_none_or(|channels| channels.contains(channel));
        let ready = |queue: &super::Queue| carried(&queue.channel) && queue.ready_at <= self.until;
        record.queue.as_ref().is_some_and(ready)
            && record.lease.as_ref().is_none_or(|lease| lease.until <= store_now)
    }

    /// Whether [`Claim::take`] may decline a record with that `due_at`. Where it cannot, a store that
    /// looks for a batch need not read the record to know that it has its place there.
    #[must_use]
    pub fn may_decline(&self, control: Option<&Record>, due_at: Option<Time>) -> bool {
        let stops = |control: &Record| match decode::<Control>(control) {
            Ok(Stored { body, .. }) => {
                let all = body.global.is_some() || body.tenant.is_some();
                all || !body.rules.is_empty() || !body.types.is_empty()
            }
            Err(_) => true,
        };
        due_at.is_some_and(|due_at| due_at <= self.until) || control.is_some_and(stops)
    }

    /// Makes the claim of one record: the next token, one more attempt, a lease. `None` where a
    /// kill switch holds it back, or where it should have started before: its timer ends it then.
    /// Pure; the store writes the result in its transaction.
    ///
    /// A record that makes no sense must not hold up the others, and must not be passed over in
    /// silence: it is taken with its body as it is, so that the engine finds the fault and reports
    /// it, at each claim anew. Where what people stopped cannot be read, nothing of that tenant is
    /// taken.
    #[must_use]
    pub fn take(&self, record: &Record, control: Option<&Record>, store_now: Time) -> Option<Taken> {
        let control = match control {
            Some(control) => decode::<Control>(control).ok()?.body,
            None => Control::default(),
        };
        let token = match broken::is(Defect::TokenKept) {
            true => record.token.max(1),
            false => record.token.saturating_add(1),
        };
        let lease = Some(Lease {
            worker: self.worker.clone(),
            nonce: self.nonce,
            until: store_now.after(self.lease),
        });
        let actor = Actor::Worker(self.worker.clone());
        let unsound = |fault: String| {
            let tenant = record.key.tenant.clone();
            let draft = AuditDraft::new(tenant, AuditCode::EnforcementClaimed, actor.clone(), self.until)
                .target(record.key.id.chars().take(64).collect::<String>())
                .detail("fault", fault.chars().take(500).collect::<String>());
            Some(Taken {
                record: Record { token, lease: lease.clone(), ..record.clone() },
                audit: vec![draft],
            })
        };
        let stored = match decode::<Enforcement>(record) {
            Ok(stored) => stored,
            Err(error) => return unsound(error.to_string()),
        };
        let enforcement = &stored.body;
        if Self::is_stopped(enforcement, &control) {
            return None;
        }
        if enforcement.state.due_at().is_some_and(|start_by| start_by <= self.until) {
            return None;
        }
        let input = Input::Claim { token, worker: self.worker.clone(), at: store_now };
        let (next, audit) = match enforcement.step(&input, actor.clone(), self.until) {
            Ok(step) => step,
            Err(error) => return unsound(format!("it waits to be claimed, but {error}")),
        };
        let taken = enforcement_record(&stored.with(next), record.version);
        Some(Taken { record: Record { token, lease, ..taken }, audit })
    }
}
