//! The alternatives of a field's list: what each asks of one value.

use super::address::Network;
use super::number::{Number, Range};
use super::text::TextTest;
use crate::json::Value;

/// What an alternative asks of a value: a text, a number, a boolean or null.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Null,
    Bool(bool),
    /// Boxed, as it would make all others larger.
    Number(Box<Number>),
    Text(TextTest),
    /// No text of these; every other value passes.
    ButTexts(Box<[TextTest]>),
    /// No number of these; every other value passes.
    ButNumbers(Box<[Number]>),
    Numeric(Box<Range>),
    Network(Network),
    Exists,
    /// No value passes: there must be none.
    Absent,
}

impl Test {
    pub(crate) fn passes(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Absent, _) | (_, Value::Array(_) | Value::Object(_)) => false,
            (Self::Exists, _) => true,
            (Self::ButTexts(unwanted), Value::Text(text)) => !unwanted.iter().any(|test| test.passes(text)),
            (Self::ButNumbers(unwanted), Value::Number(text)) => !unwanted.iter().any(|n| n.equals(text)),
            (Self::ButTexts(_) | Self::ButNumbers(_), _) => true,
            (Self::Null, value) => matches!(value, Value::Null),
            (Self::Bool(wanted), Value::Bool(found)) => wanted == found,
            (Self::Number(wanted), Value::Number(text)) => wanted.equals(text),
            (Self::Numeric(range), Value::Number(text)) => range.contains(text),
            (Self::Text(test), Value::Text(text)) => test.passes(text),
            (Self::Network(network), Value::Text(text)) => network.contains(text),
            (Self::Bool(_) | Self::Number(_) | Self::Numeric(_) | Self::Text(_) | Self::Network(_), _) => {
                false
            }
        }
    }
}
