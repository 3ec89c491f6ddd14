//! Why a pattern is refused.

use std::fmt;

use crate::decimal::DecimalError;
use crate::json::{SyntaxError, SyntaxFault};

/// Everything that is wrong with a pattern; never empty, in the order of the text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PatternErrors(Vec<PatternError>);

/// One fault of a pattern, and its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PatternError {
    /// The place as JSON pointer (RFC 6901), such as `/detail/state/0`; empty for the whole
    /// pattern. A pattern inside a rule document has the document's pointer.
    pub pointer: String,
    /// The place in bytes from the beginning of the text that was read.
    pub offset: usize,
    /// What is wrong there, and what would be accepted.
    pub fault: PatternFault,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternFault {
    /// The text is not JSON.
    #[error("{0}")]
    Syntax(SyntaxFault),
    /// The pattern is longer than [`MAX_PATTERN_BYTES`](super::MAX_PATTERN_BYTES).
    #[error("a pattern of {0} bytes; at most 65536 are accepted")]
    TooLong(usize),
    /// A path has more steps than [`MAX_PATTERN_DEPTH`](super::MAX_PATTERN_DEPTH).
    #[error("a path of {0} steps; at most 512 are accepted")]
    TooDeep(usize),
    /// More fields than [`MAX_PATTERN_FIELDS`](super::MAX_PATTERN_FIELDS).
    #[error("{0} fields, counted once for each branch of `$or`; at most 4096 are accepted")]
    TooManyFields(u64),
    /// More branches than [`MAX_PATTERN_BRANCHES`](super::MAX_PATTERN_BRANCHES).
    #[error("`$or` multiplies out to {0} branches; at most 1024 are accepted")]
    TooManyBranches(u64),
    /// A list is longer than [`MAX_ALTERNATIVES`](super::MAX_ALTERNATIVES).
    #[error("a list of {0}; at most 2048 are accepted")]
    TooManyAlternatives(usize),
    /// A text has more stars than [`MAX_WILDCARDS`](super::MAX_WILDCARDS).
    #[error("{0} wildcards in one text; at most 64 are accepted")]
    TooManyWildcards(usize),
    /// The pattern is no object.
    #[error("expected an object of fields such as {{\"state\": [\"running\"]}}, found {found}")]
    NotAnObject {
        /// What stands there.
        found: &'static str,
    },
    /// An object of a pattern names no field.
    #[error("an object without fields; name at least one, such as {{\"state\": [\"running\"]}}")]
    NoFields,
    /// A field has neither alternatives nor fields of its own.
    #[error("expected a list of alternatives such as [\"running\"], or an object of fields, found {found}")]
    NotAList {
        /// What stands there.
        found: &'static str,
    },
    /// A list without members can never match.
    #[error("an empty list can never match; name at least one alternative")]
    EmptyList,
    /// One object names a key twice.
    #[error("the key `{0}` is repeated; write all its alternatives in one list")]
    RepeatedKey(String),
    /// One path is named twice, in different spellings.
    #[error("the field `{0}` is named twice; write all its alternatives in one list")]
    RepeatedField(String),
    /// An operator's name as a field inside `$or`.
    #[error(
        "`{0}` cannot name a field inside `$or`: operators stand in a field's list, as in {{\"field\": [{{\"prefix\": \"a\"}}]}}"
    )]
    Reserved(String),
    /// `$or` is not what it must be.
    #[error("`$or` takes a list of at least two objects of fields, found {found}")]
    Or {
        /// What stands there.
        found: String,
    },
    /// A member of a list is no alternative.
    #[error(
        "expected a text, a number, `true`, `false`, `null` or an object with an operator, found {found}"
    )]
    NotAnAlternative {
        /// What stands there.
        found: &'static str,
    },
    /// An object that should name one operator names none or several.
    #[error("expected exactly one operator in an object, found {0}")]
    OneOperator(usize),
    /// There is no such operator there.
    #[error("no operator `{name}` here; accepted: {accepted}")]
    UnknownOperator {
        /// What was written.
        name: String,
        /// What the language has at this place.
        accepted: &'static str,
    },
    /// An operator does not take such a value.
    #[error("`{operator}` takes {accepted}, found {found}")]
    Operand {
        /// The operator.
        operator: &'static str,
        /// What it takes.
        accepted: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// `anything-but` excludes texts and numbers at once.
    #[error(
        "`anything-but` takes texts or numbers, not both in one list; use two fields' worth of patterns or one kind"
    )]
    Mixed,
    /// An excluded prefix or suffix is empty, and so excludes every text.
    #[error("an empty `{0}` in `anything-but` excludes every text; write at least one character")]
    EmptyAffix(&'static str),
    /// A number cannot be held.
    #[error("{0}")]
    Number(DecimalError),
    /// A numeric condition is none.
    #[error(
        "`numeric` takes [\"=\", 5], [\"<\", 5], [\"<=\", 5], [\">\", 5], [\">=\", 5], or both ends with the lower one first, such as [\">=\", 0, \"<\", 5]"
    )]
    Numeric,
    /// No number lies in a range.
    #[error("no number lies in this range; the lower end comes first and must not exceed the upper")]
    EmptyRange,
    /// A text is no network.
    #[error(
        "`{0}` is no network; accepted: an address, `/` and the bits of its mask, such as `10.0.0.0/8` or `2001:db8::/32`"
    )]
    Network(String),
    /// A backslash before something else than `*` or `\`.
    #[error(
        "a `\\` at byte {0} of the wildcard escapes nothing; accepted: `\\*` for a star, `\\\\` for a backslash (each backslash written twice in JSON)"
    )]
    WildcardEscape(usize),
    /// Two stars side by side.
    #[error("two `*` side by side at byte {0} of the wildcard; one stands for any characters")]
    WildcardStars(usize),
}

impl PatternErrors {
    pub(super) fn new(mut errors: Vec<PatternError>) -> Self {
        errors.sort_by_key(|e| e.offset);
        Self(errors)
    }

    /// The faults in the order of the text.
    pub fn iter(&self) -> std::slice::Iter<'_, PatternError> {
        self.0.iter()
    }
}

impl From<SyntaxError> for PatternErrors {
    fn from(e: SyntaxError) -> Self {
        let fault = PatternFault::Syntax(e.fault);
        Self(vec![PatternError { pointer: String::new(), offset: e.offset, fault }])
    }
}

impl IntoIterator for PatternErrors {
    type Item = PatternError;
    type IntoIter = std::vec::IntoIter<PatternError>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'e> IntoIterator for &'e PatternErrors {
    type Item = &'e PatternError;
    type IntoIter = std::slice::Iter<'e, PatternError>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pointer.as_str() {
            "" => write!(f, "pattern (offset {}): {}", self.offset, self.fault),
            pointer => write!(f, "`{pointer}` (offset {}): {}", self.offset, self.fault),
        }
    }
}

impl std::error::Error for PatternError {}

impl fmt::Display for PatternErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { "\n" } else { "" })?;
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PatternErrors {}
