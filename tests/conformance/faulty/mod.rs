//! A store of our own making, over the public surface alone, that can be wrong in one way.

mod claim;
mod commit;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tipstaff::conformance::Harness;
use tipstaff::{
    Ahead, AuditDraft, AuditRecord, Claim, Commit, CommitId, Committed, DuePage, Facet, Hash, Head, Key,
    Kind, Page, Query, Record, Renewal, Salt, Span, Store, StoreError, TenantId, Time, Trail, Upcoming,
    UserId,
};

use crate::defects::Defect;

/// What all handles share.
#[derive(Default)]
struct Data {
    records: BTreeMap<Key, Record>,
    commits: BTreeSet<(Option<TenantId>, CommitId)>,
    lanes: BTreeMap<(String, u16), Vec<AuditRecord>>,
    /// Facets that a record had before.
    old_facets: BTreeMap<Key, Vec<(Facet, String)>>,
    /// Commit ids in the order in which they came.
    order: Vec<CommitId>,
    /// Tenants to whose lanes nothing can be appended.
    damaged: BTreeSet<TenantId>,
    salts: u64,
    uniques: u64,
    now: i64,
}

/// What one handle has of its own, as a process has its memory.
#[derive(Default)]
struct Own {
    commits: BTreeSet<(Option<TenantId>, CommitId)>,
    controls: BTreeMap<TenantId, Option<Record>>,
    pages: Vec<(Query, Page<Record>)>,
    lanes: BTreeMap<(TenantId, u16), Vec<AuditRecord>>,
    salts: u64,
}

/// One handle of the store.
pub(crate) struct Faulty {
    data: Arc<Mutex<Data>>,
    own: Mutex<Own>,
    defect: Defect,
}

impl Faulty {
    pub(crate) fn new(defect: Defect) -> Self {
        let data = Data { now: 1_780_000_000_000_000, ..Data::default() };
        Self { data: Arc::new(Mutex::new(data)), own: Mutex::default(), defect }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap()
    }

    /// Lets other threads in between a check and what follows from it.
    #[allow(clippy::disallowed_methods, reason = "a test of races waits for other threads")]
    fn pause<'a>(&'a self, defect: Defect, guard: MutexGuard<'a, Data>) -> MutexGuard<'a, Data> {
        if !self.has(defect) {
            return guard;
        }
        drop(guard);
        std::thread::sleep(Duration::from_millis(2));
        self.data()
    }

    /// The key that a record is kept under.
    fn place(&self, key: &Key) -> Key {
        let mut key = key.clone();
        if self.has(Defect::CollapsesBlanks) {
            key.id = key.id.replace("  ", " ");
        }
        if self.has(Defect::CutsIds) {
            key.id = key.id.chars().take(255).collect();
        }
        if self.has(Defect::OneTableForNotices) && key.kind == Kind::Notice {
            key.kind = Kind::Enforcement;
        }
        if self.has(Defect::FoldsIds) {
            key.id = key.id.to_lowercase();
        }
        key
    }

    fn lane(&self, tenant: &TenantId, lane: u16) -> (String, u16) {
        let tenant = tenant.to_string();
        (if self.has(Defect::FoldsTenantsOfLanes) { tenant.to_lowercase() } else { tenant }, lane)
    }

    fn version(&self, data: &Data, key: &Key) -> u64 {
        data.records.get(&self.place(key)).map_or(0, |record| record.version)
    }

    fn write(&self, data: &mut Data, record: &Record) -> Record {
        let place = self.place(&record.key);
        let mut record = record.clone();
        let by = if self.has(Defect::VersionsJump) && record.version >= 3 { 2 } else { 1 };
        record.version += by;
        record.key.id = match self.defect {
            Defect::CollapsesBlanks | Defect::CutsIds => place.id.clone(),
            _ => record.key.id,
        };
        if self.has(Defect::CutsTokens) {
            record.token &= u64::from(u32::MAX);
        }
        if self.has(Defect::CutsBodies) && record.body.len() > 65_535 {
            record.body = "{}".to_owned();
        }
        if self.has(Defect::LeasesToTheMillisecond)
            && let Some(lease) = &mut record.lease
        {
            lease.until = Time::from_micros(lease.until.micros() / 1_000 * 1_000);
        }
        if self.has(Defect::TokensAreDoubles) {
            record.token = record.token as f64 as u64;
        }
        if self.has(Defect::BodiesAsJson)
            && let Ok(value) = serde_json::from_str::<serde_json::Value>(&record.body)
        {
            record.body = value.to_string();
        }
        if self.has(Defect::OldFacetsFind)
            && let Some(old) = data.records.get(&place)
        {
            let old = old.facets.clone();
            data.old_facets.entry(place.clone()).or_default().extend(old);
        }
        if self.has(Defect::TimesFrom1970) {
            record.at = record.at.max(Time::EPOCH);
        }
        if self.has(Defect::KeepsDueTimes) && record.due_at.is_none() {
            record.due_at = data.records.get(&place).and_then(|old| old.due_at);
        }
        data.records.insert(place, record.clone());
        record
    }

    fn salt(&self, data: &mut Data) -> Salt {
        data.salts += 1;
        Salt::from(u128::from(data.salts).to_be_bytes())
    }

    fn append(&self, data: &mut Data, draft: &AuditDraft, from: Option<Head>) {
        let lane = self.lane(&draft.tenant, draft.lane);
        let last = data.lanes.get(&lane).and_then(|records| records.last());
        let head = last.map_or_else(Head::default, |record| Head { seq: record.seq, hash: record.hash });
        let mut salts: Vec<Salt> = draft.personal.iter().map(|_| self.salt(data)).collect();
        if self.has(Defect::OneSaltARecord) {
            let first = salts.first().copied();
            salts.fill(first.unwrap_or(Salt::from([0; 16])));
        }
        let mut salts = salts.into_iter();
        let mut salt = || salts.next().unwrap_or(Salt::from([0; 16]));
        let (record, _) = from.unwrap_or(head).seal(draft.clone(), &mut salt);
        data.lanes.entry(lane).or_default().push(record);
    }

    fn erase_now(&self, tenant: &TenantId, user: &UserId) -> u64 {
        let data = self.data();
        let before = data.lanes.clone();
        let mut data = self.pause(Defect::ErasureRewritesLanes, data);
        if self.has(Defect::ErasureRewritesLanes) {
            data.lanes = before;
        }
        let mut count = 0;
        for ((_, lane), records) in &mut data.lanes {
            for record in records {
                let Some(subject) = &record.subject else { continue };
                let ours = &record.tenant == tenant;
                let meant = match self.defect {
                    Defect::KeepsSessions => ours && &subject.user == user && subject.session.is_none(),
                    Defect::ErasesOneLane => ours && &subject.user == user && *lane == 0,
                    Defect::ErasesLikeNames => ours && subject.user.as_str().starts_with(user.as_str()),
                    Defect::ErasesEverywhere => &subject.user == user,
                    _ => ours && &subject.user == user,
                };
                if meant && record.erase() {
                    count += u64::from(ours);
                    if self.has(Defect::ErasesCommitments) {
                        record.personal.values_mut().for_each(|field| field.commitment = Hash::ZERO);
                    }
                }
            }
        }
        count
    }
}

impl Store for Faulty {
    async fn load(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let data = self.data();
        let mut seen = BTreeSet::new();
        let asked = keys.iter().filter(|key| !self.has(Defect::LoadsEachOnce) || seen.insert((*key).clone()));
        Ok(asked.map(|key| data.records.get(&self.place(key)).cloned()).collect())
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        self.commit_now(commit)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
        self.claim_now(claim)
    }

    async fn renew(&self, renewal: &Renewal) -> Result<Time, StoreError> {
        self.renew_now(renewal)
    }

    async fn due(&self, page: &DuePage) -> Result<Vec<Record>, StoreError> {
        Ok(self.due_now(page))
    }

    async fn upcoming(&self, ask: &Ahead) -> Result<Upcoming, StoreError> {
        Ok(self.upcoming_now(ask))
    }

    async fn query(&self, query: &Query) -> Result<Page<Record>, StoreError> {
        Ok(self.query_now(query))
    }

    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        let data = self.data();
        let lane = data.lanes.get(&self.lane(&trail.tenant, trail.lane)).cloned().unwrap_or_default();
        let mut own = self.own.lock().unwrap();
        let known = own.lanes.entry((trail.tenant.clone(), trail.lane)).or_default();
        // As many as there were: it is taken for the same.
        if !self.has(Defect::RemembersLanes) || known.len() != lane.len() {
            known.clone_from(&lane);
        }
        let records = known.iter();
        let from = trail.after + u64::from(!self.has(Defect::TrailsBeginAtAfter));
        Ok(records.filter(|record| record.seq >= from).take(trail.limit.max(1)).cloned().collect())
    }

    async fn head(&self, tenant: &TenantId, lane: u16) -> Result<Head, StoreError> {
        let data = self.data();
        let last = data.lanes.get(&self.lane(tenant, lane)).and_then(|records| records.last());
        Ok(last.map_or_else(Head::default, |record| Head { seq: record.seq, hash: record.hash }))
    }

    async fn erase(&self, tenant: &TenantId, user: &UserId) -> Result<u64, StoreError> {
        Ok(self.erase_now(tenant, user))
    }

    async fn now(&self) -> Result<Time, StoreError> {
        Ok(Time::from_micros(self.data().now))
    }

    async fn unique(&self) -> Result<Salt, StoreError> {
        if self.has(Defect::UniquesApart) {
            let mut data = self.data();
            data.uniques += 1;
            return Ok(Salt::from(u128::from(data.uniques).to_be_bytes()));
        }
        if self.has(Defect::CountsInMemory) {
            let mut own = self.own.lock().unwrap();
            own.salts += 1;
            return Ok(Salt::from(u128::from(own.salts).to_be_bytes()));
        }
        Ok(self.salt(&mut self.data()))
    }
}

impl Harness for Faulty {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    fn reopen(&self) -> Option<Self> {
        Some(Self { data: Arc::clone(&self.data), own: Mutex::default(), defect: self.defect })
    }

    fn advance(&self, span: Span) {
        self.data().now += i64::try_from(span.as_millis()).unwrap() * 1_000;
    }

    fn damage(&self, tenant: &TenantId) -> bool {
        self.data().damaged.insert(tenant.clone());
        true
    }
}
