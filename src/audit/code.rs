//! The words of the catalogue: severities, domains, and how long a record is kept.

use serde::{Deserialize, Serialize};

use crate::time::Span;
use crate::words::words;

words! {
    /// How much a record matters; later ones matter more.
    Severity, "severity" {
        Info: "Info", "routine, for the record";
        Notice: "Notice", "a deliberate change that a reviewer may look for";
        Warning: "Warning", "something was refused, removed or went wrong; worth a look";
        Critical: "Critical", "someone should look now";
    }

    /// The part of the product that a code belongs to, by its title.
    ///
    /// The first twelve are those of the reference catalogue, the last four our own.
    AuditDomain, "audit domain" {
        Account: "Account", "a person's own settings, tokens and notices";
        Sessions: "Sessions", "sessions that were ended";
        MultiFactor: "Multi-factor authentication", "second factors and the policy about them";
        WebAuthn: "WebAuthn / Passkeys", "passkeys and hardware credentials";
        StepUp: "Step-up authentication", "fresh proof before a sensitive operation";
        Saml: "SAML single sign-on", "identity providers and sign-ins through them";
        Scim: "SCIM provisioning", "users as a directory keeps them";
        Network: "Network policy", "which addresses may reach the workspace";
        Attestation: "Attestation policy", "which authenticators may be enrolled";
        Webhooks: "Event webhooks", "subscriptions to events";
        AuditRetention: "Audit-log retention", "how long the log is kept, and its pruning";
        Erasure: "Data erasure", "copies and erasure of a person's data";
        Policy: "Policy rules", "rules, the signals decided on, and the kill switch";
        Approval: "Approvals", "requests for people's agreement and their votes";
        Enforcement: "Enforcement", "actions on a subject, from creation to outcome";
        Schedule: "Schedules", "runs of timetables";
    }

    /// Why a record is kept, which decides how long at least; see [`RetentionCategory::minimum`].
    RetentionCategory, "retention category" {
        Activity: "activity", "everyday use, kept for support questions";
        Security: "security", "what an investigation of an incident reads";
        Administrative: "administrative", "decisions that someone answers for";
        Privacy: "privacy", "proof that a person's request about their data was dealt with";
        Legal: "legal", "decisions that may be tried in court";
    }
}

impl RetentionCategory {
    /// How long a record of this category is kept at least.
    ///
    /// The ten years of `legal` are given by the reference catalogue. The others are our decision:
    /// 90 days for `activity`, one year for `security`, two for `administrative`, three for
    /// `privacy`. A year counts as many days as it can have, so that no leap day shortens it:
    /// 366, 731, 1,096 and 3,653 days.
    #[must_use]
    pub const fn minimum(self) -> Span {
        match self {
            Self::Activity => Span::days(90),
            Self::Security => Span::days(366),
            Self::Administrative => Span::days(731),
            Self::Privacy => Span::days(1_096),
            Self::Legal => Span::days(3_653),
        }
    }
}

/// How long a record is kept, and why.
///
/// A log is pruned from its beginning: the [`Head`](crate::Head) at the cut is kept, and
/// verification begins from it. So a record that must be kept also keeps the later ones of its lane.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Why.
    pub category: RetentionCategory,
    /// How long at least, from the record's time.
    pub at_least: Span,
}

impl From<RetentionCategory> for Retention {
    /// The category with its own minimum.
    fn from(category: RetentionCategory) -> Self {
        Self::of(category)
    }
}

impl Retention {
    /// The category with its own minimum.
    #[must_use]
    pub const fn of(category: RetentionCategory) -> Self {
        Self { category, at_least: category.minimum() }
    }
}
