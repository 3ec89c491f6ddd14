//! What deliveries of one batch ask of the store before they begin: all that one of them needs comes in
//! one call, and those that ask while a call is under way share the next one. No look begins before it
//! was asked for.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use crate::store::{Key, Record, SharedStore, Store, StoreError};
use crate::time::Time;

/// The most looks that share one call: what they read is bounded.
const TOGETHER: usize = 100;

/// What a look found.
#[derive(Default)]
pub(super) struct Look {
    records: BTreeMap<Key, Option<Record>>,
    /// The store's time, where it was asked for: after the records were read.
    pub(super) store_now: Option<Time>,
}

impl Look {
    /// The record at a key that was asked for.
    pub(super) fn record(&self, key: &Key) -> Option<&Record> {
        self.records.get(key).and_then(Option::as_ref)
    }

    /// Whether those keys were asked for.
    pub(super) fn has(&self, keys: &[Key]) -> bool {
        keys.iter().all(|key| self.records.contains_key(key))
    }

    /// Everything that was read.
    pub(super) fn into_records(self) -> BTreeMap<Key, Option<Record>> {
        self.records
    }
}

/// The looks of one batch. They end together with it: whoever waits for another's call is dropped with
/// it, and is polled again when [`Looks::answered`] has risen.
pub(super) struct Looks<'s> {
    store: &'s SharedStore,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    next: u64,
    /// A call is under way.
    busy: bool,
    answered: u64,
    waiting: BTreeMap<u64, Wanted>,
    found: BTreeMap<u64, Result<Look, StoreError>>,
}

struct Wanted {
    keys: Vec<Key>,
    time: bool,
}

/// Whose turn it is: the answer is there, or the next call is one's own, for all that wait.
enum Turn {
    Found(Result<Look, StoreError>),
    Read(BTreeMap<u64, Wanted>),
}

impl<'s> Looks<'s> {
    pub(super) fn new(store: &'s SharedStore) -> Self {
        Self { store, asked: Mutex::default() }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls have come back.
    pub(super) fn answered(&self) -> u64 {
        self.asked().answered
    }

    /// Reads those records, and the store's time if it is wanted.
    pub(super) async fn look(&self, keys: Vec<Key>, time: bool) -> Result<Look, StoreError> {
        let own = {
            let mut asked = self.asked();
            asked.next += 1;
            let own = asked.next;
            asked.waiting.insert(own, Wanted { keys, time });
            own
        };
        loop {
            match poll_fn(|_| self.asked().turn(own)).await {
                Turn::Found(found) => return found,
                Turn::Read(together) => self.read(together).await,
            }
        }
    }

    /// One call for several looks.
    async fn read(&self, together: BTreeMap<u64, Wanted>) {
        let mut keys: Vec<Key> = together.values().flat_map(|wanted| wanted.keys.iter().cloned()).collect();
        keys.sort();
        keys.dedup();
        let outcome = match self.store.load(&keys).await {
            Ok(records) if together.values().any(|wanted| wanted.time) => {
                self.store.now().await.map(|now| (records, Some(now)))
            }
            Ok(records) => Ok((records, None)),
            Err(error) => Err(error),
        };
        let outcome = outcome.map(|(records, store_now)| {
            let all: BTreeMap<Key, Option<Record>> = keys.into_iter().zip(records).collect();
            (all, store_now)
        });
        let mut asked = self.asked();
        for (whose, wanted) in together {
            let look = outcome.as_ref().map_err(Clone::clone).map(|(all, store_now)| Look {
                records: wanted
                    .keys
                    .into_iter()
                    .filter_map(|key| {
                        let record = all.get(&key)?.clone();
                        Some((key, record))
                    })
                    .collect(),
                store_now: *store_now,
            });
            asked.found.insert(whose, look);
        }
        asked.busy = false;
        asked.answered += 1;
    }
}

impl Asked {
    fn turn(&mut self, own: u64) -> Poll<Turn> {
        if let Some(found) = self.found.remove(&own) {
            return Poll::Ready(Turn::Found(found));
        }
        if self.busy {
            return Poll::Pending;
        }
        self.busy = true;
        let later = self.waiting.keys().nth(TOGETHER).copied();
        let rest = later.map(|later| self.waiting.split_off(&later)).unwrap_or_default();
        Poll::Ready(Turn::Read(std::mem::replace(&mut self.waiting, rest)))
    }
}
