//! The enforcements and the signals.

use comfy_table::Cell;
use serde_json::json;
use tipstaff::{Decision, Effect, Enforcement, EnforcementId, Filter, Order};

use super::args::{Filters, Log, LogShow, Signals};
use super::host::{Host, wait};
use super::{Failure, Output, show};

/// Lists enforcements, or tells all about one.
pub(super) fn run(host: &Host, log: &Log) -> Result<Output, Failure> {
    if let Some(LogShow::Show { id }) = &log.show {
        return one(host, *id);
    }
    let mut filter = filter(host, &log.filters);
    filter = log.category.iter().fold(filter, |f, category| f.category(*category));
    filter = log.status.iter().fold(filter, |f, status| f.status(*status));
    filter = log.reason.iter().fold(filter, |f, reason| f.reason(*reason));
    if let Some(approver) = &log.approver {
        filter = filter.approver(approver.clone());
    }
    let page = wait(host.engine.enforcements(filter))?;
    if host.json {
        return Ok(Output::json(
            &json!({ "rows": page.rows.iter().map(row).collect::<Vec<_>>(), "next": page.next.map(|c| c.to_string()) }),
        ));
    }
    let table = show::enforcements(&page.rows);
    Ok(Output::ok(format!("{table}\n{}", show::footer(page.rows.len(), page.next.as_ref()))))
}

/// Lists signals.
pub(super) fn signals(host: &Host, signals: &Signals) -> Result<Output, Failure> {
    let filter = filter(host, &signals.filters);
    let filter = signals.suppressed.iter().fold(filter, |f, reason| f.suppressed(*reason));
    let page = wait(host.engine.signals(filter))?;
    if host.json {
        return Ok(Output::json(&json!({ "rows": page.rows, "next": page.next.map(|c| c.to_string()) })));
    }
    let mut table = show::table(&["decided", "signal", "source", "subject", "what follows", "id"]);
    for decision in &page.rows {
        table.add_row(vec![
            Cell::new(decision.decided_at),
            Cell::new(format!("{} {}", decision.signal.kind, decision.signal.id)),
            Cell::new(&decision.signal.source),
            Cell::new(&decision.signal.subject),
            Cell::new(follows(decision)),
            Cell::new(decision.id),
        ]);
    }
    Ok(Output::ok(format!("{table}\n{}", show::footer(page.rows.len(), page.next.as_ref()))))
}

/// An enforcement as JSON, with its status and reason spelt out.
pub(super) fn row(row: &Enforcement) -> serde_json::Value {
    let mut value = json!(row);
    value["status"] = json!(row.status());
    value["reason"] = json!(row.reason());
    value
}

fn follows(decision: &Decision) -> String {
    let line = |outcome: &tipstaff::ActionOutcome| {
        let rule = outcome.rule.as_ref().map_or("by hand", |rule| rule.id.as_str());
        match &outcome.effect {
            Effect::Created { approval: Some(_), .. } => {
                format!("{rule}: {} asks for approval", outcome.action)
            }
            Effect::Created { .. } => format!("{rule}: {}", outcome.action),
            Effect::Shadow { .. } => format!("{rule}: {} (shadow)", outcome.action),
            Effect::Suppressed(held) => format!("{rule}: {} suppressed, {}", outcome.action, held.reason),
            _ => format!("{rule}: {}", outcome.action),
        }
    };
    let mut lines: Vec<String> = decision.outcomes.iter().map(line).collect();
    let stands = decision.windows.iter().map(|stand| format!("{}: {stand}", stand.rule));
    lines.splice(0..0, stands);
    if let Some(moved) = &decision.moved {
        let from = moved.from.as_ref().map_or("unknown", |band| band.as_str());
        let late = if moved.late { ", late" } else { "" };
        lines.insert(0, format!("{} → {}{late}", from, moved.to));
    }
    lines.join("\n")
}

fn filter(host: &Host, filters: &Filters) -> Filter {
    let mut filter = Filter::new(&host.tenant).limit(filters.limit);
    if let Some(user) = &filters.subject {
        filter = filter.user(user.clone());
    }
    if let Some(session) = &filters.session {
        filter = filter.session(session.clone());
    }
    filter = filters.action.iter().fold(filter, |f, action| f.action(action.clone()));
    filter = filters.trigger.iter().fold(filter, |f, kind| f.trigger(*kind));
    filter = filters.rule.iter().fold(filter, |f, rule| f.rule(rule.clone()));
    if let Some(mode) = filters.mode {
        filter = filter.mode(mode);
    }
    if let Some(source) = &filters.source {
        filter = filter.source(source.as_str());
    }
    if let Some(from) = filters.from {
        filter = filter.from(from);
    }
    if let Some(until) = filters.until {
        filter = filter.until(until);
    }
    if let Some(cursor) = &filters.after {
        filter = filter.after(cursor.clone());
    }
    if filters.oldest { filter.order(Order::Oldest) } else { filter }
}

fn one(host: &Host, id: EnforcementId) -> Result<Output, Failure> {
    let record = wait(host.engine.enforcement(&host.tenant, id))?;
    let decision = wait(host.engine.signal(&host.tenant, record.origin.trigger))?;
    let view = match record.approval {
        Some(approval) => Some(wait(host.engine.approval_view(&host.tenant, approval, host.now))?),
        None => None,
    };
    let trail = super::audit::about(host, |entry| entry.enforcement == Some(id))?;
    if host.json {
        return Ok(Output::json(&json!({
            "enforcement": row(&record), "signal": decision,
            "approval": view.map(|view| view.approval), "audit": trail,
        })));
    }
    let mut text = format!("{record}\n\n");
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:>14}  {value}\n"));
    line("status", format!("{} ({})", record.status(), record.reason()));
    line("action", format!("{} ({})", record.action, record.category));
    line("subject", record.subject.to_string());
    record.params.iter().for_each(|(name, value)| line(name, value.to_string()));
    line("asked for by", show::asked_by(&record));
    if let Some(reason) = &record.origin.reason {
        line("reason given", reason.clone());
    }
    line("recorded", record.recorded_at.to_string());
    line("settled", record.settled_at.map_or_else(|| "not yet".to_owned(), |at| at.to_string()));
    line("attempts", format!("{} of {}", record.attempts, record.retry.attempts));
    for window in &record.windows {
        line("window", format!("{window}: {}", window.signals.join(", ")));
    }
    if let Some(last) = record.last_repeat {
        line("repeated", format!("{} times, last at {last}", record.repeats));
    }
    for attempt in &record.history {
        let outcome = attempt.outcome.as_ref().map_or_else(|| "no answer".to_owned(), |o| format!("{o:?}"));
        let report = &attempt.report;
        let told: Vec<_> =
            [&report.message, &report.recipient, &report.reference].into_iter().flatten().collect();
        let told: Vec<&str> = told.into_iter().map(String::as_str).collect();
        line(
            &format!("attempt {}", attempt.number),
            format!("{} {outcome} {}", attempt.started_at, told.join(" · ")),
        );
    }
    text.push_str(&format!("\nSignal\n  {decision}\n"));
    if let Some(view) = view {
        text.push_str(&format!("\nApproval\n  {view}\n"));
    }
    text.push_str("\nAudit\n");
    trail.iter().for_each(|entry| text.push_str(&format!("  {entry}\n")));
    Ok(Output::ok(text))
}
