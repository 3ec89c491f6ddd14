//! Laws 28 and 29: whose turn it is, and what comes next.

use std::collections::BTreeSet;

use super::super::bench::Bench;
use super::super::broken::{Checked, holds, same};
use super::super::props::{LATE, SHORT, acme, action, channel, control, id, other, plain, record};
use crate::enforcement::{Enforcement, Holder, State};
use crate::id::TenantId;
use crate::store::{Ahead, Claim, Kind, Lease, Queue, Record};
use crate::time::{Span, Time};

/// So many seconds after, or before, the time of this room.
fn at(seconds: i64) -> Time {
    super::super::props::at(1_000_u64.saturating_add_signed(seconds))
}

/// A record that waits since then.
fn since(tenant: &TenantId, name: &str, second: i64) -> Record {
    let waits = State::Queued { since: at(second), start_by: None };
    record(&Enforcement { channel: channel("send_webhook"), state: waits, ..action(tenant, name) })
}

/// 28. *In turn*
pub(in super::super) fn tenants_take_turns(bench: &Bench<'_>) -> Checked {
    let tenants: Vec<TenantId> = ["t1", "t2", "t3"].into_iter().map(id).collect();
    // The first was there long before the others; within it, the one put last is ready first.
    let busy = (0..8).map(|n| since(&tenants[0], &format!("a{n}"), -10 - n));
    let quiet = tenants[1..].iter().flat_map(|tenant| (0..2).map(|n| since(tenant, &format!("b{n}"), n)));
    bench.put_all(&busy.chain(quiet).collect::<Vec<_>>())?;
    let worker = id("w1");
    let mut after: Option<TenantId> = None;
    for (round, expected) in ["t1", "t2", "t3", "t1", "t2", "t3", "t1", "t1"].into_iter().enumerate() {
        let claim = Claim { after: after.clone(), ..bench.ask(&worker, 1) };
        let taken = bench.claim_one("a claim of one", &claim)?;
        same(&format!("whose turn it is in claim {round}"), &id(expected), &taken.key.tenant)?;
        after = Some(taken.key.tenant);
    }
    let late: Vec<Record> =
        tenants.iter().flat_map(|tenant| (0..3).map(|n| since(tenant, &format!("c{n}"), 20 + n))).collect();
    bench.put_all(&late)?;
    // The first has four left that were ready before, and each has three more.
    let claim = Claim { after: Some(id("t2")), ..bench.ask(&worker, 5) };
    let mut taken: Vec<(TenantId, String)> =
        bench.claim(&claim)?.into_iter().map(|record| (record.key.tenant, record.key.id)).collect();
    taken.sort();
    let first = |tenant: usize, name: &str, second: i64| {
        let key = since(&tenants[tenant], name, second).key;
        (key.tenant, key.id)
    };
    // In turn: t3, t1, t2, t3, t1; of the first, those that have been ready longest.
    let mut expected = vec![
        first(0, "a3", -13),
        first(0, "a2", -12),
        first(1, "c0", 20),
        first(2, "c0", 20),
        first(2, "c1", 21),
    ];
    expected.sort();
    same("a claim of five after the second tenant", &expected, &taken)
}

/// The same, asked for by a rule that people have stopped.
fn stopped(tenant: &TenantId, name: &str, second: i64) -> Record {
    let holder =
        Holder { rule: id("r1"), revision: 1, key: id("k1"), hold: None, rung: None, recheck: false };
    let state = State::Queued { since: at(second), start_by: None };
    let waits = Enforcement { channel: channel("send_webhook"), state, ..action(tenant, name) };
    record(&Enforcement { holders: vec![holder], ..waits })
}

/// 28. *In turn*
pub(in super::super) fn what_is_declined_is_nobodys_turn(bench: &Bench<'_>) -> Checked {
    let [one, two, three]: [TenantId; 3] = ["t1", "t2", "t3"].map(id);
    let free = [
        since(&one, "a", -20),
        since(&one, "b", -10),
        since(&one, "c", 40),
        since(&two, "d", -60),
        since(&two, "e", -60),
        since(&three, "f", 50),
    ];
    // Of the first tenant, before each that it may have carried out, and after the last.
    let held = [-30, -25, -15, 30, 35, 60].map(|second| stopped(&one, &format!("s{second}"), second));
    bench.put_all(&[&free[..], &held[..]].concat())?;
    let switch = control(&one, |control, stop| control.rules.extend([(id("r1"), stop)]));
    bench.put(&one, vec![switch])?;
    let worker = id("w1");
    let keys = |records: &[&Record]| {
        let mut keys: Vec<_> = records.iter().map(|record| record.key.clone()).collect();
        keys.sort();
        keys
    };
    let [a, b, c, d, e, f] = &free;
    let first = bench.claim_one("a claim of one", &bench.ask(&worker, 1))?;
    same("whose turn it is, though what waits longest is stopped", &a.key, &first.key)?;
    let taken = bench.claim(&Claim { after: Some(one.clone()), ..bench.ask(&worker, 4) })?;
    let expected = keys(&[d, f, b, e]);
    same("a claim of four after the first tenant", &expected, &keys(&taken.iter().collect::<Vec<_>>()))?;
    let last = bench.claim_one("what is left", &bench.ask(&worker, 4))?;
    same("what is left", &c.key, &last.key)
}

/// 28. *In turn*
pub(in super::super) fn what_has_lapsed_takes_its_turn(bench: &Bench<'_>) -> Checked {
    let [one, two]: [TenantId; 2] = ["t1", "t2"].map(id);
    let late = |name: &str| {
        let state = State::Queued { since: LATE.before(Span::days(1)), start_by: None };
        record(&Enforcement { channel: channel("send_webhook"), state, ..action(&one, name) })
    };
    bench.put_all(&[since(&one, "a", -20), since(&one, "b", -10)])?;
    let (fallen, worker) = (id("w0"), id("w1"));
    let mut lapsed = bench.claim(&Claim { lease: SHORT, ..bench.ask(&fallen, 2) })?;
    same("a claim of two", &2, &lapsed.len())?;
    lapsed.sort_by(|a, b| a.key.cmp(&b.key));
    bench.advance(SHORT)?;
    let (c, d, e) = (late("c"), since(&two, "d", -5), since(&two, "e", -4));
    bench.put_all(&[c.clone(), d.clone(), e.clone()])?;
    let claim = |after: &TenantId, max| Claim { after: Some(after.clone()), ..bench.ask(&worker, max) };
    let taken = bench.claim_one("a claim after the tenant of what has lapsed", &claim(&one, 1))?;
    same("whose turn it is", &d.key, &taken.key)?;
    let again = bench.claim_one("a claim after the other tenant", &claim(&two, 1))?;
    let is_lapsed = lapsed.iter().any(|record| record.key == again.key);
    holds("what has lapsed was ready before what came since", is_lapsed, "one that has lapsed", &again.key)?;
    let rest = bench.claim(&claim(&one, 2))?;
    let mut keys: Vec<_> = rest.into_iter().map(|record| record.key).collect();
    keys.sort();
    lapsed.retain(|record| record.key != again.key);
    let mut expected: Vec<_> = lapsed.into_iter().chain([e]).map(|record| record.key).collect();
    expected.sort();
    same("a claim of two after the first tenant", &expected, &keys)?;
    let last = bench.claim_one("a claim of what is left", &claim(&one, 2))?;
    same("what is left", &c.key, &last.key)
}

/// 29. *Ahead*
pub(in super::super) fn what_comes_next_is_told(bench: &Bench<'_>) -> Checked {
    let ask = |after, names: Option<&[&str]>| Ahead {
        after,
        channels: names.map(|names| names.iter().map(|name| channel(name)).collect::<BTreeSet<_>>()),
    };
    let nothing = bench.upcoming(&ask(at(0), None))?;
    same(
        "what comes next in an empty store",
        &(None, None, None),
        &(nothing.timer, nothing.ready, nothing.lease),
    )?;
    let timed = |tenant: &TenantId, name: &str, second| {
        record(&Enforcement {
            state: State::Scheduled { at: at(second), start_by: None },
            ..action(tenant, name)
        })
    };
    bench.put_all(&[
        timed(&acme(), "past", -5),
        timed(&acme(), "far", 90),
        timed(&other(), "near", 30),
        since(&acme(), "ready", -3),
        since(&acme(), "later", 50),
        since(&other(), "soon", 40),
    ])?;
    for (after, names, timer, ready) in [
        (at(0), None, Some(at(30)), Some(at(40))),
        (at(-60), None, Some(at(-5)), Some(at(-3))),
        (at(30), None, Some(at(90)), Some(at(40))),
        (at(40), Some(&["send_webhook"][..]), Some(at(90)), Some(at(50))),
        (at(90), None, None, None),
        (at(0), Some(&["send_email"][..]), Some(at(30)), None),
        (at(0), Some(&[][..]), Some(at(30)), None),
    ] {
        let found = bench.upcoming(&ask(after, names))?;
        same(&format!("what comes after {after}"), &(timer, ready), &(found.timer, found.ready))?;
        same("leases while nothing is held", &None, &found.lease)?;
    }
    let worker = id("w1");
    for (lease, most) in [(Span::hours(3), Span::hours(3)), (Span::hours(2), Span::hours(2))] {
        let claim = Claim { lease, until: at(45), ..bench.ask(&worker, 1) };
        bench.claim_one("a claim", &claim)?;
        let found = bench.upcoming(&ask(at(-60), None))?.lease;
        let within = found.is_some_and(|left| left <= most && left > most.percent(50));
        holds(
            "how long the shortest lease lasts",
            within,
            &format!("at most {most}, and not much less"),
            &found,
        )?;
    }
    // What is held is not ready: of what has been since before, nothing is left.
    let found = bench.upcoming(&ask(at(-60), None))?;
    same("what is ready beside what is held", &Some(at(50)), &found.ready)
}

/// 29. *Ahead*
pub(in super::super) fn what_is_held_is_ahead_when_it_lapses(bench: &Bench<'_>) -> Checked {
    let ask = Ahead { after: at(-60), channels: None };
    let (most, less, longer) = (Span::hours(4), Span::hours(1), Span::hours(12));
    let within =
        |left: Option<Span>, most: Span| left.is_some_and(|left| left <= most && left > most.percent(50));
    let expected = |most: Span| format!("at most {most}, and not much less");
    bench.put_all(&[since(&acme(), "long", -20), since(&other(), "short", -10)])?;
    let mut claims = Vec::new();
    for (after, lease) in [(other(), most), (acme(), less)] {
        let claim = Claim { lease, after: Some(after), ..bench.ask(&id("w1"), 1) };
        claims.push(bench.claim_one("a claim", &claim)?);
    }
    let held = bench.upcoming(&ask)?;
    same("what is ready while all is held", &None, &held.ready)?;
    holds("how long the shorter lease lasts", within(held.lease, less), &expected(less), &held.lease)?;
    bench.renew(&claims[1].key, claims[1].token, SHORT)?;
    bench.advance(SHORT)?;
    let lapsed = bench.upcoming(&ask)?;
    holds("a lease that has run out is none", within(lapsed.lease, most), &expected(most), &lapsed.lease)?;
    // Two that wait, under a lease that is over and under one that is not; the timer goes on all the same.
    let queued = |name: &str, second, until| Record {
        due_at: Some(at(20)),
        queue: Some(Queue { channel: channel("send_email"), ready_at: at(second) }),
        lease: claims[0].lease.clone().map(|lease| Lease { until, ..lease }),
        token: 1,
        ..plain(&acme(), Kind::Sweep, name)
    };
    let over = Record { due_at: Some(at(60)), ..queued("over", 40, at(0).min(bench.now()?)) };
    bench.put_all(&[over, queued("held", 30, Time::MAX)])?;
    bench.renew(&claims[0].key, claims[0].token, longer)?;
    let found = bench.upcoming(&ask)?;
    same("what is ready, and the first timer", &(Some(at(40)), Some(at(20))), &(found.ready, found.timer))?;
    holds("how long the renewed lease lasts", within(found.lease, longer), &expected(longer), &found.lease)
}
