//! The engines, each behind the same three steps: prepare (not measured), build, ask.

use tipstaff::{Matcher, Pattern, Payload, RuleIx, Scratch};

use crate::workload::Rule;

pub const NAMES: &[&str] = &["ours", "naive", "ignore"];

pub enum Prepared {
    Ours(Vec<Pattern>),
    Naive(Vec<Pattern>),
    Ignore,
}

pub enum Engine {
    Ours { matcher: Matcher, scratch: Scratch, found: Vec<RuleIx>, _patterns: Vec<Pattern> },
    Naive(Vec<Pattern>),
    /// No engine: serde_json reads and ignores the event.
    Ignore,
}

impl Engine {
    pub fn prepare(name: &str, rules: &[Rule]) -> Result<Prepared, String> {
        let patterns = || rules.iter().map(|rule| rule.pattern().parse()).collect::<Result<Vec<Pattern>, _>>();
        Ok(match name {
            "ours" => Prepared::Ours(patterns().map_err(|e| e.to_string())?),
            "naive" => Prepared::Naive(patterns().map_err(|e| e.to_string())?),
            "ignore" => Prepared::Ignore,
            _ => return Err(format!("unknown engine `{name}`")),
        })
    }

    pub fn build(prepared: Prepared) -> Result<Self, String> {
        Ok(match prepared {
            Prepared::Ours(patterns) => {
                let none: &[&str] = &[];
                let matcher = Matcher::new(patterns.iter().map(|pattern| (none, pattern.clone())));
                Self::Ours { matcher, scratch: Scratch::default(), found: Vec::new(), _patterns: patterns }
            }
            Prepared::Naive(patterns) => Self::Naive(patterns),
            Prepared::Ignore => Self::Ignore,
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
            Self::Ignore => {
                let ignored = serde_json::from_str::<serde::de::IgnoredAny>(event).map_err(|e| e.to_string())?;
                std::hint::black_box(ignored);
                Ok(0)
            }
        }
    }
}
