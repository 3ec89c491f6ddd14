//! Timetables against an oracle that walks a zone's clock minute by minute.
//!
//! The oracle shares nothing with the library but the zone database: lines are made as values first
//! and written as text afterwards, so it does not read them; it knows no change of a clock, only
//! what the clock shows.
//!
//! `TIPSTAFF_CRON_LINES=5000 cargo test --release --test rules crontab_oracle -- --nocapture` is the long
//! run: as many random lines in each window. 500 are the default.

use chrono::{DateTime, Datelike as _, NaiveDateTime, TimeZone as _, Timelike as _};
use chrono_tz::Tz;
use tipstaff::{Time, Timetable, Zone};

/// A stretch of time in a zone: what happens there, its first instant, its hours, and the seconds
/// between two looks at the clock.
type Window = (&'static str, &'static str, &'static str, i64, i64);

const WINDOWS: [Window; 22] = [
    ("an hour is skipped", "America/New_York", "2016-03-13T00:00:00Z", 24, 60),
    ("an hour is repeated", "America/New_York", "2016-11-06T00:00:00Z", 24, 60),
    ("an hour is skipped at 01:00", "Europe/London", "2021-03-27T00:00:00Z", 48, 60),
    ("an hour is repeated", "Europe/London", "2020-10-24T00:00:00Z", 48, 60),
    ("half an hour is skipped", "Australia/Lord_Howe", "2017-09-30T00:00:00Z", 24, 60),
    ("half an hour is repeated", "Australia/Lord_Howe", "2017-04-01T00:00:00Z", 24, 60),
    ("the first hour of a day is skipped", "Africa/Cairo", "2014-05-15T00:00:00Z", 24, 60),
    ("the last hour of a day is repeated", "Africa/Cairo", "2010-08-10T00:00:00Z", 48, 60),
    ("the first hour of a day is skipped", "America/Sao_Paulo", "2018-11-04T00:00:00Z", 24, 60),
    ("the last hour of a day is repeated", "America/Sao_Paulo", "2018-02-17T00:00:00Z", 48, 60),
    ("an hour is skipped from 00:01", "America/St_Johns", "2007-03-11T00:00:00Z", 24, 60),
    ("an hour is repeated from 23:01", "America/St_Johns", "2007-11-04T00:00:00Z", 24, 60),
    ("the first hour of a day is skipped", "Asia/Tehran", "2022-03-21T00:00:00Z", 24, 60),
    ("the last hour of a day is repeated", "Asia/Tehran", "2022-09-21T00:00:00Z", 24, 60),
    ("a day is skipped", "Pacific/Apia", "2011-12-29T00:00:00Z", 72, 60),
    ("a day is repeated", "Pacific/Kwajalein", "1969-09-29T00:00:00Z", 72, 60),
    ("fifteen minutes are skipped", "Asia/Kathmandu", "1985-12-31T00:00:00Z", 24, 60),
    ("nothing happens, on a leap day", "UTC", "2096-02-28T00:00:00Z", 48, 60),
    ("nothing happens, in a century that leaps not", "UTC", "2100-02-28T00:00:00Z", 48, 60),
    ("summer time stops for Ramadan, at two changes", "Africa/Casablanca", "2012-07-19T00:00:00Z", 768, 60),
    ("the clock had odd seconds before", "America/New_York", "1883-11-18T16:00:00Z", 3, 1),
    ("odd seconds are skipped", "Africa/Monrovia", "1972-01-07T00:00:00Z", 3, 1),
];

/// One look at a zone's clock.
struct Look {
    at: i64,
    wall: NaiveDateTime,
}

struct Looks {
    what: &'static str,
    zone: Zone,
    /// Looks before this are there to know what the clock had shown already.
    from: i64,
    looks: Vec<Look>,
}

fn look(&(what, zone, from, hours, every): &Window) -> Looks {
    let tz: Tz = zone.parse().unwrap();
    let from = from.parse::<DateTime<chrono::Utc>>().unwrap().timestamp();
    // A day and a half before, because a clock may be put back by a whole day.
    let before = if every == 60 { 36 * 3_600 } else { 3_600 };
    let looks = (from - before..from + hours * 3_600).step_by(every as usize).map(|at| {
        let utc = DateTime::from_timestamp(at, 0).unwrap().naive_utc();
        Look { at, wall: tz.from_utc_datetime(&utc).naive_local() }
    });
    Looks { what, zone: zone.parse().unwrap(), from, looks: looks.collect() }
}

/// A line as values.
struct Line {
    text: String,
    minutes: [bool; 60],
    hours: [bool; 24],
    days: [bool; 32],
    months: [bool; 13],
    weekdays: [bool; 7],
    /// Both day fields must hold.
    both_days: bool,
    /// The minute or hour field begins with a star.
    starred: bool,
}

impl Line {
    fn on(&self, wall: NaiveDateTime) -> bool {
        let day = self.days[wall.day() as usize];
        let weekday = self.weekdays[wall.weekday().num_days_from_sunday() as usize];
        self.minutes[wall.minute() as usize]
            && self.hours[wall.hour() as usize]
            && self.months[wall.month() as usize]
            && if self.both_days { day && weekday } else { day || weekday }
    }
}

/// When the line runs, by looking at the clock again and again.
fn walk(line: &Line, looks: &Looks) -> Vec<i64> {
    let minute = |wall: NaiveDateTime| wall.and_utc().timestamp().div_euclid(60);
    let mut runs = Vec::new();
    let mut seen = minute(looks.looks[0].wall);
    for look in &looks.looks {
        let now = minute(look.wall);
        let due = if line.starred {
            look.wall.second() == 0 && line.on(look.wall)
        } else {
            // Every minute that the clock has reached or passed for the first time.
            (seen + 1..=now).any(|m| line.on(DateTime::from_timestamp(m * 60, 0).unwrap().naive_utc()))
        };
        seen = seen.max(now);
        if due && look.at >= looks.from {
            runs.push(look.at);
        }
    }
    runs
}

/// SplitMix64 (Steele, Lea, Flood 2014): numbers that are random enough, and the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u32) -> u32 {
        (self.next() % u64::from(n)) as u32
    }

    fn percent(&mut self, n: u32) -> bool {
        self.below(100) < n
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u32) as usize]
    }
}

const MONTHS: [&str; 13] =
    ["", "jan", "FEB", "Mar", "apr", "MAY", "Jun", "jul", "AUG", "Sep", "oct", "NOV", "Dec"];
const WEEKDAYS: [&str; 8] = ["Sun", "MON", "tue", "WED", "Thu", "fri", "SAT", "sun"];

/// A field of random entries: its text, and each value that it admits.
fn field(random: &mut Random, low: u32, high: u32, likely: &[u32], names: &[&str]) -> (String, Vec<u32>) {
    let mut texts = Vec::new();
    let mut values = Vec::new();
    for _ in 0..random.pick(&[1, 1, 1, 2, 2, 3, 5]) {
        let value = |random: &mut Random| {
            if random.percent(70) { random.pick(likely) } else { low + random.below(high - low + 1) }
        };
        let write = |random: &mut Random, value: u32| match random.below(6) {
            0 | 1 if !names.is_empty() => names[value as usize].to_owned(),
            2 => format!("{value:02}"),
            _ => value.to_string(),
        };
        let step = match random.below(3) {
            0 => Some(1 + random.below(high - low + 3)),
            1 => Some(1 + random.below(7)),
            _ => None,
        };
        let (span, all): (String, Vec<u32>) = match random.below(20) {
            0 => ("*".to_owned(), (low..=high).collect()),
            1..=14 => {
                let value = value(random);
                texts.push(write(random, value));
                values.push(value);
                continue;
            }
            _ => {
                let (mut from, mut to) = (value(random), value(random));
                let week = high == 7;
                if from > to && !week {
                    (from, to) = (to, from);
                }
                // Round the week from the first day to the last, 7 being Sunday too.
                let days = if from <= to { (from..=to).collect() } else { (from..=to + 7).collect() };
                // By its name Sunday is 0, so that only numbers can say `0-7` and `7-7`.
                let whole = to == 7 && from % 7 == 0;
                let text = |random: &mut Random, n: u32| if whole { n.to_string() } else { write(random, n) };
                (format!("{}-{}", text(random, from), text(random, to)), days)
            }
        };
        let high_star = if span == "*" && high == 7 { 6 } else { u32::MAX };
        let all = all.into_iter().filter(|value| *value <= high_star);
        values.extend(all.step_by(step.unwrap_or(1) as usize));
        texts.push(step.map_or(span.clone(), |step| format!("{span}/{step}")));
    }
    (texts.join(","), values)
}

/// A random line that runs, if it can, about the time when clocks change.
fn line(random: &mut Random, looks: &Looks) -> Line {
    let about = looks.looks[random.below(looks.looks.len() as u32) as usize].wall;
    let star = |low, high| ("*".to_owned(), (low..=high).collect::<Vec<u32>>());
    loop {
        let minutes = match random.below(20) {
            0 => star(0, 59),
            _ => field(random, 0, 59, &[0, 1, 2, 14, 15, 29, 30, 31, 45, 59, about.minute()], &[]),
        };
        let hours = match random.below(4) {
            0 => star(0, 23),
            _ => field(random, 0, 23, &[0, 1, 2, 3, 4, 22, 23, about.hour()], &[]),
        };
        let days = match random.below(2) {
            0 => star(1, 31),
            _ => field(random, 1, 31, &[1, 28, 29, 30, 31, about.day()], &[]),
        };
        let months = match random.below(3) {
            0 => field(random, 1, 12, &[about.month(); 4], &MONTHS),
            _ => star(1, 12),
        };
        let weekdays = match random.below(2) {
            0 => star(0, 6),
            _ => field(random, 0, 7, &[0, 6, 7, about.weekday().num_days_from_sunday()], &WEEKDAYS),
        };
        let blank = random.pick(&[" ", " ", "  ", "\t", " \t "]);
        let texts = [&minutes.0, &hours.0, &days.0, &months.0, &weekdays.0].map(String::as_str);
        let mut line = Line {
            text: texts.join(blank),
            minutes: [false; 60],
            hours: [false; 24],
            days: [false; 32],
            months: [false; 13],
            weekdays: [false; 7],
            both_days: days.0.starts_with('*') || weekdays.0.starts_with('*'),
            starred: minutes.0.starts_with('*') || hours.0.starts_with('*'),
        };
        minutes.1.iter().for_each(|n| line.minutes[*n as usize] = true);
        hours.1.iter().for_each(|n| line.hours[*n as usize] = true);
        days.1.iter().for_each(|n| line.days[*n as usize] = true);
        months.1.iter().for_each(|n| line.months[*n as usize] = true);
        weekdays.1.iter().for_each(|n| line.weekdays[*n as usize % 7] = true);
        // A date that never comes is refused, which is another test's matter.
        let exists =
            |month: usize, day: usize| day <= [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month];
        let some = (1..13).any(|m| line.months[m] && (1..32).any(|d| line.days[d] && exists(m, d)));
        if some || !line.both_days {
            return line;
        }
    }
}

fn time(secs: i64) -> Time {
    Time::from_micros(secs * 1_000_000)
}

#[test]
fn timetables_do_what_a_clock_watcher_would() {
    #[allow(clippy::disallowed_methods, reason = "the size of the long run comes from outside")]
    let lines: u64 = std::env::var("TIPSTAFF_CRON_LINES").map_or(500, |n| n.parse().unwrap());
    let mut fired = 0_usize;
    let mut moved = 0_usize;
    for (number, window) in WINDOWS.iter().enumerate() {
        let looks = look(window);
        let end = looks.looks.last().unwrap().at;
        let mut random = Random(number as u64);
        // A long window is walked for fewer lines.
        for _ in 0..if window.3 > 200 { lines.div_ceil(10) } else { lines } {
            let line = line(&mut random, &looks);
            let table = Timetable::new(&line.text, looks.zone).unwrap();
            let case = || format!("`{}` {} ({})", line.text, looks.zone, looks.what);
            let expected = walk(&line, &looks);
            let runs = table.occurrences(time(looks.from - 1)).map(|run| run.at);
            let runs: Vec<_> = runs.take_while(|at| *at <= time(end)).collect();
            assert_eq!(runs, expected.iter().map(|at| time(*at)).collect::<Vec<_>>(), "{}", case());
            assert!(runs.windows(2).all(|pair| pair[0] < pair[1]), "{}", case());
            fired += runs.len();
            moved += expected
                .iter()
                .filter(|at| {
                    let wall = looks.looks[((**at - looks.looks[0].at) / window.4) as usize].wall;
                    !line.on(wall)
                })
                .count();
            // Asked anew at any instant, as after a restart, it answers the same.
            for _ in 0..4 {
                let somewhere = looks.from + (random.next() % (end - looks.from) as u64) as i64;
                let beside = runs.get(random.below(runs.len().max(1) as u32) as usize);
                let beside = beside.map_or(0, |at| at.micros()) + i64::from(random.below(3)) - 1;
                for asked in [time(somewhere), Time::from_micros(beside)] {
                    if asked < time(looks.from) {
                        continue;
                    }
                    let next = runs.iter().find(|at| **at > asked);
                    let answer = table.after(asked).filter(|at| *at <= time(end));
                    assert_eq!(answer.as_ref(), next, "{} after {asked}", case());
                }
            }
        }
    }
    println!(
        "{fired} runs of {lines} lines in {} windows, {moved} of them moved out of a skip",
        WINDOWS.len()
    );
    assert!(moved > 0);
}
