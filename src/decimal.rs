//! Exact decimal numbers of any size and precision, as JSON writes them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// The longest number that is read, in bytes.
pub const MAX_DECIMAL_BYTES: usize = 1_100;
/// The most significant digits of a number, zeros at its ends not counted: as many as a double
/// written out in full has (767), and more. Less than [`MAX_DECIMAL_BYTES`], so that what was read
/// in one form can be written, and read again, in another.
pub const MAX_DECIMAL_DIGITS: usize = 1_000;
/// The largest exponent, and the smallest: of the number as `0.d1d2d3…` times a power of ten, so
/// that no other way to write it goes beyond.
pub(crate) const MAX_EXPONENT: i64 = 1_000_000_000_000_000;

/// An exact decimal number: `1`, `1.0` and `1e0` are equal, and 9007199254740993 is not
/// 9007199254740992.
///
/// It is kept as sign, digits and exponent, so that `1e999999999` costs a few bytes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Decimal {
    negative: bool,
    /// Significant digits, 0 to 9, without zeros at either end; none for zero.
    digits: Box<[u8]>,
    /// The value is `0.d1d2d3… × 10^exponent`; 0 for zero.
    exponent: i64,
}

/// A text that is no number.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "no number; accepted: a JSON number of at most 1100 bytes and 1000 significant digits with an exponent of at most 15 digits, such as `62.5` or `-1e3`"
)]
pub struct DecimalError;

impl Decimal {
    /// Zero.
    #[must_use]
    pub fn zero() -> Self {
        Self { negative: false, digits: Box::default(), exponent: 0 }
    }

    /// The exact sum; none where it has more digits, or lies further out, than a number may.
    #[must_use]
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        let (Some(mine), Some(its)) = (self.lowest(), other.lowest()) else {
            return Some(if self.digits.is_empty() { other.clone() } else { self.clone() });
        };
        let (low, high) = (mine.min(its), self.exponent.max(other.exponent));
        // One place more than the longer of the two, for what is carried.
        let width = usize::try_from(high - low).ok().filter(|width| *width <= 2 * MAX_DECIMAL_DIGITS)? + 1;
        let mut places = vec![0_i16; width];
        for number in [self, other] {
            let sign = if number.negative { -1 } else { 1 };
            let first = usize::try_from(high - number.exponent).ok()? + 1;
            for (place, digit) in places[first..].iter_mut().zip(&number.digits) {
                *place += sign * i16::from(*digit);
            }
        }
        // Borrowing from a larger neighbour leaves every digit with the sign of the whole.
        let negative = places.iter().find(|place| **place != 0).is_some_and(|place| *place < 0);
        let mut carry = 0;
        for place in places.iter_mut().rev() {
            let sum = if negative { -*place } else { *place } + carry;
            *place = sum.rem_euclid(10);
            carry = sum.div_euclid(10);
        }
        let Some(first) = places.iter().position(|place| *place != 0) else { return Some(Self::zero()) };
        let last = places.iter().rposition(|place| *place != 0)?;
        let digits: Box<[u8]> =
            places[first..=last].iter().map(|place| u8::try_from(*place).unwrap_or(0)).collect();
        let exponent = high + 1 - i64::try_from(first).ok()?;
        let fits = digits.len() <= MAX_DECIMAL_DIGITS && exponent.abs() <= MAX_EXPONENT;
        fits.then_some(Self { negative, digits, exponent })
    }

    /// The number with the other sign.
    #[must_use]
    pub fn negated(self) -> Self {
        Self { negative: !self.negative && !self.digits.is_empty(), ..self }
    }

    /// The power of ten of the place after the last digit; none for zero.
    fn lowest(&self) -> Option<i64> {
        (!self.digits.is_empty()).then(|| self.exponent - self.digits.len() as i64)
    }

    /// The nearest double; infinite where doubles end. For display and statistics, never for
    /// comparison.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        if text.len() > MAX_DECIMAL_BYTES {
            return Err(DecimalError);
        }
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], read_exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((_, "")) => return Err(DecimalError),
            Some(parts) => parts,
            None => (mantissa, ""),
        };
        let digits_only = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || leading_zero || !digits_only(whole) || !digits_only(fraction) {
            return Err(DecimalError);
        }
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
        let Some(first) = all.iter().position(|d| *d != 0) else {
            return Ok(Self::zero());
        };
        let last = all.iter().rposition(|d| *d != 0).unwrap_or(first);
        let exponent: i64 = exponent + whole.len() as i64 - first as i64;
        if last - first >= MAX_DECIMAL_DIGITS || exponent.abs() > MAX_EXPONENT {
            return Err(DecimalError);
        }
        Ok(Self { negative, digits: all[first..=last].into(), exponent })
    }
}

fn read_exponent(text: &str) -> Result<i64, DecimalError> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let significant = digits.trim_start_matches('0');
    // One digit more than the largest has: where the point stands decides.
    if digits.is_empty() || significant.len() > 17 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(DecimalError);
    }
    let size: i64 = if significant.is_empty() { 0 } else { significant.parse().map_err(|_| DecimalError)? };
    Ok(if text.starts_with('-') { -size } else { size })
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |d: &Self| match (d.digits.is_empty(), d.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let by_size = || (self.exponent, &self.digits).cmp(&(other.exponent, &other.digits));
        match sign(self).cmp(&sign(other)) {
            Ordering::Equal if self.negative => by_size().reverse(),
            Ordering::Equal => by_size(),
            unequal => unequal,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

macro_rules! from_integers {
    ($($int:ty),+) => {$(
        impl From<$int> for Decimal {
            fn from(n: $int) -> Self {
                n.to_string().parse().expect("an integer is a JSON number")
            }
        }
    )+};
}
from_integers!(i32, u32, i64, u64);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Beyond this many zeros the exponent is written instead.
        const ZEROS: i64 = 20;
        let count = self.digits.len() as i64;
        let mut text = String::new();
        let digits: String = self.digits.iter().map(|d| char::from(b'0' + d)).collect();
        if digits.is_empty() {
            text.push('0');
        } else if (1..=count + ZEROS).contains(&self.exponent) {
            let whole = usize::try_from(self.exponent.min(count)).unwrap_or(0);
            text.push_str(&digits[..whole]);
            (count..self.exponent).for_each(|_| text.push('0'));
            if whole < digits.len() {
                text.push('.');
                text.push_str(&digits[whole..]);
            }
        } else if (-ZEROS..=0).contains(&self.exponent) {
            text.push_str("0.");
            (self.exponent..0).for_each(|_| text.push('0'));
            text.push_str(&digits);
        } else {
            text.push_str(&digits[..1]);
            if count > 1 {
                text.push('.');
                text.push_str(&digits[1..]);
            }
            text.push_str(&format!("e{}", self.exponent - 1));
        }
        f.pad(&if self.negative { format!("-{text}") } else { text })
    }
}

crate::words::serde_as_text!(Decimal);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn d(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn one_number_has_one_value_however_it_is_written() {
        for same in [["1", "1.0", "1e0"], ["-0", "0", "0e9"], ["120", "1.2e2", "12000E-2"]] {
            assert!(same.iter().all(|t| d(t) == d(same[0])), "{same:?}");
        }
        assert_ne!(d("9007199254740993"), d("9007199254740992"));
        assert_eq!(d("-122.42916360922355").to_string(), "-122.42916360922355");
    }

    #[test]
    fn what_json_does_not_call_a_number_is_refused() {
        for bad in
            ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x1", "1_0", "NaN", "١", "1e9999999999999999"]
        {
            assert_eq!(bad.parse::<Decimal>(), Err(DecimalError), "{bad}");
        }
        let digits = "9".repeat(MAX_DECIMAL_DIGITS);
        assert!(digits.parse::<Decimal>().is_ok() && format!("{digits}9").parse::<Decimal>().is_err());
        let zeros = "0".repeat(MAX_DECIMAL_BYTES - MAX_DECIMAL_DIGITS);
        assert!(format!("{digits}{zeros}").parse::<Decimal>().is_ok());
        assert!(format!("{digits}{zeros}0").parse::<Decimal>().is_err());
    }

    #[test]
    fn a_sum_that_no_number_holds_is_none() {
        for (a, b, sum) in [
            ("0.1", "0.2", Some("0.3")),
            ("1", "-1", Some("0")),
            ("-0.05", "0.04", Some("-0.01")),
            ("999", "1", Some("1000")),
            ("1e999", "1", Some(&*format!("1{}1", "0".repeat(998)))),
            ("1e1000", "1", None),
            ("1e15", "1e999999999999", None),
            ("9e999999999999999", "9e999999999999999", None),
            ("0", "1e-999999999999999", Some("1e-999999999999999")),
        ] {
            assert_eq!(d(a).checked_add(&d(b)), sum.map(d), "{a} + {b}");
            assert_eq!(d(b).checked_add(&d(a)), sum.map(d), "{b} + {a}");
        }
    }

    proptest! {
        #[test]
        fn order_is_that_of_the_integers(a in any::<i64>(), b in any::<i64>(), scale in 0_u32..6) {
            let shift = |n: i64| d(&format!("{n}e-{scale}"));
            prop_assert_eq!(shift(a).cmp(&shift(b)), a.cmp(&b));
        }

        #[test]
        fn sums_are_those_of_the_integers(a in any::<i64>(), b in any::<i64>(), apart in 0_u32..9, scale in 0_u32..40) {
            let sum = i128::from(a) * 10_i128.pow(apart) + i128::from(b);
            let down = |n: i128| d(&format!("{n}e-{scale}"));
            let (a, b) = (down(i128::from(a) * 10_i128.pow(apart)), down(b.into()));
            prop_assert_eq!(a.checked_add(&b), Some(down(sum)));
            prop_assert_eq!(a.checked_add(&a.clone().negated()), Some(Decimal::zero()));
        }

        #[test]
        fn numbers_read_back(text in "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,15})?") {
            let number = d(&text);
            prop_assert_eq!(d(&number.to_string()), number);
        }

        #[test]
        fn numbers_at_the_limits_read_back(
            digits in "[1-9]{990,1000}", point in 0_usize..990,
            exponent in prop_oneof![-1_200_i64..1_200, Just(MAX_EXPONENT), Just(-MAX_EXPONENT)], shift in -1_100_i64..1_100,
        ) {
            let mantissa = if point == 0 { digits } else { format!("{}.{}", &digits[..point], &digits[point..]) };
            if let Ok(number) = format!("{mantissa}e{}", exponent + shift).parse::<Decimal>() {
                prop_assert_eq!(d(&number.to_string()), number);
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,20}") {
            let _ = text.parse::<Decimal>();
        }
    }
}
