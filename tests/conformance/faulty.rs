//! A store of our own making, over the public surface alone, that can be wrong in one way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tipstaff::conformance::Harness;
use tipstaff::{
    AuditDraft, AuditRecord, Claim, Commit, CommitId, Committed, Cursor, DuePage, Facet, Hash, Head, Key,
    Kind, Lease, MAX_PAGE, Order, Page, Query, Queue, Record, Renewal, Salt, Span, Store, StoreError, Taken,
    TenantId, Time, Trail, UserId,
};

use crate::defects::Defect;

/// What all handles share.
#[derive(Default)]
struct Data {
    records: BTreeMap<Key, Record>,
    commits: BTreeSet<(Option<TenantId>, CommitId)>,
    lanes: BTreeMap<(String, u16), Vec<AuditRecord>>,
    salts: u64,
    now: i64,
}

/// What one handle has of its own, as a process has its memory.
#[derive(Default)]
struct Own {
    commits: BTreeSet<(Option<TenantId>, CommitId)>,
    controls: BTreeMap<TenantId, Option<Record>>,
    pages: Vec<(Query, Page<Record>)>,
    salts: u64,
}

/// One handle of the store.
pub struct Faulty {
    data: Arc<Mutex<Data>>,
    own: Mutex<Own>,
    defect: Defect,
}

impl Faulty {
    pub fn new(defect: Defect) -> Self {
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

    fn commit_now(&self, commit: &Commit) -> Result<Committed, StoreError> {
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
            for i in 0..commit.audit.len() {
                let lane = commit.audit[i].lane;
                if commit.audit[..i].iter().any(|earlier| earlier.lane == lane) {
                    heads[i] = None;
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
        let control = data.records.get(&Claim::control_key(tenant)).cloned();
        let control = match self.defect {
            Defect::IgnoresControl => None,
            Defect::RemembersControl => {
                self.own.lock().unwrap().controls.entry(tenant.clone()).or_insert(control).clone()
            }
            _ => control,
        };
        if self.has(Defect::TokensBeginAgain) && record.lease.is_none() {
            return claim.take(&Record { token: 0, ..record.clone() }, control.as_ref(), now);
        }
        let mut taken = claim.take(record, control.as_ref(), now)?;
        if let (Some(made), Some(old)) = (&mut taken, &record.lease) {
            if self.has(Defect::RescueKeepsHolder)
                && let Some(lease) = &mut made.record.lease
            {
                lease.worker = old.worker.clone();
            }
        }
        if let (Some(made), true) = (&mut taken, self.has(Defect::ClaimsWithoutAudit)) {
            made.audit.clear();
        }
        Ok(taken)
    }

    fn claim_now(&self, claim: &Claim) -> Result<Vec<Record>, StoreError> {
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
            if self.has(Defect::ClaimsOneByOne) {
                made.audit.iter().for_each(|draft| self.append(&mut data, draft, None));
                given.push(self.write(&mut data, &made.record));
            }
            taken.push(made);
        }
        if !self.has(Defect::ClaimsOneByOne) {
            for made in &taken {
                made.audit.iter().for_each(|draft| self.append(&mut data, draft, None));
                given.push(self.write(&mut data, &made.record));
            }
        }
        self.own.lock().unwrap().pages.clear();
        Ok(given)
    }

    fn renew_now(&self, renewal: &Renewal) -> Result<Time, StoreError> {
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

    fn due_now(&self, page: &DuePage) -> Vec<Record> {
        let data = self.data();
        let mut due: Vec<_> = data
            .records
            .values()
            .filter_map(|record| Some((DuePage::place(record)?, record.clone())))
            .filter(|(place, _)| match self.defect {
                Defect::DueIsLater => place.1 < page.until,
                _ => place.1 <= page.until,
            })
            .collect();
        match self.defect {
            Defect::KindsByName => due.sort_by(|(a, _), (b, _)| {
                (&a.0, a.1, a.2.as_str(), &a.3).cmp(&(&b.0, b.1, b.2.as_str(), &b.3))
            }),
            _ => due.sort_by(|(a, _), (b, _)| a.cmp(b)),
        }
        let after = match (&page.after, self.defect) {
            (None, _) => 0,
            // The place is looked up, though its record may have moved on.
            (Some(after), Defect::DueLooksUpTheLast | Defect::KindsByName) => {
                due.iter().position(|(place, _)| place == after).map_or(0, |last| last + 1)
            }
            (Some(after), _) => due.iter().take_while(|(place, _)| place <= after).count(),
        };
        due.into_iter().skip(after).take(page.limit.max(1)).map(|(_, record)| record).collect()
    }

    fn names(&self, query: &Query, record: &Record) -> bool {
        let with = |facets: &[(Facet, Vec<String>)]| Query { facets: facets.to_vec(), ..query.clone() };
        match self.defect {
            Defect::QueriesOfAllTenants => {
                Query { tenant: record.key.tenant.clone(), ..query.clone() }.names(record)
            }
            Defect::UntilIncluded => {
                let until = query.until.map(|until| Time::from_micros(until.micros() + 1));
                Query { until, ..query.clone() }.names(record)
            }
            Defect::AnyFacetWillDo if !query.facets.is_empty() => {
                query.facets.iter().any(|facet| with(std::slice::from_ref(facet)).names(record))
            }
            Defect::FacetsAreWildcards => {
                let like = |(facet, accepted): &(Facet, Vec<String>)| {
                    let begins = |value: &str| {
                        accepted.iter().any(|text| match text.strip_suffix('%') {
                            Some(start) => value.starts_with(start),
                            None => text == value,
                        })
                    };
                    record.facets.iter().any(|(of, value)| of == facet && begins(value))
                };
                with(&[]).names(record) && query.facets.iter().all(like)
            }
            _ => query.names(record),
        }
    }

    fn query_now(&self, query: &Query) -> Page<Record> {
        if self.has(Defect::RemembersQueries) {
            let own = self.own.lock().unwrap();
            if let Some((_, page)) = own.pages.iter().find(|(asked, _)| asked == query) {
                return page.clone();
            }
        }
        let data = self.data();
        let mut rows: Vec<Record> =
            data.records.values().filter(|record| self.names(query, record)).cloned().collect();
        rows.sort_by(|a, b| (a.at, &a.key.id).cmp(&(b.at, &b.key.id)));
        if self.has(Defect::RowsForEachValue) {
            let times = |record: &Record| {
                let accepted = |(facet, value): &&(Facet, String)| {
                    query.facets.iter().any(|(of, accepted)| of == facet && accepted.contains(value))
                };
                record.facets.iter().filter(accepted).count().max(1)
            };
            rows = rows.into_iter().flat_map(|row| vec![row.clone(); times(&row)]).collect();
        }
        if query.order == Order::Newest {
            rows.reverse();
        }
        let newest = query.order == Order::Newest;
        let beyond = |record: &Record, after: &Cursor| {
            let place = (record.at, record.key.id.clone());
            let after = (after.at, after.id.clone());
            match self.defect {
                Defect::CursorsAreTimes if newest => place.0 < after.0,
                Defect::CursorsAreTimes => place.0 > after.0,
                _ if newest => place < after,
                _ => place > after,
            }
        };
        let skip = match &query.after {
            None => 0,
            Some(after) if self.has(Defect::CursorsAreOffsets) => {
                usize::try_from(after.at.micros()).unwrap_or(0)
            }
            Some(after) => rows.iter().position(|row| beyond(row, after)).unwrap_or(rows.len()),
        };
        let size = match self.defect {
            Defect::PagesWithoutBound => query.limit.max(1),
            Defect::PagesOfHundred => query.limit.clamp(1, 100),
            _ => query.limit.clamp(1, MAX_PAGE),
        };
        let page: Vec<Record> = rows.iter().skip(skip).take(size).cloned().collect();
        let more = match self.defect {
            Defect::FullPagesGoOn => page.len() == size,
            _ => skip + page.len() < rows.len(),
        };
        let place = |record: &Record| match self.defect {
            Defect::CursorsAreOffsets => {
                let rows = i64::try_from(skip + page.len()).unwrap_or(i64::MAX);
                Cursor { at: Time::from_micros(rows), id: "offset".to_owned() }
            }
            _ => Cursor { at: record.at, id: record.key.id.clone() },
        };
        let page = Page { next: page.last().map(place).filter(|_| more), rows: page.clone() };
        self.own.lock().unwrap().pages.push((query.clone(), page.clone()));
        page
    }

    fn erase_now(&self, tenant: &TenantId, user: &UserId) -> u64 {
        let mut data = self.data();
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

    async fn query(&self, query: &Query) -> Result<Page<Record>, StoreError> {
        Ok(self.query_now(query))
    }

    async fn trail(&self, trail: &Trail) -> Result<Vec<AuditRecord>, StoreError> {
        let data = self.data();
        let records = data.lanes.get(&self.lane(&trail.tenant, trail.lane)).into_iter().flatten();
        let from = trail.after + u64::from(!self.has(Defect::TrailsBeginAtAfter));
        Ok(records.filter(|record| record.seq >= from).take(trail.limit).cloned().collect())
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
}
