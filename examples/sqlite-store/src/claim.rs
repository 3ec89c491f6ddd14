//! Claims: what may be taken is looked for without a lock on the file, and taken in one short
//! write transaction, which judges each record again.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};
use tipstaff::{Claim, Key, MAX_CLAIM, Record, StoreError, TenantId, Time};

use crate::fault::Fault;
use crate::{row, write};

/// What a look at the queues found.
pub(crate) enum Found {
    /// The claim was made before: what it still holds.
    Held(Vec<Record>),
    /// What may be taken, the longest ready first; at most the claim's number.
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
    let mut controls = Controls::default();
    let (mut ready, mut damaged) = (Vec::new(), None);
    let mut after = Place { ready_at: i64::MIN, key: (String::new(), String::new(), String::new()) };
    loop {
        let page = page(db, claim, now, &after, max)?;
        let Some((last, _)) = page.last() else {
            // A damaged record holds up no other; it is told when nothing else is left.
            return match damaged.filter(|_| ready.is_empty()) {
                Some(fault) => Err(fault),
                None => Ok(Found::Ready(ready)),
            };
        };
        after = last.clone();
        for (_, key) in page {
            match is_let_go(db, claim, &key, controls.of(db, &key.tenant)?, now) {
                Ok(true) => ready.push(key),
                Ok(false) => {}
                Err(fault @ Fault::Store(StoreError::Corrupt { .. })) => damaged = damaged.or(Some(fault)),
                Err(fault) => return Err(fault),
            }
            if ready.len() == max {
                return Ok(Found::Ready(ready));
            }
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
        // What cannot be taken any more is looked at again by the next claim.
        if let Ok(Some(made)) = claim.take(&record, controls.of(db, &key.tenant)?, now) {
            taken.push(write::put(db, &made.record)?);
            write::append(db, &made.audit)?;
        }
    }
    Ok(taken)
}

/// Whether the record can be taken.
fn is_let_go(
    db: &Connection,
    claim: &Claim,
    key: &Key,
    control: Option<&Record>,
    now: Time,
) -> Result<bool, Fault> {
    let Some(record) = row::load(db, key)? else { return Ok(false) };
    Ok(claim.take(&record, control, now)?.is_some())
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

/// The order in which records are taken: what has been ready longest, then tenant and key.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
struct Place {
    ready_at: i64,
    key: (String, String, String),
}

pub(crate) const READY: &str = "SELECT tenant, kind, id, ready_at FROM records
     WHERE channel = ?1 AND ready_at <= ?2 AND (lease_until IS NULL OR lease_until <= ?3)
       AND (ready_at, tenant, kind, id) > (?4, ?5, ?6, ?7)
     ORDER BY ready_at, tenant, kind, id LIMIT ?8";

/// The next candidates after a place. Each channel has an order of its own; the page is merged
/// from their firsts.
fn page(
    db: &Connection,
    claim: &Claim,
    now: Time,
    after: &Place,
    limit: usize,
) -> Result<Vec<(Place, Key)>, Fault> {
    let mut statement = db.prepare_cached(READY)?;
    let mut page = BTreeMap::new();
    for channel in channels(db, claim)? {
        let (tenant, kind, id) = &after.key;
        let mut rows = statement.query(params![
            channel,
            claim.until.micros(),
            now.micros(),
            after.ready_at,
            tenant,
            kind,
            id,
            row::limit(limit),
        ])?;
        while let Some(row) = rows.next()? {
            let key = (row.get(0)?, row.get(1)?, row.get(2)?);
            page.insert(Place { ready_at: row.get(3)?, key }, row::key(row, 0)?);
        }
    }
    Ok(page.into_iter().take(limit).collect())
}

pub(crate) const NEXT_CHANNEL: &str = "SELECT channel FROM records
     WHERE channel IS NOT NULL AND channel > ?1 ORDER BY channel LIMIT 1";

/// The channels of a claim: those that it names, or all on which anything waits, each found by one
/// step down the index.
fn channels(db: &Connection, claim: &Claim) -> Result<Vec<String>, Fault> {
    if let Some(channels) = &claim.channels {
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
