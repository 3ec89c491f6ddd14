//! What changes the database; every function here runs within a transaction.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Transaction;
use tipstaff::{
    AuditDraft, AuditRecord, Commit, Committed, Facet, Head, Key, Record, Renewal, Salt, StoreError,
    TenantId, Time, UserId,
};

use crate::fault::Fault;
use crate::lock::{Form, Keys, Old};
use crate::{read, row};

pub(crate) async fn commit(tx: &Transaction<'_>, form: Form, commit: &Commit) -> Result<Committed, Fault> {
    const ID: &str = concat!(
        "INSERT INTO tipstaff_commits (tenant, id, at) VALUES ($1, $2, ",
        row::now!(),
        ") ON CONFLICT DO NOTHING"
    );
    let tenant = &commit.tenant;
    let id = tx.prepare_cached(ID).await?;
    // A repeat that comes while the first is under way waits here for its end.
    if tx.execute(&id, &[&tenant.as_str(), &commit.id.to_string()]).await? == 0 {
        return Ok(Committed::AlreadyApplied);
    }
    let known = keys(commit).take(tx, form, tenant).await?;
    for (key, token) in &commit.fence {
        if known.get(key).map(|old| old.token) != Some(*token) {
            return Err(StoreError::Fenced(key.clone()).into());
        }
    }
    let mut versions: BTreeMap<&Key, u64> = known.iter().map(|(key, old)| (key, old.version)).collect();
    for (key, version) in &commit.expect {
        if versions.get(key).copied().unwrap_or(0) != *version {
            return Err(StoreError::Conflict(key.clone()).into());
        }
    }
    let mut last = BTreeMap::new();
    for record in &commit.put {
        let version = versions.entry(&record.key).or_default();
        if *version != record.version {
            return Err(StoreError::Conflict(record.key.clone()).into());
        }
        *version = version.saturating_add(1);
        last.insert(&record.key, Record { version: *version, ..record.clone() });
    }
    let written: Vec<Record> = last.into_values().collect();
    put(tx, tenant, &known, &written).await?;
    append(tx, form, tenant, &commit.audit).await?;
    Ok(Committed::Applied)
}

fn keys(commit: &Commit) -> Keys<'_> {
    let expected = commit.expect.iter().map(|(key, version)| (key, *version));
    let put = commit.put.iter().map(|record| (&record.key, record.version));
    Keys {
        written: put.clone().map(|(key, _)| key).chain(commit.fence.iter().map(|(key, _)| key)).collect(),
        expected: expected.clone().map(|(key, _)| key).collect(),
        absent: expected.chain(put).filter(|(_, version)| *version == 0).map(|(key, _)| key).collect(),
    }
}

/// A commit is of one tenant: keys of another are a mistake of the caller, never a wish.
pub(crate) fn refuse_other_tenants(commit: &Commit) -> Result<(), StoreError> {
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

/// Stores records, whose versions are the new ones.
pub(crate) async fn put(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    known: &BTreeMap<Key, Old>,
    records: &[Record],
) -> Result<(), Fault> {
    const PUT: &str = "INSERT INTO tipstaff_records (tenant, kind, id, version, at, due_at, channel, ready_at, \
            lease_worker, lease_nonce, lease_until, token, facets, body) \
        SELECT $1, * FROM unnest($2::TEXT[], $3::TEXT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[], $7::TEXT[], \
            $8::BIGINT[], $9::TEXT[], $10::TEXT[], $11::BIGINT[], $12::BIGINT[], $13::TEXT[], $14::TEXT[]) \
        ON CONFLICT (tenant, kind, id) DO UPDATE SET \
            version = excluded.version, at = excluded.at, due_at = excluded.due_at, \
            channel = excluded.channel, ready_at = excluded.ready_at, \
            lease_worker = excluded.lease_worker, lease_nonce = excluded.lease_nonce, \
            lease_until = excluded.lease_until, token = excluded.token, \
            facets = excluded.facets, body = excluded.body";
    if records.is_empty() {
        return Ok(());
    }
    let all = |of: fn(&Record) -> &str| records.iter().map(of).collect::<Vec<_>>();
    let numbers = |of: fn(&Record) -> i64| records.iter().map(of).collect::<Vec<_>>();
    let maybe = |of: fn(&Record) -> Option<i64>| records.iter().map(of).collect::<Vec<_>>();
    let texts = |of: fn(&Record) -> Option<String>| records.iter().map(of).collect::<Vec<_>>();
    let facets: Vec<String> = records
        .iter()
        .map(|record| {
            serde_json::to_string(&record.facets).map_err(|error| Fault::corrupt(&record.key, error))
        })
        .collect::<Result<_, _>>()?;
    let statement = tx.prepare_cached(PUT).await?;
    tx.execute(
        &statement,
        &[
            &tenant.as_str(),
            &all(|r| r.key.kind.as_str()),
            &all(|r| r.key.id.as_str()),
            &numbers(|r| r.version.cast_signed()),
            &numbers(|r| r.at.micros()),
            &maybe(|r| r.due_at.map(Time::micros)),
            &texts(|r| r.queue.as_ref().map(|queue| queue.channel.to_string())),
            &maybe(|r| r.queue.as_ref().map(|queue| queue.ready_at.micros())),
            &texts(|r| r.lease.as_ref().map(|lease| lease.worker.to_string())),
            &texts(|r| r.lease.as_ref().map(|lease| lease.nonce.to_string())),
            &maybe(|r| r.lease.as_ref().map(|lease| lease.until.micros())),
            &numbers(|r| r.token.cast_signed()),
            &facets,
            &all(|r| r.body.as_str()),
        ],
    )
    .await?;
    index(tx, tenant, known, records).await
}

/// One row of the facets: kind, facet, value, time, id.
type Row<'a> = (&'a str, Facet, &'a str, i64, &'a str);

fn rows<'a>(key: &'a Key, at: i64, facets: &'a [(Facet, String)]) -> impl Iterator<Item = Row<'a>> {
    facets.iter().map(move |(facet, value)| (key.kind.as_str(), *facet, value.as_str(), at, key.id.as_str()))
}

/// Keeps the rows of the facets: only what differs is written.
async fn index(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    known: &BTreeMap<Key, Old>,
    records: &[Record],
) -> Result<(), Fault> {
    const GONE: &str = "DELETE FROM tipstaff_facets WHERE tenant = $1 AND (kind, facet, value, at, id) IN \
        (SELECT * FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::TEXT[]))";
    const NEW: &str = "INSERT INTO tipstaff_facets (tenant, kind, facet, value, at, id) \
        SELECT $1, * FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::TEXT[])";
    let old = records.iter().filter_map(|record| known.get_key_value(&record.key));
    let had: BTreeSet<Row<'_>> = old.flat_map(|(key, old)| rows(key, old.at, &old.facets)).collect();
    let has: BTreeSet<Row<'_>> =
        records.iter().flat_map(|record| rows(&record.key, record.at.micros(), &record.facets)).collect();
    for (sql, changed) in [(GONE, had.difference(&has)), (NEW, has.difference(&had))] {
        let changed: Vec<&Row<'_>> = changed.collect();
        if changed.is_empty() {
            continue;
        }
        let statement = tx.prepare_cached(sql).await?;
        let kinds: Vec<&str> = changed.iter().map(|row| row.0).collect();
        let facets: Vec<&str> = changed.iter().map(|row| row.1.as_str()).collect();
        let values: Vec<&str> = changed.iter().map(|row| row.2).collect();
        let times: Vec<i64> = changed.iter().map(|row| row.3).collect();
        let ids: Vec<&str> = changed.iter().map(|row| row.4).collect();
        tx.execute(&statement, &[&tenant.as_str(), &kinds, &facets, &values, &times, &ids]).await?;
    }
    Ok(())
}

/// Gives each draft its place after its lane's head.
pub(crate) async fn append(
    tx: &Transaction<'_>,
    form: Form,
    tenant: &TenantId,
    drafts: &[AuditDraft],
) -> Result<(), Fault> {
    const RECORDS: &str = "INSERT INTO tipstaff_audit (tenant, lane, seq, personal_of, record) \
        SELECT $1, * FROM unnest($2::INTEGER[], $3::BIGINT[], $4::TEXT[], $5::TEXT[])";
    const HEADS: &str = "UPDATE tipstaff_heads AS h SET seq = n.seq, hash = n.hash \
        FROM unnest($2::INTEGER[], $3::BIGINT[], $4::BYTEA[]) AS n (lane, seq, hash) \
        WHERE h.tenant = $1 AND h.lane = n.lane";
    if drafts.is_empty() {
        return Ok(());
    }
    let mut heads = heads(tx, form, tenant, drafts).await?;
    let mut fault = None;
    let mut sealed = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let mut salt = || {
            random().unwrap_or_else(|error| {
                fault = Some(error);
                Salt::from([0; 16])
            })
        };
        let head = heads.entry(draft.lane).or_default();
        let (record, next) = head.seal(draft.clone(), &mut salt);
        *head = next;
        sealed.push((next.seq, record));
    }
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    let lanes: Vec<i32> = sealed.iter().map(|(_, record)| record.lane.into()).collect();
    let places: Vec<i64> = sealed.iter().map(|(seq, _)| seq.cast_signed()).collect();
    let personal: Vec<Option<&str>> = sealed
        .iter()
        .map(|(_, record)| {
            let subject = record.subject.as_ref().filter(|_| !record.personal.is_empty());
            subject.map(|subject| subject.user.as_str())
        })
        .collect();
    let texts: Vec<String> = sealed.iter().map(|(_, record)| json(record)).collect::<Result<_, _>>()?;
    let statement = tx.prepare_cached(RECORDS).await?;
    tx.execute(&statement, &[&tenant.as_str(), &lanes, &places, &personal, &texts]).await?;
    let statement = tx.prepare_cached(HEADS).await?;
    let lanes: Vec<i32> = heads.keys().map(|lane| i32::from(*lane)).collect();
    let places: Vec<i64> = heads.values().map(|head| head.seq.cast_signed()).collect();
    let hashes: Vec<&[u8]> = heads.values().map(|head| &head.hash.bytes()[..]).collect();
    tx.execute(&statement, &[&tenant.as_str(), &lanes, &places, &hashes]).await?;
    Ok(())
}

/// Where the lanes end, held until the transaction is over: a lane has one writer at a time.
async fn heads(
    tx: &Transaction<'_>,
    form: Form,
    tenant: &TenantId,
    drafts: &[AuditDraft],
) -> Result<BTreeMap<u16, Head>, Fault> {
    const BEGIN: &str = "INSERT INTO tipstaff_heads (tenant, lane, seq, hash) \
        SELECT $1, lane, 0, $3 FROM unnest($2::INTEGER[]) AS lane ON CONFLICT DO NOTHING";
    let lanes: BTreeSet<u16> = drafts.iter().map(|draft| draft.lane).collect();
    let lanes: Vec<i32> = lanes.into_iter().map(i32::from).collect();
    let lock = if form == Form::Rows { "FOR UPDATE" } else { "" };
    let sql = format!(
        "SELECT lane, seq, hash FROM tipstaff_heads WHERE tenant = $1 AND lane = ANY($2) ORDER BY lane {lock}"
    );
    let statement = tx.prepare_cached(&sql).await?;
    let mut rows = tx.query(&statement, &[&tenant.as_str(), &lanes]).await?;
    if rows.len() < lanes.len() {
        let begin = tx.prepare_cached(BEGIN).await?;
        tx.execute(&begin, &[&tenant.as_str(), &lanes, &&Head::default().hash.bytes()[..]]).await?;
        rows = tx.query(&statement, &[&tenant.as_str(), &lanes]).await?;
    }
    rows.iter().map(|row| read::a_head(tenant, row)).collect()
}

pub(crate) async fn renew(tx: &Transaction<'_>, renewal: &Renewal) -> Result<Time, Fault> {
    const SQL: &str = concat!(
        "UPDATE tipstaff_records SET lease_until = ",
        row::now!(),
        " + $1 WHERE tenant = $2 AND kind = $3 AND id = $4 AND token = $5 AND lease_until IS NOT NULL \
         RETURNING lease_until"
    );
    let Renewal { key, token, lease } = renewal;
    let statement = tx.prepare_cached(SQL).await?;
    let (tenant, kind, token) = (key.tenant.as_str(), key.kind.as_str(), token.cast_signed());
    let lease = Time::EPOCH.after(*lease).micros();
    match tx.query_opt(&statement, &[&lease, &tenant, &kind, &key.id, &token]).await? {
        None => Err(StoreError::Fenced(key.clone()).into()),
        Some(row) => Ok(Time::from_micros(row.try_get(0)?)),
    }
}

pub(crate) async fn erase(
    tx: &Transaction<'_>,
    form: Form,
    tenant: &TenantId,
    user: &UserId,
) -> Result<u64, Fault> {
    const ERASE: &str = "UPDATE tipstaff_audit SET personal_of = NULL, record = $4 WHERE tenant = $1 AND lane = $2 AND seq = $3";
    let lock = if form == Form::Rows { "FOR UPDATE" } else { "" };
    let find = format!(
        "SELECT lane, seq, record FROM tipstaff_audit WHERE tenant = $1 AND personal_of = $2 \
         ORDER BY lane, seq {lock}"
    );
    let find = tx.prepare_cached(&find).await?;
    let erase = tx.prepare_cached(ERASE).await?;
    let mut erased = 0;
    for row in tx.query(&find, &[&tenant.as_str(), &user.as_str()]).await? {
        let (lane, seq): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
        let mut record = read::audit_record(tenant, lane, seq, row.try_get(2)?)?;
        erased += u64::from(record.erase());
        tx.execute(&erase, &[&tenant.as_str(), &lane, &seq, &json(&record)?]).await?;
    }
    Ok(erased)
}

fn json(record: &AuditRecord) -> Result<String, Fault> {
    serde_json::to_string(record).map_err(|error| Fault::corrupt(record, error))
}

/// Sixteen bytes from the operating system's generator.
pub(crate) fn random() -> Result<Salt, StoreError> {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(Salt::from(bytes)),
        Err(error) => Err(StoreError::Unavailable(format!("the system gives no random bytes: {error}"))),
    }
}
