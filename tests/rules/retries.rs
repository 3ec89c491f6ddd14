//! How each built-in action is tried again (behaviour 8.3): a change of these numbers changes what every tenant's
//! targets see.

use tipstaff::{ActionCatalog, BuiltinAction, RetrySafety, Span};

/// The type, what a repeat does, all attempts, the first and the longest wait, the window to start in.
type Row = (&'static str, RetrySafety, u32, Span, Span, Option<Span>);

const RETRIES: &[Row] = {
    use RetrySafety::{Idempotent, Keyed, NotIdempotent, TimeSensitive};
    const SOON: Span = Span::secs(5);
    const HOUR: Span = Span::hours(1);
    &[
        ("send_email", Keyed, 10, SOON, HOUR, None),
        ("send_chat_message", Keyed, 10, SOON, HOUR, None),
        ("create_ticket", Keyed, 10, SOON, HOUR, None),
        ("assign_training", Idempotent, 10, SOON, HOUR, None),
        ("schedule_coaching", Keyed, 10, SOON, HOUR, None),
        ("require_step_up_mfa", Idempotent, 10, SOON, HOUR, None),
        ("revoke_sessions", TimeSensitive, 10, Span::secs(2), Span::mins(1), Some(HOUR)),
        ("restrict_access", Idempotent, 10, SOON, HOUR, None),
        ("lock_account", Idempotent, 10, SOON, HOUR, None),
        ("send_webhook", Keyed, 10, SOON, HOUR, None),
        ("self_policing", Keyed, 10, SOON, HOUR, None),
        ("escalate_to_hr", NotIdempotent, 10, Span::secs(30), HOUR, None),
        ("escalate_to_manager", NotIdempotent, 10, Span::secs(30), HOUR, None),
    ]
};

#[test]
fn each_built_in_action_is_tried_again_as_its_type_says() {
    let catalog = ActionCatalog::default();
    for action in BuiltinAction::ALL {
        let spec = catalog.get(&(*action).into()).unwrap();
        let known = RETRIES.iter().find(|row| row.0 == action.as_str());
        let (_, safety, attempts, first, cap, not_after) = known.unwrap_or_else(|| panic!("{action:?}"));
        let retry = spec.retry.retry();
        assert_eq!(
            (&retry.safety, &retry.attempts, &retry.first, &retry.cap, &retry.not_after),
            (safety, attempts, first, cap, not_after),
            "{action:?}"
        );
    }
    assert_eq!(RETRIES.len(), BuiltinAction::ALL.len());
}
