//! Taking records to be carried out.

use std::collections::BTreeSet;

use super::StoreError;
use super::codec::{decode, enforcement_record};
use super::record::{Key, Kind, Lease, Record};
use crate::action::ActionType;
use crate::audit::{Actor, AuditDraft};
use crate::enforcement::{Enforcement, Input, Purpose};
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

    /// Makes the claim of one record: the next token, one more attempt, a lease. `None` where a
    /// kill switch holds it back, or where it should have started before: its timer ends it then.
    /// Pure; the store writes the result in its transaction.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a record that is no enforcement or cannot be taken in its state.
    pub fn take(
        &self,
        record: &Record,
        control: Option<&Record>,
        store_now: Time,
    ) -> Result<Option<Taken>, StoreError> {
        let stored = decode::<Enforcement>(record)?;
        let control = match control {
            Some(control) => decode::<Control>(control)?.body,
            None => Control::default(),
        };
        let enforcement = &stored.body;
        let rules = enforcement.holders.iter().map(|holder| &holder.rule);
        // A notice takes nothing away from anybody, and approvers must hear of what waits.
        if enforcement.purpose == Purpose::Action && control.stops(rules, &enforcement.action).is_some() {
            return Ok(None);
        }
        if enforcement.state.due_at().is_some_and(|start_by| start_by <= self.until) {
            return Ok(None);
        }
        let token = record.token.saturating_add(1);
        let input = Input::Claim { token, worker: self.worker.clone(), at: store_now };
        let actor = Actor::Worker(self.worker.clone());
        let (next, audit) =
            enforcement.step(&input, actor, self.until).map_err(|error| StoreError::Corrupt {
                place: record.key.to_string(),
                fault: format!("it waits to be claimed, but {error}"),
            })?;
        let mut record = enforcement_record(&stored.with(next), record.version);
        record.token = token;
        record.lease = Some(Lease {
            worker: self.worker.clone(),
            nonce: self.nonce,
            until: store_now.after(self.lease),
        });
        Ok(Some(Taken { record, audit }))
    }
}
