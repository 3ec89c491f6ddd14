//! Engines side by side: in each round every engine works for a short span, one after the other, so
//! that what else happens on the machine meets all of them; the best span of each counts.

use std::alloc::System;
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use serde_json::{Value, json};
use stats_alloc::{Region, StatsAlloc};
use tipstaff::{Matcher, Pattern, RuleIx};

use crate::engines::Engine;
use crate::workload::Workload;

/// How many events every engine is asked before any is timed, for comparison: fewer among many
/// rules, where the interpreter takes long.
fn compared(rules: usize) -> usize {
    if rules > 1_000 { 20 } else { 200 }
}

/// The shortest span, in seconds, and the least rounds.
const SPAN: f64 = 0.004;
/// How long an engine works before each span, uncounted, in seconds.
const WARM: f64 = 0.02;
const ROUNDS: usize = 3;

/// How many events are timed one by one.
const ONE_BY_ONE: usize = 4_000;

/// The time that this thread has worked: what others do on the machine does not count.
fn worked() -> Duration {
    ThreadTime::now().as_duration()
}

pub struct Measured {
    pub name: &'static str,
    /// How many rules each of the compared events matched.
    matches: Vec<usize>,
    engine: Engine,
    build_ms: f64,
    /// What it takes beside what it was built from, and with that.
    bytes: i64,
    all_bytes: i64,
    /// Events per second of work.
    pub best: f64,
    done: usize,
    /// The 99th of 100 events by their time, in nanoseconds, and the middle one.
    p99: f64,
    p50: f64,
    /// Both threads together.
    two_threads: Option<f64>,
}

impl Measured {
    pub fn matches(&self) -> f64 {
        self.matches.iter().sum::<usize>() as f64 / self.matches.len() as f64
    }

    pub fn line(&self, workload: &Workload) -> Value {
        json!({
            "engine": self.name,
            "rules": workload.patterns.len(),
            "events_per_s": self.best.round(),
            "events_per_s_2_threads": self.two_threads.map(f64::round),
            "p50_ns": self.p50,
            "p99_ns": self.p99,
            "build_ms": (self.build_ms * 10.0).round() / 10.0,
            "bytes_per_rule": self.bytes / workload.patterns.len().max(1) as i64,
            "bytes_per_rule_with_patterns": self.all_bytes / workload.patterns.len().max(1) as i64,
            "matches": self.matches(),
        })
    }
}

/// Builds the engines, compares what they find, and times them for about as many seconds each (with
/// none, that is all). What an engine cannot do is said on the error stream.
pub fn measure(
    names: &[&'static str],
    workload: &Workload,
    seconds: f64,
    allocator: &'static StatsAlloc<System>,
) -> Result<Vec<Measured>, String> {
    let mut all = Vec::new();
    for name in names {
        match build(name, workload, allocator) {
            Ok(measured) => all.extend(measured),
            Err(fault) => eprintln!("{name}, {} rules: {fault}", workload.patterns.len()),
        }
    }
    compare(&all)?;
    if seconds <= 0.0 {
        return Ok(all);
    }
    // A whole span of the slowest takes as long as it takes; all have the same number of rounds.
    let rounds = ((seconds / SPAN) as usize).max(ROUNDS);
    let begun = Instant::now();
    for round in 0..rounds {
        for measured in &mut all {
            span(measured, &workload.events)?;
        }
        if round >= ROUNDS && begun.elapsed().as_secs_f64() > 4.0 * seconds * all.len() as f64 {
            break;
        }
    }
    for measured in &mut all {
        one_by_one(measured, &workload.events)?;
        measured.two_threads = two_threads(measured, &workload.events);
    }
    Ok(all)
}

fn build(
    name: &'static str,
    workload: &Workload,
    allocator: &'static StatsAlloc<System>,
) -> Result<Option<Measured>, String> {
    let held = |region: &Region<'_, System>| {
        let stats = region.change();
        stats.bytes_allocated as i64 - stats.bytes_deallocated as i64
    };
    let everything = Region::new(allocator);
    let Some(prepared) = Engine::prepare(name, workload)? else { return Ok(None) };
    let region = Region::new(allocator);
    let begun = worked();
    let mut engine = Engine::build(prepared)?;
    let build_ms = (worked() - begun).as_secs_f64() * 1e3;
    let (bytes, all_bytes) = (held(&region), held(&everything));
    let events = workload.events.iter().take(compared(workload.patterns.len()));
    let matches = events.map(|event| engine.count(event)).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(Measured {
        name,
        matches,
        engine,
        build_ms,
        bytes,
        all_bytes,
        best: 0.0,
        done: 0,
        p99: 0.0,
        p50: 0.0,
        two_threads: None,
    }))
}

/// Whether all found the same number of rules for every event.
fn compare(all: &[Measured]) -> Result<(), String> {
    let mut engines = all.iter().filter(|measured| measured.name != "ignore");
    let Some(first) = engines.next() else { return Ok(()) };
    let mut faults = String::new();
    for other in engines {
        let differing = first.matches.iter().zip(&other.matches).filter(|(a, b)| a != b).count();
        if differing > 0 {
            let of = first.matches.len();
            faults += &format!("{} and {} differ on {differing} of {of} events; ", first.name, other.name);
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// One span. What the engine before has left in the caches is none of this one's: so it
/// works for a while before it is timed.
fn span(measured: &mut Measured, events: &[String]) -> Result<(), String> {
    work(measured, events, WARM)?;
    measured.best = measured.best.max(work(measured, events, SPAN)?);
    Ok(())
}

/// Works for so many seconds at least; gives the events a second.
fn work(measured: &mut Measured, events: &[String], seconds: f64) -> Result<f64, String> {
    let batch = ((measured.best * SPAN / 4.0) as usize).clamp(1, 4_096);
    let (begun, mut asked) = (worked(), 0_usize);
    loop {
        for _ in 0..batch {
            std::hint::black_box(measured.engine.count(&events[measured.done % events.len()])?);
            measured.done += 1;
        }
        asked += batch;
        let time = (worked() - begun).as_secs_f64();
        if time > seconds {
            return Ok(asked as f64 / time);
        }
    }
}

fn one_by_one(measured: &mut Measured, events: &[String]) -> Result<(), String> {
    let (mut best_p99, mut best_p50) = (f64::MAX, f64::MAX);
    let count = ONE_BY_ONE.min((measured.best / 20.0) as usize).max(20);
    for _ in 0..3 {
        let mut times = Vec::with_capacity(count);
        for event in events.iter().cycle().take(count) {
            let begun = Instant::now();
            std::hint::black_box(measured.engine.count(event)?);
            times.push(begun.elapsed().as_nanos() as f64);
        }
        times.sort_by(f64::total_cmp);
        best_p99 = best_p99.min(times[count * 99 / 100]);
        best_p50 = best_p50.min(times[count / 2]);
    }
    (measured.p99, measured.p50) = (best_p99, best_p50);
    Ok(())
}

/// The middle of several changes of one rule, in milliseconds of work: replaced, removed, added.
pub fn updates(workload: &Workload) -> Result<[f64; 3], String> {
    const TIMES: usize = 15;
    let patterns = workload.patterns.iter().map(|text| text.parse()).collect::<Result<Vec<Pattern>, _>>();
    let patterns = patterns.map_err(|e| e.to_string())?;
    let matcher = Matcher::new(patterns.iter().map(|pattern| ([""; 0], pattern.clone())));
    let number = |i: usize| RuleIx::new(i).ok_or("too many rules");
    let middle = |change: &dyn Fn(usize) -> Result<Matcher, &'static str>| {
        let mut times = Vec::new();
        for i in 0..TIMES {
            let begun = worked();
            let changed = change(i * 6_151 % patterns.len())?;
            times.push((worked() - begun).as_secs_f64() * 1e3);
            drop(changed);
        }
        times.sort_by(f64::total_cmp);
        Ok::<f64, &'static str>(times[TIMES / 2])
    };
    let other = |i: usize| patterns[(i + 17) % patterns.len()].clone();
    Ok([
        middle(&|i| Ok(matcher.with(number(i)?, &[], other(i))))?,
        middle(&|i| Ok(matcher.without(number(i)?)))?,
        middle(&|i| Ok(matcher.with(number(matcher.len())?, &[], other(i))))?,
    ])
}

fn two_threads(measured: &Measured, events: &[String]) -> Option<f64> {
    let work = |mut engine: Engine| {
        let mut best = 0.0_f64;
        for _ in 0..40 {
            let begun = worked();
            for event in events {
                std::hint::black_box(engine.count(event)).ok()?;
            }
            best = best.max(events.len() as f64 / (worked() - begun).as_secs_f64());
        }
        Some(best)
    };
    let engines = [measured.engine.beside()?, measured.engine.beside()?];
    std::thread::scope(|scope| {
        let threads = engines.map(|engine| scope.spawn(|| work(engine)));
        threads.into_iter().map(|thread| thread.join().ok()?).sum()
    })
}
