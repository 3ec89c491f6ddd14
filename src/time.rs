//! Instants and spans. Time is always an argument here; nothing in the core reads a clock.

use std::fmt;
use std::ops::Sub;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};

/// An instant in UTC, to the microsecond, written as RFC 3339 (`2026-03-01T09:00:00Z`).
///
/// The range is the years 0000 to 9999, those which RFC 3339 can write; arithmetic stops at its
/// ends instead of overflowing. Finer fractions than a microsecond are cut off when read.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Time(i64);

impl Time {
    /// The Unix epoch, 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);
    /// The first instant that RFC 3339 can write, 0000-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_167_219_200_000_000);
    /// The last one, 9999-12-31T23:59:59.999999Z.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// The instant that many microseconds after the Unix epoch (before it, if negative), or the
    /// nearest end of the range.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        if micros < Self::MIN.0 {
            Self::MIN
        } else if micros > Self::MAX.0 {
            Self::MAX
        } else {
            Self(micros)
        }
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This instant plus `span`; never later than [`Time::MAX`].
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_add(span.micros()))
    }

    /// This instant minus `span`; never earlier than [`Time::MIN`].
    #[must_use]
    pub const fn before(self, span: Span) -> Self {
        Self::from_micros(self.0.saturating_sub(span.micros()))
    }

    /// How long it is until a later time, rounded up to whole milliseconds; none where that is past.
    #[must_use]
    pub const fn until(self, later: Self) -> Span {
        let micros = later.micros().saturating_sub(self.micros());
        if micros <= 0 { Span::ZERO } else { Span::millis(micros.cast_unsigned().div_ceil(1_000)) }
    }

    /// The same instant as a `chrono` value.
    #[must_use]
    pub fn to_chrono(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).expect("the range is within chrono's")
    }
}

impl Sub for Time {
    type Output = Span;
    /// How much later `self` is than `earlier`; zero if it is not later.
    fn sub(self, earlier: Self) -> Span {
        Span::from_micros(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }
}

impl From<DateTime<Utc>> for Time {
    fn from(at: DateTime<Utc>) -> Self {
        Self::from_micros(at.timestamp_micros())
    }
}

impl From<std::time::SystemTime> for Time {
    fn from(at: std::time::SystemTime) -> Self {
        let micros = |d: std::time::Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        match at.duration_since(std::time::UNIX_EPOCH) {
            Ok(later) => Self::from_micros(micros(later)),
            Err(earlier) => Self::from_micros(micros(earlier.duration()).saturating_neg()),
        }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = match self.0.rem_euclid(1_000_000) {
            0 => SecondsFormat::Secs,
            us if us % 1_000 == 0 => SecondsFormat::Millis,
            _ => SecondsFormat::Micros,
        };
        f.write_str(&self.to_chrono().to_rfc3339_opts(precision, true))
    }
}

/// A text that is no instant.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{text}` is no time; accepted: RFC 3339 with a zone, years 0000 to 9999, such as `2026-03-01T09:00:00Z`"
)]
pub struct TimeError {
    /// What was given.
    pub text: String,
}

impl FromStr for Time {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let refused = || TimeError { text: shown(text) };
        let micros = DateTime::parse_from_rfc3339(text).map_err(|_| refused())?.timestamp_micros();
        if (Self::MIN.0..=Self::MAX.0).contains(&micros) { Ok(Self(micros)) } else { Err(refused()) }
    }
}

/// A length of time, written as people do: `90s`, `15m`, `24h`, `7d`, `2w`, `1h30m`, `250ms`.
///
/// Whole milliseconds, from zero to [`Span::MAX`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// The longest span: 3,660 days, a little over ten years (the longest retention of the audit
    /// catalogue is ten years).
    pub const MAX: Self = Self::days(3_660);

    /// A span of that many milliseconds, at most [`Span::MAX`].
    #[must_use]
    pub const fn millis(n: u64) -> Self {
        let max = 3_660 * 86_400_000;
        Self(if n > max { max } else { n })
    }

    /// A span of that many seconds.
    #[must_use]
    pub const fn secs(n: u64) -> Self {
        Self::millis(n.saturating_mul(1_000))
    }

    /// A span of that many minutes.
    #[must_use]
    pub const fn mins(n: u64) -> Self {
        Self::millis(n.saturating_mul(60_000))
    }

    /// A span of that many hours.
    #[must_use]
    pub const fn hours(n: u64) -> Self {
        Self::millis(n.saturating_mul(3_600_000))
    }

    /// A span of that many days of 24 hours.
    #[must_use]
    pub const fn days(n: u64) -> Self {
        Self::millis(n.saturating_mul(86_400_000))
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// That share of the span, in percent (more than 100 is cut to 100).
    #[must_use]
    pub const fn percent(self, share: u64) -> Self {
        let share = if share > 100 { 100 } else { share };
        Self(self.0 * share / 100)
    }

    const fn from_micros(micros: u64) -> Self {
        Self::millis(micros / 1_000)
    }

    const fn micros(self) -> i64 {
        // At most MAX, which is far below what an i64 holds.
        (self.0 * 1_000) as i64
    }
}

/// The units, largest first: the name and its milliseconds.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        // Weeks are read but not written: `14d` says more to most readers than `2w`.
        for (name, size) in &UNITS[1..] {
            if rest >= *size {
                write!(f, "{}{name}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

/// A text that is no span of time.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{text}` is no span of time; accepted: whole numbers with w, d, h, m, s or ms, largest unit first, at most 3660d, such as `24h` or `1h30m`"
)]
pub struct SpanError {
    /// What was given.
    pub text: String,
}

impl FromStr for Span {
    type Err = SpanError;
    fn from_str(text: &str) -> Result<Self, SpanError> {
        let refused = || SpanError { text: shown(text) };
        let mut rest = text;
        let mut total = 0_u64;
        let mut units = UNITS.iter();
        while !rest.is_empty() || units.len() == UNITS.len() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let count: u64 = rest[..digits].parse().map_err(|_| refused())?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_lowercase).count();
            let (unit, size) = units.find(|(name, _)| *name == &rest[..letters]).ok_or_else(refused)?;
            rest = &rest[unit.len()..];
            total = count.checked_mul(*size).and_then(|ms| total.checked_add(ms)).ok_or_else(refused)?;
        }
        if total <= Self::MAX.0 { Ok(Self(total)) } else { Err(refused()) }
    }
}

/// The user's text as an error shows it: not longer than a line.
fn shown(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

crate::words::serde_as_text!(Time, Span);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, millis) in [
            ("0s", 0),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("2w", 1_209_600_000),
            ("250ms", 250),
            ("3660d", Span::MAX.as_millis()),
        ] {
            assert_eq!(text.parse(), Ok(Span::millis(millis)), "{text}");
        }
        for bad in
            ["", "h", "24", "24 h", "1m1h", "1h1h", "-1h", "1.5h", "3661d", "99999999999999999999h", "1é"]
        {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_outside_rfc_3339_are_refused() {
        assert!("0000-01-01T00:00:00+01:00".parse::<Time>().is_err());
        assert!("9999-12-31T23:59:59-01:00".parse::<Time>().is_err());
        assert!("2026-03-01".parse::<Time>().is_err());
        assert_eq!(Time::MAX.after(Span::MAX), Time::MAX);
        assert_eq!(Time::MIN.before(Span::MAX), Time::MIN);
    }

    proptest! {
        #[test]
        fn time_and_span_read_back_what_they_wrote(micros in any::<i64>(), millis in any::<u64>()) {
            let time = Time::from_micros(micros);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
            let span = Span::millis(millis);
            prop_assert_eq!(span.to_string().parse(), Ok(span));
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in ".{0,30}") {
            let _ = text.parse::<Time>();
            let _ = text.parse::<Span>();
        }
    }
}
