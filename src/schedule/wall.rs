//! The wall-clock times of a line, by the calendar alone: no zone, no daylight saving.
//!
//! The `cron` crate finds them. It is given lists of plain numbers only, and asked about one year
//! at a time: it knows the years 1970 to 2100, so each year is looked up in a year near the end of
//! that range which has the same calendar.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveTime, Utc};
use cron::Schedule;

use crate::schedule::reader::{Line, Values};

/// The seconds of a wall clock, counted as if it were UTC, since 1970-01-01T00:00:00.
pub(super) type WallSecs = i64;

/// The years that are asked about end here; [`Time`](crate::Time) ends with 9999, and a zone may be
/// a few hours ahead.
pub(super) const LAST_YEAR: i32 = 10_000;

/// The wall-clock times of a line, whoever finds them.
pub(super) trait Times {
    /// The first wall-clock time of the line at `from` or later.
    fn first_from(&self, from: WallSecs) -> Option<WallSecs>;
}

#[derive(Clone, Debug)]
pub(super) struct Wall {
    /// One line, or the two of which either is enough.
    lines: Vec<Schedule>,
}

impl Wall {
    pub(super) fn new(line: &Line) -> Self {
        let all = Values { mask: u64::MAX, starred: true };
        let days = line.days;
        let lines = if line.both_days {
            vec![canonical(line, days, line.weekdays)]
        } else {
            vec![canonical(line, days, all), canonical(line, all, line.weekdays)]
        };
        Self { lines }
    }
}

impl Times for Wall {
    fn first_from(&self, from: WallSecs) -> Option<WallSecs> {
        let mut from = from;
        let mut year = instant(from).year();
        while year <= LAST_YEAR {
            let shift = start_of(stand_in(year)) - start_of(year);
            let end = start_of(year + 1);
            // `after` is exclusive.
            let start = instant(from + shift - 1);
            let found = self.lines.iter().filter_map(|line| line.after(&start).next());
            if let Some(first) = found.map(|at| at.timestamp() - shift).min().filter(|at| *at < end) {
                return Some(first);
            }
            year += 1;
            from = end;
        }
        None
    }
}

/// The line as the `cron` crate writes it: second, minute, hour, day, month and weekday, where 1 is
/// Sunday; a date must satisfy both day fields.
fn canonical(line: &Line, days: Values, weekdays: Values) -> Schedule {
    let list = |values: Values, range: std::ops::RangeInclusive<u32>, plus: u32| {
        let numbers = range.filter(|n| values.has(*n)).map(|n| (n + plus).to_string());
        numbers.collect::<Vec<_>>().join(",")
    };
    let text = format!(
        "0 {} {} {} {} {}",
        list(line.minutes, 0..=59, 0),
        list(line.hours, 0..=23, 0),
        list(days, 1..=31, 0),
        list(line.months, 1..=12, 0),
        list(weekdays, 0..=6, 1),
    );
    text.parse().expect("lists of numbers in range, none of them empty")
}

fn instant(secs: WallSecs) -> DateTime<Utc> {
    DateTime::from_timestamp(secs, 0).expect("the years asked about are within chrono's")
}

fn start_of(year: i32) -> WallSecs {
    let first = NaiveDate::from_ymd_opt(year, 1, 1).expect("the years asked about are within chrono's");
    first.and_time(NaiveTime::MIN).and_utc().timestamp()
}

/// A year from 2072 to 2099 with the same calendar: as long, and beginning on the same weekday. Each
/// of the fourteen calendars occurs in 28 years that no century interrupts.
fn stand_in(year: i32) -> i32 {
    const FIRST: i32 = 2072;
    const TABLE: [[i32; 7]; 2] = {
        let mut table = [[0; 7]; 2];
        let mut year = FIRST;
        // 2072-01-01 is a Friday, day 5 from Sunday.
        let mut weekday = 5;
        while year < FIRST + 28 {
            let leap = (year % 4 == 0) as usize;
            table[leap][weekday] = year;
            weekday = (weekday + 1 + leap) % 7;
            year += 1;
        }
        table
    };
    let days = start_of(year).div_euclid(86_400);
    // 1970-01-01 was a Thursday, day 4 from Sunday.
    let weekday = usize::try_from((days + 4).rem_euclid(7)).unwrap_or(0);
    let leap = usize::from(start_of(year + 1).div_euclid(86_400) - days == 366);
    TABLE[leap][weekday]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_and_its_stand_in_have_one_calendar() {
        for year in -1..=LAST_YEAR {
            let stand_in = stand_in(year);
            let first = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
            assert!((2072..2100).contains(&stand_in), "{year}");
            assert_eq!(first(year).weekday(), first(stand_in).weekday(), "{year}");
            assert_eq!(first(year).leap_year(), first(stand_in).leap_year(), "{year}");
        }
    }
}
