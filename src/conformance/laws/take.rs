//! Law 17: a claim writes what `Claim::take` made of a record, and nothing else.

use super::super::bench::Bench;
use super::super::broken::{Broken, Checked, holds, same};
use super::super::props::{
    acme, action, as_sealed, at, attempts, body, channel, control, draft, id, notice, other, record, stored,
    verified, waiting,
};
use crate::enforcement::{Enforcement, Holder, State};
use crate::id::TenantId;
use crate::state::{Control, Stop};
use crate::store::{Commit, Queue, Record, StoreError, decode};
use crate::time::Time;

/// 17. *Through `take`*
pub(in super::super) fn a_claim_writes_what_take_made(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let records = [record(&action(&tenant, "one")), record(&notice(&tenant, "two"))];
    let before = draft(&tenant, 0, "ana", "before");
    bench.apply(
        "a commit of two records",
        &Commit { put: records.to_vec(), audit: vec![before], ..bench.fresh(&tenant) },
    )?;
    for _ in &records {
        let head = bench.head(&tenant, 0)?;
        let claim = bench.ask(&id("w1"), 1);
        let taken = bench.claim_one("a claim", &claim)?;
        same("a taken record as it is stored", &taken, &bench.get(&taken.key)?)?;
        let waiting = records.iter().find(|waiting| waiting.key == taken.key);
        let (Some(waiting), Some(started)) = (waiting.map(stored), started(&taken)?) else {
            return Err(Broken::new(
                "a claim",
                "a record that waited, with an attempt",
                format!("{taken:?}"),
            ));
        };
        let Some(made) = claim.take(&waiting, None, started) else {
            return Err(Broken::new("a claim", "a record that `take` takes", format!("{taken:?}")));
        };
        same("a taken record", &stored(&made.record), &taken)?;
        let lane = bench.lane(&tenant, 0)?.into_iter().filter(|record| record.seq > head.seq);
        as_sealed("the audit records of a claim", head, &made.audit, &lane.collect::<Vec<_>>())?;
    }
    verified("the lane after the claims", &bench.lane(&tenant, 0)?).map(drop)
}

/// When the last attempt of a record began.
fn started(record: &Record) -> Result<Option<Time>, Broken> {
    Ok(decode::<Enforcement>(record)?.body.history.last().map(|attempt| attempt.started_at))
}

/// 17. *Through `take`*
pub(in super::super) fn what_people_stopped_stays_as_it_is(bench: &Bench<'_>) -> Checked {
    type Stops = fn(&mut Control, Stop);
    let stops: [(&str, Stops); 3] = [
        ("everything", |control, stop| control.tenant = Some(stop)),
        ("a type", |control, stop| control.types.extend([(channel("send_webhook"), stop)])),
        ("a rule", |control, stop| control.rules.extend([(id("r1"), stop)])),
    ];
    let (worker, free) = (id("w1"), other());
    for (what, stop) in stops {
        let tenant = id(what);
        let holder =
            Holder { rule: id("r1"), revision: 1, key: id("k1"), hold: None, rung: None, recheck: false };
        let held = record(&Enforcement { holders: vec![holder], ..action(&tenant, "held") });
        let told = record(&notice(&tenant, "told"));
        let stopped = control(&tenant, stop);
        let ours = record(&action(&free, what));
        bench.put(&tenant, vec![held.clone(), told.clone(), stopped.clone()])?;
        bench.put(&free, vec![ours.clone()])?;
        let place = format!("a claim while {what} is stopped");
        let mut taken = bench.claim(&bench.ask(&worker, 10))?;
        taken.sort_by(|a, b| a.key.cmp(&b.key));
        let mut expected = [&told.key, &ours.key];
        expected.sort();
        same(
            &place,
            expected.as_slice(),
            taken.iter().map(|record| &record.key).collect::<Vec<_>>().as_slice(),
        )?;
        same("what is stopped", &stored(&held), &bench.get(&held.key)?)?;
        same("the audit lane: only of the notice", &1, &bench.lane(&tenant, 0)?.len())?;
        let none = Record { body: control(&tenant, |_, _| ()).body, ..stored(&stopped) };
        bench.put(&tenant, vec![none])?;
        let freed = bench.claim_one("a claim after the stop was lifted", &bench.ask(&worker, 10))?;
        same("what was stopped", &(&held.key, 1), &(&freed.key, attempts(&freed)?))?;
    }
    Ok(())
}

/// 17. *Through `take`*
pub(in super::super) fn what_is_declined_takes_no_place(bench: &Bench<'_>) -> Checked {
    // What is stopped comes first by every order: tenant, time, id.
    let (stopped, free) = (id("a"), id("b"));
    let switch = control(&stopped, |control, stop| control.tenant = Some(stop));
    let mut records = waiting(&stopped, 0..40);
    records.push(switch);
    bench.put(&stopped, records)?;
    let later = State::Queued { since: at(60), start_by: None };
    let free =
        ["one", "two"].map(|name| record(&Enforcement { state: later.clone(), ..action(&free, name) }));
    bench.put_all(&free)?;
    let taken = bench.claim(&bench.ask(&id("w1"), 2))?;
    let tenants: Vec<_> = taken.iter().map(|record| record.key.tenant.as_str()).collect();
    same("a claim of two, with forty stopped before them", &vec!["b", "b"], &tenants)
}

/// 17. *Through `take`*
pub(in super::super) fn what_should_have_started_takes_no_place(bench: &Bench<'_>) -> Checked {
    let queued = |tenant: &TenantId, name: &str, since: Time, start_by: Option<Time>| {
        let state = State::Queued { since, start_by };
        record(&Enforcement { state, ..action(tenant, name) })
    };
    // A switch that stops nothing of these changes nothing.
    let (plain, switched) = (acme(), other());
    let switch = control(&switched, |control, stop| control.rules.extend([(id("r1"), stop)]));
    for (tenant, worker, switch) in [(&plain, "w1", None), (&switched, "w2", Some(switch))] {
        let late = (0..40).map(|n| queued(tenant, &n.to_string(), at(n), Some(at(60))));
        let mut records: Vec<Record> = late.chain(switch).collect();
        let free = [("in time", Some(Time::MAX)), ("at any time", None)];
        let free = free.map(|(name, start_by)| queued(tenant, name, at(50), start_by));
        records.extend(free.clone());
        bench.put(tenant, records.clone())?;
        let mut taken = bench.claim(&bench.ask(&id(worker), 2))?;
        taken.sort_by(|a, b| a.key.cmp(&b.key));
        let mut expected = free.each_ref().map(|record| &record.key);
        expected.sort();
        same(
            "a claim of two, with forty before them that are too late",
            expected.as_slice(),
            taken.iter().map(|record| &record.key).collect::<Vec<_>>().as_slice(),
        )?;
        same("what is too late", &stored(&records[0]), &bench.get(&records[0].key)?)?;
    }
    Ok(())
}

/// 17. *Through `take`*
pub(in super::super) fn what_makes_no_sense_holds_up_nothing(bench: &Bench<'_>) -> Checked {
    let tenant = acme();
    let mut records = waiting(&tenant, 0..4);
    // It waits in the queue, but is nothing that could be carried out.
    let queue = Some(Queue { channel: channel("send_webhook"), ready_at: at(0) });
    let last = records.len() - 1;
    records[last] = Record { queue, body: body("no action"), ..records[last].clone() };
    bench.put(&tenant, records.clone())?;
    let taken = bench.claim(&bench.ask(&id("w1"), 10))?;
    same("how many a claim takes, one of them without sense", &records.len(), &taken.len())?;
    let there = bench.get(&records[last].key)?;
    same("the body without sense", &records[last].body, &there.body)?;
    holds("its lease", there.lease.is_some(), "one", &there.lease)?;
    same("the audit records of the claim", &records.len(), &bench.lane(&tenant, 0)?.len())
}

/// 17. *Through `take`*
pub(in super::super) fn a_damaged_lane_holds_up_no_other(bench: &Bench<'_>) -> Checked {
    let tenants: [TenantId; 3] = ["t1", "t2", "t3"].map(id);
    for tenant in &tenants {
        let audit = vec![draft(tenant, 0, "ana", "before")];
        let commit = Commit { put: waiting(tenant, 0..2), audit, ..bench.fresh(tenant) };
        bench.apply("a commit of two records", &commit)?;
    }
    // Whose turn it is first.
    if !(bench.damage)(&tenants[0]) {
        return Ok(());
    }
    let worker = id("w1");
    let first = bench.claim_one("a claim of one, beside a damaged lane", &bench.ask(&worker, 1))?;
    same("whose turn it is, though the first one's lane is damaged", &tenants[1], &first.key.tenant)?;
    let mut rest = bench.claim(&bench.ask(&worker, 10))?;
    rest.push(first);
    rest.sort_by(|a, b| a.key.cmp(&b.key));
    let taken: Vec<&TenantId> = rest.iter().map(|record| &record.key.tenant).collect();
    let [_, two, three] = &tenants;
    same("whose records are taken", &vec![two, two, three, three], &taken)?;
    let answer = bench.calls.claim(&bench.ask(&worker, 1)).answer;
    let told = matches!(answer, Err(StoreError::Corrupt { .. }));
    holds("a claim of nothing but what is damaged", told, "the refusal `Corrupt`", &answer)?;
    let left = waiting(&tenants[0], 0..2);
    left.iter().try_for_each(|record| same("what waits there", &stored(record), &bench.get(&record.key)?))
}
