//! Laws 21 to 25: what is due, what a query names, and that reads are fresh.

use std::collections::BTreeSet;

use super::super::bench::Bench;
use super::super::broken::{Broken, Checked, holds, same, same_list};
use super::super::props::{LATE, ODD, acme, action, all, at, body, draft, id, plain, record, stored};
use crate::id::TenantId;
use crate::store::{Commit, Cursor, DuePage, Facet, Key, Kind, MAX_PAGE, Order, Query, Record};
use crate::time::{Span, Time};

/// Timers of several tenants and kinds, many at the same times, some without.
fn timers(names: &[&str]) -> Vec<Record> {
    let mut records = Vec::new();
    let tenants: [TenantId; 4] = ["acme", "acme2", "Acme", "é"].map(id);
    let times = [None, Some(Time::MIN), Some(at(5)), Some(at(9)), Some(at(10)), Some(Time::MAX)];
    for tenant in &tenants {
        for (n, due_at) in times.iter().enumerate() {
            for kind in [Kind::Timer, Kind::Run, Kind::Approval, Kind::Enforcement] {
                for name in names {
                    let due_at = *due_at;
                    records.push(Record { due_at, ..plain(tenant, kind, &format!("{name}{n}")) });
                }
            }
        }
    }
    records
}

fn due_by(records: &[Record], until: Time) -> Vec<Record> {
    let mut due: Vec<Record> =
        records.iter().filter(|record| record.due_at.is_some_and(|due| due <= until)).map(stored).collect();
    due.sort_by_cached_key(DuePage::place);
    due
}

fn keys(records: &[Record]) -> Vec<Key> {
    records.iter().map(|record| record.key.clone()).collect()
}

/// 21. *Due*
pub(in super::super) fn exactly_what_is_due_comes_in_order(bench: &Bench<'_>) -> Checked {
    let records = timers(&["b", "a", "B", "é", "a/b"]);
    bench.put_all(&records)?;
    let before = |time: Time| Time::from_micros(time.micros() - 1);
    for until in [Time::MIN, at(5), before(at(9)), at(9), at(10), before(Time::MAX), Time::MAX] {
        let expected = due_by(&records, until);
        let due = bench.due(&DuePage { until, after: None, limit: 1_000 })?;
        let place = format!("what is due at {until}");
        same_list(&place, &expected, &due)?;
    }
    Ok(())
}

/// 21. *Due*
pub(in super::super) fn due_pages_go_on_after_the_last(bench: &Bench<'_>) -> Checked {
    let records = timers(&["b", "B"]);
    bench.put_all(&records)?;
    let whole = due_by(&records, at(10));
    for limit in [1, 7, 64, 1_000] {
        let mut read: Vec<Record> = Vec::new();
        loop {
            let after = read.last().and_then(DuePage::place);
            let page = bench.due(&DuePage { until: at(10), after, limit })?;
            holds("a page of due records", page.len() <= limit, &format!("at most {limit}"), &page.len())?;
            if page.is_empty() || read.len() > whole.len() {
                break;
            }
            read.extend(page);
        }
        same_list(&format!("what is due, in pages of {limit}"), &keys(&whole), &keys(&read))?;
    }
    // The engine steps what it was given: the last record of a page need not be due any more.
    let first = bench.due(&DuePage { until: at(10), after: None, limit: 10 })?;
    let after = first.last().and_then(DuePage::place);
    if let Some(last) = first.into_iter().last() {
        bench.put(&last.key.tenant.clone(), vec![Record { due_at: None, ..last }])?;
    }
    let rest = bench.due(&DuePage { until: at(10), after, limit: 1_000 })?;
    same_list("the page after one whose last record was stepped", &keys(&whole)[10..], &keys(&rest))
}

/// Records with facets, for queries: `n` of one kind, with times that recur.
pub(super) fn rows(tenant: &TenantId, kind: Kind, n: usize) -> Vec<Record> {
    let row = |i: usize| {
        let mut facets = vec![
            (Facet::User, format!("u{}", i % 3)),
            (Facet::Rule, format!("r{}", i % 2)),
            (Facet::Rule, format!("r{}", i % 5)),
            (Facet::Source, ODD[i % ODD.len()].to_owned()),
        ];
        if i.is_multiple_of(4) {
            facets.push((Facet::Session, "s".to_owned()));
        }
        facets.sort();
        facets.dedup();
        let at = at((i % 7) as u64);
        Record {
            at,
            facets,
            body: body(&i.to_string()),
            ..plain(tenant, kind, &format!("{:03}", i * 37 % n))
        }
    };
    (0..n).map(row).collect()
}

pub(super) fn named(records: &[Record], query: &Query) -> Vec<Record> {
    let mut named: Vec<Record> = records.iter().filter(|record| query.names(record)).map(stored).collect();
    named.sort_by(|a, b| (a.at, &a.key.id).cmp(&(b.at, &b.key.id)));
    if query.order == Order::Newest {
        named.reverse();
    }
    named
}

/// 22. *Query*
pub(in super::super) fn a_query_gives_exactly_what_it_names(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let mut records = rows(&tenant, Kind::Enforcement, 60);
    records.extend(rows(&tenant, Kind::Trigger, 20));
    records.extend(rows(&super::super::props::other(), Kind::Enforcement, 20));
    for (name, at) in [("zzz", Time::MIN), ("min", Time::MIN), ("max", Time::MAX)] {
        records.push(Record { at, ..plain(&tenant, Kind::Enforcement, name) });
    }
    bench.put_all(&records)?;
    let is =
        |facet: Facet, values: &[&str]| (facet, values.iter().map(|value| (*value).to_owned()).collect());
    let mut queries = Vec::new();
    let mut ask = |facets: Vec<(Facet, Vec<String>)>, from, until| {
        for order in [Order::Oldest, Order::Newest] {
            let facets = facets.clone();
            queries.push(Query { facets, from, until, order, ..all(&tenant, Kind::Enforcement) });
        }
    };
    ask(vec![], None, None);
    ask(vec![], Some(at(2)), Some(at(4)));
    ask(vec![], Some(at(2)), None);
    ask(vec![], None, Some(at(2)));
    ask(vec![], None, Some(Time::MIN));
    ask(vec![], Some(Time::MIN), Some(Time::MAX));
    ask(vec![], Some(Time::MAX), None);
    ask(vec![], Some(at(4)), Some(at(2)));
    ask(vec![is(Facet::User, &["u1"])], None, None);
    ask(vec![is(Facet::User, &["u1", "u2", "none"])], None, None);
    // Two rules that one record has: it comes once.
    ask(vec![is(Facet::Rule, &["r0", "r1", "r2"])], None, None);
    ask(vec![is(Facet::Rule, &["r1"]), is(Facet::User, &["u0"])], Some(at(1)), None);
    ask(vec![is(Facet::Session, &["s"])], None, None);
    ask(vec![is(Facet::User, &["r1"])], None, None);
    ask(vec![is(Facet::Rule, &[])], None, None);
    ask(vec![is(Facet::Session, &["none"])], None, None);
    for text in ODD {
        ask(vec![is(Facet::Source, &[text])], None, None);
    }
    for query in &queries {
        let place = format!("the query of {:?} from {:?} until {:?}", query.facets, query.from, query.until);
        let expected = named(&records, query);
        let page = bench.query(query)?;
        same_list(&place, &expected, &page.rows)?;
        same(&format!("{place}: its cursor"), &None, &page.next)?;
    }
    Ok(())
}

/// Follows a query to its end; `between` runs after each page.
pub(super) fn follow(
    bench: &Bench<'_>,
    query: &Query,
    mut between: impl FnMut(&Cursor) -> Checked,
) -> Result<Vec<Record>, Broken> {
    let mut query = query.clone();
    let mut read = Vec::new();
    for _ in 0..1_000 {
        let page = bench.query(&query)?;
        let size = query.page_size();
        holds("a page of a query", page.rows.len() <= size, &format!("at most {size}"), &page.rows.len())?;
        let empty = query.after.is_some() && page.rows.is_empty();
        holds("a page that a cursor leads to", !empty, "at least one row", &page.rows.len())?;
        read.extend(page.rows);
        let Some(next) = page.next else { return Ok(read) };
        between(&next)?;
        // Hosts hand cursors on as text.
        let text = next.to_string();
        query.after =
            Some(text.parse().map_err(|_| Broken::new("a cursor as text", "one to be read", text))?);
    }
    Err(Broken::new("following a cursor", "an end", "1,000 pages"))
}

/// 23. *Pages*
pub(in super::super) fn pages_visit_each_record_once(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let mut records = rows(&tenant, Kind::Enforcement, 40);
    for (name, at) in [("é", Time::MIN), ("e.1", Time::MIN), ("100%", Time::MAX), ("B", Time::MAX)] {
        records.push(Record { at, ..plain(&tenant, Kind::Enforcement, name) });
    }
    bench.put_all(&records)?;
    let rule = (Facet::Rule, vec!["r1".to_owned(), "r3".to_owned()]);
    for order in [Order::Oldest, Order::Newest] {
        for facets in [vec![], vec![rule.clone()]] {
            for limit in [0, 2, 7, 22, 44, 200] {
                let query = Query { order, limit, facets: facets.clone(), ..all(&tenant, Kind::Enforcement) };
                let read = follow(bench, &query, |_| Ok(()))?;
                let place = format!("a query by {order}, {limit} a page");
                same_list(&place, &keys(&named(&records, &query)), &keys(&read))?;
            }
        }
    }
    Ok(())
}

/// 23. *Pages*
pub(in super::super) fn pages_hold_while_records_come(bench: &Bench<'_>) -> Checked {
    for (name, order) in [("old", Order::Oldest), ("new", Order::Newest)] {
        let tenant: TenantId = id(name);
        let records = rows(&tenant, Kind::Enforcement, 23);
        bench.put_all(&records)?;
        let query = Query { order, limit: 5, ..all(&tenant, Kind::Enforcement) };
        let mut round = 0;
        let read = follow(bench, &query, |next| {
            round += 1;
            // At the cursor, before it and after it; the walk ends all the same.
            let times = [
                Time::MIN,
                next.at.before(Span::millis(1)),
                next.at,
                next.at.after(Span::millis(1)),
                Time::MAX,
            ];
            let come = times.iter().enumerate().flat_map(|(n, at)| {
                ["!", "~"].map(|side| {
                    let key = format!("{side}{round:03}{n}");
                    Record { at: *at, ..plain(&tenant, Kind::Enforcement, &key) }
                })
            });
            if round <= 6 { bench.put(&tenant, come.collect()) } else { Ok(()) }
        })?;
        let mut seen = BTreeSet::new();
        for record in &read {
            holds("a walk while records come", seen.insert(record.key.clone()), "each once", &record.key)?;
        }
        let expected = named(&records, &query);
        let there: Vec<Record> = read.into_iter().filter(|record| expected.contains(record)).collect();
        same_list("those that were there from the beginning", &keys(&expected), &keys(&there))?;
    }
    Ok(())
}

/// 23. *Pages*
pub(in super::super) fn a_page_has_its_bounds(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, (0..=MAX_PAGE).map(|n| plain(&tenant, Kind::Run, &n.to_string())).collect())?;
    for (limit, size) in
        [(0, 1), (1, 1), (MAX_PAGE, MAX_PAGE), (MAX_PAGE + 1, MAX_PAGE), (usize::MAX, MAX_PAGE)]
    {
        let page = bench.query(&Query { limit, ..all(&tenant, Kind::Run) })?;
        same(&format!("rows of a page with limit {limit}"), &size, &page.rows.len())?;
        let last = page.rows.last().map(|record| Cursor { at: record.at, id: record.key.id.clone() });
        same("its cursor: the place of its last row", &last, &page.next)?;
    }
    Ok(())
}

/// 24. *Own writes*
pub(in super::super) fn what_was_written_is_seen(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let key = record(&action(&tenant, "one")).key;
    let (here, there) = (bench, bench.elsewhere());
    let by = |user: &str| {
        let facets = vec![(Facet::User, vec![user.to_owned()])];
        Query { facets, ..all(&tenant, Kind::Enforcement) }
    };
    let look = |place: &str, expected: Option<&Record>, due: Option<Time>, user: &str, seq: u64| -> Checked {
        for bench in [here, &there] {
            let rows: Vec<Record> = expected.into_iter().cloned().collect();
            same(&format!("load {place}"), &rows.first().cloned(), &bench.find(&key)?)?;
            let page = bench.due(&DuePage { until: LATE, after: None, limit: 10 })?;
            same(&format!("due {place}"), &due, &page.first().and_then(|record| record.due_at))?;
            same(&format!("query {place}"), &rows, &bench.query(&by(user))?.rows)?;
            same(&format!("trail {place}"), &seq, &(bench.lane(&tenant, 0)?.len() as u64))?;
            same(&format!("head {place}"), &seq, &bench.head(&tenant, 0)?.seq)?;
        }
        Ok(())
    };
    look("before anything", None, None, "ana", 0)?;
    let audit = |text: &str| vec![draft(&tenant, 0, "ana", text)];
    let one = Record { due_at: Some(at(1)), ..record(&action(&tenant, "one")) };
    let commit = Commit { put: vec![one.clone()], audit: audit("one"), ..here.fresh(&tenant) };
    here.apply("a first commit", &commit)?;
    look("after a first commit", Some(&stored(&one)), Some(at(1)), "ana", 1)?;
    let two = Record { due_at: Some(at(2)), facets: vec![(Facet::User, "ben".to_owned())], ..stored(&one) };
    let commit = Commit { put: vec![two.clone()], audit: audit("two"), ..there.fresh(&tenant) };
    there.apply("a second commit, from elsewhere", &commit)?;
    look("after a second commit", Some(&stored(&two)), Some(at(2)), "ben", 2)?;
    same("what the old facet finds", &Vec::new(), &here.query(&by("ana"))?.rows)?;
    let taken = here.claim_one("a claim", &here.ask(&id("w1"), 1))?;
    look("after a claim", Some(&taken), taken.due_at, "ana", 3)?;
    same("what the old facet finds", &Vec::new(), &here.query(&by("ben"))?.rows)?;
    same("a claim from elsewhere", &Vec::new(), &there.claim(&there.ask(&id("w2"), 1))?)
}

/// 25. *Unique*
pub(in super::super) fn unique_bytes_never_recur(bench: &Bench<'_>) -> Checked {
    const EACH: usize = 64;
    let elsewhere = bench.elsewhere();
    let drawn = bench.race(4, |thread| {
        let bench = if thread % 2 == 0 { bench } else { &elsewhere };
        (0..EACH).map(|_| bench.unique()).collect::<Result<Vec<_>, _>>()
    })?;
    let drawn: Vec<_> = drawn.into_iter().flatten().collect();
    let different: BTreeSet<_> = drawn.iter().collect();
    same("how many of 256 are different", &(4 * EACH), &different.len())
}
