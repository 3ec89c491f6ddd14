//! The audit trail.

use comfy_table::Cell;
use serde_json::json;
use tipstaff::{AuditRecord, Head};

use super::args::Audit;
use super::host::{Host, wait};
use super::{Failure, Output, show};

/// Lists, verifies, or prints the head.
pub(super) fn run(host: &Host, command: &Audit) -> Result<Output, Failure> {
    match command {
        Audit::List { severity, code, subject, trail, limit } => {
            let mut records = about(host, |record| {
                record.severity >= *severity
                    && (code.is_empty() || code.contains(&record.code))
                    && subject
                        .as_ref()
                        .is_none_or(|user| record.subject.as_ref().is_some_and(|s| &s.user == user))
            })?;
            if !trail {
                rank(&mut records);
            }
            let all = records.len();
            records.truncate(*limit);
            if host.json {
                return Ok(Output::json(&json!({ "rows": records, "total": all })));
            }
            Ok(Output::ok(format!("{}\n{} of {all} records\n", table(&records), records.len())))
        }
        Audit::Verify { head } => verify(host, *head),
        Audit::Head => {
            let head = wait(host.engine.audit_head(&host.tenant))?;
            if host.json {
                return Ok(Output::json(&json!({ "head": head })));
            }
            Ok(Output::ok(format!("{head}\n")))
        }
    }
}

fn verify(host: &Host, kept: Option<Head>) -> Result<Output, Failure> {
    let verdict = wait(host.engine.verify_audit(&host.tenant, kept))?;
    let ok = verdict.is_ok();
    let text = match (verdict, host.json) {
        (Ok(head), true) => format!("{:#}\n", json!({ "ok": true, "head": head, "records": head.seq })),
        (Err(broken), true) => {
            format!("{:#}\n", json!({ "ok": false, "seq": broken.seq, "fault": broken.fault.to_string() }))
        }
        (Ok(head), false) => format!("the trail of {} records is whole; head {head}\n", head.seq),
        (Err(broken), false) => format!("the trail is not whole: {broken}\n"),
    };
    Ok(Output { text, ok })
}

/// The records of the trail that a test picks, in the trail's order.
pub(super) fn about(host: &Host, pick: impl Fn(&AuditRecord) -> bool) -> Result<Vec<AuditRecord>, Failure> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let page = wait(host.engine.audit(&host.tenant, after, tipstaff::MAX_PAGE))?;
        let Some(last) = page.last() else { return Ok(found) };
        after = last.seq;
        found.extend(page.into_iter().filter(&pick));
    }
}

/// The gravest first; among equals, the latest.
pub(super) fn rank(records: &mut [AuditRecord]) {
    records.sort_by_key(|record| std::cmp::Reverse((record.severity, record.seq)));
}

/// The records as a table.
pub(super) fn table(records: &[AuditRecord]) -> comfy_table::Table {
    let mut out = show::table(&["#", "time", "severity", "code", "by", "subject", "target", "details"]);
    for record in records {
        let mut details: Vec<String> = record
            .details
            .iter()
            .filter(|(_, v)| !v.to_string().is_empty())
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        details.extend(
            record
                .personal
                .iter()
                .map(|(key, field)| format!("{key}={}", field.value.as_deref().unwrap_or("(erased)"))),
        );
        out.add_row(vec![
            Cell::new(record.seq),
            Cell::new(record.time),
            show::severity(record.severity),
            Cell::new(&record.code),
            Cell::new(&record.actor),
            Cell::new(record.subject.as_ref().map(ToString::to_string).unwrap_or_default()),
            Cell::new(record.target.as_deref().unwrap_or_default()),
            Cell::new(details.join(" ")),
        ]);
    }
    out
}
