//! Other readings of a crontab line: those of other libraries, each by its name.
//!
//! Not for use: they exist so that a disagreement with another library's answers can be *computed*
//! to be a difference of reading, instead of being listed as an exception.

use std::fmt;

/// What a line does at a wall-clock time that the clock skips.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gap {
    /// It runs at the first instant after the skip.
    FirstValid,
    /// It does not run.
    Dropped,
    /// It runs as much later as the clock was put forward.
    Shifted,
}

/// What a line does at a wall-clock time that the clock shows twice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fold {
    /// It runs at the first pass.
    First,
    /// It runs at the second pass.
    Second,
    /// It runs at both.
    Both,
}

/// How a line is read: as this crate reads it, or with one named choice of another library.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CronReading {
    /// As [`Timetable`](crate::Timetable) documents.
    #[default]
    Ours,
    /// A date must always satisfy both day fields.
    DaysAnd,
    /// Either day field is enough unless one is a bare `*`: a starred step is a restriction.
    DaysOr,
    /// A range of weekdays from a day to itself is the whole week.
    WholeWeek,
    /// 7 is not Sunday in a range of weekdays.
    SevenEndsWeek,
    /// A value that stands twice in a field is refused.
    RepeatsRefused,
    /// The clock's changes are met in one way, whether a field is starred or not.
    Clock(Gap, Fold),
}

impl CronReading {
    /// Every reading that is not ours.
    pub const OTHERS: [Self; 14] = [
        Self::DaysAnd,
        Self::DaysOr,
        Self::WholeWeek,
        Self::SevenEndsWeek,
        Self::RepeatsRefused,
        Self::Clock(Gap::FirstValid, Fold::First),
        Self::Clock(Gap::FirstValid, Fold::Second),
        Self::Clock(Gap::FirstValid, Fold::Both),
        Self::Clock(Gap::Dropped, Fold::First),
        Self::Clock(Gap::Dropped, Fold::Second),
        Self::Clock(Gap::Dropped, Fold::Both),
        Self::Clock(Gap::Shifted, Fold::First),
        Self::Clock(Gap::Shifted, Fold::Second),
        Self::Clock(Gap::Shifted, Fold::Both),
    ];
}

impl fmt::Display for CronReading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Ours => "ours",
            Self::DaysAnd => "day fields are ANDed",
            Self::DaysOr => "day fields are ORed, a starred step restricts",
            Self::WholeWeek => "x-x is the whole week",
            Self::SevenEndsWeek => "7 is not Sunday in a range",
            Self::RepeatsRefused => "a repeated value is refused",
            Self::Clock(gap, fold) => {
                let gap = match gap {
                    Gap::FirstValid => "runs after the skip",
                    Gap::Dropped => "is dropped",
                    Gap::Shifted => "is shifted by the skip",
                };
                let fold = match fold {
                    Fold::First => "at its first pass",
                    Fold::Second => "at its second pass",
                    Fold::Both => "at both passes",
                };
                return write!(f, "a skipped time {gap}, a repeated one runs {fold}");
            }
        };
        f.pad(name)
    }
}
