//! What a claim and a renewal do, or do wrong.

use tipstaff::{Claim, Kind, Lease, Record, Renewal, StoreError, Taken, Time};

use super::{Data, Faulty};
use crate::defects::Defect;

impl Faulty {
    /// Whether the claim may have the record at all.
    fn may_take(&self, claim: &Claim, record: &Record, now: Time) -> bool {
        let mut claim = claim.clone();
        let mut record = record.clone();
        let mut now = now;
        match self.defect {
            Defect::ReadyIsLater => claim.until = Time::from_micros(claim.until.micros() - 1),
            Defect::IgnoresChannels => claim.channels = None,
            Defect::NoticesStay if record.key.kind == Kind::Notice => return false,
            Defect::HolderTakesAgain
                if record.lease.as_ref().is_some_and(|lease| lease.worker == claim.worker) =>
            {
                record.lease = None;
            }
            Defect::NoRescue if record.lease.is_some() => return false,
            Defect::LeasesEndByDecisionTime => now = claim.until,
            _ => {}
        }
        claim.may_take(&record, now)
    }

    fn take(
        &self,
        data: &Data,
        claim: &Claim,
        record: &Record,
        now: Time,
    ) -> Result<Option<Taken>, StoreError> {
        let tenant = &record.key.tenant;
        if self.has(Defect::SenselessBlocks) && !record.body.contains("holders") {
            let place = record.key.to_string();
            return Err(StoreError::Corrupt { place, fault: "it makes no sense".to_owned() });
        }
        let control = data.records.get(&Claim::control_key(tenant)).cloned();
        let control = match self.defect {
            Defect::IgnoresControl => None,
            Defect::RemembersControl => {
                self.own.lock().unwrap().controls.entry(tenant.clone()).or_insert(control).clone()
            }
            _ => control,
        };
        if self.has(Defect::TokensBeginAgain) && record.lease.is_none() {
            return Ok(claim.take(&Record { token: 0, ..record.clone() }, control.as_ref(), now));
        }
        let mut taken = claim.take(record, control.as_ref(), now);
        if let (Some(made), Some(old), true) =
            (&mut taken, &record.lease, self.has(Defect::RescueKeepsHolder))
            && let Some(lease) = &mut made.record.lease
        {
            lease.worker = old.worker.clone();
        }
        if let (Some(made), true) = (&mut taken, self.has(Defect::ClaimsWithoutAudit)) {
            made.audit.clear();
        }
        Ok(taken)
    }

    pub(super) fn claim_now(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let data = self.data();
        let now = Time::from_micros(data.now);
        let holds = |lease: &Lease| lease.nonce == claim.nonce && lease.worker == claim.worker;
        let held = data.records.values().filter(|record| record.lease.as_ref().is_some_and(holds));
        let held: Vec<Record> = held.cloned().collect();
        let topped = self.has(Defect::RepeatsFillUp);
        if !held.is_empty() && !topped && !self.has(Defect::NoncesForgotten) {
            return Ok(held);
        }
        let mut max = claim.max - if topped { held.len().min(claim.max) } else { 0 };
        let ready = data.records.values().filter(|record| self.may_take(claim, record, now));
        let mut candidates: Vec<Record> = ready.cloned().collect();
        candidates.sort_by_key(|record| record.queue.as_ref().map(|queue| queue.ready_at));
        if self.has(Defect::DeclinedTakePlaces) {
            candidates.truncate(max);
        }
        if self.has(Defect::MaxOfEachTenant) {
            max = usize::MAX;
        }
        let mut data = self.pause(Defect::ClaimsCheckedEarly, data);
        let mut taken: Vec<Taken> = Vec::new();
        let mut given = if topped { held } else { Vec::new() };
        for record in &candidates {
            let of_tenant = taken.iter().filter(|made| made.record.key.tenant == record.key.tenant).count();
            if taken.len() >= max || self.has(Defect::MaxOfEachTenant) && of_tenant >= claim.max {
                continue;
            }
            let Some(made) = self.take(&data, claim, record, now)? else { continue };
            taken.push(made);
        }
        for made in &taken {
            made.audit.iter().for_each(|draft| self.append(&mut data, draft, None));
            given.push(self.write(&mut data, &made.record));
        }
        self.own.lock().unwrap().pages.clear();
        Ok(given)
    }

    pub(super) fn renew_now(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        let mut data = self.data();
        let until = Time::from_micros(data.now).after(renewal.lease);
        let fenced = StoreError::Fenced(renewal.key.clone());
        let Some(record) = data.records.get_mut(&renewal.key) else { return Err(fenced) };
        let token = record.token == renewal.token
            || self.has(Defect::RenewsLowerTokens) && renewal.token < record.token;
        if self.has(Defect::RenewsTheSettled) && token && record.lease.is_none() {
            return Ok(until);
        }
        match &mut record.lease {
            Some(lease) if token => lease.until = until,
            _ => return Err(fenced),
        }
        record.version += u64::from(self.has(Defect::RenewalsAreWrites));
        Ok(until)
    }
}
