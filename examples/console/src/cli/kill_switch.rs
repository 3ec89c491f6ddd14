//! The kill switch: engage, release, show.

use comfy_table::Cell;
use serde_json::json;
use tipstaff::{Control, InFlight, KillScope, Stop, TenantId};

use super::args::{KillSwitch, Switch};
use super::host::{Host, wait};
use super::{Failure, Output, show};

/// Stops, lets go, or shows what is stopped and what is under way.
pub(super) fn run(host: &Host, command: &KillSwitch) -> Result<Output, Failure> {
    match command {
        KillSwitch::Engage(switch) => engage(host, switch),
        KillSwitch::Release(switch) => release(host, switch),
        KillSwitch::Show => shown(host),
    }
}

/// The tenants that an order names: those of `--all`, or else the one of the command line.
fn tenants(host: &Host, switch: &Switch) -> Vec<TenantId> {
    if switch.all.is_empty() { vec![host.tenant.clone()] } else { switch.all.clone() }
}

fn scope(switch: &Switch) -> KillScope {
    match (&switch.rule, &switch.action) {
        (Some(rule), _) => KillScope::Rule(rule.clone()),
        (None, Some(action)) => KillScope::Type(action.clone()),
        (None, None) if switch.all.is_empty() => KillScope::Tenant,
        (None, None) => KillScope::Global,
    }
}

fn engage(host: &Host, switch: &Switch) -> Result<Output, Failure> {
    let scope = scope(switch);
    // Whoever mistypes a name in an emergency must not believe that something is stopped.
    let tenants = known(host, switch)?;
    host.known(switch.rule.as_ref(), switch.action.as_ref())?;
    let (by, reason) = (&switch.by, switch.reason.as_str());
    let flying = match scope {
        KillScope::Global => wait(host.engine.engage_everywhere(tenants, by, reason, host.now))?,
        _ => wait(host.engine.engage_kill_switch(&host.tenant, &scope, by, reason, host.now))?,
    };
    if host.json {
        return Ok(Output::json(&json!({ "engaged": scope.to_string(), "in_flight": flying })));
    }
    Ok(Output::ok(format!("engaged: {scope}\n{}", table(&flying))))
}

/// The tenants that an order names, all of which must have records.
fn known(host: &Host, switch: &Switch) -> Result<Vec<TenantId>, Failure> {
    let named = tenants(host, switch);
    for tenant in &named {
        if wait(host.engine.audit_head(tenant))?.seq == 0 {
            return Err(format!(
                "tenant `{tenant}` has no records here, and nothing was changed; `--tenant` and `--all` name \
                 those that have"
            )
            .into());
        }
    }
    Ok(named)
}

fn release(host: &Host, switch: &Switch) -> Result<Output, Failure> {
    let scope = scope(switch);
    let (by, reason) = (&switch.by, switch.reason.as_str());
    let tenants = known(host, switch)?;
    let mut stopped = Vec::new();
    for tenant in &tenants {
        let control = wait(host.engine.control(tenant))?;
        if stops(&control).iter().any(|(stop, _)| *stop == scope) {
            stopped.push(tenant.clone());
        }
    }
    // Of several, some may have been let go before: the order may be repeated until all are.
    if stopped.is_empty() {
        return Err(format!("not stopped: {scope}; `kill-switch show` tells what is").into());
    }
    match scope {
        KillScope::Global => wait(host.engine.release_everywhere(stopped, by, reason, host.now))?,
        _ => wait(host.engine.release_kill_switch(&host.tenant, &scope, by, reason, host.now))?,
    }
    still(host, &scope, &tenants)
}

/// What was released, and what stops these tenants all the same.
fn still(host: &Host, released: &KillScope, tenants: &[TenantId]) -> Result<Output, Failure> {
    let mut rows = Vec::new();
    let mut text = format!("released: {released}\n");
    for tenant in tenants {
        let control = wait(host.engine.control(tenant))?;
        for (scope, stop) in stops(&control) {
            text.push_str(&format!("tenant `{tenant}`, still {}\n", line(&scope, stop)));
            rows.push(json!({ "tenant": tenant, "scope": scope.to_string(), "stop": stop }));
        }
    }
    if host.json {
        return Ok(Output::json(&json!({ "released": released.to_string(), "still_stopped": rows })));
    }
    Ok(Output::ok(text))
}

fn shown(host: &Host) -> Result<Output, Failure> {
    let control = wait(host.engine.control(&host.tenant))?;
    let flying = wait(host.engine.in_flight(&host.tenant, &KillScope::Tenant))?;
    if host.json {
        return Ok(Output::json(&json!({ "stopped": control, "in_flight": flying })));
    }
    let mut text = String::new();
    for (scope, stop) in stops(&control) {
        text.push_str(&format!("{}\n", line(&scope, stop)));
    }
    for (rule, pause) in &control.paused {
        text.push_str(&format!("rule {rule}: rests since {}, by {}: {}\n", pause.at, pause.by, pause.reason));
    }
    if text.is_empty() {
        text.push_str("nothing is stopped\n");
    }
    Ok(Output::ok(text + &table(&flying)))
}

fn line(scope: &KillScope, stop: &Stop) -> String {
    format!("{scope}: stopped by {} at {}: {}", stop.by, stop.at, stop.reason)
}

fn stops(control: &Control) -> Vec<(KillScope, &Stop)> {
    let global = control.global.iter().map(|stop| (KillScope::Global, stop));
    let tenant = control.tenant.iter().map(|stop| (KillScope::Tenant, stop));
    let rules = control.rules.iter().map(|(rule, stop)| (KillScope::Rule(rule.clone()), stop));
    let types = control.types.iter().map(|(action, stop)| (KillScope::Type(action.clone()), stop));
    global.chain(tenant).chain(rules).chain(types).collect()
}

/// What is under way, and may still reach its target.
fn table(flying: &[InFlight]) -> String {
    if flying.is_empty() {
        return "nothing is in flight\n".to_owned();
    }
    let mut table = show::table(&["in flight", "action", "for", "rules", "attempt", "worker", "lease until"]);
    for row in flying {
        let rules: Vec<&str> = row.rules.iter().map(|rule| rule.as_str()).collect();
        table.add_row(vec![
            Cell::new(row.enforcement),
            Cell::new(&row.action),
            Cell::new(&row.subject),
            Cell::new(rules.join(", ")),
            Cell::new(row.attempt),
            Cell::new(&row.worker),
            Cell::new(row.lease_until.map(|until| until.to_string()).unwrap_or_default()),
        ]);
    }
    format!("{table}\n{}", show::footer(flying.len(), None))
}
