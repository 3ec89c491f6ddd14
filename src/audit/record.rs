//! One record of the log, in its place.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::code::Severity;
use super::field::{Actor, Detail};
use crate::hash::{Hash, read_hex, write_hex};
use crate::id::{ApprovalId, EnforcementId, SessionId, Subject, TenantId, TriggerId, UserId};
use crate::time::Time;

/// The format of the records that this version writes and verifies.
pub const AUDIT_FORMAT: u32 = 1;

/// A record with its place in the chain of its tenant and lane.
///
/// Only [`Head::seal`](crate::Head::seal) and a store's text make one. Its code is text, so that a
/// log is still read when a host no longer registers a code. Fields that a later format added are
/// kept when it is read and written again.
///
#[doc = include_str!("chain.md")]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AuditRecord {
    /// The format of the record, [`AUDIT_FORMAT`] when it was written by this version.
    pub v: u32,
    /// Whose log.
    pub tenant: TenantId,
    /// Which chain of the tenant.
    pub lane: u16,
    /// Its place in the lane, from 1 without a gap.
    pub seq: u64,
    /// When it happened: decision time.
    pub time: Time,
    /// What happened.
    pub code: String,
    /// How much that matters.
    pub severity: Severity,
    /// Who did it.
    pub actor: Actor,
    /// Whom it concerned.
    #[serde(default, deserialize_with = "only_known", skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// What it was done to, other than the subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Typed metadata.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, Detail>,
    /// Erasable texts, each behind a commitment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub personal: BTreeMap<String, Personal>,
    /// The signal's record that led to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerId>,
    /// The enforcement that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<EnforcementId>,
    /// The approval that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// The hash of the record before it in the lane; [`Hash::ZERO`] for the first.
    pub previous: Hash,
    /// The hash of everything above, with the commitments of the personal fields.
    pub hash: Hash,
    /// Fields of a later format.
    #[serde(flatten)]
    pub(super) unknown: BTreeMap<String, serde_json::Value>,
}

/// The record's hash covers a subject's known members; others are no part of what was sealed.
fn only_known<'de, D: Deserializer<'de>>(reader: D) -> Result<Option<Subject>, D::Error> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        user: UserId,
        #[serde(default)]
        session: Option<SessionId>,
    }
    let known = Option::<Known>::deserialize(reader)?;
    Ok(known.map(|Known { user, session }| Subject { user, session }))
}

impl AuditRecord {
    /// Removes the values and the salts of the personal fields; says whether there were any.
    ///
    /// The commitments stay, so the record and its chain still verify. Without its salt a
    /// commitment says nothing about its value.
    pub fn erase(&mut self) -> bool {
        self.personal.values_mut().fold(false, |any, field| {
            let had = field.salt.take().is_some() | field.value.take().is_some();
            any | had
        })
    }
}

impl fmt::Display for AuditRecord {
    /// One line: place, time, severity, code, actor, subject, target.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} {} {} {} by {}", self.seq, self.time, self.severity, self.code, self.actor)?;
        if let Some(subject) = &self.subject {
            write!(f, " on {subject}")?;
        }
        if let Some(target) = &self.target {
            write!(f, " ({target})")?;
        }
        Ok(())
    }
}

/// A text that can be erased while the record's commitment to it stays.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Personal {
    /// What the record's hash covers: a hash over salt, key and value.
    pub commitment: Hash,
    /// The salt; gone once erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<Salt>,
    /// The text; gone once erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// What keeps a commitment from being guessed: 16 unpredictable bytes, one salt per field, written
/// as 32 lower-case hexadecimal digits.
///
/// The core has no randomness, so whoever seals a record supplies them from a cryptographic
/// generator.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Salt([u8; 16]);

impl Salt {
    /// The raw bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl From<[u8; 16]> for Salt {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no salt.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no salt; accepted: 32 lower-case hexadecimal digits")]
pub struct SaltError;

impl FromStr for Salt {
    type Err = SaltError;
    fn from_str(text: &str) -> Result<Self, SaltError> {
        read_hex(text).map(Self).ok_or(SaltError)
    }
}

crate::words::serde_as_text!(Salt);
