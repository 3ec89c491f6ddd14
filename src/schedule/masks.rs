//! A line as bit masks: the same wall-clock times as the `cron` crate finds, from twenty bytes.

use chrono::{Datelike as _, NaiveDate};

use crate::schedule::reader::Line;
use crate::schedule::wall::{LAST_YEAR, Times, WallSecs};

const DAY: i64 = 86_400;

/// Bit n of a mask is set if the value n is admitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Masks {
    minutes: u64,
    hours: u32,
    days: u32,
    months: u16,
    weekdays: u8,
    both_days: bool,
    /// The minute or hour field begins with `*`.
    pub(super) starred: bool,
}

impl Masks {
    pub(super) fn new(line: &Line) -> Self {
        // Each field's values fit its mask; the reader admits no others.
        Self {
            minutes: line.minutes.mask,
            hours: line.hours.mask as u32,
            days: line.days.mask as u32,
            months: line.months.mask as u16,
            weekdays: line.weekdays.mask as u8,
            both_days: line.both_days,
            starred: line.minutes.starred || line.hours.starred,
        }
    }

    fn on(&self, day: u32, weekday: u32) -> bool {
        let (day, weekday) = (self.days >> day & 1 == 1, self.weekdays >> weekday & 1 == 1);
        if self.both_days { day && weekday } else { day || weekday }
    }

    /// The first minute of a day at that minute or later, both counted from midnight.
    fn minute_from(&self, from: u32) -> Option<u32> {
        let (hour, minute) = (from / 60, from % 60);
        let later = |mask: u64, than: u32| {
            let rest = mask.checked_shr(than).unwrap_or(0);
            (rest != 0).then(|| than + rest.trailing_zeros())
        };
        let hours = u64::from(self.hours);
        if hours >> hour & 1 == 1
            && let Some(minute) = later(self.minutes, minute)
        {
            return Some(hour * 60 + minute);
        }
        Some(later(hours, hour + 1)? * 60 + self.minutes.trailing_zeros())
    }
}

impl Times for Masks {
    fn first_from(&self, from: WallSecs) -> Option<WallSecs> {
        // Times are whole minutes.
        let from = from.div_euclid(60) + i64::from(from.rem_euclid(60) > 0);
        let mut epoch_day = from.div_euclid(DAY / 60);
        let mut minute = u32::try_from(from.rem_euclid(DAY / 60)).unwrap_or(0);
        let date = chrono::DateTime::from_timestamp(epoch_day * DAY, 0)?.date_naive();
        let (mut year, mut month, mut day) = (date.year(), date.month(), date.day());
        // 1970-01-01 was a Thursday, day 4 from Sunday.
        let mut weekday = u32::try_from((epoch_day + 4).rem_euclid(7)).unwrap_or(0);
        while year <= LAST_YEAR {
            let length = days_of(year, month);
            let admitted = self.months >> month & 1 == 1;
            while day <= length {
                if admitted
                    && self.on(day, weekday)
                    && let Some(minute) = self.minute_from(minute)
                {
                    return Some(epoch_day * DAY + i64::from(minute) * 60);
                }
                let step = if admitted { 1 } else { length - day + 1 };
                (day, weekday, minute) = (day + step, (weekday + step) % 7, 0);
                epoch_day += i64::from(step);
            }
            (year, month, day) = if month == 12 { (year + 1, 1, 1) } else { (year, month + 1, 1) };
        }
        None
    }
}

fn days_of(year: i32, month: u32) -> u32 {
    let next = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    let last = NaiveDate::from_ymd_opt(next.0, next.1, 1).and_then(|first| first.pred_opt());
    last.map_or(31, |last| last.day())
}
