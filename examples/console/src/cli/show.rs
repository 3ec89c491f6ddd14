//! Tables for people.

use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use tipstaff::{Enforcement, Severity, Status, Vote};

/// An empty table with this heading.
pub(super) fn table(heading: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    // Piped into a file there is no terminal to ask for its width.
    if table.width().is_none() {
        table.set_width(200);
    }
    table.set_header(heading);
    // An id that is broken over two lines cannot be copied.
    for (i, name) in heading.iter().enumerate() {
        if let Some(column) = table.column_mut(i)
            && ["id", "recorded", "time", "decided", "since", "last fired"].contains(name)
        {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table
}

/// A status in its colour.
pub(super) fn status(status: Status) -> Cell {
    let cell = Cell::new(status);
    match status {
        Status::Succeeded => cell.fg(Color::Green),
        Status::Failed => cell.fg(Color::Red),
        _ => cell.fg(Color::Yellow),
    }
}

/// A severity in its colour.
pub(super) fn severity(severity: Severity) -> Cell {
    let cell = Cell::new(severity);
    match severity {
        Severity::Critical => cell.fg(Color::Red),
        Severity::Warning => cell.fg(Color::Yellow),
        Severity::Notice => cell.fg(Color::Cyan),
        _ => cell,
    }
}

/// Who asks for an enforcement: the rules, or the person who ordered it.
pub(super) fn asked_by(row: &Enforcement) -> String {
    let mut names: Vec<String> = row.holders.iter().map(|h| format!("{} r{}", h.rule, h.revision)).collect();
    names.extend(row.origin.operator.as_ref().map(|person| format!("ordered by {person}")));
    names.join(", ")
}

/// What the last attempt brought, the target's message and reference; where nothing was attempted,
/// what people answered.
pub(super) fn outcome(row: &Enforcement) -> String {
    let Some(last) = row.history.last() else {
        let answer = |vote: &Vote| {
            let comment = vote.comment.as_deref().map(|text| format!(" \"{text}\"")).unwrap_or_default();
            format!("{} by {}{comment}", vote.verdict, vote.actor)
        };
        return row.votes.iter().map(answer).collect::<Vec<_>>().join("\n");
    };
    let report = &last.report;
    let told = [&report.message, &report.recipient, &report.reference];
    told.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" · ")
}

/// The beginning of a signal's id: the whole stands in `log show` and in JSON.
fn short(id: &str) -> String {
    const SHOWN: usize = 20;
    if id.chars().count() <= SHOWN {
        id.to_owned()
    } else {
        id.chars().take(SHOWN - 1).chain(['…']).collect()
    }
}

/// How many further signals were counted on a record.
fn more(row: &Enforcement) -> String {
    if row.repeats == 0 { String::new() } else { format!(" and {} more", row.repeats) }
}

/// The enforcement table.
pub(super) fn enforcements(rows: &[Enforcement]) -> Table {
    let mut out = table(&[
        "recorded",
        "subject",
        "action",
        "status",
        "reason",
        "asked for by",
        "on signal",
        "outcome",
        "id",
    ]);
    for row in rows {
        out.add_row(vec![
            Cell::new(row.recorded_at),
            Cell::new(&row.subject),
            Cell::new(&row.action),
            status(row.status()),
            Cell::new(row.reason()),
            Cell::new(asked_by(row)),
            Cell::new(format!("{} {}{}", row.origin.kind, short(&row.origin.signal), more(row))),
            Cell::new(outcome(row)),
            Cell::new(row.id),
        ]);
    }
    out
}

/// `3 rows` and the cursor of the next page, if there is one.
pub(super) fn footer(count: usize, next: Option<&tipstaff::Cursor>) -> String {
    let rows = if count == 1 { "row" } else { "rows" };
    match next {
        Some(cursor) => format!("{count} {rows}; more with --after {cursor}\n"),
        None => format!("{count} {rows}\n"),
    }
}
