//! A line in plain English. It is told from the values that the line admits, not from its text, so
//! that it cannot say anything else than what will happen.

use crate::schedule::reader::{Line, Values};

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// So many times of day are written one by one.
const TIMES: u32 = 6;

pub(super) fn describe(line: &Line) -> String {
    let mut text = times(line.minutes, line.hours);
    let every_day = line.days.count() == 31;
    let every_weekday = line.weekdays.count() == 7;
    let days = || days_of_month(line.days);
    let weekdays = |and| weekdays(line.weekdays, and);
    let dates = match (every_day, every_weekday) {
        (true, true) => " every day".to_owned(),
        // Either field is enough, and one of them always holds.
        (true, false) | (false, true) if !line.both_days => " every day".to_owned(),
        (true, false) => format!(" on {}", weekdays("and")),
        (false, true) => format!(" on {}", days()),
        (false, false) if line.both_days => format!(" on {} if it is {}", days(), weekdays("or")),
        (false, false) => format!(" on {} and on {}", days(), weekdays("and")),
    };
    text.push_str(&dates);
    if line.months.count() < 12 {
        text.push_str(&format!(
            " in {}",
            named(line.months, "and", |month| MONTHS[month as usize - 1].to_owned())
        ));
    }
    text
}

fn times(minutes: Values, hours: Values) -> String {
    let every_hour = hours.count() == 24;
    if minutes.count() * hours.count() <= TIMES {
        let times = hours.iter().flat_map(|hour| minutes.iter().map(move |minute| (hour, minute)));
        let times: Vec<_> = times.map(|(hour, minute)| format!("{hour:02}:{minute:02}")).collect();
        return format!("at {}", join(&times, "and"));
    }
    let minutes = match (minutes.count(), step(minutes, 60)) {
        (60, _) => "every minute".to_owned(),
        (1, _) if minutes.has(0) && every_hour => return "every hour".to_owned(),
        (_, Some(step)) => format!("every {step} minutes"),
        (1, _) => format!("at minute {}", numbers(minutes)),
        (_, None) => format!("at minutes {}", numbers(minutes)),
    };
    match (every_hour, step(hours, 24)) {
        (true, _) if minutes.starts_with("at") => format!("{minutes} of every hour"),
        (true, _) => minutes,
        (false, Some(step)) => format!("{minutes} of every {} hour from 00:00", ordinal(step)),
        (false, None) if hours.count() == 1 => format!("{minutes} of the hour {}", numbers(hours)),
        (false, None) => format!("{minutes} of the hours {}", numbers(hours)),
    }
}

/// The step of values that are spread evenly over the whole from 0; only of one that divides it,
/// because `*/7` is not every seven minutes.
fn step(values: Values, whole: u32) -> Option<u32> {
    let step = whole.checked_div(values.count())?;
    (2..whole).contains(&step).then_some(step)?;
    (whole.is_multiple_of(step) && values.iter().eq((0..whole).step_by(step as usize))).then_some(step)
}

fn days_of_month(days: Values) -> String {
    let noun = if days.count() == 1 { "day" } else { "days" };
    format!("{noun} {} of the month", numbers(days))
}

fn weekdays(days: Values, and: &str) -> String {
    // From Monday on, so that a weekend is in one piece.
    let from_monday = Values { mask: days.mask & !1 | (days.mask & 1) << 7, ..days };
    named(from_monday, and, |day| DAYS[day as usize % 7].to_owned())
}

fn numbers(values: Values) -> String {
    named(values, "and", |value| value.to_string())
}

/// A list in words; three and more in a row as a range.
fn named(values: Values, and: &str, name: impl Fn(u32) -> String) -> String {
    let all: Vec<u32> = values.iter().collect();
    let runs = all.chunk_by(|a, b| a + 1 == *b);
    let words: Vec<String> = runs
        .flat_map(|run| match run {
            [first, .., last] if run.len() > 2 => vec![format!("{} to {}", name(*first), name(*last))],
            _ => run.iter().map(|value| name(*value)).collect(),
        })
        .collect();
    join(&words, and)
}

fn join(words: &[String], and: &str) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} {and} {last}", first.join(", ")),
    }
}

fn ordinal(n: u32) -> String {
    let ending = match n {
        2 => "nd",
        3 => "rd",
        _ => "th",
    };
    format!("{n}{ending}")
}
