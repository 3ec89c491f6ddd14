#![cfg_attr(not(all(feature = "quamina", feature = "zen")), allow(dead_code))]
//! The engines, each behind the same three steps: prepare (not measured), build, ask.

#[cfg(feature = "quamina")]
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};
use tipstaff::{Matcher, Pattern, Payload, RuleIx, Scratch};

use crate::workload::{Rule, country, department, kind, thousandths};

/// `ignore` is no engine: serde_json reads and ignores the event.
pub const NAMES: &[&str] = &["ours", "naive", "quamina", "zen", "ignore"];

pub enum Prepared {
    Ours(Vec<Pattern>),
    Naive(Vec<Pattern>),
    Quamina(Vec<String>),
    Zen(String),
    Ignore,
}

pub enum Engine {
    Ours { matcher: Matcher, scratch: Scratch, found: Vec<RuleIx>, _patterns: Vec<Pattern> },
    Naive(Vec<Pattern>),
    #[cfg(feature = "quamina")]
    Quamina(Box<quamina::Quamina<usize>>),
    #[cfg(feature = "zen")]
    Zen(zen_engine::Decision),
    Ignore,
}

impl Engine {
    pub fn prepare(name: &str, rules: &[Rule]) -> Result<Prepared, String> {
        let texts = || rules.iter().map(Rule::pattern);
        let patterns = || texts().map(|text| text.parse()).collect::<Result<Vec<Pattern>, _>>();
        Ok(match name {
            "ours" => Prepared::Ours(patterns().map_err(|e| e.to_string())?),
            "naive" => Prepared::Naive(patterns().map_err(|e| e.to_string())?),
            "quamina" => Prepared::Quamina(texts().collect()),
            "zen" => Prepared::Zen(table(rules)),
            "ignore" => Prepared::Ignore,
            _ => return Err(format!("unknown engine `{name}`")),
        })
    }

    pub fn build(prepared: Prepared) -> Result<Self, String> {
        Ok(match prepared {
            Prepared::Ours(patterns) => {
                let matcher = Matcher::new(patterns.iter().map(|pattern| ([""; 0], pattern.clone())));
                Self::Ours { matcher, scratch: Scratch::default(), found: Vec::new(), _patterns: patterns }
            }
            Prepared::Naive(patterns) => Self::Naive(patterns),
            Prepared::Ignore => Self::Ignore,
            #[cfg(feature = "quamina")]
            Prepared::Quamina(patterns) => {
                let mut quamina = quamina::Quamina::new();
                for (i, pattern) in patterns.iter().enumerate() {
                    let added = catch_unwind(AssertUnwindSafe(|| quamina.add_pattern(i, pattern)));
                    added.map_err(|_| format!("panics at pattern {i}"))?.map_err(|e| e.to_string())?;
                }
                Self::Quamina(Box::new(quamina))
            }
            #[cfg(feature = "zen")]
            Prepared::Zen(table) => {
                let content: zen_engine::model::DecisionContent =
                    serde_json::from_str(&table).map_err(|e| e.to_string())?;
                let decision = zen_engine::DecisionEngine::default().create_decision(content.into());
                let mut decision = decision.map_err(|e| format!("{e:?}"))?;
                decision.compile();
                Self::Zen(decision)
            }
            #[cfg(not(all(feature = "quamina", feature = "zen")))]
            _ => return Err("left out of this build".to_owned()),
        })
    }

    pub fn count(&mut self, event: &str) -> Result<usize, String> {
        match self {
            Self::Ours { matcher, scratch, found, .. } => {
                found.clear();
                matcher.matches(None, event.as_bytes(), scratch, found).map_err(|e| e.to_string())?;
                Ok(found.len())
            }
            Self::Naive(patterns) => {
                let payload = Payload::new(event).map_err(|e| e.to_string())?;
                Ok(Pattern::matching(patterns, &payload).len())
            }
            #[cfg(feature = "quamina")]
            Self::Quamina(quamina) => {
                let found = catch_unwind(AssertUnwindSafe(|| quamina.matches_for_event(event.as_bytes())));
                Ok(found.map_err(|_| "panics at an event")?.map_err(|e| e.to_string())?.len())
            }
            #[cfg(feature = "zen")]
            Self::Zen(decision) => {
                let mut event: Value = serde_json::from_str(event).map_err(|e| e.to_string())?;
                // It knows no networks; an address is a number to it.
                let address = event["source"]["ip"].as_str().and_then(|ip| ip.parse::<std::net::Ipv4Addr>().ok());
                event["address"] = json!(address.map(u32::from));
                let answer = tipstaff::ready(decision.evaluate(event.into())).map_err(|e| e.to_string())?;
                let answer = answer.map_err(|e| format!("{e:?}"))?;
                Ok(answer.result.as_array().map_or(0, |found| found.borrow().len()))
            }
            Self::Ignore => {
                let ignored = serde_json::from_str::<serde::de::IgnoredAny>(event);
                std::hint::black_box(ignored.map_err(|e| e.to_string())?);
                Ok(0)
            }
        }
    }
}

/// The rules as one decision table that collects every row.
fn table(rules: &[Rule]) -> String {
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
