//! The built-in codes: one table, from which everything about a code comes.

use std::fmt;
use std::str::FromStr;

use super::catalog::CodeError;
use super::code::{AuditDomain, Retention, RetentionCategory, Severity};

/// What the table says of one code.
struct Row {
    text: &'static str,
    severity: Severity,
    domain: AuditDomain,
    category: RetentionCategory,
    about: &'static str,
    successor: Option<AuditCode>,
    aggregate: bool,
}

/// `Variant: Severity, Domain, "CODE", Retention, "description"`, then `=> Successor` where the
/// code is superseded, or `, aggregate` where it makes one row a subject and UTC day.
macro_rules! codes {
    ($($name:ident: $severity:ident, $domain:ident, $text:literal, $category:ident,
        $about:literal $(=> $successor:ident)? $(, $aggregate:ident)?;)+) => {
        /// A code that the library knows: the 84 of the reference catalogue, then our own in the
        /// namespaces `POLICY_`, `APPROVAL_`, `ENFORCEMENT_` and `SCHEDULE_`.
        ///
        /// The texts are permanent: logs hold them. A variant's name is its code's in camel case.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum AuditCode {
            $(
                #[doc = concat!("`", $text, "` (", stringify!($severity), "): ", $about, ".")]
                $(#[doc = concat!("\n\nSuperseded by [`", stringify!($successor), "`](Self::", stringify!($successor), ").")])?
                $(#[doc = concat!("\n\nAn ", stringify!($aggregate), " code: one row a subject and UTC day, with a count.")])?
                $name,
            )+
        }

        impl AuditCode {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            const fn row(self) -> &'static Row {
                const ROWS: &[Row] = &[$(Row {
                    text: $text,
                    severity: Severity::$severity,
                    domain: AuditDomain::$domain,
                    category: RetentionCategory::$category,
                    about: $about,
                    successor: successor!($($successor)?),
                    aggregate: aggregate!($($aggregate)?),
                }),+];
                &ROWS[self as usize]
            }
        }
    };
}

macro_rules! successor {
    () => {
        None
    };
    ($code:ident) => {
        Some(AuditCode::$code)
    };
}

macro_rules! aggregate {
    () => {
        false
    };
    (aggregate) => {
        true
    };
}

codes! {
    AccountProfileUpdate: Info, Account, "ACCOUNT_PROFILE_UPDATE", Activity,
        "A person changed what their own profile says, such as name, language or time zone";
    AccountAvatarUpdate: Info, Account, "ACCOUNT_AVATAR_UPDATE", Activity,
        "A person's picture was replaced or removed";
    AccountPreferencesUpdate: Info, Account, "ACCOUNT_PREFERENCES_UPDATE", Activity,
        "A person changed how the product looks, reads or notifies for them";
    AccountNotifPreferenceUpdate: Info, Account, "ACCOUNT_NOTIF_PREFERENCE_UPDATE", Activity,
        "A person chose to get, or no longer get, notices by one channel";
    AccountPatCreated: Notice, Account, "ACCOUNT_PAT_CREATED", Security,
        "A personal access token was issued";
    AccountPatRevoked: Notice, Account, "ACCOUNT_PAT_REVOKED", Security,
        "A personal access token stopped being valid";
    AccountLoginAlertPrefUpdate: Notice, Account, "ACCOUNT_LOGIN_ALERT_PREF_UPDATE", Security,
        "A person changed when they are warned about sign-ins to their account";
    AccountNotifInboxRead: Info, Account, "ACCOUNT_NOTIF_INBOX_READ", Activity,
        "How often a person looked into their notices on one day", aggregate;
    AccountNotifInboxMarkedRead: Info, Account, "ACCOUNT_NOTIF_INBOX_MARKED_READ", Activity,
        "A person declared every notice as read in one go";
    AccountAuditLogExported: Warning, Account, "ACCOUNT_AUDIT_LOG_EXPORTED", Administrative,
        "A copy of the audit log left the system at an administrator's order";
    AccountSecurityAlertAcknowledged: Info, Account, "ACCOUNT_SECURITY_ALERT_ACKNOWLEDGED", Security,
        "An administrator confirmed having seen a security alert";

    AccountSessionRevoked: Warning, Sessions, "ACCOUNT_SESSION_REVOKED", Security,
        "A single session was cut off before its time";
    AccountSessionsRevokedAll: Warning, Sessions, "ACCOUNT_SESSIONS_REVOKED_ALL", Security,
        "All sessions of one user were cut off at once";

    AccountMfaEnrolled: Notice, MultiFactor, "ACCOUNT_MFA_ENROLLED", Security,
        "A second factor was set up, as old flows wrote it" => AccountMfaDeviceEnrolled;
    AccountMfaDeviceEnrolled: Notice, MultiFactor, "ACCOUNT_MFA_DEVICE_ENROLLED", Security,
        "An account gained an authenticator app or device";
    AccountMfaDeviceVerified: Info, MultiFactor, "ACCOUNT_MFA_DEVICE_VERIFIED", Security,
        "A second factor answered its challenge correctly";
    AccountMfaDeviceRenamed: Info, MultiFactor, "ACCOUNT_MFA_DEVICE_RENAMED", Activity,
        "The name of a second factor was changed";
    AccountMfaDeviceRevoked: Warning, MultiFactor, "ACCOUNT_MFA_DEVICE_REVOKED", Security,
        "An account lost one of its second factors";
    AccountMfaDeviceRevokeBlocked: Warning, MultiFactor, "ACCOUNT_MFA_DEVICE_REVOKE_BLOCKED", Security,
        "Removing a second factor was denied, as no other permitted one would have been left";
    AccountMfaRecoveryCodesGenerated: Notice, MultiFactor, "ACCOUNT_MFA_RECOVERY_CODES_GENERATED", Security,
        "New recovery codes replaced whatever codes there were";
    AccountMfaRecoveryCodeUsed: Warning, MultiFactor, "ACCOUNT_MFA_RECOVERY_CODE_USED", Security,
        "Someone signed in with a recovery code in place of the second factor";
    AccountMfaDisabled: Critical, MultiFactor, "ACCOUNT_MFA_DISABLED", Security,
        "An account is left with its first factor alone";
    AccountMfaDisableBlocked: Warning, MultiFactor, "ACCOUNT_MFA_DISABLE_BLOCKED", Security,
        "Policy denied an account to go without a second factor";
    AccountMfaLegacyMigrated: Notice, MultiFactor, "ACCOUNT_MFA_LEGACY_MIGRATED", Security,
        "An enrolment from before several devices were possible was converted";
    TenantMfaPolicyUpdated: Notice, MultiFactor, "TENANT_MFA_POLICY_UPDATED", Administrative,
        "A tenant changed its rules about second factors";
    TenantMfaRequirementEnforced: Notice, MultiFactor, "TENANT_MFA_REQUIREMENT_ENFORCED", Security,
        "A sign-in was held to the tenant's demand for a second factor";
    TenantMfaGraceGranted: Notice, MultiFactor, "TENANT_MFA_GRACE_GRANTED", Administrative,
        "Someone was given time to set up a second factor";
    TenantMfaGraceExpired: Warning, MultiFactor, "TENANT_MFA_GRACE_EXPIRED", Administrative,
        "The time to set up a second factor passed unused";
    TenantMfaAcceptedFactorsUpdated: Notice, MultiFactor, "TENANT_MFA_ACCEPTED_FACTORS_UPDATED", Administrative,
        "A tenant changed which kinds of second factor count";

    AccountWebauthnCredentialEnrolled: Notice, WebAuthn, "ACCOUNT_WEBAUTHN_CREDENTIAL_ENROLLED", Security,
        "An account gained a passkey or security key";
    AccountWebauthnCredentialVerified: Info, WebAuthn, "ACCOUNT_WEBAUTHN_CREDENTIAL_VERIFIED", Security,
        "A passkey's signature was checked and found good";
    AccountWebauthnCredentialRenamed: Info, WebAuthn, "ACCOUNT_WEBAUTHN_CREDENTIAL_RENAMED", Activity,
        "The name of a passkey was changed";
    AccountWebauthnCredentialRevoked: Warning, WebAuthn, "ACCOUNT_WEBAUTHN_CREDENTIAL_REVOKED", Security,
        "An account lost one of its passkeys";
    AccountWebauthnCredentialRevokeBlocked: Warning, WebAuthn, "ACCOUNT_WEBAUTHN_CREDENTIAL_REVOKE_BLOCKED",
        Security, "Removing a passkey was denied, as no other permitted one would have been left";
    AccountWebauthnSigninSuccess: Info, WebAuthn, "ACCOUNT_WEBAUTHN_SIGNIN_SUCCESS", Security,
        "A person came in with a passkey";
    AccountWebauthnSigninFailed: Warning, WebAuthn, "ACCOUNT_WEBAUTHN_SIGNIN_FAILED", Security,
        "An attempt to come in with a passkey was turned away";
    AccountWebauthnCounterRegression: Critical, WebAuthn, "ACCOUNT_WEBAUTHN_COUNTER_REGRESSION", Security,
        "A passkey reported a lower use count than before, as a copied key would";
    AccountWebauthnEnrollBlockedByPolicy: Warning, WebAuthn, "ACCOUNT_WEBAUTHN_ENROLL_BLOCKED_BY_POLICY",
        Security, "An authenticator of a kind that the tenant does not permit could not be enrolled";

    AccountStepupChallengeRequested: Info, StepUp, "ACCOUNT_STEPUP_CHALLENGE_REQUESTED", Security,
        "A person was asked to prove again who they are before going on";
    AccountStepupVerified: Info, StepUp, "ACCOUNT_STEPUP_VERIFIED", Security,
        "A person proved again who they are";
    AccountStepupFailed: Warning, StepUp, "ACCOUNT_STEPUP_FAILED", Security,
        "A person was asked to prove again who they are and did not";
    AccountStepupReused: Critical, StepUp, "ACCOUNT_STEPUP_REUSED", Security,
        "A proof that had already served was shown again, as an attacker would";
    AccountStepupBlocked: Warning, StepUp, "ACCOUNT_STEPUP_BLOCKED", Security,
        "Policy did not let a person prove themselves in this way";

    TenantSamlProviderCreated: Notice, Saml, "TENANT_SAML_PROVIDER_CREATED", Administrative,
        "A tenant connected an identity provider";
    TenantSamlProviderUpdated: Notice, Saml, "TENANT_SAML_PROVIDER_UPDATED", Administrative,
        "A tenant changed how an identity provider is connected";
    TenantSamlProviderEnabled: Notice, Saml, "TENANT_SAML_PROVIDER_ENABLED", Administrative,
        "People may sign in by an identity provider from now on";
    TenantSamlProviderDisabled: Notice, Saml, "TENANT_SAML_PROVIDER_DISABLED", Administrative,
        "People may not sign in by an identity provider for now";
    TenantSamlProviderDeleted: Warning, Saml, "TENANT_SAML_PROVIDER_DELETED", Administrative,
        "A tenant gave up its connection to an identity provider";
    AccountSamlSigninSuccess: Info, Saml, "ACCOUNT_SAML_SIGNIN_SUCCESS", Security,
        "A person came in by way of an identity provider";
    AccountSamlSigninFailed: Warning, Saml, "ACCOUNT_SAML_SIGNIN_FAILED", Security,
        "What an identity provider asserted was not accepted";
    AccountSamlJitProvisioned: Notice, Saml, "ACCOUNT_SAML_JIT_PROVISIONED", Administrative,
        "An account came into being as its owner first arrived from an identity provider";

    TenantScimTokenCreated: Notice, Scim, "TENANT_SCIM_TOKEN_CREATED", Administrative,
        "A directory was given a token to manage users with";
    TenantScimTokenRevoked: Notice, Scim, "TENANT_SCIM_TOKEN_REVOKED", Administrative,
        "A directory's token stopped being valid";
    AccountScimUserCreated: Info, Scim, "ACCOUNT_SCIM_USER_CREATED", Administrative,
        "A directory made an account";
    AccountScimUserUpdated: Info, Scim, "ACCOUNT_SCIM_USER_UPDATED", Administrative,
        "A directory changed an account";
    AccountScimUserDeactivated: Warning, Scim, "ACCOUNT_SCIM_USER_DEACTIVATED", Administrative,
        "A directory suspended an account";
    AccountScimUserReactivated: Notice, Scim, "ACCOUNT_SCIM_USER_REACTIVATED", Administrative,
        "A directory lifted an account's suspension";

    TenantNetworkPolicyUpdated: Notice, Network, "TENANT_NETWORK_POLICY_UPDATED", Administrative,
        "A tenant changed which addresses it lets in or keeps out";
    TenantNetworkRuleAdded: Notice, Network, "TENANT_NETWORK_RULE_ADDED", Administrative,
        "A rule about addresses came into force";
    TenantNetworkRuleRemoved: Notice, Network, "TENANT_NETWORK_RULE_REMOVED", Administrative,
        "A rule about addresses went out of force";
    AccountNetworkPolicyBlocked: Warning, Network, "ACCOUNT_NETWORK_POLICY_BLOCKED", Security,
        "Someone was turned away because of the address that they came from";
    AccountNetworkPolicyAdminBypass: Warning, Network, "ACCOUNT_NETWORK_POLICY_ADMIN_BYPASS", Administrative,
        "The address rules were set aside for an administrator on one occasion";

    TenantAttestationPolicyUpdated: Notice, Attestation, "TENANT_ATTESTATION_POLICY_UPDATED", Administrative,
        "A tenant changed which makes of authenticator it permits";

    TenantWebhookCreated: Notice, Webhooks, "TENANT_WEBHOOK_CREATED", Administrative,
        "A tenant asked for events to be sent to an address";
    TenantWebhookUpdated: Notice, Webhooks, "TENANT_WEBHOOK_UPDATED", Administrative,
        "A tenant changed which events are sent, or where to";
    TenantWebhookDisabled: Notice, Webhooks, "TENANT_WEBHOOK_DISABLED", Administrative,
        "Sending events to an address is paused";
    TenantWebhookDeleted: Notice, Webhooks, "TENANT_WEBHOOK_DELETED", Administrative,
        "A tenant ended the sending of events to an address";
    TenantWebhookCircuitTripped: Warning, Webhooks, "TENANT_WEBHOOK_CIRCUIT_TRIPPED", Activity,
        "An address failed so often that nothing more is sent to it";
    TenantWebhookTestSent: Info, Webhooks, "TENANT_WEBHOOK_TEST_SENT", Activity,
        "A made-up event was sent to see whether an address answers";

    TenantAuditRetentionPolicyUpdated: Notice, AuditRetention, "TENANT_AUDIT_RETENTION_POLICY_UPDATED",
        Administrative, "A tenant changed how long its records are kept";
    AuditPruneRunCompleted: Info, AuditRetention, "AUDIT_PRUNE_RUN_COMPLETED", Administrative,
        "Records past their time were removed; its details count them by category";
    AuditPruneRunFailed: Warning, AuditRetention, "AUDIT_PRUNE_RUN_FAILED", Administrative,
        "The removal of records past their time broke off";

    AccountDataExportRequest: Notice, Erasure, "ACCOUNT_DATA_EXPORT_REQUEST", Privacy,
        "A person wants a copy of what is stored about them";
    AccountDataExportReady: Info, Erasure, "ACCOUNT_DATA_EXPORT_READY", Privacy,
        "A person's copy of their data can be collected";
    AccountDataExportDownloaded: Info, Erasure, "ACCOUNT_DATA_EXPORT_DOWNLOADED", Privacy,
        "A person collected the copy of their data";
    AccountDeletionRequest: Notice, Erasure, "ACCOUNT_DELETION_REQUEST", Privacy,
        "A person wants what is stored about them to be deleted";
    AccountDeletionApproved: Notice, Erasure, "ACCOUNT_DELETION_APPROVED", Privacy,
        "An administrator let a deletion go ahead";
    AccountDeletionRejected: Warning, Erasure, "ACCOUNT_DELETION_REJECTED", Privacy,
        "An administrator did not let a deletion go ahead";
    AccountDeletionCancelled: Info, Erasure, "ACCOUNT_DELETION_CANCELLED", Privacy,
        "A deletion was withdrawn while it could still be stopped";
    AccountDeletionCompleted: Warning, Erasure, "ACCOUNT_DELETION_COMPLETED", Privacy,
        "Nothing that was to be deleted is left";
    AccountDeletionBlockedByHolds: Warning, Erasure, "ACCOUNT_DELETION_BLOCKED_BY_HOLDS", Privacy,
        "A deletion stopped short, as the law requires some of the data to be preserved";
    AccountDeletionHoldsOverridden: Critical, Erasure, "ACCOUNT_DELETION_HOLDS_OVERRIDDEN", Legal,
        "An administrator had data deleted although it was to be preserved by law";
    AccountDeletionDualControlBlocked: Warning, Erasure, "ACCOUNT_DELETION_DUAL_CONTROL_BLOCKED", Privacy,
        "A deletion stopped short, as its approver may not also carry it out";
    AccountDeletionCooloffBlocked: Warning, Erasure, "ACCOUNT_DELETION_COOLOFF_BLOCKED", Privacy,
        "A deletion stopped short, as the time to think it over was still running";

    // From here on the codes are our own.
    PolicyRulesInstalled: Notice, Policy, "POLICY_RULES_INSTALLED", Administrative,
        "A set of rules became the tenant's active one";
    PolicyRuleAdded: Notice, Policy, "POLICY_RULE_ADDED", Administrative,
        "A revision of a rule was stored";
    PolicyRuleActivated: Notice, Policy, "POLICY_RULE_ACTIVATED", Administrative,
        "A rule came into force";
    PolicyRuleDeactivated: Warning, Policy, "POLICY_RULE_DEACTIVATED", Administrative,
        "A rule went out of force";
    PolicyApprovalLoosened: Warning, Policy, "POLICY_APPROVAL_LOOSENED", Administrative,
        "A rule lets an action run by itself although its type asks for approval";
    PolicySignalDecided: Info, Policy, "POLICY_SIGNAL_DECIDED", Security,
        "A signal concerned a rule, and what follows from it was decided";
    PolicySignalRefused: Warning, Policy, "POLICY_SIGNAL_REFUSED", Security,
        "A signal came with an id that had been decided on before, but with other content";
    PolicyManualStart: Notice, Policy, "POLICY_MANUAL_START", Administrative,
        "An operator or a workflow started an action by hand, with a reason";
    PolicyActionSuppressed: Notice, Policy, "POLICY_ACTION_SUPPRESSED", Security,
        "A guard kept an action from being created, for the reason that the details name";
    PolicyScoreRecorded: Info, Policy, "POLICY_SCORE_RECORDED", Security,
        "A subject's score was recorded without entering another band";
    PolicyBandEntered: Notice, Policy, "POLICY_BAND_ENTERED", Security,
        "A subject's score entered another band";
    PolicyLevelElapsed: Info, Policy, "POLICY_LEVEL_ELAPSED", Security,
        "A dwell or a hold ended, and the subject's last score counts";
    PolicyLevelDismissed: Warning, Policy, "POLICY_LEVEL_DISMISSED", Administrative,
        "An operator reset a subject's level to what the last score says";
    PolicyLevelReread: Info, Policy, "POLICY_LEVEL_REREAD", Security,
        "A subject's last score was read again by changed bands";
    PolicyBandsChanged: Warning, Policy, "POLICY_BANDS_CHANGED", Administrative,
        "The bands of scales were changed, and every subject's last score is read again";
    PolicyBandsCompleted: Notice, Policy, "POLICY_BANDS_COMPLETED", Administrative,
        "Every subject's last score was read again by changed bands";
    PolicyBandsSkipped: Warning, Policy, "POLICY_BANDS_SKIPPED", Security,
        "A subject's level could not be read again by changed bands, for the reason that the details name";
    PolicyKillSwitchEngaged: Critical, Policy, "POLICY_KILL_SWITCH_ENGAGED", Administrative,
        "Somebody stopped enforcement, everywhere or for a part";
    PolicyKillSwitchReleased: Warning, Policy, "POLICY_KILL_SWITCH_RELEASED", Administrative,
        "Enforcement that somebody had stopped may go on";
    PolicyCapExceeded: Warning, Policy, "POLICY_CAP_EXCEEDED", Security,
        "The first action beyond a cap in its window; the details say what becomes of it and the next";
    PolicyRulePaused: Warning, Policy, "POLICY_RULE_PAUSED", Administrative,
        "A rule rests until somebody resumes it: an operator said so, or it went beyond a cap";
    PolicyRuleResumed: Warning, Policy, "POLICY_RULE_RESUMED", Administrative,
        "An operator let a rule act again that rested";
    PolicyNoticeSent: Info, Policy, "POLICY_NOTICE_SENT", Security,
        "The owner of a rule was told that it rests";
    PolicyNoticeFailed: Warning, Policy, "POLICY_NOTICE_FAILED", Security,
        "The owner of a rule could not be told that it rests";
    PolicyExemptionGranted: Warning, Policy, "POLICY_EXEMPTION_GRANTED", Administrative,
        "Somebody exempted a subject from rules or actions, with a reason";
    PolicyExemptionRevoked: Notice, Policy, "POLICY_EXEMPTION_REVOKED", Administrative,
        "A subject's exemption was taken back before its end";
    PolicyOrderRefused: Warning, Policy, "POLICY_ORDER_REFUSED", Administrative,
        "Somebody ordered what they have no right to; nothing was changed";
    PolicyErasureOrdered: Notice, Policy, "POLICY_ERASURE_ORDERED", Privacy,
        "Somebody ordered that what is personal about a subject be erased from the records";
    PolicyPersonalDataErased: Notice, Policy, "POLICY_PERSONAL_DATA_ERASED", Privacy,
        "The personal fields of records were erased; the records themselves still verify";
    PolicySubjectDescribed: Notice, Policy, "POLICY_SUBJECT_DESCRIBED", Administrative,
        "The host told something else of a person than before; the record does not say what";

    ApprovalRequested: Notice, Approval, "APPROVAL_REQUESTED", Administrative,
        "An action waits until people agree to it";
    ApprovalNoticeSent: Info, Approval, "APPROVAL_NOTICE_SENT", Security,
        "An approver was told, or reminded, that a request is open";
    ApprovalNoticeFailed: Warning, Approval, "APPROVAL_NOTICE_FAILED", Security,
        "An approver could not be told that a request is open; the request stays open";
    ApprovalReminded: Info, Approval, "APPROVAL_REMINDED", Security,
        "A part of a stage's time is past, so approvers who have not voted are reminded";
    ApprovalStageOpened: Notice, Approval, "APPROVAL_STAGE_OPENED", Administrative,
        "The next stage of a request opened, or a stage opened again to its fallback";
    ApprovalDelegated: Notice, Approval, "APPROVAL_DELEGATED", Administrative,
        "An approver named somebody who may vote for them on one request";
    ApprovalReassigned: Warning, Approval, "APPROVAL_REASSIGNED", Administrative,
        "An operator had others asked in the place of a stage's approvers";
    ApprovalChangeRefused: Warning, Approval, "APPROVAL_CHANGE_REFUSED", Administrative,
        "A delegation or reassignment was refused, for the reason that the details name";
    ApprovalVoteCast: Notice, Approval, "APPROVAL_VOTE_CAST", Administrative,
        "An approver agreed to an action or refused it";
    ApprovalVoteRefused: Warning, Approval, "APPROVAL_VOTE_REFUSED", Administrative,
        "Somebody's vote did not count, for the reason that the details name";
    ApprovalGranted: Notice, Approval, "APPROVAL_GRANTED", Administrative,
        "Enough approvers agreed, so the action may run";
    ApprovalRejected: Notice, Approval, "APPROVAL_REJECTED", Administrative,
        "Enough approvers refused, so the action will not run";
    ApprovalExpired: Warning, Approval, "APPROVAL_EXPIRED", Administrative,
        "A request ran out before enough approvers had voted";
    ApprovalWithdrawn: Notice, Approval, "APPROVAL_WITHDRAWN", Administrative,
        "A request was taken back before its end";
    ApprovalVoided: Critical, Approval, "APPROVAL_VOIDED", Administrative,
        "An approval did not cover what was to be carried out, so nothing was delivered";

    EnforcementCreated: Notice, Enforcement, "ENFORCEMENT_CREATED", Administrative,
        "An action on a subject was created";
    EnforcementQueued: Info, Enforcement, "ENFORCEMENT_QUEUED", Security,
        "An action may be claimed by a worker";
    EnforcementClaimed: Info, Enforcement, "ENFORCEMENT_CLAIMED", Security,
        "A worker took an action on and began an attempt";
    EnforcementReclaimed: Warning, Enforcement, "ENFORCEMENT_RECLAIMED", Security,
        "A worker's lease ran out, so another attempt began";
    EnforcementRetryScheduled: Notice, Enforcement, "ENFORCEMENT_RETRY_SCHEDULED", Security,
        "An attempt failed in a way that may pass, so another one will follow";
    EnforcementAccepted: Info, Enforcement, "ENFORCEMENT_ACCEPTED", Security,
        "The target took the action in and has yet to confirm it";
    EnforcementSucceeded: Notice, Enforcement, "ENFORCEMENT_SUCCEEDED", Administrative,
        "An action took effect, or there was nothing left to do";
    EnforcementFailed: Warning, Enforcement, "ENFORCEMENT_FAILED", Administrative,
        "An action ended without effect, for the reason that the details name";
    EnforcementCancelled: Notice, Enforcement, "ENFORCEMENT_CANCELLED", Administrative,
        "Somebody called an action off before its end";
    EnforcementOutcomeUnknown: Critical, Enforcement, "ENFORCEMENT_OUTCOME_UNKNOWN", Administrative,
        "The target's answer was lost, so nobody knows whether an action took effect";
    EnforcementBrokeGlass: Critical, Enforcement, "ENFORCEMENT_BROKE_GLASS", Administrative,
        "An operator started an action before anybody agreed; people are asked to ratify it";
    EnforcementUndone: Warning, Enforcement, "ENFORCEMENT_UNDONE", Administrative,
        "The inverse of an action was created, which takes it back";
    EnforcementNotReversed: Critical, Enforcement, "ENFORCEMENT_NOT_REVERSED", Administrative,
        "An action should be taken back, but its type has no inverse, so it stays";
    EnforcementJudged: Notice, Enforcement, "ENFORCEMENT_JUDGED", Administrative,
        "Somebody said afterwards whether an action was right";
    EnforcementSettleRefused: Warning, Enforcement, "ENFORCEMENT_SETTLE_REFUSED", Security,
        "A worker reported on an attempt that is no longer its own; nothing was changed";
    EnforcementEffectHeld: Notice, Enforcement, "ENFORCEMENT_EFFECT_HELD", Administrative,
        "A restriction stands, and somebody holds it, newly or for longer";
    EnforcementEffectReleased: Notice, Enforcement, "ENFORCEMENT_EFFECT_RELEASED", Administrative,
        "Somebody who held a restriction no longer does";
    EnforcementEffectLifted: Notice, Enforcement, "ENFORCEMENT_EFFECT_LIFTED", Administrative,
        "Nobody held a restriction any more, and it was taken back";
    EnforcementUndoFailed: Critical, Enforcement, "ENFORCEMENT_UNDO_FAILED", Administrative,
        "A restriction that nobody holds could not be taken back, so a person must see to it";
    EnforcementHandedBack: Info, Enforcement, "ENFORCEMENT_HANDED_BACK", Security,
        "A worker gave back what it had taken on without having begun; it counts as no attempt";
    EnforcementPostponed: Notice, Enforcement, "ENFORCEMENT_POSTPONED", Security,
        "An action that was ready may not begin yet, so it waits; the record says what for";
    EnforcementCancelAsked: Notice, Enforcement, "ENFORCEMENT_CANCEL_ASKED", Administrative,
        "Somebody called an action off that was under way: no other attempt follows";
    EnforcementPlaceTaken: Notice, Enforcement, "ENFORCEMENT_PLACE_TAKEN", Security,
        "The subject is an administrator by now, so the action counts as taking one away";
    EnforcementPlacesFreed: Info, Enforcement, "ENFORCEMENT_PLACES_FREED", Security,
        "An effect was taken back before its time, so its action counts under no cap any more";
    EnforcementRetried: Notice, Enforcement, "ENFORCEMENT_RETRIED", Administrative,
        "Somebody has what came to nothing tried again, as a new action";

    ScheduleOccurrenceStarted: Info, Schedule, "SCHEDULE_OCCURRENCE_STARTED", Activity,
        "A rule's timetable came due, and its audience is being visited";
    ScheduleOccurrenceCompleted: Info, Schedule, "SCHEDULE_OCCURRENCE_COMPLETED", Activity,
        "The whole audience of one run of a timetable was visited";
    ScheduleOccurrenceSkipped: Notice, Schedule, "SCHEDULE_OCCURRENCE_SKIPPED", Security,
        "One run of a timetable was left out, for the reason that the details name";
    ScheduleOccurrenceStopped: Notice, Schedule, "SCHEDULE_OCCURRENCE_STOPPED", Security,
        "A run of a timetable ended before its whole audience was visited, for the reason in the details";
    ScheduleDeadlineOpened: Info, Schedule, "SCHEDULE_DEADLINE_OPENED", Activity,
        "An event began a span within which a rule waits for another one";
    ScheduleDeadlineClosed: Info, Schedule, "SCHEDULE_DEADLINE_CLOSED", Activity,
        "What a rule waited for happened in time";
    ScheduleDeadlineDropped: Notice, Schedule, "SCHEDULE_DEADLINE_DROPPED", Security,
        "A deadline passed and nothing follows from it, for the reason that the details name";
}

impl AuditCode {
    /// The code as logs hold it, such as `ACCOUNT_STEPUP_REUSED`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.row().text
    }

    /// How much its records matter.
    #[must_use]
    pub const fn severity(self) -> Severity {
        self.row().severity
    }

    /// The part of the product that it belongs to.
    #[must_use]
    pub const fn domain(self) -> AuditDomain {
        self.row().domain
    }

    /// How long its records are kept at least, and why.
    #[must_use]
    pub const fn retention(self) -> Retention {
        Retention::of(self.row().category)
    }

    /// One line about what happened when such a record is written.
    #[must_use]
    pub const fn description(self) -> &'static str {
        self.row().about
    }

    /// The code that new records use instead, where this one is only read in old logs.
    #[must_use]
    pub const fn superseded_by(self) -> Option<Self> {
        self.row().successor
    }

    /// Whether it makes one row a subject and UTC day, with a count, and never one per happening.
    #[must_use]
    pub const fn is_aggregate(self) -> bool {
        self.row().aggregate
    }
}

impl FromStr for AuditCode {
    type Err = CodeError;
    /// Reads a built-in code, superseded ones too. Host codes are in the
    /// [`AuditCatalog`](crate::AuditCatalog).
    fn from_str(text: &str) -> Result<Self, CodeError> {
        let code = Self::ALL.iter().copied().find(|code| code.as_str() == text);
        code.ok_or_else(|| CodeError::unknown(text))
    }
}

impl fmt::Display for AuditCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

crate::words::serde_as_text!(AuditCode);
