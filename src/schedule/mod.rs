//! Timetables: crontab lines in a time zone, over the `cron` crate.

mod calendar;
mod clock;
mod describe;
mod fault;
mod hours;
mod masks;
mod reader;
mod readings;
mod wall;
mod zone;

use std::fmt;

use crate::time::Time;
use reader::Line;
use wall::Wall;

pub use calendar::{Calendar, CalendarIx};
pub use fault::{CronError, CronFault, CronField, MAX_CRON_BYTES};
pub use hours::{Clock, ClockError, Hours, Weekday};
#[doc(hidden)]
pub use readings::{CronReading, Fold, Gap};
pub use zone::{Zone, ZoneError};

/// When a rule runs: an ordinary crontab line, by the clock of a time zone.
///
/// # The line
/// Five fields (minute 0–59, hour 0–23, day of month 1–31, month 1–12 or JAN–DEC, day of week 0–7
/// or SUN–SAT, where 0 and 7 are Sunday), separated by blanks or tabs; in each `*`, a value, a range
/// `a-b`, either of `*` and a range with a step `/n`, or a list of these. Names are read in either
/// case. Ranges of weekdays may run over the end of the week (`FRI-SUN`, `SAT-MON`); a value may be
/// repeated. Instead of the fields one of `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`,
/// `@yearly` and `@annually`. At most [`MAX_CRON_BYTES`].
///
/// Where both day fields are restricted either of them is enough: `0 0 13 * FRI` is every 13th and
/// every Friday. Where one of them *begins* with `*` both must hold: `0 0 */2 * SAT` is a Saturday
/// with an odd date. This is ISC cron's reading, as is what follows.
///
/// # When the clock changes
/// A line with a fixed minute and hour runs once for each of its times: one that the clock skips
/// runs at the first instant after the skip (02:30 at 03:00; Apia's skipped day at its end), one
/// that the clock shows twice runs at the first pass. A line whose minute or hour begins with `*`
/// runs whenever the clock shows one of its times: at both passes, and not for a skipped one.
///
/// ```
/// use tipstaff::{Time, Timetable};
/// let table = Timetable::new("30 2 * * *", "Europe/Berlin".parse()?)?;
/// let saturday: Time = "2026-03-28T12:00:00Z".parse()?;
/// let next: Vec<_> = table.next(saturday, 2).iter().map(ToString::to_string).collect();
/// // On Sunday the clock goes from 02:00 to 03:00.
/// assert_eq!(next, ["2026-03-29T03:00:00+02:00 Europe/Berlin", "2026-03-30T02:30:00+02:00 Europe/Berlin"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Timetable {
    text: String,
    zone: Zone,
    line: Line,
    wall: Wall,
    reading: CronReading,
}

impl PartialEq for Timetable {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.zone, self.reading) == (&other.text, other.zone, other.reading)
    }
}

impl Eq for Timetable {}

impl Timetable {
    /// Reads a crontab line.
    ///
    /// # Errors
    /// [`CronError`] with the first fault from the left: where it is, what was found there, and what
    /// would be accepted.
    pub fn new(line: &str, zone: Zone) -> Result<Self, CronError> {
        Self::read_as(line, zone, CronReading::Ours)
    }

    /// Reads a crontab line as another library does. For comparisons only.
    ///
    /// # Errors
    /// As [`Timetable::new`], for that reading.
    #[doc(hidden)]
    pub fn read_as(line: &str, zone: Zone, reading: CronReading) -> Result<Self, CronError> {
        let read = Line::read(line, reading)?;
        Ok(Self { text: line.to_owned(), zone, line: read, wall: Wall::new(&read), reading })
    }

    /// The line as it was given.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.text
    }

    /// The zone whose clock it follows.
    #[must_use]
    pub const fn zone(&self) -> Zone {
        self.zone
    }

    /// The first occurrence after `after`, never at it; `None` if there is none before the end of
    /// [`Time`].
    #[must_use]
    pub fn after(&self, after: Time) -> Option<Time> {
        // Occurrences are whole seconds, so the fraction of a second decides nothing.
        let after = to_secs(after);
        let next = match self.reading {
            CronReading::Clock(gap, fold) => clock::next_by(&self.wall, self.zone, after, gap, fold),
            _ if self.line.minutes.starred || self.line.hours.starred => {
                clock::next_shown(&self.wall, self.zone, after)
            }
            _ => clock::next_reached(&self.wall, self.zone, after),
        };
        to_time(next?)
    }

    /// The occurrences after `after`, in their order, each later than the one before.
    pub fn occurrences(&self, after: Time) -> impl Iterator<Item = Occurrence> + '_ {
        std::iter::successors(self.after(after), |last| self.after(*last)).map(|at| self.occurrence(at))
    }

    /// The next `count` occurrences after `after`; fewer only at the end of [`Time`].
    #[must_use]
    pub fn next(&self, after: Time, count: usize) -> Vec<Occurrence> {
        self.occurrences(after).take(count).collect()
    }

    /// What the line says, in plain English, such as `at 09:00 on Monday, Europe/Berlin`.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("{}, {}", describe::describe(&self.line), self.zone)
    }

    fn occurrence(&self, at: Time) -> Occurrence {
        let offset = self.zone.offset(at.micros().div_euclid(1_000_000));
        Occurrence { at, zone: self.zone, offset }
    }
}

/// The second that an instant lies in.
const fn to_secs(time: Time) -> zone::UtcSecs {
    time.micros().div_euclid(1_000_000)
}

/// The instant at which a second begins, if it lies before the end of [`Time`].
fn to_time(secs: zone::UtcSecs) -> Option<Time> {
    let micros = secs.checked_mul(1_000_000)?;
    (micros <= Time::MAX.micros()).then(|| Time::from_micros(micros))
}

impl fmt::Debug for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timetable")
            .field("line", &self.text)
            .field("zone", &self.zone)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Timetable {
    /// The line and its zone: `0 9 * * MON Europe/Berlin`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.text, self.zone)
    }
}

/// One run of a timetable. Displays as [`Occurrence::local`] with the zone's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Occurrence {
    /// When.
    pub at: Time,
    /// The zone of the timetable.
    pub zone: Zone,
    offset: i64,
}

impl Occurrence {
    /// Seconds that the zone's clock is ahead of UTC then; negative if it is behind.
    #[must_use]
    pub const fn offset_seconds(&self) -> i64 {
        self.offset
    }

    /// What the zone's clock shows, with its offset from UTC: `2026-03-29T03:00:00+02:00`. The offset
    /// has seconds where a zone had no whole minutes yet.
    #[must_use]
    pub fn local(&self) -> String {
        let shown = self.at.micros().saturating_add(self.offset * 1_000_000);
        let shown = chrono::DateTime::from_timestamp_micros(shown)
            .expect("an instant and an offset are within chrono's range")
            .format("%Y-%m-%dT%H:%M:%S");
        let (sign, offset) = if self.offset < 0 { ('-', -self.offset) } else { ('+', self.offset) };
        let (hours, minutes, seconds) = (offset / 3_600, offset / 60 % 60, offset % 60);
        if seconds == 0 {
            format!("{shown}{sign}{hours:02}:{minutes:02}")
        } else {
            format!("{shown}{sign}{hours:02}:{minutes:02}:{seconds:02}")
        }
    }
}

impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.local(), self.zone)
    }
}
