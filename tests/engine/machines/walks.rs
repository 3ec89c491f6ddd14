//! Walks of the machine against a plain model.

use proptest::prelude::*;
use tipstaff::*;

use super::{input, terms, word};
use crate::support::{at, id, tenant};

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
    /// Of each claim that was not given back, whether it was answered.
    answered: Vec<bool>,
    over: Option<Time>,
}

pub(crate) fn subject_of_walks(retry: Retry, success: Success, start_within: Option<Span>) -> Enforcement {
    let approval = start_within.map(|_| id("apr_000102030405060708090a0b0c0d0e0f"));
    let terms = Terms { attempts: 0, retry, success, start_within, ..terms() };
    Enforcement {
        id: terms.id,
        tenant: tenant(),
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
    // The attempt before the one that runs, or waits, was lost.
    let lost = model.answered.iter().rev().nth(usize::from(model.reason == "running")) == Some(&false);
    let unless_lost =
        |then| if lost && e.retry.safety == RetrySafety::NotIdempotent { "outcome_unknown" } else { then };
    let may_stop = ["awaiting_approval", "queued", "retry_wait"].contains(&model.reason);
    match (model.reason, column) {
        ("awaiting_approval", "approve") => "queued",
        ("awaiting_approval", "reject") => "rejected",
        ("awaiting_approval", "expire") => "approval_expired",
        (_, "cancel") if may_stop => unless_lost("cancelled"),
        (_, "supersede") if may_stop => "superseded",
        ("queued" | "retry_wait", "claim") => "running",
        ("running", "claim") if token > model.token => "running",
        ("running", "claim") => "stale",
        ("running", "done" | "no_op" | "retry" | "permanent" | "unknown") if token != model.token => "stale",
        ("running", "cancel") if !model.called_off => "running",
        ("awaiting_confirmation", "cancel") if !model.called_off => "awaiting_confirmation",
        ("running", "hand_back") if token != model.token => "stale",
        ("running", "hand_back") if model.called_off && lost => "outcome_unknown",
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
        ("queued" | "retry_wait", "elapsed") => elapsed(unless_lost("exhausted")),
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
            called_off: false, history: Vec::new(), answered: Vec::new(), over: None,
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
                ("running" | "awaiting_confirmation", "running" | "awaiting_confirmation") if column == "cancel" => {
                    model.called_off = true;
                }
                (_, back) if column == "hand_back" => {
                    model.attempts -= 1;
                    model.history.pop();
                    model.answered.pop();
                    (model.timer, model.over) = match back {
                        "queued" => (model.start_by, None),
                        "retry_wait" => (model.retry_by, None),
                        _ => (None, Some(now)),
                    };
                }
                (before, "running") => {
                    model.attempts += 1;
                    model.answered.push(false);
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
            if ["done", "no_op", "retry", "permanent", "unknown"].contains(&column) {
                model.answered.pop();
                model.answered.push(true);
            }
            model.reason = next.reason().as_str();
            e = next;
            prop_assert_eq!(e.attempts, model.attempts);
            prop_assert_eq!(e.state.due_at(), model.timer);
            if let State::Running { called_off, .. } | State::AwaitingConfirmation { called_off, .. } = &e.state {
                prop_assert_eq!(*called_off, model.called_off);
            }
            prop_assert_eq!(e.settled_at, model.over, "settled when it is over, and once");
            let kept: Vec<(u32, u64)> = e.history.iter().map(|attempt| (attempt.number, attempt.token)).collect();
            prop_assert_eq!(kept, model.history.clone());
        }
    }
}
