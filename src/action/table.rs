//! The built-in action types, as one table (behaviour 5).

use super::catalog::{ActionSpec, ActionType, Category, RetrySafety, Success};
use super::params::{Param, ParamKind};
use crate::audit::AuditCode;
use crate::id::Subject;

/// One row: variant, name, title, category; then `approval` where people must agree by default,
/// `restricts` where it takes something away, `inverse` where it can be taken back; the retry
/// safety; the parameters; whether further text parameters are handed on (`open`); and the audit
/// codes that its success writes, for a user and for a session.
macro_rules! actions {
    ($($(#[$meta:meta])* $variant:ident, $name:literal, $title:literal, $category:ident,
        approval: $approval:literal, restricts: $restricts:literal, inverse: $inverse:expr,
        retry: $retry:ident, params: [$($param:expr),*], open: $open:literal, emits: $emits:expr;)+) => {
        /// The built-in action types.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum BuiltinAction { $($(#[$meta])* $variant,)+ }

        impl BuiltinAction {
            /// Every type, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in rules and records.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// All that is known of the type.
            #[must_use]
            pub fn spec(self) -> ActionSpec {
                let inverse: Option<&str> = match self { $(Self::$variant => $inverse,)+ };
                let inverse = inverse.map(|name| name.parse().expect("the table's names are names"));
                let name = ActionType::from(self);
                match self { $(Self::$variant => ActionSpec {
                    channel: name.clone(),
                    name,
                    title: $title.into(),
                    category: Category::$category,
                    approval: $approval,
                    restricts: $restricts,
                    inverse,
                    retry: RetrySafety::$retry,
                    success: Success::Accepted,
                    params: vec![$($param),*],
                    open: $open,
                },)+ }
            }

            const fn emitted(self) -> Option<(AuditCode, AuditCode)> {
                match self { $(Self::$variant => $emits,)+ }
            }
        }
    };
}

actions! {
    /// Sends a mail from one of the host's templates.
    SendEmail, "send_email", "Send an e-mail", Notification,
        approval: false, restricts: false, inverse: None, retry: Keyed,
        params: [to(), template()], open: true, emits: None;
    /// Posts in a chat.
    SendChatMessage, "send_chat_message", "Send a chat message", Notification,
        approval: false, restricts: false, inverse: None, retry: Keyed,
        params: [Param::text("channel", "a channel, or `subject` for a direct message"), Param::text("message", "what it says")],
        open: false, emits: None;
    /// Opens a ticket.
    CreateTicket, "create_ticket", "Create a ticket", Notification,
        approval: false, restricts: false, inverse: None, retry: Keyed,
        params: [Param::text("queue", "the queue that takes it"), Param::text("title", "its headline"),
            Param::text("body", "what happened").optional(), priority().optional()],
        open: false, emits: None;
    /// Assigns a course.
    AssignTraining, "assign_training", "Assign training", Training,
        approval: false, restricts: false, inverse: None, retry: Idempotent,
        params: [Param::text("course", "the course's id"), Param::new("due_in", "the time to complete it", ParamKind::Duration).optional()],
        open: false, emits: None;
    /// Arranges a talk.
    ScheduleCoaching, "schedule_coaching", "Schedule coaching", Training,
        approval: false, restricts: false, inverse: None, retry: Keyed,
        params: [Param::text("topic", "what it is about"), Param::text("with", "who holds it; the manager if none").optional()],
        open: false, emits: None;
    /// Asks for a fresh second factor.
    RequireStepUpMfa, "require_step_up_mfa", "Require step-up authentication", AccessControl,
        approval: false, restricts: false, inverse: None, retry: Idempotent,
        params: [Param::new("factor", "which factors count", ParamKind::choice(&["any", "phishing_resistant"])).optional()],
        open: false, emits: Some((AuditCode::AccountStepupChallengeRequested, AuditCode::AccountStepupChallengeRequested));
    /// Ends sessions: all of a user's, or the one that is the subject.
    RevokeSessions, "revoke_sessions", "Revoke sessions", AccessControl,
        approval: true, restricts: true, inverse: None, retry: TimeSensitive,
        params: [], open: false,
        emits: Some((AuditCode::AccountSessionsRevokedAll, AuditCode::AccountSessionRevoked));
    /// Narrows what the subject can reach.
    RestrictAccess, "restrict_access", "Restrict access", AccessControl,
        approval: true, restricts: true, inverse: Some("lift_restriction"), retry: Idempotent,
        params: [Param::text("scope", "what is taken away")], open: false, emits: None;
    /// Locks the account.
    LockAccount, "lock_account", "Lock the account", AccessControl,
        approval: true, restricts: true, inverse: Some("unlock_account"), retry: Idempotent,
        params: [], open: false, emits: None;
    /// Calls another system.
    SendWebhook, "send_webhook", "Send a webhook", Integration,
        approval: false, restricts: false, inverse: None, retry: Keyed,
        params: [Param::text("endpoint", "one of the host's endpoints, by name")], open: true, emits: None;
    /// Shows the subject what happened and asks them to put it right.
    SelfPolicing, "self_policing", "Ask to self-correct", GuidedCorrection,
        approval: false, restricts: false, inverse: None, retry: Keyed,
        params: [template()], open: true, emits: None;
    /// Brings in human resources.
    EscalateToHr, "escalate_to_hr", "Escalate to HR", Escalation,
        approval: false, restricts: false, inverse: None, retry: NotIdempotent,
        params: [Param::text("note", "what HR should know").optional()], open: false, emits: None;
    /// Brings in the subject's manager.
    EscalateToManager, "escalate_to_manager", "Escalate to the manager", Escalation,
        approval: false, restricts: false, inverse: None, retry: NotIdempotent,
        params: [Param::text("note", "what the manager should know").optional()], open: false, emits: None;
}

/// What takes the built-in restrictions back: name, title, of which type. No rule names these: an
/// effect is lifted when the last who holds it lets go, or by a person ([`Engine::lift`]).
///
/// [`Engine::lift`]: crate::Engine::lift
const INVERSES: &[(&str, &str, BuiltinAction)] = &[
    ("lift_restriction", "Lift the restriction", BuiltinAction::RestrictAccess),
    ("unlock_account", "Unlock the account", BuiltinAction::LockAccount),
];

/// The built-in type that takes a restriction back: of the same category and with the same
/// parameters as what it takes back; nobody is asked before a person gets back what is theirs.
pub(super) fn inverse(name: &ActionType) -> Option<ActionSpec> {
    let (_, title, of) = INVERSES.iter().find(|(inverse, ..)| *inverse == name.as_str())?;
    let of = of.spec();
    Some(ActionSpec {
        approval: false,
        restricts: false,
        retry: RetrySafety::Idempotent,
        params: of.params,
        ..ActionSpec::new(name.clone(), *title, of.category)
    })
}

impl BuiltinAction {
    /// The type of that name, if it is built in.
    #[must_use]
    pub fn named(name: &ActionType) -> Option<Self> {
        Self::ALL.iter().copied().find(|builtin| builtin.as_str() == name.as_str())
    }

    /// The code of the catalogue that its success writes beside the engine's own.
    #[must_use]
    pub fn audit_code(self, subject: &Subject) -> Option<AuditCode> {
        let (of_user, of_session) = self.emitted()?;
        Some(if subject.session.is_some() { of_session } else { of_user })
    }
}

fn to() -> Param {
    Param::text("to", "`subject`, `manager` or an address")
}

fn template() -> Param {
    Param::text("template", "one of the host's templates, by name")
}

fn priority() -> Param {
    Param::new("priority", "how urgent it is", ParamKind::choice(&["low", "medium", "high", "urgent"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of behaviour 5: name, category, approval by default.
    const CONTRACT: &[(&str, Category, bool)] = &[
        ("send_email", Category::Notification, false),
        ("send_chat_message", Category::Notification, false),
        ("create_ticket", Category::Notification, false),
        ("assign_training", Category::Training, false),
        ("schedule_coaching", Category::Training, false),
        ("require_step_up_mfa", Category::AccessControl, false),
        ("revoke_sessions", Category::AccessControl, true),
        ("restrict_access", Category::AccessControl, true),
        ("lock_account", Category::AccessControl, true),
        ("send_webhook", Category::Integration, false),
        ("self_policing", Category::GuidedCorrection, false),
        ("escalate_to_hr", Category::Escalation, false),
        ("escalate_to_manager", Category::Escalation, false),
    ];

    #[test]
    fn the_catalogue_is_the_one_that_was_promised() {
        let ours: Vec<_> =
            BuiltinAction::ALL.iter().map(|a| (a.as_str(), a.spec().category, a.spec().approval)).collect();
        assert_eq!(ours, CONTRACT);
        for action in BuiltinAction::ALL {
            let spec = action.spec();
            assert_eq!(BuiltinAction::named(&spec.name), Some(*action));
            assert_eq!(spec.restricts, spec.approval, "what restricts a person asks people: {}", spec.name);
            assert!(spec.inverse.is_none() || spec.restricts);
        }
    }

    #[test]
    fn every_built_in_inverse_is_there_and_takes_nothing_away() {
        let declared = BuiltinAction::ALL.iter().filter_map(|action| Some((*action, action.spec().inverse?)));
        let mut seen = Vec::new();
        for (action, name) in declared {
            let spec = inverse(&name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!((spec.category, spec.params), (action.spec().category, action.spec().params));
            assert!(!spec.approval && !spec.restricts && spec.inverse.is_none() && spec.channel == name);
            assert_eq!(BuiltinAction::named(&name), None, "no rule names it");
            seen.push((name.to_string(), action));
        }
        seen.sort();
        let table: Vec<_> = INVERSES.iter().map(|(name, _, of)| ((*name).to_owned(), *of)).collect();
        assert_eq!(seen, table);
    }
}
