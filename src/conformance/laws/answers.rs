//! Laws 21 to 25 at their edges: pages while timers move, filters in every combination, what other
//! calls than a commit have changed.

use std::collections::{BTreeMap, BTreeSet};

use super::super::bench::Bench;
use super::super::broken::{Checked, holds, same, same_list};
use super::super::props::{acme, all, at, draft, id, other, plain, stored, waiting};
use super::read::{named, rows};
use crate::audit::Salt;
use crate::id::UserId;
use crate::store::{Commit, DuePage, Facet, Key, Kind, Order, Query, Record};
use crate::time::{Span, Time};

/// 21. *Due*
pub(in super::super) fn a_due_page_has_its_bounds(bench: &Bench<'_>) -> Checked {
    let records: Vec<Record> = [acme(), other()]
        .iter()
        .flat_map(|tenant| (0..3).map(|n| Record { due_at: Some(at(n)), ..plain(tenant, Kind::Timer, "t") }))
        .zip(0..)
        .map(|(record, n)| Record { key: Key { id: n.to_string(), ..record.key }, ..record })
        .collect();
    bench.put_all(&records)?;
    for (limit, number) in [(0, 1), (1, 1), (4, 4), (6, 6), (7, 6), (usize::MAX, 6)] {
        let page = bench.due(&DuePage { until: at(9), after: None, limit })?;
        same(&format!("rows of a page of due records with limit {limit}"), &number, &page.len())?;
    }
    Ok(())
}

/// 21. *Due*
pub(in super::super) fn due_pages_hold_while_timers_move(bench: &Bench<'_>) -> Checked {
    const KINDS: [Kind; 3] = [Kind::Approval, Kind::Run, Kind::Timer];
    let timer = |tenant: &_, n: usize, name: &str| Record {
        due_at: Some(at(5)),
        ..plain(tenant, KINDS[n % 3], &format!("{name}{n:02}"))
    };
    let tenants = [acme(), other()];
    let records: Vec<Record> =
        tenants.iter().flat_map(|tenant| (0..20).map(|n| timer(tenant, n, "m"))).collect();
    bench.put_all(&records)?;
    let (mut after, mut round, mut seen) = (None, 0, BTreeMap::<Key, usize>::new());
    loop {
        let page = bench.due(&DuePage { until: at(9), after: after.clone(), limit: 7 })?;
        round += 1;
        holds("rounds of due pages", round < 60, "an end", &round)?;
        let Some(last) = page.last().and_then(DuePage::place) else { break };
        for record in &page {
            let place = DuePage::place(record);
            holds("the order of due pages", place > after, "a later place than the one before", &place)?;
            after = place;
        }
        after = Some(last);
        // Those of the instant that all have are put off to another that is due as well, and then
        // over; others come, before the place where the page ended and after it.
        let step = |record: Record| {
            let due_at = (record.due_at == Some(at(5))).then(|| at(7));
            Record { due_at, ..record }
        };
        for record in &page {
            if record.due_at == Some(at(5)) {
                *seen.entry(record.key.clone()).or_default() += 1;
            }
        }
        let mut next: Vec<Record> = page.into_iter().map(step).collect();
        if round <= 4 {
            next.extend(tenants.iter().flat_map(|tenant| ["a", "z"].map(|name| timer(tenant, round, name))));
        }
        bench.put_all(&next)?;
    }
    let missed: Vec<&Record> = records.iter().filter(|record| seen.get(&record.key) != Some(&1)).collect();
    same("those that were due from the beginning and did not come exactly once", &Vec::new(), &missed)
}

/// 22. *Query*
pub(in super::super) fn filters_combine(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let records = rows(&tenant, Kind::Enforcement, 60);
    bench.put_all(&records)?;
    let is = |facet: Facet, values: &[&str]| (facet, values.iter().map(ToString::to_string).collect());
    let parts: [(Facet, Vec<String>); 5] = [
        is(Facet::User, &["u1", "u2"]),
        is(Facet::Rule, &["r1", "r4"]),
        // The same facet a second time: both must hold.
        is(Facet::Rule, &["r0", "r3"]),
        is(Facet::Session, &["s", "none"]),
        is(Facet::Source, &["plain", "it's", "100%", "日本語", "🙂", "''", "null"]),
    ];
    for chosen in 0..1_usize << parts.len() {
        let facets: Vec<_> =
            (0..parts.len()).filter(|n| chosen >> n & 1 == 1).map(|n| parts[n].clone()).collect();
        let order = if chosen % 2 == 0 { Order::Newest } else { Order::Oldest };
        for (from, until) in [(None, None), (Some(at(1)), Some(at(5)))] {
            let query =
                Query { facets: facets.clone(), order, from, until, ..all(&tenant, Kind::Enforcement) };
            let place = format!("the query of {:?} from {from:?}", query.facets);
            same_list(&place, &named(&records, &query), &bench.query(&query)?.rows)?;
        }
    }
    Ok(())
}

/// 22. *Query*
pub(in super::super) fn facets_follow_their_record(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let by = |facet: Facet, value: &str| Query {
        facets: vec![(facet, vec![value.to_owned()])],
        ..all(&tenant, Kind::Enforcement)
    };
    let states: [&[(Facet, &str)]; 5] = [
        &[(Facet::Status, "pending"), (Facet::User, "ana")],
        &[(Facet::Status, "failed"), (Facet::User, "ana")],
        &[],
        &[(Facet::Approver, "ben"), (Facet::Approver, "cem"), (Facet::Status, "pending")],
        &[(Facet::Approver, "cem"), (Facet::User, "pending")],
    ];
    let every: BTreeSet<(Facet, &str)> = states.iter().flat_map(|facets| facets.iter().copied()).collect();
    let mut record = plain(&tenant, Kind::Enforcement, "one");
    for facets in states {
        record.facets = facets.iter().map(|(facet, value)| (*facet, (*value).to_owned())).collect();
        bench.put(&tenant, vec![record.clone()])?;
        record = stored(&record);
        for (facet, value) in &every {
            let expected: Vec<Record> =
                facets.contains(&(*facet, *value)).then(|| record.clone()).into_iter().collect();
            let place = format!("what {facet} `{value}` finds while the record has {facets:?}");
            same(&place, &expected, &bench.query(&by(*facet, value))?.rows)?;
        }
    }
    Ok(())
}

/// 24. *Own writes*
pub(in super::super) fn what_was_renewed_or_erased_is_seen(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let ana: UserId = id("ana");
    let there = bench.elsewhere();
    let audit = vec![draft(&tenant, 0, "ana", "hers")];
    bench.apply("a commit", &Commit { put: waiting(&tenant, 0..1), audit, ..bench.fresh(&tenant) })?;
    let taken = bench.claim_one("a claim", &bench.ask(&id("w1"), 1))?;
    let look = |lease: Option<Time>, values: usize| -> Checked {
        for bench in [bench, &there] {
            let ends = bench.get(&taken.key)?.lease.map(|lease| lease.until);
            same("the lease that is seen", &lease, &ends)?;
            let lane = bench.lane(&tenant, 0)?;
            let held = lane.iter().flat_map(|record| record.personal.values());
            let held = held.filter(|field| field.value.is_some()).count();
            same("the personal values that are seen", &values, &held)?;
        }
        Ok(())
    };
    look(taken.lease.as_ref().map(|lease| lease.until), 2)?;
    let ends = there.renew(&taken.key, taken.token, Span::hours(5))?;
    look(Some(ends), 2)?;
    there.erase(&tenant, &ana).answer?;
    look(Some(ends), 0)
}

/// 25. *Unique*
pub(in super::super) fn unique_bytes_are_no_salts(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let mut drawn: Vec<Salt> = Vec::new();
    for (round, bench) in [bench, &bench.elsewhere()].into_iter().cycle().take(6).enumerate() {
        drawn.extend((0..4).map(|_| bench.unique()).collect::<Result<Vec<_>, _>>()?);
        let audit = vec![draft(&tenant, 0, "ana", &round.to_string())];
        bench.apply("a commit of an audit record", &Commit { audit, ..bench.fresh(&tenant) })?;
    }
    let lane = bench.lane(&tenant, 0)?;
    drawn.extend(lane.iter().flat_map(|record| record.personal.values()).filter_map(|field| field.salt));
    same("unique bytes and salts", &(6 * 4 + 6 * 2), &drawn.len())?;
    let different: BTreeSet<Salt> = drawn.iter().copied().collect();
    same("how many of them are different", &drawn.len(), &different.len())
}
