//! The rules as zen-engine knows them.

use serde_json::{Value, json};

use crate::workload::{Rule, country, department, kind, thousandths};

/// The rules as one decision table that collects every row.
pub fn table(rules: &[Rule]) -> String {
    let quoted = |all: Vec<String>| all.iter().map(|one| format!("\"{one}\"")).collect::<Vec<_>>().join(", ");
    let rows: Vec<Value> = rules
        .iter()
        .enumerate()
        .map(|(i, rule)| {
            let countries = quoted(rule.not_from.iter().map(|i| country(*i)).collect());
            let risk = rule.risk.map(|(a, b)| format!("[{}..{})", thousandths(a), thousandths(b)));
            let network = rule.network.map(|(base, bits)| {
                let last = base | u32::MAX.checked_shr(bits).unwrap_or(0);
                format!("[{base}..{last}]")
            });
            json!({
                "_id": format!("r{i}"),
                "type": format!("\"{}\"", kind(rule.kind)),
                "department": quoted(rule.departments.iter().map(|i| department(*i)).collect()),
                "risk": risk.unwrap_or_default(),
                "address": network.unwrap_or_default(),
                "country": if countries.is_empty() { countries } else { format!("not in [{countries}]") },
                "rule": i.to_string(),
            })
        })
        .collect();
    let input = |id: &str, field: &str| json!({"id": id, "name": id, "field": field});
    json!({
        "nodes": [
            {"id": "in", "name": "in", "type": "inputNode"},
            {"id": "table", "name": "table", "type": "decisionTableNode", "content": {
                "hitPolicy": "collect",
                "inputs": [
                    input("type", "type"), input("department", "actor.department"), input("risk", "risk"),
                    input("address", "address"), input("country", "geo.country"),
                ],
                "outputs": [{"id": "rule", "name": "rule", "field": "rule"}],
                "rules": rows,
            }},
            {"id": "out", "name": "out", "type": "outputNode"},
        ],
        "edges": [
            {"id": "a", "sourceId": "in", "targetId": "table", "type": "edge"},
            {"id": "b", "sourceId": "table", "targetId": "out", "type": "edge"},
        ],
    })
    .to_string()
}
