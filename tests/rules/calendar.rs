//! The calendar of very many timetables against each timetable asked by itself.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tipstaff::{Calendar, CalendarIx, Time, Timetable, Zone};

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

/// An instant of some century, or near a change of the clock.
fn any_time() -> impl Strategy<Value = Time> {
    let changes = [
        "2016-03-13T06:00:00Z",
        "2016-11-06T05:00:00Z",
        "2011-12-30T05:00:00Z",
        "1969-09-30T10:00:00Z",
        "2017-04-01T14:00:00Z",
        "2099-10-25T00:00:00Z",
        "9999-12-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "1883-11-18T16:30:00Z",
        "2096-02-28T12:00:00Z",
    ];
    let near = prop::sample::select(changes.to_vec()).prop_map(|text| text.parse::<Time>().unwrap());
    let any = (-60_000_000_000_i64..250_000_000_000).prop_map(|secs| Time::from_micros(secs * 1_000_000));
    (prop_oneof![near, any], -100_000_000_000_i64..100_000_000_000)
        .prop_map(|(time, beside)| Time::from_micros(time.micros().saturating_add(beside)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// From its masks a line runs exactly when `Timetable::after` says.
    #[test]
    fn a_timetable_in_a_calendar_runs_as_by_itself(line in any_line(), zone in any_zone(), start in any_time()) {
        let Ok(table) = Timetable::new(&line, zone) else { return Ok(()) };
        let mut calendar = Calendar::default();
        let ix = calendar.add(&table, start);
        let mut expected = table.after(start);
        prop_assert_eq!(calendar.next_due(), expected, "{} after {}", table, start);
        for _ in 0..4 {
            let Some(at) = expected else { break };
            let mut due = Vec::new();
            calendar.due(Time::from_micros(at.micros() - 1), &mut due);
            prop_assert!(due.is_empty());
            calendar.due(at, &mut due);
            prop_assert_eq!(&due, &[(ix, at)]);
            expected = table.after(at);
            prop_assert_eq!(calendar.rearm(ix, at), expected, "{} after {}", table, at);
        }
    }
}

/// What is done to a calendar.
#[derive(Clone, Debug)]
enum Move {
    Add(usize),
    Remove(usize),
    Rearm(usize),
    Tick(i64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0_usize..6).prop_map(Move::Add),
        2 => any::<usize>().prop_map(Move::Remove),
        2 => any::<usize>().prop_map(Move::Rearm),
        4 => (0_i64..4_000).prop_map(Move::Tick),
    ];
    prop::collection::vec(one, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Beside a plain list of what is due when.
    #[test]
    fn a_calendar_is_a_list_of_what_is_due_when(moves in moves()) {
        let tables: Vec<_> = [
            ("*/5 * * * *", "UTC"), ("0 * * * *", "Asia/Kathmandu"), ("*/5 * * * *", "Asia/Kolkata"),
            ("30 2 * * *", "Europe/Berlin"), ("0 */2 * * *", "America/St_Johns"), ("0 0 29 2 *", "UTC"),
        ].map(|(line, zone)| Timetable::new(line, zone.parse().unwrap()).unwrap()).into();
        // A fortnight before Berlin's clock goes forward.
        let mut now: Time = "2026-03-15T00:00:00Z".parse().unwrap();
        let mut calendar = Calendar::default();
        let mut model: BTreeMap<CalendarIx, (usize, Option<Time>)> = BTreeMap::new();
        let mut gone: Vec<CalendarIx> = Vec::new();
        let nth = |model: &BTreeMap<CalendarIx, (usize, Option<Time>)>, n: usize| {
            model.keys().nth(n % model.len().max(1)).copied()
        };
        for step in moves {
            match step {
                Move::Add(which) => {
                    let ix = calendar.add(&tables[which], now);
                    gone.retain(|gone| *gone != ix);
                    prop_assert!(model.insert(ix, (which, tables[which].after(now))).is_none());
                }
                Move::Remove(n) => if let Some(ix) = nth(&model, n) {
                    model.remove(&ix);
                    prop_assert!(calendar.remove(ix));
                    prop_assert!(!calendar.remove(ix));
                    gone.push(ix);
                },
                Move::Rearm(n) => if let Some(ix) = nth(&model, n) {
                    let (which, next) = model.get_mut(&ix).unwrap();
                    *next = tables[*which].after(now);
                    prop_assert_eq!(calendar.rearm(ix, now), *next);
                },
                Move::Tick(minutes) => {
                    now = Time::from_micros(now.micros() + minutes * 60_000_000);
                    let mut due = Vec::new();
                    calendar.due(now, &mut due);
                    let mut expected: Vec<_> = model.iter_mut()
                        .filter_map(|(ix, (_, next))| Some((*ix, next.take_if(|next| *next <= now)?))).collect();
                    prop_assert!(due.is_sorted_by_key(|(_, at)| *at));
                    due.sort();
                    expected.sort();
                    prop_assert_eq!(due, expected);
                }
            }
            prop_assert_eq!((calendar.len(), calendar.is_empty()), (model.len(), model.is_empty()));
            prop_assert_eq!(calendar.next_due(), model.values().filter_map(|(_, next)| *next).min());
            for ix in &gone {
                prop_assert_eq!(calendar.clone().rearm(*ix, now), None, "it was removed");
            }
        }
    }
}
