//! The strict reader of crontab lines: from text to the values of each field.

use crate::schedule::fault::{CronError, CronFault, CronField, MAX_CRON_BYTES, excerpt};
use crate::schedule::readings::CronReading;

/// What one field of a line admits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Values {
    /// Bit n is set if the value n is admitted; of the weekdays 0 is Sunday, and 7 is not used.
    pub(super) mask: u64,
    /// The field begins with `*`. ISC cron hangs two decisions on this: how the day fields combine,
    /// and how the line follows a change of the clock.
    pub(super) starred: bool,
}

impl Values {
    pub(super) fn has(self, value: u32) -> bool {
        self.mask >> value & 1 == 1
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u32> + Clone {
        (0..64).filter(move |value| self.has(*value))
    }

    pub(super) fn count(self) -> u32 {
        self.mask.count_ones()
    }
}

/// A line that has been read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Line {
    pub(super) minutes: Values,
    pub(super) hours: Values,
    pub(super) days: Values,
    pub(super) months: Values,
    pub(super) weekdays: Values,
    /// A date must satisfy both day fields; otherwise either of them is enough.
    pub(super) both_days: bool,
}

impl Line {
    pub(super) fn read(text: &str, reading: CronReading) -> Result<Self, CronError> {
        if text.len() > MAX_CRON_BYTES {
            return Err(error(None, 0, text, CronFault::TooLong(text.len())));
        }
        let words = words(text);
        let expanded = match words.first() {
            Some((_, word)) if word.starts_with('@') => Some(expand(&words)?),
            _ => None,
        };
        // The words of a macro's text have no place in the line, and no fault either.
        let words = expanded.map_or(words, self::words);
        let [minutes, hours, days, months, weekdays] = words[..] else {
            return Err(count_error(text, &words));
        };
        let mut line = Self {
            minutes: MINUTE.read(minutes, reading)?,
            hours: HOUR.read(hours, reading)?,
            days: DAY.read(days, reading)?,
            months: MONTH.read(months, reading)?,
            weekdays: WEEKDAY.read(weekdays, reading)?,
            both_days: false,
        };
        line.both_days = match reading {
            CronReading::DaysAnd => true,
            CronReading::DaysOr => days.1 == "*" || weekdays.1 == "*",
            _ => line.days.starred || line.weekdays.starred,
        };
        let exists = |month: u32| line.days.iter().any(|day| day <= longest(month));
        if line.both_days && !line.months.iter().any(exists) {
            let found = &text[days.0..months.0 + months.1.len()];
            return Err(error(Some(CronField::DayOfMonth), days.0, found, CronFault::Impossible));
        }
        Ok(line)
    }
}

/// The days of a month in the years in which it is longest.
fn longest(month: u32) -> u32 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn error(field: Option<CronField>, offset: usize, found: &str, fault: CronFault) -> CronError {
    CronError { field, offset, found: excerpt(found), fault }
}

/// The words of a line with their offsets; blanks and tabs separate them.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut next = 0;
    let words = text.split([' ', '\t']).map(|word| {
        let offset = next;
        next += word.len() + 1;
        (offset, word)
    });
    words.filter(|(_, word)| !word.is_empty()).collect()
}

/// The macros (crontab(5) of ISC cron), and what they stand for.
const MACROS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

fn expand(words: &[(usize, &str)]) -> Result<&'static str, CronError> {
    let (offset, name) = words[0];
    let Some((_, line)) = MACROS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) else {
        return Err(error(None, offset, name, CronFault::UnknownMacro));
    };
    match words.get(1) {
        Some((offset, more)) => Err(error(None, *offset, more, CronFault::MacroNotAlone)),
        None => Ok(line),
    }
}

/// Why a line does not have five fields.
fn count_error(text: &str, words: &[(usize, &str)]) -> CronError {
    let joint = |c: char| matches!(c, ',' | '-' | '/');
    // A part of a field has numbers and names of three letters; a command's path has others.
    let part = |word: &str| word.split(|c: char| !c.is_alphabetic()).all(|name| name.len() <= 3);
    let slipped = |word: &str| (word.starts_with(joint) || word.ends_with(joint)) && part(word);
    let zone = |word: &str| word.starts_with("TZ=") || word.starts_with("CRON_TZ=");
    let count = words.len();
    if let Some((offset, word)) = words.first().filter(|(_, word)| zone(word)) {
        return error(None, *offset, word, CronFault::ZoneInLine);
    }
    if let Some((offset, word)) = words.iter().find(|(_, word)| count > 5 && slipped(word)) {
        return error(None, *offset, word, CronFault::SlippedSpace);
    }
    let fault = match count {
        0..=4 => CronFault::FewFields(count),
        6 | 7 => CronFault::SecondsOrYear(count),
        _ => CronFault::ManyFields(count),
    };
    error(None, words.first().map_or(0, |(offset, _)| *offset), text.trim(), fault)
}

/// What a field takes.
struct Spec {
    field: CronField,
    low: u32,
    high: u32,
    /// The names of the values from `low` on, in full; the first three letters are the short form.
    names: &'static [&'static str],
    shorts: &'static [&'static str],
    accepted: &'static str,
}

const MINUTE: Spec = Spec {
    field: CronField::Minute,
    low: 0,
    high: 59,
    names: &[],
    shorts: &[],
    accepted: "0 to 59, `*`, ranges, steps and lists of them",
};

const HOUR: Spec = Spec {
    field: CronField::Hour,
    low: 0,
    high: 23,
    names: &[],
    shorts: &[],
    accepted: "0 to 23, `*`, ranges, steps and lists of them",
};

const DAY: Spec = Spec {
    field: CronField::DayOfMonth,
    low: 1,
    high: 31,
    names: &[],
    shorts: &[],
    accepted: "1 to 31, `*`, ranges, steps and lists of them",
};

const MONTH: Spec = Spec {
    field: CronField::Month,
    low: 1,
    high: 12,
    names: &[
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ],
    shorts: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    accepted: "1 to 12, JAN to DEC, `*`, ranges, steps and lists of them",
};

const WEEKDAY: Spec = Spec {
    field: CronField::DayOfWeek,
    low: 0,
    high: 7,
    names: &["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"],
    shorts: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    accepted: "0 to 7 (0 and 7 are Sunday), SUN to SAT, `*`, ranges, steps and lists of them",
};

impl Spec {
    fn error<T>(&self, (offset, found): (usize, &str), fault: CronFault) -> Result<T, CronError> {
        Err(error(Some(self.field), offset, found, fault))
    }

    fn read(&self, word: (usize, &str), reading: CronReading) -> Result<Values, CronError> {
        let (mut offset, text) = word;
        let mut mask = 0_u64;
        for entry in text.split(',') {
            for value in self.entry(word, (offset, entry), reading)? {
                if reading == CronReading::RepeatsRefused && mask >> value & 1 == 1 {
                    return self.error((offset, entry), CronFault::NoValue("each value once"));
                }
                mask |= 1 << value;
            }
            offset += entry.len() + 1;
        }
        Ok(Values { mask, starred: text.starts_with('*') })
    }

    /// The values of one entry of a field's list.
    fn entry(
        &self,
        word: (usize, &str),
        entry: (usize, &str),
        reading: CronReading,
    ) -> Result<Vec<u32>, CronError> {
        let (offset, text) = entry;
        if text.is_empty() {
            return self.error(word, CronFault::EmptyEntry);
        }
        if let Some(sign) = text.chars().find(|c| matches!(c, '#' | '?')) {
            return self.error(entry, CronFault::Extension(sign));
        }
        let (span, step) = match text.split_once('/') {
            None => (text, None),
            Some((span, step)) => (span, Some(self.step(entry, (offset + span.len() + 1, step))?)),
        };
        let every = step.unwrap_or(1);
        if span == "*" {
            let high = if self.field == CronField::DayOfWeek { 6 } else { self.high };
            return Ok((self.low..=high).step_by(every).collect());
        }
        let Some((from, to)) = span.split_once('-') else {
            let value = self.value((offset, span))?;
            return match step {
                None => Ok(vec![self.day_of_week(value)]),
                Some(step) => {
                    let high = if self.field == CronField::DayOfWeek { 6 } else { self.high };
                    self.error(entry, CronFault::SingleStep(format!("{span}-{high}/{step}")))
                }
            };
        };
        match (from.is_empty(), to.is_empty()) {
            (true, false) if to.starts_with(|c: char| c.is_ascii_digit()) => {
                return self.error(entry, CronFault::Sign('-'));
            }
            (true, _) | (_, true) => return self.error(entry, CronFault::OpenRange),
            (false, false) => {}
        }
        let low = self.value((offset, from))?;
        let high = self.value((offset + from.len() + 1, to))?;
        if self.field == CronField::DayOfWeek {
            return Ok(week(low, high, every, reading));
        }
        if low > high {
            let two = format!("{from}-{},{}-{to}", self.high, self.low);
            return self.error((offset, span), CronFault::WrappedRange(two));
        }
        Ok((low..=high).step_by(every).collect())
    }

    fn step(&self, entry: (usize, &str), step: (usize, &str)) -> Result<usize, CronError> {
        let text = step.1;
        if let Some(sign) = text.chars().next().filter(|c| matches!(c, '+' | '-')) {
            return self.error(step, CronFault::Sign(sign));
        }
        match text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u32>()) {
            Some(Ok(n)) if n > 0 => Ok(n as usize),
            _ => self.error(entry, CronFault::NoStep),
        }
    }

    /// A number or a name.
    fn value(&self, word: (usize, &str)) -> Result<u32, CronError> {
        let text = word.1;
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return match text.parse() {
                Ok(n) if (self.low..=self.high).contains(&n) => Ok(n),
                _ => self.error(word, CronFault::OutOfRange { low: self.low, high: self.high }),
            };
        }
        if let Some(place) = self.shorts.iter().position(|name| text.eq_ignore_ascii_case(name)) {
            return Ok(self.low + place as u32);
        }
        // `sunday`, and `sept` as well.
        let longer = |name: &&str| {
            text.len() > 3 && name.get(..text.len()).is_some_and(|n| n.eq_ignore_ascii_case(text))
        };
        if let Some(place) = self.names.iter().position(longer) {
            return self.error(word, CronFault::FullName(self.shorts[place]));
        }
        let fault = match extension(text) {
            _ if text.starts_with('+') => CronFault::Sign('+'),
            Some(sign) => CronFault::Extension(sign),
            None => CronFault::NoValue(self.accepted),
        };
        self.error(word, fault)
    }

    /// 7 is Sunday, as 0 is.
    fn day_of_week(&self, value: u32) -> u32 {
        if self.field == CronField::DayOfWeek { value % 7 } else { value }
    }
}

/// The days of a range of weekdays, which may run over the end of the week.
fn week(from: u32, to: u32, every: usize, reading: CronReading) -> Vec<u32> {
    let end = if to < from { to + 7 } else { to };
    match reading {
        CronReading::WholeWeek if from % 7 == to % 7 => (0..7).step_by(every).collect(),
        CronReading::SevenEndsWeek => {
            (from..=end).step_by(every).filter(|day| *day != 7).map(|day| day % 7).collect()
        }
        _ => (from..=end).step_by(every).map(|day| day % 7).collect(),
    }
}

/// Whether a value is of another dialect's making: `L`, `LW`, `15W`, `5L`, `FRIL`, `L5`.
fn extension(text: &str) -> Option<char> {
    let text = text.to_ascii_uppercase();
    let digits = text.trim_matches(|c: char| c.is_ascii_digit());
    let named = WEEKDAY.shorts.iter().find_map(|day| text.strip_prefix(day));
    match (digits, named) {
        ("W", _) => Some('W'),
        ("L" | "LW" | "WL", _) | (_, Some("L")) => Some('L'),
        _ => None,
    }
}
