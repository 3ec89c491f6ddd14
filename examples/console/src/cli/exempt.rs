//! Who is exempt from what.

use comfy_table::Cell;
use serde_json::json;
use tipstaff::{Exempt as Granted, ExemptionScope, Filter, MAX_PAGE, Subject};

use super::args::{Exempt, Whom};
use super::host::{Host, wait};
use super::{Failure, Output, show};

/// Grants, lists or revokes.
pub(super) fn run(host: &Host, command: &Exempt) -> Result<Output, Failure> {
    let (engine, tenant, now) = (&host.engine, &host.tenant, host.now);
    // Who is exempt from a name that is mistyped is exempt from nothing.
    if let Exempt::Grant { from, .. } = command {
        match from {
            ExemptionScope::Rule(rule) => host.known(Some(rule), None)?,
            ExemptionScope::Type(action) => host.known(None, Some(action))?,
            _ => {}
        }
    }
    match command {
        Exempt::List => return list(host),
        Exempt::Grant { whom, from, until, by, reason } => match (&whom.attributes, subject(whom)) {
            (Some(attributes), _) => {
                wait(engine.exempt_where(tenant, attributes, from, *until, by, reason, now)).map(drop)?;
            }
            (None, Some(subject)) => {
                wait(engine.exempt(tenant, &subject, from, *until, by, reason, now)).map(drop)?;
            }
            (None, None) => return Err("name somebody with --subject, or attributes with --where".into()),
        },
        Exempt::Revoke { whom, from, by, reason } => match (&whom.attributes, subject(whom)) {
            (Some(attributes), _) => {
                wait(engine.revoke_exemption_where(tenant, attributes, from, by, reason, now)).map(drop)?;
            }
            (None, Some(subject)) => {
                wait(engine.revoke_exemption(tenant, &subject, from, by, reason, now)).map(drop)?;
            }
            (None, None) => return Err("name somebody with --subject, or attributes with --where".into()),
        },
    }
    list(host)
}

fn subject(whom: &Whom) -> Option<Subject> {
    let user = Subject::user(whom.subject.clone()?);
    Some(Subject { session: whom.session.clone(), ..user })
}

/// All that are in force.
fn list(host: &Host) -> Result<Output, Failure> {
    let mut rows: Vec<(String, Granted)> = Vec::new();
    let mut after = None;
    loop {
        let filter = Filter::new(&host.tenant).limit(MAX_PAGE);
        let filter = match after {
            Some(cursor) => filter.after(cursor),
            None => filter,
        };
        let page = wait(host.engine.exemptions(filter))?;
        for known in page.rows {
            let name = known.subject.to_string();
            rows.extend(known.granted.into_iter().map(|exempt| (name.clone(), exempt)));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let waivers = wait(host.engine.waivers(&host.tenant))?.granted;
    rows.extend(waivers.into_iter().map(|waiver| (format!("where {}", waiver.attributes), waiver.exempt)));
    rows.retain(|(_, exempt)| exempt.is_in_force(host.now));
    if host.json {
        let value: Vec<_> =
            rows.iter().map(|(whom, exempt)| json!({ "whom": whom, "exempt": exempt })).collect();
        return Ok(Output::json(&json!({ "rows": value })));
    }
    let mut table = show::table(&["who", "exempt from", "since", "until", "by", "why"]);
    for (whom, exempt) in &rows {
        table.add_row(vec![
            Cell::new(whom),
            Cell::new(&exempt.scope),
            Cell::new(exempt.since),
            Cell::new(exempt.until.map_or_else(|| "it is revoked".to_owned(), |until| until.to_string())),
            Cell::new(&exempt.by),
            Cell::new(&exempt.reason),
        ]);
    }
    Ok(Output::ok(format!("{table}\n{}", show::footer(rows.len(), None))))
}
