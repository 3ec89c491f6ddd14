//! What keeps two transactions apart.
//!
//! Of [`Form::Rows`] a transaction locks what it decides on, in the order of keys: existing records
//! by their rows, shared where they are only expected; absent ones by advisory locks of the
//! transaction, since there is no row. After that, everything is read as it is. Of
//! [`Form::Serializable`] nothing is locked, and the database refuses whichever of two transactions
//! would see the other's past. Either way a transaction that loses is tried again.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use futures_util::future::join4;
use tipstaff::{Facet, Key, Kind, TenantId};
use tokio_postgres::{Error, IsolationLevel, Row, Statement};

use crate::fault::Fault;
use crate::row;

/// How transactions are kept apart. All hosts of one database use the same.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Form {
    /// Row locks, and claims that pass over what is locked (`FOR UPDATE SKIP LOCKED`): for
    /// PostgreSQL itself.
    #[default]
    Rows,
    /// `SERIALIZABLE` transactions without any lock: also for databases that speak PostgreSQL's
    /// language and have no row locks, or keep them on one node only.
    Serializable,
}

impl Form {
    pub(crate) const fn isolation(self) -> IsolationLevel {
        match self {
            Self::Rows => IsolationLevel::ReadCommitted,
            Self::Serializable => IsolationLevel::Serializable,
        }
    }

    pub(crate) const fn begin(self) -> &'static str {
        match self {
            Self::Rows => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Self::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Serializable => "serializable",
        }
    }
}

/// What is known of some records of a tenant, locked in the order of their keys.
macro_rules! known {
    ($lock:literal) => {
        row::of_keys!("r.kind, r.id, r.version, r.token, r.at, r.facets", $lock)
    };
}

/// What is known of a record that a transaction may replace.
#[derive(Clone, Debug)]
pub(crate) struct Old {
    pub(crate) version: u64,
    pub(crate) token: u64,
    pub(crate) at: i64,
    pub(crate) facets: Vec<(Facet, String)>,
}

/// The keys of one transaction, all of one tenant.
#[derive(Default)]
pub(crate) struct Keys<'a> {
    /// Those to be written, or whose claim must hold.
    pub(crate) written: BTreeSet<&'a Key>,
    /// Those that must only stay as they are.
    pub(crate) expected: BTreeSet<&'a Key>,
    /// Those of either that ought to be absent.
    pub(crate) absent: BTreeSet<&'a Key>,
}

/// The statements that lock and read, known to a connection before the first of them is sent.
pub(crate) struct Locks {
    /// Of [`Form::Rows`] alone: for one writer, for readers together.
    absent: Option<(Statement, Statement)>,
    expected: Statement,
    written: Statement,
}

impl Locks {
    pub(crate) async fn prepare(db: &impl GenericClient, form: Form) -> Result<Self, Error> {
        Ok(match form {
            Form::Rows => Self {
                absent: Some((db.prepare_cached(ALONE).await?, db.prepare_cached(TOGETHER).await?)),
                expected: db.prepare_cached(known!(" FOR SHARE")).await?,
                written: db.prepare_cached(known!(" FOR NO KEY UPDATE")).await?,
            },
            Form::Serializable => {
                let read = db.prepare_cached(known!("")).await?;
                Self { absent: None, expected: read.clone(), written: read }
            }
        })
    }
}

impl Keys<'_> {
    /// Locks them, and gives what there is: absent ones first, then existing ones.
    pub(crate) async fn take(
        &self,
        db: &impl GenericClient,
        locks: &Locks,
        tenant: &TenantId,
    ) -> Result<BTreeMap<Key, Old>, Fault> {
        let expected: BTreeSet<&Key> = self.expected.difference(&self.written).copied().collect();
        let (new, unseen): (Vec<&Key>, Vec<&Key>) =
            self.absent.iter().partition(|key| self.written.contains(*key));
        let (alone, together) = match &locks.absent {
            Some((alone, together)) => (Some(alone), Some(together)),
            None => (None, None),
        };
        let (new, unseen, expected, written) = join4(
            lock_absent(db, alone, &new),
            lock_absent(db, together, &unseen),
            read(db, &locks.expected, tenant, &expected),
            read(db, &locks.written, tenant, &self.written),
        )
        .await;
        new.and(unseen)?;
        let mut found = BTreeMap::new();
        for row in expected?.into_iter().chain(written?) {
            let (key, old) = known(tenant, &row)?;
            found.insert(key, old);
        }
        Ok(found)
    }
}

const ALONE: &str = "SELECT count(pg_advisory_xact_lock(k)) FROM \
    (SELECT DISTINCT hashtextextended(t, 0) AS k FROM unnest($1::TEXT[]) AS t ORDER BY k) AS locks";
pub(crate) const TOGETHER: &str = "SELECT count(pg_advisory_xact_lock_shared(k)) FROM \
    (SELECT DISTINCT hashtextextended(t, 0) AS k FROM unnest($1::TEXT[]) AS t ORDER BY k) AS locks";

/// Locks keys at which there is no record, where the form does so.
pub(crate) async fn lock_absent(
    db: &impl GenericClient,
    statement: Option<&Statement>,
    keys: &[&Key],
) -> Result<(), Error> {
    let Some(statement) = statement.filter(|_| !keys.is_empty()) else { return Ok(()) };
    let names: Vec<String> = keys.iter().map(|key| format!("tipstaff/{key}")).collect();
    db.query_one(statement, &[&names]).await?;
    Ok(())
}

async fn read(
    db: &impl GenericClient,
    statement: &Statement,
    tenant: &TenantId,
    keys: &BTreeSet<&Key>,
) -> Result<Vec<Row>, Error> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let (kinds, ids) = columns(keys);
    db.query(statement, &[&tenant.as_str(), &kinds, &ids]).await
}

fn known(tenant: &TenantId, row: &Row) -> Result<(Key, Old), Fault> {
    let kind: &str = row.try_get(0)?;
    let kind: Kind = kind.parse().map_err(|error| Fault::corrupt(tenant, error))?;
    let key = Key::new(tenant, kind, row.try_get::<_, String>(1)?);
    let old = Old {
        version: row.try_get::<_, i64>(2)?.cast_unsigned(),
        token: row.try_get::<_, i64>(3)?.cast_unsigned(),
        at: row.try_get(4)?,
        facets: row::facets(&key, row.try_get(5)?)?,
    };
    Ok((key, old))
}

/// The kinds and ids of keys, as two arrays.
pub(crate) fn columns<'a>(keys: impl IntoIterator<Item = &'a &'a Key>) -> (Vec<&'a str>, Vec<&'a str>) {
    keys.into_iter().map(|key| (key.kind.as_str(), key.id.as_str())).unzip()
}
