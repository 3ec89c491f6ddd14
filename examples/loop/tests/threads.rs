//! The loop with threads, run for real.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use support::{Down, Target, event, host, log, nothing_is_held, shaky_host, succeeded, told};
use tipstaff::{Reason, Span, Status};
use tipstaff_loop::threads::{Bell, block_on, serve};
use tipstaff_loop::{Unfinished, now};

const GRACE: Duration = Duration::from_secs(60);

fn until(holds: impl Fn() -> bool) {
    while !holds() {
        thread::sleep(Duration::from_millis(2));
    }
}

fn submit(host: &support::Host, id: &str, user: &str) {
    block_on(host.submit(event(id, user, "tell", now()), now())).unwrap();
}

#[test]
fn what_is_submitted_is_delivered_at_once_and_the_end_is_in_good_order() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::blocking(|_| ());
    // Nothing would be found by looking now and then.
    let host = host(&dir.path().join("a.db"), &target).poll(Span::days(1));
    let done = serve(
        &host,
        |bell| {
            for n in 0..10 {
                submit(&host, &format!("s{n}"), &format!("u{n}"));
                bell.news();
            }
            until(|| succeeded(&host) == 10);
            assert!(!bell.is_over());
            "what the closure gives"
        },
        GRACE,
    );
    assert_eq!(done, Ok("what the closure gives"));
    target.each_once(10);
    nothing_is_held(&host);
    assert!(host.is_stopped());
}

#[test]
fn what_was_held_is_handed_back_and_another_process_takes_it_up() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.db");
    let (first, go_on) = (AtomicBool::new(true), Arc::new(Barrier::new(2)));
    let gate = Arc::clone(&go_on);
    // The first one is under way when the end is asked for.
    let target = Target::blocking(move |_| {
        if first.swap(false, Ordering::SeqCst) {
            gate.wait();
        }
    });
    let one = host(&file, &target).claim_up_to(5);
    (0..5).for_each(|n| submit(&one, &format!("s{n}"), &format!("u{n}")));
    thread::scope(|scope| {
        scope.spawn(|| {
            until(|| one.is_stopped());
            go_on.wait();
        });
        assert_eq!(serve(&one, |_| until(|| target.keys() == 1), GRACE), Ok(()));
    });
    assert_eq!((succeeded(&one), target.keys()), (1, 1));
    assert_eq!(told(&one, "ENFORCEMENT_HANDED_BACK"), 4);
    nothing_is_held(&one);
    let left: Vec<_> = log(&one).into_iter().filter(|row| row.status() == Status::Pending).collect();
    assert!(left.iter().all(|row| row.attempts == 0), "no attempt is counted: {left:#?}");
    drop(one);

    let another = host(&file, &target);
    serve(&another, |_| until(|| succeeded(&another) == 5), GRACE).unwrap();
    target.each_once(5);
}

#[test]
fn a_store_that_comes_back_finds_everything_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target::blocking(|_| ());
    let (host, down) = shaky_host(&dir.path().join("a.db"), &target);
    let done = serve(
        &host,
        |bell| {
            for n in 0..3 {
                submit(&host, &format!("s{n}"), "ana");
                // It goes away in the middle of what follows.
                down.store(2, Ordering::SeqCst);
                bell.news();
                until(|| succeeded(&host) == n + 1);
            }
        },
        GRACE,
    );
    assert_eq!(done, Ok(()));
    target.each_once(3);
    nothing_is_held(&host);
}

/// A host whose store goes away while the target does its work, and stays away.
fn falls_while_it_delivers(file: &Path) -> (support::Host, Target) {
    let falls: Arc<std::sync::OnceLock<Down>> = Arc::default();
    let hears = Arc::clone(&falls);
    let target = Target::blocking(move |_| {
        if let Some(down) = hears.get() {
            down.store(usize::MAX, Ordering::SeqCst);
        }
    });
    let (host, down) = shaky_host(file, &target);
    falls.set(down).unwrap();
    (host, target)
}

#[test]
fn an_end_that_the_store_does_not_see_says_so_and_others_take_it_up() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.db");
    let (one, target) = falls_while_it_delivers(&file);
    let one = one.lease(Span::secs(1));
    submit(&one, "s1", "ana");
    let done = serve(&one, |_| until(|| target.keys() == 1), Duration::ZERO);
    assert_eq!(done, Err(Unfinished));
    assert_eq!(log(&one)[0].reason(), Reason::Running);

    // Another one wakes when the lease has run out, not when its interval has. What must not be repeated
    // is asked about, and nobody knows.
    let other = host(&file, &target).poll(Span::days(1));
    serve(&other, |_| until(|| log(&other)[0].status() != Status::Pending), GRACE).unwrap();
    assert_eq!(told(&other, "ENFORCEMENT_RECLAIMED"), 1);
    nothing_is_held(&other);
}

#[test]
fn a_panic_of_the_process_ends_the_threads() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(&dir.path().join("a.db"), &Target::blocking(|_| ()));
    let panics = || serve(&host, |_| panic!("somewhere else"), GRACE);
    // It comes back at all: no thread waits for a bell that nobody rings.
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert!(host.is_stopped());
}

#[test]
fn a_panic_of_a_delivery_is_told_at_once_and_is_the_hosts() {
    let dir = tempfile::tempdir().unwrap();
    let host = host(&dir.path().join("a.db"), &Target::blocking(|_| panic!("the target's own fault")));
    let panics = || {
        let works = |bell: &Bell| {
            submit(&host, "s1", "ana");
            bell.news();
            until(|| bell.is_over());
        };
        serve(&host, works, GRACE)
    };
    let panic = catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"the target's own fault"));
    assert!(host.is_stopped());
}

#[test]
fn a_store_that_stays_away_is_waited_for_no_longer_than_was_said() {
    let dir = tempfile::tempdir().unwrap();
    let (host, target) = falls_while_it_delivers(&dir.path().join("a.db"));
    submit(&host, "s1", "ana");
    // The pauses have grown by then: one more would be a second or three.
    let (grace, begun) = (Duration::from_secs(3), Instant::now());
    let done = serve(&host, |_| until(|| target.keys() == 1), grace);
    let took = begun.elapsed();
    assert_eq!(done, Err(Unfinished));
    assert!(took >= grace && took < grace + Duration::from_millis(700), "{took:?}");
}

/// A store that waits for a thread of its own does so by the same token.
#[test]
fn a_call_that_blocks_after_it_was_woken_is_woken_nevertheless() {
    let (done, hears) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let mut polls = 0;
        block_on(std::future::poll_fn(|task| {
            polls += 1;
            if polls == 2 {
                return Poll::Ready(());
            }
            task.waker().wake_by_ref();
            thread::park();
            Poll::Pending
        }));
        done.send(polls)
    });
    assert_eq!(hears.recv_timeout(Duration::from_secs(60)), Ok(2));
}
