//! What falls due at one instant, on one host or many: how long it takes until it is delivered, and
//! what that asks of the store.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tipstaff::{Actor, Engine, Job, Signal, Span};

use super::super::args::{Cli, LoadDue};
use super::super::{Failure, Output};
use super::counted::Counted;
use super::{Nothing, Told, channel, fresh, of_kind, rules};
use crate::store::block_on;

/// How many signals are submitted at once to prepare.
const AT_ONCE: usize = 500;
/// How long a host waits that found nothing to do.
const IDLE: Duration = Duration::from_millis(5);
/// How many connections all hosts together open to a server, which as a rule takes a hundred.
const CONNECTIONS: usize = 80;

/// Prepares what is due, then lets the hosts loose.
pub(super) fn run(cli: &Cli, load: &LoadDue) -> Result<Output, Failure> {
    let (tenant, now) = fresh("due");
    let engine = Engine::new(block_on(cli.db.open())?, Nothing, rules());
    block_on(engine.add_rules(&tenant, &rules(), &Actor::Host, now))?;
    for from in (0..load.due).step_by(AT_ONCE) {
        let to = load.due.min(from + AT_ONCE);
        let signals: Vec<Signal> = (from..to).map(|n| of_kind("later", &tenant, n, now).into()).collect();
        for decision in block_on(engine.submit_all(signals, now)) {
            decision?;
        }
    }
    let at = now.after(Span::mins(6));
    let (begin, latencies) = (Barrier::new(load.hosts), Arc::new(Mutex::new(Vec::new())));
    // What an earlier run of this left behind in the database is carried out as well, and is not counted.
    let (done, carried) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let begun: Mutex<Option<Instant>> = Mutex::new(None);
    let calls: Vec<BTreeMap<&'static str, u64>> = thread::scope(|scope| {
        let host = || -> Result<BTreeMap<&'static str, u64>, String> {
            // Each host has connections and a runtime of its own, as another process would.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| error.to_string())?;
            let share = (CONNECTIONS / load.hosts.max(1)).clamp(1, 8);
            let store = runtime.block_on(cli.db.open_narrow(share));
            // Also where it cannot be opened: the others wait for this host here.
            begin.wait();
            let store = store.map_err(|error| error.to_string())?;
            let start =
                *begun.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
            let (latencies, tenant) = (Arc::clone(&latencies), tenant.clone());
            let (ours, carried) = (Arc::clone(&done), Arc::clone(&carried));
            let told = move |job: &Job| {
                carried.fetch_add(1, Ordering::SeqCst);
                if job.tenant == tenant {
                    ours.fetch_add(1, Ordering::SeqCst);
                    latencies.lock().unwrap_or_else(PoisonError::into_inner).push(start.elapsed());
                }
            };
            let delivery = Told(channel("load_later"), told);
            let counted = Counted::new(store);
            let engine = Engine::new(counted.clone(), delivery, rules()).claim_up_to(load.batch);
            while done.load(Ordering::SeqCst) < load.due {
                let report = runtime.block_on(engine.run_due(at)).map_err(|error| {
                    // What this host holds comes to no end: the others need not wait for it.
                    done.store(load.due, Ordering::SeqCst);
                    error.to_string()
                })?;
                if report.succeeded == 0 && !report.more {
                    thread::sleep(IDLE);
                }
            }
            Ok(counted.take_calls())
        };
        let hosts: Vec<_> = (0..load.hosts).map(|_| scope.spawn(host)).collect();
        hosts
            .into_iter()
            .map(|host| host.join().unwrap_or_else(|_| Err("a host broke down".into())))
            .collect::<Result<_, String>>()
    })?;
    let mut latencies = std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner));
    latencies.sort();
    if latencies.is_empty() {
        return Err("nothing was to fall due; accepted: 1 or more".into());
    }
    let mut total = BTreeMap::<&str, u64>::new();
    for (call, n) in calls.into_iter().flatten() {
        *total.entry(call).or_default() += n;
    }
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    let (p50, p99, last) = (at(0.5), at(0.99), at(1.0));
    let all: u64 = total.values().sum();
    let each = all as f64 / carried.load(Ordering::SeqCst).max(1) as f64;
    if cli.json {
        return Ok(Output::json(&json!({
            "due": load.due, "hosts": load.hosts, "batch": load.batch, "delivered": latencies.len(),
            "p50_ms": p50.as_secs_f64() * 1e3, "p99_ms": p99.as_secs_f64() * 1e3,
            "all_ms": last.as_secs_f64() * 1e3, "calls": total, "calls_each": each,
        })));
    }
    Ok(Output::ok(format!(
        "{} due at one instant on {} host(s), claims of up to {}: {} deliveries; due to delivered {p50:.1?} for \
         half, {p99:.1?} for 99 of 100, {last:.1?} for all\ncalls of the store: {total:?}, {each:.2} for each\n",
        load.due,
        load.hosts,
        load.batch,
        latencies.len()
    )))
}
