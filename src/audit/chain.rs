//! The chain: each record of a lane commits to the one before it.
//!
//! # What the hashes are over
//! Every part is preceded by its length as eight bytes, most significant first. *text* is UTF-8;
//! *number* is eight bytes, most significant first, *signed* the same in two's complement; *hash*
//! is 32 bytes. *maybe x* is the number 0 where there is none, else the number 1 and x.
//!
//! A record's hash is SHA-256 over these parts in this order:
//!
//! | part | form |
//! |---|---|
//! | `tipstaff/audit/record` | text |
//! | format | number, 1 |
//! | tenant | text |
//! | lane, then sequence | number each |
//! | hash of the record before, zeros for the first | hash |
//! | time, in microseconds since 1970-01-01T00:00:00Z | signed |
//! | code, severity (such as `Notice`), actor (such as `person:ana`) | text each |
//! | subject | maybe: user as text, then maybe: session as text |
//! | target | maybe text |
//! | trigger, enforcement, approval | maybe text each, as they are written |
//! | how many details | number |
//! | each detail, in the byte order of the keys: key, kind, value | text, text, and by kind: |
//! | kind `text` | text |
//! | kind `number` | signed |
//! | kind `flag` | number, 0 or 1 |
//! | kind `at` | signed, microseconds as above |
//! | kind `list` | number of texts, then each as text |
//! | how many personal fields | number |
//! | each personal field, in the byte order of the keys: key, commitment | text, hash |
//!
//! A commitment is SHA-256 over `tipstaff/audit/personal` (text), the salt (16 bytes), the key and
//! the value (text each).

use std::fmt;
use std::str::FromStr;

use super::record::{AUDIT_FORMAT, AuditDraft, AuditRecord, Detail, Personal, Salt};
use crate::hash::{Hash, Hasher};
use crate::id::TenantId;

/// Where a lane ends: the last record's sequence number and hash; 0 and zeros before the first.
///
/// Written as `17:` and 64 hexadecimal digits. A head kept outside of the store (printed, signed,
/// sent away) makes it show later that the log was cut off or rewritten; see [`Verifier::kept`].
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
            unknown: std::collections::BTreeMap::new(),
        };
        record.hash = content(&record);
        let head = Self { seq: record.seq, hash: record.hash };
        (record, head)
    }

    /// The next sequence number. No log reaches the last one; if a stored head claims it, the
    /// chain stands still there and its second record does not verify.
    const fn next(&self) -> u64 {
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

/// The first place at which a log is not what it should be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("audit record {seq} {fault}")]
pub struct ChainError {
    /// The sequence number of the first record that is not as it should be.
    pub seq: u64,
    /// What is wrong with it.
    pub fault: ChainFault,
}

/// What is wrong with a record in its chain.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainFault {
    /// It was written by a version with another format.
    #[error("has format {v}; this version verifies format {AUDIT_FORMAT}")]
    Format {
        /// The format that it names.
        v: u32,
    },
    /// Its content was changed after it was sealed, or its hash was.
    #[error("was altered: its hash is not that of its content")]
    Altered,
    /// It is of another log.
    #[error("is of another log: tenant `{tenant}`, lane {lane}")]
    Foreign {
        /// The tenant that it names.
        tenant: TenantId,
        /// The lane that it names.
        lane: u16,
    },
    /// A later record stands in its place.
    #[error("is missing: record {found} stands in its place")]
    Missing {
        /// That record's sequence number.
        found: u64,
    },
    /// An earlier record stands in its place, or it was found further on.
    #[error("is out of order: record {found} stands in its place")]
    OutOfOrder {
        /// That record's sequence number.
        found: u64,
    },
    /// It commits to another predecessor than the one before it.
    #[error("does not follow the record before it: one of the two was rewritten")]
    Detached,
    /// A personal field was changed, or erased only in part.
    #[error("has a personal field `{key}` that its commitment does not cover")]
    Personal {
        /// The field's key.
        key: String,
    },
    /// The log ends before a head that was kept.
    #[error("is missing: the log was cut off before the kept head {kept}")]
    Truncated {
        /// The head that was kept.
        kept: Head,
    },
    /// A head that was kept names another record here.
    #[error("is not the one of the kept head {kept}: the log was rewritten")]
    Rewritten {
        /// The head that was kept.
        kept: Head,
    },
    /// A kept head lies before the point from which the log was verified.
    #[error("could not be compared with the kept head {kept}: verification began after it")]
    NotCovered {
        /// The head that was kept.
        kept: Head,
    },
}

/// Verifies one lane record by record, so that a long log is read page by page.
///
/// ```
/// use tipstaff::{Actor, AuditCode, AuditDraft, Head, Salt, Time, Verifier};
///
/// // A store seals with salts from a cryptographic generator.
/// let mut salt = || Salt::from([7; 16]);
/// let draft = AuditDraft::new("acme".parse()?, AuditCode::PolicyRulesInstalled, Actor::Engine, Time::EPOCH);
/// let (mut record, head) = Head::default().seal(draft.personal("comment", "as agreed"), &mut salt);
/// let elsewhere = head.to_string();
///
/// record.erase();
/// let mut verifier = Verifier::new(Head::default()).kept(elsewhere.parse()?);
/// verifier.push(&record)?;
/// assert_eq!(verifier.finish(), Ok(head));
///
/// let cut_off = Verifier::new(Head::default()).kept(head);
/// assert_eq!(cut_off.finish().unwrap_err().seq, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier {
    from: Head,
    head: Head,
    log: Option<(TenantId, u16)>,
    kept: Vec<Head>,
}

impl Verifier {
    /// Begins after `from`: [`Head::default`] for a whole log, or the head at which an earlier
    /// verification ended or the log was pruned.
    ///
    /// The first record says which log it is; [`Verifier::of`] says it beforehand.
    #[must_use]
    pub const fn new(from: Head) -> Self {
        Self { from, head: from, log: None, kept: Vec::new() }
    }

    /// Accepts only records of this tenant and lane.
    #[must_use]
    pub fn of(mut self, tenant: TenantId, lane: u16) -> Self {
        self.log = Some((tenant, lane));
        self
    }

    /// Compares the log with a head that was kept elsewhere. There may be several.
    #[must_use]
    pub fn kept(mut self, head: Head) -> Self {
        self.kept.push(head);
        self
    }

    /// Takes the next record in.
    ///
    /// # Errors
    /// The first fault, at the sequence number that was to come. The verifier then stays where it
    /// was.
    pub fn push(&mut self, record: &AuditRecord) -> Result<(), ChainError> {
        let seq = self.head.next();
        self.judge(record, seq).map_err(|fault| ChainError { seq, fault })?;
        self.head = Head { seq, hash: record.hash };
        self.log.get_or_insert_with(|| (record.tenant.clone(), record.lane));
        Ok(())
    }

    /// Where the verified part of the log ends.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Says that the log ends here; gives its head.
    ///
    /// # Errors
    /// A kept head that the log does not reach, or that could not be compared.
    pub fn finish(self) -> Result<Head, ChainError> {
        for &kept in &self.kept {
            let fault = |seq, fault| Err(ChainError { seq, fault });
            if kept.seq < self.from.seq {
                return fault(kept.seq, ChainFault::NotCovered { kept });
            } else if kept.seq == self.from.seq && kept.hash != self.from.hash {
                return fault(kept.seq, ChainFault::Rewritten { kept });
            } else if kept.seq > self.head.seq {
                return fault(self.head.next(), ChainFault::Truncated { kept });
            }
        }
        Ok(self.head)
    }

    fn judge(&self, record: &AuditRecord, seq: u64) -> Result<(), ChainFault> {
        if record.v != AUDIT_FORMAT {
            return Err(ChainFault::Format { v: record.v });
        }
        // Before all else: what an altered record says of itself means nothing.
        if !is_genuine(record) {
            return Err(ChainFault::Altered);
        }
        let found = record.seq;
        if self.log.as_ref().is_some_and(|(tenant, lane)| (tenant, *lane) != (&record.tenant, record.lane)) {
            return Err(ChainFault::Foreign { tenant: record.tenant.clone(), lane: record.lane });
        }
        if found > seq {
            return Err(ChainFault::Missing { found });
        }
        if found < seq {
            return Err(ChainFault::OutOfOrder { found });
        }
        if record.previous != self.head.hash {
            return Err(ChainFault::Detached);
        }
        if let Some((key, _)) = record.personal.iter().find(|(key, field)| !is_intact(key, field)) {
            return Err(ChainFault::Personal { key: key.clone() });
        }
        match self.kept.iter().find(|kept| kept.seq == seq && kept.hash != record.hash) {
            Some(&kept) => Err(ChainFault::Rewritten { kept }),
            None => Ok(()),
        }
    }
}

/// Verifies the records of one lane that follow `from`; gives the head at which they end.
///
/// A [`Verifier`] also compares with heads that were kept, and reads page by page.
///
/// # Errors
/// The first record that is not as it should be.
pub fn verify<'a>(
    records: impl IntoIterator<Item = &'a AuditRecord>,
    from: Head,
) -> Result<Head, ChainError> {
    let mut records = records.into_iter();
    let mut verifier = Verifier::new(from);
    while let Some(record) = records.next() {
        if let Err(ChainError { seq, fault }) = verifier.push(record) {
            let fault = match fault {
                // Only looking on tells a record that was moved from one that was removed.
                ChainFault::Missing { found } if records.any(|r| r.seq == seq && is_genuine(r)) => {
                    ChainFault::OutOfOrder { found }
                }
                fault => fault,
            };
            return Err(ChainError { seq, fault });
        }
    }
    verifier.finish()
}

/// Whether a record's hash is that of its content. A field that the format does not have is not
/// covered by the hash, so none may be there.
fn is_genuine(record: &AuditRecord) -> bool {
    record.unknown.is_empty() && content(record) == record.hash
}

/// Whether a personal field opens its commitment, or is erased as a whole.
fn is_intact(key: &str, field: &Personal) -> bool {
    match (&field.salt, &field.value) {
        (Some(salt), Some(value)) => commitment(salt, key, value) == field.commitment,
        (None, None) => true,
        _ => false,
    }
}

fn commitment(salt: &Salt, key: &str, value: &str) -> Hash {
    Hasher::new("tipstaff/audit/personal").bytes(salt.bytes()).text(key).text(value).finish()
}

/// The hash of a record's content; the module's documentation is its description.
fn content(record: &AuditRecord) -> Hash {
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
