//! What comes next, over all tenants: each question is one statement that walks an index from one tenant to
//! the next, a step for each, so that a host of thousands wakes up with a handful of round trips. (PostgreSQL
//! has no skip scan of its own; a recursive query is one: "Loose indexscan" in its wiki.)

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use deadpool_postgres::GenericClient;
use tipstaff::{ActionType, Ahead, Time, Upcoming};
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;

use crate::claim::{self, Rescues};
use crate::fault::Fault;

/// The next tenant with a timer that has run out by then; however many tenants before it have timers that
/// lie in the future.
pub(crate) const NEXT_DUE: &str = "WITH RECURSIVE t (tenant, due_at) AS ( \
        (SELECT r.tenant, r.due_at FROM tipstaff_records AS r WHERE r.due_at IS NOT NULL AND r.tenant > $1 \
         ORDER BY r.tenant, r.due_at LIMIT 1) \
        UNION ALL SELECT n.tenant, n.due_at FROM t CROSS JOIN LATERAL \
        (SELECT r.tenant, r.due_at FROM tipstaff_records AS r WHERE r.due_at IS NOT NULL AND r.tenant > t.tenant \
         ORDER BY r.tenant, r.due_at LIMIT 1) AS n WHERE t.due_at > $2 \
    ) SELECT tenant FROM t WHERE due_at <= $2";

/// The next tenant of whom something was ready by then that nobody has claimed: the earliest of these
/// channels, which are few.
macro_rules! first_of {
    ($after:literal) => {
        concat!(
            "(SELECT p.tenant, p.ready_at FROM unnest($1::TEXT[]) AS c CROSS JOIN LATERAL \
              (SELECT r.tenant, r.ready_at FROM tipstaff_records AS r \
               WHERE r.channel = c AND r.tenant > ",
            $after,
            " AND r.lease_until IS NULL ORDER BY r.tenant, r.ready_at LIMIT 1) AS p \
              ORDER BY p.tenant, p.ready_at LIMIT 1)"
        )
    };
}

const NEXT_READY: &str = concat!(
    "WITH RECURSIVE t (tenant, ready_at) AS ( ",
    first_of!("$2"),
    " UNION ALL SELECT n.tenant, n.ready_at FROM t CROSS JOIN LATERAL ",
    first_of!("t.tenant"),
    " AS n WHERE t.ready_at > $3 ) SELECT tenant FROM t WHERE ready_at <= $3"
);

/// The earliest timer of any tenant after then.
const TIMER: &str = "WITH RECURSIVE t (tenant) AS ( \
        (SELECT r.tenant FROM tipstaff_records AS r WHERE r.due_at IS NOT NULL ORDER BY r.tenant LIMIT 1) \
        UNION ALL SELECT n.tenant FROM t CROSS JOIN LATERAL \
        (SELECT r.tenant FROM tipstaff_records AS r WHERE r.due_at IS NOT NULL AND r.tenant > t.tenant \
         ORDER BY r.tenant LIMIT 1) AS n \
    ) SELECT min(x.due_at) FROM t CROSS JOIN LATERAL \
        (SELECT r.due_at FROM tipstaff_records AS r WHERE r.tenant = t.tenant AND r.due_at > $1 \
         ORDER BY r.due_at LIMIT 1) AS x";

/// The earliest moment after then at which anything is ready that nobody has claimed.
const READY: &str = "WITH RECURSIVE t (channel, tenant) AS ( \
        SELECT c, n.tenant FROM unnest($1::TEXT[]) AS c CROSS JOIN LATERAL \
        (SELECT r.tenant FROM tipstaff_records AS r WHERE r.channel = c AND r.lease_until IS NULL \
         ORDER BY r.tenant LIMIT 1) AS n \
        UNION ALL SELECT t.channel, n.tenant FROM t CROSS JOIN LATERAL \
        (SELECT r.tenant FROM tipstaff_records AS r \
         WHERE r.channel = t.channel AND r.tenant > t.tenant AND r.lease_until IS NULL \
         ORDER BY r.tenant LIMIT 1) AS n \
    ) SELECT min(x.ready_at) FROM t CROSS JOIN LATERAL \
        (SELECT r.ready_at FROM tipstaff_records AS r \
         WHERE r.channel = t.channel AND r.tenant = t.tenant AND r.ready_at > $2 AND r.lease_until IS NULL \
         ORDER BY r.ready_at LIMIT 1) AS x";

/// The earliest end of a lease after then.
const LEASE: &str = "SELECT min(lease_until) FROM tipstaff_records WHERE lease_until > $1";

/// The next tenant of whom something may be taken, and whether that is what nobody has claimed: else it is
/// what was left behind alone.
pub(crate) async fn next_tenant(
    db: &impl GenericClient,
    channels: &[String],
    rescues: &Rescues,
    after: &str,
    until: Time,
) -> Result<Option<(String, bool)>, Fault> {
    let statement = db.prepare_cached(NEXT_READY).await?;
    let free = match db.query_opt(&statement, &[&channels, &after, &until.micros()]).await? {
        Some(row) => Some((row.try_get::<_, String>(0)?, true)),
        None => None,
    };
    let later = (Bound::Excluded(after), Bound::Unbounded);
    let left = rescues.range::<str, _>(later).next().map(|(tenant, _)| (tenant.clone(), false));
    // Of the same tenant, what is free comes first: what was left behind comes with it.
    Ok(free.into_iter().chain(left).min_by(|a, b| a.0.cmp(&b.0)))
}

/// What comes next, of all tenants.
pub(crate) async fn upcoming(db: &impl GenericClient, ask: &Ahead) -> Result<Upcoming, Fault> {
    let (now, rescues) = claim::left_behind(db, ask.channels.as_ref()).await?;
    let channels = channels(db, ask.channels.as_ref()).await?;
    let after = ask.after.micros();
    let (timer, ready) = (db.prepare_cached(TIMER).await?, db.prepare_cached(READY).await?);
    let lease = db.prepare_cached(LEASE).await?;
    let timer = earliest(db, &timer, &[&after]).await?;
    let ready = earliest(db, &ready, &[&channels, &after]).await?;
    let lease = earliest(db, &lease, &[&now.micros()]).await?;
    let left = rescues.values().flat_map(BTreeMap::keys).map(claim::Place::ready_at);
    let ready = left.filter(|ready| *ready > ask.after).chain(ready).min();
    Ok(Upcoming { timer, ready, lease: lease.map(|until| now.until(until)) })
}

async fn earliest(
    db: &impl GenericClient,
    statement: &Statement,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Option<Time>, Fault> {
    let found: Option<i64> = db.query_one(statement, values).await?.try_get(0)?;
    Ok(found.map(Time::from_micros))
}

/// The channels that are named, or all on which anything waits that nobody has claimed, each found by
/// one step down the index.
pub(crate) async fn channels(
    db: &impl GenericClient,
    named: Option<&BTreeSet<ActionType>>,
) -> Result<Vec<String>, Fault> {
    const NEXT: &str = "SELECT channel FROM tipstaff_records \
        WHERE channel IS NOT NULL AND channel > $1 AND lease_until IS NULL ORDER BY channel LIMIT 1";
    if let Some(channels) = named {
        return Ok(channels.iter().map(ToString::to_string).collect());
    }
    let statement = db.prepare_cached(NEXT).await?;
    let mut channels = Vec::new();
    let mut last = String::new();
    while let Some(row) = db.query_opt(&statement, &[&last]).await? {
        last = row.try_get(0)?;
        channels.push(last.clone());
    }
    Ok(channels)
}
