//! Holds recorded cases of the event-pattern language against this crate: what the tool
//! `patterns` and the test on the reference data share.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::IgnoredAny;
use tipstaff::{Choice, Pattern, PatternErrors, PatternFault, Payload};

/// An operator that peers have and the language has not.
const FOREIGN: &str = "shellstyle";

/// One recorded case; patterns and events are JSON text.
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) question: Question,
}

/// What a case asks, and the recorded answer.
pub(crate) enum Question {
    Matches {
        pattern: String,
        event: String,
        expected: bool,
    },
    Valid {
        pattern: String,
        expected: bool,
    },
    /// An event that must be refused.
    BadEvent {
        event: String,
    },
}

/// How a case came out.
pub(crate) enum Outcome {
    Passed,
    /// Not as recorded, since the language differs here on purpose.
    ByDesign(&'static str),
    /// Not as recorded, and why.
    Failed(String),
}

/// How many cases came out how.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) by_design: BTreeMap<&'static str, usize>,
}

impl Case {
    /// Reads a line of the data: an object with `pattern`, `event` and `should_match`, with
    /// `pattern` and `valid`, or with `event` alone. Pattern and event are objects or texts.
    pub(crate) fn read(line: &str) -> Result<Self, String> {
        serde_json::from_str::<IgnoredAny>(line).map_err(|e| format!("no JSON: {e}"))?;
        let members = members(line);
        let text = |name: &str| {
            let raw = members.iter().find(|(member, _)| *member == name).map(|(_, raw)| *raw);
            raw.map(|raw| serde_json::from_str(raw).unwrap_or_else(|_| raw.to_owned()))
        };
        let truth = |name: &str| text(name).and_then(|text| text.parse::<bool>().ok());
        let question = match (text("pattern"), text("event"), truth("should_match"), truth("valid")) {
            (Some(pattern), Some(event), Some(expected), _) => Question::Matches { pattern, event, expected },
            (Some(pattern), _, None, Some(expected)) => Question::Valid { pattern, expected },
            (None, Some(event), None, None) => Question::BadEvent { event },
            _ => {
                return Err("expected the members `pattern`, `event` and `should_match`, or `pattern` and \
                            `valid`, or `event` without `pattern`"
                    .to_owned());
            }
        };
        Ok(Self { id: text("id").unwrap_or_default(), question })
    }

    /// Asks the crate.
    pub(crate) fn outcome(&self) -> Outcome {
        let Err(disagreement) = self.question.ask(None) else { return Outcome::Passed };
        let mut foreign = disagreement.names(FOREIGN);
        for choice in Choice::ALL {
            match self.question.ask(Some(*choice)) {
                Ok(()) => return Outcome::ByDesign(choice.name()),
                Err(switched) => foreign |= switched.names(FOREIGN),
            }
        }
        if foreign { Outcome::ByDesign(FOREIGN) } else { Outcome::Failed(disagreement.reason) }
    }
}

/// Why the answer is not the recorded one.
struct Disagreement {
    reason: String,
    /// The pattern's refusal, if that is it.
    refusal: Option<PatternErrors>,
}

impl Disagreement {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), refusal: None }
    }

    fn refused(errors: PatternErrors) -> Self {
        Self { reason: format!("pattern refused:\n{errors}"), refusal: Some(errors) }
    }

    /// Whether the pattern is refused for an operator of that name.
    fn names(&self, operator: &str) -> bool {
        let faults = self.refusal.iter().flatten().map(|error| &error.fault);
        let mut unknown = faults.filter_map(|fault| match fault {
            PatternFault::UnknownOperator { name, .. } => Some(name),
            _ => None,
        });
        unknown.any(|name| name == operator)
    }
}

impl Question {
    /// Asks with our choices, or with one switched to the peers' answer.
    fn ask(&self, peer: Option<Choice>) -> Result<(), Disagreement> {
        let pattern = |text: &str| match peer {
            None => Pattern::parse(text),
            Some(choice) => Pattern::parse_as_peer(text, choice),
        };
        let event = |text: &str| match peer {
            None => Payload::new(text),
            Some(choice) => Payload::new(choice.read(text)),
        };
        match self {
            Self::Matches { pattern: text, event: json, expected } => {
                let pattern = pattern(text).map_err(Disagreement::refused)?;
                let event = event(json).map_err(|e| Disagreement::new(format!("event refused: {e}")))?;
                if pattern.matches(&event) == *expected {
                    Ok(())
                } else {
                    Err(Disagreement::new(pattern.explain(&event).to_string()))
                }
            }
            Self::Valid { pattern: text, expected } => match (pattern(text), expected) {
                (Ok(_), true) | (Err(_), false) => Ok(()),
                (Ok(_), false) => Err(Disagreement::new("pattern accepted, and should not be")),
                (Err(e), true) => Err(Disagreement::refused(e)),
            },
            Self::BadEvent { event: json } => match event(json) {
                Err(_) => Ok(()),
                Ok(_) => Err(Disagreement::new("event accepted, and should not be")),
            },
        }
    }
}

impl Tally {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Passed => self.passed += 1,
            Outcome::ByDesign(choice) => *self.by_design.entry(choice).or_default() += 1,
            Outcome::Failed(_) => self.failed += 1,
        }
    }
}

/// `N passed, M failed, K by design`, with K split by choice.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.by_design.values().sum();
        write!(f, "{} passed, {} failed, {all} by design", self.passed, self.failed)?;
        for (i, (choice, count)) in self.by_design.iter().enumerate() {
            write!(f, "{}{count} {choice}", if i == 0 { " (" } else { ", " })?;
        }
        f.write_str(if all > 0 { ")" } else { "" })
    }
}

/// The members of a JSON object with their values as they stand in the text, since parsing them
/// would lose repeated names and the spelling of numbers. The text is known to be JSON.
pub(crate) fn members(object: &str) -> Vec<(String, &str)> {
    let mut members = Vec::new();
    let (mut depth, mut inside, mut escaped) = (0_usize, false, false);
    let (mut name, mut start) = (None, 0);
    for (at, byte) in object.bytes().enumerate() {
        if inside {
            inside = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => inside = true,
            b'[' => depth += 1,
            b'{' => {
                depth += 1;
                start = if depth == 1 { at + 1 } else { start };
            }
            b':' if depth == 1 => {
                name = serde_json::from_str::<String>(object[start..at].trim()).ok();
                start = at + 1;
            }
            b',' | b'}' if depth == 1 => {
                members.extend(name.take().map(|name| (name, object[start..at].trim())));
                start = at + 1;
            }
            _ => {}
        }
        if matches!(byte, b']' | b'}') {
            depth = depth.saturating_sub(1);
        }
    }
    members
}
