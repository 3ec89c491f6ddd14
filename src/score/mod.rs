//! Scores: a number on a scale, the band that it falls in, what keeps a subject in a band although
//! the score says otherwise, the moves between bands, and what a rule asks of a move.

mod history;
mod hysteresis;
mod level;
mod scale;
mod transition;
mod trigger;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::decimal::{Decimal, DecimalError};

pub use history::{Entered, History, MAX_KEPT_ENTRIES, MAX_KEPT_READINGS, Scored};
pub use hysteresis::{Hysteresis, MAX_DWELL, MAX_HOLD, MIN_DWELL, MIN_HOLD};
pub use level::{Leaving, Level, LevelCause, LevelStep, MAX_KEPT_ATTRIBUTES, Observation};
pub use scale::{Band, MAX_BANDS, OutOfRange, Polarity, Scale, ScaleFault};
pub use transition::{Change, Reading, Transition, TransitionError};
pub use trigger::{Direction, Fire, ScoreTrigger, Skipped, TriggerFault};

/// A score: an exact, finite decimal, such as `62.5`. What it means is told by a [`Scale`].
///
/// It has no value for "infinite" or "not a number", because a [`Decimal`] has none.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Score(Decimal);

impl Score {
    /// The number.
    #[must_use]
    pub const fn value(&self) -> &Decimal {
        &self.0
    }
}

impl From<Decimal> for Score {
    fn from(value: Decimal) -> Self {
        Self(value)
    }
}

impl FromStr for Score {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How sure a source is of its score: an exact decimal from 0 to 1, both included.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Confidence(Decimal);

impl Confidence {
    /// The number.
    #[must_use]
    pub const fn value(&self) -> &Decimal {
        &self.0
    }
}

/// A number that is no confidence.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no confidence; accepted: a number from 0 to 1, such as `0.8`")]
pub struct ConfidenceError;

impl TryFrom<Decimal> for Confidence {
    type Error = ConfidenceError;
    fn try_from(value: Decimal) -> Result<Self, ConfidenceError> {
        if (Decimal::zero()..=Decimal::from(1)).contains(&value) {
            Ok(Self(value))
        } else {
            Err(ConfidenceError)
        }
    }
}

impl FromStr for Confidence {
    type Err = ConfidenceError;
    fn from_str(text: &str) -> Result<Self, ConfidenceError> {
        text.parse::<Decimal>().map_err(|_| ConfidenceError)?.try_into()
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The longest name of a band, in bytes.
pub const MAX_BAND_NAME_BYTES: usize = 64;

/// The name of a band within its scale, such as `orange`: 1 to 64 characters of `a`–`z`, `0`–`9`,
/// `_` and `-`.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BandName(Arc<str>);

impl BandName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no name of a band.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("band name {fault}; accepted: 1 to 64 characters of a-z, 0-9, `_` and `-`, such as `orange`")]
pub struct BandNameError {
    /// What is wrong with it.
    pub fault: BandNameFault,
}

/// What is wrong with the name of a band.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BandNameFault {
    /// Nothing was given.
    #[error("is empty")]
    Empty,
    /// It is longer than [`MAX_BAND_NAME_BYTES`].
    #[error("has {0} bytes")]
    TooLong(usize),
    /// It has a character that names may not have.
    #[error("has {found:?} at offset {offset}")]
    Character {
        /// The bytes before it.
        offset: usize,
        /// The character.
        found: char,
    },
}

impl FromStr for BandName {
    type Err = BandNameError;
    fn from_str(text: &str) -> Result<Self, BandNameError> {
        let allowed = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-');
        let fault = if text.is_empty() {
            BandNameFault::Empty
        } else if text.len() > MAX_BAND_NAME_BYTES {
            BandNameFault::TooLong(text.len())
        } else if let Some((offset, found)) = text.char_indices().find(|(_, c)| !allowed(*c)) {
            BandNameFault::Character { offset, found }
        } else {
            return Ok(Self(text.into()));
        };
        Err(BandNameError { fault })
    }
}

impl TryFrom<&str> for BandName {
    type Error = BandNameError;
    fn try_from(text: &str) -> Result<Self, BandNameError> {
        text.parse()
    }
}

impl fmt::Display for BandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for BandName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

crate::words::serde_as_text!(Score, Confidence, BandName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_confidences_are_checked_at_the_door() {
        for (text, fault) in [
            ("", BandNameFault::Empty),
            ("Green", BandNameFault::Character { offset: 0, found: 'G' }),
            ("so so", BandNameFault::Character { offset: 2, found: ' ' }),
            ("grün", BandNameFault::Character { offset: 2, found: 'ü' }),
        ] {
            assert_eq!(text.parse::<BandName>(), Err(BandNameError { fault }), "{text}");
        }
        let longest = "x".repeat(MAX_BAND_NAME_BYTES);
        assert!(longest.parse::<BandName>().is_ok());
        let fault = BandNameFault::TooLong(MAX_BAND_NAME_BYTES + 1);
        assert_eq!((longest + "x").parse::<BandName>(), Err(BandNameError { fault }));

        for good in ["0", "1", "1.0", "0.5", "1e-9"] {
            assert!(good.parse::<Confidence>().is_ok(), "{good}");
        }
        for bad in ["-0.1", "1.0000001", "NaN", "", "2"] {
            assert_eq!(bad.parse::<Confidence>(), Err(ConfidenceError), "{bad}");
        }
    }

    #[test]
    fn scores_are_finite_and_written_as_text() {
        for bad in ["NaN", "inf", "-inf", "Infinity", "1e9999999999999999"] {
            assert!(bad.parse::<Score>().is_err(), "{bad}");
        }
        let score: Score = "62.50".parse().unwrap();
        assert_eq!(serde_json::to_string(&score).unwrap(), r#""62.5""#);
        assert_eq!(serde_json::from_str::<Score>(r#""62.5""#).unwrap(), score);
        assert!(serde_json::from_str::<BandName>(r#""Not A Name""#).is_err());
    }
}
