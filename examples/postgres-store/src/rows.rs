//! What a transaction writes, as columns: one statement for each table, however many rows there are.
//! All of them are on their way before the first one answers.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;
use futures_util::future::{join, join5, try_join_all};
use tipstaff::{AuditRecord, Facet, Head, Key, Record, TenantId, Time};
use tokio_postgres::{Error, Statement};

use crate::fault::Fault;
use crate::lock::Old;

/// Of a lease that is kept the end stands: a renewal since the record was read raises no version.
const PUT: &str = "INSERT INTO tipstaff_records AS r (tenant, kind, id, version, at, due_at, channel, ready_at, \
        lease_worker, lease_nonce, lease_until, token, facets, body) \
    SELECT $1, * FROM unnest($2::TEXT[], $3::TEXT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[], $7::TEXT[], \
        $8::BIGINT[], $9::TEXT[], $10::TEXT[], $11::BIGINT[], $12::BIGINT[], $13::TEXT[], $14::TEXT[]) \
    ON CONFLICT (tenant, kind, id) DO UPDATE SET \
        version = excluded.version, at = excluded.at, due_at = excluded.due_at, \
        channel = excluded.channel, ready_at = excluded.ready_at, \
        lease_worker = excluded.lease_worker, lease_nonce = excluded.lease_nonce, \
        lease_until = CASE WHEN r.lease_worker = excluded.lease_worker AND r.lease_nonce = excluded.lease_nonce \
            THEN r.lease_until ELSE excluded.lease_until END, token = excluded.token, \
        facets = excluded.facets, body = excluded.body";
/// For one row: a statement for many would be a join, which the planner of a database that is new turns
/// into a walk through all facets of the tenant; see [`row::of_keys`].
const GONE: &str = "DELETE FROM tipstaff_facets \
    WHERE tenant = $1 AND kind = $2 AND facet = $3 AND value = $4 AND at = $5 AND id = $6";
const NEW: &str = "INSERT INTO tipstaff_facets (tenant, kind, facet, value, at, id) \
    SELECT $1, * FROM unnest($2::TEXT[], $3::TEXT[], $4::TEXT[], $5::BIGINT[], $6::TEXT[])";
const AUDIT: &str = "INSERT INTO tipstaff_audit (tenant, lane, seq, personal_of, record) \
    SELECT $1, * FROM unnest($2::INTEGER[], $3::BIGINT[], $4::TEXT[], $5::TEXT[])";
const HEADS: &str = "UPDATE tipstaff_heads AS h SET seq = n.seq, hash = n.hash \
    FROM unnest($2::INTEGER[], $3::BIGINT[], $4::BYTEA[]) AS n (lane, seq, hash) \
    WHERE h.tenant = $1 AND h.lane = n.lane";

/// How many futures `try_join_all` polls one after the other, at the first poll; of more it promises no
/// order.
const AT_ONCE: usize = 30;

/// The statements that write, known to a connection before any of them is sent: so they go out in
/// their order.
pub(crate) struct Writes {
    put: Statement,
    gone: Statement,
    new: Statement,
    audit: Statement,
    heads: Statement,
}

impl Writes {
    pub(crate) async fn prepare(db: &impl GenericClient) -> Result<Self, Error> {
        Ok(Self {
            put: db.prepare_cached(PUT).await?,
            gone: db.prepare_cached(GONE).await?,
            new: db.prepare_cached(NEW).await?,
            audit: db.prepare_cached(AUDIT).await?,
            heads: db.prepare_cached(HEADS).await?,
        })
    }
}

/// The rows of one transaction.
pub(crate) struct Rows<'a> {
    tenant: &'a TenantId,
    records: &'a [Record],
    facets: Vec<String>,
    gone: Vec<Row<'a>>,
    new: Facets<'a>,
    audit: Vec<(i64, &'a AuditRecord, String)>,
    heads: &'a BTreeMap<u16, Head>,
}

impl<'a> Rows<'a> {
    /// Records, whose versions are the new ones, in the place of what is known of them; audit records
    /// with their places, and where the lanes end then. Of the facets only what differs is written.
    pub(crate) fn new(
        tenant: &'a TenantId,
        known: &'a BTreeMap<Key, Old>,
        records: &'a [Record],
        sealed: &'a [(u64, AuditRecord)],
        heads: &'a BTreeMap<u16, Head>,
    ) -> Result<Self, Fault> {
        let facets = |record: &Record| {
            serde_json::to_string(&record.facets).map_err(|error| Fault::corrupt(&record.key, error))
        };
        let old = records.iter().filter_map(|record| known.get_key_value(&record.key));
        let had: BTreeSet<Row<'_>> = old.flat_map(|(key, old)| rows(key, old.at, &old.facets)).collect();
        let has: BTreeSet<Row<'_>> =
            records.iter().flat_map(|r| rows(&r.key, r.at.micros(), &r.facets)).collect();
        let text = |(seq, record): &'a (u64, AuditRecord)| Ok((seq.cast_signed(), record, json(record)?));
        Ok(Self {
            tenant,
            records,
            facets: records.iter().map(facets).collect::<Result<_, _>>()?,
            gone: had.difference(&has).copied().collect(),
            new: has.difference(&had).copied().collect(),
            audit: sealed.iter().map(text).collect::<Result<_, Fault>>()?,
            heads,
        })
    }

    /// Writes them all; the first error is the one that counts.
    pub(crate) async fn write(&self, db: &impl GenericClient, writes: &Writes) -> Result<(), Error> {
        let (put, gone, new, audit, heads) = join5(
            self.put(db, &writes.put),
            self.forget(db, &writes.gone),
            self.new.send(db, &writes.new, self.tenant),
            self.append(db, &writes.audit),
            self.end(db, &writes.heads),
        )
        .await;
        put.and(gone).and(new).and(audit).and(heads)
    }

    /// Writes them all, and sends the commit after them: the server rolls back where one of them fails.
    /// Where they are so many that some might be sent behind the commit, it waits for them. Gives how the
    /// writing went and how the commit did.
    pub(crate) async fn write_and_commit(
        &self,
        db: &impl GenericClient,
        writes: &Writes,
    ) -> (Result<(), Error>, Result<(), Error>) {
        let commit = db.batch_execute("COMMIT");
        if self.gone.len() <= AT_ONCE {
            return join(self.write(db, writes), commit).await;
        }
        match self.write(db, writes).await {
            Ok(()) => (Ok(()), commit.await),
            failed => (failed, Ok(())),
        }
    }

    async fn put(&self, db: &impl GenericClient, statement: &Statement) -> Result<(), Error> {
        let records = self.records;
        if records.is_empty() {
            return Ok(());
        }
        let all = |of: fn(&Record) -> &str| records.iter().map(of).collect::<Vec<_>>();
        let numbers = |of: fn(&Record) -> i64| records.iter().map(of).collect::<Vec<_>>();
        let maybe = |of: fn(&Record) -> Option<i64>| records.iter().map(of).collect::<Vec<_>>();
        let texts = |of: fn(&Record) -> Option<String>| records.iter().map(of).collect::<Vec<_>>();
        db.execute(
            statement,
            &[
                &self.tenant.as_str(),
                &all(|r| r.key.kind.as_str()),
                &all(|r| r.key.id.as_str()),
                &numbers(|r| r.version.cast_signed()),
                &numbers(|r| r.at.micros()),
                &maybe(|r| r.due_at.map(Time::micros)),
                &texts(|r| r.queue.as_ref().map(|queue| queue.channel.to_string())),
                &maybe(|r| r.queue.as_ref().map(|queue| queue.ready_at.micros())),
                &texts(|r| r.lease.as_ref().map(|lease| lease.worker.to_string())),
                &texts(|r| r.lease.as_ref().map(|lease| lease.nonce.to_string())),
                &maybe(|r| r.lease.as_ref().map(|lease| lease.until.micros())),
                &numbers(|r| r.token.cast_signed()),
                &self.facets,
                &all(|r| r.body.as_str()),
            ],
        )
        .await?;
        Ok(())
    }

    async fn forget(&self, db: &impl GenericClient, statement: &Statement) -> Result<(), Error> {
        let tenant = self.tenant.as_str();
        let each = self.gone.iter().map(|(kind, facet, value, at, id)| async move {
            db.execute(statement, &[&tenant, kind, &facet.as_str(), value, at, id]).await
        });
        try_join_all(each).await.map(drop)
    }

    async fn append(&self, db: &impl GenericClient, statement: &Statement) -> Result<(), Error> {
        if self.audit.is_empty() {
            return Ok(());
        }
        let lanes: Vec<i32> = self.audit.iter().map(|(_, record, _)| record.lane.into()).collect();
        let places: Vec<i64> = self.audit.iter().map(|(seq, ..)| *seq).collect();
        let personal: Vec<Option<&str>> = self
            .audit
            .iter()
            .map(|(_, record, _)| {
                let subject = record.subject.as_ref().filter(|_| !record.personal.is_empty());
                subject.map(|subject| subject.user.as_str())
            })
            .collect();
        let texts: Vec<&str> = self.audit.iter().map(|(.., text)| text.as_str()).collect();
        db.execute(statement, &[&self.tenant.as_str(), &lanes, &places, &personal, &texts]).await?;
        Ok(())
    }

    async fn end(&self, db: &impl GenericClient, statement: &Statement) -> Result<(), Error> {
        if self.audit.is_empty() {
            return Ok(());
        }
        let lanes: Vec<i32> = self.heads.keys().map(|lane| i32::from(*lane)).collect();
        let places: Vec<i64> = self.heads.values().map(|head| head.seq.cast_signed()).collect();
        let hashes: Vec<&[u8]> = self.heads.values().map(|head| &head.hash.bytes()[..]).collect();
        db.execute(statement, &[&self.tenant.as_str(), &lanes, &places, &hashes]).await?;
        Ok(())
    }
}

/// One row of the facets: kind, facet, value, time, id.
type Row<'a> = (&'a str, Facet, &'a str, i64, &'a str);

fn rows<'a>(key: &'a Key, at: i64, facets: &'a [(Facet, String)]) -> impl Iterator<Item = Row<'a>> {
    facets.iter().map(move |(facet, value)| (key.kind.as_str(), *facet, value.as_str(), at, key.id.as_str()))
}

#[derive(Default)]
struct Facets<'a> {
    kinds: Vec<&'a str>,
    facets: Vec<&'static str>,
    values: Vec<&'a str>,
    times: Vec<i64>,
    ids: Vec<&'a str>,
}

impl<'a> FromIterator<Row<'a>> for Facets<'a> {
    fn from_iter<I: IntoIterator<Item = Row<'a>>>(rows: I) -> Self {
        let mut all = Self::default();
        for (kind, facet, value, at, id) in rows {
            all.kinds.push(kind);
            all.facets.push(facet.as_str());
            all.values.push(value);
            all.times.push(at);
            all.ids.push(id);
        }
        all
    }
}

impl Facets<'_> {
    async fn send(
        &self,
        db: &impl GenericClient,
        statement: &Statement,
        tenant: &TenantId,
    ) -> Result<(), Error> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let Self { kinds, facets, values, times, ids } = self;
        db.execute(statement, &[&tenant.as_str(), kinds, facets, values, times, ids]).await?;
        Ok(())
    }
}

pub(crate) fn json(record: &AuditRecord) -> Result<String, Fault> {
    serde_json::to_string(record).map_err(|error| Fault::corrupt(record, error))
}
