//! The loop by hand: a quarter of a year in a moment.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use support::{Down, Shaky, Target, event, nothing_is_held, rules, succeeded};
use tipstaff::{Engine, Span, Time, ready};
use tipstaff_loop::by_hand::{Clock, pass};

fn noon() -> Time {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

/// What was delivered, and when.
type Told = Arc<Mutex<Vec<(String, Time)>>>;

fn engine(clock: &Clock) -> (Engine, Told, Down) {
    let (told, hand) = (Told::default(), clock.clone());
    let hears = Arc::clone(&told);
    let target =
        Target::blocking(move |job| hears.lock().unwrap().push((job.action.to_string(), hand.now())));
    let store = Shaky::new(clock.store());
    let down = Arc::clone(&store.down);
    (Engine::new(store, target, rules()), told, down)
}

#[test]
fn what_is_due_happens_at_its_time() {
    let clock = Clock::new(noon());
    let (engine, told, _) = engine(&clock);
    let engine = engine.poll(Span::hours(1));
    ready(engine.submit(event("s1", "ana", "lock", noon()), noon())).unwrap().unwrap();
    pass(&engine, &clock, noon().after(Span::hours(23))).unwrap();
    assert_eq!(told.lock().unwrap()[..], [("lock_account".to_owned(), noon())]);
    let tomorrow = noon().after(Span::hours(24));
    pass(&engine, &clock, tomorrow).unwrap();
    assert_eq!(told.lock().unwrap()[1..], [("unlock_account".to_owned(), tomorrow)]);
    pass(&engine, &clock, noon().after(Span::days(90))).unwrap();
    assert_eq!((succeeded(&engine), told.lock().unwrap().len()), (2, 2));
    assert_eq!(clock.now(), noon().after(Span::days(90)));
    nothing_is_held(&engine);
}

#[test]
fn a_store_that_does_not_answer_is_asked_again() {
    let clock = Clock::new(noon());
    let (engine, told, down) = engine(&clock);
    ready(engine.submit(event("s1", "ana", "tell", noon()), noon())).unwrap().unwrap();
    down.store(3, Ordering::SeqCst);
    pass(&engine, &clock, noon()).expect_err("there is no time to come back in");
    pass(&engine, &clock, noon().after(Span::mins(1))).unwrap();
    assert_eq!((succeeded(&engine), told.lock().unwrap().len()), (1, 1));
}
