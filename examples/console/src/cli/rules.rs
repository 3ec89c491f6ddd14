//! The rules of the tenant.

use std::path::Path;

use comfy_table::Cell;
use serde_json::{Value, json};
use tipstaff::{Actor, ActorId, RuleId, RuleSet, RuleStats};

use super::args::{Cli, Rest, Rules};
use super::host::{Host, read, wait};
use super::{Failure, Output, show};

/// Checks, adds, lists, activates, deactivates, pauses, resumes.
pub(super) fn run(cli: &Cli, command: &Rules) -> Result<Output, Failure> {
    match command {
        Rules::Check { file } => check(cli, file),
        Rules::Add { file } => add(cli, file),
        Rules::List => list(&Host::open(cli)?),
        Rules::Activate { rule, by } => set_active(&Host::open(cli)?, rule, by, true),
        Rules::Deactivate { rule, by } => set_active(&Host::open(cli)?, rule, by, false),
        Rules::Pause(rest) => set_paused(&Host::open(cli)?, rest, true),
        Rules::Resume(rest) => set_paused(&Host::open(cli)?, rest, false),
    }
}

/// Reads a document and tells every fault and every warning.
fn check(cli: &Cli, file: &Path) -> Result<Output, Failure> {
    let text = read(file)?;
    let outcome = RuleSet::from_json(&text);
    if cli.json {
        let faults = outcome.as_ref().err().map(|error| {
            let fault = |f: &tipstaff::DocumentFault| {
                json!({ "pointer": f.pointer, "line": f.line, "column": f.column, "fault": f.fault.to_string() })
            };
            error.faults.iter().map(fault).collect::<Vec<_>>()
        });
        let warnings =
            outcome.as_ref().map(|set| set.warnings().iter().map(ToString::to_string).collect::<Vec<_>>());
        let value = json!({
            "file": file.display().to_string(), "ok": outcome.is_ok(), "rules": outcome.as_ref().map_or(0, |set| set.rules().count()),
            "faults": faults.unwrap_or_default(), "warnings": warnings.unwrap_or_default(),
        });
        return Ok(Output { text: format!("{value:#}\n"), ok: outcome.is_ok() });
    }
    match outcome {
        Err(error) => Err(format!("{}: {error}", file.display()).into()),
        Ok(set) => {
            let mut text = String::new();
            for warning in set.warnings() {
                text.push_str(&format!("warning: {warning}\n"));
            }
            text.push_str(&format!("{}: {} rules, no fault\n", file.display(), set.rules().count()));
            Ok(Output::ok(text))
        }
    }
}

/// Adds the rules of a document, which must be without fault before a database is made for it.
fn add(cli: &Cli, file: &Path) -> Result<Output, Failure> {
    let set = RuleSet::from_json(&read(file)?).map_err(|error| format!("{}: {error}", file.display()))?;
    let host = Host::open(cli)?;
    let change = wait(host.engine.add_rules(&host.tenant, &set, &Actor::Host, host.now))?;
    if host.json {
        let added: Vec<_> =
            change.added.iter().map(|(rule, n)| json!({ "rule": rule, "revision": n })).collect();
        let warnings: Vec<_> = change.warnings.iter().map(ToString::to_string).collect();
        return Ok(Output::json(
            &json!({ "added": added, "unchanged": change.unchanged, "warnings": warnings }),
        ));
    }
    let mut text: String = change.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
    for (rule, revision) in &change.added {
        text.push_str(&format!("added `{rule}`, revision {revision}\n"));
    }
    text.push_str(&format!("{} added, {} unchanged\n", change.added.len(), change.unchanged.len()));
    Ok(Output::ok(text))
}

fn set_active(host: &Host, rule: &RuleId, by: &ActorId, active: bool) -> Result<Output, Failure> {
    let text = if active {
        wait(host.engine.activate(&host.tenant, rule, by, host.now))?;
        format!("rule `{rule}` is active")
    } else {
        wait(host.engine.deactivate(&host.tenant, rule, by, host.now))?;
        format!("rule `{rule}` is not active")
    };
    Ok(if host.json { Output::json(&json!({ "done": text })) } else { Output::ok(text + "\n") })
}

fn set_paused(host: &Host, rest: &Rest, rests: bool) -> Result<Output, Failure> {
    let Rest { rule, by, reason } = rest;
    let text = if rests {
        wait(host.engine.pause_rule(&host.tenant, rule, by, reason, host.now))?;
        format!("rule `{rule}` rests")
    } else {
        wait(host.engine.resume_rule(&host.tenant, rule, by, reason, host.now))?;
        format!("rule `{rule}` acts again")
    };
    Ok(if host.json { Output::json(&json!({ "done": text })) } else { Output::ok(text + "\n") })
}

fn list(host: &Host) -> Result<Output, Failure> {
    if host.json {
        return Ok(Output::json(&Value::Array(rows(host)?)));
    }
    let rows = wait(host.engine.rule_rows(&host.tenant, host.now))?;
    let mut table =
        show::table(&["rule", "mode", "active", "when", "does", "last fired", "fired", "what became of it"]);
    for row in &rows {
        let rule = &row.rule.rule;
        table.add_row(vec![
            Cell::new(format!("{} r{}\n{}", rule.id, row.rule.revision, rule.title)),
            Cell::new(rule.mode),
            Cell::new(active(row)),
            Cell::new(rule.conditions()),
            Cell::new(actions(&row.rule)),
            Cell::new(row.stats.last_fired.map(|at| at.to_string()).unwrap_or_else(|| "never".to_owned())),
            Cell::new(row.stats.fired),
            Cell::new(counts(&row.stats)),
        ]);
    }
    Ok(Output::ok(format!("{table}\n{}", show::footer(rows.len(), None))))
}

/// Whether a rule is active, and why it rests if it does.
fn active(row: &tipstaff::RuleRow) -> String {
    match &row.paused {
        _ if !row.rule.active => "no".to_owned(),
        None => "yes".to_owned(),
        Some(pause) => format!("paused by {} at {}: {}", pause.by, pause.at, pause.reason),
    }
}

/// The rules as JSON.
pub(super) fn rows(host: &Host) -> Result<Vec<Value>, Failure> {
    let rows = wait(host.engine.rule_rows(&host.tenant, host.now))?;
    let row = |row: &tipstaff::RuleRow| {
        let rule = &row.rule.rule;
        json!({
            "id": rule.id, "title": rule.title, "revision": row.rule.revision, "digest": rule.digest(),
            "mode": rule.mode, "active": row.rule.active, "paused": row.paused, "since": row.since, "conditions": rule.conditions(),
            "actions": row.rule.actions.iter().map(|action| json!({
                "key": action.action.key, "type": action.spec.name, "approval": action.approval,
            })).collect::<Vec<_>>(),
            "last_fired": row.stats.last_fired, "executions": row.stats.fired, "stats": row.stats,
        })
    };
    Ok(rows.iter().map(row).collect())
}

fn actions(rule: &tipstaff::CompiledRule) -> String {
    let action = |action: &tipstaff::CompiledAction| match &action.approval {
        None => action.spec.name.to_string(),
        Some(policy) => {
            let groups = |groups: &[tipstaff::Quorum]| {
                groups.iter().map(|q| format!("{} of {}", q.need, q.name)).collect::<Vec<_>>().join(" and ")
            };
            let stages: Vec<_> = policy.stages().map(|stage| groups(&stage.groups)).collect();
            format!("{} (asks {})", action.spec.name, stages.join(", then "))
        }
    };
    rule.actions.iter().map(action).collect::<Vec<_>>().join(", ")
}

/// The counters of a rule in words; what never happened is left out.
pub(super) fn counts(stats: &RuleStats) -> String {
    let suppressed = stats.suppressed.iter().map(|(reason, n)| (format!("suppressed ({reason})"), *n));
    let all = [
        ("enforcements".to_owned(), stats.created),
        ("approved".to_owned(), stats.approved),
        ("rejected".to_owned(), stats.rejected),
        ("succeeded".to_owned(), stats.succeeded),
        ("failed".to_owned(), stats.failed),
        ("in shadow".to_owned(), stats.shadow),
    ];
    let told = all.into_iter().chain(suppressed).filter(|(_, n)| *n > 0);
    let told = told.map(|(what, n)| format!("{n} {what}"));
    told.chain(stats.precision().map(|precision| precision.to_string())).collect::<Vec<_>>().join(", ")
}
