//! Between a record and its row.

use std::fmt;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
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

/// What stands in the place of a text. SQLite does not ask whether it is UTF-8, nor, once a disk has flipped a
/// bit, whether it is a text; what only names and orders rows must find its way past either. The order is
/// SQLite's: every blob is greater than every text.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Raw {
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Raw {
    pub(crate) fn text(&self) -> FromSqlResult<&str> {
        self.value().as_str()
    }

    fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }
    }

    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self, Self::Text(bytes) if bytes == text.as_bytes())
    }
}

impl Default for Raw {
    fn default() -> Self {
        Self::Text(Vec::new())
    }
}

impl From<&str> for Raw {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Text(bytes) | Self::Blob(bytes)) = self;
        f.write_str(&String::from_utf8_lossy(bytes))
    }
}

impl FromSql for Raw {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Text(bytes) => Ok(Self::Text(bytes.into())),
            ValueRef::Blob(bytes) => Ok(Self::Blob(bytes.into())),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

impl ToSql for Raw {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.value()))
    }
}

/// Where a row's record stands, as far as that can be told.
fn place(row: &Row<'_>, first: usize) -> String {
    let part = |column| row.get::<_, Raw>(column).unwrap_or_default();
    format!("{}/{}/{}", part(first), part(first + 1), part(first + 2))
}

/// Reads a key from three columns, the first at `first`.
pub(crate) fn key(row: &Row<'_>, first: usize) -> Result<Key, Fault> {
    let read = || -> Result<Key, Fault> {
        let parsed = |error: &dyn fmt::Display| Fault::corrupt(place(row, first), error);
        let (tenant, kind) = (row.get_ref(first)?.as_str()?, row.get_ref(first + 1)?.as_str()?);
        Ok(Key {
            tenant: tenant.parse().map_err(|error| parsed(&error))?,
            kind: kind.parse().map_err(|error| parsed(&error))?,
            id: row.get(first + 2)?,
        })
    };
    read().map_err(|fault| fault.at(place(row, first)))
}

/// Reads a record from its [`columns`].
pub(crate) fn record(row: &Row<'_>) -> Result<Record, Fault> {
    record_of(row, key(row, 0)?).map_err(|fault| fault.at(place(row, 0)))
}

fn record_of(row: &Row<'_>, key: Key) -> Result<Record, Fault> {
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
        facets: facets(&key, row.get_ref(12)?.as_str()?)?,
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
