//! Numbers in patterns: exact decimals, alone and as the ends of a range.

use std::cmp::Ordering;

use crate::decimal::Decimal;

/// How a number's text becomes a value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reading {
    /// Every number, exactly.
    Exact,
    /// As event-ruler: only a number that its nearest double writes back.
    Doubles,
}

impl Reading {
    pub(super) fn value(self, text: &str) -> Option<Decimal> {
        let exact: Decimal = text.parse().ok()?;
        match self {
            Self::Exact => Some(exact),
            Self::Doubles => (exact.to_f64().to_string().parse() == Ok(exact.clone())).then_some(exact),
        }
    }
}

/// A number that a pattern names.
#[derive(Clone, Debug)]
pub(crate) struct Number {
    text: Box<str>,
    /// None: only the same text equals it (never so when read exactly).
    value: Option<Decimal>,
    reading: Reading,
}

impl Number {
    pub(super) fn new(text: &str, reading: Reading) -> Self {
        Self { text: text.into(), value: reading.value(text), reading }
    }

    /// Its text, where it is read exactly.
    pub(crate) fn exact(&self) -> Option<&str> {
        (self.reading == Reading::Exact).then_some(&self.text)
    }

    /// Whether it can stand in a comparison.
    pub(super) fn has_value(&self) -> bool {
        self.value.is_some()
    }

    pub(super) fn equals(&self, text: &str) -> bool {
        *self.text == *text || self.order(text) == Some(Ordering::Equal)
    }

    /// The order of a number in an event, compared to this one.
    fn order(&self, text: &str) -> Option<Ordering> {
        Some(self.reading.value(text)?.cmp(self.value.as_ref()?))
    }

    fn exceeds(&self, other: &Self) -> bool {
        self.value > other.value
    }

    fn is(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// Numbers between two ends, either of which may be missing.
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) low: Option<End>,
    pub(crate) high: Option<End>,
}

/// One end of a range.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) number: Number,
    pub(crate) inclusive: bool,
}

impl Range {
    /// Whether no number lies in it.
    pub(super) fn is_empty(&self) -> bool {
        match (&self.low, &self.high) {
            (Some(low), Some(high)) if low.number.is(&high.number) => !(low.inclusive && high.inclusive),
            (Some(low), Some(high)) => low.number.exceeds(&high.number),
            _ => false,
        }
    }

    /// Whether one number lies in it.
    pub(super) fn is_point(&self) -> bool {
        match (&self.low, &self.high) {
            (Some(low), Some(high)) => low.number.is(&high.number) && !self.is_empty(),
            _ => false,
        }
    }

    pub(super) fn contains(&self, text: &str) -> bool {
        let within = |end: &Option<End>, beyond: Ordering| match end {
            None => true,
            Some(end) => match end.number.order(text) {
                Some(Ordering::Equal) => end.inclusive,
                order => order == Some(beyond),
            },
        };
        within(&self.low, Ordering::Greater) && within(&self.high, Ordering::Less)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_hold_what_they_write_back() {
        for held in ["0", "-0.0", "0.1", "1e300", "1E-320", "287.48116291799363", "9007199254740992", "5e9"] {
            assert!(Reading::Doubles.value(held).is_some(), "{held}");
        }
        for lost in ["1e309", "-2.0e422", "9007199254740993", "0.10000000000000001", "1e-400"] {
            assert!(Reading::Doubles.value(lost).is_none(), "{lost}");
            assert!(Reading::Exact.value(lost).is_some(), "{lost}");
        }
    }

    #[test]
    fn as_doubles_a_number_that_is_not_held_equals_its_text() {
        let big = Number::new("9007199254740993", Reading::Doubles);
        assert!(big.equals("9007199254740993") && !big.equals("9007199254740993.0"));
        assert!(Number::new("9007199254740993", Reading::Exact).equals("9007199254740993.0"));
    }
}
