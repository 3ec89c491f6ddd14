//! The counter of a cap against a model that keeps a list of all that happened.

use proptest::prelude::*;
use tipstaff::*;

use crate::support::at;

const SPAN: Span = Span::mins(10);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Takes a place at that minute, where fewer than so many are taken.
    Take(i64),
    /// Gives back one of the places that are held.
    GiveBack(usize),
    /// Forgets at that minute.
    Forget(i64),
}

fn steps(minutes: impl Strategy<Value = i64> + Clone) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        5 => minutes.clone().prop_map(Step::Take),
        2 => any::<usize>().prop_map(Step::GiveBack),
        1 => minutes.prop_map(Step::Forget),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the clocks say: of no window are more places held at once than the cap allows, and
    /// what a window counts is what is held of it.
    #[test]
    fn no_window_is_fuller_than_its_cap(steps in steps(-60_i64..200), most in 1_u64..5) {
        let mut counter = CapCounter::new("the test", SPAN);
        let mut held: Vec<Time> = Vec::new();
        for step in steps {
            match step {
                Step::Take(minute) if counter.used(at(minute)) < most => {
                    let told = counter.window(at(minute));
                    prop_assert_eq!(counter.take(at(minute)), told);
                    held.push(told);
                }
                Step::Take(_) => {}
                Step::GiveBack(which) => {
                    if !held.is_empty() {
                        let place = held.swap_remove(which % held.len());
                        counter.give_back(place);
                    }
                }
                Step::Forget(minute) => counter.forget(at(minute)),
            }
            prop_assert!(counter.windows.len() <= MAX_CAP_WINDOWS);
            prop_assert!(counter.windows.is_sorted_by(|a, b| a.start < b.start));
            for window in &counter.windows {
                let of_it = held.iter().filter(|start| **start == window.start).count() as u64;
                prop_assert_eq!(window.used, of_it);
                prop_assert!(window.used <= most);
            }
            // Nothing lies before what is forgotten, so no forgotten window is ever counted anew.
            prop_assert!(counter.windows.iter().all(|window| counter.floor.is_none_or(|floor| window.start >= floor)));
        }
    }

    /// With a clock that only goes on, each window is that of the clock, to the minute.
    #[test]
    fn a_clock_that_goes_on_counts_in_its_own_window(waits in prop::collection::vec(0_i64..25, 1..60), most in 1_u64..4) {
        let mut counter = CapCounter::new("the test", SPAN);
        let (mut minute, mut own) = (0, std::collections::BTreeMap::<i64, u64>::new());
        for (i, wait) in waits.into_iter().enumerate() {
            minute += wait;
            if i % 7 == 6 {
                counter.forget(at(minute));
            }
            let taken = own.entry(minute / 10).or_default();
            prop_assert_eq!(counter.used(at(minute)), *taken);
            prop_assert_eq!(counter.until(at(minute)), at((minute / 10 + 1) * 10));
            if *taken < most {
                counter.take(at(minute));
                *taken += 1;
            }
        }
    }
}

#[test]
fn a_mad_clock_shuts_nobody_out_for_good() {
    let mut counter = CapCounter::new("the test", SPAN);
    counter.take(at(0));
    // Three windows of a far future are counted beside the present ones.
    for day in 1..=3 {
        counter.take(at(day * 1_440));
    }
    assert_eq!(counter.take(at(10)), at(10));
    assert_eq!(counter.take(at(20)), at(20));
    assert_eq!(counter.used(at(20)), 1);
}

#[test]
fn the_ends_of_time_are_windows_too() {
    let mut counter = CapCounter::new("the test", Span::days(366));
    for end in [Time::MIN, Time::EPOCH, Time::MAX] {
        counter.take(end);
        assert_eq!(counter.used(end), 1);
        assert!(counter.window(end) <= end);
    }
    counter.forget(Time::MAX);
    assert!(counter.used(Time::MAX) <= 1);
}
