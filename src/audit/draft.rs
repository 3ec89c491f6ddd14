//! What is to be recorded, before it has its place in a chain.

use std::collections::BTreeMap;

use super::catalog::Code;
use super::field::{Actor, Detail, cut};
use crate::id::{ApprovalId, EnforcementId, Subject, TenantId, TriggerId};
use crate::time::Time;

/// How many details, and how many personal fields, a record may have; our decision.
pub const MAX_DETAILS: usize = 64;

/// How many bytes of text a detail, a personal field or a target may have; our decision.
pub const MAX_DETAIL_BYTES: usize = 4_096;

/// How many bytes the key of a detail or of a personal field may have.
const MAX_KEY_BYTES: usize = 64;

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

    /// The signal's record that led to it, if there is one.
    #[must_use]
    pub fn trigger(mut self, id: impl Into<Option<TriggerId>>) -> Self {
        self.trigger = id.into();
        self
    }

    /// The enforcement that it is about, if there is one.
    #[must_use]
    pub fn enforcement(mut self, id: impl Into<Option<EnforcementId>>) -> Self {
        self.enforcement = id.into();
        self
    }

    /// The approval that it is about, if there is one.
    #[must_use]
    pub fn approval(mut self, id: impl Into<Option<ApprovalId>>) -> Self {
        self.approval = id.into();
        self
    }

    /// The draft with what is too long of its details and of its target cut: where the engine tells many
    /// names or somebody's message, the log holds less of it rather than nothing is written at all.
    #[must_use]
    pub(crate) fn cut(mut self) -> Self {
        self.target = self.target.map(|text| cut(text, MAX_DETAIL_BYTES));
        self.details =
            self.details.into_iter().map(|(key, value)| (key, value.cut(MAX_DETAIL_BYTES))).collect();
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
