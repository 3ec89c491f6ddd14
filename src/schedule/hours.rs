//! Hours of the week by the clock of a zone.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::schedule::zone::{UtcSecs, Zone};
use crate::time::Time;
use crate::words::words;

const DAY: i64 = 86_400;
const MICROS: i64 = 1_000_000;

words! {
    /// A day of the week.
    Weekday, "day of the week" {
        Mon: "mon", "Monday";
        Tue: "tue", "Tuesday";
        Wed: "wed", "Wednesday";
        Thu: "thu", "Thursday";
        Fri: "fri", "Friday";
        Sat: "sat", "Saturday";
        Sun: "sun", "Sunday";
    }
}

/// A time of the day, such as `22:00`: whole minutes, `00:00` to `24:00`.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Clock(u16);

impl Clock {
    /// The beginning of a day.
    pub const MIDNIGHT: Self = Self(0);

    /// Minutes since the day began: 0 to 1440.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0
    }

    fn secs(self) -> i64 {
        i64::from(self.0) * 60
    }
}

/// A text that is no time of the day.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("`{0}` is no time of the day; accepted: `00:00` to `24:00`, two digits each")]
pub struct ClockError(pub String);

impl FromStr for Clock {
    type Err = ClockError;
    fn from_str(text: &str) -> Result<Self, ClockError> {
        let two = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        let parts = text.split_once(':').and_then(|(hours, minutes)| Some((two(hours)?, two(minutes)?)));
        match parts {
            Some((hours, minutes)) if minutes < 60 && hours * 60 + minutes <= 1_440 => {
                Ok(Self(hours * 60 + minutes))
            }
            _ => Err(ClockError(text.chars().take(80).collect())),
        }
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

crate::words::serde_as_text!(Clock);

/// Hours that come back every week, by what the clock of a zone shows.
///
/// They are in force whenever the clock shows a time of theirs: where it is put back, both passes of
/// a repeated hour count, and where it is put forward, hours that begin in what is skipped begin at
/// its end. Hours that end before they begin run over midnight, and belong to the day on which they
/// begin.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Hours {
    /// The days on which they begin; none means every day.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub days: BTreeSet<Weekday>,
    /// The first minute.
    pub from: Clock,
    /// The minute at which they are over.
    pub to: Clock,
    /// Whose clock.
    #[serde(default)]
    pub zone: Zone,
}

impl Hours {
    /// Every day from one time of the day to another, by the clock of a zone.
    #[must_use]
    pub const fn daily(from: Clock, to: Clock, zone: Zone) -> Self {
        Self { days: BTreeSet::new(), from, to, zone }
    }

    /// Whether the clock shows a time of theirs.
    #[must_use]
    pub fn hold(&self, at: Time) -> bool {
        self.shown(at.micros().div_euclid(MICROS)).is_some()
    }

    /// The first instant at or after `at` at which the clock shows none of their times; none where
    /// they are always in force.
    #[must_use]
    pub fn lift(&self, at: Time) -> Option<Time> {
        let begin = at.micros().div_euclid(MICROS);
        let mut from = begin;
        while let Some(end) = self.shown(from) {
            let end = end - self.zone.offset(from);
            from = self.zone.next_change(from, end).unwrap_or(end);
            // What is in force for longer than a week on end is so for ever.
            if from - begin > 9 * DAY {
                return None;
            }
        }
        Some(at.max(Time::from_micros(from.saturating_mul(MICROS))))
    }

    /// The time of the clock at which they are over, where it shows a time of theirs.
    fn shown(&self, at: UtcSecs) -> Option<i64> {
        let wall = self.zone.wall(at);
        let day = wall.div_euclid(DAY);
        let (from, to, now) = (self.from.secs(), self.to.secs(), wall.rem_euclid(DAY));
        let over_midnight = to <= from;
        if over_midnight && now < to && self.begin_on(day - 1) {
            return Some(day * DAY + to);
        }
        let shows = now >= from && (over_midnight || now < to);
        (shows && self.begin_on(day)).then(|| (day + i64::from(over_midnight)) * DAY + to)
    }

    /// Whether they are always in force.
    #[must_use]
    pub fn are_always(&self) -> bool {
        let every_day = self.days.is_empty() || self.days.len() == Weekday::ALL.len();
        every_day && self.from == Clock::MIDNIGHT && self.to == Clock(1_440)
    }

    fn begin_on(&self, day: i64) -> bool {
        // 1970-01-01 was a Thursday, the fourth day from Monday.
        let weekday = usize::try_from((day + 3).rem_euclid(7)).ok().and_then(|i| Weekday::ALL.get(i));
        self.days.is_empty() || weekday.is_some_and(|weekday| self.days.contains(weekday))
    }
}

impl fmt::Display for Hours {
    /// `mon, tue 22:00-06:00 Europe/Berlin`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days: Vec<&str> = self.days.iter().map(|day| day.as_str()).collect();
        let days = if days.is_empty() { "every day".to_owned() } else { days.join(", ") };
        write!(f, "{days} {}-{} {}", self.from, self.to, self.zone)
    }
}
