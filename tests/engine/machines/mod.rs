//! The life of an enforcement against a second table of it, and against a plain model.

mod effects;
mod walks;

use std::collections::BTreeMap;

use crate::support::{at, id};
use tipstaff::*;

/// Every pair of a state and an input; `-` is refused as illegal, `stale` by its token, `early`
/// because the timer has not run out. Written from behaviour 8.1 to 8.3.
///
/// The terms are those of `terms()`: an idempotent action in its first of three attempts, asked
/// for by an approval with a start window, accepted by its target. What other terms change is in
/// the tables below.
const TABLE: &str = "
state                 approve reject   expire           claim   same_claim done no_op retry      permanent       unknown    stale_settle yes  no              cancel                supersede  early due              forgo      stale_forgo hand_back stale_hand_back postpone  stale_postpone adjourn   stale_adjourn defer
awaiting_approval     queued  rejected approval_expired -       -          -    -     -          -               -          -            -    -               cancelled             superseded -     -                -          -           -         -               -         -              -         -             -
scheduled             -       -        -                -       -          -    -     -          -               -          -            -    -               cancelled             superseded early queued           -          -           -         -               -         -              -         -             -
queued                -       -        -                running running    -    -     -          -               -          -            -    -               cancelled             superseded early approval_expired -          -           -         -               -         -              -         -             scheduled
running               -       -        -                running stale      done no_op retry_wait permanent_error retry_wait stale        done permanent_error running               -          -     -                superseded stale       queued    stale           scheduled stale          scheduled stale         -
retry_wait            -       -        -                running running    -    -     -          -               -          -            done permanent_error cancelled             superseded early exhausted        -          -           -         -               -         -              -         -             -
awaiting_confirmation -       -        -                -       -          -    -     -          -               -          -            done permanent_error awaiting_confirmation -          early outcome_unknown  -          -           -         -               -         -              -         -             -
done                  -       -        -                -       -          -    -     -          -               -          -            -    -               -                     -          -     -                -          -           -         -               -         -              -         -             -
no_op                 -       -        -                -       -          -    -     -          -               -          -            -    -               -                     -          -     -                -          -           -         -               -         -              -         -             -
rejected              -       -        -                -       -          -    -     -          -               -          -            -    -               -                     -          -     -                -          -           -         -               -         -              -         -             -
approval_expired      -       -        -                -       -          -    -     -          -               -          -            -    -               -                     -          -     -                -          -           -         -               -         -              -         -             -
cancelled             -       -        -                -       -          -    -     -          -               -          -            -    -               -                     -          -     -                -          -           -         -               -         -              -         -             -
superseded            -       -        -                -       -          -    -     -          -               -          -            -    -               -                     -          -     -                -          -           -         -               -         -              -         -             -
permanent_error       -       -        -                -       -          -    -     -          -               -          -            -    -               -                     -          -     -                -          -           -         -               -         -              -         -             -
exhausted             -       -        -                -       -          -    -     -          -               -          -            -    -               -                     -          -     -                -          -           -         -               -         -              -         -             -
outcome_unknown       -       -        -                -       -          -    -     -          -               -          -            -    -               -                     -          -     -                -          -           -         -               -         -              -         -             -
";

/// The token of the running attempt.
const HELD: u64 = 7;
/// When the timers of the states below run out.
const TIMER: i64 = 60;

fn retry() -> Retry {
    Retry { attempts: 3, not_after: None, ..RetrySafety::Idempotent.retry() }
}

fn terms() -> Terms {
    Terms {
        id: id("enf_000102030405060708090a0b0c0d0e0f"),
        attempts: 1,
        lost: false,
        retry: retry(),
        success: Success::Accepted,
        start_at: None,
        start_within: Some(Span::hours(1)),
    }
}

/// One that runs.
fn running(retry_by: Option<Time>, start_by: Option<Time>, called_off: bool) -> State {
    State::Running { token: HELD, worker: id("w1"), since: at(0), retry_by, start_by, called_off }
}

/// One that the target took.
fn awaiting(until: i64, called_off: bool) -> State {
    State::AwaitingConfirmation { until: at(until), called_off }
}

/// A state of each kind; those with a timer have it at `TIMER`.
fn state(reason: Reason) -> State {
    let timer = at(TIMER);
    match reason {
        Reason::AwaitingApproval => {
            State::AwaitingApproval { approval: id("apr_000102030405060708090a0b0c0d0e0f") }
        }
        Reason::Scheduled => State::Scheduled { at: timer, start_by: None },
        Reason::Queued => State::Queued { since: at(0), start_by: Some(timer) },
        Reason::Running => running(None, None, false),
        Reason::RetryWait => State::RetryWait { until: at(1), retry_by: Some(timer) },
        Reason::AwaitingConfirmation => awaiting(TIMER, false),
        Reason::Done => State::Done,
        Reason::NoOp => State::NoOp,
        Reason::Rejected => State::Rejected,
        Reason::ApprovalExpired => State::ApprovalExpired,
        Reason::Cancelled => State::Cancelled,
        Reason::Superseded => State::Superseded,
        Reason::PermanentError => State::PermanentError,
        Reason::Exhausted => State::Exhausted,
        Reason::OutcomeUnknown => State::OutcomeUnknown,
        other => panic!("a state of {other} is not in this test yet"),
    }
}

/// An input by the name of its column, and the time at which it comes.
fn input(column: &str) -> (Input, Time) {
    let claim = |token| Input::Claim { token, worker: id("w2"), at: at(5) };
    let settle = |token, outcome| Input::Settle { token, outcome };
    let input = match column {
        "approve" => Input::Approve,
        "reject" => Input::Reject,
        "expire" => Input::ExpireApproval,
        "claim" => claim(HELD + 1),
        "same_claim" => claim(HELD),
        "done" => settle(HELD, Outcome::Done),
        "no_op" => settle(HELD, Outcome::NoOp),
        "retry" => settle(HELD, Outcome::Retry { after: None }),
        "permanent" => settle(HELD, Outcome::Permanent),
        "unknown" => settle(HELD, Outcome::Unknown),
        "stale_settle" => settle(HELD - 1, Outcome::Done),
        "forgo" => Input::Forgo { token: HELD },
        "stale_forgo" => Input::Forgo { token: HELD - 1 },
        "hand_back" => Input::HandBack { token: HELD },
        "stale_hand_back" => Input::HandBack { token: HELD - 1 },
        "postpone" => Input::Postpone { token: HELD, until: at(90) },
        "stale_postpone" => Input::Postpone { token: HELD - 1, until: at(90) },
        "adjourn" => Input::Adjourn { token: HELD, until: at(90) },
        "stale_adjourn" => Input::Adjourn { token: HELD - 1, until: at(90) },
        "defer" => Input::Defer { until: at(90) },
        "yes" => Input::Confirm { done: true },
        "no" => Input::Confirm { done: false },
        "cancel" => Input::Cancel,
        "supersede" => Input::Supersede,
        "early" | "due" => Input::Elapsed,
        other => panic!("no input {other}"),
    };
    let now = if column == "due" { at(TIMER) } else { Time::from_micros(at(TIMER).micros() - 1) };
    (input, now)
}

/// What a step comes to, in the words of the table.
fn word(step: &Result<State, MoveError>) -> &'static str {
    match step {
        Ok(next) => next.reason().as_str(),
        Err(MoveError::Illegal { .. }) => "-",
        Err(MoveError::StaleToken { .. }) => "stale",
        Err(MoveError::NotDue(_)) => "early",
        Err(other) => panic!("{other} is not in the table yet"),
    }
}

#[test]
fn every_state_takes_every_input_as_the_table_says() {
    let mut rows = TABLE.lines().filter(|line| !line.is_empty()).map(str::split_whitespace);
    let columns: Vec<&str> = rows.next().unwrap().skip(1).collect();
    let mut seen = BTreeMap::new();
    for mut row in rows {
        let reason: Reason = id(row.next().unwrap());
        let cells: Vec<&str> = row.collect();
        assert_eq!(cells.len(), columns.len(), "{reason}");
        for (column, expected) in columns.iter().zip(cells) {
            let (input, now) = input(column);
            let step = state(reason).step(&input, &terms(), now);
            assert_eq!(word(&step), expected, "{reason} × {column}: {step:?}");
            if reason.status() != Status::Pending {
                assert!(step.is_err(), "nothing leaves {reason}");
            }
            seen.entry(reason).or_insert_with(Vec::new).push(input.name());
        }
    }
    // Total: every state there is, with every input there is.
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), Reason::ALL);
    for (reason, mut inputs) in seen {
        inputs.sort_unstable();
        inputs.dedup();
        assert_eq!(
            inputs,
            [
                "adjourn",
                "approve",
                "cancel",
                "claim",
                "confirm",
                "defer",
                "elapsed",
                "expire_approval",
                "forgo",
                "hand_back",
                "postpone",
                "reject",
                "settle",
                "supersede"
            ],
            "{reason}"
        );
    }
}

#[test]
fn a_refused_move_names_what_it_met() {
    let (input, now) = input("stale_settle");
    let stale = state(Reason::Running).step(&input, &terms(), now).unwrap_err();
    assert_eq!(stale, MoveError::StaleToken { given: HELD - 1, current: HELD });
    let illegal = state(Reason::Done).step(&Input::Cancel, &terms(), now).unwrap_err();
    assert_eq!(illegal, MoveError::Illegal { state: Reason::Done, input: "cancel" });
    let early = state(Reason::Queued).step(&Input::Elapsed, &terms(), now).unwrap_err();
    assert_eq!(early, MoveError::NotDue(at(TIMER)));
}

#[test]
fn what_other_terms_change() {
    let now = at(10);
    let plain = Terms { start_within: None, ..terms() };
    let time_sensitive = Terms { retry: Retry { not_after: Some(Span::mins(30)), ..retry() }, ..plain };
    let confirmed = Terms { success: Success::Confirmed(Span::mins(20)), ..plain };
    let once = Terms { retry: Retry { safety: RetrySafety::NotIdempotent, ..retry() }, ..plain };
    let last = Terms { attempts: 3, ..plain };
    let lost = Terms { attempts: 2, lost: true, ..plain };
    let lost_once = Terms { lost: true, attempts: 2, ..once };
    let waiting = |reason| state(reason);
    let queued = |start_by| State::Queued { since: now, start_by };
    let scheduled = |until, by: Option<i64>| State::Scheduled { at: at(until), start_by: by.map(at) };
    for (from, column, terms, expected) in [
        // A start that lies ahead, and one that does not.
        (
            waiting(Reason::AwaitingApproval),
            "approve",
            Terms { start_at: Some(at(11)), ..plain },
            State::Scheduled { at: at(11), start_by: None },
        ),
        (waiting(Reason::AwaitingApproval), "approve", Terms { start_at: Some(now), ..plain }, queued(None)),
        // The window to start in: the approval's, the action's own, the nearer of the two.
        (waiting(Reason::AwaitingApproval), "approve", terms(), queued(Some(at(70)))),
        (waiting(Reason::AwaitingApproval), "approve", time_sensitive, queued(Some(at(40)))),
        (
            waiting(Reason::AwaitingApproval),
            "approve",
            Terms { start_within: Some(Span::mins(5)), ..time_sensitive },
            queued(Some(at(15))),
        ),
        // A missed start of what nobody had to approve is an exhausted one.
        (State::Queued { since: at(0), start_by: Some(now) }, "due", plain, State::Exhausted),
        (waiting(Reason::Running), "done", confirmed, awaiting(30, false)),
        (waiting(Reason::Running), "no_op", confirmed, State::NoOp),
        (waiting(Reason::Running), "unknown", once, State::OutcomeUnknown),
        (waiting(Reason::Running), "retry", last, State::Exhausted),
        (waiting(Reason::Running), "unknown", last, State::Exhausted),
        (waiting(Reason::Running), "permanent", last, State::PermanentError),
        // Another attempt that would begin too late is none.
        (running(Some(now), None, false), "retry", plain, State::Exhausted),
        // What was given back waits for what it waited for before: the start, or the next attempt.
        (running(None, Some(at(70)), false), "hand_back", plain, queued(Some(at(70)))),
        (running(None, None, false), "hand_back", last, State::RetryWait { until: now, retry_by: None }),
        (
            running(Some(at(40)), None, false),
            "hand_back",
            last,
            State::RetryWait { until: now, retry_by: Some(at(40)) },
        ),
        // What hours hold waits for the end of them, and has its whole window to start in from then on, as
        // that is what people agreed to; what does harm when it comes late has the time that it had, and
        // none beyond it.
        (queued(None), "defer", terms(), scheduled(90, Some(150))),
        (queued(Some(at(11))), "defer", terms(), scheduled(90, Some(150))),
        (queued(None), "defer", plain, scheduled(90, None)),
        (queued(Some(at(100))), "defer", time_sensitive, scheduled(90, Some(100))),
        (queued(Some(at(90))), "defer", time_sensitive, State::Exhausted),
        (running(None, Some(at(70)), false), "adjourn", terms(), scheduled(90, Some(150))),
        (running(Some(at(100)), Some(at(100)), false), "adjourn", time_sensitive, scheduled(90, Some(100))),
        (running(Some(at(90)), Some(at(90)), false), "adjourn", time_sensitive, State::Exhausted),
        // Where it cannot be told yet whether it may begin, or it waits for its turn, it has the time that it
        // had: nobody agreed to a start that a silent directory puts off for days.
        (running(None, Some(at(100)), false), "postpone", terms(), scheduled(90, Some(100))),
        (running(None, Some(at(70)), false), "postpone", terms(), scheduled(90, Some(70))),
        (running(None, None, false), "postpone", plain, scheduled(90, None)),
        (running(Some(at(100)), Some(at(100)), false), "postpone", time_sensitive, scheduled(90, Some(100))),
        (running(Some(at(90)), Some(at(90)), false), "postpone", time_sensitive, State::Exhausted),
        (
            running(Some(at(100)), None, false),
            "postpone",
            last,
            State::RetryWait { until: at(90), retry_by: Some(at(100)) },
        ),
        (running(Some(at(90)), None, false), "postpone", last, State::Exhausted),
        (
            running(Some(at(100)), None, false),
            "adjourn",
            last,
            State::RetryWait { until: at(90), retry_by: Some(at(100)) },
        ),
        (running(Some(at(90)), None, false), "adjourn", last, State::Exhausted),
        (running(None, None, true), "adjourn", plain, State::Cancelled),
        (running(None, None, true), "postpone", plain, State::Cancelled),
        // What was called off while it ran has no other attempt; what had its effect has it.
        (running(None, None, true), "hand_back", plain, State::Cancelled),
        (running(None, None, true), "retry", plain, State::Cancelled),
        (running(None, None, true), "retry", last, State::Cancelled),
        (running(None, None, true), "unknown", plain, State::OutcomeUnknown),
        (running(None, None, true), "unknown", once, State::OutcomeUnknown),
        (running(None, None, true), "permanent", plain, State::PermanentError),
        (running(None, None, true), "done", plain, State::Done),
        (running(None, None, true), "done", confirmed, awaiting(30, true)),
        // What was called off after the target took it ends as the target reports.
        (awaiting(TIMER, false), "cancel", plain, awaiting(TIMER, true)),
        (awaiting(TIMER, true), "yes", plain, State::Done),
        (awaiting(TIMER, true), "no", plain, State::PermanentError),
        // Nobody knows what became of an attempt that was lost, whatever ends the one after it: where it
        // must not be repeated, or was called off. A worker that settles has asked the target.
        (state(Reason::RetryWait), "cancel", lost_once, State::OutcomeUnknown),
        (state(Reason::RetryWait), "cancel", lost, State::Cancelled),
        (state(Reason::RetryWait), "cancel", once, State::Cancelled),
        (state(Reason::RetryWait), "supersede", lost_once, State::Superseded),
        (running(None, None, true), "hand_back", lost_once, State::OutcomeUnknown),
        (running(None, None, true), "hand_back", lost, State::OutcomeUnknown),
        (running(None, None, true), "postpone", lost, State::OutcomeUnknown),
        (running(None, None, true), "adjourn", lost, State::OutcomeUnknown),
        (running(None, None, true), "retry", lost_once, State::Cancelled),
        (running(Some(at(90)), None, false), "postpone", lost_once, State::OutcomeUnknown),
        (running(Some(at(90)), None, false), "postpone", lost, State::Exhausted),
        (running(None, None, false), "hand_back", lost_once, State::RetryWait { until: now, retry_by: None }),
        (running(None, None, false), "retry", Terms { attempts: 3, ..lost_once }, State::Exhausted),
        (running(None, None, false), "forgo", lost_once, State::Superseded),
        (State::RetryWait { until: at(1), retry_by: Some(now) }, "due", lost_once, State::OutcomeUnknown),
        (State::RetryWait { until: at(1), retry_by: Some(now) }, "due", lost, State::Exhausted),
    ] {
        let (input, _) = input(column);
        assert_eq!(from.step(&input, &terms, now), Ok(expected), "{from:?} × {column}");
    }
    // Once is enough; and whoever takes it over knows it.
    let off = running(None, None, true);
    for off in [&off, &awaiting(TIMER, true)] {
        assert_eq!(word(&off.step(&Input::Cancel, &plain, now)), "-");
    }
    let late = awaiting(TIMER, true).step(&Input::Elapsed, &plain, at(TIMER));
    assert_eq!(late, Ok(State::OutcomeUnknown));
    let claimed = off.step(&input("claim").0, &plain, now).unwrap();
    assert!(matches!(claimed, State::Running { called_off: true, token, .. } if token == HELD + 1));
    // Whenever somebody comes to look: the window to start in began when it might start.
    for (from, terms, by) in [
        (scheduled(90, Some(150)), terms(), Some(at(150))),
        (scheduled(90, None), terms(), Some(at(150))),
        (scheduled(90, None), time_sensitive, Some(at(120))),
        (scheduled(90, None), plain, None),
    ] {
        let late = from.step(&Input::Elapsed, &terms, at(500));
        assert_eq!(late, Ok(State::Queued { since: at(500), start_by: by }), "{from:?}");
    }
    // A state without a timer does not elapse.
    let (input, _) = input("due");
    for idle in [queued(None), State::RetryWait { until: now, retry_by: None }] {
        assert_eq!(word(&idle.step(&input, &plain, at(1_000))), "-", "{idle:?}");
    }
}

#[test]
fn the_wait_doubles_up_to_its_cap_and_honours_the_target() {
    for attempts in 1..=40 {
        let long = Retry { attempts: u32::MAX, first: Span::secs(5), cap: Span::hours(1), ..retry() };
        let doubled = 5_000_u64.checked_shl(attempts - 1).filter(|ms| ms >> (attempts - 1) == 5_000);
        let full = doubled.unwrap_or(u64::MAX).min(3_600_000);
        let mut waits = Vec::new();
        for n in 0..16_u8 {
            let key = format!("enf_{n:02x}0102030405060708090a0b0c0d0e0f");
            let terms = Terms { id: id(&key), attempts, retry: long, ..terms() };
            let step = |after| {
                let input = Input::Settle { token: HELD, outcome: Outcome::Retry { after } };
                match state(Reason::Running).step(&input, &terms, at(0)) {
                    Ok(State::RetryWait { until, .. }) => (until - at(0)).as_millis(),
                    other => panic!("{other:?}"),
                }
            };
            let own = step(None);
            assert!((full / 2..=full).contains(&own), "attempt {attempts}: {own} of {full}");
            assert_eq!(step(None), own, "the same every time");
            assert_eq!(step(Some(Span::ZERO)), own, "a target cannot shorten it");
            assert_eq!(step(Some(Span::hours(3))), 3 * 3_600_000);
            assert_eq!(step(Some(Span::days(3))), MAX_RETRY_AFTER.as_millis(), "nor ask for more than a day");
            waits.push(own);
        }
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 8, "a crowd spreads: {waits:?}");
    }
}
