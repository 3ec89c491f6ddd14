//! What keeps two transactions apart.
//!
//! Of [`Form::Rows`] a transaction locks what it decides on, in the order of keys: existing records
//! by their rows, shared where they are only expected; absent ones by advisory locks of the
//! transaction, since there is no row. After that, everything is read as it is. Of
//! [`Form::Serializable`] nothing is locked, and the database refuses whichever of two transactions
//! would see the other's past. Either way a transaction that loses is tried again.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::Transaction;
use tipstaff::{Facet, Key, Kind, TenantId};
use tokio_postgres::IsolationLevel;

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

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Serializable => "serializable",
        }
    }
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

impl Keys<'_> {
    /// Locks them, and gives what there is.
    pub(crate) async fn take(
        &self,
        tx: &Transaction<'_>,
        form: Form,
        tenant: &TenantId,
    ) -> Result<BTreeMap<Key, Old>, Fault> {
        let expected: BTreeSet<&Key> = self.expected.difference(&self.written).copied().collect();
        if form == Form::Rows {
            let (new, unseen): (Vec<&Key>, Vec<&Key>) =
                self.absent.iter().partition(|key| self.written.contains(*key));
            lock_absent(tx, &new, false).await?;
            lock_absent(tx, &unseen, true).await?;
        }
        let mut found = BTreeMap::new();
        for (keys, lock) in [(expected, "FOR SHARE"), (self.written.clone(), "FOR NO KEY UPDATE")] {
            let lock = if form == Form::Rows { lock } else { "" };
            read(tx, tenant, &keys, lock, &mut found).await?;
        }
        Ok(found)
    }
}

/// Locks keys at which there is no record, for readers together or for one writer alone.
pub(crate) async fn lock_absent(tx: &Transaction<'_>, keys: &[&Key], shared: bool) -> Result<(), Fault> {
    const ALONE: &str = "SELECT count(pg_advisory_xact_lock(k)) FROM \
        (SELECT DISTINCT hashtextextended(t, 0) AS k FROM unnest($1::TEXT[]) AS t ORDER BY k) AS locks";
    const TOGETHER: &str = "SELECT count(pg_advisory_xact_lock_shared(k)) FROM \
        (SELECT DISTINCT hashtextextended(t, 0) AS k FROM unnest($1::TEXT[]) AS t ORDER BY k) AS locks";
    if keys.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = keys.iter().map(|key| format!("tipstaff/{key}")).collect();
    let statement = tx.prepare_cached(if shared { TOGETHER } else { ALONE }).await?;
    tx.query_one(&statement, &[&names]).await?;
    Ok(())
}

async fn read(
    tx: &Transaction<'_>,
    tenant: &TenantId,
    keys: &BTreeSet<&Key>,
    lock: &str,
    found: &mut BTreeMap<Key, Old>,
) -> Result<(), Fault> {
    if keys.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT r.kind, r.id, r.version, r.token, r.at, r.facets FROM tipstaff_records AS r \
         WHERE r.tenant = $1 AND (r.kind, r.id) IN (SELECT * FROM unnest($2::TEXT[], $3::TEXT[])) \
         ORDER BY r.kind, r.id {lock}"
    );
    let statement = tx.prepare_cached(&sql).await?;
    let (kinds, ids) = columns(keys);
    for row in tx.query(&statement, &[&tenant.as_str(), &kinds, &ids]).await? {
        let kind: &str = row.try_get(0)?;
        let kind: Kind = kind.parse().map_err(|error| Fault::corrupt(tenant, error))?;
        let key = Key::new(tenant, kind, row.try_get::<_, String>(1)?);
        let old = Old {
            version: row.try_get::<_, i64>(2)?.cast_unsigned(),
            token: row.try_get::<_, i64>(3)?.cast_unsigned(),
            at: row.try_get(4)?,
            facets: row::facets(&key, row.try_get(5)?)?,
        };
        found.insert(key, old);
    }
    Ok(())
}

/// The kinds and ids of keys, as two arrays.
pub(crate) fn columns<'a>(keys: impl IntoIterator<Item = &'a &'a Key>) -> (Vec<&'a str>, Vec<&'a str>) {
    keys.into_iter().map(|key| (key.kind.as_str(), key.id.as_str())).unzip()
}
