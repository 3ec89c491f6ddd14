//! What only reads: single records, timers, the audit log.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tipstaff::{AuditRecord, DuePage, Head, Record, TenantId, Trail};

use crate::fault::Fault;
use crate::row::{self, Raw};

/// The due records of one tenant after a place.
pub(crate) const DUE: &str = concat!(
    "SELECT ",
    row::columns!(),
    " FROM records WHERE tenant = ?1 AND due_at <= ?2 AND (due_at, kind, id) > (?3, ?4, ?5)
      ORDER BY due_at, kind, id"
);

/// The next tenant that has a timer, and its earliest: one step down the index, however many
/// timers of the tenant before lie in the future.
pub(crate) const NEXT_TENANT: &str = "SELECT tenant, due_at FROM records
     WHERE due_at IS NOT NULL AND tenant > ?1 ORDER BY tenant, due_at LIMIT 1";

pub(crate) fn due(db: &Connection, page: &DuePage) -> Result<Vec<Record>, Fault> {
    let limit = page.limit.max(1);
    let until = page.until.micros();
    let mut due = Vec::new();
    let mut tenant = Raw::default();
    if let Some((of, at, kind, id)) = &page.after {
        tenant = of.as_str().into();
        due_of(db, &tenant, until, (at.micros(), kind.as_str(), id), limit, &mut due)?;
    }
    let mut next = db.prepare_cached(NEXT_TENANT)?;
    while due.len() < limit {
        let read = |row: &Row<'_>| Ok((row.get::<_, Raw>(0)?, row.get::<_, i64>(1)?));
        let Some((found, first)) = next.query_row([&tenant], read).optional()? else { break };
        tenant = found;
        if first <= until {
            due_of(db, &tenant, until, (i64::MIN, "", ""), limit, &mut due)?;
        }
    }
    Ok(due)
}

/// Goes on behind what cannot be read: a page that ends there would end all pages.
fn due_of(
    db: &Connection,
    tenant: &Raw,
    until: i64,
    after: (i64, &str, &str),
    limit: usize,
    due: &mut Vec<Record>,
) -> Result<(), Fault> {
    let mut statement = db.prepare_cached(DUE)?;
    let mut rows = statement.query(params![tenant, until, after.0, after.1, after.2])?;
    while due.len() < limit
        && let Some(row) = rows.next()?
    {
        due.extend(row::readable(row::record(row))?);
    }
    Ok(())
}

pub(crate) const TRAIL: &str =
    "SELECT seq, record FROM audit WHERE tenant = ?1 AND lane = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4";

pub(crate) fn trail(db: &Connection, trail: &Trail) -> Result<Vec<AuditRecord>, Fault> {
    let after = i64::try_from(trail.after).unwrap_or(i64::MAX);
    let mut statement = db.prepare_cached(TRAIL)?;
    let values = params![trail.tenant.as_str(), trail.lane, after, row::limit(trail.limit.max(1))];
    let mut rows = statement.query(values)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        let text = row.get_ref(1)?.as_str();
        let text =
            text.map_err(|error| Fault::corrupt(audit_place(&trail.tenant, trail.lane, seq), error))?;
        records.push(audit_record(&trail.tenant, trail.lane, seq, text)?);
    }
    Ok(records)
}

pub(crate) fn audit_record(tenant: &TenantId, lane: u16, seq: i64, text: &str) -> Result<AuditRecord, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::corrupt(audit_place(tenant, lane, seq), error))
}

pub(crate) fn audit_place(tenant: &TenantId, lane: u16, seq: i64) -> String {
    format!("{tenant}/audit/{lane}/{seq}")
}

pub(crate) fn head(db: &Connection, tenant: &TenantId, lane: u16) -> Result<Head, Fault> {
    let mut statement = db.prepare_cached("SELECT seq, hash FROM heads WHERE tenant = ?1 AND lane = ?2")?;
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?));
    let head = statement.query_row(params![tenant.as_str(), lane], read).optional()?;
    Ok(head.map_or_else(Head::default, |(seq, hash)| Head { seq: seq.cast_unsigned(), hash: hash.into() }))
}
