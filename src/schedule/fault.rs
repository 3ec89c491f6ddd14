//! What is wrong with a crontab line, and what to write instead.

use std::fmt;

/// The longest crontab line, in bytes. A line that lists every value of every field fits.
pub const MAX_CRON_BYTES: usize = 512;

/// One of the five fields of a crontab line.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum CronField {
    /// The first: 0 to 59.
    Minute,
    /// The second: 0 to 23.
    Hour,
    /// The third: 1 to 31.
    DayOfMonth,
    /// The fourth: 1 to 12, or JAN to DEC.
    Month,
    /// The fifth: 0 to 7, or SUN to SAT; 0 and 7 are both Sunday.
    DayOfWeek,
}

impl fmt::Display for CronField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

/// A text that is no crontab line: the first fault from the left.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}offset {offset}: `{found}` {fault}", Place(.field))]
pub struct CronError {
    /// The field, where the fault lies in one.
    pub field: Option<CronField>,
    /// Bytes of the line before what was found.
    pub offset: usize,
    /// What was found there: at most 60 characters, control characters escaped.
    pub found: String,
    /// What is wrong with it, and what would be accepted.
    pub fault: CronFault,
}

struct Place<'a>(&'a Option<CronField>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |field| write!(f, "{field}, "))
    }
}

/// What is wrong with a crontab line.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CronFault {
    /// The line is longer than [`MAX_CRON_BYTES`].
    #[error("begins a line of {0} bytes; accepted: at most 512")]
    TooLong(usize),
    /// There are fewer than five fields.
    #[error(
        "makes {0} of 5 fields; accepted: minute, hour, day of month, month, day of week, or a macro such as `@daily`"
    )]
    FewFields(usize),
    /// There are six or seven: the line has a field for seconds or years.
    #[error(
        "makes {0} fields; accepted: 5 (minute, hour, day of month, month, day of week), without seconds or years"
    )]
    SecondsOrYear(usize),
    /// There are more than seven.
    #[error("makes {0} fields; accepted: 5 (minute, hour, day of month, month, day of week)")]
    ManyFields(usize),
    /// A space stands beside `,`, `-` or `/`, which splits a field in two.
    #[error(
        "has a space beside it that splits a field; accepted: lists, ranges and steps without spaces, such as `1,15` or `MON-FRI`"
    )]
    SlippedSpace,
    /// The line names its zone.
    #[error("names a zone; accepted: the zone as a setting of its own, beside the line")]
    ZoneInLine,
    /// No such macro, or none that a host without a boot or a daemon could follow.
    #[error(
        "is no macro; accepted: `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`"
    )]
    UnknownMacro,
    /// Something follows a macro.
    #[error("follows a macro; accepted: the macro alone")]
    MacroNotAlone,
    /// A sign of another dialect: `L`, `W`, `#` or `?`.
    #[error("{}", extension(*.0))]
    Extension(char),
    /// A step after a single value, which dialects read differently.
    #[error("steps from a single value; accepted: a range with its end, `{0}`")]
    SingleStep(String),
    /// A range that runs backwards, outside the day of week.
    #[error("runs backwards, which only days of the week may; accepted: two ranges, `{0}`")]
    WrappedRange(String),
    /// The full name of a day or month.
    #[error("is a full name; accepted: `{0}`")]
    FullName(&'static str),
    /// A number with a sign.
    #[error("has a sign; accepted: numbers without one")]
    Sign(char),
    /// A number outside the field's range.
    #[error("is out of range; accepted: {low} to {high}")]
    OutOfRange {
        /// The field's lowest value.
        low: u32,
        /// Its highest.
        high: u32,
    },
    /// A step of zero, or none after the `/`.
    #[error("has no step; accepted: a whole number from 1, such as `*/15`")]
    NoStep,
    /// A list has an empty entry.
    #[error("has an empty entry; accepted: values with single commas between them, such as `1,15`")]
    EmptyEntry,
    /// A range lacks one of its ends.
    #[error("lacks an end of its range; accepted: two values, such as `1-5`")]
    OpenRange,
    /// Neither a number nor a name of that field.
    #[error("is no value of this field; accepted: {0}")]
    NoValue(&'static str),
    /// No month of the line has that day, so that it could never come.
    #[error("never comes: no month of the line has such a day; accepted: a date that exists, such as `29 2`")]
    Impossible,
}

fn extension(sign: char) -> &'static str {
    match sign {
        '?' => "is not used here; accepted: `*` for any day",
        '#' => "asks for the n-th weekday of a month; accepted: plain weekdays, such as `MON` or `MON-FRI`",
        'W' => {
            "asks for the weekday nearest to a day; accepted: plain days, such as `15`, or weekdays, `MON-FRI`"
        }
        _ => "asks for the last day; accepted: plain days, such as `28`, or weekdays, such as `FRI`",
    }
}

/// At most that many characters of a user's text, for an error; none that a terminal would obey.
pub(super) fn excerpt(text: &str) -> String {
    const MOST: usize = 60;
    let (shown, more) = match text.char_indices().nth(MOST) {
        None => (text, ""),
        Some((end, _)) => (&text[..end], "…"),
    };
    let mut plain = String::new();
    for c in shown.chars() {
        // Those that turn the direction of writing hide what was written.
        let turns = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    plain + more
}
