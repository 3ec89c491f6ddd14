//! Queries: one facet leads through its index in the order of the page, the others are looked up
//! for each row that it names.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use tipstaff::{Cursor, Facet, Order, Page, Query, Record, Time};

use crate::fault::Fault;
use crate::{row, write};

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

pub(crate) fn query(db: &Connection, query: &Query) -> Result<Page<Record>, Fault> {
    // One more than the page, to know whether anything follows.
    let size = query.page_size();
    let mut places = places(db, query, size + 1)?;
    let more = places.len() > size;
    places.truncate(size);
    let mut rows = Vec::with_capacity(places.len());
    for (_, id) in &places {
        let key = tipstaff::Key::new(&query.tenant, query.kind, id);
        let gone = || Fault::corrupt(&key, "it is in the index, but not there");
        rows.push(row::load(db, &key)?.ok_or_else(gone)?);
    }
    let last = places.pop().filter(|_| more);
    Ok(Page { rows, next: last.map(|(at, id)| Cursor { at: Time::from_micros(at), id }) })
}

/// The first places that the query names, in its order.
fn places(db: &Connection, query: &Query, limit: usize) -> Result<Vec<(i64, String)>, Fault> {
    let rank = |facet: &Facet| LEADERS.iter().position(|leader| leader == facet);
    let mut facets: Vec<&(Facet, Vec<String>)> = query.facets.iter().collect();
    facets.sort_by_key(|(facet, _)| rank(facet).unwrap_or(LEADERS.len()));
    let (leader, others) = match facets.split_first() {
        None => (None, facets.as_slice()),
        Some((leader, others)) => (Some(*leader), others),
    };
    // Each of the leader's values has an order of its own; the page is merged from their firsts.
    let values: BTreeSet<Option<&str>> = match leader {
        None => [None].into(),
        Some((_, values)) => values.iter().map(|value| Some(value.as_str())).collect(),
    };
    // What no record has ever had a value of names none.
    let lane = |facet: &Facet| write::lane(db, &query.tenant, query.kind, *facet);
    let mut lanes = Vec::new();
    for (facet, _) in facets.iter().copied() {
        let Some(number) = lane(facet)? else { return Ok(Vec::new()) };
        lanes.push(number);
    }
    let sql = sql(leader.is_some(), others.len(), query.order);
    let mut statement = db.prepare_cached(&sql)?;
    let mut places = BTreeSet::new();
    for value in values {
        // One facet leads: its lane and value stand where the tenant and the kind do without one.
        let mut bound: Vec<Value> = match (lanes.first(), value) {
            (Some(lane), Some(value)) => vec![(*lane).into(), value.to_owned().into()],
            _ => vec![query.tenant.to_string().into(), query.kind.to_string().into()],
        };
        bound.extend(range(query));
        bound.push(row::limit(limit).into());
        for (lane, (_, accepted)) in lanes.iter().skip(1).zip(others) {
            let accepted = serde_json::Value::from(accepted.as_slice()).to_string();
            bound.extend([(*lane).into(), accepted.into()]);
        }
        let mut rows = statement.query(params_from_iter(bound))?;
        while let Some(row) = rows.next()? {
            let id = row
                .get(1)
                .map_err(|error| Fault::from(error).at(format!("{}/{}", query.tenant, query.kind)))?;
            places.insert((row.get(0)?, id));
        }
    }
    Ok(match query.order {
        Order::Newest => places.into_iter().rev().take(limit).collect(),
        _ => places.into_iter().take(limit).collect(),
    })
}

/// The place after which the page begins, exclusive, and the time at which it ends: each the
/// tighter one of the query's own bound and its cursor.
fn range(query: &Query) -> [Value; 3] {
    let from = query.from.map_or(i64::MIN, Time::micros);
    let until = query.until.map_or(i64::MAX, Time::micros);
    let after = query.after.as_ref().map(|after| (after.at.micros(), after.id.clone()));
    match (query.order, after) {
        // Every text is at least the empty one, and less than a blob ("Datatypes In SQLite").
        (Order::Newest, Some((at, id))) if at < until => [at.into(), id.into(), from.into()],
        (Order::Newest, _) => [until.into(), String::new().into(), from.into()],
        (_, Some((at, id))) if at >= from => [at.into(), id.into(), until.into()],
        (_, _) => [from.saturating_sub(1).into(), Vec::new().into(), until.into()],
    }
}

/// The statement for one value of the leading facet, or for all records where there is none.
pub(crate) fn sql(leads: bool, others: usize, order: Order) -> String {
    let (table, leader) = if leads {
        ("facets", "l.lane = ?1 AND l.value = ?2")
    } else {
        ("records", "l.tenant = ?1 AND l.kind = ?2")
    };
    let (range, direction) = match order {
        Order::Newest => ("(l.at, l.id) < (?3, ?4) AND l.at >= ?5", "DESC"),
        _ => ("(l.at, l.id) > (?3, ?4) AND l.at < ?5", "ASC"),
    };
    let first = 7;
    let others: String = (0..others)
        .map(|n| {
            let (facet, accepted) = (first + 2 * n, first + 2 * n + 1);
            format!(
                " AND EXISTS (SELECT 1 FROM facets AS o WHERE o.lane = ?{facet} AND o.value IN (SELECT value FROM json_each(?{accepted})) \
                 AND o.at = l.at AND o.id = l.id)"
            )
        })
        .collect();
    format!(
        "SELECT l.at, l.id FROM {table} AS l WHERE {leader} AND {range}{others} \
         ORDER BY l.at {direction}, l.id {direction} LIMIT ?6"
    )
}
