//! Crontab lines: what is read, what is refused and how, what is said of it, and the ends of time.

use chrono::{Datelike as _, NaiveDate};
use proptest::prelude::*;
use tipstaff::{
    CronFault, CronField, CronReading, Fold, Gap, MAX_CRON_BYTES, Time, Timetable, Zone, ZoneError,
};

fn table(line: &str, zone: &str) -> Timetable {
    Timetable::new(line, zone.parse().unwrap()).unwrap_or_else(|error| panic!("`{line}`: {error}"))
}

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// The next runs in local time, with the offset.
fn runs(line: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    table(line, zone).next(time(after), count).iter().map(|run| run.local()).collect()
}

#[test]
fn every_fault_names_its_place_and_what_to_write() {
    use CronField::{DayOfMonth, DayOfWeek, Hour, Minute, Month};
    let long = "1,".repeat(MAX_CRON_BYTES);
    let range = |low, high| CronFault::OutOfRange { low, high };
    let wrapped = |two: &str| CronFault::WrappedRange(two.to_owned());
    let single = |range: &str| CronFault::SingleStep(range.to_owned());
    for (line, field, offset, found, fault) in [
        (long.as_str(), None, 0, &*format!("{}…", &long[..60]), CronFault::TooLong(2 * MAX_CRON_BYTES)),
        ("", None, 0, "", CronFault::FewFields(0)),
        (" 0 9 * * ", None, 1, "0 9 * *", CronFault::FewFields(4)),
        ("0 0 9 * * MON", None, 0, "0 0 9 * * MON", CronFault::SecondsOrYear(6)),
        ("0 0 9 * * * 2026", None, 0, "0 0 9 * * * 2026", CronFault::SecondsOrYear(7)),
        (
            "0 9 * * * root /usr/bin/true",
            None,
            0,
            "0 9 * * * root /usr/bin/true",
            CronFault::SecondsOrYear(7),
        ),
        ("0 9 * * * run this now", None, 0, "0 9 * * * run this now", CronFault::ManyFields(8)),
        ("0 9 * * MON, FRI", None, 8, "MON,", CronFault::SlippedSpace),
        ("0 9 * * MON -FRI", None, 12, "-FRI", CronFault::SlippedSpace),
        ("*/ 5 * * * *", None, 0, "*/", CronFault::SlippedSpace),
        ("CRON_TZ=UTC 0 9 * * *", None, 0, "CRON_TZ=UTC", CronFault::ZoneInLine),
        ("@reboot", None, 0, "@reboot", CronFault::UnknownMacro),
        ("@every 5m", None, 0, "@every", CronFault::UnknownMacro),
        ("@daily 9", None, 7, "9", CronFault::MacroNotAlone),
        ("0 9 L * *", Some(DayOfMonth), 4, "L", CronFault::Extension('L')),
        ("0 9 1,15w * *", Some(DayOfMonth), 6, "15w", CronFault::Extension('W')),
        ("0 9 L-3 * *", Some(DayOfMonth), 4, "L", CronFault::Extension('L')),
        ("0 9 LW * *", Some(DayOfMonth), 4, "LW", CronFault::Extension('L')),
        ("0 9 ? * MON", Some(DayOfMonth), 4, "?", CronFault::Extension('?')),
        ("0 9 * * MON#2", Some(DayOfWeek), 8, "MON#2", CronFault::Extension('#')),
        ("0 9 * * 5L", Some(DayOfWeek), 8, "5L", CronFault::Extension('L')),
        ("0 9 * * friL", Some(DayOfWeek), 8, "friL", CronFault::Extension('L')),
        ("5/15 * * * *", Some(Minute), 0, "5/15", single("5-59/15")),
        ("0 9 * * FRI/2", Some(DayOfWeek), 8, "FRI/2", single("FRI-6/2")),
        ("0 22-2 * * *", Some(Hour), 2, "22-2", wrapped("22-23,0-2")),
        ("0 9 * NOV-FEB *", Some(Month), 6, "NOV-FEB", wrapped("NOV-12,1-FEB")),
        ("0 9 * * Monday", Some(DayOfWeek), 8, "Monday", CronFault::FullName("MON")),
        ("0 9 * * MON-thurs", Some(DayOfWeek), 12, "thurs", CronFault::FullName("THU")),
        ("0 9 1 sept *", Some(Month), 6, "sept", CronFault::FullName("SEP")),
        ("0 9 * * +5", Some(DayOfWeek), 8, "+5", CronFault::Sign('+')),
        ("-1 * * * *", Some(Minute), 0, "-1", CronFault::Sign('-')),
        ("*/-5 * * * *", Some(Minute), 2, "-5", CronFault::Sign('-')),
        ("60 * * * *", Some(Minute), 0, "60", range(0, 59)),
        ("0 8,24 * * *", Some(Hour), 4, "24", range(0, 23)),
        ("0 9 0 * *", Some(DayOfMonth), 4, "0", range(1, 31)),
        ("0 9 * 1-13 *", Some(Month), 8, "13", range(1, 12)),
        ("0 9 * * 8", Some(DayOfWeek), 8, "8", range(0, 7)),
        ("0 99999999999 * * *", Some(Hour), 2, "99999999999", range(0, 23)),
        ("*/0 * * * *", Some(Minute), 0, "*/0", CronFault::NoStep),
        ("*/x * * * *", Some(Minute), 0, "*/x", CronFault::NoStep),
        ("*/ * * * *", Some(Minute), 0, "*/", CronFault::NoStep),
        ("0-30/99999999999 * * * *", Some(Minute), 0, "0-30/99999999999", CronFault::NoStep),
        ("1,,2 * * * *", Some(Minute), 0, "1,,2", CronFault::EmptyEntry),
        ("0 9 * * MON,", Some(DayOfWeek), 8, "MON,", CronFault::EmptyEntry),
        ("7- * * * *", Some(Minute), 0, "7-", CronFault::OpenRange),
        ("- * * * *", Some(Minute), 0, "-", CronFault::OpenRange),
        ("0 9 * * -FRI", Some(DayOfWeek), 8, "-FRI", CronFault::OpenRange),
        ("0 0 31 4,6,9,11 *", Some(DayOfMonth), 4, "31 4,6,9,11", CronFault::Impossible),
        ("0 0 30 2 */2", Some(DayOfMonth), 4, "30 2", CronFault::Impossible),
    ] {
        let error = Timetable::new(line, Zone::UTC).unwrap_err();
        let told = (error.field, error.offset, error.found.as_str(), &error.fault);
        assert_eq!(told, (field, offset, found, &fault), "{line}");
        let text = error.to_string();
        assert!(text.contains("; accepted: ") && text.contains(&format!("`{found}`")), "{text}");
    }
    for (line, field) in [
        ("x * * * *", Minute),
        ("0 1-2-3 * * *", Hour),
        ("0 9 MON * *", DayOfMonth),
        ("0 9 * MON *", Month),
        ("0 9 * * JAN", DayOfWeek),
        ("0 9 * * ٣", DayOfWeek),
        ("0 9 * * 5*", DayOfWeek),
        ("0 9 ** * *", DayOfMonth),
        ("H 9 * * *", Minute),
        ("0 9 * * MO", DayOfWeek),
        ("0 9 * * \u{1b}[2J\u{202e}", DayOfWeek),
        ("0 9 * *\u{a0}MON *", Month),
    ] {
        let error = Timetable::new(line, Zone::UTC).unwrap_err();
        assert!(matches!(error.fault, CronFault::NoValue(_)), "{line}: {error}");
        assert_eq!(error.field, Some(field), "{line}");
        assert!(
            !error.to_string().contains(['\u{1b}', '\u{202e}']),
            "nothing that a terminal obeys: {error}"
        );
    }
    assert_eq!(
        Timetable::new("0 22-2 * * *", Zone::UTC).unwrap_err().to_string(),
        "hour, offset 2: `22-2` runs backwards, which only days of the week may; accepted: two ranges, `22-23,0-2`"
    );
}

#[test]
fn one_timetable_has_many_spellings() {
    for same in [
        &["0 9 * * 0", "0 9 * * 7", "0 9 * * SUN", " 00  9\t* * sun ", "0 9 * * 7,0,0", "0 9 * * SUN-SUN"][..],
        &["0 9 * * FRI-SUN", "0 9 * * 5-7", "0 9 * * 5,6,0", "0 9 * * fri-0"],
        &["0 9 * * SAT-MON", "0 9 * * 6-1", "0 9 * * 6,7,1", "0 9 * * SAT-SUN,MON"],
        &["0 9 * * 7-2", "0 9 * * 0-2", "0 9 * * SUN-TUE"],
        &["0 9 * * FRI-MON/2", "0 9 * * FRI,SUN"],
        &["0 9 * * *", "0 9 * * 0-7", "0 9 * * 1-7", "0 9 * * 1-0", "0 9 1-31 * *", "0 9 */1 * */1"],
        &["*/70 * * * *", "0 * * * *", "@hourly", "0-0/5 */1 * * *"],
        &["0 0 * * *", "@daily", "@midnight", "@DAILY"],
        &["0 0 * * 0", "@weekly"],
        &["0 0 1 * *", "@monthly"],
        &["0 0 1 1 *", "@yearly", "@annually", "0 0 1 jan *"],
        &["0 0 30 2 FRI", "0 0 * 2 FRI"],
        // Either field is enough, unless one begins with a star.
        &["0 0 13 * FRI", "0 0 13 * 5", "0 0 13,13 */1 FRI"],
        &["0 0 */1 * FRI", "0 0 * * FRI"],
        &["0 0 1-31/2 * *", "0 0 */2 * *", "0 0 1-31/2 * */1"],
    ] {
        let first = runs(same[0], "Europe/Berlin", "2026-01-01T00:00:00Z", 50);
        for line in same {
            assert_eq!(runs(line, "Europe/Berlin", "2026-01-01T00:00:00Z", 50), first, "{line}");
        }
    }
    let and = runs("0 0 */2 * SAT", "UTC", "2026-03-01T00:00:00Z", 3);
    assert_eq!(and, ["2026-03-07T00:00:00+00:00", "2026-03-21T00:00:00+00:00", "2026-04-11T00:00:00+00:00"]);
    let or = runs("0 0 8 * SAT", "UTC", "2026-03-01T00:00:00Z", 3);
    assert_eq!(or, ["2026-03-07T00:00:00+00:00", "2026-03-08T00:00:00+00:00", "2026-03-14T00:00:00+00:00"]);
}

#[test]
fn the_longest_line_that_says_anything_is_read() {
    let list = |low: u32, high: u32| (low..=high).map(|n| format!("{n:02}")).collect::<Vec<_>>().join(",");
    let line = [list(0, 59), list(0, 23), list(1, 31), list(1, 12), list(0, 7)].join(" ");
    assert!(line.len() <= MAX_CRON_BYTES);
    assert_eq!(runs(&line, "UTC", "2026-01-01T00:00:00Z", 1), ["2026-01-01T00:01:00+00:00"]);
}

#[test]
fn changes_of_the_clock_are_met_as_isc_cron_does() {
    for (line, zone, after, expected) in [
        // Skipped: 02:00 to 03:00.
        ("30 2 * * *", "America/New_York", "2016-03-13T06:00:00Z", &["2016-03-13T03:00:00-04:00"][..]),
        (
            "0,30 2,3 * * *",
            "America/New_York",
            "2016-03-13T06:00:00Z",
            &["2016-03-13T03:00:00-04:00", "2016-03-13T03:30:00-04:00", "2016-03-14T02:00:00-04:00"],
        ),
        ("0 */2 * * *", "America/New_York", "2016-03-13T06:00:00Z", &["2016-03-13T04:00:00-04:00"]),
        (
            "*/30 * * * *",
            "America/New_York",
            "2016-03-13T06:30:00Z",
            &["2016-03-13T03:00:00-04:00", "2016-03-13T03:30:00-04:00"],
        ),
        // Repeated: 01:00 to 02:00.
        (
            "30 1 * * *",
            "America/New_York",
            "2016-11-06T04:00:00Z",
            &["2016-11-06T01:30:00-04:00", "2016-11-07T01:30:00-05:00"],
        ),
        (
            "*/30 1 * * *",
            "America/New_York",
            "2016-11-06T05:00:00Z",
            &["2016-11-06T01:30:00-04:00", "2016-11-06T01:00:00-05:00", "2016-11-06T01:30:00-05:00"],
        ),
        // The whole of 30 December 2011, a Friday.
        (
            "0 9,17 * * *",
            "Pacific/Apia",
            "2011-12-30T05:00:00Z",
            &["2011-12-31T00:00:00+14:00", "2011-12-31T09:00:00+14:00", "2011-12-31T17:00:00+14:00"],
        ),
        ("0 9 * * FRI", "Pacific/Apia", "2011-12-30T05:00:00Z", &["2011-12-31T00:00:00+14:00"]),
        ("* 9 30 12 *", "Pacific/Apia", "2011-12-30T05:00:00Z", &["2012-12-30T09:00:00+14:00"]),
        // The whole of 30 September 1969 twice; asked late in its second pass.
        ("0 22 * * *", "Pacific/Kwajalein", "1969-10-01T09:00:00Z", &["1969-10-01T22:00:00-12:00"]),
        ("* 22 * * *", "Pacific/Kwajalein", "1969-10-01T09:00:00Z", &["1969-09-30T22:00:00-12:00"]),
        // Half an hour, from 02:00.
        ("15 2 * * *", "Australia/Lord_Howe", "2017-09-30T12:00:00Z", &["2017-10-01T02:30:00+11:00"]),
        // Local mean time, with seconds.
        ("0 0 1 1 *", "America/New_York", "1879-06-01T00:00:00Z", &["1880-01-01T00:00:00-04:56:02"]),
    ] {
        assert_eq!(runs(line, zone, after, expected.len()), expected, "{line} {zone}");
    }
}

#[test]
fn time_ends_without_a_sound() {
    let last = table("59 23 31 12 *", "UTC");
    assert_eq!(last.next(time("9998-01-01T00:00:00Z"), 9).len(), 2);
    for zone in ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"] {
        for line in ["* * * * *", "0 0 29 2 *", "0 0 29 2 */6", "30 2 * * *"] {
            let table = table(line, zone);
            assert_eq!(table.after(Time::MAX), None, "{line} {zone}");
            assert!(table.after(Time::MIN).is_some(), "{line} {zone}");
            assert!(table.next(time("9995-06-01T00:00:00Z"), 5).len() <= 5);
        }
    }
    assert_eq!(table("0 0 1 1 *", "Etc/GMT-14").next(time("9999-06-01T00:00:00Z"), 3).len(), 1);
    assert_eq!(
        table("0 0 29 2 *", "UTC").after(time("2096-03-01T00:00:00Z")),
        Some(time("2104-02-29T00:00:00Z"))
    );
}

#[test]
fn fractions_of_a_second_decide_nothing_else() {
    let table = table("0 9 * * *", "UTC");
    let nine = time("2026-03-01T09:00:00Z");
    let beside = |micros: i64| Time::from_micros(nine.micros() + micros);
    assert_eq!(table.after(beside(-1)), Some(nine));
    assert_eq!(table.after(nine), Some(time("2026-03-02T09:00:00Z")));
    assert_eq!(table.after(beside(1)), table.after(nine));
    let before = Time::from_micros(Time::EPOCH.micros() - 1);
    assert_eq!(self::table("0 0 * * *", "UTC").after(before), Some(Time::EPOCH));
}

#[test]
fn a_line_is_said_in_plain_english() {
    for (line, said) in [
        ("0 9 * * MON", "at 09:00 on Monday"),
        ("0 9,17 * * MON-FRI", "at 09:00 and 17:00 on Monday to Friday"),
        ("30 2 * * *", "at 02:30 every day"),
        ("* * * * *", "every minute every day"),
        ("@hourly", "every hour every day"),
        ("*/15 * * * *", "every 15 minutes every day"),
        ("*/15 9-16 * * *", "every 15 minutes of the hours 9 to 16 every day"),
        ("*/7 * * * *", "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour every day"),
        ("*/70 * * * *", "every hour every day"),
        ("5 * * * *", "at minute 5 of every hour every day"),
        ("0 */2 * * *", "at minute 0 of every 2nd hour from 00:00 every day"),
        ("* 9 * * *", "every minute of the hour 9 every day"),
        ("0 0 * * FRI-SUN", "at 00:00 on Friday to Sunday"),
        ("0 0 * * SAT-MON,4", "at 00:00 on Monday, Thursday, Saturday and Sunday"),
        ("0 0 13 * FRI", "at 00:00 on day 13 of the month and on Friday"),
        ("0 0 */10 * SAT,SUN", "at 00:00 on days 1, 11, 21 and 31 of the month if it is Saturday or Sunday"),
        ("0 0 1 */3 *", "at 00:00 on day 1 of the month in January, April, July and October"),
        ("0 0 29 2 *", "at 00:00 on day 29 of the month in February"),
        ("0 0 1-31 * FRI", "at 00:00 every day"),
    ] {
        assert_eq!(table(line, "Europe/Berlin").describe(), format!("{said}, Europe/Berlin"), "{line}");
    }
}

#[test]
fn zones_are_those_of_the_iana_database() {
    let zone: Zone = "Europe/Berlin".parse().unwrap();
    assert_eq!(serde_json::to_string(&zone).unwrap(), r#""Europe/Berlin""#);
    assert_eq!(serde_json::from_str::<Zone>(r#""Europe/Berlin""#).unwrap(), zone);
    assert_eq!(Zone::default().to_string(), "UTC");
    for (text, meant) in [
        ("europe/berlin", Some("Europe/Berlin")),
        ("Berlin", Some("Europe/Berlin")),
        ("sao paulo", Some("America/Sao_Paulo")),
        ("Mars/Olympus", None),
        ("+02:00", None),
        ("", None),
    ] {
        assert_eq!(text.parse::<Zone>(), Err(ZoneError { text: text.into(), meant }), "{text}");
    }
    let refused = "Berlin".parse::<Zone>().unwrap_err().to_string();
    assert_eq!(
        refused,
        "`Berlin` is no time zone; accepted: a name of the IANA database, such as `Europe/Berlin`"
    );
}

/// Random lines, most of them good ones.
fn any_line() -> impl Strategy<Value = String> {
    let entry = |values: &str| format!(r"(\*|({values})-({values}))(/[1-9])?|{values}|{values}|{values}");
    let field = |values: &str| {
        let entry = entry(values);
        proptest::string::string_regex(&format!("({entry})(,({entry})){{0,2}}")).unwrap()
    };
    let star = || Just("*".to_owned());
    (
        prop_oneof![1 => star(), 4 => field("[0-5]?[0-9]")],
        prop_oneof![1 => star(), 2 => field("[0-9]|1[0-9]|2[0-3]")],
        prop_oneof![2 => star(), 2 => field("[1-9]|[12][0-9]|3[01]")],
        prop_oneof![2 => star(), 2 => field("[1-9]|1[0-2]|FEB|Jun")],
        prop_oneof![2 => star(), 2 => field("[0-7]|SUN|mon|Fri|SAT")],
    )
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

fn any_zone() -> impl Strategy<Value = Zone> {
    prop::sample::select(chrono_tz::TZ_VARIANTS.as_slice()).prop_map(|zone| zone.name().parse().unwrap())
}

/// Rare enough for the plain way of `CronReading::Clock` to be quick.
fn sparse_line() -> impl Strategy<Value = String> {
    let days = prop_oneof![Just("*".to_owned()), "[1-9]|[12][0-9]|3[01]"];
    let months = prop_oneof![Just("*".to_owned()), "[1-9]|1[0-2]"];
    let weekdays = prop_oneof![Just("*".to_owned()), "[0-7]", r"\*/[2-6]"];
    let (hours, minutes) = (r"\*/[5-9]|[0-3]|23|0-23/3", r"[0-5]?[0-9]|\*/30");
    (minutes, hours, days, months, weekdays).prop_map(|(a, b, c, d, e)| format!("{a} {b} {c} {d} {e}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// The quick way, which jumps over years, and the plain one, which maps every time by itself.
    #[test]
    fn the_quick_way_agrees_with_the_plain_one(
        line in sparse_line(), zone in any_zone(), at in -4_000_000_000_i64..5_000_000_000,
    ) {
        let Ok(quick) = Timetable::new(&line, zone) else { return Ok(()) };
        let fields: Vec<&str> = line.split(' ').collect();
        let starred = fields[0].starts_with('*') || fields[1].starts_with('*');
        let clock = if starred { (Gap::Dropped, Fold::Both) } else { (Gap::FirstValid, Fold::First) };
        let plain = Timetable::read_as(&line, zone, CronReading::Clock(clock.0, clock.1)).unwrap();
        let mut at = Time::from_micros(at * 1_000_000);
        for _ in 0..5 {
            let next = quick.after(at);
            prop_assert_eq!(next, plain.after(at), "{} {} after {}", line, zone, at);
            at = next.unwrap();
        }
    }

    /// By the calendar alone, from the year 0 to 9999: Feb 29, centuries, and rare weekdays.
    #[test]
    fn the_calendar_is_right_in_any_year(
        day in 1_u32..=31, month in 1_u32..=12, weekday in 0_u32..=6, year in 0_i32..9_990, both in any::<bool>(),
    ) {
        // A starred field that admits few days: Sunday and the n-th day after it.
        let step = weekday.max(1);
        let weekdays: Vec<u32> = (0..=6).step_by(step as usize).collect();
        let line = if both {
            format!("30 12 {day} {month} */{step}")
        } else {
            format!("30 12 {day} {month} {weekday}")
        };
        let Ok(table) = Timetable::new(&line, Zone::UTC) else { return Ok(()) };
        let start = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        let on = |date: &NaiveDate| {
            let number = date.weekday().num_days_from_sunday();
            date.month() == month
                && if both {
                    date.day() == day && weekdays.contains(&number)
                } else {
                    date.day() == day || number == weekday
                }
        };
        let expected = start.iter_days().take_while(|date| date.year() < 10_000).find(on);
        let expected = expected.map(|date| date.and_hms_opt(12, 30, 0).unwrap().and_utc().into());
        prop_assert_eq!(table.after(start.and_hms_opt(0, 0, 0).unwrap().and_utc().into()), expected, "{}", line);
    }

    /// What is said tells timetables apart: equal words, equal runs.
    #[test]
    fn equal_words_mean_equal_runs(a in any_line(), b in any_line(), swap in 0_usize..5) {
        // Lines that differ in one field are the likeliest to be said alike.
        let other: Vec<&str> = b.split(' ').collect();
        let mixed: Vec<&str> = a.split(' ').enumerate().map(|(n, f)| if n == swap { other[n] } else { f }).collect();
        let (Ok(a), Ok(b)) = (Timetable::new(&a, Zone::UTC), Timetable::new(&mixed.join(" "), Zone::UTC)) else {
            return Ok(());
        };
        if a.describe() == b.describe() {
            prop_assert_eq!(a.next(Time::EPOCH, 50), b.next(Time::EPOCH, 50), "{} and {}", a, b);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,40}", zone in ".{0,20}") {
        let _ = Timetable::new(&text, Zone::UTC).map(|table| table.describe());
        let _ = zone.parse::<Zone>();
    }

    #[test]
    fn nearly_lines_are_read_or_refused(line in r"[0-9*,/LW#?A-Z@ -]{0,24}|([0-9*/,-]{1,6} ){4}[0-9A-Z*/,-]{1,6}") {
        match Timetable::new(&line, Zone::UTC) {
            Ok(table) => prop_assert!(!table.next(Time::EPOCH, 2).is_empty() && !table.describe().is_empty()),
            Err(error) => prop_assert!(error.offset <= line.len() && !error.to_string().is_empty()),
        }
    }
}
