//! Starting an action or a rule by hand.

use serde_json::json;
use sha2::{Digest, Sha256};
use tipstaff::{Decision, ManualOrder, ManualStart, ParamKind, ParamValue, Params, Subject};

use super::args::Start;
use super::host::{Host, wait};
use super::{Failure, Output};

/// Starts what is ordered.
pub(super) fn run(host: &Host, start: &Start) -> Result<Output, Failure> {
    let subject = match &start.session {
        Some(session) => Subject::session(start.subject.clone(), session.clone()),
        None => Subject::user(start.subject.clone()),
    };
    let order = match start.action.strip_prefix("rule:") {
        Some(_) if !start.params.is_empty() => {
            return Err(
                "a rule's actions have their parameters from the rule; accepted: `--param` with the type \
                        of an action"
                    .into(),
            );
        }
        Some(rule) => ManualOrder::Rule(rule.parse()?),
        None => {
            let action = start.action.parse()?;
            ManualOrder::Action { params: params(host, &action, &start.params)?, action }
        }
    };
    let id = match &start.id {
        Some(id) => id.clone(),
        None => {
            let parts = format!("{:?}{}{}{:?}{}", order, subject, start.reason, start.by, host.now);
            let digest = Sha256::digest(parts.as_bytes());
            digest.iter().take(8).fold("manual-".to_owned(), |text, byte| format!("{text}{byte:02x}"))
        }
    };
    let order = ManualStart {
        tenant: host.tenant.clone(),
        id: id.parse()?,
        operator: start.by.clone(),
        subject,
        at: host.now,
        reason: start.reason.clone(),
        order,
        break_glass: start.break_glass,
    };
    let decision: Decision = wait(host.engine.start(order, host.now))?;
    if host.json { Ok(Output::json(&json!(decision))) } else { Ok(Output::ok(format!("{decision}\n"))) }
}

/// The texts of the command line as the values that the action's parameters take.
fn params(host: &Host, action: &tipstaff::ActionType, given: &[(String, String)]) -> Result<Params, Failure> {
    let rules = wait(host.engine.rules(&host.tenant, host.now))?;
    let spec = rules.catalog().get(action);
    let value = |(name, text): &(String, String)| {
        let kind =
            spec.and_then(|spec| spec.params.iter().find(|p| &p.name == name)).map(|param| &param.kind);
        let value = match kind {
            Some(ParamKind::Integer { .. } | ParamKind::Number) => text.parse().ok().map(ParamValue::Number),
            Some(ParamKind::Flag) => text.parse().ok().map(ParamValue::Flag),
            _ => None,
        };
        (name.clone(), value.unwrap_or_else(|| ParamValue::Text(text.clone())))
    };
    Ok(given.iter().map(value).collect())
}
