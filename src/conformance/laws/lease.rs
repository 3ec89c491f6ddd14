//! Laws 15 to 20 at their edges: how long a lease lasts, what a claim is known by, how much it takes.

use super::super::bench::Bench;
use super::super::broken::{Broken, Checked, holds, refused, same};
use super::super::props::{START, acme, at, body, channel, id, other, plain, stored, waiting};
use crate::store::{Claim, Key, Kind, Lease, MAX_CLAIM, Queue, Record, StoreError};
use crate::time::{Span, Time};

/// When a record's lease runs out.
fn until(record: &Record) -> Result<Time, Broken> {
    let lease = record.lease.as_ref();
    lease.map(|lease| lease.until).ok_or_else(|| Broken::new("a claimed record", "a lease", "none"))
}

/// A lease that was given between two looks at the store's clock must end that much after them.
fn lasts(place: &str, lease: Span, ends: Time, between: (Time, Time)) -> Checked {
    let (first, last) = (between.0.after(lease), between.1.after(lease));
    let expected = format!("a lease until {first} to {last}");
    holds(place, (first..=last).contains(&ends), &expected, &ends)
}

/// 15. *Rescue*
pub(in super::super) fn a_lease_may_be_of_any_length(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..1))?;
    let (one, two) = (id("w1"), id("w2"));
    for (number, lease) in (1..).zip([Span::ZERO, Span::ZERO, Span::MAX]) {
        let before = bench.now()?;
        let taken = bench.claim_one("a claim", &Claim { lease, ..bench.ask(&one, 1) })?;
        lasts("the lease of a claim", lease, until(&taken)?, (before, bench.now()?))?;
        // The one before it, of no length, was over at once.
        same("its token", &number, &taken.token)?;
    }
    same("a claim of what is held for ten years", &Vec::new(), &bench.claim(&bench.ask(&two, 1))?)?;
    let tenant = other();
    bench.put(&tenant, waiting(&tenant, 0..1))?;
    let odd = Span::millis(86_400_017);
    let before = bench.now()?;
    let taken = bench.claim_one("a claim", &Claim { lease: odd, ..bench.ask(&one, 1) })?;
    lasts("the lease of a claim", odd, until(&taken)?, (before, bench.now()?))
}

/// 17. *Through `take`*
pub(in super::super) fn a_claim_audits_in_each_tenants_lane(bench: &Bench<'_>) -> Checked {
    let tenants = [acme(), other(), id("third")];
    for (number, tenant) in (1..).zip(&tenants) {
        bench.put(tenant, waiting(tenant, 0..number))?;
    }
    let taken = bench.claim(&bench.ask(&id("w1"), 10))?;
    same("records of three tenants that one claim takes", &6, &taken.len())?;
    for (number, tenant) in (1..).zip(&tenants) {
        let lane = bench.lane(tenant, 0)?;
        same("the audit records of one tenant", &number, &lane.len())?;
        let ours = lane.iter().all(|record| record.tenant == *tenant);
        holds("whose they are", ours, "that tenant's", &lane)?;
    }
    Ok(())
}

/// 18. *Repeats*
pub(in super::super) fn a_nonce_is_its_workers_own(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..2))?;
    let first = bench.ask(&id("w1"), 1);
    let second = Claim { worker: id("w2"), ..first.clone() };
    let one = bench.claim_one("a claim", &first)?;
    let two = bench.claim_one("a claim of another worker under the same nonce", &second)?;
    holds("what it takes", one.key != two.key, "another record", &two.key)?;
    for (claim, taken) in [(&first, &one), (&second, &two)] {
        same("each again", taken, &bench.claim_one("a repeated claim", claim)?)?;
    }
    Ok(())
}

/// 19. *Bounded*
pub(in super::super) fn a_max_is_taken_within_its_bounds(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let queue = Queue { channel: channel("send_webhook"), ready_at: START };
    let record =
        |n: usize| Record { queue: Some(queue.clone()), ..plain(&tenant, Kind::Enforcement, &n.to_string()) };
    bench.put(&tenant, (0..MAX_CLAIM + 3).map(record).collect())?;
    let worker = id("w1");
    for (max, number) in [(0, 1), (usize::MAX, MAX_CLAIM), (MAX_CLAIM + 1, 2), (0, 0)] {
        let taken = bench.claim(&bench.ask(&worker, max))?;
        same(&format!("records that a claim of {max} takes"), &number, &taken.len())?;
    }
    Ok(())
}

/// 20. *Renewal*
pub(in super::super) fn a_renewal_counts_from_now(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..1))?;
    let taken = bench.claim_one("a claim", &bench.ask(&id("w1"), 1))?;
    for lease in [Span::MAX, Span::millis(90_001), Span::hours(2), Span::ZERO] {
        let before = bench.now()?;
        let ends = bench.renew(&taken.key, taken.token, lease)?;
        lasts("the lease after a renewal", lease, ends, (before, bench.now()?))?;
        same("the lease as it is stored", &ends, &until(&bench.get(&taken.key)?)?)?;
    }
    // So a worker that is asked to end can hand back what it holds.
    let next = bench.claim_one("a claim of what was handed back", &bench.ask(&id("w2"), 1))?;
    same("its token", &(taken.token + 1), &next.token)
}

/// 20. *Renewal*
pub(in super::super) fn what_has_lapsed_is_renewed_until_it_is_taken(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..2))?;
    let (one, two) = (id("w1"), id("w2"));
    let lapsed = |bench: &Bench<'_>| Claim { lease: Span::ZERO, ..bench.ask(&one, 2) };
    let held = bench.claim(&lapsed(bench))?;
    same("records whose lease is over at once", &2, &held.len())?;
    let [kept, lost]: [Key; 2] = [0, 1].map(|n| held[n].key.clone());
    bench.renew(&kept, 1, Span::hours(1))?;
    let next = bench.claim_one("a claim of what was not renewed", &bench.ask(&two, 2))?;
    same("what it takes", &lost, &next.key)?;
    let fenced = StoreError::Fenced(lost.clone());
    refused("a renewal of what another has taken", &fenced, &bench.renew(&lost, 1, Span::hours(1)))?;
    same("what another has taken", &next, &bench.get(&lost)?)
}

/// 20. *Renewal*
pub(in super::super) fn a_put_that_keeps_the_lease_undoes_no_renewal(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    bench.put(&tenant, waiting(&tenant, 0..1))?;
    let mut read = bench.claim_one("a claim", &bench.ask(&id("w1"), 1))?;
    // The second is a worker that hands back what it holds.
    for lease in [Span::hours(9), Span::ZERO] {
        let ends = bench.renew(&read.key, read.token, lease)?;
        bench.put(&tenant, vec![Record { body: body("written beside the work"), ..read.clone() }])?;
        let there = bench.get(&read.key)?;
        same("the end of the lease after a put of what was read before", &ends, &until(&there)?)?;
        read.version = there.version;
    }
    // Another worker's, another claim's, none, and one where there was none.
    let nonce = read.lease.as_ref().map_or(bench.fresh(&tenant).id, |lease| lease.nonce);
    let next = bench.fresh(&tenant).id;
    for (nonce, ends) in [(nonce, Some(at(7))), (next, Some(at(8))), (next, None), (next, Some(at(9)))] {
        let lease = ends.map(|until| Lease { worker: id("w2"), nonce, until });
        let put = Record { lease, ..read.clone() };
        bench.put(&tenant, vec![put.clone()])?;
        same("a record that is put with another lease", &stored(&put), &bench.get(&put.key)?)?;
        read.version += 1;
    }
    Ok(())
}
