//! Identifiers: those which people and hosts give, and those which are derived from them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::hash::{Hasher, read_hex, write_hex};

/// The longest identifier, in bytes. Long enough for an e-mail address (254, RFC 5321 errata
/// 1690), short enough for every store's index.
pub const MAX_ID_BYTES: usize = 256;

/// A text that is no identifier.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{what} {fault}; accepted: {}", fault.accepted())]
pub struct IdError {
    /// Which identifier it was to be, such as `rule id`.
    pub what: &'static str,
    /// What is wrong with it.
    pub fault: IdFault,
}

/// What is wrong with an identifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IdFault {
    /// Nothing was given.
    #[error("is empty")]
    Empty,
    /// It is longer than [`MAX_ID_BYTES`].
    #[error("has {0} bytes")]
    TooLong(usize),
    /// It has a control character at that byte offset.
    #[error("has a control character at offset {0}")]
    Control(usize),
    /// It begins or ends with white space.
    #[error("begins or ends with white space")]
    Padded,
    /// It does not have the form of a derived id.
    #[error("has another form")]
    NotDerived,
}

impl IdFault {
    const fn accepted(self) -> &'static str {
        match self {
            Self::NotDerived => "the prefix and 32 lower-case hexadecimal digits, as it was printed",
            _ => "1 to 256 bytes of text, no control characters, no space at either end",
        }
    }
}

fn check(text: &str) -> Result<(), IdFault> {
    if text.is_empty() {
        Err(IdFault::Empty)
    } else if text.len() > MAX_ID_BYTES {
        Err(IdFault::TooLong(text.len()))
    } else if let Some((at, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
        Err(IdFault::Control(at))
    } else if text.trim() != text {
        Err(IdFault::Padded)
    } else {
        Ok(())
    }
}

/// Declares the identifiers that people and hosts give: a name, what errors call it, its meaning.
macro_rules! given {
    ($($(#[$meta:meta])* $name:ident, $what:literal;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                check(text).map_err(|fault| IdError { what: $what, fault })?;
                Ok(Self(text.into()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;
            fn try_from(text: &str) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{}`", self.0)
            }
        }

        crate::words::serde_as_text!($name);
    )+};
}

given! {
    /// The customer who owns rules, subjects and records; nothing reaches across tenants.
    TenantId, "tenant id";
    /// A signal's id as its source gave it; unique per tenant, source and subject.
    SignalId, "signal id";
    /// Where events come from: the log type that rules bind to, such as `okta`.
    Source, "source";
    /// A person as the host knows them.
    UserId, "user id";
    /// One session of a user.
    SessionId, "session id";
    /// A rule, the same through all of its revisions.
    RuleId, "rule id";
    /// An action's key within its rule, given by the author; ids are derived from it.
    ActionKey, "action key";
    /// Whoever acts on the engine: an operator, an approver, an integrated workflow.
    ActorId, "actor id";
    /// A group of approvers.
    GroupId, "group id";
    /// A scale of scores.
    ScaleId, "scale id";
    /// One running host process; random per process.
    WorkerId, "worker id";
}

/// Declares the derived identifiers: a name, its prefix, its meaning.
macro_rules! derived {
    ($($(#[$meta:meta])* $name:ident, $prefix:literal;)+) => {$(
        $(#[$meta])*
        ///
        /// Derived from what it names, so that the same input gives the same id; written as its
        /// prefix and the first 128 bits of a SHA-256 value.
        #[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name([u8; 16]);

        impl $name {
            /// What every id of this kind begins with.
            pub const PREFIX: &'static str = $prefix;

            pub(crate) fn derive(parts: impl FnOnce(Hasher) -> Hasher) -> Self {
                let hash = parts(Hasher::new(concat!("tipstaff/id/", $prefix))).finish();
                let mut id = [0; 16];
                id.copy_from_slice(&hash.bytes()[..16]);
                Self(id)
            }

            /// The 128 bits themselves.
            #[must_use]
            pub const fn bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix)
                    .and_then(read_hex)
                    .map(Self)
                    .ok_or(IdError { what: concat!($prefix, " id"), fault: IdFault::NotDerived })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        crate::words::serde_as_text!($name);
    )+};
}

derived! {
    /// The record of a signal that concerned a rule, and of what was decided on it.
    TriggerId, "trg_";
    /// One action on one subject, and all that becomes of it.
    EnforcementId, "enf_";
    /// One request for people's agreement.
    ApprovalId, "apr_";
    /// One run of a rule's timetable.
    OccurrenceId, "occ_";
    /// One restriction of one subject: its type and parameters, whoever holds it.
    EffectId, "eff_";
    /// One commit to the store; a repeat of it is recognised by this id.
    CommitId, "cmt_";
}

/// Whom an action is for: a user, or one session of a user.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Subject {
    /// The person.
    pub user: UserId,
    /// The session, where only that is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
}

impl Subject {
    /// A user with all their sessions.
    #[must_use]
    pub const fn user(user: UserId) -> Self {
        Self { user, session: None }
    }

    /// One session of a user.
    #[must_use]
    pub const fn session(user: UserId, session: SessionId) -> Self {
        Self { user, session: Some(session) }
    }

    pub(crate) fn feed(&self, hasher: Hasher) -> Hasher {
        let hasher = hasher.text(self.user.as_str());
        match &self.session {
            None => hasher.number(0),
            Some(session) => hasher.number(1).text(session.as_str()),
        }
    }
}

impl From<UserId> for Subject {
    fn from(user: UserId) -> Self {
        Self::user(user)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.session {
            None => f.pad(self.user.as_str()),
            Some(session) => f.pad(&format!("{} (session {session})", self.user)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_ids_are_checked_at_the_door() {
        for (text, fault) in [
            ("", IdFault::Empty),
            (" a", IdFault::Padded),
            ("a\u{a0}", IdFault::Padded),
            ("a\nb", IdFault::Control(1)),
        ] {
            assert_eq!(text.parse::<RuleId>(), Err(IdError { what: "rule id", fault }));
        }
        let longest = "x".repeat(MAX_ID_BYTES);
        assert!(longest.parse::<UserId>().is_ok());
        assert!((longest + "x").parse::<UserId>().is_err());
    }

    #[test]
    fn derived_ids_read_back_and_differ_by_kind() {
        let one = TriggerId::derive(|h| h.text("a"));
        let two = EnforcementId::derive(|h| h.text("a"));
        assert_eq!(one.to_string().parse(), Ok(one));
        assert_ne!(one.bytes(), two.bytes());
        assert!(one.to_string().parse::<EnforcementId>().is_err());
    }
}
