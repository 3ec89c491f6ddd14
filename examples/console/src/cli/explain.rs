//! Why a rule acts on a signal, or why not.

use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;

use serde_json::json;
use tipstaff::{RuleId, Signal, Why};

use super::args::{Cli, Explain};
use super::host::{Host, wait};
use super::replay::{layout, people};
use super::{Failure, Output};
use crate::input::{LineFault, Reader};

/// Explains one line of a file by the rules that are named, or by all. Nothing is written.
pub(super) fn run(cli: &Cli, explain: &Explain) -> Result<Output, Failure> {
    let host = Host::open(cli)?;
    let signal = signal(cli, explain)?;
    // As in a replay, a signal of the past is judged at its own time.
    let now = cli.now.unwrap_or_else(|| signal.at());
    let rules: Vec<RuleId> = if explain.rule.is_empty() {
        let all = wait(host.engine.rules(&host.tenant, now))?;
        all.rules().map(|rule| rule.rule.id.clone()).collect()
    } else {
        explain.rule.clone()
    };
    let whys: Vec<Why> = rules
        .iter()
        .map(|rule| wait(host.engine.explain(rule, signal.clone(), now)))
        .collect::<Result<_, _>>()?;
    if host.json {
        return Ok(Output::json(&json!(whys)));
    }
    let told: Vec<String> = whys.iter().map(ToString::to_string).collect();
    Ok(Output::ok(told.join("\n\n") + "\n"))
}

fn signal(cli: &Cli, explain: &Explain) -> Result<Signal, Failure> {
    let shown = explain.event.display();
    let input = File::open(&explain.event).map_err(|error| format!("{shown}: {error}"))?;
    let layout = layout(explain.map.as_deref())?;
    let people = Arc::new(people(explain.people.as_deref())?);
    let mut lines = Reader::new(BufReader::new(input), cli.tenant.clone(), layout).people(people);
    while let Some(line) = lines.next() {
        // After a stream that failed, nothing comes that could be counted.
        let unread = matches!(&line, Err(bad) if matches!(bad.fault, LineFault::Io(_)));
        if unread || lines.line() == explain.line {
            return line.map_err(|bad| format!("{shown}: {bad}").into());
        }
        if lines.line() > explain.line {
            break;
        }
    }
    let empty = if lines.line() < explain.line { "" } else { " but an empty one" };
    Err(format!("{shown}: no line {}{empty}", explain.line).into())
}
