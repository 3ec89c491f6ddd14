//! What a commit does, or does wrong.

use tipstaff::{AuditDraft, Commit, Committed, Head, Record, StoreError};

use super::{Data, Faulty};
use crate::defects::Defect;

impl Faulty {
    pub(super) fn commit_now(&self, commit: &Commit) -> Result<Committed, StoreError> {
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
            for (key, token) in &commit.fence {
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
                self.write(&mut data, record);
            }
        }
        if late && known(&data) {
            return Ok(Committed::AlreadyApplied);
        }
        data = self.pause(Defect::VersionsCheckedEarly, data);
        if self.has(Defect::VersionsCheckedEarly) && known(&data) {
            return Ok(Committed::AlreadyApplied);
        }
        if !self.has(Defect::WritesWhatItCan) {
            for record in &commit.put {
                self.write(&mut data, record);
            }
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
            drafts.into_iter().for_each(|(draft, head)| self.append(&mut data, draft, head));
        }
        data.commits.insert(id.clone());
        let mut own = self.own.lock().unwrap();
        own.commits.insert(id);
        own.pages.clear();
        Ok(Committed::Applied)
    }
}
