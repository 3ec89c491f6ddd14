//! Laws 28 and 29: whose turn it is, and what comes next.

use std::collections::BTreeSet;

use super::super::bench::Bench;
use super::super::broken::{Checked, holds, same};
use super::super::props::{acme, action, channel, id, other, record};
use crate::enforcement::{Enforcement, State};
use crate::id::TenantId;
use crate::store::{Ahead, Claim, Record};
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
        record(&Enforcement { state: State::Scheduled { at: at(second) }, ..action(tenant, name) })
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
