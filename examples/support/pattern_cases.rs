//! Holds recorded cases of the event-pattern language against this crate: what the tool
//! `patterns` and the test on the reference data share.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::IgnoredAny;
use tipstaff::{Choice, Pattern, PatternErrors, PatternFault, Payload};

/// An operator that peers have and the language has not.
const FOREIGN: &str = "shellstyle";

/// One recorded case; patterns and events are JSON text.
pub struct Case {
    pub id: String,
    pub question: Question,
}

/// What a case asks, and the recorded answer.
pub enum Question {
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
pub enum Outcome {
    Passed,
    /// Not as recorded, since the language differs here on purpose.
    ByDesign(&'static str),
    /// Not as recorded, and why.
    Failed(String),
}

/// How many cases came out how.
#[derive(Default)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub by_design: BTreeMap<&'static str, usize>,
}

impl Case {
    /// Reads a line of the data: an object with `pattern`, `event` and `should_match`, with
    /// `pattern` and `valid`, or with `event` alone. Pattern and event are objects or texts.
    pub fn read(line: &str) -> Result<Self, String> {
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
    pub fn outcome(&self) -> Outcome {
        let Err((reason, refusal)) = self.question.ask(None) else { return Outcome::Passed };
        let switched = |choice: &&Choice| self.question.ask(Some(**choice)).is_ok();
        if let Some(choice) = Choice::ALL.iter().find(switched) {
            return Outcome::ByDesign(choice.name());
        }
        let foreign = |fault: &PatternFault| matches!(fault, PatternFault::UnknownOperator { name, .. } if name == FOREIGN);
        match refusal {
            Some(errors) if errors.iter().any(|e| foreign(&e.fault)) => Outcome::ByDesign(FOREIGN),
            _ => Outcome::Failed(reason),
        }
    }
}

/// Why the answer is not the recorded one; with the pattern's refusal, if that is it.
type Disagreement = (String, Option<PatternErrors>);

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
                let pattern = pattern(text).map_err(|e| (format!("pattern refused:\n{e}"), Some(e)))?;
                let event = event(json).map_err(|e| (format!("event refused: {e}"), None))?;
                match pattern.matches(&event) == *expected {
                    true => Ok(()),
                    false => Err((pattern.explain(&event).to_string(), None)),
                }
            }
            Self::Valid { pattern: text, expected } => match (pattern(text), expected) {
                (Ok(_), true) | (Err(_), false) => Ok(()),
                (Ok(_), false) => Err(("pattern accepted, and should not be".to_owned(), None)),
                (Err(e), true) => Err((format!("pattern refused:\n{e}"), Some(e))),
            },
            Self::BadEvent { event: json } => match event(json) {
                Err(_) => Ok(()),
                Ok(_) => Err(("event accepted, and should not be".to_owned(), None)),
            },
        }
    }
}

impl Tally {
    pub fn add(&mut self, outcome: &Outcome) {
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
fn members(object: &str) -> Vec<(String, &str)> {
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
