//! One record of the log, before and after it is sealed into its chain.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::catalog::Code;
use super::code::Severity;
use crate::hash::{Hash, read_hex, write_hex};
use crate::id::{ActorId, ApprovalId, EnforcementId, IdError, Subject, TenantId, TriggerId, WorkerId};
use crate::time::Time;

/// The format of the records that this version writes and verifies.
pub const AUDIT_FORMAT: u32 = 1;

/// How many details, and how many personal fields, a record may have; our decision.
pub const MAX_DETAILS: usize = 64;

/// How many bytes of text a detail, a personal field or a target may have; our decision.
pub const MAX_DETAIL_BYTES: usize = 4_096;

/// How many bytes the key of a detail or of a personal field may have.
const MAX_KEY_BYTES: usize = 64;

/// Who did what a record tells. Written as text: `engine`, `host`, `person:ana`, `worker:w1`.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Actor {
    /// The engine, on its own.
    Engine,
    /// The program around the engine, on its own.
    Host,
    /// A person or an integrated workflow.
    Person(ActorId),
    /// A process that delivers actions.
    Worker(WorkerId),
}

impl From<ActorId> for Actor {
    fn from(id: ActorId) -> Self {
        Self::Person(id)
    }
}

impl From<WorkerId> for Actor {
    fn from(id: WorkerId) -> Self {
        Self::Worker(id)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Engine => f.pad("engine"),
            Self::Host => f.pad("host"),
            Self::Person(id) => f.pad(&format!("person:{id}")),
            Self::Worker(id) => f.pad(&format!("worker:{id}")),
        }
    }
}

/// A text that names no actor.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ActorError {
    /// It does not say which kind of actor.
    #[error("`{text}` is no actor; accepted: `engine`, `host`, `person:` and an id, `worker:` and an id")]
    Kind {
        /// What was given, cut to 80 characters.
        text: String,
    },
    /// The id after the kind is none.
    #[error(transparent)]
    Id(#[from] IdError),
}

impl FromStr for Actor {
    type Err = ActorError;
    fn from_str(text: &str) -> Result<Self, ActorError> {
        Ok(match text.split_once(':') {
            None if text == "engine" => Self::Engine,
            None if text == "host" => Self::Host,
            Some(("person", id)) => Self::Person(id.parse()?),
            Some(("worker", id)) => Self::Worker(id.parse()?),
            _ => return Err(ActorError::Kind { text: text.chars().take(80).collect() }),
        })
    }
}

crate::words::serde_as_text!(Actor);

/// A value of a record's metadata. In JSON it names its type: `{"number": 3}`, `{"text": "vpn"}`.
#[non_exhaustive]
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
    /// An instant.
    At(Time),
    /// Several texts, in their order.
    List(Vec<String>),
}

impl Detail {
    /// How many bytes of text it holds.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::List(texts) => texts.iter().map(String::len).sum(),
            Self::Number(_) | Self::Flag(_) | Self::At(_) => 0,
        }
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.pad(text),
            Self::Number(number) => fmt::Display::fmt(number, f),
            Self::Flag(flag) => fmt::Display::fmt(flag, f),
            Self::At(time) => f.pad(&time.to_string()),
            Self::List(texts) => f.pad(&texts.join(", ")),
        }
    }
}

/// Declares what a detail is made from.
macro_rules! detail_from {
    ($($type:ty => |$value:ident| $detail:expr;)+) => {$(
        impl From<$type> for Detail {
            fn from($value: $type) -> Self {
                $detail
            }
        }
    )+};
}

detail_from! {
    String => |text| Self::Text(text);
    &str => |text| Self::Text(text.to_owned());
    bool => |flag| Self::Flag(flag);
    Time => |time| Self::At(time);
    Vec<String> => |texts| Self::List(texts);
    i64 => |number| Self::Number(number);
    u16 => |number| Self::Number(number.into());
    u32 => |number| Self::Number(number.into());
    // A count that no i64 holds stands as the largest one.
    u64 => |number| Self::Number(i64::try_from(number).unwrap_or(i64::MAX));
    usize => |number| Self::Number(i64::try_from(number).unwrap_or(i64::MAX));
}

/// What is to be recorded, before [`Head::seal`](crate::Head::seal) gives it its place.
///
/// Ids stand in the record as they are and are kept. What must be erasable later, such as a
/// comment or an address, belongs to the [personal](Self::personal) fields.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditDraft {
    /// Whose log.
    pub tenant: TenantId,
    /// Which chain of the tenant; 0 unless said.
    pub lane: u16,
    /// When it happened: decision time.
    pub time: Time,
    /// What happened; the record takes its severity from here.
    pub code: Code,
    /// Who did it.
    pub actor: Actor,
    /// Whom it concerned.
    pub subject: Option<Subject>,
    /// What it was done to, other than the subject: a rule, a group, an address.
    pub target: Option<String>,
    /// Typed metadata.
    pub details: BTreeMap<String, Detail>,
    /// Texts that can be erased later; the record commits to them without holding them.
    pub personal: BTreeMap<String, String>,
    /// The signal's record that led to it.
    pub trigger: Option<TriggerId>,
    /// The enforcement that it is about.
    pub enforcement: Option<EnforcementId>,
    /// The approval that it is about.
    pub approval: Option<ApprovalId>,
}

impl AuditDraft {
    /// What happened in a tenant, who did it and when.
    #[must_use]
    pub fn new(tenant: TenantId, code: impl Into<Code>, actor: impl Into<Actor>, time: Time) -> Self {
        Self {
            tenant,
            lane: 0,
            time,
            code: code.into(),
            actor: actor.into(),
            subject: None,
            target: None,
            details: BTreeMap::new(),
            personal: BTreeMap::new(),
            trigger: None,
            enforcement: None,
            approval: None,
        }
    }

    /// Which chain of the tenant it goes to.
    #[must_use]
    pub const fn lane(mut self, lane: u16) -> Self {
        self.lane = lane;
        self
    }

    /// Whom it concerned.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<Subject>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// What it was done to, other than the subject.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Adds a detail, or replaces the one of that key.
    #[must_use]
    pub fn detail(mut self, key: impl Into<String>, value: impl Into<Detail>) -> Self {
        self.details.insert(key.into(), value.into());
        self
    }

    /// Adds a text that can be erased later, or replaces the one of that key.
    #[must_use]
    pub fn personal(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.personal.insert(key.into(), value.into());
        self
    }

    /// The signal's record that led to it.
    #[must_use]
    pub const fn trigger(mut self, id: TriggerId) -> Self {
        self.trigger = Some(id);
        self
    }

    /// The enforcement that it is about.
    #[must_use]
    pub const fn enforcement(mut self, id: EnforcementId) -> Self {
        self.enforcement = Some(id);
        self
    }

    /// The approval that it is about.
    #[must_use]
    pub const fn approval(mut self, id: ApprovalId) -> Self {
        self.approval = Some(id);
        self
    }

    /// Checks the limits of its texts.
    ///
    /// # Errors
    /// The first field that is beyond [`MAX_DETAILS`], [`MAX_DETAIL_BYTES`] or the form of a key.
    pub fn check(&self) -> Result<(), AuditError> {
        let refused = |field: String, fault| Err(AuditError { code: self.code.to_string(), field, fault });
        for (name, count) in [("details", self.details.len()), ("personal", self.personal.len())] {
            if count > MAX_DETAILS {
                return refused(name.into(), AuditFault::TooMany(count));
            }
        }
        let target = self.target.iter().map(|text| ("target".to_owned(), "target", text.len()));
        let details = self.details.iter().map(|(key, value)| (at("details", key), &**key, value.bytes()));
        let personal = self.personal.iter().map(|(key, value)| (at("personal", key), &**key, value.len()));
        for (field, key, bytes) in target.chain(details).chain(personal) {
            if !has_key_form(key) {
                return refused(field, AuditFault::Key);
            }
            if bytes > MAX_DETAIL_BYTES {
                return refused(field, AuditFault::TooLong(bytes));
            }
        }
        Ok(())
    }
}

/// The place of a field, cut to what an error shows.
fn at(map: &str, key: &str) -> String {
    format!("{map}.{}", key.chars().take(80).collect::<String>())
}

fn has_key_form(key: &str) -> bool {
    (1..=MAX_KEY_BYTES).contains(&key.len())
        && key.bytes().all(|c| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Why a draft cannot be written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("audit record {code}: `{field}` {fault}")]
pub struct AuditError {
    /// The draft's code.
    pub code: String,
    /// The field, such as `details.reason`.
    pub field: String,
    /// What is wrong with it.
    pub fault: AuditFault,
}

/// What is wrong with a field of a draft.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditFault {
    /// There are more than [`MAX_DETAILS`] of them.
    #[error("has {0} fields; accepted: {MAX_DETAILS}")]
    TooMany(usize),
    /// Its key has not the form of one.
    #[error("is no key; accepted: 1 to {MAX_KEY_BYTES} of `a`-`z`, `0`-`9` and `_`")]
    Key,
    /// It is longer than [`MAX_DETAIL_BYTES`].
    #[error("has {0} bytes of text; accepted: {MAX_DETAIL_BYTES}")]
    TooLong(usize),
}

/// A record with its place in the chain of its tenant and lane.
///
/// Only [`Head::seal`](crate::Head::seal) and a store's text make one. Its code is text, so that a
/// log is still read when a host no longer registers a code. Fields that a later format added are
/// kept when it is read and written again.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
