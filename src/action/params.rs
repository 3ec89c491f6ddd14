//! Parameters of actions: their types, their values, and values taken from the signal.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::catalog::ActionSpec;
use crate::decimal::Decimal;
use crate::time::Span;

/// The most parameters of one action.
pub const MAX_PARAMS: usize = 64;
/// The longest value of a parameter, in bytes, after its variables are filled in.
pub const MAX_PARAM_BYTES: usize = 4_096;

/// The parameters of one action, by name.
pub type Params = BTreeMap<String, ParamValue>;

/// The value of a parameter.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ParamValue {
    /// A text; in a rule it may have variables such as `{event.published}`.
    Text(String),
    /// An exact number.
    Number(Decimal),
    /// Yes or no.
    Flag(bool),
}

impl From<&str> for ParamValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
            Self::Flag(flag) => flag.fmt(f),
        }
    }
}

/// One parameter that an action type declares.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// What it means, in a few words.
    pub about: String,
    /// What it may be.
    pub kind: ParamKind,
    /// Whether it must be given.
    pub required: bool,
}

/// What a parameter may be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ParamKind {
    /// Any text that is not empty.
    Text,
    /// A whole number within bounds, both included.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// Any exact number.
    Number,
    /// Yes or no.
    Flag,
    /// A span of time as people write it.
    Duration,
    /// One of these texts.
    Choice(Vec<String>),
}

impl ParamKind {
    /// One of these texts.
    #[must_use]
    pub fn choice(texts: &[&str]) -> Self {
        Self::Choice(texts.iter().map(|text| (*text).to_owned()).collect())
    }

    /// Whether a value without variables is one of these.
    fn holds(&self, value: &ParamValue) -> bool {
        match (self, value) {
            (Self::Text, ParamValue::Text(text)) => !text.trim().is_empty(),
            (Self::Integer { min, max }, ParamValue::Number(number)) => {
                let whole = number.to_string().parse::<i64>();
                whole.is_ok_and(|n| (*min..=*max).contains(&n))
            }
            (Self::Number, ParamValue::Number(_)) | (Self::Flag, ParamValue::Flag(_)) => true,
            (Self::Duration, ParamValue::Text(text)) => text.parse::<Span>().is_ok(),
            (Self::Choice(texts), ParamValue::Text(text)) => texts.contains(text),
            _ => false,
        }
    }
}

impl fmt::Display for ParamKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("a text that is not empty"),
            Self::Integer { min, max } => write!(f, "a whole number from {min} to {max}"),
            Self::Number => f.write_str("a number"),
            Self::Flag => f.write_str("true or false"),
            Self::Duration => f.write_str("a span of time such as `14d`"),
            Self::Choice(texts) => write!(f, "one of `{}`", texts.join("`, `")),
        }
    }
}

impl Param {
    /// A required parameter.
    #[must_use]
    pub fn new(name: impl Into<String>, about: impl Into<String>, kind: ParamKind) -> Self {
        Self { name: name.into(), about: about.into(), kind, required: true }
    }

    /// A required text.
    #[must_use]
    pub fn text(name: impl Into<String>, about: impl Into<String>) -> Self {
        Self::new(name, about, ParamKind::Text)
    }

    /// The same parameter, which may be left out.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { required: false, ..self }
    }
}

/// What is wrong with the parameters of an action, and with which.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("parameter `{name}` {fault}")]
pub struct ParamProblem {
    /// The parameter's name.
    pub name: String,
    /// What is wrong.
    pub fault: ParamFault,
}

/// What is wrong with a parameter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ParamFault {
    /// It must be given.
    #[error("is missing; accepted: {accepted}")]
    Missing {
        /// What it may be.
        accepted: String,
    },
    /// The type has no such parameter.
    #[error("is not one of `{action}`; accepted: {accepted}")]
    Unknown {
        /// The action type.
        action: String,
        /// The parameters that it has.
        accepted: String,
    },
    /// The value is of another kind.
    #[error("is `{found}`; accepted: {accepted}")]
    Kind {
        /// What was given.
        found: String,
        /// What it may be.
        accepted: String,
    },
    /// The value is longer than [`MAX_PARAM_BYTES`].
    #[error("has {0} bytes; accepted: at most 4096")]
    TooLong(usize),
    /// More than [`MAX_PARAMS`] parameters were given; this is the first too many.
    #[error("is one too many; accepted: at most 64 parameters")]
    TooMany,
    /// The text's variables cannot be read.
    #[error("has a fault in its variables: {0}")]
    Template(TemplateError),
}

/// When parameters are checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// As a rule gives them: a text may have variables, which are not known yet.
    Written,
    /// As they are handed on: the variables have been filled in, and a brace is a brace.
    Filled,
}

/// Checks parameters against their type, and tells every fault.
///
/// # Errors
/// Every [`ParamProblem`], by name.
pub fn check_params(spec: &ActionSpec, params: &Params, stage: Stage) -> Result<(), Vec<ParamProblem>> {
    let mut problems = Vec::new();
    let mut problem = |name: &str, fault| problems.push(ParamProblem { name: name.to_owned(), fault });
    for param in spec.params.iter().filter(|p| p.required && !params.contains_key(&p.name)) {
        problem(&param.name, ParamFault::Missing { accepted: param.kind.to_string() });
    }
    for (i, (name, value)) in params.iter().enumerate() {
        if i >= MAX_PARAMS {
            problem(name, ParamFault::TooMany);
            break;
        }
        let length = if let ParamValue::Text(text) = value { text.len() } else { 0 };
        if length > MAX_PARAM_BYTES {
            problem(name, ParamFault::TooLong(length));
            continue;
        }
        let kind = match spec.params.iter().find(|p| &p.name == name) {
            Some(param) => &param.kind,
            None if spec.open => continue,
            None => {
                let names: Vec<_> = spec.params.iter().map(|p| format!("`{}`", p.name)).collect();
                let accepted = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                problem(name, ParamFault::Unknown { action: spec.name.to_string(), accepted });
                continue;
            }
        };
        let variable = match value {
            ParamValue::Text(text) if stage == Stage::Written => match text.parse::<Template>() {
                Ok(template) => !template.is_plain(),
                Err(error) => {
                    problem(name, ParamFault::Template(error));
                    continue;
                }
            },
            _ => false,
        };
        if !variable && !kind.holds(value) {
            let found: String = value.to_string().chars().take(80).collect();
            problem(name, ParamFault::Kind { found, accepted: kind.to_string() });
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// A text with variables in braces: `{subject}`, `{event.actor.alternateId}`; `{{` and `}}` stand
/// for the braces themselves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Piece {
    Plain(String),
    Variable(String),
}

/// A text whose variables cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "offset {offset}: a brace without its pair; accepted: `{{variable}}`, and `{{{{` or `}}}}` for a brace itself"
)]
pub struct TemplateError {
    /// Bytes before the brace.
    pub offset: usize,
}

impl Template {
    /// Whether it has no variables.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Plain(_)))
    }

    /// The variables' names, in their order.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Plain(_) => None,
        })
    }

    /// Fills the variables in. A variable without a value is an error, never an empty text
    /// (behaviour 5.3).
    ///
    /// # Errors
    /// The name of the first variable that `value` does not know.
    pub fn fill(&self, mut value: impl FnMut(&str) -> Option<String>) -> Result<String, String> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Plain(text) => out.push_str(text),
                Piece::Variable(name) => out.push_str(&value(name).ok_or_else(|| name.clone())?),
            }
        }
        Ok(out)
    }
}

impl FromStr for Template {
    type Err = TemplateError;
    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let offset = text.len() - rest.len() + at;
            plain.push_str(&rest[..at]);
            let brace = &rest[at..at + 1];
            let after = &rest[at + 1..];
            if let Some(doubled) = after.strip_prefix(brace) {
                plain.push_str(brace);
                rest = doubled;
                continue;
            }
            let variable = if brace == "{" { after.split_once('}') } else { None };
            let (name, tail) = variable.ok_or(TemplateError { offset })?;
            if name.trim().is_empty() || name.contains('{') {
                return Err(TemplateError { offset });
            }
            if !plain.is_empty() {
                pieces.push(Piece::Plain(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Variable(name.trim().to_owned()));
            rest = tail;
        }
        plain.push_str(rest);
        if !plain.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Plain(plain));
        }
        Ok(Self(pieces))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::BuiltinAction;

    fn fill(text: &str) -> Result<String, String> {
        let template: Template = text.parse().map_err(|e: TemplateError| e.to_string())?;
        template.fill(|name| (name == "subject").then(|| "ana".to_owned()))
    }

    #[test]
    fn variables_are_filled_and_a_missing_one_is_named() {
        assert_eq!(fill("for { subject }: {{x}}"), Ok("for ana: {x}".to_owned()));
        assert_eq!(fill("{event.ip}"), Err("event.ip".to_owned()));
        assert_eq!(fill(""), Ok(String::new()));
        for bad in ["{", "a}", "{}", "{a{b}"] {
            assert!(bad.parse::<Template>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_fault_of_an_actions_parameters_is_told_at_once() {
        let spec = BuiltinAction::CreateTicket.spec();
        let params = Params::from([
            ("queue".into(), " ".into()),
            ("priority".into(), "soon".into()),
            ("colour".into(), ParamValue::Flag(true)),
            ("body".into(), "{".into()),
        ]);
        let names: Vec<_> =
            check_params(&spec, &params, Stage::Written).unwrap_err().into_iter().map(|p| p.name).collect();
        assert_eq!(names, ["title", "body", "colour", "priority", "queue"]);
        let params = Params::from([("queue".into(), "{subject}".into()), ("title".into(), "t".into())]);
        assert_eq!(check_params(&spec, &params, Stage::Written), Ok(()));
    }
}
