//! What a commit does, or does wrong.

use tipstaff::{AuditDraft, Commit, Committed, Head, Record, StoreError};

use super::{Data, Faulty};
use crate::defects::Defect;

impl Faulty {
    pub(super) fn commit_now(&self, commit: &Commit) -> Result<Committed, StoreError> {
        let named = commit.fence.iter().chain(&commit.expect).map(|(key, _)| &key.tenant);
        let named = named.chain(commit.put.iter().map(|record| &record.key.tenant));
        let mut named = named.chain(commit.audit.iter().map(|draft| &draft.tenant));
        if !self.has(Defect::WritesForOthers) && named.any(|tenant| *tenant != commit.tenant) {
            let fault = "it names another tenant's".to_owned();
            return Err(StoreError::Corrupt { place: commit.id.to_string(), fault });
        }
        let data = self.data();
        let tenant = (!self.has(Defect::CommitIdsOfAll)).then(|| commit.tenant.clone());
        let id = (tenant, commit.id);
        let known = |data: &Data| match self.defect {
            Defect::CommitIdsInMemory => self.own.lock().unwrap().commits.contains(&id),
            _ => data.commits.contains(&id),
        };
        if self.has(Defect::RefusesNothing)
            && commit.put.is_empty()
            && commit.audit.is_empty()
            && commit.expect.is_empty()
            && commit.fence.is_empty()
        {
            return Err(StoreError::Corrupt { place: "commit".to_owned(), fault: "is empty".to_owned() });
        }
        let late = self.has(Defect::LooksForRepeatsLast);
        if !late && known(&data) {
            return Ok(Committed::AlreadyApplied);
        }
        // What a racing defect saw before the others came in.
        let seen = |data: &Data| {
            let drafts = commit.audit.iter().map(|draft| self.lane(&draft.tenant, draft.lane));
            drafts
                .map(|lane| {
                    let last = data.lanes.get(&lane).and_then(|records| records.last());
                    last.map_or_else(Head::default, |record| Head { seq: record.seq, hash: record.hash })
                })
                .collect::<Vec<_>>()
        };
        let heads = self.has(Defect::HeadsReadEarly).then(|| seen(&data));
        let mut data = self.pause(Defect::HeadsReadEarly, data);
        data = self.pause(Defect::RepeatsCheckedEarly, data);
        if !late && !self.has(Defect::RepeatsCheckedEarly) && known(&data) {
            return Ok(Committed::AlreadyApplied);
        }
        if self.has(Defect::KeepsRefusedIds) {
            data.commits.insert(id.clone());
        }
        if self.has(Defect::AuditsRefused) {
            commit.audit.iter().for_each(|draft| self.append(&mut data, draft, None));
        }
        if !self.has(Defect::IgnoresFences) {
            let looked_at = if self.has(Defect::ChecksTheFirstFence) { 1 } else { usize::MAX };
            for (key, token) in commit.fence.iter().take(looked_at) {
                let held = data.records.get(&self.place(key)).map(|record| record.token);
                let passes = match self.defect {
                    Defect::FencesOnlyLower => held.is_some_and(|held| *token >= held),
                    _ => held == Some(*token),
                };
                if !passes {
                    return Err(StoreError::Fenced(key.clone()));
                }
            }
        }
        for (key, version) in &commit.expect {
            let ignored = self.has(Defect::IgnoresExpectedNone) && *version == 0;
            if !ignored && self.version(&data, key) != *version {
                return Err(StoreError::Conflict(key.clone()));
            }
        }
        let fits = |data: &Data, record: &Record| match self.defect {
            Defect::AcceptsLaterVersions => record.version >= self.version(data, &record.key),
            _ => record.version == self.version(data, &record.key),
        };
        for record in &commit.put {
            if !fits(&data, record) {
                return Err(StoreError::Conflict(record.key.clone()));
            }
            if self.has(Defect::WritesWhatItCan) {
                let record = self.with_lease(&data, record);
                self.write(&mut data, &record);
            }
        }
        if late && known(&data) {
            return Ok(Committed::AlreadyApplied);
        }
        if self.has(Defect::ExpectationsCheckedEarly) && !commit.expect.is_empty() {
            data = self.pause(Defect::ExpectationsCheckedEarly, data);
            if known(&data) {
                return Ok(Committed::AlreadyApplied);
            }
        }
        if self.has(Defect::FencesCheckedEarly) && !commit.fence.is_empty() {
            data = self.pause(Defect::FencesCheckedEarly, data);
            if known(&data) {
                return Ok(Committed::AlreadyApplied);
            }
        }
        data = self.pause(Defect::VersionsCheckedEarly, data);
        if self.has(Defect::VersionsCheckedEarly) && known(&data) {
            return Ok(Committed::AlreadyApplied);
        }
        if !self.has(Defect::WritesWhatItCan) {
            let kept = if self.has(Defect::CutsLargeCommits) { 500 } else { usize::MAX };
            for record in commit.put.iter().take(kept) {
                let record = self.with_lease(&data, record);
                self.write(&mut data, &record);
            }
        }
        if self.has(Defect::AuditsLater) && !commit.put.is_empty() && !commit.audit.is_empty() {
            // Known from now on, so that a repeat does not wait.
            data.commits.insert(id.clone());
            data = self.pause(Defect::AuditsLater, data);
        }
        if !self.has(Defect::AuditsRefused) {
            let mut heads: Vec<Option<Head>> = match heads {
                None => vec![None; commit.audit.len()],
                Some(heads) => heads.into_iter().map(Some).collect(),
            };
            // A draft after another of its lane goes after that one.
            for (i, head) in heads.iter_mut().enumerate() {
                let again = |earlier: &AuditDraft| earlier.lane == commit.audit[i].lane;
                if commit.audit[..i].iter().any(again) {
                    *head = None;
                }
            }
            let mut drafts: Vec<_> = commit.audit.iter().zip(heads).collect();
            if self.has(Defect::ReversesAudit) {
                drafts.reverse();
            }
            let last = drafts.len().saturating_sub(1);
            let before: Vec<_> =
                drafts.iter().map(|(draft, _)| self.lane(&draft.tenant, draft.lane)).collect();
            drafts.into_iter().for_each(|(draft, head)| self.append(&mut data, draft, head));
            if self.has(Defect::LanesFillLater) && last > 0 && before.iter().all(|lane| *lane == before[0]) {
                // The one before the last comes into sight after it.
                let lane = data.lanes.get_mut(&before[0]).unwrap();
                let late = lane.remove(lane.len() - 2);
                data.commits.insert(id.clone());
                data = self.pause(Defect::LanesFillLater, data);
                let lane = data.lanes.get_mut(&before[0]).unwrap();
                let place = lane.iter().position(|record| record.seq > late.seq).unwrap_or(lane.len());
                lane.insert(place, late);
            }
        }
        let empty = commit.put.is_empty() && commit.audit.is_empty() && commit.fence.is_empty();
        if !(self.has(Defect::ForgetsEmptyCommits) && empty) {
            data.commits.insert(id.clone());
        }
        if self.has(Defect::KeepsFewCommits) {
            data.order.push(id.1);
            let gone = data.order.len().checked_sub(64).map(|place| data.order[place]);
            data.commits.retain(|(_, known)| Some(*known) != gone);
        }
        let mut own = self.own.lock().unwrap();
        own.commits.insert(id);
        own.pages.clear();
        Ok(Committed::Applied)
    }

    /// The record with the end of its lease as it stands, where it is the same lease.
    fn with_lease(&self, data: &Data, record: &Record) -> Record {
        let mut record = record.clone();
        let there = data.records.get(&self.place(&record.key)).and_then(|there| there.lease.as_ref());
        if let (Some(lease), Some(there)) = (&mut record.lease, there)
            && (self.has(Defect::PutsKeepAnyLease)
                || (&lease.worker, lease.nonce) == (&there.worker, there.nonce))
        {
            lease.until = match self.defect {
                Defect::PutsUndoRenewals => lease.until,
                Defect::PutsUndoReturns => lease.until.max(there.until),
                _ => there.until,
            };
        }
        record
    }
}
