//! Who appears, from where, and when.

use crate::json::{Chance, Json, object};

/// Midnight UTC of 2026-03-02, a Monday, in seconds since 1970.
pub(crate) const START: i64 = 1_772_409_600;
pub(crate) const DAYS: i64 = 14;
pub(crate) const USERS: usize = 40;
pub(crate) const ACCOUNT: &str = "111122223333";

/// The id of the `n`-th person, from 1.
pub(crate) fn user(n: usize) -> String {
    format!("u-{}", 1_000 + n)
}

/// The first six run the platform, the next fourteen write software; five of those also run it.
pub(crate) fn writes_code(n: usize) -> bool {
    n <= 20
}

pub(crate) fn uses_cloud(n: usize) -> bool {
    n <= 11 || n == 22
}

fn department(n: usize) -> &'static str {
    match n {
        1..=4 => "security",
        5..=6 => "platform",
        7..=20 => "engineering",
        21..=28 => "finance",
        29..=34 => "support",
        _ => "sales",
    }
}

/// What the directory knows of everybody.
pub(crate) fn people() -> String {
    let known = |n: usize| {
        object! {
            "department": department(n),
            "privileged": n <= 6,
            "employment": if n == 16 { "leaving" } else { "active" },
            "manager": user(if n <= 6 { 1 } else { 5 + n % 2 }),
        }
    };
    let lines: Vec<_> = (1..=USERS).map(|n| format!("  \"{}\": {}", user(n), known(n))).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// An address of the office (203.0.113.0/24) or of a home (192.0.2.0/24): both are documentation
/// ranges (RFC 5737).
pub(crate) fn address(n: usize, chance: &mut Chance) -> String {
    if chance.percent(70) { format!("203.0.113.{}", 10 + n % 8) } else { format!("192.0.2.{}", 100 + n) }
}

/// A moment: seconds and milliseconds.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Moment(pub(crate) i64);

impl Moment {
    /// On a day of March 2026, at a time of day (UTC).
    pub(crate) const fn on(day: i64, hour: i64, minute: i64, second: i64) -> Self {
        Self((START + (day - 2) * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000)
    }

    pub(crate) const fn later(self, seconds: i64) -> Self {
        Self(self.0 + seconds * 1_000)
    }

    pub(crate) fn seconds(self) -> String {
        let time = tipstaff::Time::from_micros(self.0.div_euclid(1_000) * 1_000_000);
        time.to_string()
    }

    pub(crate) fn millis(self) -> String {
        format!("{}.{:03}Z", self.seconds().trim_end_matches('Z'), self.0.rem_euclid(1_000))
    }
}

/// A line of the export, at the moment at which it was exported.
pub(crate) struct Exported {
    pub(crate) at: Moment,
    pub(crate) line: Vec<u8>,
}

impl Exported {
    pub(crate) fn new(at: Moment, line: &Json) -> Self {
        Self { at, line: line.to_string().into_bytes() }
    }
}
