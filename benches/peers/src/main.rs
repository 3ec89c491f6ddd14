//! `cargo run --release -- --rules 100000 --types 256 [--engine NAME] [--seconds 2]`: one JSON
//! line an engine, after the engines' match counts on the same events have been compared.

mod engines;
mod workload;

use std::alloc::System;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use engines::{Engine, NAMES};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Options {
    rules: usize,
    types: usize,
    engine: Option<String>,
    seconds: f64,
}

fn options() -> Result<Options, String> {
    let mut options = Options { rules: 1_000, types: 16, engine: None, seconds: 2.0 };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("`{name}` needs a value"))?;
        let number = || value.parse::<usize>().map_err(|e| format!("`{name} {value}`: {e}"));
        match name.as_str() {
            "--rules" => options.rules = number()?,
            "--types" => options.types = number()?,
            "--engine" => options.engine = Some(value),
            "--seconds" => options.seconds = value.parse().map_err(|e| format!("`{name} {value}`: {e}"))?,
            _ => {
                return Err(format!("unknown option `{name}`; accepted: --rules, --types, --engine, --seconds"));
            }
        }
    }
    Ok(options)
}

/// How many events every engine is asked, for comparison.
const COMPARED: usize = 200;

/// How many different events there are.
const EVENTS: usize = 4_096;

/// The time that this thread has worked: what others do on the machine does not count.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanos.unwrap_or_default())
}

struct Measured {
    name: &'static str,
    matches: Vec<usize>,
    line: String,
}

fn measure(name: &'static str, options: &Options) -> Result<Measured, String> {
    let rules = workload::rules(options.rules, options.types);
    let events = workload::events(EVENTS, options.types);
    let prepared = Engine::prepare(name, &rules)?;
    let region = Region::new(ALLOCATOR);
    let begun = Instant::now();
    let mut engine = Engine::build(prepared)?;
    let build = begun.elapsed();
    let stats = region.change();
    let bytes = stats.bytes_allocated as i64 - stats.bytes_deallocated as i64;
    let matches = events.iter().take(COMPARED).map(|event| engine.count(event)).collect::<Result<Vec<_>, _>>()?;
    // The best of several spans: this machine may be shared.
    let span = Duration::from_secs_f64(options.seconds / 8.0);
    let (mut best, mut done) = (0.0_f64, 0);
    for _ in 0..8 {
        let (begun, worked, mut asked) = (Instant::now(), cpu(), 0_usize);
        while begun.elapsed() < span {
            let batch = if best > 100_000.0 { 512 } else { 4 };
            for _ in 0..batch {
                std::hint::black_box(engine.count(&events[done % EVENTS])?);
                done += 1;
            }
            asked += batch;
        }
        best = best.max(asked as f64 / (cpu() - worked).as_secs_f64());
    }
    let line = serde_json::json!({
        "engine": name,
        "rules": options.rules,
        "types": options.types,
        "events_per_s": best.round(),
        "build_ms": (build.as_secs_f64() * 1e4).round() / 10.0,
        "bytes_per_rule": bytes / options.rules.max(1) as i64,
        "matches": matches.iter().sum::<usize>() as f64 / matches.len() as f64,
    });
    Ok(Measured { name, matches, line: line.to_string() })
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(fault) => {
            eprintln!("{fault}");
            return ExitCode::FAILURE;
        }
    };
    let names: Vec<_> = NAMES.iter().filter(|name| options.engine.as_deref().is_none_or(|e| e == **name)).collect();
    let mut all: Vec<Measured> = Vec::new();
    for name in names {
        match measure(name, &options) {
            Ok(measured) => {
                println!("{}", measured.line);
                all.push(measured);
            }
            Err(fault) => eprintln!("{name}: {fault}"),
        }
    }
    let Some(first) = all.first() else {
        eprintln!("no such engine; accepted: {}", NAMES.join(", "));
        return ExitCode::FAILURE;
    };
    let mut agree = true;
    for other in all[1..].iter().filter(|other| other.name != "ignore") {
        let differing = first.matches.iter().zip(&other.matches).filter(|(a, b)| a != b).count();
        if differing > 0 {
            eprintln!("{} and {} differ on {differing} of {COMPARED} events", first.name, other.name);
            agree = false;
        }
    }
    if agree { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
