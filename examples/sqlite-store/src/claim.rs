//! Claims: what may be taken is looked for without a lock on the file, and taken in one short
//! write transaction, which judges each record again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tipstaff::{ActionType, Ahead, Claim, Key, MAX_CLAIM, Record, TenantId, Time, Upcoming};

use crate::fault::Fault;
use crate::row::{self, Raw};
use crate::write;

/// What a look at the queues found.
pub(crate) enum Found {
    /// The claim was made before: what it still holds.
    Held(Vec<Record>),
    /// What may be taken, of each tenant in turn; at most the claim's number.
    Ready(Vec<Key>),
}

/// What a claim found that it cannot take.
#[derive(Default)]
pub(crate) struct Damaged {
    /// Those whose lanes make no sense.
    tenants: BTreeSet<TenantId>,
    /// Records that cannot be read.
    keys: BTreeSet<Key>,
    /// What is wrong with the last of the tenants.
    pub(crate) fault: Option<Fault>,
}

impl Damaged {
    pub(crate) fn count(&self) -> usize {
        self.tenants.len() + self.keys.len()
    }
}

/// Looks for what a claim may take. What a kill switch holds back, and what is damaged, is passed over, so
/// that it takes no one else's place, without keeping others from writing.
pub(crate) fn look(db: &Connection, claim: &Claim, damaged: &Damaged, now: Time) -> Result<Found, Fault> {
    let held = held(db, claim)?;
    if !held.is_empty() {
        return Ok(Found::Held(held));
    }
    let max = claim.max.clamp(1, MAX_CLAIM);
    let mut rescues = rescues(db, claim.channels.as_ref(), now)?;
    let channels = channels(db, claim.channels.as_ref())?;
    let mut controls = Controls::default();
    let mut ready = Vec::new();
    let mut lines = VecDeque::new();
    // The first of each tenant, from the one after the last that was served, and round to it again.
    let last = claim.after.as_ref().map(|last| Raw::from(last.as_str()));
    let (mut tenant, mut round) = (last.clone().unwrap_or_default(), last.is_none());
    while ready.len() < max {
        match next_tenant(db, &channels, &rescues, &tenant)? {
            Some((next, first)) if !round || last.as_ref().is_none_or(|last| next <= *last) => {
                if damaged.tenants.iter().any(|tenant| next.is(tenant.as_str())) {
                    tenant = next;
                    continue;
                }
                let rescued = rescues.remove(&next).unwrap_or_default();
                let mut line = Line::new(&next, first, rescued, claim, max);
                if let Some(key) = line.next(db, claim, &channels, damaged, &mut controls, now)? {
                    ready.push(key);
                    lines.push_back(line);
                }
                tenant = next;
            }
            _ if round => break,
            _ => (tenant, round) = (Raw::default(), true),
        }
    }
    while ready.len() < max
        && let Some(mut line) = lines.pop_front()
    {
        if let Some(key) = line.next(db, claim, &channels, damaged, &mut controls, now)? {
            ready.push(key);
            lines.push_back(line);
        }
    }
    Ok(Found::Ready(ready))
}

/// What one tenant has to take, the longest ready first: what nobody has claimed, read page by page,
/// and what was left behind.
struct Line {
    tenant: Raw,
    size: usize,
    /// Where the next page begins; none when there is no more.
    after: Option<Place>,
    page: VecDeque<(Place, Option<Key>)>,
    rescued: VecDeque<(Place, Option<Key>)>,
}

impl Line {
    /// Pages of a claim's size, within reason: most are left after the first key or two. None is read
    /// where the tenant's first is not ready yet.
    fn new(tenant: &Raw, first: Option<i64>, rescued: Rescued, claim: &Claim, max: usize) -> Self {
        let until = claim.until.micros();
        Self {
            tenant: tenant.clone(),
            size: max.clamp(16, 64),
            after: first.filter(|first| *first <= until).map(|_| Place::default()),
            page: VecDeque::new(),
            rescued: rescued.into_iter().filter(|(place, _)| place.ready_at <= until).collect(),
        }
    }

    fn next(
        &mut self,
        db: &Connection,
        claim: &Claim,
        channels: &[Raw],
        damaged: &Damaged,
        controls: &mut Controls,
        now: Time,
    ) -> Result<Option<Key>, Fault> {
        loop {
            if self.page.is_empty()
                && let Some(after) = self.after.take()
            {
                self.page = page(db, claim, channels, &self.tenant, &after, self.size)?.into();
                let whole = self.page.len() == self.size;
                self.after = self.page.back().filter(|_| whole).map(|(last, _)| last.clone());
            }
            let rescue = match (self.page.front(), self.rescued.front()) {
                (Some((free, _)), Some((left, _))) => left < free,
                (free, _) => free.is_none(),
            };
            let from = if rescue { &mut self.rescued } else { &mut self.page };
            let Some((_, key)) = from.pop_front() else { return Ok(None) };
            let Some(key) = key.filter(|key| !damaged.keys.contains(key)) else { continue };
            if is_let_go(db, claim, &key, controls.of(db, &key.tenant)?, now)? {
                return Ok(Some(key));
            }
        }
    }
}

/// Takes those of the records that may still be taken, by key, so that a repeat gives the same list. It is one
/// transaction, as a repeat is told all of it or nothing; but a tenant whose lane makes no sense is left out.
pub(crate) fn take(
    db: &Connection,
    claim: &Claim,
    mut ready: Vec<Key>,
    now: Time,
    damaged: &mut Damaged,
) -> Result<Vec<Record>, Fault> {
    // The same claim may have been made at once.
    let mut taken = held(db, claim)?;
    if !taken.is_empty() {
        return Ok(taken);
    }
    ready.sort();
    for keys in ready.chunk_by(|a, b| a.tenant == b.tenant) {
        db.prepare_cached("SAVEPOINT tenant")?.execute([])?;
        match take_of_one(db, claim, keys, now, &mut damaged.keys) {
            Ok(of_one) => taken.extend(of_one),
            Err(fault) if fault.is_damage() => {
                db.prepare_cached("ROLLBACK TO tenant")?.execute([])?;
                let tenant = &keys[0].tenant;
                damaged.fault = Some(fault.at(tenant));
                damaged.tenants.insert(tenant.clone());
            }
            Err(fault) => return Err(fault),
        }
        db.prepare_cached("RELEASE tenant")?.execute([])?;
    }
    Ok(taken)
}

/// Takes those of one tenant; what cannot be read is left to whoever asks for it.
fn take_of_one(
    db: &Connection,
    claim: &Claim,
    keys: &[Key],
    now: Time,
    unreadable: &mut BTreeSet<Key>,
) -> Result<Vec<Record>, Fault> {
    let (mut controls, mut lanes) = (Controls::default(), write::Lanes::default());
    let (mut taken, mut audit) = (Vec::new(), Vec::new());
    for key in keys {
        let Some(found) = row::readable(row::load(db, key))? else {
            unreadable.insert(key.clone());
            continue;
        };
        let Some(record) = found else { continue };
        if !claim.may_take(&record, now) {
            continue;
        }
        if let Some(made) = claim.take(&record, controls.of(db, &key.tenant)?, now) {
            let version = write::put(db, &made.record, &mut lanes)?;
            taken.push(Record { version, ..made.record });
            audit.extend(made.audit);
        }
    }
    write::append(db, &audit)?;
    Ok(taken)
}

/// Where nothing of the tenant is stopped and no timer has run out, the body need not be read for this.
fn is_let_go(
    db: &Connection,
    claim: &Claim,
    key: &Key,
    control: Option<&Record>,
    now: Time,
) -> Result<bool, Fault> {
    let Some(outline) = row::outline(db, key)? else { return Ok(false) };
    if !claim.may_decline(control, outline.due_at) {
        return Ok(true);
    }
    let Some(record) = row::readable(row::load(db, key))?.flatten() else { return Ok(false) };
    Ok(claim.take(&record, control, now).is_some())
}

/// The control records of the tenants that one transaction has met.
#[derive(Default)]
struct Controls(BTreeMap<TenantId, Option<Record>>);

impl Controls {
    fn of(&mut self, db: &Connection, tenant: &TenantId) -> Result<Option<&Record>, Fault> {
        if !self.0.contains_key(tenant) {
            let key = Claim::control_key(tenant);
            let found = row::readable(row::load(db, &key))?;
            self.0.insert(tenant.clone(), found.unwrap_or_else(|| Some(row::unreadable(key))));
        }
        Ok(self.0.get(tenant).and_then(Option::as_ref))
    }
}

pub(crate) const HELD: &str = concat!(
    "SELECT ",
    row::columns!(),
    " FROM records WHERE lease_nonce = ?1 AND lease_worker = ?2 ORDER BY tenant, kind, id"
);

fn held(db: &Connection, claim: &Claim) -> Result<Vec<Record>, Fault> {
    let mut statement = db.prepare_cached(HELD)?;
    let mut rows = statement.query(params![claim.nonce.to_string(), claim.worker.as_str()])?;
    let mut held = Vec::new();
    while let Some(row) = rows.next()? {
        held.extend(row::readable(row::record(row))?);
    }
    Ok(held)
}

/// The order in which a tenant's records are taken: what has been ready longest, then by key.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
struct Place {
    ready_at: i64,
    key: (Raw, Raw),
}

impl Default for Place {
    fn default() -> Self {
        Self { ready_at: i64::MIN, key: Default::default() }
    }
}

pub(crate) const READY: &str = "SELECT tenant, kind, id, ready_at FROM records
     WHERE channel = ?1 AND tenant = ?2 AND ready_at <= ?3 AND lease_until IS NULL
       AND (ready_at, kind, id) > (?4, ?5, ?6)
     ORDER BY ready_at, kind, id LIMIT ?7";

/// The next of a tenant that nobody has claimed, after a place, without the keys that cannot be read. Each
/// channel has an order of its own; the page is merged from their firsts.
fn page(
    db: &Connection,
    claim: &Claim,
    channels: &[Raw],
    tenant: &Raw,
    after: &Place,
    limit: usize,
) -> Result<Vec<(Place, Option<Key>)>, Fault> {
    let mut statement = db.prepare_cached(READY)?;
    let mut page = BTreeMap::new();
    for channel in channels {
        let (kind, id) = &after.key;
        let until = claim.until.micros();
        let mut rows =
            statement.query(params![channel, tenant, until, after.ready_at, kind, id, row::limit(limit)])?;
        while let Some(row) = rows.next()? {
            let key = row::readable(row::key(row, 0))?;
            page.insert(Place { ready_at: row.get(3)?, key: (row.get(1)?, row.get(2)?) }, key);
        }
    }
    Ok(page.into_iter().take(limit).collect())
}

pub(crate) const RUN_OUT: &str =
    "SELECT tenant, kind, id, ready_at, channel FROM records WHERE lease_until <= ?1";

/// What was left behind, by tenant, in the order in which it is taken.
type Rescues = BTreeMap<Raw, Rescued>;
type Rescued = BTreeMap<Place, Option<Key>>;

/// What is under a lease that has run out, by tenant: as a rule nothing, and at most what the workers
/// that ended had claimed. What is held is not looked at.
fn rescues(db: &Connection, named: Option<&BTreeSet<ActionType>>, now: Time) -> Result<Rescues, Fault> {
    let mut statement = db.prepare_cached(RUN_OUT)?;
    let mut rows = statement.query([now.micros()])?;
    let mut rescues = Rescues::default();
    while let Some(row) = rows.next()? {
        let (ready_at, channel): (Option<i64>, Option<Raw>) = (row.get(3)?, row.get(4)?);
        let (Some(ready_at), Some(channel)) = (ready_at, channel) else { continue };
        if named.is_none_or(|named| named.iter().any(|name| channel.is(name.as_str()))) {
            let place = Place { ready_at, key: (row.get(1)?, row.get(2)?) };
            rescues.entry(row.get(0)?).or_default().insert(place, row::readable(row::key(row, 0))?);
        }
    }
    Ok(rescues)
}

pub(crate) const NEXT_TENANT: &str = "SELECT tenant, ready_at FROM records
     WHERE channel = ?1 AND tenant > ?2 AND lease_until IS NULL ORDER BY tenant, ready_at LIMIT 1";

/// The next tenant that has anything on these channels, one step down the index for each; with it,
/// when the first is ready of what nobody has claimed.
fn next_tenant(
    db: &Connection,
    channels: &[Raw],
    rescues: &Rescues,
    after: &Raw,
) -> Result<Option<(Raw, Option<i64>)>, Fault> {
    let mut statement = db.prepare_cached(NEXT_TENANT)?;
    let later = (Bound::Excluded(after), Bound::Unbounded);
    let left = rescues.range::<Raw, _>(later).next().map(|(tenant, _)| (tenant.clone(), None));
    let mut first: Option<(Raw, Option<i64>)> = left;
    for channel in channels {
        let read = |row: &Row<'_>| Ok((row.get::<_, Raw>(0)?, row.get::<_, i64>(1)?));
        let Some((tenant, at)) = statement.query_row([channel, after], read).optional()? else { continue };
        first = Some(match first {
            Some((known, ready)) if known == tenant => (known, Some(ready.map_or(at, |ready| ready.min(at)))),
            Some(known) if known.0 < tenant => known,
            _ => (tenant, Some(at)),
        });
    }
    Ok(first)
}

pub(crate) const NEXT_READY: &str = "SELECT ready_at FROM records
     WHERE channel = ?1 AND tenant = ?2 AND ready_at > ?3 AND lease_until IS NULL
     ORDER BY ready_at LIMIT 1";
pub(crate) const NEXT_TIMER: &str =
    "SELECT due_at FROM records WHERE tenant = ?1 AND due_at > ?2 ORDER BY due_at LIMIT 1";
pub(crate) const NEXT_LEASE: &str =
    "SELECT lease_until FROM records WHERE lease_until > ?1 ORDER BY lease_until LIMIT 1";

/// What comes next, of all tenants.
pub(crate) fn upcoming(db: &Connection, ask: &Ahead, now: Time) -> Result<Upcoming, Fault> {
    let at = |micros: i64| Time::from_micros(micros);
    let mut timer = None;
    let mut next = db.prepare_cached(crate::read::NEXT_TENANT)?;
    let mut of_tenant = db.prepare_cached(NEXT_TIMER)?;
    let mut tenant = Raw::default();
    while let Some(found) = next.query_row([&tenant], |row| row.get::<_, Raw>(0)).optional()? {
        let first =
            of_tenant.query_row(params![found, ask.after.micros()], |row| row.get(0)).optional()?.map(at);
        timer = timer.into_iter().chain(first).min();
        tenant = found;
    }
    let rescues = rescues(db, ask.channels.as_ref(), now)?;
    let left = rescues.values().flat_map(BTreeMap::keys).map(|place| at(place.ready_at));
    let mut ready = left.filter(|ready| *ready > ask.after).min();
    let channels = channels(db, ask.channels.as_ref())?;
    let mut first_ready = db.prepare_cached(NEXT_READY)?;
    let mut tenant = Raw::default();
    while let Some((found, first)) = next_tenant(db, &channels, &Rescues::new(), &tenant)? {
        // Where the tenant's first is to come, it is the first of those to come.
        match first.map(at).filter(|first| *first > ask.after) {
            Some(first) => ready = ready.into_iter().chain([first]).min(),
            None => {
                for channel in &channels {
                    let values = params![channel, found, ask.after.micros()];
                    let first = first_ready.query_row(values, |row| row.get(0)).optional()?.map(at);
                    ready = ready.into_iter().chain(first).min();
                }
            }
        }
        tenant = found;
    }
    let mut leases = db.prepare_cached(NEXT_LEASE)?;
    let lease: Option<i64> = leases.query_row([now.micros()], |row| row.get(0)).optional()?;
    Ok(Upcoming { timer, ready, lease: lease.map(|until| now.until(at(until))) })
}

pub(crate) const NEXT_CHANNEL: &str = "SELECT channel FROM records
     WHERE channel IS NOT NULL AND channel > ?1 AND lease_until IS NULL ORDER BY channel LIMIT 1";

/// The channels that are named, or all on which anything waits that nobody has claimed, each found by
/// one step down the index.
fn channels(db: &Connection, named: Option<&BTreeSet<ActionType>>) -> Result<Vec<Raw>, Fault> {
    if let Some(channels) = named {
        return Ok(channels.iter().map(|channel| channel.as_str().into()).collect());
    }
    let mut statement = db.prepare_cached(NEXT_CHANNEL)?;
    let mut channels = Vec::new();
    let mut last = Raw::default();
    while let Some(next) = statement.query_row([&last], |row| row.get::<_, Raw>(0)).optional()? {
        channels.push(next.clone());
        last = next;
    }
    Ok(channels)
}
