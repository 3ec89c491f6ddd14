#![cfg_attr(not(all(feature = "quamina", feature = "zen")), allow(dead_code))]
//! The engines, each behind the same steps: prepare (not measured), build, ask.

#[cfg(feature = "quamina")]
use std::panic::{AssertUnwindSafe, catch_unwind};

use tipstaff::{Matcher, Pattern, Payload, RuleIx, Scratch};

use crate::workload::Workload;

/// `ignore` is no engine: serde_json reads and ignores the event. `early` is ours when it need not
/// validate what stands behind the last thing that it needs; quamina always works so.
pub const NAMES: &[&str] = &["ours", "early", "naive", "quamina", "zen", "ignore"];

pub enum Prepared {
    Ours { patterns: Vec<Pattern>, early: bool },
    Naive(Vec<Pattern>),
    Quamina(Vec<String>),
    Zen(String),
    Ignore,
}

pub enum Engine {
    Ours {
        matcher: Matcher,
        scratch: Scratch,
        found: Vec<RuleIx>,
        early: bool,
        _patterns: Vec<Pattern>,
    },
    Naive(Vec<Pattern>),
    #[cfg(feature = "quamina")]
    Quamina(Box<quamina::Quamina<usize>>),
    #[cfg(feature = "zen")]
    Zen(zen_engine::Decision),
    Ignore,
}

impl Engine {
    /// What an engine is built from; none where it has no part in a workload.
    pub fn prepare(name: &str, workload: &Workload) -> Result<Option<Prepared>, String> {
        let patterns = || {
            let parsed =
                workload.patterns.iter().map(|text| text.parse()).collect::<Result<Vec<Pattern>, _>>();
            parsed.map_err(|e| e.to_string())
        };
        Ok(Some(match name {
            "ours" | "early" => Prepared::Ours { patterns: patterns()?, early: name == "early" },
            "naive" => Prepared::Naive(patterns()?),
            "quamina" => Prepared::Quamina(workload.patterns.clone()),
            "zen" => match &workload.table {
                Some(table) => Prepared::Zen(table.clone()),
                None => return Ok(None),
            },
            "ignore" => Prepared::Ignore,
            _ => return Err(format!("unknown engine `{name}`")),
        }))
    }

    pub fn build(prepared: Prepared) -> Result<Self, String> {
        Ok(match prepared {
            Prepared::Ours { patterns, early } => {
                let matcher = Matcher::new(patterns.iter().map(|pattern| ([""; 0], pattern.clone())));
                Self::Ours {
                    matcher,
                    scratch: Scratch::default(),
                    found: Vec::new(),
                    early,
                    _patterns: patterns,
                }
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

    /// How many rules match an event.
    pub fn count(&mut self, event: &str) -> Result<usize, String> {
        match self {
            Self::Ours { matcher, scratch, found, early, .. } => {
                found.clear();
                let answer = if *early {
                    matcher.matches_early(None, event.as_bytes(), scratch, found)
                } else {
                    matcher.matches(None, event.as_bytes(), scratch, found)
                };
                answer.map_err(|e| e.to_string())?;
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
                let mut event: serde_json::Value = serde_json::from_str(event).map_err(|e| e.to_string())?;
                // It knows no networks; an address is a number to it.
                let address =
                    event["source"]["ip"].as_str().and_then(|ip| ip.parse::<std::net::Ipv4Addr>().ok());
                event["address"] = serde_json::json!(address.map(u32::from));
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

    /// Another one for another thread, on the same rules; none where that is not measured.
    pub fn beside(&self) -> Option<Self> {
        match self {
            Self::Ours { matcher, early, .. } => Some(Self::Ours {
                matcher: matcher.clone(),
                scratch: Scratch::default(),
                found: Vec::new(),
                early: *early,
                _patterns: Vec::new(),
            }),
            _ => None,
        }
    }
}
