//! Reading a chain again: the first record that is not as it was written.

use super::chain::{Head, commitment, content};
use super::record::{AUDIT_FORMAT, AuditRecord, Personal};
use crate::id::TenantId;

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
