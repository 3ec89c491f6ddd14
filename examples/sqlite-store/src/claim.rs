//! Claims: what may be taken is looked for without a lock on the file, and taken in one short
//! write transaction, which judges each record again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rusqlite::{Connection, OptionalExtension as _, params};
use tipstaff::{ActionType, Ahead, Claim, Key, MAX_CLAIM, Record, TenantId, Time, Upcoming};

use crate::fault::Fault;
use crate::{row, write};

/// What a look at the queues found.
pub(crate) enum Found {
    /// The claim was made before: what it still holds.
    Held(Vec<Record>),
    /// What may be taken, of each tenant in turn; at most the claim's number.
    Ready(Vec<Key>),
}

/// Looks for what a claim may take. What a kill switch holds back is passed over, so that it takes
/// no one else's place, without keeping others from writing.
pub(crate) fn look(db: &Connection, claim: &Claim, now: Time) -> Result<Found, Fault> {
    let held = held(db, claim)?;
    if !held.is_empty() {
        return Ok(Found::Held(held));
    }
    let max = claim.max.clamp(1, MAX_CLAIM);
    let channels = channels(db, claim)?;
    let mut controls = Controls::default();
    let mut ready = Vec::new();
    let mut lines = VecDeque::new();
    // The first of each tenant, from the one after the last that was served, and round to it again.
    let last = claim.after.as_ref().map(TenantId::as_str);
    let (mut tenant, mut round) = (last.unwrap_or_default().to_owned(), last.is_none());
    while ready.len() < max {
        match next_tenant(db, &channels, &tenant)? {
            Some(next) if !round || last.is_none_or(|last| *next <= *last) => {
                let mut line = Line::new(&next, max);
                if let Some(key) = line.next(db, claim, &channels, &mut controls, now)? {
                    ready.push(key);
                    lines.push_back(line);
                }
                tenant = next;
            }
            _ if round => break,
            _ => (tenant, round) = (String::new(), true),
        }
    }
    while ready.len() < max
        && let Some(mut line) = lines.pop_front()
    {
        if let Some(key) = line.next(db, claim, &channels, &mut controls, now)? {
            ready.push(key);
            lines.push_back(line);
        }
    }
    Ok(Found::Ready(ready))
}

/// What one tenant has to take, the longest ready first, read page by page.
struct Line {
    tenant: String,
    size: usize,
    after: Option<Place>,
    page: VecDeque<Key>,
}

impl Line {
    /// Pages of a claim's size, within reason: most are left after the first key or two.
    fn new(tenant: &str, max: usize) -> Self {
        Self { tenant: tenant.to_owned(), size: max.clamp(16, 64), after: None, page: VecDeque::new() }
    }

    fn next(
        &mut self,
        db: &Connection,
        claim: &Claim,
        channels: &[String],
        controls: &mut Controls,
        now: Time,
    ) -> Result<Option<Key>, Fault> {
        loop {
            while let Some(key) = self.page.pop_front() {
                if is_let_go(db, claim, &key, controls.of(db, &key.tenant)?, now)? {
                    return Ok(Some(key));
                }
            }
            let after = self.after.take().unwrap_or_default();
            let page = page(db, claim, channels, &self.tenant, now, &after, self.size)?;
            let Some((last, _)) = page.last() else { return Ok(None) };
            self.after = Some(last.clone());
            self.page = page.into_iter().map(|(_, key)| key).collect();
        }
    }
}

/// Takes those of the records that may still be taken, by key, so that a repeat gives the same list.
pub(crate) fn take(
    db: &Connection,
    claim: &Claim,
    mut ready: Vec<Key>,
    now: Time,
) -> Result<Vec<Record>, Fault> {
    // The same claim may have been made at once.
    let mut taken = held(db, claim)?;
    if !taken.is_empty() {
        return Ok(taken);
    }
    ready.sort();
    let mut controls = Controls::default();
    for key in ready {
        let Some(record) = row::load(db, &key)? else { continue };
        if !claim.may_take(&record, now) {
            continue;
        }
        if let Some(made) = claim.take(&record, controls.of(db, &key.tenant)?, now) {
            taken.push(write::put(db, &made.record)?);
            write::append(db, &made.audit)?;
        }
    }
    Ok(taken)
}

/// Where nothing of the tenant is stopped, the record need not be read for this.
fn is_let_go(
    db: &Connection,
    claim: &Claim,
    key: &Key,
    control: Option<&Record>,
    now: Time,
) -> Result<bool, Fault> {
    let Some(control) = control else { return Ok(true) };
    let Some(record) = row::load(db, key)? else { return Ok(false) };
    Ok(claim.take(&record, Some(control), now).is_some())
}

/// The control records of the tenants that one transaction has met.
#[derive(Default)]
struct Controls(BTreeMap<TenantId, Option<Record>>);

impl Controls {
    fn of(&mut self, db: &Connection, tenant: &TenantId) -> Result<Option<&Record>, Fault> {
        if !self.0.contains_key(tenant) {
            self.0.insert(tenant.clone(), row::load(db, &Claim::control_key(tenant))?);
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
        held.push(row::record(row)?);
    }
    Ok(held)
}

/// The order in which a tenant's records are taken: what has been ready longest, then by key.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
struct Place {
    ready_at: i64,
    key: (String, String),
}

impl Default for Place {
    fn default() -> Self {
        Self { ready_at: i64::MIN, key: Default::default() }
    }
}

pub(crate) const READY: &str = "SELECT tenant, kind, id, ready_at FROM records
     WHERE channel = ?1 AND tenant = ?2 AND ready_at <= ?3 AND (lease_until IS NULL OR lease_until <= ?4)
       AND (ready_at, kind, id) > (?5, ?6, ?7)
     ORDER BY ready_at, kind, id LIMIT ?8";

/// The next candidates of a tenant after a place. Each channel has an order of its own; the page is
/// merged from their firsts.
fn page(
    db: &Connection,
    claim: &Claim,
    channels: &[String],
    tenant: &str,
    now: Time,
    after: &Place,
    limit: usize,
) -> Result<Vec<(Place, Key)>, Fault> {
    let mut statement = db.prepare_cached(READY)?;
    let mut page = BTreeMap::new();
    for channel in channels {
        let (kind, id) = &after.key;
        let mut rows = statement.query(params![
            channel,
            tenant,
            claim.until.micros(),
            now.micros(),
            after.ready_at,
            kind,
            id,
            row::limit(limit),
        ])?;
        while let Some(row) = rows.next()? {
            page.insert(Place { ready_at: row.get(3)?, key: (row.get(1)?, row.get(2)?) }, row::key(row, 0)?);
        }
    }
    Ok(page.into_iter().take(limit).collect())
}

pub(crate) const NEXT_TENANT: &str =
    "SELECT tenant FROM records WHERE channel = ?1 AND tenant > ?2 ORDER BY tenant LIMIT 1";

/// The next tenant that has anything on these channels: one step down the index for each.
fn next_tenant(db: &Connection, channels: &[String], after: &str) -> Result<Option<String>, Fault> {
    let mut statement = db.prepare_cached(NEXT_TENANT)?;
    let mut first: Option<String> = None;
    for channel in channels {
        let found = statement.query_row([channel, after], |row| row.get(0)).optional()?;
        first = first.into_iter().chain(found).min();
    }
    Ok(first)
}

pub(crate) const NEXT_READY: &str = "SELECT ready_at FROM records
     WHERE channel = ?1 AND tenant = ?2 AND ready_at > ?3 AND (lease_until IS NULL OR lease_until <= ?4)
     ORDER BY ready_at LIMIT 1";
pub(crate) const NEXT_TIMER: &str =
    "SELECT due_at FROM records WHERE tenant = ?1 AND due_at > ?2 ORDER BY due_at LIMIT 1";
/// As many rows as there are leases, which workers bound.
pub(crate) const NEXT_LEASE: &str =
    "SELECT min(lease_until) FROM records WHERE lease_nonce IS NOT NULL AND lease_until > ?1";

/// What comes next, of all tenants.
pub(crate) fn upcoming(db: &Connection, ask: &Ahead, now: Time) -> Result<Upcoming, Fault> {
    let at = |micros: i64| Time::from_micros(micros);
    let (mut timer, mut ready) = (None, None);
    let mut next = db.prepare_cached(crate::read::NEXT_TENANT)?;
    let mut of_tenant = db.prepare_cached(NEXT_TIMER)?;
    let mut tenant = String::new();
    while let Some(found) = next.query_row([&tenant], |row| row.get::<_, String>(0)).optional()? {
        let first =
            of_tenant.query_row(params![found, ask.after.micros()], |row| row.get(0)).optional()?.map(at);
        timer = timer.into_iter().chain(first).min();
        tenant = found;
    }
    let channels = channels_of(db, ask.channels.as_ref())?;
    let mut first_ready = db.prepare_cached(NEXT_READY)?;
    let mut tenant = String::new();
    while let Some(found) = next_tenant(db, &channels, &tenant)? {
        for channel in &channels {
            let values = params![channel, found, ask.after.micros(), now.micros()];
            let first = first_ready.query_row(values, |row| row.get(0)).optional()?.map(at);
            ready = ready.into_iter().chain(first).min();
        }
        tenant = found;
    }
    let mut leases = db.prepare_cached(NEXT_LEASE)?;
    let lease: Option<i64> = leases.query_row([now.micros()], |row| row.get(0))?;
    Ok(Upcoming { timer, ready, lease: lease.map(|until| now.until(at(until))) })
}

pub(crate) const NEXT_CHANNEL: &str = "SELECT channel FROM records
     WHERE channel IS NOT NULL AND channel > ?1 ORDER BY channel LIMIT 1";

/// The channels of a claim: those that it names, or all on which anything waits, each found by one
/// step down the index.
fn channels(db: &Connection, claim: &Claim) -> Result<Vec<String>, Fault> {
    channels_of(db, claim.channels.as_ref())
}

fn channels_of(db: &Connection, named: Option<&BTreeSet<ActionType>>) -> Result<Vec<String>, Fault> {
    if let Some(channels) = named {
        return Ok(channels.iter().map(ToString::to_string).collect());
    }
    let mut statement = db.prepare_cached(NEXT_CHANNEL)?;
    let mut channels = Vec::new();
    let mut last = String::new();
    while let Some(next) = statement.query_row([&last], |row| row.get::<_, String>(0)).optional()? {
        channels.push(next.clone());
        last = next;
    }
    Ok(channels)
}
