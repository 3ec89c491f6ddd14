//! Timetables: where they stand, when they run, what a crontab line means.

use comfy_table::Cell;
use serde_json::{Value, json};
use tipstaff::{CronError, Occurrence, RuleId, Time, Timetable, TimetableRow, Trigger, Zone};

use super::args::{Cli, Schedule};
use super::host::{Host, now, wait};
use super::{Failure, Output, show};

/// Lists, foretells, checks.
pub(super) fn run(cli: &Cli, command: &Schedule) -> Result<Output, Failure> {
    match command {
        Schedule::List => list(&Host::open(cli)?),
        Schedule::Next { rule, count } => next(&Host::open(cli)?, rule.as_ref(), *count),
        Schedule::Check { line, zone, count } => check(cli, line, *zone, *count),
    }
}

fn table(row: &TimetableRow) -> Option<&Timetable> {
    match &row.rule.rule.trigger {
        Trigger::Schedule { timetable, .. } => Some(timetable),
        _ => None,
    }
}

/// An instant by the clock of a timetable's zone.
fn local(row: &TimetableRow, at: Option<Time>) -> Option<String> {
    let at = at?;
    let before = Time::from_micros(at.micros() - 1);
    // One that was put off by an edit is no occurrence of the line any more.
    let by_the_clock = table(row)?.next(before, 1).into_iter().find(|run| run.at == at);
    Some(by_the_clock.map_or_else(|| at.to_string(), |run| run.to_string()))
}

fn state(row: &TimetableRow) -> String {
    let mut said = Vec::new();
    if let Some(run) = &row.running {
        said.push(format!("visiting its audience for {}: {} so far", run.at, run.visited));
    }
    if !row.timer.waiting.is_empty() {
        said.push(format!("{} missed ones wait", row.timer.waiting.len()));
    }
    match (row.rule.acts(), said.is_empty()) {
        (false, _) => "off".to_owned(),
        (true, true) => "waits".to_owned(),
        (true, false) => said.join("; "),
    }
}

fn list(host: &Host) -> Result<Output, Failure> {
    let rows = wait(host.engine.timetables(&host.tenant, host.now))?;
    if host.json {
        let rows = rows.iter().map(|row| {
            json!({
                "rule": row.rule.rule.id, "line": table(row).map(Timetable::line),
                "zone": table(row).map(|table| table.zone()), "says": table(row).map(Timetable::describe),
                "acts": row.rule.acts(), "catch_up": row.rule.catch_up(), "next": row.timer.next,
                "waiting": row.timer.waiting, "last": row.timer.last, "listening": row.timer.listening,
                "running": row.running.as_ref().map(|run| json!({
                    "id": run.id, "at": run.at, "begun": run.begun, "visited": run.visited, "revision": run.revision,
                })),
            })
        });
        return Ok(Output::json(&Value::Array(rows.collect())));
    }
    let mut shown = show::table(&["rule", "when", "missed ones", "state", "last", "next"]);
    for row in &rows {
        let never = || "never".to_owned();
        shown.add_row(vec![
            Cell::new(format!("{} r{}", row.rule.rule.id, row.rule.revision)),
            Cell::new(row.rule.rule.conditions()),
            Cell::new(row.rule.catch_up()),
            Cell::new(state(row)),
            Cell::new(local(row, row.timer.last).unwrap_or_else(never)),
            Cell::new(local(row, row.timer.next).unwrap_or_else(never)),
        ]);
    }
    Ok(Output::ok(format!("{shown}\n{}", show::footer(rows.len(), None))))
}

fn next(host: &Host, rule: Option<&RuleId>, count: usize) -> Result<Output, Failure> {
    let rows = wait(host.engine.timetables(&host.tenant, host.now))?;
    let wanted = |row: &&TimetableRow| rule.is_none_or(|rule| rule == &row.rule.rule.id);
    let found: Vec<_> = rows.iter().filter(wanted).collect();
    if let Some(rule) = rule.filter(|_| found.is_empty()) {
        return Err(format!("no rule `{rule}` with a timetable; `schedule list` names them").into());
    }
    // What is off runs never, whatever its line says.
    let acting = found.into_iter().filter(|row| row.rule.acts());
    let runs = acting.filter_map(|row| Some((&row.rule.rule.id, table(row)?)));
    let mut runs: Vec<(&RuleId, Occurrence)> = runs
        .flat_map(|(id, table)| table.next(host.now, count).into_iter().map(move |run| (id, run)))
        .collect();
    runs.sort_by_key(|(_, run)| run.at);
    runs.truncate(count);
    if host.json {
        let runs = runs.iter().map(|(id, run)| {
            let mut value = occurrence(run);
            value["rule"] = json!(id);
            value
        });
        return Ok(Output::json(&Value::Array(runs.collect())));
    }
    let mut shown = show::table(&["at", "by its clock", "rule"]);
    for (id, run) in &runs {
        shown.add_row(vec![Cell::new(run.at), Cell::new(run), Cell::new(id)]);
    }
    Ok(Output::ok(format!("{shown}\n{}", show::footer(runs.len(), None))))
}

fn occurrence(run: &Occurrence) -> Value {
    json!({ "at": run.at, "local": run.local(), "zone": run.zone, "offset_seconds": run.offset_seconds() })
}

/// Says what a line means, or what is wrong with it.
fn check(cli: &Cli, line: &str, zone: Zone, count: usize) -> Result<Output, Failure> {
    Ok(match Timetable::new(line, zone) {
        Ok(table) => {
            let runs = table.next(now(cli), count);
            if cli.json {
                let runs: Vec<_> = runs.iter().map(occurrence).collect();
                return Ok(Output::json(&json!({
                    "line": line, "zone": zone, "ok": true, "says": table.describe(), "next": runs,
                })));
            }
            let runs: String = runs.iter().map(|run| format!("  {run}\n")).collect();
            Output::ok(format!("{}\n{runs}", table.describe()))
        }
        Err(error) if cli.json => {
            let value = json!({
                "line": line, "zone": zone, "ok": false, "offset": error.offset, "found": error.found,
                "field": error.field.map(|field| field.to_string()), "fault": error.to_string(),
            });
            return Ok(Output { text: format!("{value:#}\n"), ok: false });
        }
        Err(error) => return Err(shown(line, &error).into()),
    })
}

/// The fault, with the line and a mark under the place.
fn shown(line: &str, error: &CronError) -> String {
    // A line with control characters, or a very long one, is not shown again.
    if line.chars().any(char::is_control) || line.len() > 200 {
        return error.to_string();
    }
    let before = line.get(..error.offset).unwrap_or_default().chars().count();
    let mark = "^".repeat(error.found.chars().count().max(1));
    format!("{error}\n  {line}\n  {}{mark}", " ".repeat(before))
}
