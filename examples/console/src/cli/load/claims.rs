//! What a claim costs, however many records are open.

use std::time::{Duration, Instant};

use comfy_table::Cell;
use serde_json::json;
use tipstaff::{
    Actor, Claim, Commit, CommitId, EnforcementId, Engine, Filter, Key, Kind, Record, Span, Store as _, Time,
};

use super::super::args::{Cli, LoadClaims};
use super::super::{Failure, Output, show};
use super::{Nothing, channel, fresh, rules, signal};
use crate::store::block_on;

/// How many records one transaction adds.
const AT_ONCE: usize = 1_000;
/// How many claims are measured at most at each number of open records, which take a tenth of them at
/// most.
const CLAIMS: usize = 40;

/// Adds open records up to each number, and measures claims of one and of a hundred there.
pub(super) fn run(cli: &Cli, load: &LoadClaims) -> Result<Output, Failure> {
    let (tenant, now) = fresh("claims");
    let engine = Engine::new(block_on(cli.db.open())?, Nothing, rules());
    block_on(engine.add_rules(&tenant, &rules(), &Actor::Host, now))?;
    block_on(engine.submit(signal(&tenant, 0, now), now))?;
    let made = block_on(engine.enforcements(Filter::new(&tenant)))?.rows;
    let first = made.first().ok_or("the signal led to nothing")?;
    let store = engine.store();
    let key = Key::new(&tenant, Kind::Enforcement, first.id.to_string());
    let like = block_on(store.load(&[key]))?.pop().flatten().ok_or("the enforcement is not there")?;
    let mut open = 1;
    let mut rows = Vec::new();
    for wanted in &load.open {
        while open < *wanted {
            let to = (*wanted).min(open + AT_ONCE);
            block_on(store.commit(&Commit {
                id: commit_id(now, 0, open)?,
                tenant: tenant.clone(),
                expect: Vec::new(),
                fence: Vec::new(),
                put: (open..to).map(|n| copy(&like, first.id, n)).collect(),
                audit: Vec::new(),
            }))?;
            open = to;
        }
        let mut medians = Vec::new();
        for max in [1, 100] {
            let mut times: Vec<Duration> = Vec::new();
            for n in 0..CLAIMS.min(open / (10 * max)).max(1) {
                let claim = Claim {
                    worker: "load".parse()?,
                    nonce: commit_id(now, max, open + n)?,
                    channels: Some(channel("load_now")),
                    max,
                    until: now,
                    lease: Span::hours(1),
                    after: None,
                };
                let begun = Instant::now();
                let taken = block_on(store.claim(&claim))?;
                times.push(begun.elapsed());
                if taken.len() != max {
                    return Err(format!("a claim of {max} took {}", taken.len()).into());
                }
            }
            times.sort();
            medians.push(times[times.len() / 2]);
        }
        rows.push((open, medians[0], medians[1]));
    }
    if cli.json {
        let rows = rows.iter().map(|(open, one, hundred)| {
            json!({ "open": open, "claim_of_1_ms": one.as_secs_f64() * 1e3, "claim_of_100_ms": hundred.as_secs_f64() * 1e3 })
        });
        return Ok(Output::json(&json!(rows.collect::<Vec<_>>())));
    }
    let mut table = show::table(&["open records", "a claim of 1", "a claim of 100"]);
    for (open, one, hundred) in rows {
        table.add_row(vec![
            Cell::new(open),
            Cell::new(format!("{one:.2?}")),
            Cell::new(format!("{hundred:.2?}")),
        ]);
    }
    Ok(Output::ok(format!("{table}\n")))
}

/// An id that no other commit or claim has, whenever it was made.
fn commit_id(now: Time, what: usize, n: usize) -> Result<CommitId, Failure> {
    Ok(format!("cmt_{:016x}{what:08x}{n:08x}", now.micros()).parse()?)
}

/// The same enforcement under another id.
fn copy(like: &Record, id: EnforcementId, n: usize) -> Record {
    let fresh = format!("enf_{:032x}", u128::from_be_bytes(*id.bytes()).wrapping_add(n as u128));
    Record {
        body: like.body.replace(&id.to_string(), &fresh),
        key: Key { id: fresh, ..like.key.clone() },
        version: 0,
        ..like.clone()
    }
}
