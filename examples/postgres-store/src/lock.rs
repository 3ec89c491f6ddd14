//! What keeps two transactions apart.
//!
//! Of [`Form::Rows`] a transaction locks what it decides on, in the order of keys: existing records
//! by their rows, shared where they are only expected; absent ones by advisory locks of the
//! transaction, since there is no row, and so those that every decision reads. After that, everything is read as it is. Of
//! [`Form::Serializable`] nothing is locked, and the database refuses whichever of two transactions
//! would see the other's past. Either way a transaction that loses is tried again.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use futures_util::future::join3;
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

    /// How often a key that stands in the way is looked for again before what is stored is said to contradict
    /// itself: behind a lock none comes between a look and its write.
    pub(crate) const fn doubts(self) -> u32 {
        match self {
            Self::Rows => 3,
            Self::Serializable => u32::MAX,
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
    /// Of [`Form::Rows`] alone.
    places: Option<Statement>,
    expected: Statement,
    written: Statement,
}

impl Locks {
    pub(crate) async fn prepare(db: &impl GenericClient, form: Form) -> Result<Self, Error> {
        Ok(match form {
            Form::Rows => Self {
                places: Some(db.prepare_cached(PLACES).await?),
                expected: db.prepare_cached(known!(" FOR SHARE")).await?,
                written: db.prepare_cached(known!(" FOR NO KEY UPDATE")).await?,
            },
            Form::Serializable => {
                let read = db.prepare_cached(known!("")).await?;
                Self { places: None, expected: read.clone(), written: read }
            }
        })
    }
}

impl Keys<'_> {
    /// Locks them, and gives what there is: by place first, then existing ones by their rows.
    pub(crate) async fn take(
        &self,
        db: &impl GenericClient,
        locks: &Locks,
        tenant: &TenantId,
    ) -> Result<BTreeMap<Key, Old>, Fault> {
        let expected: BTreeSet<&Key> = self.expected.difference(&self.written).copied().collect();
        let by_place =
            self.absent.iter().chain(self.written.iter().chain(&expected).filter(|key| is_hot(key)));
        let places: Places = by_place.map(|key| (place(key), self.written.contains(*key))).collect();
        let (locked, expected, written) = join3(
            places.lock(db, locks.places.as_ref(), tenant),
            read(db, &locks.expected, tenant, &expected),
            read(db, &locks.written, tenant, &self.written),
        )
        .await;
        locked?;
        let mut found = BTreeMap::new();
        for row in expected?.into_iter().chain(written?) {
            let (key, old) = known(tenant, &row)?;
            found.insert(key, old);
        }
        Ok(found)
    }
}

/// How many locks stand for all keys of a tenant. Each is an entry of a table that the transactions of
/// a server share (`max_locks_per_transaction`), and a commit may name thousands of absent keys. Two
/// keys under one lock wait for each other without need, as their commits do at the end of the lane.
const BUCKETS: u64 = 256;

/// What every decision reads and people write. A row's lock has no queue: those who share it go on
/// joining each other while whoever pulls a kill switch waits. An advisory lock has one, so these kinds
/// have such a lock each, besides those of their rows.
const HOT: [Kind; 3] = [Kind::Book, Kind::Control, Kind::Waiver];

fn is_hot(key: &Key) -> bool {
    HOT.contains(&key.kind)
}

/// The number of a key's lock within its tenant: every host must reckon the same (FNV-1a).
fn place(key: &Key) -> i64 {
    if let Some(hot) = (BUCKETS..).zip(HOT).find(|(_, kind)| *kind == key.kind) {
        return hot.0.cast_signed();
    }
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let bytes = key.kind.as_str().bytes().chain([b'/']).chain(key.id.bytes());
    (bytes.fold(0xcbf2_9ce4_8422_2325, mix) % BUCKETS).cast_signed()
}

/// Locks of one tenant by their numbers, each once and in their order: for one writer alone, or for
/// readers together.
#[derive(Default)]
pub(crate) struct Places(BTreeMap<i64, bool>);

impl FromIterator<(i64, bool)> for Places {
    fn from_iter<I: IntoIterator<Item = (i64, bool)>>(places: I) -> Self {
        let mut all = Self::default();
        for (place, alone) in places {
            *all.0.entry(place).or_default() |= alone;
        }
        all
    }
}

pub(crate) const PLACES: &str = "SELECT count(pg_advisory_xact_lock(k)) FILTER (WHERE alone), \
    count(pg_advisory_xact_lock_shared(k)) FILTER (WHERE NOT alone) FROM \
    (SELECT hashtextextended('tipstaff/' || $1::TEXT, place) AS k, alone \
     FROM unnest($2::BIGINT[], $3::BOOLEAN[]) AS p (place, alone) ORDER BY place) AS locks";

/// The lock of a claim that is made several times, at once or because an answer was lost: one of them is at
/// it. A transaction that is still on its way to its end is waited for here.
pub(crate) const CLAIM: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('tipstaff claim/' || $1::TEXT, 0))";

impl Places {
    /// The lock of what is only read.
    pub(crate) fn together(key: &Key) -> Self {
        Self::from_iter([(place(key), false)])
    }

    /// Takes them until the transaction is over, where the form does so.
    pub(crate) async fn lock(
        &self,
        db: &impl GenericClient,
        statement: Option<&Statement>,
        tenant: &TenantId,
    ) -> Result<(), Error> {
        let Some(statement) = statement.filter(|_| !self.0.is_empty()) else { return Ok(()) };
        let (places, alone): (Vec<i64>, Vec<bool>) = self.0.iter().unzip();
        db.query_one(statement, &[&tenant.as_str(), &places, &alone]).await?;
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_few_and_those_of_hot_records_their_own() {
        let tenant: TenantId = "acme".parse().unwrap();
        let key = |kind, n: u64| Key::new(&tenant, kind, n.to_string());
        let of = |kind| (0..5_000).map(|n| place(&key(kind, n))).collect::<BTreeSet<_>>();
        let many = of(Kind::Enforcement);
        assert_eq!(many, (0..256).collect());
        assert_eq!(HOT.map(|kind| of(kind).into_iter().collect::<Vec<_>>()), [[256], [257], [258]]);
        // Hosts of several versions reckon the same.
        assert_eq!(place(&key(Kind::Trigger, 1)), 15);
        let both = Places::from_iter([(3, false), (1, false), (3, true), (3, false)]);
        assert_eq!(both.0, [(1, false), (3, true)].into());
    }
}
