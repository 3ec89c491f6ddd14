//! Values of lines as what signals are made of.

use tipstaff::{Confidence, Decimal, Payload, Score, Time};

use super::fault::{Fault, LineFault, cut};
use super::map::TimeFormat;
use super::raw::{Kind, Value};

pub(super) fn kind<T>(field: &str, value: Value<'_>, accepted: &'static str) -> Result<T, Fault> {
    let field = format!("`{field}`");
    Err(LineFault::Kind { field, found: value.kind().name(), accepted }.at(value.at()))
}

/// An object that is kept as the text that it was.
pub(super) fn payload(field: &'static str, value: Value<'_>) -> Result<Payload, Fault> {
    if value.kind() != Kind::Object {
        return kind(field, value, "an object");
    }
    Payload::new(value.text()).map_err(|error| {
        let at = value.at() + error.offset();
        LineFault::Payload { field, fault: error.fault().clone() }.at(at)
    })
}

pub(super) fn time(value: Value<'_>, format: TimeFormat) -> Result<Time, Fault> {
    let text = value.shown()?;
    let unit = match format {
        TimeFormat::Rfc3339 => return text.parse().map_err(|error| LineFault::Time(error).at(value.at())),
        TimeFormat::Utc => return utc(&text).map_err(|error| LineFault::Time(error).at(value.at())),
        TimeFormat::EpochSeconds => ("seconds", 6),
        TimeFormat::EpochMillis => ("milliseconds", 3),
    };
    epoch(&text, unit.1).ok_or_else(|| LineFault::Epoch { text: cut(&text), unit: unit.0 }.at(value.at()))
}

/// RFC 3339 without its zone, with `T` or a space; what has a zone is read with it.
fn utc(text: &str) -> Result<Time, tipstaff::TimeError> {
    let iso = text.replacen(' ', "T", 1);
    iso.parse()
        .or_else(|_| format!("{iso}Z").parse())
        .map_err(|_: tipstaff::TimeError| tipstaff::TimeError { text: cut(text) })
}

/// A decimal number times a power of ten, as microseconds, cut off towards the past.
fn epoch(text: &str, power: i64) -> Option<Time> {
    // Only JSON's own spelling of numbers counts; `scaled` then reads the digits.
    text.parse::<Decimal>().ok()?;
    let micros = scaled(text, power)?;
    let time = Time::from_micros(micros);
    (time.micros() == micros).then_some(time)
}

/// `text × 10^power` without its fraction, digit by digit, so that nothing is rounded.
fn scaled(text: &str, power: i64) -> Option<i64> {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = whole.bytes().chain(fraction.bytes());
    // How many digits stand before the point, once it is moved.
    let before = exponent.checked_add(power)?.checked_add(i64::try_from(whole.len()).ok()?)?;
    let mut value: i64 = 0;
    let mut rest = false;
    let count = whole.len() + fraction.len();
    for (i, digit) in (0_i64..).zip(digits) {
        if i < before {
            value = value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        } else {
            rest |= digit != b'0';
        }
    }
    for _ in i64::try_from(count).ok()?..before {
        if value == 0 {
            break;
        }
        value = value.checked_mul(10)?;
    }
    Some(if negative { -value - i64::from(rest) } else { value })
}

/// A number, or a text of one, exactly as it is written.
fn number<'a>(field: &'static str, value: Value<'a>) -> Result<std::borrow::Cow<'a, str>, Fault> {
    match value.kind() {
        Kind::Number | Kind::Text => value.shown(),
        _ => kind(field, value, "a number, or a text of one"),
    }
}

pub(super) fn score(value: Value<'_>) -> Result<Score, Fault> {
    number("score", value)?.parse().map_err(|error| LineFault::Score(error).at(value.at()))
}

pub(super) fn confidence(value: Value<'_>) -> Result<Confidence, Fault> {
    number("confidence", value)?.parse().map_err(|error| LineFault::Confidence(error).at(value.at()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_since_1970_are_exact() {
        let at = |text: &str, power| epoch(text, power).map(|time| time.to_string());
        for (text, power, found) in [
            ("0", 6, "1970-01-01T00:00:00Z"),
            ("1772442000", 6, "2026-03-02T09:00:00Z"),
            ("1772442000123", 3, "2026-03-02T09:00:00.123Z"),
            ("1772442000.123456789", 6, "2026-03-02T09:00:00.123456Z"),
            ("1.772442e9", 6, "2026-03-02T09:00:00Z"),
            ("1772442000123E-3", 6, "2026-03-02T09:00:00.123Z"),
            ("-0.0000001", 6, "1969-12-31T23:59:59.999999Z"),
            ("0e300", 6, "1970-01-01T00:00:00Z"),
            ("1e-300", 6, "1970-01-01T00:00:00Z"),
            ("253402300799.999999", 6, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(at(text, power).as_deref(), Some(found), "{text}");
        }
        for bad in ["253402300800", "1e300", "-1e15", "", "now", "0x1", "1e99999999999999999999", "+1"] {
            assert_eq!(at(bad, 6), None, "{bad}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        for text in ["2026-03-02 09:00:00", "2026-03-02T09:00:00", "2026-03-02T10:00:00+01:00"] {
            assert_eq!(utc(text).unwrap().to_string(), "2026-03-02T09:00:00Z", "{text}");
        }
        assert_eq!(utc("2026-03-02").unwrap_err().text, "2026-03-02");
    }
}
