//! How long a target asks to be left alone.

use std::time::SystemTime;

use tipstaff::Span;

/// The wait that a `Retry-After` header asks for: a number of seconds, or a date (RFC 9110,
/// section 10.2.3). None for anything else; a date that has passed is no wait.
#[must_use]
pub fn retry_after(text: &str, now: SystemTime) -> Option<Span> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // A number too large for any wait is the longest; the engine has its own limit.
        return Some(Span::secs(text.parse::<u32>().unwrap_or(u32::MAX).into()));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    let wait = date.duration_since(now).unwrap_or_default();
    Some(Span::millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn seconds_and_dates_are_understood() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, wait) in [
            ("0", Some(Span::ZERO)),
            (" 120 ", Some(Span::secs(120))),
            ("99999999999999999999", Some(Span::secs(u64::from(u32::MAX)))),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(Span::ZERO)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(Span::secs(30))),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(Span::ZERO)),
            ("-1", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now), wait, "{text}");
        }
    }
}
