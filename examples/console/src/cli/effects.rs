//! Restrictions that stand, and letting go of them.

use comfy_table::Cell;
use serde_json::json;
use tipstaff::{EffectStatus, Filter, HeldEffect, Holding};

use super::args::Effects;
use super::host::{Host, wait};
use super::{Failure, Output, show};

/// Lists effects, or lets go of one.
pub(super) fn run(host: &Host, command: &Effects) -> Result<Output, Failure> {
    match command {
        Effects::List { subject, status, limit, after } => {
            let mut filter = Filter::new(&host.tenant).limit(*limit);
            if let Some(user) = subject {
                filter = filter.user(user.clone());
            }
            if let Some(cursor) = after {
                filter = filter.after(cursor.clone());
            }
            let wanted = if status.is_empty() { &[EffectStatus::Standing][..] } else { status };
            filter = wanted.iter().fold(filter, |filter, status| filter.effect(*status));
            let page = wait(host.engine.effects(filter))?;
            let next = page.next;
            table(host, &page.rows, next.as_ref())
        }
        Effects::Lift { id, rule, person, by, reason } => {
            let rule = rule.clone().map(Holding::Rule);
            let holder = rule.or_else(|| person.clone().map(Holding::Person));
            let lifted = wait(host.engine.lift(&host.tenant, *id, holder.as_ref(), by, reason, host.now))?;
            table(host, &[lifted], None)
        }
    }
}

fn table(host: &Host, rows: &[HeldEffect], next: Option<&tipstaff::Cursor>) -> Result<Output, Failure> {
    if host.json {
        return Ok(Output::json(&json!({ "rows": rows, "next": next.map(ToString::to_string) })));
    }
    let mut table = show::table(&["subject", "action", "status", "held by", "since", "id"]);
    for effect in rows {
        let holders = effect.holders().iter().map(|held| match held.until {
            Some(until) => format!("{} until {until}", held.holder),
            None => format!("{} until somebody lets go", held.holder),
        });
        table.add_row(vec![
            Cell::new(&effect.subject),
            Cell::new(&effect.apply.action),
            Cell::new(effect.status()),
            Cell::new(holders.collect::<Vec<_>>().join("\n")),
            Cell::new(effect.since),
            Cell::new(effect.id),
        ]);
    }
    Ok(Output::ok(format!("{table}\n{}", show::footer(rows.len(), next))))
}
