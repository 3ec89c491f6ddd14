//! A transaction in the making: what was read, what is to be written, what is to be logged.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;

use super::counts::Part;
use super::{EngineError, defects};
use crate::audit::AuditDraft;
use crate::id::{CommitId, TenantId};
use crate::store::{
    Body, Commit, Committed, Key, Lease, Record, SharedStore, Store, StoreError, Stored, decode, encode,
};

/// How often a call whose answer was lost is repeated before the caller is told.
const REPEATS: usize = 8;

/// Reads through to the store, collects writes, and commits them on the condition that nothing
/// that was read has changed.
pub(super) struct Tx<'s> {
    store: &'s SharedStore,
    tenant: TenantId,
    part: Part,
    seen: BTreeMap<Key, Option<Record>>,
    /// What was read for this transaction before it began, until it asks for it.
    offered: BTreeMap<Key, Option<Record>>,
    /// The bodies of what was read, each decoded once.
    parsed: RefCell<BTreeMap<Key, Box<dyn Any + Send>>>,
    /// What is to be written, encoded once, at the end.
    dirty: BTreeMap<Key, Put>,
    /// What stood in the place of each put since the mark.
    undo: Vec<(Key, Option<Put>)>,
    marked: bool,
    fence: Vec<(Key, u64)>,
    audit: Vec<AuditDraft>,
}

/// A body in the making.
struct Put {
    body: Box<dyn Encode>,
    lease: Option<Lease>,
}

/// A body whose type the transaction need not know.
trait Encode: Send {
    fn encode(&self, key: Key, version: u64) -> Record;
    fn as_any(&self) -> &dyn Any;
}

impl<T: Body> Encode for Stored<T> {
    fn encode(&self, key: Key, version: u64) -> Record {
        encode(key, version, self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A place in the making of a transaction, to which it can be taken back.
pub(super) struct Mark {
    fence: usize,
    audit: usize,
}

impl<'s> Tx<'s> {
    pub(super) fn new(store: &'s SharedStore, tenant: &TenantId, part: Part) -> Self {
        Self {
            store,
            tenant: tenant.clone(),
            part,
            seen: BTreeMap::new(),
            offered: BTreeMap::new(),
            parsed: RefCell::default(),
            dirty: BTreeMap::new(),
            undo: Vec::new(),
            marked: false,
            fence: Vec::new(),
            audit: Vec::new(),
        }
    }

    /// Which of the counts of each rule it counts in.
    pub(super) const fn part(&self) -> Part {
        self.part
    }

    /// Gives what was read a moment ago: what the transaction asks for of it is not read again. The
    /// commit finds what has changed since.
    pub(super) fn offer(&mut self, records: BTreeMap<Key, Option<Record>>) {
        self.offered = records;
    }

    /// Reads those of the keys that were not read before.
    pub(super) async fn load(&mut self, keys: impl IntoIterator<Item = Key>) -> Result<(), EngineError> {
        let mut missing: Vec<Key> = keys.into_iter().filter(|key| !self.seen.contains_key(key)).collect();
        missing.sort();
        missing.dedup();
        missing.retain(|key| match self.offered.remove_entry(key) {
            Some((key, record)) => {
                self.seen.insert(key, record);
                false
            }
            None => true,
        });
        if missing.is_empty() {
            return Ok(());
        }
        let found = self.store.load(&missing).await?;
        self.seen.extend(missing.into_iter().zip(found));
        Ok(())
    }

    /// Looks at a record once more.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where it has changed since it was read.
    pub(super) async fn unchanged(&mut self, key: &Key) -> Result<(), EngineError> {
        let now = self.store.load(std::slice::from_ref(key)).await?.pop().flatten();
        match now.map_or(0, |record| record.version) == self.version(key) {
            true => Ok(()),
            false => Err(StoreError::Conflict(key.clone()).into()),
        }
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
        if let Some(put) = self.dirty.get(key) {
            return match put.body.as_any().downcast_ref::<Stored<T>>() {
                Some(stored) => Ok(Some(stored.clone())),
                None => decode(&put.body.encode(key.clone(), 0)).map(Some),
            };
        }
        let Some(record) = self.record(key) else { return Ok(None) };
        let mut parsed = self.parsed.borrow_mut();
        if let Some(stored) = parsed.get(key).and_then(|any| any.downcast_ref::<Stored<T>>()) {
            return Ok(Some(stored.clone()));
        }
        let stored = decode::<T>(record)?;
        parsed.insert(key.clone(), Box::new(stored.clone()));
        Ok(Some(stored))
    }

    /// Whether there is a record at a key, as read or as written by this transaction.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.is_written(key) || self.record(key).is_some()
    }

    /// Whether this transaction writes that record.
    pub(super) fn is_written(&self, key: &Key) -> bool {
        self.dirty.contains_key(key)
    }

    /// From here on everything that is written or logged can be taken back.
    pub(super) fn mark(&mut self) -> Mark {
        self.undo.clear();
        self.marked = true;
        Mark { fence: self.fence.len(), audit: self.audit.len() }
    }

    /// Takes back what was written and logged since the last mark. What was read stays read.
    pub(super) fn back_to(&mut self, mark: &Mark) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(before) => self.dirty.insert(key, before),
                None => self.dirty.remove(&key),
            };
        }
        self.fence.truncate(mark.fence);
        self.audit.truncate(mark.audit);
    }

    pub(super) fn put<T: Body>(&mut self, key: Key, stored: &Stored<T>) {
        let put = Put { body: Box::new(stored.clone()), lease: None };
        let before = self.dirty.insert(key.clone(), put);
        if self.marked {
            self.undo.push((key, before));
        }
    }

    /// Writes what is beside the work on a record: whoever holds it holds it still.
    pub(super) fn put_held<T: Body>(&mut self, key: &Key, stored: &Stored<T>) {
        let lease = self.record(key).and_then(|record| record.lease.clone());
        self.put(key.clone(), stored);
        if let Some(put) = self.dirty.get_mut(key) {
            put.lease = lease;
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

    /// Logs what the engine tells; what is too long of it is cut. A host's own draft is checked before.
    pub(super) fn log(&mut self, drafts: impl IntoIterator<Item = AuditDraft>) {
        self.audit.extend(drafts.into_iter().map(AuditDraft::cut));
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
        let put = self.dirty.iter().map(|(key, put)| {
            let token = self.record(key).map_or(0, |record| record.token);
            Record { token, lease: put.lease.clone(), ..put.body.encode(key.clone(), self.version(key)) }
        });
        let put = put.collect();
        let unchanged = self.seen.iter().filter(|(key, _)| !self.dirty.contains_key(*key));
        let expect = unchanged.map(|(key, record)| (key.clone(), record.as_ref().map_or(0, |r| r.version)));
        let commit = Commit {
            id,
            tenant: self.tenant,
            expect: expect.collect(),
            fence: self.fence,
            put,
            audit: self.audit,
        };
        if let Some(answer) = defects::commit(self.store, &commit).await {
            return Ok(answer?);
        }
        let mut answer = self.store.commit(&commit).await;
        let mut doubtful = false;
        for _ in 0..REPEATS {
            match answer {
                Err(StoreError::Unknown(_)) => {
                    doubtful = true;
                    answer = self.store.commit(&commit).await;
                }
                // That nothing was written is true of the repeat alone.
                Err(StoreError::Unavailable(why)) if doubtful => return Err(StoreError::Unknown(why).into()),
                known => return Ok(known?),
            }
        }
        Ok(answer?)
    }
}
