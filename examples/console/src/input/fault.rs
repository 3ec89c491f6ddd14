//! What can be wrong with a line.

use std::fmt;

use tipstaff::{ConfidenceError, DecimalError, IdError, PayloadFault, TimeError};

/// How much of a line that is too long is kept for the reject file, in bytes: 64 KiB.
pub const MAX_KEPT_BYTES: usize = 64 << 10;

/// A line that cannot be taken as a signal, with its place and its text: nothing is lost.
#[derive(Debug, thiserror::Error)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// Where it begins: bytes from the stream's beginning.
    pub offset: u64,
    /// Where in the line the fault is, in bytes, if it has a place.
    pub at: Option<usize>,
    /// What is wrong.
    pub fault: LineFault,
    /// The line as it came, without its end; of a line that is too long, the first
    /// [`MAX_KEPT_BYTES`].
    pub text: Box<[u8]>,
    /// The line's length in bytes.
    pub bytes: u64,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} (byte {})", self.line, self.offset)?;
        if let Some(at) = self.at {
            write!(f, ", offset {at}")?;
        }
        write!(f, ": {}", self.fault)
    }
}

/// Why a line cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineFault {
    /// The stream could not be read; nothing comes after it.
    #[error("reading failed: {0}")]
    Io(std::io::Error),
    /// It is longer than [`MAX_LINE_BYTES`](super::MAX_LINE_BYTES).
    #[error("{0} bytes; accepted: at most 4194304 a line")]
    TooLong(u64),
    /// It is not UTF-8.
    #[error("not UTF-8; accepted: JSON in UTF-8")]
    NotUtf8,
    /// It is no JSON.
    #[error("no JSON: {0}")]
    Syntax(String),
    /// A value of another kind than is accepted there.
    #[error("{field} is {found}; accepted: {accepted}")]
    Kind {
        /// The field, or `the line`.
        field: String,
        /// What stands there.
        found: &'static str,
        /// What may stand there.
        accepted: &'static str,
    },
    /// A field of the native layout that is not known.
    #[error("unknown field `{field}`; accepted: {accepted}")]
    UnknownField {
        /// Its name, cut to 80 characters.
        field: String,
        /// The known ones.
        accepted: &'static str,
    },
    /// A field of the native layout that stands twice.
    #[error("the field `{0}` stands twice; keep one")]
    RepeatedField(String),
    /// A field that must be there, and null does not count.
    #[error("`{field}` is missing; accepted: {accepted}")]
    Missing {
        /// What is missing.
        field: &'static str,
        /// Where it was looked for, or what is accepted.
        accepted: String,
    },
    /// A field that does not go with a score.
    #[error("`{0}` beside `score`; accepted: an event with `type` and `payload`, or a score, on one line")]
    Mixed(&'static str),
    /// An identifier of another form.
    #[error("`{field}`: {error}")]
    Id {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        error: IdError,
    },
    /// No time.
    #[error("`time`: {0}")]
    Time(#[from] TimeError),
    /// No number of seconds or milliseconds since 1970 within the years 0000 to 9999.
    #[error(
        "`time`: `{text}` is no count of {unit} since 1970; accepted: a number within the years 0000 to 9999"
    )]
    Epoch {
        /// What was given, cut to 80 characters.
        text: String,
        /// What the map says that it counts.
        unit: &'static str,
    },
    /// A score that is no number.
    #[error("`score`: {0}")]
    Score(DecimalError),
    /// A confidence that is none.
    #[error("`confidence`: {0}")]
    Confidence(ConfidenceError),
    /// A payload, or attributes, that the library does not take.
    #[error("`{field}`: {fault}")]
    Payload {
        /// The field.
        field: &'static str,
        /// What is wrong.
        fault: PayloadFault,
    },
    /// Somebody else than the reader refused it.
    #[error("{0}")]
    Refused(String),
}

/// A fault and its offset in the line.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: Option<usize>,
    pub(super) fault: LineFault,
}

impl LineFault {
    /// The fault at an offset of the line.
    pub(super) const fn at(self, at: usize) -> Fault {
        Fault { at: Some(at), fault: self }
    }

    /// The fault of the line as a whole.
    pub(super) const fn whole(self) -> Fault {
        Fault { at: None, fault: self }
    }
}

/// A text cut to 80 characters, for messages.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
