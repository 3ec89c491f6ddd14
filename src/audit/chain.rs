//! The chain: each record of a lane commits to the one before it, and a head says where it ends.
//! What the hashes are over stands in `chain.md`, which the documentation of [`AuditRecord`] shows.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::draft::AuditDraft;
use super::field::Detail;
use super::record::{AUDIT_FORMAT, AuditRecord, Personal, Salt};
use crate::hash::{Hash, Hasher};

/// Where a lane ends: the last record's sequence number and hash; 0 and zeros before the first.
///
/// Written as `17:` and 64 hexadecimal digits. A head kept outside of the store (printed, signed,
/// sent away) makes it show later that the log was cut off or rewritten; see [`Verifier::kept`](crate::Verifier::kept).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Head {
    /// The last record's sequence number, 0 before the first.
    pub seq: u64,
    /// The last record's hash, [`Hash::ZERO`] before the first.
    pub hash: Hash,
}

impl Head {
    /// Gives a draft its place after this head. Each personal field takes one salt, in the order
    /// of the keys.
    ///
    /// It does not [check](AuditDraft::check) the draft, and knows of no tenant or lane: the
    /// caller keeps one head for each.
    #[must_use]
    pub fn seal(&self, draft: AuditDraft, salt: &mut dyn FnMut() -> Salt) -> (AuditRecord, Self) {
        let personal = draft.personal.into_iter().map(|(key, value)| {
            let salt = salt();
            let commitment = commitment(&salt, &key, &value);
            (key, Personal { commitment, salt: Some(salt), value: Some(value) })
        });
        let mut record = AuditRecord {
            v: AUDIT_FORMAT,
            tenant: draft.tenant,
            lane: draft.lane,
            seq: self.next(),
            time: draft.time,
            code: draft.code.as_str().to_owned(),
            severity: draft.code.severity(),
            actor: draft.actor,
            subject: draft.subject,
            target: draft.target,
            details: draft.details,
            personal: personal.collect(),
            trigger: draft.trigger,
            enforcement: draft.enforcement,
            approval: draft.approval,
            previous: self.hash,
            hash: Hash::ZERO,
            unknown: BTreeMap::new(),
        };
        record.hash = content(&record);
        let head = Self { seq: record.seq, hash: record.hash };
        (record, head)
    }

    /// The next sequence number. No log reaches the last one; if a stored head claims it, the
    /// chain stands still there and its second record does not verify.
    pub(super) const fn next(&self) -> u64 {
        self.seq.saturating_add(1)
    }
}

impl Default for Head {
    fn default() -> Self {
        Self { seq: 0, hash: Hash::ZERO }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, self.hash)
    }
}

/// A text that is no head of a chain.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("no head of an audit chain; accepted: a sequence number, `:` and 64 lower-case hexadecimal digits")]
pub struct HeadError;

impl FromStr for Head {
    type Err = HeadError;
    fn from_str(text: &str) -> Result<Self, HeadError> {
        let (seq, hash) = text.split_once(':').ok_or(HeadError)?;
        let (number, hash) =
            (seq.parse::<u64>().map_err(|_| HeadError)?, hash.parse().map_err(|_| HeadError)?);
        // One spelling per head: no sign, no leading zeros.
        if number.to_string() == seq { Ok(Self { seq: number, hash }) } else { Err(HeadError) }
    }
}

crate::words::serde_as_text!(Head);

pub(super) fn commitment(salt: &Salt, key: &str, value: &str) -> Hash {
    Hasher::new("tipstaff/audit/personal").bytes(salt.bytes()).text(key).text(value).finish()
}

/// The hash of a record's content; `chain.md` is its description.
pub(super) fn content(record: &AuditRecord) -> Hash {
    let mut hasher = Hasher::new("tipstaff/audit/record")
        .number(record.v.into())
        .text(record.tenant.as_str())
        .number(record.lane.into())
        .number(record.seq)
        .hash(&record.previous)
        .bytes(&record.time.micros().to_be_bytes())
        .text(&record.code)
        .text(record.severity.as_str())
        .text(&record.actor.to_string());
    hasher = maybe(hasher, record.subject.as_ref(), |hasher, subject| subject.feed(hasher));
    hasher = maybe(hasher, record.target.as_ref(), |hasher, target| hasher.text(target));
    hasher = maybe(hasher, record.trigger, |hasher, id| hasher.text(&id.to_string()));
    hasher = maybe(hasher, record.enforcement, |hasher, id| hasher.text(&id.to_string()));
    hasher = maybe(hasher, record.approval, |hasher, id| hasher.text(&id.to_string()));
    hasher = hasher.number(record.details.len() as u64);
    for (key, detail) in &record.details {
        hasher = hasher.text(key);
        hasher = match detail {
            Detail::Text(text) => hasher.text("text").text(text),
            Detail::Number(number) => hasher.text("number").bytes(&number.to_be_bytes()),
            Detail::Flag(flag) => hasher.text("flag").number((*flag).into()),
            Detail::At(time) => hasher.text("at").bytes(&time.micros().to_be_bytes()),
            Detail::List(texts) => {
                let list = hasher.text("list").number(texts.len() as u64);
                texts.iter().fold(list, |hasher, text| hasher.text(text))
            }
        };
    }
    hasher = hasher.number(record.personal.len() as u64);
    for (key, field) in &record.personal {
        hasher = hasher.text(key).hash(&field.commitment);
    }
    hasher.finish()
}

fn maybe<T>(hasher: Hasher, part: Option<T>, feed: impl FnOnce(Hasher, T) -> Hasher) -> Hasher {
    match part {
        None => hasher.number(0),
        Some(part) => feed(hasher.number(1), part),
    }
}
