//! Claims: what may be taken is looked for without a lock, and taken tenant by tenant, each in one
//! short transaction that judges every record again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use deadpool_postgres::{GenericClient, Transaction};
use futures_util::future::{join, join5};
use tipstaff::{ActionType, Ahead, Claim, Key, MAX_CLAIM, Record, TenantId, Time, Upcoming};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Row, Statement};

use crate::fault::Fault;
use crate::lock::{self, Form, Old};
use crate::{read, row, write};

/// What a look at the queues found.
pub(crate) enum Found {
    /// The claim was made before: what it still holds.
    Held(Vec<Record>),
    /// What may be taken, of each tenant in turn; at most the claim's number.
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
    let channels = channels(db, claim.channels.as_ref()).await?;
    let mut ready: BTreeMap<TenantId, BTreeSet<Key>> = BTreeMap::new();
    let mut add = |key: Key| ready.entry(key.tenant.clone()).or_default().insert(key);
    let mut found = 0;
    let mut lines = VecDeque::new();
    // The first of each tenant, from the one after the last that was served, and round to it again.
    let last = claim.after.as_ref().map(TenantId::as_str);
    let (mut tenant, mut round) = (last.unwrap_or_default().to_owned(), last.is_none());
    while found < max {
        match next_tenant(db, &channels, &tenant).await? {
            Some(next) if !round || last.is_none_or(|last| *next <= *last) => {
                let mut line = Line::of(db, &next, max).await?;
                if let Some(key) = line.next(db, claim, &channels, now).await? {
                    add(key);
                    found += 1;
                    lines.push_back(line);
                }
                tenant = next;
            }
            _ if round => break,
            _ => (tenant, round) = (String::new(), true),
        }
    }
    while found < max
        && let Some(mut line) = lines.pop_front()
    {
        if let Some(key) = line.next(db, claim, &channels, now).await? {
            add(key);
            found += 1;
            lines.push_back(line);
        }
    }
    Ok(Found::Ready(ready))
}

/// What one tenant has to take, the longest ready first, read page by page.
struct Line {
    tenant: String,
    control: Option<Record>,
    size: usize,
    after: Place,
    page: VecDeque<Key>,
}

impl Line {
    /// Pages of a claim's size, within reason: most are left after the first key or two.
    async fn of(db: &impl GenericClient, tenant: &str, max: usize) -> Result<Self, Fault> {
        let id: TenantId = tenant.parse().map_err(|error| Fault::corrupt(tenant, error))?;
        Ok(Self {
            tenant: tenant.to_owned(),
            control: one(db, &Claim::control_key(&id)).await?,
            size: max.clamp(16, 64),
            after: Place { ready_at: i64::MIN, key: Default::default() },
            page: VecDeque::new(),
        })
    }

    async fn next(
        &mut self,
        db: &impl GenericClient,
        claim: &Claim,
        channels: &[String],
        now: Time,
    ) -> Result<Option<Key>, Fault> {
        loop {
            while let Some(key) = self.page.pop_front() {
                // Where nothing of the tenant is stopped, the record need not be read for this.
                let Some(control) = &self.control else { return Ok(Some(key)) };
                let Some(record) = one(db, &key).await? else { continue };
                if claim.take(&record, Some(control), now).is_some() {
                    return Ok(Some(key));
                }
            }
            let page = page(db, claim, channels, &self.tenant, now, &self.after, self.size).await?;
            let Some((last, _)) = page.last() else { return Ok(None) };
            self.after = last.clone();
            self.page = page.into_iter().map(|(_, key)| key).collect();
        }
    }
}

async fn one(db: &impl GenericClient, key: &Key) -> Result<Option<Record>, Fault> {
    Ok(read::load(db, std::slice::from_ref(key)).await?.pop().flatten())
}

/// Takes those records of one tenant that may still be taken. What another transaction has in hand
/// is passed over.
pub(crate) async fn take(
    tx: &Transaction<'_>,
    form: Form,
    claim: &Claim,
    tenant: &TenantId,
    ready: &BTreeSet<Key>,
) -> Result<Vec<Record>, Fault> {
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
    // The same claim may have been made at once.
    let mut before = before?;
    before.retain(|record| record.key.tenant == *tenant);
    if !before.is_empty() {
        return Ok(before);
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
    Ok(taken)
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

async fn read_held(
    db: &impl GenericClient,
    statement: &Statement,
    claim: &Claim,
) -> Result<Vec<Record>, Fault> {
    let rows = db.query(statement, &[&claim.nonce.to_string(), &claim.worker.as_str()]).await?;
    rows.iter().map(row::record).collect()
}

/// The order in which a tenant's records are taken: what has been ready longest, then by key.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
struct Place {
    ready_at: i64,
    key: (String, String),
}

/// The next candidates of a tenant after a place. Each channel has an order of its own; the page is
/// merged from their firsts.
async fn page(
    db: &impl GenericClient,
    claim: &Claim,
    channels: &[String],
    tenant: &str,
    now: Time,
    after: &Place,
    limit: usize,
) -> Result<Vec<(Place, Key)>, Fault> {
    const READY: &str = "SELECT p.tenant, p.kind, p.id, p.ready_at FROM unnest($1::TEXT[]) AS c CROSS JOIN LATERAL \
        (SELECT r.tenant, r.kind, r.id, r.ready_at FROM tipstaff_records AS r \
         WHERE r.channel = c AND r.tenant = $2 AND r.ready_at <= $3 \
           AND (r.lease_until IS NULL OR r.lease_until <= $4) AND (r.ready_at, r.kind, r.id) > ($5, $6, $7) \
         ORDER BY r.ready_at, r.kind, r.id LIMIT $8) AS p \
        ORDER BY p.ready_at, p.kind, p.id LIMIT $8";
    let statement = db.prepare_cached(READY).await?;
    let (kind, id) = &after.key;
    let (until, now, limit) = (claim.until.micros(), now.micros(), row::limit(limit));
    let values: [&(dyn ToSql + Sync); 8] =
        [&channels, &tenant, &until, &now, &after.ready_at, kind, id, &limit];
    db.query(&statement, &values)
        .await?
        .iter()
        .map(|row| {
            Ok((
                Place { ready_at: row.try_get(3)?, key: (row.try_get(1)?, row.try_get(2)?) },
                row::key(row, 0)?,
            ))
        })
        .collect()
}

/// The next tenant that has anything on these channels: one step down the index for each.
async fn next_tenant(
    db: &impl GenericClient,
    channels: &[String],
    after: &str,
) -> Result<Option<String>, Fault> {
    const NEXT: &str = "SELECT p.tenant FROM unnest($1::TEXT[]) AS c CROSS JOIN LATERAL \
        (SELECT r.tenant FROM tipstaff_records AS r WHERE r.channel = c AND r.tenant > $2 \
         ORDER BY r.tenant LIMIT 1) AS p ORDER BY p.tenant LIMIT 1";
    let statement = db.prepare_cached(NEXT).await?;
    Ok(db.query_opt(&statement, &[&channels, &after]).await?.map(|row| row.try_get(0)).transpose()?)
}

/// What comes next, of all tenants: one step down an index for each of them.
pub(crate) async fn upcoming(db: &impl GenericClient, ask: &Ahead) -> Result<Upcoming, Fault> {
    const TENANT: &str = "SELECT tenant FROM tipstaff_records WHERE due_at IS NOT NULL AND tenant > $1 \
        ORDER BY tenant LIMIT 1";
    const TIMER: &str = "SELECT due_at FROM tipstaff_records WHERE tenant = $1 AND due_at > $2 \
        ORDER BY due_at LIMIT 1";
    const READY: &str = "SELECT p.ready_at FROM unnest($1::TEXT[]) AS c CROSS JOIN LATERAL \
        (SELECT r.ready_at FROM tipstaff_records AS r \
         WHERE r.channel = c AND r.tenant = $2 AND r.ready_at > $3 \
           AND (r.lease_until IS NULL OR r.lease_until <= $4) ORDER BY r.ready_at LIMIT 1) AS p \
        ORDER BY p.ready_at LIMIT 1";
    // As many rows as there are leases, which workers bound.
    const LEASE: &str = "SELECT min(lease_until) FROM tipstaff_records \
        WHERE lease_nonce IS NOT NULL AND lease_until > $1";
    let now = read::now(db).await?;
    let first = |row: Option<Row>| -> Result<Option<Time>, Fault> {
        Ok(row.map(|row| row.try_get(0)).transpose()?.map(Time::from_micros))
    };
    let (mut timer, mut ready) = (None, None);
    let (next, of_tenant) = (db.prepare_cached(TENANT).await?, db.prepare_cached(TIMER).await?);
    let mut tenant = String::new();
    while let Some(row) = db.query_opt(&next, &[&tenant]).await? {
        tenant = row.try_get(0)?;
        let found = first(db.query_opt(&of_tenant, &[&tenant, &ask.after.micros()]).await?)?;
        timer = timer.into_iter().chain(found).min();
    }
    let channels = channels(db, ask.channels.as_ref()).await?;
    let of_tenant = db.prepare_cached(READY).await?;
    let mut tenant = String::new();
    while let Some(found) = next_tenant(db, &channels, &tenant).await? {
        tenant = found;
        let row = db.query_opt(&of_tenant, &[&channels, &tenant, &ask.after.micros(), &now.micros()]).await?;
        ready = ready.into_iter().chain(first(row)?).min();
    }
    let leases = db.prepare_cached(LEASE).await?;
    let lease: Option<i64> = db.query_one(&leases, &[&now.micros()]).await?.try_get(0)?;
    Ok(Upcoming { timer, ready, lease: lease.map(|until| now.until(Time::from_micros(until))) })
}

/// The channels of a claim: those that it names, or all on which anything waits, each found by one
/// step down the index.
async fn channels(
    db: &impl GenericClient,
    named: Option<&BTreeSet<ActionType>>,
) -> Result<Vec<String>, Fault> {
    const NEXT: &str = "SELECT channel FROM tipstaff_records \
        WHERE channel IS NOT NULL AND channel > $1 ORDER BY channel LIMIT 1";
    if let Some(channels) = named {
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
