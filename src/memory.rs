//! The reference store: everything in memory, behind one lock. For tests, examples and programs
//! that need no durability.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::audit::{AuditRecord, Head, Salt};
use crate::broken::{self, Defect};
use crate::hash::Hasher;
use crate::id::{CommitId, TenantId, UserId};
use crate::store::{
    Ahead, Claim, Commit, Committed, Cursor, DuePage, Key, MAX_CLAIM, Order, Page, Query, Queue, Record,
    Renewal, Store, StoreError, Taken, Trail, Upcoming,
};
use crate::time::Time;

/// A store that forgets when the process ends. Cheap to clone; clones share their content.
///
/// The core reads no clock, so its time is the latest decision time that a claim has named, unless
/// [`MemoryStore::with_clock`] gives it one. Its salts are different from each other, but can be
/// guessed: what must be erased for good belongs into a durable store.
#[derive(Clone, Default)]
pub struct MemoryStore {
    inner: Arc<Mutex<Inner>>,
    clock: Option<Arc<dyn Fn() -> Time + Send + Sync>>,
}

#[derive(Default)]
struct Inner {
    records: BTreeMap<Key, Record>,
    commits: BTreeSet<(TenantId, CommitId)>,
    trails: BTreeMap<(TenantId, u16), Vec<AuditRecord>>,
    now: Option<Time>,
    salts: u64,
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let inner = self.lock();
        f.debug_struct("MemoryStore").field("records", &inner.records.len()).finish_non_exhaustive()
    }
}

impl MemoryStore {
    /// An empty store whose leases run by this clock.
    pub fn with_clock(clock: impl Fn() -> Time + Send + Sync + 'static) -> Self {
        Self { clock: Some(Arc::new(clock)), ..Self::default() }
    }

    /// A poisoned lock is taken all the same: every change is made as a whole, at the end.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn time(&self, inner: &Inner) -> Time {
        match &self.clock {
            Some(clock) => clock(),
            None => inner.now.unwrap_or(Time::EPOCH),
        }
    }
}

impl Inner {
    fn version(&self, key: &Key) -> u64 {
        self.records.get(key).map_or(0, |record| record.version)
    }

    fn salt(&mut self) -> Salt {
        self.salts += 1;
        let hash = Hasher::new("tipstaff/memory/salt").number(self.salts).finish();
        let mut salt = [0; 16];
        salt.copy_from_slice(&hash.bytes()[..16]);
        Salt::from(salt)
    }

    fn head(&self, tenant: &TenantId, lane: u16) -> Head {
        let last = self.trails.get(&(tenant.clone(), lane)).and_then(|trail| trail.last());
        last.map_or_else(Head::default, |record| Head { seq: record.seq, hash: record.hash })
    }

    fn write(&mut self, record: Record) -> Record {
        let record = Record { version: record.version.saturating_add(1), ..record };
        self.records.insert(record.key.clone(), record.clone());
        record
    }

    /// A renewal since the record was read raises no version: its end of the lease stands.
    fn keep_lease(&self, record: &mut Record) {
        let there = self.records.get(&record.key).and_then(|there| there.lease.as_ref());
        if let (Some(lease), Some(there)) = (&mut record.lease, there)
            && (&lease.worker, lease.nonce) == (&there.worker, there.nonce)
        {
            lease.until = there.until;
        }
    }

    fn append(&mut self, drafts: impl IntoIterator<Item = crate::audit::AuditDraft>) {
        for draft in drafts {
            let (tenant, lane) = (draft.tenant.clone(), draft.lane);
            let head = self.head(&tenant, lane);
            let (record, _) = head.seal(draft, &mut || self.salt());
            self.trails.entry((tenant, lane)).or_default().push(record);
        }
    }

    fn commit(&mut self, commit: &Commit) -> Result<Committed, StoreError> {
        refuse_other_tenants(commit)?;
        let id = (commit.tenant.clone(), commit.id);
        if self.commits.contains(&id) {
            return Ok(Committed::AlreadyApplied);
        }
        for (key, token) in &commit.fence {
            if self.records.get(key).map(|record| record.token) != Some(*token) {
                return Err(StoreError::Fenced(key.clone()));
            }
        }
        let named = commit.put.iter().map(|record| (&record.key, record.version));
        for (key, version) in commit.expect.iter().map(|(key, version)| (key, *version)).chain(named) {
            if self.version(key) != version {
                return Err(StoreError::Conflict(key.clone()));
            }
        }
        for record in &commit.put {
            let mut record = record.clone();
            self.keep_lease(&mut record);
            self.write(record);
        }
        self.append(commit.audit.iter().cloned());
        self.commits.insert(id);
        Ok(Committed::Applied)
    }

    fn claim(&mut self, claim: &Claim, now: Time) -> Result<Vec<Record>, StoreError> {
        let held = |record: &&Record| {
            record.lease.as_ref().is_some_and(|l| l.nonce == claim.nonce && l.worker == claim.worker)
        };
        let again: Vec<Record> = self.records.values().filter(held).cloned().collect();
        if !again.is_empty() {
            return Ok(again);
        }
        let max = claim.max.clamp(1, MAX_CLAIM);
        let mut lines = self.lines(claim, now);
        let mut taken: Vec<Taken> = Vec::new();
        // Round after round, one record of each; what is declined is nobody's turn.
        while !lines.is_empty() && taken.len() < max {
            lines.retain_mut(|line| {
                let tenant = line.front().map(|first| &first.key.tenant);
                let control = tenant.and_then(|tenant| self.records.get(&Claim::control_key(tenant)));
                while taken.len() < max
                    && let Some(next) = line.pop_front()
                {
                    if let Some(made) = claim.take(next, control, now) {
                        taken.push(made);
                        return true;
                    }
                }
                false
            });
        }
        // By key, so that a repeat gives the same list. All takes have succeeded: now they are
        // written, and none alone.
        taken.sort_by(|a, b| a.record.key.cmp(&b.record.key));
        Ok(taken
            .into_iter()
            .map(|made| {
                self.append(made.audit);
                self.write(made.record)
            })
            .collect())
    }

    /// What may be taken, tenant by tenant from the one whose turn it is, of each the longest ready first.
    fn lines(&self, claim: &Claim, now: Time) -> Vec<VecDeque<&Record>> {
        let mut by_tenant: BTreeMap<(bool, &TenantId), Vec<&Record>> = BTreeMap::new();
        let after = claim.after.as_ref().filter(|_| !broken::is(Defect::TurnsForgotten));
        for record in self.records.values().filter(|record| claim.may_take(record, now)) {
            let tenant = &record.key.tenant;
            let had_its_turn = after.is_some_and(|after| tenant <= after);
            by_tenant.entry((had_its_turn, tenant)).or_default().push(record);
        }
        let since = |record: &Record| record.queue.as_ref().map(|queue| queue.ready_at);
        let lines = by_tenant.into_values().map(|mut line| {
            line.sort_by(|a, b| (since(a), &a.key).cmp(&(since(b), &b.key)));
            line.into()
        });
        lines.collect()
    }

    fn upcoming(&self, ask: &Ahead, now: Time) -> Upcoming {
        let after = |time: &Time| *time > ask.after;
        let carried = |queue: &Queue| ask.channels.as_ref().is_none_or(|c| c.contains(&queue.channel));
        let running = |record: &&Record| record.lease.as_ref().is_some_and(|lease| lease.until > now);
        let free = self.records.values().filter(|record| !running(record));
        let queues = free.filter_map(|record| record.queue.as_ref()).filter(|queue| carried(queue));
        let leases = self.records.values().filter(running).filter_map(|record| record.lease.as_ref());
        Upcoming {
            timer: self.records.values().filter_map(|record| record.due_at).filter(after).min(),
            ready: queues.map(|queue| queue.ready_at).filter(after).min(),
            lease: leases.map(|lease| lease.until).min().map(|until| now.until(until)),
        }
    }

    fn query(&self, query: &Query) -> Page<Record> {
        let mut rows: Vec<&Record> = self.records.values().filter(|record| query.names(record)).collect();
        rows.sort_by(|a, b| (a.at, &a.key.id).cmp(&(b.at, &b.key.id)));
        if query.order == Order::Newest {
            rows.reverse();
        }
        let place = |record: &Record| Cursor { at: record.at, id: record.key.id.clone() };
        let beyond = |record: &&Record| match (&query.after, query.order) {
            (None, _) => true,
            (Some(after), Order::Newest) => place(record) < *after,
            (Some(after), _) => place(record) > *after,
        };
        let mut rows = rows.into_iter().filter(beyond).cloned();
        let page: Vec<Record> = rows.by_ref().take(query.page_size()).collect();
        let next = rows.next().and_then(|_| page.last().map(place));
        Page { rows: page, next }
    }

    fn due(&self, page: &DuePage) -> Vec<Record> {
        let mut due: Vec<_> = self
            .records
            .values()
            .filter_map(|record| Some((DuePage::place(record)?, record)))
            .filter(|(place, _)| place.1 <= page.until)
            .filter(|(place, _)| page.after.as_ref().is_none_or(|after| place > after))
            .collect();
        due.sort_by(|a, b| a.0.cmp(&b.0));
        due.into_iter().take(page.limit.max(1)).map(|(_, record)| record.clone()).collect()
    }
}

/// A commit is of one tenant: keys of another are a mistake of the caller, never a wish.
fn refuse_other_tenants(commit: &Commit) -> Result<(), StoreError> {
    let named = commit.fence.iter().chain(&commit.expect).map(|(key, _)| key);
    let keys = named.chain(commit.put.iter().map(|record| &record.key));
    let tenants = keys.map(|key| &key.tenant).chain(commit.audit.iter().map(|draft| &draft.tenant));
    match tenants.into_iter().find(|tenant| **tenant != commit.tenant) {
        None => Ok(()),
        Some(other) => Err(StoreError::Corrupt {
            place: commit.id.to_string(),
            fault: format!("it names tenant `{other}`, but is of `{}`; accepted: one tenant", commit.tenant),
        }),
    }
}

impl Store for MemoryStore {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let inner = self.lock();
        Ok(keys.iter().map(|key| inner.records.get(key).cloned()).collect())
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        self.lock().commit(commit)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        let mut inner = self.lock();
        inner.now = inner.now.max(Some(claim.until));
        let now = match broken::is(Defect::HostClockJudgesLeases) {
            true => claim.until,
            false => self.time(&inner),
        };
        inner.claim(claim, now)
    }

    async fn renew(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        let mut inner = self.lock();
        let until = self.time(&inner).after(renewal.lease);
        let fenced = || StoreError::Fenced(renewal.key.clone());
        let record = inner.records.get_mut(&renewal.key).ok_or_else(fenced)?;
        match &mut record.lease {
            Some(lease) if record.token == renewal.token => lease.until = until,
            _ => return Err(fenced()),
        }
        Ok(until)
    }

    async fn due(&self, page: &DuePage) -> Result<Vec<Record>, StoreError> {
        Ok(self.lock().due(page))
    }

    async fn upcoming(&self, ask: &Ahead) -> Result<Upcoming, StoreError> {
        let inner = self.lock();
        Ok(inner.upcoming(ask, self.time(&inner)))
    }

    async fn query(&self, query: &Query) -> Result<Page<Record>, StoreError> {
        Ok(self.lock().query(query))
    }

    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        let inner = self.lock();
        let records = inner.trails.get(&(trail.tenant.clone(), trail.lane));
        let after = records.into_iter().flatten().filter(|record| record.seq > trail.after);
        Ok(after.take(trail.limit.max(1)).cloned().collect())
    }

    async fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, StoreError> {
        Ok(self.lock().head(tenant, lane))
    }

    async fn erase(&self, tenant: &TenantId, user: &UserId) -> Result<u64, StoreError> {
        let mut inner = self.lock();
        let lanes = (Bound::Included((tenant.clone(), 0)), Bound::Included((tenant.clone(), u16::MAX)));
        let records = inner.trails.range_mut(lanes).flat_map(|(_, trail)| trail.iter_mut());
        let about = records.filter(|record| record.subject.as_ref().is_some_and(|s| &s.user == user));
        Ok(about.filter_map(|record| record.erase().then_some(1)).sum())
    }

    async fn now(&self) -> Result<Time, StoreError> {
        let inner = self.lock();
        Ok(self.time(&inner))
    }

    async fn unique(&self) -> Result<Salt, StoreError> {
        Ok(self.lock().salt())
    }
}
