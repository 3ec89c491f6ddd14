//! An event's JSON, read once.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::decimal::Decimal;
use crate::json::{self, Node, SyntaxError, Value};

/// The longest payload, in bytes: 1 MiB.
pub const MAX_PAYLOAD_BYTES: usize = 1 << 20;

/// What a signal says: a JSON object, kept as the text that came and known to be valid.
///
/// Members may repeat (their copies count as elements of one array), numbers stay exact, and a
/// clone costs a counter. It serialises as a text.
///
/// ```
/// let payload = tipstaff::Payload::new(r#"{"user": "ann"}"#).unwrap();
/// assert_eq!(payload.text(), r#"{"user": "ann"}"#);
/// let refused = tipstaff::Payload::new(r#"{"user": ann}"#).unwrap_err();
/// assert_eq!((refused.offset(), refused.into_text()), (9, r#"{"user": ann}"#.to_owned()));
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Payload(Arc<str>);

/// A text that is no payload; it gives the text back.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{fault}")]
pub struct PayloadError {
    text: String,
    fault: PayloadFault,
}

/// Why a text is no payload.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadFault {
    /// It is not JSON.
    #[error("no JSON at {0}")]
    Syntax(SyntaxError),
    /// It is JSON, but no object.
    #[error("expected a JSON object at offset {offset}, found {found}")]
    NotAnObject {
        /// Where the value begins, in bytes.
        offset: usize,
        /// What stands there.
        found: &'static str,
    },
    /// A number is too long to be compared exactly.
    #[error("the number at offset {offset} is too long: {}", crate::decimal::DecimalError)]
    Number {
        /// Where the number begins, in bytes.
        offset: usize,
    },
    /// It is longer than [`MAX_PAYLOAD_BYTES`].
    #[error("{bytes} bytes; at most 1048576 are accepted")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl Payload {
    /// Reads and checks a payload.
    ///
    /// # Errors
    /// [`PayloadError`] where the text is no JSON object, is longer than [`MAX_PAYLOAD_BYTES`],
    /// nests deeper than [`MAX_JSON_DEPTH`](crate::MAX_JSON_DEPTH) or has a number that no
    /// [`Decimal`] holds.
    pub fn new(text: impl Into<String>) -> Result<Self, PayloadError> {
        let text = text.into();
        match check(&text) {
            Ok(()) => Ok(Self(text.into())),
            Err(fault) => Err(PayloadError { text, fault }),
        }
    }

    /// The text, as it came.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The payload as a tree; the text is read again.
    pub(crate) fn tree(&self) -> Node<'_> {
        json::parse(self.0.as_bytes()).expect("the text was checked when the payload was made")
    }
}

fn check(text: &str) -> Result<(), PayloadFault> {
    if text.len() > MAX_PAYLOAD_BYTES {
        return Err(PayloadFault::TooLong { bytes: text.len() });
    }
    let node = json::parse(text.as_bytes()).map_err(PayloadFault::Syntax)?;
    match &node.value {
        Value::Object(_) => check_numbers(&node),
        _ => Err(PayloadFault::NotAnObject { offset: node.at, found: node.kind() }),
    }
}

fn check_numbers(node: &Node<'_>) -> Result<(), PayloadFault> {
    match &node.value {
        Value::Number(text) if text.parse::<Decimal>().is_err() => {
            Err(PayloadFault::Number { offset: node.at })
        }
        Value::Array(items) => items.iter().try_for_each(check_numbers),
        Value::Object(members) => members.iter().try_for_each(|member| check_numbers(&member.node)),
        _ => Ok(()),
    }
}

impl PayloadError {
    /// The text that was refused.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// What is wrong with it.
    #[must_use]
    pub fn fault(&self) -> &PayloadFault {
        &self.fault
    }

    /// Where it is wrong: bytes before the fault.
    #[must_use]
    pub fn offset(&self) -> usize {
        match &self.fault {
            PayloadFault::Syntax(e) => e.offset,
            PayloadFault::NotAnObject { offset, .. } | PayloadFault::Number { offset } => *offset,
            PayloadFault::TooLong { .. } => MAX_PAYLOAD_BYTES,
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Payload {
    type Err = PayloadError;
    fn from_str(text: &str) -> Result<Self, PayloadError> {
        Self::new(text)
    }
}

impl TryFrom<serde_json::Value> for Payload {
    type Error = PayloadError;
    fn try_from(value: serde_json::Value) -> Result<Self, PayloadError> {
        Self::new(value.to_string())
    }
}

impl TryFrom<serde_json::Map<String, serde_json::Value>> for Payload {
    type Error = PayloadError;
    fn try_from(map: serde_json::Map<String, serde_json::Value>) -> Result<Self, PayloadError> {
        serde_json::Value::Object(map).try_into()
    }
}

crate::words::serde_as_text!(Payload);
