//! Between a record and its row.

use tipstaff::{Facet, Key, Lease, Queue, Record, StoreError, Time};
use tokio_postgres::Row;

use crate::fault::Fault;

/// The columns that [`record`] reads, in its order.
macro_rules! columns {
    () => {
        concat!(row::outline!(), ", r.body")
    };
}
pub(crate) use columns;

/// All of them but the body.
macro_rules! outline {
    () => {
        "r.tenant, r.kind, r.id, r.version, r.at, r.due_at, r.channel, r.ready_at, \
         r.lease_worker, r.lease_nonce, r.lease_until, r.token, r.facets"
    };
}
pub(crate) use outline;

/// Reads columns of records by their keys, one after the other in the order of the keys, with what is given
/// behind each look. A look of its own for each key, which no planner can turn into a walk through all
/// records of a tenant: of a database that is new it takes every table for a small one, and goes on
/// doing so as long as nothing has been analysed.
macro_rules! of_keys {
    ($columns:expr, $keys:literal, $tenant:literal, $lock:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM unnest(",
            $keys,
            ") CROSS JOIN LATERAL (SELECT * FROM tipstaff_records AS t WHERE t.tenant = ",
            $tenant,
            " AND t.kind = k.kind AND t.id = k.id LIMIT 1",
            $lock,
            ") AS r"
        )
    };
    ($columns:expr, $lock:literal) => {
        row::of_keys!($columns, "$2::TEXT[], $3::TEXT[]) AS k (kind, id", "$1", $lock)
    };
}
pub(crate) use of_keys;

/// The server's clock in microseconds: leases are judged by it, whatever the hosts' clocks say.
macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT"
    };
}
pub(crate) use now;

/// Reads a key from three columns, the first at `first`.
pub(crate) fn key(row: &Row, first: usize) -> Result<Key, Fault> {
    let (tenant, kind, id): (&str, &str, String) =
        (row.try_get(first)?, row.try_get(first + 1)?, row.try_get(first + 2)?);
    let place = || format!("{tenant}/{kind}/{id}");
    Ok(Key {
        tenant: tenant.parse().map_err(|error| Fault::corrupt(place(), error))?,
        kind: kind.parse().map_err(|error| Fault::corrupt(place(), error))?,
        id,
    })
}

/// Reads a record from its [`columns`].
pub(crate) fn record(row: &Row) -> Result<Record, Fault> {
    Ok(Record { body: row.try_get(13)?, ..without_body(row)? })
}

/// Reads a record without its body from its [`outline`].
pub(crate) fn without_body(row: &Row) -> Result<Record, Fault> {
    let key = key(row, 0)?;
    let queue = match (row.try_get::<_, Option<&str>>(6)?, time(row, 7)?) {
        (Some(channel), Some(ready_at)) => {
            Some(Queue { channel: channel.parse().map_err(|error| Fault::corrupt(&key, error))?, ready_at })
        }
        _ => None,
    };
    let lease = match (row.try_get::<_, Option<&str>>(8)?, row.try_get::<_, Option<&str>>(9)?, time(row, 10)?)
    {
        (Some(worker), Some(nonce), Some(until)) => Some(Lease {
            worker: worker.parse().map_err(|error| Fault::corrupt(&key, error))?,
            nonce: nonce.parse().map_err(|error| Fault::corrupt(&key, error))?,
            until,
        }),
        _ => None,
    };
    Ok(Record {
        version: row.try_get::<_, i64>(3)?.cast_unsigned(),
        at: Time::from_micros(row.try_get(4)?),
        due_at: time(row, 5)?,
        queue,
        lease,
        token: row.try_get::<_, i64>(11)?.cast_unsigned(),
        facets: facets(&key, row.try_get(12)?)?,
        body: String::new(),
        key,
    })
}

/// Reads the list of a record's facets, in the order of its put.
pub(crate) fn facets(key: &Key, text: &str) -> Result<Vec<(Facet, String)>, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::corrupt(key, format!("facets: {error}")))
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

/// The records of rows, without those that cannot be read.
pub(crate) fn records(rows: &[Row]) -> Result<Vec<Record>, Fault> {
    rows.iter().filter_map(|row| readable(record(row)).transpose()).collect()
}

/// The control record of a row. By one that cannot be read `Claim::take` declines all.
pub(crate) fn control(row: &Row, key: Key) -> Result<Record, Fault> {
    let (version, token, at) = (0, 0, Time::EPOCH);
    let (facets, body) = (Vec::new(), String::new());
    let senseless = Record { key, version, at, due_at: None, queue: None, lease: None, token, facets, body };
    Ok(readable(record(row))?.unwrap_or(senseless))
}

/// A number of rows as the server takes it.
pub(crate) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

fn time(row: &Row, column: usize) -> Result<Option<Time>, Fault> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(Time::from_micros))
}
