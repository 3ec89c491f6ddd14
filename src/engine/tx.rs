//! A transaction in the making: what was read, what is to be written, what is to be logged.

use std::collections::BTreeMap;

use super::{EngineError, defects};
use crate::audit::AuditDraft;
use crate::id::{CommitId, TenantId};
use crate::store::{Body, Commit, Committed, Key, Record, Store, StoreError, Stored, decode, encode};

/// How often a call whose answer was lost is repeated before the caller is told.
const REPEATS: usize = 8;

/// Reads through to the store, collects writes, and commits them on the condition that nothing
/// that was read has changed.
pub(super) struct Tx<'s, S> {
    store: &'s S,
    tenant: TenantId,
    seen: BTreeMap<Key, Option<Record>>,
    dirty: BTreeMap<Key, Record>,
    fence: Vec<(Key, u64)>,
    audit: Vec<AuditDraft>,
}

impl<'s, S: Store> Tx<'s, S> {
    pub(super) fn new(store: &'s S, tenant: &TenantId) -> Self {
        Self {
            store,
            tenant: tenant.clone(),
            seen: BTreeMap::new(),
            dirty: BTreeMap::new(),
            fence: Vec::new(),
            audit: Vec::new(),
        }
    }

    /// Reads those of the keys that were not read before.
    pub(super) async fn load(&mut self, keys: impl IntoIterator<Item = Key>) -> Result<(), EngineError> {
        let mut missing: Vec<Key> = keys.into_iter().filter(|key| !self.seen.contains_key(key)).collect();
        missing.sort();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let found = self.store.load(&missing).await?;
        self.seen.extend(missing.into_iter().zip(found));
        Ok(())
    }

    /// The version of a record that was read; 0 where there is none.
    pub(super) fn version(&self, key: &Key) -> u64 {
        self.seen.get(key).and_then(Option::as_ref).map_or(0, |record| record.version)
    }

    /// The record as it was read.
    pub(super) fn record(&self, key: &Key) -> Option<&Record> {
        self.seen.get(key).and_then(Option::as_ref)
    }

    /// What stands at a key: what this transaction wrote, or else what was read.
    pub(super) fn get<T: Body>(&self, key: &Key) -> Result<Option<Stored<T>>, StoreError> {
        let record = self.dirty.get(key).or_else(|| self.record(key));
        record.map(decode).transpose()
    }

    pub(super) fn put<T: Body>(&mut self, key: Key, stored: &Stored<T>) {
        let token = self.record(&key).map_or(0, |record| record.token);
        let record = Record { token, ..encode(key.clone(), self.version(&key), stored) };
        self.dirty.insert(key, record);
    }

    /// Writes what is beside the work on a record: whoever holds it holds it still.
    pub(super) fn put_held<T: Body>(&mut self, key: &Key, stored: &Stored<T>) {
        let lease = self.record(key).and_then(|record| record.lease.clone());
        self.put(key.clone(), stored);
        if let Some(record) = self.dirty.get_mut(key) {
            record.lease = lease;
        }
    }

    /// Writes a body that is new, or replaces the whole of what was there.
    pub(super) fn put_new<T: Body>(&mut self, key: Key, body: T) {
        self.put(key, &Stored::new(body));
    }

    /// Commits only if the claim is still held.
    pub(super) fn fence(&mut self, key: Key, token: u64) {
        self.fence.push((key, token));
    }

    pub(super) fn log(&mut self, drafts: impl IntoIterator<Item = AuditDraft>) {
        self.audit.extend(drafts);
    }

    /// Gives everything that is logged so far the reason that a person named.
    pub(super) fn give_reason(&mut self, reason: &str) {
        for draft in &mut self.audit {
            draft.personal.insert("reason".to_owned(), reason.to_owned());
        }
    }

    /// Writes everything at once. What was read and is not written must not have changed.
    pub(super) async fn commit(self, id: CommitId) -> Result<Committed, EngineError> {
        for draft in &self.audit {
            draft.check()?;
        }
        let unchanged = self.seen.iter().filter(|(key, _)| !self.dirty.contains_key(*key));
        let expect = unchanged.map(|(key, record)| (key.clone(), record.as_ref().map_or(0, |r| r.version)));
        let commit = Commit {
            id,
            tenant: self.tenant,
            expect: expect.collect(),
            fence: self.fence,
            put: self.dirty.into_values().collect(),
            audit: self.audit,
        };
        if let Some(answer) = defects::commit(self.store, &commit).await {
            return Ok(answer?);
        }
        let mut answer = self.store.commit(&commit).await;
        for _ in 0..REPEATS {
            match answer {
                Err(StoreError::Unknown(_)) => answer = self.store.commit(&commit).await,
                known => return Ok(known?),
            }
        }
        Ok(answer?)
    }
}
