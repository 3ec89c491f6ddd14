//! Laws of hosts that do something at the same time: one of two that exclude each other, and what a
//! third sees meanwhile.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::bench::Bench;
use super::super::broken::{Broken, Checked, holds, same, same_list};
use super::super::props::{
    START, acme, action, all, at, body, draft, id, other, plain, record, stored, verified, waiting,
};
use super::read::{follow, named, rows};
use crate::enforcement::{Enforcement, State};
use crate::id::{TenantId, UserId};
use crate::store::{Claim, Commit, Key, Kind, Order, Query, Record, StoreError, Trail};
use crate::time::Span;

const ROUNDS: usize = 6;
/// How often a host looks at most while another one writes.
const LOOKS: usize = 3_000;

/// Does some work, and says then that it is over, however it ended.
fn then_over<T>(over: &AtomicBool, work: impl FnOnce() -> Result<T, Broken>) -> Result<T, Broken> {
    let done = work();
    over.store(true, Ordering::SeqCst);
    done
}

/// What one of two racing hosts came to.
#[derive(Debug)]
enum End {
    Written(bool),
    Taken(Vec<Record>),
}

/// Whether a write was let through; only the losing of a race may refuse it.
fn written<T>(answer: Result<T, StoreError>) -> Result<End, Broken> {
    match answer {
        Ok(_) => Ok(End::Written(true)),
        Err(StoreError::Fenced(_) | StoreError::Conflict(_)) => Ok(End::Written(false)),
        Err(error) => Err(error.into()),
    }
}

/// One host writes to a record whose lease is over, another takes it: one of them does.
fn either(
    bench: &Bench<'_>,
    place: &str,
    write: impl Fn(&Bench<'_>, &Record) -> Result<End, Broken> + Sync,
) -> Checked {
    let tenant = acme();
    let elsewhere = bench.elsewhere();
    for round in 0..ROUNDS {
        bench.put(&tenant, waiting(&tenant, round..round + 1))?;
        let lapsed = Claim { lease: Span::ZERO, ..bench.ask(&id("w1"), 1) };
        let held = bench.claim_one("a claim whose lease is over at once", &lapsed)?;
        let rescue = bench.ask(&id("w2"), 1);
        let ends = bench.race(2, |host| match host {
            0 => write(bench, &held),
            _ => Ok(End::Taken(elsewhere.claim(&rescue)?)),
        })?;
        let one = match ends.as_slice() {
            [End::Written(true), End::Taken(taken)] => taken.is_empty(),
            [End::Written(false), End::Taken(taken)] => taken.len() == 1 && taken[0].token == 2,
            _ => false,
        };
        holds(place, one, "that one of both succeeds", &ends)?;
    }
    Ok(())
}

/// 3. *Expectations*
pub(in super::super) fn of_two_that_expect_each_others_record_one_is_written(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    for round in 0..ROUNDS {
        let pair = ["a", "b"].map(|side| plain(&tenant, Kind::Stats, &format!("{side}{round}")));
        let version = (round % 2) as u64;
        if version == 1 {
            bench.put(&tenant, pair.to_vec())?;
        }
        let ends = bench.race(2, |host| {
            let (ours, theirs) = if host == 0 { (&pair[0], &pair[1]) } else { (&pair[1], &pair[0]) };
            written(bench.commit(&Commit {
                expect: vec![(theirs.key.clone(), version)],
                put: vec![Record { version, body: body("decided"), ..ours.clone() }],
                ..bench.fresh(&tenant)
            }))
        })?;
        let one = ends.iter().filter(|end| matches!(end, End::Written(true))).count() == 1;
        holds("two commits that each expect the other's record", one, "that one is written", &ends)?;
    }
    Ok(())
}

/// 4. *Fences*
pub(in super::super) fn a_settling_and_a_rescue_exclude_each_other(bench: &Bench<'_>) -> Checked {
    either(bench, "a settling and a rescue at once", |bench, held| {
        written(bench.commit(&Commit {
            fence: vec![(held.key.clone(), held.token)],
            put: vec![Record { queue: None, lease: None, ..held.clone() }],
            ..bench.fresh(&held.key.tenant)
        }))
    })
}

/// 20. *Renewal*
pub(in super::super) fn a_renewal_and_a_rescue_exclude_each_other(bench: &Bench<'_>) -> Checked {
    either(bench, "a renewal and a rescue at once", |bench, held| {
        written(bench.renew(&held.key, held.token, Span::hours(1)))
    })
}

/// 12. *Erasure*
pub(in super::super) fn an_erasure_loses_no_record(bench: &Bench<'_>) -> Checked {
    const ERASURES: usize = 6;
    let tenant = acme();
    let ana: UserId = id("ana");
    let elsewhere = bench.elsewhere();
    let over = AtomicBool::new(false);
    let written = bench.race(2, |host| {
        if host == 1 {
            let erase = || (0..ERASURES).try_for_each(|_| elsewhere.erase(&tenant, &ana).answer.map(drop));
            return then_over(&over, || Ok(erase()?)).map(|()| 0);
        }
        let mut written = 0;
        while written < 5 || written < 300 && !over.load(Ordering::SeqCst) {
            let audit = vec![draft(&tenant, 0, "ana", &written.to_string())];
            bench.apply("a commit", &Commit { audit, ..bench.fresh(&tenant) })?;
            written += 1;
        }
        Ok(written)
    })?;
    let lane = bench.lane(&tenant, 0)?;
    same("audit records after the race", &written[0], &lane.len())?;
    let head = verified("the lane after the race", &lane)?;
    same("its head", &head, &bench.head(&tenant, 0)?)?;
    bench.erase(&tenant, &ana).answer?;
    let left = bench.lane(&tenant, 0)?;
    let left = left.iter().flat_map(|record| record.personal.values());
    same("values after a last erasure", &0, &left.filter(|field| field.value.is_some()).count())
}

/// 18. *Repeats*
pub(in super::super) fn of_one_claim_made_twice_at_once_one_is_made(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let elsewhere = bench.elsewhere();
    for round in 0..ROUNDS {
        bench.put(&tenant, waiting(&tenant, round * 10..round * 10 + 5))?;
        let claim = bench.ask(&id("w1"), 3);
        let taken = bench.race(3, |host| match host {
            0 => bench.claim(&claim),
            _ => elsewhere.claim(&claim),
        })?;
        let mut held = bench.claim(&claim)?;
        held.sort_by(|a, b| a.key.cmp(&b.key));
        same("records that one claim holds, made three times at once", &3, &held.len())?;
        for record in taken.iter().flatten() {
            holds("what it was told at once", held.contains(record), "what it holds", record)?;
        }
        // The others are out of the way of the next round.
        let rest = bench.claim(&bench.ask(&id("w2"), 10))?;
        same("records that it left", &2, &rest.len())?;
    }
    Ok(())
}

/// 18. *Repeats*
pub(in super::super) fn a_repeat_is_told_all_that_its_claim_holds(bench: &Bench<'_>) -> Checked {
    let tenants: [TenantId; 4] = ["t1", "t2", "t3", "t4"].map(id);
    let elsewhere = bench.elsewhere();
    for (round, max) in (0..ROUNDS).zip([6, 20, 4].into_iter().cycle()) {
        let names = round * 2..round * 2 + 2;
        let records: Vec<Record> = tenants.iter().flat_map(|tenant| waiting(tenant, names.clone())).collect();
        bench.put_all(&records)?;
        let claim = bench.ask(&id("w1"), max);
        let told = bench.race(3, |host| match host {
            0 => bench.claim(&claim),
            _ => elsewhere.claim(&claim),
        })?;
        let keys: Vec<Key> = records.into_iter().map(|record| record.key).collect();
        let its = |record: &Record| record.lease.as_ref().is_some_and(|lease| lease.nonce == claim.nonce);
        let mut held: Vec<Record> = bench.load(&keys)?.into_iter().flatten().filter(its).collect();
        held.sort_by(|a, b| a.key.cmp(&b.key));
        holds("records that one claim holds", !held.is_empty(), "any", &held)?;
        for mut told in told {
            told.sort_by(|a, b| a.key.cmp(&b.key));
            same_list("what a claim of four tenants was told, made three times at once", &held, &told)?;
        }
        // The others are out of the way of the next round.
        bench.claim(&bench.ask(&id("w2"), 20))?;
    }
    Ok(())
}

/// 23. *Pages*
pub(in super::super) fn pages_hold_while_others_write(bench: &Bench<'_>) -> Checked {
    let elsewhere = bench.elsewhere();
    for (name, order) in [("old", Order::Oldest), ("new", Order::Newest)] {
        let tenant = id(name);
        let records = rows(&tenant, Kind::Enforcement, 120);
        bench.put_all(&records)?;
        let query = Query { order, limit: 9, ..all(&tenant, Kind::Enforcement) };
        let walks = bench.race(2, |host| {
            if host == 0 {
                return follow(bench, &query, |_| Ok(()));
            }
            for (number, record) in records.iter().step_by(9).enumerate() {
                let come = |side: &str, at| Record {
                    at,
                    ..plain(&tenant, Kind::Enforcement, &format!("{side}{number:03}"))
                };
                let changed = Record { body: body("changed"), ..stored(record) };
                let put = vec![come("!", record.at), come("~", at(3)), changed];
                elsewhere.put(&tenant, put)?;
            }
            Ok(Vec::new())
        })?;
        let of =
            |records: &[Record]| -> Vec<Key> { records.iter().map(|record| record.key.clone()).collect() };
        let walked = of(&walks[0]);
        let once: BTreeSet<&Key> = walked.iter().collect();
        same("how many different records a walk visits", &walked.len(), &once.len())?;
        let expected = of(&named(&records, &query));
        let there: Vec<Key> = walked.iter().filter(|key| expected.contains(key)).cloned().collect();
        same_list("those that were there from the beginning", &expected, &there)?;
    }
    Ok(())
}

/// 26. *Fair*
pub(in super::super) fn nobody_waits_for_ever(bench: &Bench<'_>) -> Checked {
    // The busy tenant comes first by name and by time.
    let (busy, quiet) = (acme(), other());
    let since = |tenant, name: &str, seconds| {
        let state = State::Queued { since: at(seconds), start_by: None };
        record(&Enforcement { state, ..action(tenant, name) })
    };
    bench.put(&busy, (0..20).map(|n| since(&busy, &n.to_string(), 0)).collect())?;
    bench.put(&quiet, vec![since(&quiet, "waits", 10)])?;
    for round in 0..12_u64 {
        let taken = bench.claim(&bench.ask(&id("w1"), 4))?;
        if taken.iter().any(|record| record.key.tenant == quiet) {
            return Ok(());
        }
        let more = (0..4).map(|n| since(&busy, &format!("more {round} {n}"), 20 + round));
        bench.put(&busy, more.collect())?;
    }
    Err(Broken::new(
        "twelve claims of four, twenty waiting before it",
        "the one that waits",
        "it waits still",
    ))
}

/// 27. *Seen whole*
pub(in super::super) fn a_commit_is_seen_whole(bench: &Bench<'_>) -> Checked {
    const COMMITS: u64 = 12;
    let tenant = acme();
    let elsewhere = bench.elsewhere();
    let pair = ["one", "two"].map(|name| plain(&tenant, Kind::Subject, name));
    let number = |bench: &Bench<'_>, what: usize| -> Result<u64, Broken> {
        let version = |key| Ok::<_, Broken>(bench.find(key)?.map_or(0, |record| record.version));
        match what {
            0 => version(&pair[0].key),
            1 => Ok(bench.head(&tenant, 0)?.seq),
            2 => Ok(bench.lane(&tenant, 1)?.len() as u64),
            3 => {
                let rows = bench.query(&all(&tenant, Kind::Subject))?.rows;
                Ok(rows.iter().map(|record| record.version).min().unwrap_or(0))
            }
            _ => version(&pair[1].key),
        }
    };
    let over = AtomicBool::new(false);
    let write = |version| {
        let put = pair.iter().map(|record| Record { version, ..record.clone() }).collect();
        let audit = vec![draft(&tenant, 1, "ana", "it"), draft(&tenant, 0, "ana", "it")];
        bench.apply("a commit", &Commit { put, audit, ..bench.fresh(&tenant) })
    };
    bench.race(2, |host| {
        if host == 0 {
            return then_over(&over, || (0..COMMITS).try_for_each(write));
        }
        for round in 0..LOOKS {
            if over.load(Ordering::SeqCst) {
                break;
            }
            // Each commit makes all of these one more: what is read later may only be more.
            let mut least = 0;
            for step in 0..5 {
                let what = (round + step) % 5;
                let seen = number(&elsewhere, what)?;
                let expected = format!("{least} commits or more, as was seen before");
                holds(&format!("part {what} of what was committed"), seen >= least, &expected, &seen)?;
                least = seen;
            }
        }
        Ok(())
    })?;
    (0..5).try_for_each(|what| same("the end of it", &COMMITS, &number(bench, what)?))
}

/// 27. *Seen whole*
pub(in super::super) fn a_lane_is_seen_without_gaps(bench: &Bench<'_>) -> Checked {
    const EACH: u64 = 8;
    let tenant = acme();
    let elsewhere = bench.elsewhere();
    let over = AtomicBool::new(false);
    let write = |host, number| {
        let audit = ["first", "second"].map(|n| draft(&tenant, 0, "ana", &format!("{host} {number} {n}")));
        bench.apply("a commit", &Commit { audit: audit.to_vec(), ..bench.fresh(&tenant) })
    };
    bench.race(3, |host| {
        if host < 2 {
            return then_over(&over, || (0..EACH).try_for_each(|number| write(host, number)));
        }
        let mut last = 0;
        for _ in 0..LOOKS {
            if over.load(Ordering::SeqCst) {
                break;
            }
            let head = elsewhere.head(&tenant, 0)?.seq;
            let page =
                elsewhere.page_of(&Trail { tenant: tenant.clone(), lane: 0, after: last, limit: 5 })?;
            for record in &page {
                same("the next record of a lane that is written to", &(last + 1), &record.seq)?;
                last = record.seq;
            }
            let all = page.len() == 5 || last >= head;
            holds("a page of a lane", all, &format!("the records up to {head}"), &last)?;
        }
        Ok(())
    })?;
    let lane = bench.lane(&tenant, 0)?;
    same("audit records after the race", &(EACH * 4), &(lane.len() as u64))?;
    let times = lane.iter().all(|record| record.time == START);
    holds("their times", times, "those of the drafts", &lane.len())?;
    verified("the lane after the race", &lane).map(drop)
}
