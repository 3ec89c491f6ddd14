//! Why something was done to somebody, and why a rule does nothing.

use serde_json::json;
use tipstaff::{
    EffectId, Enforcement, EnforcementId, EngineError, Filter, HeldEffect, MAX_PAGE, Order, Purpose, Subject,
};

use super::args::WhyNot;
use super::host::{Host, wait};
use super::{Failure, Output, log};
use crate::store::block_on;

/// Tells an enforcement back to its signal, and on to what stands of it.
pub(super) fn run(host: &Host, id: EnforcementId) -> Result<Output, Failure> {
    let (engine, tenant) = (&host.engine, &host.tenant);
    let record = wait(engine.enforcement(tenant, id))?;
    let decision = wait(engine.signal(tenant, record.origin.trigger))?;
    let view = match record.approval {
        Some(approval) => Some(wait(engine.approval_view(tenant, approval, host.now))?),
        None => None,
    };
    let (effect, undone) = match record.effect() {
        Some(id) => (standing(host, id)?, undone(host, &record, id)?),
        None => (None, Vec::new()),
    };
    let rules = wait(engine.rules(tenant, host.now))?;
    let conditions: Vec<(String, String)> = record
        .holders
        .iter()
        .map(|holder| {
            let now = rules.rule(&holder.rule).filter(|rule| rule.revision == holder.revision);
            let words = now.map_or_else(|| "it has changed since".to_owned(), |rule| rule.rule.conditions());
            (format!("rule `{}` revision {}", holder.rule, holder.revision), words)
        })
        .collect();
    if host.json {
        return Ok(Output::json(&json!({
            "enforcement": log::row(&record), "signal": decision, "rules": conditions,
            "approval": view.map(|view| view.approval), "effect": effect, "undone_by": undone,
        })));
    }
    let mut text = format!("{record}\n");
    text.push_str(&format!("because of {decision}\n"));
    for (rule, words) in &conditions {
        text.push_str(&format!("  {rule} asks for it on {words}\n"));
    }
    if let (Some(operator), Some(reason)) = (&record.origin.operator, &record.origin.reason) {
        text.push_str(&format!("  {operator} ordered it: {reason}\n"));
    }
    match &view {
        Some(view) => text.push_str(&format!("agreed to by\n  {view}\n")),
        None => text.push_str("nobody was asked first\n"),
    }
    match &effect {
        Some(effect) => text.push_str(&format!("what stands of it\n  {effect}\n")),
        None if record.inverse.is_some() => text.push_str("nothing stands of it yet\n"),
        None => {}
    }
    undone.iter().for_each(|undo| text.push_str(&format!("taken back by {undo}\n")));
    Ok(Output::ok(text))
}

/// What stands of an enforcement; none before it was carried out.
fn standing(host: &Host, id: EffectId) -> Result<Option<HeldEffect>, Failure> {
    match block_on(host.engine.effect(&host.tenant, id)) {
        Ok(effect) => Ok(Some(effect)),
        Err(EngineError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What takes the effect of an enforcement back, or is to.
fn undone(host: &Host, record: &Enforcement, effect: EffectId) -> Result<Vec<Enforcement>, Failure> {
    let is_it = |row: &Enforcement| matches!(&row.purpose, Purpose::Undo { effect: of, .. } if *of == effect);
    let filter = Filter::new(&host.tenant).user(record.subject.user.clone());
    let filter = filter.order(Order::Oldest).limit(MAX_PAGE);
    let mut found = Vec::new();
    let mut page = wait(host.engine.enforcements(filter.clone()))?;
    loop {
        found.extend(page.rows.into_iter().filter(is_it));
        let Some(cursor) = page.next else { return Ok(found) };
        page = wait(host.engine.enforcements(filter.clone().after(cursor)))?;
    }
}

/// Tells why a rule does not act on somebody.
pub(super) fn not(host: &Host, asked: &WhyNot) -> Result<Output, Failure> {
    let subject = Subject { session: asked.session.clone(), ..Subject::user(asked.subject.clone()) };
    let why = wait(host.engine.why_not(&host.tenant, &asked.rule, &subject, host.now))?;
    if host.json {
        return Ok(Output::json(&json!(why)));
    }
    Ok(Output::ok(format!("{why}\n")))
}
