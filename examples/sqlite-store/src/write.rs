//! What changes the file; every function here runs within a write transaction.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tipstaff::{
    AuditDraft, AuditRecord, Commit, Committed, Facet, Key, Record, Renewal, Salt, StoreError, TenantId,
    Time, UserId,
};

use crate::fault::Fault;
use crate::{read, row};

pub(crate) fn commit(db: &Connection, commit: &Commit, now: Time) -> Result<Committed, Fault> {
    refuse_other_tenants(commit)?;
    let id = params![commit.tenant.as_str(), commit.id.bytes(), now.micros()];
    if db.prepare_cached("INSERT INTO commits VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?.execute(id)? == 0
    {
        return Ok(Committed::AlreadyApplied);
    }
    for (key, token) in &commit.fence {
        if row::version(db, key)?.map(|(_, token)| token) != Some(*token) {
            return Err(StoreError::Fenced(key.clone()).into());
        }
    }
    for (key, version) in &commit.expect {
        if row::version(db, key)?.map_or(0, |(version, _)| version) != *version {
            return Err(StoreError::Conflict(key.clone()).into());
        }
    }
    for record in &commit.put {
        put(db, record)?;
    }
    append(db, &commit.audit)?;
    Ok(Committed::Applied)
}

/// A commit is of one tenant: keys of another are a mistake of the caller, never a wish.
fn refuse_other_tenants(commit: &Commit) -> Result<(), Fault> {
    let named = commit.fence.iter().chain(&commit.expect).map(|(key, _)| key);
    let keys = named.chain(commit.put.iter().map(|record| &record.key));
    let tenants = keys.map(|key| &key.tenant).chain(commit.audit.iter().map(|draft| &draft.tenant));
    match tenants.into_iter().find(|tenant| **tenant != commit.tenant) {
        None => Ok(()),
        Some(other) => Err(Fault::corrupt(
            commit.id,
            format!("it names tenant `{other}`, but is of `{}`; accepted: one tenant", commit.tenant),
        )),
    }
}

/// Stores a record with the version after the one that it names.
pub(crate) fn put(db: &Connection, record: &Record) -> Result<Record, Fault> {
    const OLD: &str = "SELECT version, at, facets FROM records WHERE tenant = ?1 AND kind = ?2 AND id = ?3";
    const PUT: &str = concat!(
        "INSERT INTO records (",
        row::columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
         ON CONFLICT (tenant, kind, id) DO UPDATE SET
            version = excluded.version, at = excluded.at, due_at = excluded.due_at,
            channel = excluded.channel, ready_at = excluded.ready_at,
            lease_worker = excluded.lease_worker, lease_nonce = excluded.lease_nonce,
            lease_until = excluded.lease_until, token = excluded.token,
            facets = excluded.facets, body = excluded.body"
    );
    let Record { key, at, queue, lease, .. } = record;
    let (tenant, kind) = (key.tenant.as_str(), key.kind.as_str());
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
    let old = db.prepare_cached(OLD)?.query_row(params![tenant, kind, key.id], read).optional()?;
    if old.as_ref().map_or(0, |(version, ..)| version.cast_unsigned()) != record.version {
        return Err(StoreError::Conflict(key.clone()).into());
    }
    let stored = Record { version: record.version.saturating_add(1), ..record.clone() };
    let facets = serde_json::to_string(&record.facets).map_err(|error| Fault::corrupt(key, error))?;
    db.prepare_cached(PUT)?.execute(params![
        tenant,
        kind,
        key.id,
        stored.version.cast_signed(),
        at.micros(),
        record.due_at.map(Time::micros),
        queue.as_ref().map(|queue| queue.channel.as_str()),
        queue.as_ref().map(|queue| queue.ready_at.micros()),
        lease.as_ref().map(|lease| lease.worker.as_str()),
        lease.as_ref().map(|lease| lease.nonce.to_string()),
        lease.as_ref().map(|lease| lease.until.micros()),
        record.token.cast_signed(),
        facets,
        record.body,
    ])?;
    let had = match &old {
        Some((_, at, text)) => row::facets(key, text)?.into_iter().map(|facet| (*at, facet)).collect(),
        None => BTreeSet::new(),
    };
    let has = record.facets.iter().cloned().map(|facet| (at.micros(), facet)).collect();
    index(db, key, &had, &has)?;
    Ok(stored)
}

type Facets = BTreeSet<(i64, (Facet, String))>;

/// Keeps the rows of the facets: only what differs is written.
fn index(db: &Connection, key: &Key, had: &Facets, has: &Facets) -> Result<(), Fault> {
    const GONE: &str = "DELETE FROM facets WHERE tenant = ?1 AND kind = ?2 AND facet = ?3 AND value = ?4 \
                        AND at = ?5 AND id = ?6";
    const NEW: &str =
        "INSERT INTO facets (tenant, kind, facet, value, at, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let kind = key.kind.as_str();
    for (sql, rows) in [(GONE, had.difference(has)), (NEW, has.difference(had))] {
        let mut statement = db.prepare_cached(sql)?;
        for (at, (facet, value)) in rows {
            statement.execute(params![key.tenant.as_str(), kind, facet.as_str(), value, at, key.id])?;
        }
    }
    Ok(())
}

/// Gives each draft its place after its lane's head.
pub(crate) fn append(db: &Connection, drafts: &[AuditDraft]) -> Result<(), Fault> {
    const RECORD: &str =
        "INSERT INTO audit (tenant, lane, seq, personal_of, record) VALUES (?1, ?2, ?3, ?4, ?5)";
    const HEAD: &str = "INSERT INTO heads (tenant, lane, seq, hash) VALUES (?1, ?2, ?3, ?4) \
                        ON CONFLICT (tenant, lane) DO UPDATE SET seq = excluded.seq, hash = excluded.hash";
    for draft in drafts {
        let mut fault = None;
        let mut salt = || {
            random().unwrap_or_else(|error| {
                fault = Some(error);
                Salt::from([0; 16])
            })
        };
        let (record, head) = read::head(db, &draft.tenant, draft.lane)?.seal(draft.clone(), &mut salt);
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        let place = (record.tenant.as_str(), record.lane, head.seq.cast_signed());
        let personal = record.subject.as_ref().filter(|_| !record.personal.is_empty());
        db.prepare_cached(RECORD)?.execute(params![
            place.0,
            place.1,
            place.2,
            personal.map(|subject| subject.user.as_str()),
            json(&record)?,
        ])?;
        db.prepare_cached(HEAD)?.execute(params![place.0, place.1, place.2, head.hash.bytes()])?;
    }
    Ok(())
}

pub(crate) fn renew(db: &Connection, renewal: &Renewal, now: Time) -> Result<Time, Fault> {
    const SQL: &str = "UPDATE records SET lease_until = ?1 WHERE tenant = ?2 AND kind = ?3 AND id = ?4 \
                       AND token = ?5 AND lease_until IS NOT NULL";
    let Renewal { key, token, lease } = renewal;
    let until = now.after(*lease);
    let values = params![until.micros(), key.tenant.as_str(), key.kind.as_str(), key.id, token.cast_signed()];
    match db.prepare_cached(SQL)?.execute(values)? {
        0 => Err(StoreError::Fenced(key.clone()).into()),
        _ => Ok(until),
    }
}

pub(crate) fn erase(db: &Connection, tenant: &TenantId, user: &UserId) -> Result<u64, Fault> {
    const FIND: &str = "SELECT lane, seq, record FROM audit WHERE tenant = ?1 AND personal_of = ?2";
    const ERASE: &str =
        "UPDATE audit SET personal_of = NULL, record = ?4 WHERE tenant = ?1 AND lane = ?2 AND seq = ?3";
    let mut erased = 0;
    let found: Vec<(u16, i64, String)> = db
        .prepare_cached(FIND)?
        .query_map(params![tenant.as_str(), user.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (lane, seq, text) in found {
        let mut record = read::audit_record(tenant, lane, seq, &text)?;
        erased += u64::from(record.erase());
        db.prepare_cached(ERASE)?.execute(params![tenant.as_str(), lane, seq, json(&record)?])?;
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
