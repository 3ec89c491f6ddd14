//! Between a record and its row.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use tipstaff::{Facet, Key, Lease, Queue, Record, StoreError, Time};

use crate::fault::Fault;

/// The columns that [`record`] reads, in its order.
macro_rules! columns {
    () => {
        "tenant, kind, id, version, at, due_at, channel, ready_at, \
         lease_worker, lease_nonce, lease_until, token, facets, body"
    };
}
pub(crate) use columns;

/// Reads a key from three columns, the first at `first`.
pub(crate) fn key(row: &Row<'_>, first: usize) -> Result<Key, Fault> {
    let tenant: String = row.get(first)?;
    let kind: String = row.get(first + 1)?;
    let id: String = row.get(first + 2)?;
    let place = || format!("{tenant}/{kind}/{id}");
    Ok(Key {
        tenant: tenant.parse().map_err(|error| Fault::corrupt(place(), error))?,
        kind: kind.parse().map_err(|error| Fault::corrupt(place(), error))?,
        id,
    })
}

/// Reads a record from its [`columns`].
pub(crate) fn record(row: &Row<'_>) -> Result<Record, Fault> {
    let key = key(row, 0)?;
    let queue = match (row.get::<_, Option<String>>(6)?, time(row, 7)?) {
        (Some(channel), Some(ready_at)) => {
            Some(Queue { channel: channel.parse().map_err(|error| Fault::corrupt(&key, error))?, ready_at })
        }
        _ => None,
    };
    let lease = match (row.get::<_, Option<String>>(8)?, row.get::<_, Option<String>>(9)?, time(row, 10)?) {
        (Some(worker), Some(nonce), Some(until)) => Some(Lease {
            worker: worker.parse().map_err(|error| Fault::corrupt(&key, error))?,
            nonce: nonce.parse().map_err(|error| Fault::corrupt(&key, error))?,
            until,
        }),
        _ => None,
    };
    Ok(Record {
        version: row.get::<_, i64>(3)?.cast_unsigned(),
        at: Time::from_micros(row.get(4)?),
        due_at: time(row, 5)?,
        queue,
        lease,
        token: row.get::<_, i64>(11)?.cast_unsigned(),
        facets: facets(&key, row.get_ref(12)?.as_str().map_err(rusqlite::Error::from)?)?,
        body: row.get(13)?,
        key,
    })
}

/// Reads the list of a record's facets, in the order of its put.
pub(crate) fn facets(key: &Key, text: &str) -> Result<Vec<(Facet, String)>, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::corrupt(key, format!("facets: {error}")))
}

pub(crate) fn load(db: &Connection, key: &Key) -> Result<Option<Record>, Fault> {
    const SQL: &str =
        concat!("SELECT ", columns!(), " FROM records WHERE tenant = ?1 AND kind = ?2 AND id = ?3");
    let mut statement = db.prepare_cached(SQL)?;
    let mut rows = statement.query(params![key.tenant.as_str(), key.kind.as_str(), key.id])?;
    rows.next()?.map(record).transpose()
}

/// The version and the token of a record, both 0 where there is none.
pub(crate) fn version(db: &Connection, key: &Key) -> Result<Option<(u64, u64)>, Fault> {
    const SQL: &str = "SELECT version, token FROM records WHERE tenant = ?1 AND kind = ?2 AND id = ?3";
    let mut statement = db.prepare_cached(SQL)?;
    let values = params![key.tenant.as_str(), key.kind.as_str(), key.id];
    let read =
        |row: &Row<'_>| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()));
    Ok(statement.query_row(values, read).optional()?)
}

/// A record without its body; none where there is no record that can be read.
pub(crate) fn outline(db: &Connection, key: &Key) -> Result<Option<Record>, Fault> {
    const SQL: &str = "SELECT tenant, kind, id, version, at, due_at, channel, ready_at, \
         lease_worker, lease_nonce, lease_until, token, facets, '' \
         FROM records WHERE tenant = ?1 AND kind = ?2 AND id = ?3";
    let mut statement = db.prepare_cached(SQL)?;
    let mut rows = statement.query(params![key.tenant.as_str(), key.kind.as_str(), key.id])?;
    Ok(rows.next()?.map(|row| readable(record(row))).transpose()?.flatten())
}

/// What a row says, or none where this version cannot read it: it must not hold up the others. Whoever
/// asks for that record is told.
pub(crate) fn readable<T>(read: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Fault::Store(StoreError::Corrupt { .. })) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// In the place of a control record that cannot be read: `Claim::take` declines all that it may stop.
pub(crate) fn unreadable(key: Key) -> Record {
    let (version, token, at) = (0, 0, Time::EPOCH);
    let (facets, body) = (Vec::new(), String::new());
    Record { key, version, at, due_at: None, queue: None, lease: None, token, facets, body }
}

/// A number of rows as SQLite takes it.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Time>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Time::from_micros))
}
