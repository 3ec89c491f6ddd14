//! What only reads: records, timers, queries, the audit log.

use std::collections::BTreeMap;

use deadpool_postgres::{GenericClient, Transaction};
use tipstaff::{
    AuditRecord, Cursor, DuePage, Facet, Hash, Head, Key, Order, Page, Query, Record, TenantId, Time, Trail,
};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use crate::fault::Fault;
use crate::{ahead, row};

pub(crate) async fn load(db: &impl GenericClient, keys: &[Key]) -> Result<Vec<Option<Record>>, Fault> {
    const SQL: &str = row::of_keys!(
        row::columns!(),
        "$1::TEXT[], $2::TEXT[], $3::TEXT[]) AS k (tenant, kind, id",
        "k.tenant",
        ""
    );
    let tenants: Vec<&str> = keys.iter().map(|key| key.tenant.as_str()).collect();
    let kinds: Vec<&str> = keys.iter().map(|key| key.kind.as_str()).collect();
    let ids: Vec<&str> = keys.iter().map(|key| key.id.as_str()).collect();
    let statement = db.prepare_cached(SQL).await?;
    let mut found = BTreeMap::new();
    for row in db.query(&statement, &[&tenants, &kinds, &ids]).await? {
        let record = row::record(&row)?;
        found.insert(record.key.clone(), record);
    }
    // A key may be asked for twice.
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

pub(crate) const NOW: &str = concat!("SELECT ", row::now!());

/// The server's time.
pub(crate) async fn now(db: &impl GenericClient) -> Result<Time, Fault> {
    time(db, &db.prepare_cached(NOW).await?).await
}

pub(crate) async fn time(db: &impl GenericClient, now: &Statement) -> Result<Time, Fault> {
    Ok(Time::from_micros(db.query_one(now, &[]).await?.try_get(0)?))
}

/// The due records of one tenant after a place.
const DUE: &str = concat!(
    "SELECT ",
    row::columns!(),
    " FROM tipstaff_records AS r WHERE r.tenant = $1 AND r.due_at <= $2 AND (r.due_at, r.kind, r.id) > ($3, $4, $5) \
      ORDER BY r.due_at, r.kind, r.id LIMIT $6"
);

/// All of it on one state of the database.
pub(crate) async fn due(tx: &Transaction<'_>, page: &DuePage) -> Result<Vec<Record>, Fault> {
    let limit = page.limit.max(1);
    let (of, next) = (tx.prepare_cached(DUE).await?, tx.prepare_cached(ahead::NEXT_DUE).await?);
    let until = page.until.micros();
    let mut due = Vec::new();
    let mut tenant = String::new();
    let mut after = page.after.as_ref().map(|(of, at, kind, id)| {
        tenant = of.to_string();
        (at.micros(), kind.to_string(), id.clone())
    });
    loop {
        while let Some((at, kind, id)) = after.take() {
            let room = limit - due.len();
            let rows = tx.query(&of, &[&tenant, &until, &at, &kind, &id, &row::limit(room)]).await?;
            due.extend(row::records(&rows)?);
            // It goes on behind what cannot be read: a page that ends there would end all pages.
            if let Some(last) = rows.last().filter(|_| rows.len() == room && due.len() < limit) {
                after = Some((last.try_get(5)?, last.try_get(1)?, last.try_get(2)?));
            }
        }
        if due.len() >= limit {
            return Ok(due);
        }
        let Some(found) = tx.query_opt(&next, &[&tenant, &until]).await? else { return Ok(due) };
        tenant = found.try_get(0)?;
        after = Some((i64::MIN, String::new(), String::new()));
    }
}

/// Which facet leads: those first of which one value names few records, as a rule.
const LEADERS: [Facet; 13] = [
    Facet::Signal,
    Facet::Session,
    Facet::User,
    Facet::Approver,
    Facet::Rule,
    Facet::Band,
    Facet::Reason,
    Facet::Source,
    Facet::Action,
    Facet::Status,
    Facet::Category,
    Facet::Trigger,
    Facet::Mode,
];

/// One facet leads through its index in the order of the page, the others are looked up for each
/// row that it names. One statement, so one state of the database.
pub(crate) async fn query(db: &impl GenericClient, query: &Query) -> Result<Page<Record>, Fault> {
    let rank = |facet: &Facet| LEADERS.iter().position(|leader| leader == facet);
    let mut facets: Vec<&(Facet, Vec<String>)> = query.facets.iter().collect();
    facets.sort_by_key(|(facet, _)| rank(facet).unwrap_or(LEADERS.len()));
    // One more than the page, to know whether anything follows.
    let size = query.page_size();
    let (tenant, kind, limit) = (query.tenant.as_str(), query.kind.as_str(), row::limit(size + 1));
    let from = query.from.map_or(i64::MIN, Time::micros);
    let until = query.until.map_or(i64::MAX, Time::micros);
    let cursor = query.after.as_ref().map(|after| (after.at.micros(), before_nul(&after.id)));
    let mut values: Vec<&(dyn ToSql + Sync)> = vec![&tenant, &kind, &from, &until, &limit];
    if let Some((at, id)) = &cursor {
        values.extend([at as &(dyn ToSql + Sync), id]);
    }
    let names: Vec<&str> = facets.iter().map(|(facet, _)| facet.as_str()).collect();
    // A text with a NUL is none to the server: no record has it.
    let storable = |accepted: &[String]| -> Vec<String> {
        accepted.iter().filter(|value| !value.contains('\0')).cloned().collect()
    };
    let accepted: Vec<Vec<String>> = facets.iter().map(|(_, accepted)| storable(accepted)).collect();
    for (name, accepted) in names.iter().zip(&accepted) {
        values.extend([name as &(dyn ToSql + Sync), accepted]);
    }
    let statement = db.prepare_cached(&sql(facets.len(), cursor.is_some(), query.order)).await?;
    let mut rows: Vec<Record> =
        db.query(&statement, &values).await?.iter().map(row::record).collect::<Result<_, _>>()?;
    let more = rows.len() > size;
    rows.truncate(size);
    let last = rows.last().filter(|_| more);
    let next = last.map(|last| Cursor { at: last.at, id: last.key.id.clone() });
    Ok(Page { rows, next })
}

/// What the server can read of a text of which it has none the like.
fn before_nul(text: &str) -> &str {
    text.split('\0').next().unwrap_or_default()
}

/// The statement of a query with that many facets. `OFFSET` and `LIMIT` change nothing of what it finds:
/// they keep the planner from making one join of the looks, which walks through the tenant; see
/// [`row::of_keys`].
fn sql(facets: usize, cursor: bool, order: Order) -> String {
    let (than, direction) = match order {
        Order::Newest => ("<", "DESC"),
        _ => (">", "ASC"),
    };
    let place = if cursor { format!("AND (l.at, l.id) {than} ($6, $7)") } else { String::new() };
    let first = if cursor { 8 } else { 6 };
    let others: String = (1..facets)
        .map(|n| {
            let (facet, accepted) = (first + 2 * n, first + 2 * n + 1);
            format!(
                " AND EXISTS (SELECT 1 FROM unnest(${accepted}::TEXT[]) AS w CROSS JOIN LATERAL \
                 (SELECT 1 FROM tipstaff_facets AS o WHERE o.tenant = $1 AND o.kind = $2 AND o.facet = ${facet} \
                  AND o.value = w AND o.at = l.at AND o.id = l.id LIMIT 1) AS x OFFSET 0)"
            )
        })
        .collect();
    // As the index of the records has it; the schema says why.
    let of = match facets {
        0 => "l.tenant || '/' || l.kind = $1::TEXT || '/' || $2::TEXT",
        _ => "l.tenant = $1 AND l.kind = $2",
    };
    let range = format!("{of} AND l.at >= $3 AND l.at < $4 {place}");
    let pages = if facets == 0 {
        format!(
            "SELECT l.at, l.id FROM tipstaff_records AS l WHERE {range} \
             ORDER BY l.at {direction}, l.id {direction} LIMIT $5"
        )
    } else {
        // Each of the leader's values has an order of its own; the page is merged from their firsts.
        let (facet, accepted) = (first, first + 1);
        format!(
            "SELECT DISTINCT f.at, f.id FROM unnest(${accepted}::TEXT[]) AS v CROSS JOIN LATERAL \
             (SELECT l.at, l.id FROM tipstaff_facets AS l WHERE {range} AND l.facet = ${facet} AND l.value = v{others} \
              ORDER BY l.at {direction}, l.id {direction} LIMIT $5) AS f \
             ORDER BY f.at {direction}, f.id {direction} LIMIT $5"
        )
    };
    format!(
        "SELECT {} FROM ({pages}) AS p CROSS JOIN LATERAL (SELECT * FROM tipstaff_records AS t \
          WHERE t.tenant = $1 AND t.kind = $2 AND t.id = p.id LIMIT 1) AS r \
         ORDER BY r.at {direction}, r.id {direction}",
        row::columns!()
    )
}

pub(crate) async fn trail(db: &impl GenericClient, trail: &Trail) -> Result<Vec<AuditRecord>, Fault> {
    const SQL: &str = "SELECT seq, record FROM tipstaff_audit \
        WHERE tenant = $1 AND lane = $2 AND seq > $3 ORDER BY seq LIMIT $4";
    let statement = db.prepare_cached(SQL).await?;
    let after = i64::try_from(trail.after).unwrap_or(i64::MAX);
    let (lane, limit) = (i32::from(trail.lane), row::limit(trail.limit.max(1)));
    let rows = db.query(&statement, &[&trail.tenant.as_str(), &lane, &after, &limit]).await?;
    rows.iter().map(|row| audit_record(&trail.tenant, lane, row.try_get(0)?, row.try_get(1)?)).collect()
}

pub(crate) fn audit_record(tenant: &TenantId, lane: i32, seq: i64, text: &str) -> Result<AuditRecord, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::corrupt(format!("{tenant}/audit/{lane}/{seq}"), error))
}

pub(crate) async fn head(db: &impl GenericClient, tenant: &TenantId, lane: u16) -> Result<Head, Fault> {
    let statement = db
        .prepare_cached("SELECT lane, seq, hash FROM tipstaff_heads WHERE tenant = $1 AND lane = $2")
        .await?;
    let row = db.query_opt(&statement, &[&tenant.as_str(), &i32::from(lane)]).await?;
    row.map_or_else(|| Ok(Head::default()), |row| Ok(a_head(tenant, &row)?.1))
}

/// A lane and where it ends, from the columns lane, seq, hash.
pub(crate) fn a_head(tenant: &TenantId, row: &Row) -> Result<(u16, Head), Fault> {
    let (lane, seq, hash): (i32, i64, &[u8]) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let place = || format!("{tenant}/head/{lane}");
    let hash: [u8; 32] = hash.try_into().map_err(|error| Fault::corrupt(place(), error))?;
    let lane = u16::try_from(lane).map_err(|error| Fault::corrupt(place(), error))?;
    Ok((lane, Head { seq: seq.cast_unsigned(), hash: Hash::from(hash) }))
}
