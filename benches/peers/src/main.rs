//! `cargo run --release -- --rules 100000 --types 256 [--engine NAME] [--seconds 1]`: one JSON line
//! an engine, after the engines' match counts on the same events have been compared.
//! `-- --tables` prints the tables of the documentation instead.

mod engines;
mod families;
mod measure;
mod table;
mod workload;

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

use engines::NAMES;
use measure::{Measured, measure, updates};
use workload::Workload;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

struct Options {
    rules: usize,
    types: usize,
    engine: Option<String>,
    seconds: f64,
    tables: bool,
}

const ACCEPTED: &str = "--rules N, --types N, --engine NAME, --seconds S, --tables";

fn options() -> Result<Options, String> {
    let mut options = Options { rules: 1_000, types: 16, engine: None, seconds: 1.0, tables: false };
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if name == "--tables" {
            options.tables = true;
            continue;
        }
        let value = args
            .next()
            .ok_or_else(|| format!("`{name}`: no such option, or no value; accepted: {ACCEPTED}"))?;
        let number = || value.parse::<usize>().map_err(|e| format!("`{name} {value}`: {e}"));
        match name.as_str() {
            "--rules" => options.rules = number()?.max(1),
            "--types" => options.types = number()?.max(1),
            "--engine" if NAMES.contains(&value.as_str()) => options.engine = Some(value),
            "--engine" => return Err(format!("no engine `{value}`; accepted: {}", NAMES.join(", "))),
            "--seconds" => options.seconds = value.parse().map_err(|e| format!("`{name} {value}`: {e}"))?,
            _ => return Err(format!("unknown option `{name}`; accepted: {ACCEPTED}")),
        }
    }
    Ok(options)
}

/// The engines that are asked for and that this build has.
fn names(options: &Options) -> Vec<&'static str> {
    let left_out: [(&str, bool); 2] =
        [("quamina", cfg!(feature = "quamina")), ("zen", cfg!(feature = "zen"))];
    let wanted = |name: &&str| options.engine.as_deref().is_none_or(|engine| engine == *name);
    let built = |name: &&str| left_out.iter().all(|(other, built)| other != name || *built);
    NAMES.iter().copied().filter(wanted).filter(built).collect()
}

fn run(options: &Options) -> Result<(), String> {
    let names = names(options);
    if names.is_empty() {
        return Err("that engine is left out of this build".to_owned());
    }
    if options.tables {
        return tables(&names, options.seconds);
    }
    let workload = workload::scale(options.rules, options.types, names.contains(&"zen"));
    for measured in measure(&names, &workload, options.seconds, ALLOCATOR)? {
        let mut line = measured.line(&workload);
        line["types"] = options.types.into();
        println!("{line}");
    }
    Ok(())
}

/// Thousands of events a second, and whether an engine took part at all.
fn row(title: &str, names: &[&'static str], all: &[Measured]) {
    let rate = |name: &&str| match all.iter().find(|measured| measured.name == *name) {
        Some(measured) if measured.best >= 100_000.0 => format!(" {:.2}M |", measured.best / 1e6),
        Some(measured) if measured.best >= 1_000.0 => format!(" {:.1}k |", measured.best / 1e3),
        Some(measured) => format!(" {:.0} |", measured.best),
        None => " – |".to_owned(),
    };
    let matches = all.first().map_or(0.0, Measured::matches);
    println!("| {title} |{} {matches:.1} |", names.iter().map(rate).collect::<String>());
}

fn head(title: &str, names: &[&'static str]) {
    let columns: String = names.iter().map(|name| format!(" {name} |")).collect();
    println!("\n| {title} |{columns} matches |\n|---|{}---|", "---|".repeat(names.len()));
}

fn tables(names: &[&'static str], seconds: f64) -> Result<(), String> {
    // Engines that would take minutes at a size stay out of it.
    let feasible =
        |most: usize, rules: usize| move |name: &&'static str| rules <= most || !matches!(*name, "quamina");
    let mut lines = Vec::new();
    head("rules / types", names);
    for (rules, types) in
        [(10, 2), (100, 4), (1_000, 16), (10_000, 64), (100_000, 256), (1_000, 1), (10_000, 1), (100_000, 1)]
    {
        let workload = workload::scale(rules, types, names.contains(&"zen"));
        let names_here: Vec<_> = names.iter().copied().filter(feasible(1_000, rules)).collect();
        let all = measure(&names_here, &workload, seconds, ALLOCATOR)?;
        row(&format!("{rules} / {types}"), names, &all);
        lines.extend(all.iter().filter(|measured| measured.name == "ours").map(|measured| {
            let mut line = measured.line(&workload);
            line["types"] = types.into();
            line
        }));
    }
    let others = |sets: Vec<(&'static str, Workload)>, title: &str| {
        let names: Vec<_> = names.iter().copied().filter(|name| *name != "zen").collect();
        head(title, &names);
        for (name, workload) in sets {
            row(name, &names, &measure(&names, &workload, seconds, ALLOCATOR)?);
        }
        Ok::<(), String>(())
    };
    others(families::families(), "5 rules, 797 bytes")?;
    others(families::stress(), "1,000 rules")?;
    println!("\n| one rule of 100,000, ms | replaced | removed | added |\n|---|---|---|---|");
    for types in [256, 1] {
        let [replaced, removed, added] = updates(&workload::scale(100_000, types, false))?;
        println!("| {types} types | {replaced:.1} | {removed:.1} | {added:.1} |");
    }
    println!();
    lines.iter().for_each(|line| println!("{line}"));
    Ok(())
}

fn main() -> ExitCode {
    // A peer's panic is reported where it is caught.
    std::panic::set_hook(Box::new(|_| {}));
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("{fault}");
            ExitCode::FAILURE
        }
    }
}
