//! Every action type and every audit code.

use comfy_table::Cell;
use serde_json::{Value, json};
use tipstaff::{ActionCatalog, ActionSpec, AuditCatalog};

use super::args::Cli;
use super::{Output, show};

/// Lists the catalogues.
pub(super) fn run(cli: &Cli) -> Output {
    let (actions, codes) = (ActionCatalog::default(), AuditCatalog::default());
    if cli.json {
        return Output::json(&json!({
            "actions": actions.iter().map(action).collect::<Vec<_>>(),
            "audit": codes.codes().map(|code| json!({
                "code": code.as_str(),
                "severity": code.severity(),
                "domain": code.domain(),
                "description": code.description(),
                "retention": code.retention().category,
                "retention_at_least": code.retention().at_least,
                "superseded_by": code.built_in().and_then(tipstaff::AuditCode::superseded_by),
                "aggregate": code.built_in().is_some_and(tipstaff::AuditCode::is_aggregate),
            })).collect::<Vec<_>>(),
        }));
    }
    let mut types = show::table(&[
        "action",
        "title",
        "category",
        "approval",
        "restricts",
        "retry",
        "inverse",
        "parameters",
    ]);
    for spec in actions.iter() {
        let params: Vec<_> = spec
            .params
            .iter()
            .map(|p| if p.required { p.name.clone() } else { format!("[{}]", p.name) })
            .collect();
        types.add_row(vec![
            Cell::new(&spec.name),
            Cell::new(&spec.title),
            Cell::new(spec.category),
            Cell::new(if spec.approval { "yes" } else { "no" }),
            Cell::new(if spec.restricts { "yes" } else { "no" }),
            Cell::new(spec.retry),
            Cell::new(spec.inverse.as_ref().map(ToString::to_string).unwrap_or_default()),
            Cell::new(params.join(", ") + if spec.open { " …" } else { "" }),
        ]);
    }
    let mut audit = show::table(&["code", "severity", "domain", "kept at least", "meaning"]);
    for code in codes.codes() {
        audit.add_row(vec![
            Cell::new(code.as_str()),
            show::severity(code.severity()),
            Cell::new(code.domain()),
            Cell::new(code.retention().at_least),
            Cell::new(code.description()),
        ]);
    }
    Output::ok(format!("{types}\n\n{audit}\n"))
}

fn action(spec: &ActionSpec) -> Value {
    json!({
        "name": spec.name, "title": spec.title, "category": spec.category, "approval": spec.approval,
        "restricts": spec.restricts, "inverse": spec.inverse, "retry": spec.retry, "success": spec.success,
        "channel": spec.channel, "open": spec.open,
        "params": spec.params.iter().map(|param| json!({
            "name": param.name, "about": param.about, "accepted": param.kind.to_string(), "required": param.required,
        })).collect::<Vec<_>>(),
    })
}
