//! What a claim and a renewal do, or do wrong.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use tipstaff::{Claim, Kind, Lease, MAX_CLAIM, Record, Renewal, StoreError, Taken, TenantId, Time};

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
            Defect::LeasesLastAMoment => now = Time::from_micros(now.micros() - 1),
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

    /// What may be taken, in the order in which it is.
    fn turns(&self, data: &Data, claim: &Claim, now: Time) -> Result<Vec<Record>, StoreError> {
        let ready = data.records.values().filter(|record| self.may_take(claim, record, now));
        let mut ready: Vec<Record> = ready.cloned().collect();
        if self.has(Defect::ClaimsByName) {
            return Ok(ready);
        }
        let since = |record: &Record| record.queue.as_ref().map(|queue| queue.ready_at);
        match self.has(Defect::NewestFirst) {
            true => ready.sort_by_key(|record| Reverse(since(record))),
            false => ready.sort_by_key(since),
        }
        if self.has(Defect::LongestReadyFirst) {
            return Ok(ready);
        }
        let mut laps: BTreeMap<TenantId, usize> = BTreeMap::new();
        let mut turns = Vec::new();
        for record in ready {
            let tenant = record.key.tenant.clone();
            let lap = laps.entry(tenant.clone()).or_default();
            let had_its_turn = claim.after.as_ref().is_some_and(|after| match self.defect {
                Defect::TurnsBeginWithTheFirst => false,
                Defect::TurnsBeginWithTheLast => tenant < *after,
                _ => tenant <= *after,
            });
            let apart = match self.defect {
                Defect::LapsedLast => record.lease.is_some(),
                Defect::LapsedFirst => record.lease.is_none(),
                _ => false,
            };
            turns.push(((apart, *lap, had_its_turn, tenant), record.clone()));
            let taken = self.take(data, claim, &record, now)?.is_some();
            *lap += usize::from(taken || self.has(Defect::DeclinedTakeTurns));
        }
        turns.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(turns.into_iter().map(|(_, record)| record).collect())
    }

    /// Those to whose lanes anything can be appended; where there are only others, it says so.
    fn sound(&self, data: &Data, mut candidates: Vec<Record>, max: usize) -> Result<Vec<Record>, StoreError> {
        let is_damaged = |record: &Record| data.damaged.contains(&record.key.tenant);
        let Some(damaged) = candidates.iter().position(is_damaged) else { return Ok(candidates) };
        let place = candidates[damaged].key.tenant.to_string();
        let damage = Err(StoreError::Corrupt { place, fault: "the lane has no end".to_owned() });
        match self.defect {
            Defect::DamageBlocks => return damage,
            Defect::DamageTakesPlaces if damaged < max => candidates.truncate(max),
            _ => {}
        }
        candidates.retain(|record| !is_damaged(record));
        if candidates.is_empty() && !self.has(Defect::DamageIsSilent) { damage } else { Ok(candidates) }
    }

    pub(super) fn claim_now(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let data = self.data();
        let now = Time::from_micros(data.now);
        let holds = |lease: &Lease| {
            lease.nonce == claim.nonce && (self.has(Defect::NoncesOfAll) || lease.worker == claim.worker)
        };
        let held = data.records.values().filter(|record| record.lease.as_ref().is_some_and(holds));
        let held: Vec<Record> = held.cloned().collect();
        let topped = self.has(Defect::RepeatsFillUp);
        if !held.is_empty() && !topped && !self.has(Defect::NoncesForgotten) {
            return Ok(held);
        }
        let most = match self.defect {
            Defect::ClaimsWithoutBound => claim.max,
            _ => claim.max.clamp(1, MAX_CLAIM),
        };
        let mut max = most - if topped { held.len().min(most) } else { 0 };
        let mut candidates = self.sound(&data, self.turns(&data, claim, now)?, max)?;
        if self.has(Defect::DeclinedTakePlaces) {
            candidates.truncate(max);
        }
        if self.has(Defect::LateTakePlaces) {
            let any_time = Claim { until: Time::MIN, ..claim.clone() };
            let mut kept = Vec::new();
            for record in candidates {
                if self.take(&data, &any_time, &record, now)?.is_some() {
                    kept.push(record);
                }
            }
            kept.truncate(max);
            candidates = kept;
        }
        if self.has(Defect::MaxOfEachTenant) {
            max = usize::MAX;
        }
        let mut data = self.pause(Defect::ClaimsCheckedEarly, data);
        if self.has(Defect::ClaimRepeatsCheckedEarly) {
            data = self.pause(Defect::ClaimRepeatsCheckedEarly, data);
            candidates = self.sound(&data, self.turns(&data, claim, now)?, max)?;
        }
        let mut taken: Vec<Taken> = Vec::new();
        let mut given = if topped { held } else { Vec::new() };
        for record in &candidates {
            let of_tenant = taken.iter().filter(|made| made.record.key.tenant == record.key.tenant).count();
            if taken.len() >= max || self.has(Defect::MaxOfEachTenant) && of_tenant >= most {
                continue;
            }
            let Some(made) = self.take(&data, claim, record, now)? else { continue };
            taken.push(made);
        }
        let first = taken.first().map(|made| made.record.key.tenant.clone());
        for made in &mut taken {
            if self.has(Defect::RepeatsSeeAPart) && !given.is_empty() {
                data = self.pause(Defect::RepeatsSeeAPart, data);
                // Another claim may have been faster.
                if self.version(&data, &made.record.key) != made.record.version {
                    continue;
                }
            }
            if self.has(Defect::ClaimsAuditOneTenant) && first.as_ref() != Some(&made.record.key.tenant) {
                made.audit.clear();
            }
            if self.has(Defect::LeasesInSeconds)
                && let Some(lease) = &mut made.record.lease
            {
                lease.until = Time::from_micros(lease.until.micros() / 1_000_000 * 1_000_000);
            }
            made.audit.iter().for_each(|draft| self.append(&mut data, draft, None));
            given.push(self.write(&mut data, &made.record));
        }
        self.own.lock().unwrap().pages.clear();
        Ok(given)
    }

    pub(super) fn renew_now(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        let mut data = self.data();
        let now = Time::from_micros(data.now);
        let mut until = now.after(renewal.lease);
        if self.has(Defect::RenewalsCheckedEarly) {
            let held = data.records.get(&renewal.key).filter(|record| record.token == renewal.token);
            if held.is_none_or(|record| record.lease.is_none()) {
                return Err(StoreError::Fenced(renewal.key.clone()));
            }
            data = self.pause(Defect::RenewalsCheckedEarly, data);
            if let Some(lease) = data.records.get_mut(&renewal.key).and_then(|record| record.lease.as_mut()) {
                lease.until = until;
            }
            return Ok(until);
        }
        let fenced = StoreError::Fenced(renewal.key.clone());
        let Some(record) = data.records.get_mut(&renewal.key) else { return Err(fenced) };
        let token = record.token == renewal.token
            || self.has(Defect::RenewsLowerTokens) && renewal.token < record.token;
        if self.has(Defect::RenewsTheSettled) && token && record.lease.is_none() {
            return Ok(until);
        }
        match &mut record.lease {
            Some(lease) if self.has(Defect::LapsedIsLost) && lease.until <= now => return Err(fenced),
            Some(lease) if token => {
                if self.has(Defect::RenewalsAddUp) {
                    until = lease.until.after(renewal.lease);
                }
                lease.until = until;
            }
            _ => return Err(fenced),
        }
        record.version += u64::from(self.has(Defect::RenewalsAreWrites));
        Ok(until)
    }
}
