//! What changes the database; every function here runs within a transaction.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::{Client, GenericClient, Transaction};
use futures_util::future::{join, join4};
use tipstaff::{
    AuditDraft, AuditRecord, Commit, Committed, Head, Key, Record, Renewal, Salt, StoreError, TenantId, Time,
    UserId,
};
use tokio_postgres::{Error, Row, Statement};

use crate::fault::Fault;
use crate::lent::Lent;
use crate::lock::{Form, Keys, Locks, Old};
use crate::rows::{Rows, Writes, json};
use crate::{open, read, row};

/// Writes one transaction in two round trips: all that it must know is asked for at once, and all
/// that it writes goes out with the commit.
pub(crate) async fn commit(lent: Lent, form: Form, commit: &Commit) -> Result<Committed, Fault> {
    let outcome = attempt(lent.client(), form, commit).await;
    match outcome {
        Ok(Committed::Applied) => lent.give_back(),
        // A repeat is one only if what it has read stands.
        Ok(Committed::AlreadyApplied) => lent.commit().await?,
        Err(_) => lent.roll_back().await,
    }
    outcome
}

async fn attempt(db: &Client, form: Form, commit: &Commit) -> Result<Committed, Fault> {
    const ID: &str = concat!(
        "INSERT INTO tipstaff_commits (tenant, id, at) VALUES ($1, $2, ",
        row::now!(),
        ") ON CONFLICT DO NOTHING"
    );
    let (tenant, id, lanes) = (&commit.tenant, commit.id.to_string(), lanes(&commit.audit));
    // Known to the connection before the first is sent, the statements go out in this order.
    let first = GenericClient::prepare_cached(db, ID).await?;
    let schema = GenericClient::prepare_cached(db, open::FOUND).await?;
    let (locks, find) = (Locks::prepare(db, form).await?, find_heads(db, form).await?);
    let writes = Writes::prepare(db).await?;
    let (begun, current, new, (known, heads)) = join4(
        GenericClient::batch_execute(db, form.begin()),
        open::check(db, &schema),
        // A repeat that comes while the first is under way waits here for its end.
        GenericClient::execute(db, &first, &[&tenant.as_str(), &id]),
        join(keys(commit).take(db, &locks, tenant), read_heads(db, &find, tenant, &lanes)),
    )
    .await;
    begun?;
    current?;
    if new? == 0 {
        return Ok(Committed::AlreadyApplied);
    }
    let known = known?;
    let written = judge(commit, &known)?;
    let heads = begin_lanes(db, &find, tenant, &lanes, heads?).await?;
    let (sealed, heads) = seal(heads, &commit.audit)?;
    let rows = Rows::new(tenant, &known, &written, &sealed, &heads)?;
    match rows.write_and_commit(db, &writes).await {
        (Ok(()), Ok(())) => Ok(Committed::Applied),
        // The server refused a row, and answered the commit, which is a rollback then.
        (Err(error), Ok(())) if error.code().is_some() => Err(error.into()),
        (Ok(()), Err(error)) => Err(Fault::at_commit(&error)),
        // An error with a code may be the word of a pooler, which lost the server after the commit had gone out.
        (Err(error), _) => Err(Fault::unknown(&error)),
    }
}

/// Refuses what does not hold any more; gives the records to write, with their new versions.
fn judge(commit: &Commit, known: &BTreeMap<Key, Old>) -> Result<Vec<Record>, StoreError> {
    for (key, token) in &commit.fence {
        if known.get(key).map(|old| old.token) != Some(*token) {
            return Err(StoreError::Fenced(key.clone()));
        }
    }
    let mut versions: BTreeMap<&Key, u64> = known.iter().map(|(key, old)| (key, old.version)).collect();
    for (key, version) in &commit.expect {
        if versions.get(key).copied().unwrap_or(0) != *version {
            return Err(StoreError::Conflict(key.clone()));
        }
    }
    let mut last = BTreeMap::new();
    for record in &commit.put {
        let version = versions.entry(&record.key).or_default();
        if *version != record.version {
            return Err(StoreError::Conflict(record.key.clone()));
        }
        *version = version.saturating_add(1);
        last.insert(&record.key, Record { version: *version, ..record.clone() });
    }
    Ok(last.into_values().collect())
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

/// Writes records, whose versions are the new ones, and audit records within a transaction.
pub(crate) async fn put(
    tx: &Transaction<'_>,
    form: Form,
    tenant: &TenantId,
    known: &BTreeMap<Key, Old>,
    records: &[Record],
    audit: &[AuditDraft],
) -> Result<(), Fault> {
    let lanes = lanes(audit);
    let find = find_heads(tx, form).await?;
    let writes = Writes::prepare(tx).await?;
    let heads = read_heads(tx, &find, tenant, &lanes).await?;
    let heads = begin_lanes(tx, &find, tenant, &lanes, heads).await?;
    let (sealed, heads) = seal(heads, audit)?;
    Ok(Rows::new(tenant, known, records, &sealed, &heads)?.write(tx, &writes).await?)
}

fn lanes(drafts: &[AuditDraft]) -> Vec<i32> {
    let lanes: BTreeSet<u16> = drafts.iter().map(|draft| draft.lane).collect();
    lanes.into_iter().map(i32::from).collect()
}

/// Audit records with their places, and where the lanes end after them.
type Sealed = (Vec<(u64, AuditRecord)>, BTreeMap<u16, Head>);

/// Gives each draft its place after its lane's head.
fn seal(mut heads: BTreeMap<u16, Head>, drafts: &[AuditDraft]) -> Result<Sealed, Fault> {
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
    match fault {
        Some(fault) => Err(fault.into()),
        None => Ok((sealed, heads)),
    }
}

/// What finds where lanes end, held until the transaction is over: a lane has one writer at a time.
async fn find_heads(db: &impl GenericClient, form: Form) -> Result<Statement, Error> {
    let lock = if form == Form::Rows { "FOR UPDATE" } else { "" };
    let sql = format!(
        "SELECT lane, seq, hash FROM tipstaff_heads WHERE tenant = $1 AND lane = ANY($2) ORDER BY lane {lock}"
    );
    db.prepare_cached(&sql).await
}

async fn read_heads(
    db: &impl GenericClient,
    find: &Statement,
    tenant: &TenantId,
    lanes: &[i32],
) -> Result<Vec<Row>, Error> {
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    db.query(find, &[&tenant.as_str(), &lanes]).await
}

/// The heads that were found, and those of lanes that begin now.
async fn begin_lanes(
    db: &impl GenericClient,
    find: &Statement,
    tenant: &TenantId,
    lanes: &[i32],
    mut rows: Vec<Row>,
) -> Result<BTreeMap<u16, Head>, Fault> {
    const BEGIN: &str = "INSERT INTO tipstaff_heads (tenant, lane, seq, hash) \
        SELECT $1, lane, 0, $3 FROM unnest($2::INTEGER[]) AS lane ON CONFLICT DO NOTHING";
    if rows.len() < lanes.len() {
        let begin = db.prepare_cached(BEGIN).await?;
        db.execute(&begin, &[&tenant.as_str(), &lanes, &&Head::default().hash.bytes()[..]]).await?;
        rows = read_heads(db, find, tenant, lanes).await?;
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

/// Sixteen bytes from the operating system's generator.
pub(crate) fn random() -> Result<Salt, StoreError> {
    let mut bytes = [0; 16];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(Salt::from(bytes)),
        Err(error) => Err(StoreError::Unavailable(format!("the system gives no random bytes: {error}"))),
    }
}
