//! The life of an enforcement against a second table of it, and against a plain model.
#![allow(clippy::unwrap_used, reason = "a helper of tests may panic")]

mod support;

use std::collections::BTreeMap;

use proptest::prelude::*;
use support::{at, id};
use tipstaff::*;

/// Every pair of a state and an input; `-` is refused as illegal, `stale` by its token, `early`
/// because the timer has not run out. Written from behaviour 8.1 to 8.3.
///
/// The terms are those of `terms()`: an idempotent action in its first of three attempts, asked
/// for by an approval with a start window, accepted by its target. What other terms change is in
/// the tables below.
const TABLE: &str = "
state                 approve reject   expire           claim   same_claim done no_op retry      permanent       unknown    stale_settle yes  no              cancel    supersede  early due              forgo      stale_forgo  hand_back stale_hand_back postpone  stale_postpone defer
awaiting_approval     queued  rejected approval_expired -       -          -    -     -          -               -          -            -    -               cancelled superseded -     -                -          -            -         -               -         -              -
scheduled             -       -        -                -       -          -    -     -          -               -          -            -    -               cancelled superseded early queued           -          -            -         -               -         -              -
queued                -       -        -                running running    -    -     -          -               -          -            -    -               cancelled superseded early approval_expired -          -            -         -               -         -              scheduled
running               -       -        -                running stale      done no_op retry_wait permanent_error retry_wait stale        done permanent_error running   -          -     -                superseded stale        queued    stale           scheduled stale          -
retry_wait            -       -        -                running running    -    -     -          -               -          -            done permanent_error cancelled superseded early exhausted        -          -            -         -               -         -              -
awaiting_confirmation -       -        -                -       -          -    -     -          -               -          -            done permanent_error -         -          early outcome_unknown  -          -            -         -               -         -              -
done                  -       -        -                -       -          -    -     -          -               -          -            -    -               -         -          -     -                -          -            -         -               -         -              -
no_op                 -       -        -                -       -          -    -     -          -               -          -            -    -               -         -          -     -                -          -            -         -               -         -              -
rejected              -       -        -                -       -          -    -     -          -               -          -            -    -               -         -          -     -                -          -            -         -               -         -              -
approval_expired      -       -        -                -       -          -    -     -          -               -          -            -    -               -         -          -     -                -          -            -         -               -         -              -
cancelled             -       -        -                -       -          -    -     -          -               -          -            -    -               -         -          -     -                -          -            -         -               -         -              -
superseded            -       -        -                -       -          -    -     -          -               -          -            -    -               -         -          -     -                -          -            -         -               -         -              -
permanent_error       -       -        -                -       -          -    -     -          -               -          -            -    -               -         -          -     -                -          -            -         -               -         -              -
exhausted             -       -        -                -       -          -    -     -          -               -          -            -    -               -         -          -     -                -          -            -         -               -         -              -
outcome_unknown       -       -        -                -       -          -    -     -          -               -          -            -    -               -         -          -     -                -          -            -         -               -         -              -
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
        Reason::AwaitingConfirmation => State::AwaitingConfirmation { until: timer },
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
        (waiting(Reason::Running), "done", confirmed, State::AwaitingConfirmation { until: at(30) }),
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
        // What is held waits for the end of that, and has its whole window to start in from then on;
        // what does harm when it comes late has the time that it had, and none beyond it.
        (queued(None), "defer", terms(), scheduled(90, Some(150))),
        (queued(Some(at(11))), "defer", terms(), scheduled(90, Some(150))),
        (queued(None), "defer", plain, scheduled(90, None)),
        (queued(Some(at(100))), "defer", time_sensitive, scheduled(90, Some(100))),
        (queued(Some(at(90))), "defer", time_sensitive, State::Exhausted),
        (running(None, Some(at(70)), false), "postpone", terms(), scheduled(90, Some(150))),
        (running(Some(at(100)), Some(at(100)), false), "postpone", time_sensitive, scheduled(90, Some(100))),
        (running(Some(at(90)), Some(at(90)), false), "postpone", time_sensitive, State::Exhausted),
        (
            running(Some(at(100)), None, false),
            "postpone",
            last,
            State::RetryWait { until: at(90), retry_by: Some(at(100)) },
        ),
        (running(Some(at(90)), None, false), "postpone", last, State::Exhausted),
        (running(None, None, true), "postpone", plain, State::Cancelled),
        // What was called off while it ran has no other attempt; what had its effect has it.
        (running(None, None, true), "hand_back", plain, State::Cancelled),
        (running(None, None, true), "retry", plain, State::Cancelled),
        (running(None, None, true), "retry", last, State::Cancelled),
        (running(None, None, true), "unknown", plain, State::OutcomeUnknown),
        (running(None, None, true), "unknown", once, State::OutcomeUnknown),
        (running(None, None, true), "permanent", plain, State::PermanentError),
        (running(None, None, true), "done", plain, State::Done),
        (running(None, None, true), "done", confirmed, State::AwaitingConfirmation { until: at(30) }),
    ] {
        let (input, _) = input(column);
        assert_eq!(from.step(&input, &terms, now), Ok(expected), "{from:?} × {column}");
    }
    // Once is enough; and whoever takes it over knows it.
    let off = running(None, None, true);
    assert_eq!(word(&off.step(&Input::Cancel, &plain, now)), "-");
    let claimed = off.step(&input("claim").0, &plain, now).unwrap();
    assert!(matches!(claimed, State::Running { called_off: true, token, .. } if token == HELD + 1));
    // Whenever somebody comes to look: the window to start in began when it might start.
    let late = scheduled(90, Some(150)).step(&Input::Elapsed, &terms(), at(500));
    assert_eq!(late, Ok(State::Queued { since: at(500), start_by: Some(at(150)) }));
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

/// A plain account of one enforcement, kept beside the machine.
#[derive(Clone, Debug)]
struct Model {
    reason: &'static str,
    token: u64,
    attempts: u32,
    /// When its timer runs out.
    timer: Option<Time>,
    /// Until when another attempt may begin, while it runs.
    retry_by: Option<Time>,
    /// Until when its only attempt had to begin.
    start_by: Option<Time>,
    /// Whether it was called off while it ran.
    called_off: bool,
    /// The attempts that are kept, with their tokens.
    history: Vec<(u32, u64)>,
    over: Option<Time>,
}

fn subject_of_walks(retry: Retry, success: Success, start_within: Option<Span>) -> Enforcement {
    let approval = start_within.map(|_| id("apr_000102030405060708090a0b0c0d0e0f"));
    let terms = Terms { attempts: 0, retry, success, start_within, ..terms() };
    Enforcement {
        id: terms.id,
        tenant: support::tenant(),
        purpose: Purpose::Action,
        origin: Origin {
            trigger: id("trg_000102030405060708090a0b0c0d0e0f"),
            kind: TriggerKind::Event,
            source: "okta".to_owned(),
            signal: "s1".to_owned(),
            at: at(0),
            operator: None,
            reason: None,
            cause: None,
            depth: 0,
        },
        subject: Subject::user(id("ana")),
        action: BuiltinAction::LockAccount.into(),
        category: Category::AccessControl,
        channel: BuiltinAction::LockAccount.into(),
        params: Params::new(),
        holders: Vec::new(),
        approval,
        votes: Vec::new(),
        recorded_at: at(0),
        settled_at: None,
        state: State::begin(approval, &terms, at(0)),
        attempts: 0,
        history: Vec::new(),
        repeats: 0,
        last_repeat: None,
        windows: Vec::new(),
        retry,
        success,
        start_at: None,
        start_within,
        inverse: None,
        administrator: false,
        reserved: Vec::new(),
        judged: None,
        retry_of: None,
    }
}

/// What the model expects of an input: the next reason, or a word of refusal.
fn expected(model: &Model, column: &str, e: &Enforcement, token: u64, now: Time) -> &'static str {
    let too_early = model.timer.is_some_and(|timer| now < timer);
    let elapsed = |then| match model.timer {
        None => "-",
        Some(_) if too_early => "early",
        Some(_) => then,
    };
    let may_stop = ["awaiting_approval", "queued", "retry_wait"].contains(&model.reason);
    match (model.reason, column) {
        ("awaiting_approval", "approve") => "queued",
        ("awaiting_approval", "reject") => "rejected",
        ("awaiting_approval", "expire") => "approval_expired",
        (_, "cancel") if may_stop => "cancelled",
        (_, "supersede") if may_stop => "superseded",
        ("queued" | "retry_wait", "claim") => "running",
        ("running", "claim") if token > model.token => "running",
        ("running", "claim") => "stale",
        ("running", "done" | "no_op" | "retry" | "permanent" | "unknown") if token != model.token => "stale",
        ("running", "cancel") if !model.called_off => "running",
        ("running", "hand_back") if token != model.token => "stale",
        ("running", "hand_back") if model.called_off => "cancelled",
        ("running", "hand_back") if model.attempts == 1 => "queued",
        ("running", "hand_back") => "retry_wait",
        ("running", "retry") if token == model.token && model.called_off => "cancelled",
        ("running", "unknown") if token == model.token && model.called_off => "outcome_unknown",
        ("running", "forgo") if token != model.token => "stale",
        ("running", "forgo") => "superseded",
        ("running", "done") if e.success != Success::Accepted => "awaiting_confirmation",
        ("running", "done") => "done",
        ("running", "no_op") => "no_op",
        ("running", "permanent") => "permanent_error",
        ("running", "unknown") if e.retry.safety == RetrySafety::NotIdempotent => "outcome_unknown",
        ("running", "retry" | "unknown") if model.attempts >= e.retry.attempts => "exhausted",
        // Whether the next wait ends before the last start is left to the machine's own jitter.
        ("running", "retry" | "unknown") if model.retry_by.is_some() => "retry_wait or exhausted",
        ("running", "retry" | "unknown") => "retry_wait",
        ("running" | "retry_wait" | "awaiting_confirmation", "yes") => "done",
        ("running" | "retry_wait" | "awaiting_confirmation", "no") => "permanent_error",
        ("queued", "elapsed") if e.start_within.is_some() => elapsed("approval_expired"),
        ("queued" | "retry_wait", "elapsed") => elapsed("exhausted"),
        ("awaiting_confirmation", "elapsed") => elapsed("outcome_unknown"),
        _ => "-",
    }
}

const COLUMNS: &[&str] = &[
    "approve",
    "reject",
    "expire",
    "claim",
    "claim",
    "claim",
    "done",
    "no_op",
    "retry",
    "retry",
    "retry",
    "permanent",
    "unknown",
    "forgo",
    "hand_back",
    "hand_back",
    "yes",
    "no",
    "cancel",
    "supersede",
    "elapsed",
    "elapsed",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn walks_of_the_machine_are_those_of_the_model(
        safety in prop::sample::select(RetrySafety::ALL),
        confirmed in any::<bool>(),
        asked in any::<bool>(),
        steps in prop::collection::vec(
            (prop::sample::select(COLUMNS), -2_i64..3, 0_i64..40, prop::option::of(0_u64..200_000)), 1..25),
    ) {
        let success = if confirmed { Success::Confirmed(Span::mins(45)) } else { Success::Accepted };
        let mut e = subject_of_walks(safety.retry(), success, asked.then_some(Span::mins(50)));
        let mut now = at(0);
        let mut model = Model {
            reason: if asked { "awaiting_approval" } else { "queued" },
            token: 0, attempts: 0, timer: e.state.due_at(), retry_by: None, start_by: None,
            called_off: false, history: Vec::new(), over: None,
        };
        for (column, offset, minutes, after) in steps {
            now = now.after(Span::mins(minutes.unsigned_abs()));
            let token = model.token.saturating_add_signed(offset);
            let after = after.map(Span::secs);
            let (input, _) = match column {
                "claim" => (Input::Claim { token, worker: id("w"), at: now }, now),
                "done" | "no_op" | "permanent" | "unknown" | "retry" => {
                    let outcome = match column {
                        "done" => Outcome::Done,
                        "no_op" => Outcome::NoOp,
                        "permanent" => Outcome::Permanent,
                        "unknown" => Outcome::Unknown,
                        _ => Outcome::Retry { after },
                    };
                    (Input::Settle { token, outcome }, now)
                }
                "elapsed" => (Input::Elapsed, now),
                "forgo" => (Input::Forgo { token }, now),
                "hand_back" => (Input::HandBack { token }, now),
                other => input(other),
            };
            let want = expected(&model, column, &e, token, now);
            let step = e.step(&input, Actor::Engine, now);
            let got = word(&step.as_ref().map(|(next, _)| next.state.clone()).map_err(|error| *error));
            prop_assert!(want == got || want.split(" or ").any(|one| one == got), "{model:?} × {column} at {now}: {got}, not {want}");
            let Ok((next, audit)) = step else { continue };
            prop_assert!(!audit.is_empty(), "every change is audited");
            // The model moves by its own rules.
            let start_by = |now: Time| e.start_within.into_iter().chain(e.retry.not_after).min().map(|w| now.after(w));
            match (model.reason, got) {
                ("running", "running") if column == "cancel" => model.called_off = true,
                (_, back) if column == "hand_back" => {
                    model.attempts -= 1;
                    model.history.pop();
                    (model.timer, model.over) = match back {
                        "queued" => (model.start_by, None),
                        "retry_wait" => (model.retry_by, None),
                        _ => (None, Some(now)),
                    };
                }
                (before, "running") => {
                    model.attempts += 1;
                    model.token = token;
                    model.start_by = if before == "queued" { model.timer } else { None };
                    model.history.push((model.attempts, token));
                    if model.history.len() > MAX_KEPT_ATTEMPTS {
                        model.history.remove(0);
                    }
                    if before != "running" {
                        model.retry_by = if e.retry.not_after.is_some() { model.timer } else { None };
                    }
                    model.timer = None;
                }
                (_, "queued") => model.timer = start_by(now),
                (_, "retry_wait") => {
                    let State::RetryWait { until, retry_by } = &next.state else { panic!() };
                    prop_assert!(retry_by.is_none_or(|by| *until < by), "a wait ends while an attempt may begin");
                    let doubled = e.retry.first.as_millis() << (model.attempts - 1).min(30);
                    let full = doubled.min(e.retry.cap.as_millis());
                    let told = if column == "retry" { after.unwrap_or(Span::ZERO).min(MAX_RETRY_AFTER) } else { Span::ZERO };
                    let waited = (*until - now).as_millis();
                    prop_assert!(waited >= told.as_millis().max(full / 2), "{waited}");
                    prop_assert!(waited <= told.as_millis().max(full), "{waited}");
                    model.timer = model.retry_by;
                }
                (_, "awaiting_confirmation") => model.timer = Some(now.after(Span::mins(45))),
                _ => (model.timer, model.over) = (None, Some(now)),
            }
            model.reason = next.reason().as_str();
            e = next;
            prop_assert_eq!(e.attempts, model.attempts);
            prop_assert_eq!(e.state.due_at(), model.timer);
            prop_assert_eq!(e.settled_at, model.over, "settled when it is over, and once");
            let kept: Vec<(u32, u64)> = e.history.iter().map(|attempt| (attempt.number, attempt.token)).collect();
            prop_assert_eq!(kept, model.history.clone());
        }
    }
}

/// Every pair of a state and an input of an effect, written from the drawing in its room's
/// documentation: `-` is refused as illegal, `not_held` and `other` for those reasons. The state
/// `standing` is held by one rule, `shared` by two.
const EFFECTS: &str = "
state    hold     hold_more release  release_other lift    lifted other_lifted failed other_failed
clear    standing standing  not_held not_held      -       -      -            -      -
standing standing standing  lifting  not_held      -       -      -            -      -
shared   standing standing  standing not_held      -       -      -            -      -
lifting  standing standing  not_held not_held      -       clear  other        stuck  other
stuck    standing standing  not_held not_held      lifting -      -            -      -
";

fn held(rule: &str, until: Option<i64>) -> Held {
    let lock = subject_of_walks(retry(), Success::Accepted, None);
    Held {
        holder: Holding::Rule(id(rule)),
        since: at(0),
        until: until.map(at),
        generation: 0,
        enforcement: lock.id,
        origin: lock.origin,
        rule: Some((1, id("a"))),
    }
}

/// An effect in each state of the table.
fn effect(state: &str) -> HeldEffect {
    let means = |action: &str| Means {
        action: id(action),
        category: Category::AccessControl,
        channel: id(action),
        retry: retry(),
        success: Success::Accepted,
    };
    let clear = HeldEffect {
        id: id("eff_000102030405060708090a0b0c0d0e0f"),
        tenant: support::tenant(),
        subject: Subject::user(id("ana")),
        apply: means("lock_account"),
        inverse: means("unlock_account"),
        params: Params::new(),
        state: EffectState::Clear,
        generation: 0,
        since: at(0),
        changed_at: at(0),
        lifted_at: None,
        turn: None,
        administrator: false,
    };
    let step = |effect: &HeldEffect, input: EffectInput| effect.step(&input, at(0)).unwrap();
    let release = EffectInput::Release { holder: Holding::Rule(id("r")), undo: Some(undo()) };
    match state {
        "clear" => clear,
        "standing" => step(&clear, EffectInput::Hold(held("r", Some(60)))),
        "shared" => step(&effect("standing"), EffectInput::Hold(held("s", None))),
        "lifting" => step(&effect("standing"), release),
        "stuck" => step(&effect("lifting"), EffectInput::Failed { undo: undo() }),
        other => panic!("no state {other}"),
    }
}

fn undo() -> EnforcementId {
    id("enf_0f0102030405060708090a0b0c0d0e0f")
}

#[test]
fn every_effect_takes_every_input_as_the_table_says() {
    let mut rows = EFFECTS.lines().filter(|line| !line.is_empty()).map(str::split_whitespace);
    let columns: Vec<&str> = rows.next().unwrap().skip(1).collect();
    let other: EnforcementId = id("enf_ff0102030405060708090a0b0c0d0e0f");
    let mut seen = Vec::new();
    for mut row in rows {
        let name = row.next().unwrap();
        let before = effect(name);
        for (column, expected) in columns.iter().zip(row) {
            let input = match *column {
                "hold" => EffectInput::Hold(held("r", Some(60))),
                "hold_more" => EffectInput::Hold(held("r", Some(120))),
                "release" => EffectInput::Release { holder: Holding::Rule(id("r")), undo: None },
                "release_other" => EffectInput::Release { holder: Holding::Person(id("r")), undo: None },
                "lift" => EffectInput::Lift { by: Holding::Person(id("olga")) },
                "lifted" => EffectInput::Lifted { undo: undo() },
                "other_lifted" => EffectInput::Lifted { undo: other },
                "failed" => EffectInput::Failed { undo: undo() },
                "other_failed" => EffectInput::Failed { undo: other },
                other => panic!("no input {other}"),
            };
            let step = before.step(&input, at(1));
            let got = match &step {
                Ok(next) => next.status().as_str(),
                Err(EffectError::Illegal { .. }) => "-",
                Err(EffectError::NotHeld(_)) => "not_held",
                Err(EffectError::OtherUndo(_)) => "other",
                Err(other) => panic!("{other}"),
            };
            assert_eq!(got, expected, "{name} × {column}");
            let Ok(next) = step else { continue };
            assert!(next.generation >= before.generation && next.changed_at == at(1), "{name} × {column}");
            // A state has holders exactly where it stands.
            assert_eq!(next.holders().is_empty(), next.status() != EffectStatus::Standing);
            // The same time again is no extension; a longer one is, and has an undo of its own.
            if name == "standing" {
                let held = next.held_by(&Holding::Rule(id("r")));
                let extended = held.is_some_and(|held| held.generation > before.generation);
                assert_eq!(extended, *column == "hold_more", "{column}");
            }
        }
        seen.push(before.status());
    }
    seen.dedup();
    assert_eq!(seen, EffectStatus::ALL);
}
