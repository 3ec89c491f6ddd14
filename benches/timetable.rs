//! A million scheduled rules over forty zones: one tick with some 2,000 firings, with and without
//! their next occurrences, one rule more, one rule less, and the memory of each; beside a binary
//! heap of instants that the `cron` crate feeds.

use std::alloc::System;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use criterion::{Criterion, criterion_group, criterion_main};
use cron::Schedule;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tipstaff::{Calendar, CalendarIx, Time, Timetable};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const RULES: usize = 1_000_000;

const ZONES: [&str; 40] = [
    "UTC",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Johannesburg",
    "Africa/Lagos",
    "Africa/Nairobi",
    "America/Anchorage",
    "America/Bogota",
    "America/Chicago",
    "America/Denver",
    "America/Halifax",
    "America/Los_Angeles",
    "America/Mexico_City",
    "America/New_York",
    "America/Phoenix",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Dhaka",
    "Asia/Dubai",
    "Asia/Jerusalem",
    "Asia/Karachi",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Manila",
    "Asia/Seoul",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Istanbul",
    "Europe/London",
    "Europe/Moscow",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "Pacific/Honolulu",
];

/// The rules' timetables: one in twelve every hour, the others once a day, on weekdays or on a
/// Monday, so that some 2,000 are due each minute.
struct World {
    /// Each kind of line, as we and as the `cron` crate write it, with its zone.
    kinds: Vec<(Timetable, Schedule, Tz)>,
    /// Which kind each rule is of.
    rules: Vec<u32>,
}

fn world() -> World {
    let mut kinds = Vec::new();
    for (n, zone) in ZONES.iter().enumerate() {
        let mut add = |minute: usize, rest: &str, theirs: &str| {
            let ours = Timetable::new(&format!("{minute} {rest}"), zone.parse().expect("a zone"));
            let theirs = Schedule::from_str(&format!("0 {minute} {theirs}")).expect("a line");
            kinds.push((ours.expect("a line"), theirs, zone.parse().expect("a zone")));
        };
        for minute in 0..60 {
            add(minute, "* * * *", "* * * *");
            for hour in 0..24 {
                if hour % 4 == n % 4 {
                    add(minute, &format!("{hour} * * *"), &format!("{hour} * * *"));
                    add(minute, &format!("{hour} * * MON-FRI"), &format!("{hour} * * Mon-Fri"));
                    add(minute, &format!("{hour} * * MON"), &format!("{hour} * * Mon"));
                }
            }
        }
    }
    let hourly: Vec<u32> = places(&kinds, |line| line.ends_with(" * * * *"));
    let others: Vec<u32> = places(&kinds, |line| !line.ends_with(" * * * *"));
    let rules = (0..RULES)
        .map(|n| {
            let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
            if n % 12 == 0 { hourly[spread % hourly.len()] } else { others[spread % others.len()] }
        })
        .collect();
    World { kinds, rules }
}

fn places(kinds: &[(Timetable, Schedule, Tz)], of: impl Fn(&str) -> bool) -> Vec<u32> {
    let found = kinds.iter().enumerate().filter(|(_, (ours, ..))| of(ours.line()));
    found.map(|(place, _)| place as u32).collect()
}

/// Monday noon.
fn start() -> Time {
    "2026-03-02T12:00:00Z".parse().expect("a time")
}

fn minutes_later(minutes: u64) -> Time {
    Time::from_micros(start().micros() + minutes as i64 * 60_000_000)
}

fn cron_after((_, schedule, zone): &(Timetable, Schedule, Tz), after: Time) -> i64 {
    let after: DateTime<Utc> = after.to_chrono();
    schedule.after(&after.with_timezone(zone)).next().map_or(i64::MAX, |at| at.timestamp())
}

type Heap = BinaryHeap<Reverse<(i64, u32)>>;

/// Takes out of the heap what is due.
fn pop_due(heap: &mut Heap, now: i64, due: &mut Vec<(u32, i64)>) {
    while let Some(Reverse((at, rule))) = heap.peek().copied().filter(|Reverse((at, _))| *at <= now) {
        heap.pop();
        due.push((rule, at));
    }
}

#[allow(clippy::disallowed_methods, reason = "a bench takes the time of a part of its work")]
fn timed(times: &mut Vec<Duration>, work: impl FnOnce()) {
    let begun = Instant::now();
    work();
    times.push(begun.elapsed());
}

/// As long as all would have taken if each were the median: a tick is so short that one of them
/// which another process interrupts would count for hundreds.
fn as_the_median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
    times.get(times.len() / 2).copied().unwrap_or_default() * count
}

fn bench(c: &mut Criterion) {
    let world = world();
    let region = Region::new(GLOBAL);
    let mut calendar = Calendar::default();
    let ours: Vec<CalendarIx> =
        world.rules.iter().map(|kind| calendar.add(&world.kinds[*kind as usize].0, start())).collect();
    let change = region.change();
    let held = change.bytes_allocated as isize - change.bytes_deallocated as isize;
    let held = held - (ours.capacity() * size_of::<CalendarIx>()) as isize;
    println!("calendar: {:.1} bytes a rule", held as f64 / RULES as f64);
    let region = Region::new(GLOBAL);
    let firsts: Vec<i64> = world.kinds.iter().map(|kind| cron_after(kind, start())).collect();
    let mut heap: Heap = Heap::new();
    for (rule, kind) in world.rules.iter().enumerate() {
        heap.push(Reverse((firsts[*kind as usize], rule as u32)));
    }
    let change = region.change();
    let held = change.bytes_allocated as isize - change.bytes_deallocated as isize;
    println!("heap: {:.1} bytes a rule, without the rules' schedules", held as f64 / RULES as f64);

    let mut group = c.benchmark_group("a million timetables");
    group.sample_size(20);
    let (mut due, mut minute, mut fired, mut ticks) = (Vec::with_capacity(100_000), 0, 0, 0);
    group.bench_function("calendar: a tick", |b| {
        b.iter_custom(|times| {
            let mut taken = Vec::new();
            for _ in 0..times {
                minute += 1;
                due.clear();
                timed(&mut taken, || calendar.due(black_box(minutes_later(minute)), &mut due));
                (fired, ticks) = (fired + due.len(), ticks + 1);
                for (ix, at) in &due {
                    calendar.rearm(*ix, *at);
                }
            }
            as_the_median(taken)
        });
    });
    println!("{fired} firings in {ticks} ticks: {} a tick", fired / ticks.max(1));
    group.bench_function("calendar: a tick with the next occurrences", |b| {
        b.iter(|| {
            minute += 1;
            due.clear();
            calendar.due(black_box(minutes_later(minute)), &mut due);
            for (ix, at) in &due {
                calendar.rearm(*ix, *at);
            }
        });
    });
    let (mut theirs, mut minute) = (Vec::with_capacity(100_000), 0);
    let (mut fired, mut ticks) = (0, 0);
    let next = |heap: &mut Heap, theirs: &[(u32, i64)]| {
        for (rule, at) in theirs {
            let kind = &world.kinds[world.rules[*rule as usize] as usize];
            heap.push(Reverse((cron_after(kind, Time::from_micros(at * 1_000_000)), *rule)));
        }
    };
    group.bench_function("heap: a tick", |b| {
        b.iter_custom(|times| {
            let mut taken = Vec::new();
            for _ in 0..times {
                minute += 1;
                theirs.clear();
                let now = minutes_later(minute).micros() / 1_000_000;
                timed(&mut taken, || pop_due(&mut heap, black_box(now), &mut theirs));
                (fired, ticks) = (fired + theirs.len(), ticks + 1);
                next(&mut heap, &theirs);
            }
            as_the_median(taken)
        });
    });
    println!("{fired} firings in {ticks} ticks: {} a tick", fired / ticks.max(1));
    group.bench_function("heap: a tick with the next occurrences", |b| {
        b.iter(|| {
            minute += 1;
            theirs.clear();
            pop_due(&mut heap, black_box(minutes_later(minute).micros() / 1_000_000), &mut theirs);
            next(&mut heap, &theirs);
        });
    });
    let mut n = 0;
    group.bench_function("calendar: a rule more and a rule less", |b| {
        b.iter(|| {
            n = (n + 7_919) % RULES;
            let ix = calendar.add(&world.kinds[world.rules[n] as usize].0, black_box(start()));
            calendar.remove(ix)
        });
    });
    group.bench_function("calendar: a rule less and the same again", |b| {
        b.iter(|| {
            n = (n + 7_919) % RULES;
            calendar.remove(ours[n]);
            calendar.add(&world.kinds[world.rules[n] as usize].0, black_box(start()))
        });
    });
    group.bench_function("heap: a rule more", |b| {
        b.iter(|| {
            n = (n + 7_919) % RULES;
            heap.push(Reverse((
                cron_after(&world.kinds[world.rules[n] as usize], black_box(start())),
                n as u32,
            )));
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
