//! Claims: what may be taken is looked for without a lock, and taken tenant by tenant, each in one
//! short transaction that judges every record again.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::{GenericClient, Transaction};
use futures_util::future::{join, join5};
use tipstaff::{Claim, Key, MAX_CLAIM, Record, TenantId, Time};
use tokio_postgres::{Error, Statement};

use crate::fault::Fault;
use crate::lock::{self, Form, Old};
use crate::{read, row, write};

/// What a look at the queues found.
pub(crate) enum Found {
    /// The claim was made before: what it still holds.
    Held(Vec<Record>),
    /// What may be taken, by tenant; at most the claim's number, the longest ready.
    Ready(BTreeMap<TenantId, BTreeSet<Key>>),
}

/// Looks for what a claim may take. What a kill switch holds back is passed over, so that it takes
/// no one else's place.
pub(crate) async fn look(db: &impl GenericClient, claim: &Claim) -> Result<Found, Fault> {
    let (of_nonce, clock) = (db.prepare_cached(HELD).await?, db.prepare_cached(read::NOW).await?);
    let (held, now) = join(read_held(db, &of_nonce, claim), read::time(db, &clock)).await;
    let (held, now) = (held?, now?);
    if !held.is_empty() {
        return Ok(Found::Held(held));
    }
    let max = claim.max.clamp(1, MAX_CLAIM);
    let mut controls: BTreeMap<TenantId, Option<Record>> = BTreeMap::new();
    let mut ready: BTreeMap<TenantId, BTreeSet<Key>> = BTreeMap::new();
    let mut found = 0;
    let mut after = Place { ready_at: i64::MIN, key: Default::default() };
    loop {
        let page = page(db, claim, now, &after, max).await?;
        let Some((last, _)) = page.last() else { return Ok(Found::Ready(ready)) };
        after = last.clone();
        for (_, key) in page {
            if !controls.contains_key(&key.tenant) {
                let control = one(db, &Claim::control_key(&key.tenant)).await?;
                controls.insert(key.tenant.clone(), control);
            }
            // Where nothing of the tenant is stopped, the record need not be read for this.
            if let Some(control) = &controls[&key.tenant] {
                let Some(record) = one(db, &key).await? else { continue };
                if claim.take(&record, Some(control), now).is_none() {
                    continue;
                }
            }
            ready.entry(key.tenant.clone()).or_default().insert(key);
            found += 1;
            if found == max {
                return Ok(Found::Ready(ready));
            }
        }
    }
}

async fn one(db: &impl GenericClient, key: &Key) -> Result<Option<Record>, Fault> {
    Ok(read::load(db, std::slice::from_ref(key)).await?.pop().flatten())
}

/// Takes those records of one tenant that may still be taken. What another transaction has in hand
/// is passed over. None where the same claim, made at once, has taken what is not among `ours`.
pub(crate) async fn take(
    tx: &Transaction<'_>,
    form: Form,
    claim: &Claim,
    tenant: &TenantId,
    ready: &BTreeSet<Key>,
    ours: &[Record],
) -> Result<Option<Vec<Record>>, Fault> {
    let control = Claim::control_key(tenant);
    // Whoever stops something waits until this is over, or this sees that it is stopped.
    let (lock, share, skip) = match form {
        Form::Rows => (Some(tx.prepare_cached(lock::TOGETHER).await?), "FOR SHARE", "FOR UPDATE SKIP LOCKED"),
        Form::Serializable => (None, "", ""),
    };
    let (share, skip) = (selecting(tx, share).await?, selecting(tx, skip).await?);
    let (of_nonce, clock) = (tx.prepare_cached(HELD).await?, tx.prepare_cached(read::NOW).await?);
    // All at once, and in this order.
    let (locked, control, before, now, found) = join5(
        lock::lock_absent(tx, lock.as_ref(), &[&control]),
        select(tx, &share, tenant, &BTreeSet::from([&control])),
        read_held(tx, &of_nonce, claim),
        read::time(tx, &clock),
        select(tx, &skip, tenant, &ready.iter().collect()),
    )
    .await;
    locked?;
    let control = control?.pop();
    let theirs = |held: &Record| ours.iter().all(|record| record.key != held.key);
    if before?.iter().any(theirs) {
        return Ok(None);
    }
    let now = now?;
    let (mut known, mut taken, mut audit) = (BTreeMap::new(), Vec::new(), Vec::new());
    for record in found? {
        if !claim.may_take(&record, now) {
            continue;
        }
        let Some(made) = claim.take(&record, control.as_ref(), now) else { continue };
        let old = Old {
            version: record.version,
            token: record.token,
            at: record.at.micros(),
            facets: record.facets.clone(),
        };
        known.insert(record.key, old);
        taken.push(Record { version: made.record.version.saturating_add(1), ..made.record });
        audit.extend(made.audit);
    }
    write::put(tx, form, tenant, &known, &taken, &audit).await?;
    Ok(Some(taken))
}

async fn selecting(tx: &Transaction<'_>, lock: &str) -> Result<Statement, Error> {
    let sql = format!(
        "SELECT {} FROM tipstaff_records AS r WHERE r.tenant = $1 \
         AND (r.kind, r.id) IN (SELECT * FROM unnest($2::TEXT[], $3::TEXT[])) ORDER BY r.kind, r.id {lock}",
        row::columns!()
    );
    tx.prepare_cached(&sql).await
}

async fn select(
    tx: &Transaction<'_>,
    statement: &Statement,
    tenant: &TenantId,
    keys: &BTreeSet<&Key>,
) -> Result<Vec<Record>, Fault> {
    let (kinds, ids) = lock::columns(keys);
    tx.query(statement, &[&tenant.as_str(), &kinds, &ids]).await?.iter().map(row::record).collect()
}

const HELD: &str = concat!(
    "SELECT ",
    row::columns!(),
    " FROM tipstaff_records AS r WHERE r.lease_nonce = $1 AND r.lease_worker = $2 ORDER BY r.tenant, r.kind, r.id"
);

/// What a claim holds that was made before.
pub(crate) async fn held(db: &impl GenericClient, claim: &Claim) -> Result<Vec<Record>, Fault> {
    read_held(db, &db.prepare_cached(HELD).await?, claim).await
}

async fn read_held(
    db: &impl GenericClient,
    statement: &Statement,
    claim: &Claim,
) -> Result<Vec<Record>, Fault> {
    let rows = db.query(statement, &[&claim.nonce.to_string(), &claim.worker.as_str()]).await?;
    rows.iter().map(row::record).collect()
}

/// The order in which records are taken: what has been ready longest, then tenant and key.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
struct Place {
    ready_at: i64,
    key: (String, String, String),
}

/// The next candidates after a place. Each channel has an order of its own; the page is merged
/// from their firsts.
async fn page(
    db: &impl GenericClient,
    claim: &Claim,
    now: Time,
    after: &Place,
    limit: usize,
) -> Result<Vec<(Place, Key)>, Fault> {
    const READY: &str = "SELECT p.tenant, p.kind, p.id, p.ready_at FROM unnest($1::TEXT[]) AS c CROSS JOIN LATERAL \
        (SELECT r.tenant, r.kind, r.id, r.ready_at FROM tipstaff_records AS r \
         WHERE r.channel = c AND r.ready_at <= $2 AND (r.lease_until IS NULL OR r.lease_until <= $3) \
           AND (r.ready_at, r.tenant, r.kind, r.id) > ($4, $5, $6, $7) \
         ORDER BY r.ready_at, r.tenant, r.kind, r.id LIMIT $8) AS p \
        ORDER BY p.ready_at, p.tenant, p.kind, p.id LIMIT $8";
    let channels = channels(db, claim).await?;
    let statement = db.prepare_cached(READY).await?;
    let (tenant, kind, id) = &after.key;
    let (until, now, limit) = (claim.until.micros(), now.micros(), row::limit(limit));
    let rows =
        db.query(&statement, &[&channels, &until, &now, &after.ready_at, tenant, kind, id, &limit]).await?;
    rows.iter()
        .map(|row| {
            let key = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            Ok((Place { ready_at: row.try_get(3)?, key }, row::key(row, 0)?))
        })
        .collect()
}

/// The channels of a claim: those that it names, or all on which anything waits, each found by one
/// step down the index.
async fn channels(db: &impl GenericClient, claim: &Claim) -> Result<Vec<String>, Fault> {
    const NEXT: &str = "SELECT channel FROM tipstaff_records \
        WHERE channel IS NOT NULL AND channel > $1 ORDER BY channel LIMIT 1";
    if let Some(channels) = &claim.channels {
        return Ok(channels.iter().map(ToString::to_string).collect());
    }
    let statement = db.prepare_cached(NEXT).await?;
    let mut channels = Vec::new();
    let mut last = String::new();
    while let Some(row) = db.query_opt(&statement, &[&last]).await? {
        last = row.try_get(0)?;
        channels.push(last.clone());
    }
    Ok(channels)
}
