//! What changes the file; every function here runs within a write transaction.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tipstaff::{
    AuditDraft, AuditRecord, Commit, Committed, Facet, Head, Key, Kind, Record, Renewal, Salt, StoreError,
    TenantId, Time, UserId,
};

use crate::fault::Fault;
use crate::read;
use crate::row::{self, Raw};

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
    let mut lanes = Lanes::default();
    for record in &commit.put {
        put(db, record, &mut lanes)?;
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
pub(crate) fn put(db: &Connection, record: &Record, lanes: &mut Lanes) -> Result<u64, Fault> {
    const OLD: &str = "SELECT version, at, facets FROM records WHERE tenant = ?1 AND kind = ?2 AND id = ?3";
    const PUT: &str = concat!(
        "INSERT INTO records (",
        row::columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT DO NOTHING"
    );
    // A renewal since the record was read raises no version: its end of the lease stands.
    const REPLACE: &str = "UPDATE records SET
            version = ?4, at = ?5, due_at = ?6, channel = ?7, ready_at = ?8, lease_worker = ?9,
            lease_nonce = ?10, token = ?12, facets = ?13, body = ?14,
            lease_until = CASE WHEN lease_worker = ?9 AND lease_nonce = ?10 THEN lease_until ELSE ?11 END
         WHERE tenant = ?1 AND kind = ?2 AND id = ?3";
    let Record { key, at, queue, lease, .. } = record;
    let (tenant, kind) = (key.tenant.as_str(), key.kind.as_str());
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?));
    // A new one need not be looked for: where there is one, it is not written.
    let old = match record.version {
        0 => None,
        _ => {
            let old = db.prepare_cached(OLD)?.query_row(params![tenant, kind, key.id], read).optional();
            old.map_err(|error| Fault::from(error).at(key))?
        }
    };
    if old.as_ref().map_or(0, |(version, ..)| version.cast_unsigned()) != record.version {
        return Err(StoreError::Conflict(key.clone()).into());
    }
    let version = record.version.saturating_add(1);
    let facets = serde_json::to_string(&record.facets).map_err(|error| Fault::corrupt(key, error))?;
    let sql = if old.is_none() { PUT } else { REPLACE };
    let written = db.prepare_cached(sql)?.execute(params![
        tenant,
        kind,
        key.id,
        version.cast_signed(),
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
    if written == 0 {
        return Err(StoreError::Conflict(key.clone()).into());
    }
    let (had, text) = old.map_or((0, None), |(_, at, text)| (at, Some(text)));
    // As a rule a record is written again with the same facets.
    if text.as_deref() == Some(&facets) && had == at.micros() {
        return Ok(version);
    }
    let old = text.map(|text| row::facets(key, &text)).transpose()?.unwrap_or_default();
    let of = |at: i64, (facet, value): &'_ (Facet, String)| (*facet, at, value.clone());
    let had: Facets = old.iter().map(|facet| of(had, facet)).collect();
    let has: Facets = record.facets.iter().map(|facet| of(at.micros(), facet)).collect();
    index(db, key, &had, &has, lanes)?;
    Ok(version)
}

type Facets = BTreeSet<(Facet, i64, String)>;

/// Keeps the rows of the facets: only what differs is written.
fn index(db: &Connection, key: &Key, had: &Facets, has: &Facets, lanes: &mut Lanes) -> Result<(), Fault> {
    const GONE: &str = "DELETE FROM facets WHERE lane = ?1 AND value = ?2 AND at = ?3 AND id = ?4";
    const NEW: &str = "INSERT INTO facets (lane, value, at, id) VALUES (?1, ?2, ?3, ?4)";
    for (sql, rows) in [(GONE, had.difference(has)), (NEW, has.difference(had))] {
        let mut statement = db.prepare_cached(sql)?;
        for (facet, at, value) in rows {
            statement.execute(params![lanes.of(db, key, *facet)?, value, at, key.id])?;
        }
    }
    Ok(())
}

/// The numbers of what the rows of facets begin with, that one transaction of one tenant has met.
#[derive(Default)]
pub(crate) struct Lanes(BTreeMap<(TenantId, Kind, Facet), i64>);

impl Lanes {
    /// The number of a tenant's facet of that kind of record; a new one where there is none.
    fn of(&mut self, db: &Connection, key: &Key, facet: Facet) -> Result<i64, Fault> {
        const NEW: &str =
            "INSERT INTO facet_lanes (tenant, kind, facet) VALUES (?1, ?2, ?3) RETURNING number";
        let place = (key.tenant.clone(), key.kind, facet);
        if let Some(number) = self.0.get(&place) {
            return Ok(*number);
        }
        let number = match lane(db, &key.tenant, key.kind, facet)? {
            Some(number) => number,
            None => {
                let values = params![key.tenant.as_str(), key.kind.as_str(), facet.as_str()];
                db.prepare_cached(NEW)?.query_row(values, |row| row.get(0))?
            }
        };
        self.0.insert(place, number);
        Ok(number)
    }
}

pub(crate) const LANE: &str = "SELECT number FROM facet_lanes WHERE tenant = ?1 AND kind = ?2 AND facet = ?3";

/// The number of a tenant's facet of that kind of record, if any has had one.
pub(crate) fn lane(
    db: &Connection,
    tenant: &TenantId,
    kind: Kind,
    facet: Facet,
) -> Result<Option<i64>, Fault> {
    let values = params![tenant.as_str(), kind.as_str(), facet.as_str()];
    Ok(db.prepare_cached(LANE)?.query_row(values, |row| row.get(0)).optional()?)
}

/// Gives each draft its place after its lane's head.
pub(crate) fn append(db: &Connection, drafts: &[AuditDraft]) -> Result<(), Fault> {
    const RECORD: &str =
        "INSERT INTO audit (tenant, lane, seq, personal_of, record) VALUES (?1, ?2, ?3, ?4, ?5)";
    const HEAD: &str = "INSERT INTO heads (tenant, lane, seq, hash) VALUES (?1, ?2, ?3, ?4) \
                        ON CONFLICT (tenant, lane) DO UPDATE SET seq = excluded.seq, hash = excluded.hash";
    let mut heads: BTreeMap<(&TenantId, u16), Head> = BTreeMap::new();
    let mut fault = None;
    let mut insert = db.prepare_cached(RECORD)?;
    for draft in drafts {
        let head = match heads.entry((&draft.tenant, draft.lane)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(read::head(db, &draft.tenant, draft.lane)?),
        };
        let mut salt = || {
            random().unwrap_or_else(|error| {
                fault = Some(error);
                Salt::from([0; 16])
            })
        };
        let (record, next) = head.seal(draft.clone(), &mut salt);
        *head = next;
        let personal = record.subject.as_ref().filter(|_| !record.personal.is_empty());
        insert.execute(params![
            record.tenant.as_str(),
            record.lane,
            next.seq.cast_signed(),
            personal.map(|subject| subject.user.as_str()),
            json(&record)?,
        ])?;
    }
    if let Some(fault) = fault {
        return Err(fault.into());
    }
    for ((tenant, lane), head) in heads {
        let values = params![tenant.as_str(), lane, head.seq.cast_signed(), head.hash.bytes()];
        db.prepare_cached(HEAD)?.execute(values)?;
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
    let found: Vec<(u16, i64, Raw)> = db
        .prepare_cached(FIND)?
        .query_map(params![tenant.as_str(), user.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (lane, seq, text) in found {
        let text =
            text.text().map_err(|error| Fault::corrupt(read::audit_place(tenant, lane, seq), error))?;
        let mut record = read::audit_record(tenant, lane, seq, text)?;
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
